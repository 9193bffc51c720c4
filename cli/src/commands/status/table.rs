//! Connections as a table for people.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tagwire_core::{
    connections::{ConnectionStatus, DISCONNECTING, HELD_BACK, SideGroup, State},
    id::ZoneName,
    plan::DetachReason,
    tag::ConnectionName,
};

use super::{Filter, Gathered, hints::hint_of, unmatched};
use crate::{
    output::{BAD, DOUBTFUL, GOOD, hint_line, painted},
    table::{Column, Laid, lay_out, terminal_width, wrapped},
};

/// The note below a table with connections that are being removed.
const STAYS_OPEN: &str = "What is disconnecting is still attached, and lets in whoever connects until the next run of tagwire \
    detaches it. Connections that are open then stay open until they are closed.";
/// The note below the connections of a data store.
const LEFT_OUT: &str = "Not listed is whom a data store lets in by blocks of addresses and prefix lists in groups of others, \
    by default groups, and from other VPCs.";
/// The state of what is attached for a data store that is gone.
const STORE_DELETED: &str = "store deleted";

/// Which columns to show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    Few,
    All,
}

/// The heading over the states, which are looked for below it.
const STATE: &str = "STATE";

pub(super) fn text(gathered: &Gathered, filter: &Filter, columns: Columns, headings: bool) -> String {
    text_within(gathered, filter, columns, headings, terminal_width())
}

fn text_within(gathered: &Gathered, filter: &Filter, columns: Columns, headings: bool, width: Option<usize>) -> String {
    let rows = &gathered.connections;
    // The wide table is for those who scroll.
    let width = width.filter(|_| columns == Columns::Few);
    let (mut lines, mut table_lines) = (Vec::new(), 0);
    if !rows.is_empty() {
        let table = table(rows, gathered.observed_at, columns, width, headings);
        lines.push(paint_states(&table.text));
        lines.push(String::new());
        table_lines = lines.len();
        if !table.left_out.is_empty() {
            let left_out = table.left_out.join(", ");
            lines.push(format!("The terminal is too narrow for {left_out}; -o wide shows every column."));
        }
    }
    // Unless everything was read, nothing is called absent: the error that follows names the gaps.
    if !rows.is_empty() || gathered.gaps.is_empty() {
        lines.push(summary(rows, filter));
    }
    if !filter.scope.store.is_empty() && gathered.gaps.is_empty() {
        lines.push(LEFT_OUT.to_owned());
    }
    if rows.iter().any(|row| row.code == Some(DISCONNECTING)) {
        lines.push(STAYS_OPEN.to_owned());
    }
    let names = gathered.instance_names();
    let below = hints(gathered).into_iter().chain(unmatched::lines(gathered, filter));
    lines.extend(below.map(|line| names.label_in(&line)));
    let lines = lines.into_iter().enumerate();
    lines.map(|(place, line)| if place < table_lines { line } else { wrapped(&line, width) } + "\n").collect()
}

/// One hint for each code in the table.
fn hints(gathered: &Gathered) -> Vec<String> {
    let mut hints = BTreeMap::new();
    for row in &gathered.connections {
        if let (Some(code), Some(hint)) = (row.code, hint_of(row, &gathered.planned)) {
            hints.entry(code).or_insert(hint);
        }
    }
    hints.into_iter().map(|(code, hint)| hint_line(code, &hint)).collect()
}

fn summary(rows: &[ConnectionStatus], filter: &Filter) -> String {
    let counted = State::ALL.map(|state| (state, rows.iter().filter(|row| row.state == state).count()));
    let counted = counted.iter().filter(|(_, count)| *count > 0);
    let counted: Vec<String> = counted.map(|(state, count)| format!("{count} {}", state.word())).collect();
    match rows.len() {
        0 if filter.is_empty() => "No connection was found.".to_owned(),
        0 => "No connection matches these filters.".to_owned(),
        1 => format!("1 connection: {}.", counted.join(", ")),
        all => format!("{all} connections: {}.", counted.join(", ")),
    }
}

