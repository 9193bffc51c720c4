//! The errors that end a command. Each has a kind, which decides the exit code, the chain of its causes, and
//! hints, which are printed as lines of their own.

use std::{collections::BTreeSet, fmt, io};

use tagwire_core::{observation::Gap, untrusted::Shown};
use tagwire_engine::cloud::{CloudError, ErrorKind};

use crate::output::{BAD, HINT, painted, tell};

/// The result of a command, or of a part of one.
pub(crate) type CommandResult<T> = Result<T, CommandError>;

/// As shells report a program that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;
/// As shells report a program whose reader went away.
const READER_GONE: u8 = 141;

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandErrorKind {
    /// The arguments, the settings or the account do not allow what was asked for.
    User,
    /// AWS refused a call, or did not answer.
    Aws,
    /// Something could not be read. Everything else has been written.
    Incomplete,
    /// Changes that a person agreed to are not made, or not all of them.
    NotCarriedOut,
    /// The person pressed Ctrl-C.
    Interrupted,
    /// The reader of the output went away, as `head` does after some lines.
    ReaderGone,
}

impl CommandErrorKind {
    /// The exit code. 2 is none of them: it means that changes are pending.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::User | Self::Aws | Self::Incomplete | Self::NotCarriedOut => 1,
            Self::Interrupted => INTERRUPTED,
            Self::ReaderGone => READER_GONE,
        }
    }

    /// The word before the message; `None` for an error that nobody has to be told of.
    fn label(self) -> Option<&'static str> {
        match self {
            Self::User | Self::Aws | Self::Incomplete | Self::NotCarriedOut => Some("error"),
            Self::Interrupted | Self::ReaderGone => None,
        }
    }
}

/// An error that ends a command.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) kind: CommandErrorKind,
    pub(crate) error: anyhow::Error,
    pub(crate) hints: Vec<String>,
}

impl CommandError {
    /// An error with a message of this kind, and no hint yet.
    pub(crate) fn new(kind: CommandErrorKind, message: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self { kind, error: anyhow::Error::msg(message), hints: Vec::new() }
    }

    /// Ctrl-C.
    pub(crate) fn interrupted() -> Self {
        Self::new(CommandErrorKind::Interrupted, "interrupted")
    }

    /// The same error with a hint more.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same error of another kind.
    pub(crate) fn of_kind(mut self, kind: CommandErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same error as the cause of another message.
    pub(crate) fn context(mut self, message: impl fmt::Display + Send + Sync + 'static) -> Self {
        self.error = self.error.context(message);
        self
    }

    /// The error for something that could not be read.
    pub(crate) fn unread(resource: impl fmt::Display, gap: Option<&Gap>) -> Self {
        let Some(gap) = gap else {
            return Self::new(CommandErrorKind::Aws, format!("{resource} cannot be read"));
        };
        let error = Self::new(CommandErrorKind::Aws, format!("{resource} cannot be read: {gap}"));
        error.hint(hint_of_gap(gap))
    }

    /// Several errors as one, with the hints of all; `None` without any.
    pub(crate) fn all(errors: Vec<Self>) -> Option<Self> {
        let (kind, number) = (errors.first()?.kind, errors.len());
        if number == 1 {
            return errors.into_iter().next();
        }
        let lines = errors.iter().map(|error| format!("  {:#}", error.error));
        let message = [format!("{number} errors:")].into_iter().chain(lines).collect::<Vec<_>>().join("\n");
        let mut all = Self::new(kind, message);
        for hint in errors.into_iter().flat_map(|error| error.hints) {
            if !all.hints.contains(&hint) {
                all.hints.push(hint);
            }
        }
        Some(all)
    }

    /// Prints the error, its causes and its hints to standard error.
    pub(crate) fn print(&self) {
        if let Some(label) = self.kind.label() {
            tell(&self.text(label));
        }
    }

    pub(crate) fn text(&self, label: &str) -> String {
        // A line that others wrote into a message must not pass for one of ours.
        let message = self.error.to_string().replace('\n', "\n  ").replace("\n    ", "\n  ");
        let mut lines = vec![format!("tagwire: {} {message}", painted(BAD, &format!("{label}:")))];
        let mut before = self.error.to_string();
        for cause in self.error.chain().skip(1) {
            let cause = cause.to_string();
            // Some errors hold the text of their cause in their own.
            if !before.contains(&cause) {
                lines.push(format!("Caused by: {}", Shown(&cause)));
            }
            before = cause;
        }
        lines.extend(self.hints.iter().map(|hint| format!("{} {}", painted(HINT, "Hint:"), Shown(hint))));
        lines.join("\n")
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#}", self.error)
    }
}

/// The kind and the hints of an error come from the error of AWS or of the operating system in its chain.
impl<E: Into<anyhow::Error>> From<E> for CommandError {
    fn from(error: E) -> Self {
        let error = error.into();
        let is_of_reader = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        };
        if error.chain().any(is_of_reader) {
            return Self { kind: CommandErrorKind::ReaderGone, error, hints: Vec::new() };
        }
        let of_aws = error.chain().find_map(|cause| cause.downcast_ref::<CloudError>());
        match of_aws {
            None => Self { kind: CommandErrorKind::User, error, hints: Vec::new() },
            Some(of_aws) => {
                let hints = hint_of(of_aws).map(str::to_owned).into_iter().collect();
                Self { kind: CommandErrorKind::Aws, error, hints }
            }
        }
    }
}

