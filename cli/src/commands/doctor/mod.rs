//! `tagwire doctor`: checks whether this account is ready for tagwire. It only reads.

mod account;
mod check;
mod facts;
mod gather;
mod permissions;
mod quotas;
mod stack;
mod tag_policy;
mod trail;

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use tagwire_core::untrusted::Shown;

use self::{
    check::{Check, CheckLevel},
    facts::{CallerFacts, Facts},
};
use super::plan::OutputFormat;
use crate::{
    error::CommandResult,
    help::CommandHelp,
    output::{BAD, DOUBTFUL, FAINT, GOOD, painted, print},
    session::GlobalArgs,
};

/// The version of the JSON document.
const JSON_VERSION: u32 = 2;
/// The version of this command, which the stack's is compared with.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Shown below the options.
pub(crate) const HELP: CommandHelp = CommandHelp {
    examples: &[
        ("this account and Region", "tagwire doctor"),
        ("also fails on warnings, for a pipeline", "tagwire doctor --strict"),
        (
            "what to do, for a program",
            "tagwire doctor -o json |\n  jq -r '.checks[] | select(.level != \"ok\") | .fix'",
        ),
    ],
    notes: &[],
    exit: &[
        (0, "ready, though there may be warnings"),
        (1, "something has to be fixed; with --strict also when there is a warning"),
    ],
};

#[derive(Args)]
#[command(after_help = HELP.short(), after_long_help = HELP.long())]
pub(crate) struct DoctorArgs {
    /// Take a warning as seriously as a failure.
    #[arg(long)]
    strict: bool,
    /// The format of the output.
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

pub(crate) async fn run(global: &GlobalArgs, args: DoctorArgs) -> CommandResult<ExitCode> {
    let checks = match Box::pin(gather::gather(global)).await? {
        None => vec![account::no_region()],
        Some((caller, None)) => vec![account::credentials(&caller)],
        Some((caller, Some(facts))) => judge(&caller, &facts),
    };
    print(&match args.output {
        OutputFormat::Text => text(&checks),
        OutputFormat::Json => format!("{:#}\n", document(&checks)),
    })?;
    let worst = checks.iter().map(|check| check.level).max().unwrap_or(CheckLevel::Ok);
    let tolerated = if args.strict { CheckLevel::Ok } else { CheckLevel::Warning };
    Ok(if worst > tolerated { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Judges everything that was read.
fn judge(caller: &CallerFacts, facts: &Facts) -> Vec<Check> {
    let target = &caller.target;
    let installed = facts.stack.as_ref().ok().and_then(Option::as_ref);
    let stack = installed.map(|installed| installed.stack.name.as_str());
    let limit = facts.installation.policy.interface_group_limit;
    let mut checks = vec![
        account::credentials(caller),
        account::region(&facts.region, target),
        account::platform(&facts.platform, target),
    ];
    checks.extend(stack::judge(facts, VERSION, target));
    checks.push(trail::judge(&facts.trails, target));
    checks.extend(installed.into_iter().flat_map(|of| permissions::connect(of, &facts.installation, target)));
    checks.push(permissions::caller(&facts.probes, target));
    checks.push(quotas::parameter(&facts.quotas, limit, stack, target));
    checks.push(quotas::interfaces(&facts.quotas, &facts.instances, limit, stack, target));
    checks.push(quotas::rules(&facts.quotas, &facts.groups, target));
    checks.push(quotas::groups(&facts.quotas, target));
    let roles = facts.service_roles.iter();
    checks.extend(roles.map(|(role, there)| account::service_role(*role, there, &facts.stores, target)));
    let key = &facts.installation.tag_key;
    checks.push(tag_policy::tag_policy(&facts.tag_policy, key, &facts.instances, &facts.stores, target));
    checks
}

/// Lines for people: the level, the name and the message, and below them the command that fixes it.
fn text(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let indent = " ".repeat("failure".len() + 2 + width + 2);
    let lines = checks.iter().flat_map(|check| {
        let style = match check.level {
            CheckLevel::Ok => GOOD,
            CheckLevel::Warning => DOUBTFUL,
            CheckLevel::Failure => BAD,
        };
        let level = painted(style, &format!("{:7}", check.level.word()));
        let line = format!("{level}  {:width$}  {}", check.name, Shown(&check.message));
        let fix = check.fix.as_ref().map(|fix| format!("{indent}{}", painted(FAINT, &Shown(fix).to_string())));
        std::iter::once(line).chain(fix)
    });
    let counted = |level| checks.iter().filter(|check| check.level == level).count();
    let (failures, warnings) = (counted(CheckLevel::Failure), counted(CheckLevel::Warning));
    let verdict = match (failures, warnings) {
        (0, 0) => "Ready.".to_owned(),
        (0, warnings) => format!("Ready, with {}.", check::count(warnings, "warning")),
        (failures, warnings) => {
            format!("Not ready: {} and {}.", check::count(failures, "failure"), check::count(warnings, "warning"))
        }
    };
    lines.chain([String::new(), verdict]).map(|line| line + "\n").collect()
}

/// The same for programs.
fn document(checks: &[Check]) -> Value {
    json!({ "version": JSON_VERSION, "checks": checks })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> Vec<Check> {
        vec![
            Check::ok("stack", "the stack tagwire is CREATE_COMPLETE"),
            Check::warning("mode", "plans are only logged", "sam deploy"),
            Check::failure("dead-letters-connect", "1 message", "aws sqs purge-queue"),
        ]
    }

    #[test]
    fn lines_are_aligned_and_the_command_stands_below() {
        let plain = anstream::adapter::strip_str(&text(&checks())).to_string();
        let expected = "\
ok       stack                 the stack tagwire is CREATE_COMPLETE
warning  mode                  plans are only logged
                               sam deploy
failure  dead-letters-connect  1 message
                               aws sqs purge-queue

Not ready: 1 failure and 1 warning.
";
        assert_eq!(plain, expected);
        assert!(text(&checks()[..2]).ends_with("Ready, with 1 warning.\n"));
        assert!(text(&checks()[..1]).ends_with("Ready.\n"));
    }

    #[test]
    fn the_document_says_the_same_under_stable_names() {
        let expected = json!({ "version": 2, "checks": [
            { "name": "stack", "level": "ok", "message": "the stack tagwire is CREATE_COMPLETE", "fix": null },
            { "name": "mode", "level": "warning", "message": "plans are only logged", "fix": "sam deploy" },
            { "name": "dead-letters-connect", "level": "failure", "message": "1 message", "fix": "aws sqs purge-queue" },
        ] });
        assert_eq!(document(&checks()), expected);
    }
}