fn table(rows: &[ConnectionStatus], now: Timestamp, columns: Columns, width: Option<usize>, headings: bool) -> Laid {
    let column = |heading, cell: &dyn Fn(&ConnectionStatus) -> String| Column::new(heading, rows.iter().map(cell));
    let mut shown = vec![
        column("INSTANCE", &|row| row.client.to_string()),
        column("NAME", &|row| or_dash(row.instance_name.as_ref().map(ToString::to_string))).leaving(4),
        column("STORE", &|row| row.store.short()),
        column("PORT", &|row| or_dash(row.ports.map(|ports| ports.to_string()))).leaving(3),
        column(STATE, &state).or_shorter("codes", rows.iter().map(|row| brief(row).to_owned())),
        column("MADE BY", &|row| or_dash(row.made_by.map(|maker| maker.word().to_owned()))).leaving(2),
        column("AGE", &|row| or_dash(row.since.map(|since| age(since, now)))).leaving(1),
        column("AZ", &zones).leaving(0),
    ];
    if rows.iter().all(|row| row.instance_name.is_none()) {
        shown.retain(|column| column.heading() != "NAME");
    }
    if columns == Columns::All {
        let names = |row: &ConnectionStatus| {
            let names: Vec<&str> = row.names.iter().map(ConnectionName::as_str).collect();
            or_dash((!names.is_empty()).then(|| names.join(" ")))
        };
        shown.extend([
            column("VPC", &|row| row.vpc.to_string()),
            column("SERVICE", &|row| row.service.row().title.to_owned()),
            column("NAMES", &names),
            column("GROUPS", &groups),
            column("REASON", &|row| or_dash(row.reason.clone())),
        ]);
    }
    lay_out(shown, width, headings)
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// The state and its code.
fn state(row: &ConnectionStatus) -> String {
    match row.code {
        Some(code) => format!("{} ({code})", word(row)),
        None => word(row).to_owned(),
    }
}

/// The state without its code, unless the code says that it ends.
fn brief(row: &ConnectionStatus) -> &'static str {
    match row.code {
        Some(DISCONNECTING) => DISCONNECTING,
        Some(HELD_BACK) => "held back",
        Some(_) | None => word(row),
    }
}

/// The state. Of a data store that is gone, nothing drifted: it was deleted.
fn word(row: &ConnectionStatus) -> &'static str {
    let is_gone = row.reason.as_deref() == Some(DetachReason::StoreGone.to_string().as_str());
    if is_gone { STORE_DELETED } else { row.state.word() }
}

/// The largest unit that fits, as `kubectl` has it.
fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The instance's zone and, when the data store is only in others, those.
fn zones(row: &ConnectionStatus) -> String {
    let Some(zone) = &row.instance_zone else { return "-".to_owned() };
    if !row.cross_az {
        return zone.to_string();
    }
    let others: Vec<&str> = row.store_zones.iter().map(|other| short(zone, other)).collect();
    format!("{zone} → {} !", others.join(" "))
}

/// A zone without the Region, which is the one that stands before it.
fn short<'zone>(beside: &ZoneName, zone: &'zone ZoneName) -> &'zone str {
    let region = beside.as_str().rsplit_once('-').map(|(region, _)| region);
    let rest = region.and_then(|region| zone.as_str().strip_prefix(region)?.strip_prefix('-'));
    rest.unwrap_or(zone.as_str())
}

fn groups(row: &ConnectionStatus) -> String {
    let shown = |group: &SideGroup| {
        if group.name.is_empty() { group.id.to_string() } else { format!("{} ({})", group.name, group.id) }
    };
    let sides: Vec<String> = row.instance_side.iter().chain(&row.store_side).map(shown).collect();
    or_dash((!sides.is_empty()).then(|| sides.join(" → ")))
}

