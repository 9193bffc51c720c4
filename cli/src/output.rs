//! Output: results go to standard output, everything else to standard error. Colours are for terminals only, and
//! `NO_COLOR` and `CLICOLOR_FORCE` are honoured.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use tagwire_core::untrusted::is_hidden;

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colours {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colours {
    /// Applies the choice to all output from now on.
    pub(crate) fn choose(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// Whether notes are left out.
static IS_QUIET: AtomicBool = AtomicBool::new(false);
/// Whether progress is left out.
static IS_STILL: AtomicBool = AtomicBool::new(false);

/// Leaves out notes and progress from now on, or only progress, which lines of debugging would tear apart.
pub(crate) fn choose_volume(quiet: bool, debug: bool) {
    IS_QUIET.store(quiet, Ordering::Relaxed);
    IS_STILL.store(quiet || debug, Ordering::Relaxed);
}

/// Whether progress is shown, if there is a terminal.
pub(crate) fn shows_progress() -> bool {
    !IS_STILL.load(Ordering::Relaxed)
}

/// The style of additions, and of what is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// The style of removals, and of errors.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// The style of warnings, and of what waits.
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
/// The style of the word before a hint.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
/// The style of headings.
pub(crate) const HEADING: Style = Style::new().bold();
/// The style of what matters less.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// A text in a style.
pub(crate) fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A number of things.
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// A line with the hint for a code.
pub(crate) fn hint_line(code: &str, hint: &str) -> String {
    format!("{} ({code}): {hint}", painted(HINT, "Hint"))
}

/// Writes a result to standard output.
///
/// # Errors
/// When nobody reads standard output any more.
pub(crate) fn print(text: &str) -> io::Result<()> {
    print_own(&guarded(text))
}

/// Writes what holds nothing that others wrote, as it is.
///
/// # Errors
/// When nobody reads standard output any more.
pub(crate) fn print_own(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a line to standard error, for everything that is no result.
pub(crate) fn tell(text: &str) {
    // A standard error that is closed leaves nobody to tell it to.
    writeln!(anstream::stderr(), "{}", guarded(text)).unwrap_or_default();
}

/// A text on its way out, with whatever cannot be seen written as JSON writes it, which leaves a document one. Only our
/// own line ends and styles stay. Text of others is escaped where it enters ours; here it is certain for all of it.
pub(crate) fn guarded(text: &str) -> String {
    let mut guarded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(symbol) = rest.chars().next() {
        let length = own_control(rest).unwrap_or(symbol.len_utf8());
        let (piece, after) = rest.split_at(length);
        if own_control(rest).is_some() || !is_hidden(symbol) {
            guarded.push_str(piece);
        } else {
            let mut units = [0; 2];
            guarded.extend(symbol.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
        rest = after;
    }
    guarded
}

/// The length of a line end or a style of ours at the beginning of a text.
fn own_control(text: &str) -> Option<usize> {
    if text.starts_with('\n') {
        return Some(1);
    }
    if text.starts_with("\r\n") {
        return Some(2);
    }
    let style = text.strip_prefix("\u{1b}[")?;
    let end = style.find(|symbol: char| !symbol.is_ascii_digit() && symbol != ';')?;
    style.get(end..)?.starts_with('m').then_some("\u{1b}[".len() + end + 1)
}

/// Writes a note to standard error, after which the command continues.
pub(crate) fn warn(text: &str) {
    if !IS_QUIET.load(Ordering::Relaxed) {
        tell(&format!("tagwire: {} {text}", painted(DOUBTFUL, "note:")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_cannot_be_seen_leaves_but_our_own_line_ends_and_styles() {
        for (text, left) in [
            ("one\ntwo\r\n", "one\ntwo\r\n"),
            ("\u{1b}[1;31mred\u{1b}[0m", "\u{1b}[1;31mred\u{1b}[0m"),
            ("\u{1b}[2J\u{1b}]0;title\u{7}\r", "\\u001b[2J\\u001b]0;title\\u0007\\u000d"),
            ("a\u{9b}31m\u{202e}b\u{200b}\u{e0041}", "a\\u009b31m\\u202eb\\u200b\\udb40\\udc41"),
            ("", ""),
        ] {
            assert_eq!(guarded(text), left);
        }
    }

    #[test]
    fn a_json_document_stays_the_same_document() {
        let document = serde_json::json!({ "name": "a\u{9b}\u{202e}\n\u{1b}[0m\u{e0041}" });
        let written = guarded(&format!("{document:#}\n"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), document);
        assert!(!written.chars().any(|symbol| is_hidden(symbol) && symbol != '\n'), "{written:?}");
    }
}
