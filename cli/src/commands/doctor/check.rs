//! One line of the doctor's report, and the commands that it suggests.

use serde::Serialize;
use tagwire_aws::{Identity, Stack};
use tagwire_core::observation::Gap;
use tagwire_engine::cloud::{CloudError, ErrorKind};

pub(super) use crate::output::count;

/// The level of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CheckLevel {
    /// As it should be.
    Ok,
    /// It works but should be looked into, or could not be checked.
    Warning,
    /// It does not work.
    Failure,
}

impl CheckLevel {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// The stable name of the check.
    pub(super) name: &'static str,
    pub(super) level: CheckLevel,
    /// The result, in one sentence.
    pub(super) message: String,
    /// A shell command that fixes it; `None` when all is well.
    pub(super) fix: Option<String>,
}

impl Check {
    /// Joins the lines of a message: AWS's errors may have several, and a check has one.
    fn new(name: &'static str, level: CheckLevel, message: &str, fix: Option<String>) -> Self {
        let words: Vec<&str> = message.split_whitespace().collect();
        Self { name, level, message: words.join(" "), fix }
    }

    pub(super) fn ok(name: &'static str, message: impl AsRef<str>) -> Self {
        Self::new(name, CheckLevel::Ok, message.as_ref(), None)
    }

    pub(super) fn warning(name: &'static str, message: impl AsRef<str>, fix: impl Into<String>) -> Self {
        Self::new(name, CheckLevel::Warning, message.as_ref(), Some(fix.into()))
    }

    pub(super) fn failure(name: &'static str, message: impl AsRef<str>, fix: impl Into<String>) -> Self {
        Self::new(name, CheckLevel::Failure, message.as_ref(), Some(fix.into()))
    }

    /// A check that failed because something could not be read.
    pub(super) fn unread(name: &'static str, what: &str, error: &CloudError, target: &CommandTarget) -> Self {
        Self::warning(name, format!("cannot tell {what}, because {error}"), target.fix_reading(error.kind))
    }

    /// The same check where nothing works before it is well: what could not be asked is as bad as what is wrong.
    pub(super) fn required(self) -> Self {
        Self { level: if self.level == CheckLevel::Ok { CheckLevel::Ok } else { CheckLevel::Failure }, ..self }
    }

    /// A check that could be made in part only.
    pub(super) fn gap(name: &'static str, what: &str, gap: &Gap, target: &CommandTarget) -> Self {
        let fix = if gap.passing { target.again() } else { target.grant_reading() };
        Self::warning(name, format!("cannot tell {what}, because of {gap}"), fix)
    }
}

/// The Region and profile in which the suggested commands run.
#[derive(Clone, Debug, Default)]
pub(super) struct CommandTarget {
    /// The Region.
    pub(super) region: String,
    /// The profile, if one was chosen.
    pub(super) profile: Option<String>,
    /// The caller's identity, if it is known.
    pub(super) identity: Option<Identity>,
}

impl CommandTarget {
    /// A command of the AWS CLI.
    pub(super) fn aws(&self, command: &str) -> String {
        self.aws_in(&self.region, command)
    }

    /// The same in another Region.
    pub(super) fn aws_in(&self, region: &str, command: &str) -> String {
        format!("aws {command} --region {}{}", quoted(region), self.profile_option())
    }

    /// A command of this program.
    pub(super) fn tagwire(&self, command: &str) -> String {
        format!("tagwire {command} --region {}{}", quoted(&self.region), self.profile_option())
    }

    /// A deployment, with parameters that are to change.
    pub(super) fn deploy(&self, stack: &str, parameters: &[(&str, &str)]) -> String {
        let options =
            format!("--stack-name {} --region {}{}", quoted(stack), quoted(&self.region), self.profile_option());
        let changed: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let changed = match changed.as_slice() {
            [] => String::new(),
            changed => format!(" --parameter-overrides {}", changed.join(" ")),
        };
        format!("sam build && sam deploy {options}{changed}")
    }

    /// Has CloudFormation restore resources that were changed or deleted by hand; a deployment of the same template changes
    /// nothing.
    pub(super) fn revert(&self, stack: &Stack) -> String {
        let (name, set) = (quoted(&stack.name), "--change-set-name tagwire-doctor");
        let parameters: Vec<String> =
            stack.parameters.keys().map(|key| format!("ParameterKey={key},UsePreviousValue=true")).collect();
        let parameters = match parameters.as_slice() {
            [] => String::new(),
            parameters => format!(" --parameters {}", parameters.join(" ")),
        };
        let create = format!(
            "cloudformation create-change-set --stack-name {name} {set} --deployment-mode REVERT_DRIFT \
             --use-previous-template --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND{parameters}"
        );
        [
            self.aws(&create),
            self.aws(&format!("cloudformation wait change-set-create-complete --stack-name {name} {set}")),
            self.aws(&format!("cloudformation execute-change-set --stack-name {name} {set}")),
        ]
        .join(" && ")
    }

    /// The same doctor command again.
    pub(super) fn again(&self) -> String {
        format!("tagwire doctor --region {}{}", quoted(&self.region), self.profile_option())
    }