/// Ends a command that could not read everything, by an error that names each gap.
///
/// # Errors
/// When there is a gap.
pub(crate) fn require_complete(gaps: &[Gap], result: &str) -> CommandResult<()> {
    let message = match gaps {
        [] => return Ok(()),
        [only] => format!("something could not be read, so {result} is not complete: {only}"),
        several => {
            let lines = several.iter().map(|gap| format!("\n  {gap}"));
            format!(
                "{} things could not be read, so {result} is not complete:{}",
                several.len(),
                lines.collect::<String>()
            )
        }
    };
    let hints = gaps.iter().map(hint_of_gap).collect::<BTreeSet<_>>();
    let error = CommandError::new(CommandErrorKind::Incomplete, message);
    Err(hints.into_iter().fold(error, CommandError::hint))
}

fn hint_of_gap(gap: &Gap) -> &'static str {
    if gap.passing { RUN_AGAIN } else { ASK_DOCTOR }
}

const RUN_AGAIN: &str = "it may pass by itself: run the command again";
const ASK_DOCTOR: &str = "`tagwire doctor` checks what you may read, and names the policy that allows it";

/// The hint that belongs to an error of AWS, if there is one.
fn hint_of(error: &CloudError) -> Option<&'static str> {
    match error.kind {
        ErrorKind::Denied if error.call == "sts:GetCallerIdentity" || error.code == "no-credentials" => {
            Some("sign in, or choose a profile with --profile or AWS_PROFILE")
        }
        ErrorKind::Denied => Some(ASK_DOCTOR),
        ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::EffectUnknown => Some(RUN_AGAIN),
        ErrorKind::AlreadyThere
        | ErrorKind::NotFound
        | ErrorKind::NotReady
        | ErrorKind::PendingChanges
        | ErrorKind::InUse
        | ErrorKind::Limit
        | ErrorKind::Rejected => None,
    }
}

/// An error of the kind [`CommandErrorKind::User`] with a formatted message.
macro_rules! user_error {
    ($($message:tt)+) => {
        $crate::error::CommandError::new($crate::error::CommandErrorKind::User, format!($($message)+))
    };
}
pub(crate) use user_error;

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn plain(error: &CommandError) -> String {
        anstream::adapter::strip_str(&error.text(error.kind.label().unwrap_or_default())).to_string()
    }

    fn denied() -> CloudError {
        CloudError {
            kind: ErrorKind::Denied,
            call: "ec2:DescribeInstances",
            resource: "vpc-1".to_owned(),
            code: "UnauthorizedOperation".to_owned(),
            message: "no".to_owned(),
            request_id: None,
        }
    }

    #[test]
    fn an_error_is_printed_with_its_causes_and_its_hints_on_lines_of_their_own() {
        let error = Err::<(), _>(io::Error::other("the disk is full")).context("writing the report");
        let error = CommandError::from(error.unwrap_err()).hint("choose another file").hint("or free some space");
        assert_eq!(
            plain(&error),
            "tagwire: error: writing the report\nCaused by: the disk is full\nHint: choose another file\nHint: or free some space"
        );
    }

    #[test]
    fn a_call_that_was_denied_leads_to_the_doctor_wherever_it_stands_in_the_chain() {
        let error = CommandError::from(anyhow::Error::from(denied()).context("looking at vpc-1"));
        assert_eq!((error.kind, error.hints.as_slice()), (CommandErrorKind::Aws, [ASK_DOCTOR.to_owned()].as_slice()));
    }

    #[test]
    fn every_error_has_the_exit_code_1_and_a_signal_has_that_of_the_shell() {
        use CommandErrorKind::{Aws, Incomplete, Interrupted, NotCarriedOut, ReaderGone, User};
        let codes = [User, Aws, Incomplete, NotCarriedOut, Interrupted, ReaderGone].map(CommandErrorKind::exit_code);
        assert_eq!(codes, [1, 1, 1, 1, 130, 141]);
    }

    #[test]
    fn nobody_is_told_that_the_reader_of_the_output_went_away() {
        let error = CommandError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((error.kind, error.kind.label()), (CommandErrorKind::ReaderGone, None));
    }

    #[test]
    fn several_errors_are_one_that_names_each_and_gives_no_hint_twice() {
        let errors = ["vpc-1 failed", "vpc-2 failed"];
        let errors =
            errors.map(|text| CommandError::new(CommandErrorKind::NotCarriedOut, text).hint("look at the log"));
        let all = CommandError::all(errors.into()).unwrap();
        assert_eq!(plain(&all), "tagwire: error: 2 errors:\n  vpc-1 failed\n  vpc-2 failed\nHint: look at the log");
        assert!(CommandError::all(Vec::new()).is_none());
    }
}