/// Paints the states. They are painted in the finished table, for it would count the signs of a colour
/// as part of a cell.
fn paint_states(table: &str) -> String {
    let Some(place) = table.lines().next().and_then(|heading| heading.find(STATE)) else { return table.to_owned() };
    let paint = |line: &str| {
        let (before, rest) = line.split_at_checked(place)?;
        let mut words =
            State::ALL.into_iter().map(|state| (state.word(), state)).chain([(STORE_DELETED, State::Drifted)]);
        let (word, state) = words.find(|(word, _)| rest.starts_with(word))?;
        let after = rest.strip_prefix(word)?;
        let style = match state {
            State::Connected => GOOD,
            State::Drifted | State::Refused => BAD,
            State::Waiting => DOUBTFUL,
        };
        Some(format!("{before}{}{after}", painted(style, word)))
    };
    let lines: Vec<String> = table.lines().map(|line| paint(line).unwrap_or_else(|| line.to_owned())).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{commands::status::tests::gathered, scope_args::ScopeArgs};

    fn plain(world: &str, columns: Columns) -> String {
        anstream::adapter::strip_str(&within(world, columns, None)).to_string()
    }

    fn within(world: &str, columns: Columns, width: Option<usize>) -> String {
        text_within(&gathered(world), &Filter::default(), columns, true, width)
    }

    const WORLD: &str = "instance i-1 connect=orders zone=a
        instance i-2 zone=a
        db orders connect=orders zone=b,c
        pair orders 1 attached-to=i-1,i-2
        attached i-1 ec2-rds-1 tag=orders ago=60
        attached orders rds-ec2-1 tag=orders ago=200";

    #[test]
    fn a_row_says_who_reaches_what_and_across_which_zones() {
        let expected = "\
INSTANCE  STORE      PORT  STATE                      MADE BY  AGE  AZ
i-1       db/orders  5432  connected                  tagwire  1h   eu-central-1a → 1b 1c !
i-2       db/orders  5432  connected (disconnecting)  tagwire  -    eu-central-1a → 1b 1c !

2 connections: 2 connected.
What is disconnecting is still attached, and lets in whoever connects until the next run of tagwire detaches it. Connections that are open then stay open until they are closed.
";
        assert_eq!(plain(WORLD, Columns::Few), expected);
    }

    #[test]
    fn wide_is_the_same_with_more_columns() {
        let (few, all) = (plain(WORLD, Columns::Few), plain(WORLD, Columns::All));
        for (few, all) in few.lines().zip(all.lines()) {
            assert!(all.starts_with(few), "{all}");
        }
        for message in
            ["vpc-1", "RDS", "ec2-rds-1 (sg-ec2-rds-1) → rds-ec2-1 (sg-rds-ec2-1)", "the instance has no connect tag"]
        {
            assert!(all.contains(message), "{all}");
        }
    }

    #[test]
    fn below_the_table_stands_one_hint_for_each_code() {
        let world = "instance i-1 connect=orders groups=a,b,c,d,e
            instance i-2 connect=orders groups=a,b,c,d,e
            db orders connect=orders";
        let table = plain(WORLD, Columns::Few);
        assert!(!table.contains("Hint"), "nothing is to be done about these: {table}");
        let table = plain(world, Columns::Few);
        let hints: Vec<&str> = table.lines().filter(|line| line.starts_with("Hint (")).collect();
        assert_eq!(hints.len(), 1, "{table}");
        assert!(hints[0].starts_with("Hint (interface-group-limit): ") && hints[0].contains("L-2AFB9258"), "{table}");
    }

    #[test]
    fn colours_are_added_to_the_states_and_change_nothing_else() {
        let painted = within(WORLD, Columns::Few, None);
        assert_eq!(painted.matches(&crate::output::painted(GOOD, "connected")).count(), 2, "{painted}");
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), plain(WORLD, Columns::Few));
    }

    #[test]
    fn a_narrow_terminal_loses_columns_in_the_stated_order_and_keeps_every_word() {
        let table = |width| anstream::adapter::strip_str(&within(WORLD, Columns::Few, width)).to_string();
        let heading = |width| table(Some(width)).lines().next().unwrap_or_default().to_owned();
        assert_eq!(heading(120), "INSTANCE  STORE      PORT  STATE                      MADE BY  AGE  AZ");
        assert_eq!(heading(80), "INSTANCE  STORE      PORT  STATE                      MADE BY  AGE");
        assert_eq!(heading(60), "INSTANCE  STORE      PORT  STATE");
        let expected = "\
INSTANCE  STORE      PORT  STATE
i-1       db/orders  5432  connected
i-2       db/orders  5432  connected (disconnecting)

The terminal is too narrow for AZ, AGE, MADE BY; -o wide
  shows every column.
2 connections: 2 connected.
";
        assert!(table(Some(60)).starts_with(expected), "{}", table(Some(60)));
        assert_eq!(heading(46), "INSTANCE  STORE      STATE", "the codes leave after every column");
        let narrowest = table(Some(34));
        assert!(narrowest.contains("\ni-2       db/orders  disconnecting\n"), "{narrowest}");
        let said: Vec<&str> = narrowest.split("\n\n").last().unwrap().split_whitespace().collect();
        assert!(
            said.join(" ").starts_with("The terminal is too narrow for AZ, AGE, MADE BY, PORT, codes;"),
            "{narrowest}"
        );
        assert!(narrowest.lines().all(|line| line.chars().count() <= 34), "{narrowest}");
        let all = anstream::adapter::strip_str(&within(WORLD, Columns::All, Some(10))).to_string();
        assert_eq!(all, plain(WORLD, Columns::All), "the wide table is as wide as it is");
    }

    #[test]
    fn names_of_instances_have_a_column_of_their_own_unless_none_has_one() {
        let named = WORLD.replace("instance i-2", "instance i-2 name=\"web 2\"");
        let table = plain(&named, Columns::Few);
        assert!(table.starts_with("INSTANCE  NAME   STORE "), "{table}");
        assert!(
            table.contains("\ni-1       -      db/orders  ") && table.contains("\ni-2       web 2  db/orders  "),
            "{table}"
        );
        assert!(plain(WORLD, Columns::Few).starts_with("INSTANCE  STORE "));
    }

    #[test]
    fn of_a_data_store_that_is_gone_nothing_drifted() {
        let world = "instance i-1 connect=orders\ngone orders\npair orders 1 attached-to=i-1";
        let table = plain(world, Columns::Few);
        assert!(table.contains("  store deleted (disconnecting)  "), "{table}");
    }

    #[test]
    fn below_the_clients_of_a_data_store_stands_who_is_not_listed() {
        let filter =
            Filter { scope: ScopeArgs { store: vec!["orders".to_owned()], ..Default::default() }, ..Filter::default() };
        for world in [WORLD, "db orders connect=orders"] {
            let text = text_within(&gathered(world), &filter, Columns::Few, true, None);
            assert!(text.contains(&format!("\n{LEFT_OUT}\n")), "{text}");
        }
        assert!(!plain(WORLD, Columns::Few).contains(LEFT_OUT), "the list of everything says it in its documentation");
    }

    /// The world that the demo leaves.
    const DEMO: &str = "instance i-0f2092a371912e050 connect=orders,orders-cache zone=a
        instance i-8184c85d8433b818b zone=a
        instance i-c313b353caf2c4fa2 connect=orders zone=a
        cluster orders connect=orders
        db orders-archive connect=orders
        redshift orders-warehouse connect=orders allow-cidr=203.0.113.7/32
        replicationgroup orders-valkey connect=orders-cache
        cache orders-memcached connect=orders-cache
        serverlesscache orders-serverless connect=orders-cache
        pair orders 1 attached-to=i-c313b353caf2c4fa2
        pair orders-archive 2 attached-to=i-c313b353caf2c4fa2
        pair orders-warehouse 1 attached-to=i-c313b353caf2c4fa2,i-0f2092a371912e050
        pair orders-valkey 2 attached-to=i-0f2092a371912e050
        pair orders-memcached 1 attached-to=i-0f2092a371912e050
        pair orders-serverless 3 attached-to=i-0f2092a371912e050
        allow-cidr";

    /// Three hundred instances with a name of twenty, each of a data store.
    fn many() -> String {
        let mut lines = Vec::new();
        for store in 0..20 {
            let name = format!("team-{store}-production");
            lines.push(format!("cluster {name} connect=name-{store} zone=b"));
            let instances: Vec<String> = (0..15).map(|place| format!("i-{:017x}", store * 15 + place)).collect();
            lines.extend(instances.iter().map(|id| format!("instance {id} connect=name-{store} zone=a")));
            lines.push(format!("pair {name} {} attached-to={}", store + 1, instances.join(",")));
        }
        lines.join("\n")
    }

    /// What stands around many rows that are alike.
    fn ends(text: &str) -> String {
        let lines: Vec<&str> = text.lines().collect();
        let (first, last) = (4, lines.len().saturating_sub(4));
        if last < 100 {
            return text.to_owned();
        }
        format!("{}\n... {} lines ...\n{}", lines[..first].join("\n"), last - first, lines[last..].join("\n"))
    }

    #[test]
    fn the_demo_and_three_hundred_instances_at_every_width() {
        for (name, world) in [("demo", DEMO.to_owned()), ("many", many())] {
            for width in [Some(60), Some(80), Some(120), None] {
                let shown = anstream::adapter::strip_str(&within(&world, Columns::Few, width)).to_string();
                let ids = shown.split_whitespace().filter(|word| word.starts_with("i-")).collect::<Vec<_>>();
                assert!(ids.len() >= 7 && ids.iter().all(|id| id.len() == 19), "no id is broken: {shown}");
                let width = width.map_or_else(|| "piped".to_owned(), |width| width.to_string());
                insta::assert_snapshot!(format!("{name}_{width}"), ends(&shown));
            }
        }
    }

    #[test]
    fn ages_are_told_in_the_largest_unit_that_fits() {
        let now = Timestamp::UNIX_EPOCH;
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_599, "59m"),
            (3_600, "1h"),
            (86_399, "23h"),
            (172_800, "2d"),
            (-5, "0s"),
        ] {
            assert_eq!(age(Timestamp::from_second(-seconds).unwrap(), now), expected);
        }
    }

    #[test]
    fn nothing_is_called_absent_that_was_not_read() {
        assert_eq!(plain("instance i-1", Columns::Few), "No connection was found.\n");
        let mut unread = gathered("instance i-1\ngap stores");
        assert_eq!(text_within(&unread, &Filter::default(), Columns::Few, true, None), "");
        unread.gaps.clear();
        let filter = Filter { state: vec![State::Drifted], ..Filter::default() };
        assert_eq!(text_within(&unread, &filter, Columns::Few, true, None), "No connection matches these filters.\n");
    }
}
