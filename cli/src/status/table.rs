//! Connections as a table for people.

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use tagwire_core::{
    id::ZoneName,
    status::{ConnectionStatus, DISCONNECTING, SideGroup, State},
    tag::ConnectionName,
};

use super::{Filter, Gathered};
use crate::output::{BAD, DOUBTFUL, GOOD, painted};

/// Said once below a table in which something is being taken away.
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
        let width = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        lines.push(paint_states(&table(rows, gathered.observed_at, columns, width)));
        lines.push(String::new());
    }
    // Without everything read, nothing is said of absence: the error that follows says what could not be.
    if !rows.is_empty() || gathered.gaps.is_empty() {
        lines.push(summary(rows, filter));
    }
    if rows.iter().any(|row| row.code == Some(DISCONNECTING)) {
        lines.push(STAYS_OPEN.to_owned());
    }
    lines.into_iter().map(|line| line + "\n").collect()
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

/// The instance's zone and, when the data store is in none but others, those.
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