    /// The command that gives the caller the read-only policy.
    pub(super) fn grant_reading(&self) -> String {
        let resource = self.identity.as_ref().and_then(|identity| identity.arn.splitn(6, ':').nth(5));
        let mut parts = resource.unwrap_or_default().split('/');
        let policy = "--policy-name tagwire-read-only --policy-document file://docs/policies/read-only.json";
        let command = match (parts.next(), parts.next(), parts.next_back()) {
            // Roles of single sign-on are changed through their permission set only.
            (Some("assumed-role"), Some(role), _) if !role.starts_with("AWSReservedSSO_") => {
                format!("iam put-role-policy --role-name {} {policy}", quoted(role))
            }
            (Some("user"), Some(user), None) | (Some("user"), _, Some(user)) => {
                format!("iam put-user-policy --user-name {} {policy}", quoted(user))
            }
            _ => format!("iam create-policy {policy}"),
        };
        self.aws(&command)
    }

    /// The command to run after a reading failed.
    fn fix_reading(&self, kind: ErrorKind) -> String {
        if kind == ErrorKind::Denied { self.grant_reading() } else { self.again() }
    }

    /// The account, or a word that stands for it.
    pub(super) fn account(&self) -> &str {
        self.identity.as_ref().map_or("ACCOUNT", |identity| identity.account.as_str())
    }

    /// The partition of AWS that the account is in, or a word that stands for it.
    pub(super) fn partition(&self) -> String {
        let named = self.identity.as_ref().and_then(|identity| identity.partition().ok());
        named.map_or_else(|| "PARTITION".to_owned(), String::from)
    }

    fn profile_option(&self) -> String {
        self.profile.as_ref().map(|profile| format!(" --profile {}", quoted(profile))).unwrap_or_default()
    }
}

/// A word as a shell takes it.
pub(super) fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@+=,%".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const ACCOUNT: &str = "123456789012";

    pub(crate) fn target() -> CommandTarget {
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/ops/me");
        CommandTarget {
            region: "eu-west-1".to_owned(),
            profile: None,
            identity: Some(Identity { account: ACCOUNT.to_owned(), arn }),
        }
    }

    pub(crate) fn error(kind: ErrorKind, call: &'static str, code: &str) -> CloudError {
        CloudError {
            kind,
            call,
            resource: "it".to_owned(),
            code: code.to_owned(),
            message: "message".to_owned(),
            request_id: Some("r-1".to_owned()),
        }
    }

    /// A check without its command.
    pub(crate) fn plain(check: &Check) -> (CheckLevel, &str) {
        (check.level, check.message.as_str())
    }

    #[test]
    fn commands_run_where_the_doctor_did() {
        let target = CommandTarget { profile: Some("my team".to_owned()), ..target() };
        assert_eq!(
            target.aws("sts get-caller-identity"),
            "aws sts get-caller-identity --region eu-west-1 --profile 'my team'"
        );
        assert_eq!(
            target.deploy("tagwire", &[("Mode", "enforce"), ("SweepMinutes", "5")]),
            "sam build && sam deploy --stack-name tagwire --region eu-west-1 --profile 'my team' --parameter-overrides Mode=enforce SweepMinutes=5"
        );
        assert_eq!(target.again(), "tagwire doctor --region eu-west-1 --profile 'my team'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn what_is_denied_is_fixed_for_the_one_who_asked() {
        for (arn, command) in [
            ("arn:aws:sts::1:assumed-role/ops/me", "aws iam put-role-policy --role-name ops "),
            ("arn:aws:iam::1:user/me", "aws iam put-user-policy --user-name me "),
            ("arn:aws:iam::1:user/team/me", "aws iam put-user-policy --user-name me "),
            ("arn:aws:sts::1:assumed-role/AWSReservedSSO_Ops_1/me", "aws iam create-policy "),
            ("arn:aws:iam::1:root", "aws iam create-policy "),
        ] {
            let identity = Some(Identity { account: "1".to_owned(), arn: arn.to_owned() });
            let message = CommandTarget { identity, ..target() }.grant_reading();
            assert!(
                message.starts_with(command) && message.contains("file://docs/policies/read-only.json"),
                "{arn}: {message}"
            );
        }
    }

    #[test]
    fn what_cannot_be_told_says_why_and_what_to_do_about_it() {
        let denied = Check::unread(
            "trail",
            "whether it logs",
            &error(ErrorKind::Denied, "cloudtrail:DescribeTrails", "AccessDenied"),
            &target(),
        );
        assert_eq!(
            plain(&denied),
            (
                CheckLevel::Warning,
                "cannot tell whether it logs, because cloudtrail:DescribeTrails on it failed: AccessDenied: message (request id r-1)"
            )
        );
        assert!(denied.fix.unwrap().starts_with("aws iam put-role-policy"));
        assert_eq!(Check::ok("trail", "two\n  lines").message, "two lines");
        let slow = Check::unread(
            "trail",
            "whether it logs",
            &error(ErrorKind::Throttled, "cloudtrail:DescribeTrails", "Throttling"),
            &target(),
        );
        assert_eq!(slow.fix.as_deref(), Some("tagwire doctor --region eu-west-1"));
    }
}
