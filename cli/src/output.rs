//! Output: results go to standard output, everything else to standard error. Colours are for terminals only, and
//! `NO_COLOR` and `CLICOLOR_FORCE` are honoured.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

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
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a line to standard error, for everything that is no result.
pub(crate) fn tell(text: &str) {
    // A standard error that is closed leaves nobody to tell it to.
    writeln!(anstream::stderr(), "{text}").unwrap_or_default();
}

/// Writes a note to standard error, after which the command continues.
pub(crate) fn warn(text: &str) {
    if !IS_QUIET.load(Ordering::Relaxed) {
        tell(&format!("tagwire: {} {text}", painted(DOUBTFUL, "note:")));
    }
}
