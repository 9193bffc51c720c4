//! The meaning of each code, read from the operator's guides, so that the page and the guides say the same.

use serde_json::{Value, json};

const OPERATING: &str = include_str!("../../../../docs/operating.md");
const STATUS: &str = include_str!("../../../../docs/cli/status.md");

/// The tables of codes, and whether their third column says what to do. A code that is in several has the meaning that
/// the first gives it.
const TABLES: [(&str, &str, bool); 4] = [
    (OPERATING, "## Codes of decisions and findings", true),
    (OPERATING, "### Refused for good", true),
    (OPERATING, "## How a connection is removed", false),
    (STATUS, "## States and codes", false),
];

/// The meanings of those codes that are known.
pub(super) fn meanings<'code>(codes: impl IntoIterator<Item = &'code str>) -> Vec<Value> {
    codes.into_iter().filter_map(meaning).collect()
}

fn meaning(code: &str) -> Option<Value> {
    TABLES.iter().find_map(|(guide, heading, has_remedy)| {
        let mut cells = row(section(guide, heading)?, code)?;
        let means = plain(cells.next()?);
        let remedy = cells.next().filter(|_| *has_remedy).map(plain);
        Some(json!({"code": code, "means": means, "remedy": remedy}))
    })
}

/// The text below a heading, up to the next one.
fn section<'guide>(guide: &'guide str, heading: &str) -> Option<&'guide str> {
    let (_, below) = guide.split_once(&format!("\n{heading}\n"))?;
    Some(below.split_once("\n#").map_or(below, |(section, _)| section))
}

/// The cells after the first of the row of a code.
fn row<'guide>(section: &'guide str, code: &str) -> Option<impl Iterator<Item = &'guide str>> {
    let code = format!("`{code}`");
    section.lines().filter(|line| line.starts_with("| `")).find_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        cells.next()?.split(", ").any(|cell| cell == code).then_some(cells)
    })
}

/// Markdown without its signs: links become their text.
fn plain(cell: &str) -> String {
    let mut text = String::new();
    let mut rest = cell;
    while let Some((before, link)) = rest.split_once('[') {
        text.push_str(before);
        rest = match link.split_once("](").and_then(|(name, target)| Some((name, target.split_once(')')?.1))) {
            Some((name, after)) => {
                text.push_str(name);
                after
            }
            None => link,
        };
    }
    text.push_str(rest);
    text.replace(['`', '*'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meaning_is_that_of_the_guide_without_its_signs() {
        let found = meanings(["uninstalling", "not-shared-by-anything", "not-asked-for", "disconnecting"]);
        let codes: Vec<&str> = found.iter().filter_map(|of| of["code"].as_str()).collect();
        assert_eq!(codes, ["uninstalling", "not-asked-for", "disconnecting"]);
        assert_eq!(found[0]["remedy"], "delete the stack, or undo it with tagwire uninstall --cancel");
        assert_eq!(found[1]["means"], "the instance does not carry the connect tag");
        assert_eq!(found[1]["remedy"], Value::Null);
    }
}
