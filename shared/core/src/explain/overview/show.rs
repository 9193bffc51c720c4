//! Overviews as plain text.

use std::fmt;

use super::{Overview, OverviewLine, SharedEnd};
use crate::explain::{
    facts::NAMED,
    show::{first_of, section},
};

impl OverviewLine {
    fn text(&self, end: SharedEnd) -> String {
        let ends = match end {
            SharedEnd::Neither => format!("{} and {}", self.client, self.store.short()),
            SharedEnd::Store => self.client.clone(),
            SharedEnd::Client => self.store.short(),
        };
        let code = self.code.map(|code| format!(" ({code})")).unwrap_or_default();
        let message = if self.message.is_empty() { String::new() } else { format!(": {}", self.message) };
        format!("{ends} {}{code}{message}", self.state.word())
    }
}

impl Overview {
    /// The lines, of each state and code the first few.
    fn few_lines(&self) -> Vec<String> {
        let groups = self.connections.chunk_by(|one, other| one.rank() == other.rank());
        let lines = groups.flat_map(|group| {
            let (first, rest) = group.split_at_checked(NAMED).unwrap_or((group, &[]));
            let word = group.first().map_or("", |line| line.state.word());
            let more = (!rest.is_empty()).then(|| format!("and {} more {word}; -v shows all", rest.len()));
            first.iter().map(|line| line.text(self.end)).chain(more)
        });
        lines.collect()
    }

    fn text(&self, out: &mut fmt::Formatter<'_>, all: bool) -> fmt::Result {
        writeln!(out, "{}", self.message)?;
        let findings: Vec<String> = self.findings.iter().map(ToString::to_string).collect();
        let of = |lines: &[String]| if all { lines.to_vec() } else { first_of(lines) };
        section(out, "What it is:", &of(&self.facts))?;
        let lines =
            if all { self.connections.iter().map(|line| line.text(self.end)).collect() } else { self.few_lines() };
        section(out, "Connections:", &lines)?;
        section(out, "Next run:", &of(&self.next))?;
        section(out, "Said of it:", &of(&findings))?;
        section(out, "What to change:", &self.remedy)
    }

    /// The overview with the first few lines of each kind.
    #[must_use]
    pub fn short(&self) -> String {
        ShortOverview(self).to_string()
    }
}

impl fmt::Display for Overview {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text(out, true)
    }
}

struct ShortOverview<'overview>(&'overview Overview);

impl fmt::Display for ShortOverview<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.text(out, false)
    }
}
