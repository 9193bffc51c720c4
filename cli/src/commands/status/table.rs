//! Connections as a table for people.

use std::collections::BTreeMap;

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use tagwire_core::{
    connections::{ConnectionStatus, DISCONNECTING, SideGroup, State},
    id::ZoneName,
    tag::ConnectionName,
};

use super::{Filter, Gathered, hints::hint_of};
use crate::output::{BAD, DOUBTFUL, GOOD, hint_line, painted};

/// The note below a table with connections that are being removed.
const STAYS_OPEN: &str =
    "What is disconnecting lets nobody in anew; what is open already stays open until it is closed.";

/// Which columns to show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    Few,
    All,
}

/// The heading over the states, which are looked for below it.
const STATE: &str = "STATE";

pub(super) fn text(gathered: &Gathered, filter: &Filter, columns: Columns) -> String {
    let rows = &gathered.connections;
    let mut lines = Vec::new();
    if !rows.is_empty() {
        let chosen = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let width = chosen.or_else(|| terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0));
        lines.push(paint_states(&table(rows, gathered.observed_at, columns, width)));
        lines.push(String::new());
    }
    // Unless everything was read, nothing is called absent: the error that follows names the gaps.
    if !rows.is_empty() || gathered.gaps.is_empty() {
        lines.push(summary(rows, filter));
    }
    if rows.iter().any(|row| row.code == Some(DISCONNECTING)) {
        lines.push(STAYS_OPEN.to_owned());
    }
    lines.extend(hints(gathered));
    lines.into_iter().map(|line| line + "\n").collect()
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
        0 if filter.is_empty() => "There are no connections.".to_owned(),
        0 => "No connection is of this kind.".to_owned(),
        1 => format!("1 connection: {}.", counted.join(", ")),
        all => format!("{all} connections: {}.", counted.join(", ")),
    }
}

fn table(rows: &[ConnectionStatus], now: Timestamp, columns: Columns, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    let mut heading = vec!["INSTANCE", "STORE", "PORT", STATE, "MADE BY", "SINCE", "AZ"];
    if columns == Columns::All {
        heading.extend(["VPC", "SERVICE", "NAMES", "GROUPS", "REASON"]);
    }
    table.set_header(heading);
    for row in rows {
        let mut cells = vec![
            row.client.to_string(),
            row.store.short(),
            or_dash(row.ports.map(|ports| ports.to_string())),
            state(row),
            or_dash(row.made_by.map(|maker| maker.word().to_owned())),
            or_dash(row.since.map(|since| age(since, now))),
            zones(row),
        ];
        if columns == Columns::All {
            let names: Vec<&str> = row.names.iter().map(ConnectionName::as_str).collect();
            cells.extend([
                row.vpc.to_string(),
                row.service.row().title.to_owned(),
                or_dash((!names.is_empty()).then(|| names.join(" "))),
                groups(row),
                or_dash(row.reason.clone()),
            ]);
        }
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

fn state(row: &ConnectionStatus) -> String {
    match row.code {
        Some(code) => format!("{} ({code})", row.state.word()),
        None => row.state.word().to_owned(),
    }
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
        let state = State::ALL.into_iter().find(|state| rest.starts_with(state.word()))?;
        let after = rest.strip_prefix(state.word())?;
        let style = match state {
            State::Connected => GOOD,
            State::Drifted | State::Refused => BAD,
            State::Waiting => DOUBTFUL,
        };
        Some(format!("{before}{}{after}", painted(style, state.word())))
    };
    let lines: Vec<String> = table.lines().map(|line| paint(line).unwrap_or_else(|| line.to_owned())).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::tests::gathered;

    fn plain(world: &str, columns: Columns) -> String {
        anstream::adapter::strip_str(&text(&gathered(world), &Filter::default(), columns)).to_string()
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
INSTANCE  STORE      PORT  STATE                      MADE BY  SINCE  AZ
i-1       db/orders  5432  connected                  tagwire  1h     eu-central-1a → 1b 1c !
i-2       db/orders  5432  connected (disconnecting)  tagwire  -      eu-central-1a → 1b 1c !

2 connections: 2 connected.
What is disconnecting lets nobody in anew; what is open already stays open until it is closed.
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
        let painted = text(&gathered(WORLD), &Filter::default(), Columns::Few);
        assert_eq!(painted.matches(&crate::output::painted(GOOD, "connected")).count(), 2, "{painted}");
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), plain(WORLD, Columns::Few));
    }

    #[test]
    fn a_narrow_terminal_wraps_the_cells() {
        let rows = gathered(WORLD).connections;
        let narrow = table(&rows, Timestamp::UNIX_EPOCH, Columns::All, Some(100));
        assert!(narrow.lines().all(|line| line.chars().count() <= 100), "{narrow}");
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
        assert_eq!(plain("instance i-1", Columns::Few), "There are no connections.\n");
        let mut unread = gathered("instance i-1\ngap stores");
        assert_eq!(text(&unread, &Filter::default(), Columns::Few), "");
        unread.gaps.clear();
        let filter = Filter { state: vec![State::Drifted], ..Filter::default() };
        assert_eq!(text(&unread, &filter, Columns::Few), "No connection is of this kind.\n");
    }
}
