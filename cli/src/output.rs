//! What is written for people and programs: results to standard output, everything else to standard
//! error. Colours are for terminals only, and `NO_COLOR` and `CLICOLOR_FORCE` are honoured.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use anyhow::Result;
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
    /// Makes the choice for everything that is written from now on.
    pub(crate) fn choose(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// What is added, or well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What is taken away, or wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// What waits or deserves a look.
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
/// Headings.
pub(crate) const HEADING: Style = Style::new().bold();
/// What matters less.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// A text in a style.
pub(crate) fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes a result.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Tells the person at the terminal something that is no result.
pub(crate) fn tell(text: &str) {
    // A standard error that is closed leaves nobody to tell it to.
    writeln!(anstream::stderr(), "{text}").unwrap_or_default();
}

/// Tells of an error.
pub(crate) fn complain(text: &str) {
    tell(&format!("tagwire: {} {text}", painted(BAD, "error:")));
}

/// Tells of something that does not keep the command from going on.
pub(crate) fn warn(text: &str) {
    tell(&format!("tagwire: {} {text}", painted(DOUBTFUL, "note:")));
}

/// Whether an error only says that nobody reads on, as `head` does after some lines.
pub(crate) fn is_reader_gone(error: &anyhow::Error) -> bool {
    let of_reader = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(of_reader)
}
