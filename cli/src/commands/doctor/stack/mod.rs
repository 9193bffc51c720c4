//! The stack, its queues and its sweeps.

mod queues;
mod sweep;
#[cfg(test)]
mod tests;

use tagwire_aws::Stack;
use tagwire_core::{id::VpcId, observation::Reading, policy::Mode, state::VpcState};

use self::sweep::last_sweep;
use super::{
    check::{Check, CommandTarget, quoted},
    facts::{Facts, Installed, Read},
};

const STACK: &str = "stack";
const VERSION: &str = "version";
const MODE: &str = "mode";
const ALARMS: &str = "alarms";
const UNINSTALLING: &str = "uninstalling";

/// Judges the stack itself and everything that belongs to it.
pub(super) fn judge(facts: &Facts, version: &str, target: &CommandTarget) -> Vec<Check> {
    let installed = match &facts.stack {
        Ok(Some(installed)) => installed,
        Ok(None) => {
            let (name, message) = match &facts.requested_stack {
                Some(name) => (
                    name.as_str(),
                    format!("there is no stack named {name} in account {} and {}", target.account(), target.region),
                ),
                None => (
                    "tagwire",
                    format!("tagwire is not installed in account {} and {}", target.account(), target.region),
                ),
            };
            return vec![Check::failure(STACK, message, target.deploy(name, &[]))];
        }
        Err(error) => return vec![Check::unread(STACK, "whether tagwire is installed", error, target).required()],
    };
    let mode = facts.installation.mode;
    let mut checks = vec![
        status(installed, target),
        same_version(&installed.stack, version, target),
        of_mode(&installed.stack, mode, target),
        alarms(&installed.stack, target),
    ];
    checks.extend(queues::judge(installed, target));
    checks.push(last_sweep(
        &installed.states,
        facts.now,
        facts.installation.policy.sweep_period,
        mode,
        &installed.stack,
        target,
    ));
    checks.extend(uninstalling(&installed.states, target));
    checks
}

/// Who is told of alarms. Whether the topic takes them cannot be read: an alarm that may not publish to it says so
/// nowhere but in its own history.
// Fact 11.7
fn alarms(stack: &Stack, target: &CommandTarget) -> Check {
    match stack.parameters.get("AlarmTopicArn").filter(|topic| !topic.is_empty()) {
        None => Check::ok(ALARMS, "nobody is told of alarms, since the stack's AlarmTopicArn is empty"),
        Some(topic) => {
            let alarm = quoted(&format!("{}-gave-up", stack.name));
            let ring = target.aws(&format!(
                "cloudwatch set-alarm-state --alarm-name {alarm} --state-value ALARM --state-reason 'trying the topic'"
            ));
            Check::ok(ALARMS, format!("alarms are sent to {topic}; to hear whether they arrive: {ring}"))
        }
    }
}

/// The check of the VPCs that tagwire is being uninstalled from; `None` when there are none.
fn uninstalling(states: &Reading<(VpcId, Read<VpcState>)>, target: &CommandTarget) -> Option<Check> {
    let marked = |(vpc, state): &(VpcId, Read<VpcState>)| {
        let since = state.as_ref().ok()?.uninstalling?;
        Some(format!("{vpc} since {since}"))
    };
    let marked: Vec<String> = states.found.iter().filter_map(marked).collect();
    (!marked.is_empty()).then(|| {
        let message = format!("tagwire is being uninstalled from {}: nothing is connected there", marked.join(", "));
        Check::warning(UNINSTALLING, message, target.tagwire("uninstall --cancel"))
    })
}

fn status(installed: &Installed, target: &CommandTarget) -> Check {
    let Stack { name, status, .. } = &installed.stack;
    let message = format!("the stack {name} is {status}");
    let named = quoted(name);
    if let Some(unknown_parameter) = &installed.unknown_parameter {
        return Check::failure(STACK, unknown_parameter, target.deploy(name, &[]));
    }
    match status.as_str() {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" | "IMPORT_COMPLETE" => {
            Check::ok(STACK, message)
        }
        "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" => {
            let query =
                "--query 'StackEvents[?ends_with(ResourceStatus, `FAILED`)].[LogicalResourceId,ResourceStatusReason]'";
            let message = format!("{message}: what ran before its last update goes on running");
            Check::warning(
                STACK,
                message,
                target.aws(&format!("cloudformation describe-stack-events --stack-name {named} {query} --output text")),
            )
        }
        "UPDATE_ROLLBACK_FAILED" => Check::failure(
            STACK,
            message,
            target.aws(&format!("cloudformation continue-update-rollback --stack-name {named}")),
        ),
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "DELETE_FAILED" => {
            let delete = target.aws(&format!("cloudformation delete-stack --stack-name {named}"));
            let wait = target.aws(&format!("cloudformation wait stack-delete-complete --stack-name {named}"));
            Check::failure(STACK, message, format!("{delete} && {wait} && {}", target.deploy(name, &[])))
        }
        "CREATE_IN_PROGRESS" => in_progress(&message, "stack-create-complete", &named, target),
        "DELETE_IN_PROGRESS" => in_progress(&message, "stack-delete-complete", &named, target),
        other if other.contains("ROLLBACK") => in_progress(&message, "stack-rollback-complete", &named, target),
        _ => in_progress(&message, "stack-update-complete", &named, target),
    }
}

fn in_progress(message: &str, waiter: &str, stack: &str, target: &CommandTarget) -> Check {
    Check::warning(STACK, message, target.aws(&format!("cloudformation wait {waiter} --stack-name {stack}")))
}

fn same_version(stack: &Stack, here: &str, target: &CommandTarget) -> Check {
    let Some(there) = stack.outputs.get("Version") else {
        let message = format!("the stack {} names no version, so it is older than this command's {here}", stack.name);
        return Check::warning(VERSION, message, target.deploy(&stack.name, &[]));
    };
    if there == here {
        return Check::ok(VERSION, format!("the stack and this command are {here}"));
    }
    let message = format!("the stack {} is {there} and this command is {here}", stack.name);
    let is_newer = numbers(there) > numbers(here);
    let fix =
        if is_newer { "git pull && cargo install --path cli".to_owned() } else { target.deploy(&stack.name, &[]) };
    Check::warning(VERSION, message, fix)
}

/// The numbers of a version; a part that is no number counts as 0.
fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

fn of_mode(stack: &Stack, mode: Option<Mode>, target: &CommandTarget) -> Check {
    match mode {
        Some(Mode::Enforce) => Check::ok(MODE, "plans are carried out (enforce)"),
        Some(Mode::DryRun) => {
            let message = "plans are only logged (dry-run): nothing is connected or taken away";
            Check::warning(MODE, message, target.deploy(&stack.name, &[("Mode", "enforce")]))
        }
        None => {
            let message = format!("the stack {} has no parameter Mode, so it is none of tagwire's", stack.name);
            Check::failure(MODE, message, target.deploy(&stack.name, &[]))
        }
    }
}
