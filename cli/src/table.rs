//! Tables for people. A cell is never broken: an id or a name that is split over two lines can be neither read nor
//! copied. Where a line is too long for the terminal, whole columns are left out.

use tagwire_core::untrusted::Shown;

/// The space between two columns.
const GAP: usize = 2;

/// A column with its cells, one for each row.
pub(crate) struct Column {
    heading: &'static str,
    cells: Vec<String>,
    /// The columns with the lowest number are left out first; `None` for one that stays.
    leaves: Option<u8>,
    /// Shorter cells for when all that leaves is left out and the line is still too long, and what they leave out.
    shorter: Option<(&'static str, Vec<String>)>,
}

impl Column {
    /// A column that stays however narrow the terminal is.
    pub(crate) fn new(heading: &'static str, cells: impl IntoIterator<Item = String>) -> Self {
        Self { heading, cells: one_line(cells), leaves: None, shorter: None }
    }

    /// The same column, with shorter cells for a terminal on which everything else is left out already.
    pub(crate) fn or_shorter(self, left_out: &'static str, cells: impl IntoIterator<Item = String>) -> Self {
        Self { shorter: Some((left_out, one_line(cells))), ..self }
    }

    /// The same column, left out on a narrow terminal before those with a higher number.
    pub(crate) fn leaving(self, order: u8) -> Self {
        Self { leaves: Some(order), ..self }
    }

    /// The heading.
    pub(crate) fn heading(&self) -> &'static str {
        self.heading
    }

    fn width(&self) -> usize {
        let cells = self.cells.iter().map(String::as_str).chain([self.heading]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    }
}

/// Cells of one line each, whoever wrote what stands in them.
fn one_line(cells: impl IntoIterator<Item = String>) -> Vec<String> {
    cells.into_iter().map(|cell| Shown(&cell).to_string()).collect()
}

/// A table as text, and what is left out of it: the headings of columns, and parts of cells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Laid {
    pub(crate) text: String,
    pub(crate) left_out: Vec<&'static str>,
}

/// Lays out a table for a terminal of this width; without one, nothing is left out.
pub(crate) fn lay_out(mut columns: Vec<Column>, width: Option<usize>, headings: bool) -> Laid {
    let needed =
        |columns: &[Column]| columns.iter().map(Column::width).sum::<usize>() + GAP * columns.len().saturating_sub(1);
    let mut left_out = Vec::new();
    while width.is_some_and(|width| needed(&columns) > width) {
        let leaving = columns.iter().enumerate().filter_map(|(place, column)| Some((column.leaves?, place)));
        let Some((_, place)) = leaving.min() else { break };
        left_out.push(columns.remove(place).heading);
    }
    if width.is_some_and(|width| needed(&columns) > width) {
        for column in &mut columns {
            if let Some((what, cells)) = column.shorter.take() {
                column.cells = cells;
                left_out.push(what);
            }
        }
    }
    let widths: Vec<usize> = columns.iter().map(Column::width).collect();
    let rows = columns.iter().map(|column| column.cells.len()).max().unwrap_or_default();
    let line = |cell: &dyn Fn(&Column) -> String| {
        let cells = columns.iter().zip(&widths).map(|(column, width)| format!("{:width$}", cell(column)));
        cells.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    let heading = headings.then(|| line(&|column| column.heading.to_owned()));
    let rows = (0..rows).map(|row| line(&|column| column.cells.get(row).cloned().unwrap_or_default()));
    Laid { text: heading.into_iter().chain(rows).collect::<Vec<_>>().join("\n"), left_out }
}

/// A line of prose in lines that a terminal of this width takes, broken between words only.
pub(crate) fn wrapped(line: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return line.to_owned() };
    let text = line.trim_start_matches(' ');
    let margin = line.chars().count() - text.chars().count();
    let (mut lines, mut length) = (" ".repeat(margin), margin);
    for (place, word) in text.split(' ').enumerate() {
        let long = anstream::adapter::strip_str(word).to_string().chars().count();
        if place > 0 && length + 1 + long > width {
            lines.push('\n');
            lines.push_str(&" ".repeat(margin + GAP));
            length = margin + GAP;
        } else if place > 0 {
            lines.push(' ');
            length += 1;
        }
        lines.push_str(word);
        length += long;
    }
    lines
}

/// The width of the terminal that standard output is: that of `COLUMNS`, or else its own. `None` where it is no
/// terminal, whatever `COLUMNS` says: a program reads the output then.
pub(crate) fn terminal_width() -> Option<usize> {
    let (terminal_size::Width(own), _) = terminal_size::terminal_size_of(std::io::stdout())?;
    let chosen = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    Some(chosen.unwrap_or_else(|| usize::from(own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        let column = |heading, cells: [&str; 2]| Column::new(heading, cells.map(str::to_owned));
        vec![
            column("INSTANCE", ["i-0a1b2c3d4e5f60001", "i-2"]),
            column("PORT", ["5432", "-"]).leaving(1),
            column("STATE", ["connected", "waiting"]),
            column("AZ", ["eu-central-1a → 1b !", "-"]).leaving(0),
        ]
    }

    #[test]
    fn whole_columns_leave_in_their_order_and_no_cell_is_broken() {
        let whole = "\
INSTANCE             PORT  STATE      AZ
i-0a1b2c3d4e5f60001  5432  connected  eu-central-1a → 1b !
i-2                  -     waiting    -";
        for width in [None, Some(58)] {
            assert_eq!(lay_out(columns(), width, true), Laid { text: whole.to_owned(), left_out: vec![] });
        }
        let narrow = lay_out(columns(), Some(57), true);
        assert_eq!(narrow.left_out, ["AZ"]);
        let narrower = lay_out(columns(), Some(5), true);
        assert_eq!(narrower.left_out, ["AZ", "PORT"]);
        let expected = "\
INSTANCE             STATE
i-0a1b2c3d4e5f60001  connected
i-2                  waiting";
        assert_eq!(narrower.text, expected, "what stays is longer than the line rather than broken");
    }

    #[test]
    fn where_that_is_not_enough_cells_are_shorter_and_that_is_said() {
        let columns = || {
            let mut columns = columns();
            let state = columns.remove(2).or_shorter("codes", ["conn", "wait"].map(str::to_owned));
            columns.insert(2, state);
            columns
        };
        assert_eq!(lay_out(columns(), Some(30), true).left_out, ["AZ", "PORT"]);
        let shorter = lay_out(columns(), Some(29), true);
        assert_eq!(shorter.left_out, ["AZ", "PORT", "codes"]);
        assert!(shorter.text.ends_with("i-2                  wait"), "{}", shorter.text);
    }

    #[test]
    fn prose_is_broken_between_words_and_only_at_a_terminal() {
        let line = "  i-1: nothing carries orders";
        assert_eq!(wrapped(line, None), line);
        assert_eq!(wrapped(line, Some(29)), line);
        assert_eq!(wrapped(line, Some(16)), "  i-1: nothing\n    carries\n    orders");
        assert_eq!(wrapped("i-0a1b2c3d4e5f60001 is full", Some(5)), "i-0a1b2c3d4e5f60001\n  is\n  full");
        let painted = crate::output::painted(crate::output::HINT, "Hint");
        assert_eq!(wrapped(&format!("{painted} (a): b"), Some(11)), format!("{painted} (a): b"));
    }

    #[test]
    fn without_headings_there_are_only_rows() {
        assert_eq!(lay_out(columns(), None, false).text.lines().count(), 2);
    }
}
