//! The stack, its queues, and whether it does its work.

use std::time::Duration;

use jiff::Timestamp;
use tagwire_aws::{QueueDepth, Stack};
use tagwire_core::{id::VpcId, observation::Reading, policy::Mode, state::VpcState};
use tagwire_engine::cloud::{CloudError, ErrorKind};

use super::{
    check::{Check, Place, count, quoted},
    facts::{DEAD_LETTERS, Facts, Installed, QUEUES, Read},
};

const STACK: &str = "stack";
const VERSION: &str = "version";
const MODE: &str = "mode";
const LAST_SWEEP: &str = "last-sweep";
const UNINSTALLING: &str = "uninstalling";
/// From this many waiting messages on, a queue deserves a look: one message of the sweep stands for a whole VPC, and
/// hundreds of events are taken at a time.
const BACKLOG: u64 = 1000;
/// After this many periods without a sweep it deserves a look, and after the second number the alarm rings.
const LATE: u32 = 2;
const MISSING: u32 = 4;

/// The stack itself, and what follows from there being one.
pub(super) fn judge(facts: &Facts, version: &str, place: &Place) -> Vec<Check> {
    let installed = match &facts.stack {
        Ok(Some(installed)) => installed,
        Ok(None) => {
            let (name, message) = match &facts.asked_stack {
                Some(name) => (
                    name.as_str(),
                    format!("there is no stack named {name} in account {} and {}", place.account(), place.region),
                ),
                None => {
                    ("tagwire", format!("tagwire is not installed in account {} and {}", place.account(), place.region))
                }
            };
            return vec![Check::failure(STACK, message, place.deploy(name, &[]))];
        }
        Err(error) => return vec![Check::unread(STACK, "whether tagwire is installed", error, place)],
    };
    let mode = facts.installation.mode;
    let mut checks = vec![
        status(installed, place),
        same_version(&installed.stack, version, place),
        of_mode(&installed.stack, mode, place),
    ];
    checks.extend(
        DEAD_LETTERS.iter().filter_map(|name| dead_letters(name, depth(installed, name)?, &installed.stack, place)),
    );
    checks.extend(QUEUES.iter().filter_map(|name| backlog(name, depth(installed, name)?, &installed.stack, place)));
    checks.push(last_sweep(
        &installed.states,
        facts.now,
        facts.installation.policy.sweep_period,
        mode,
        &installed.stack,
        place,
    ));
    checks.extend(uninstalling(&installed.states, place));
    checks
}

/// Where a person asked for tagwire to be gone, and it is still installed.
fn uninstalling(states: &Reading<(VpcId, Read<VpcState>)>, place: &Place) -> Option<Check> {
    let marked = |(vpc, state): &(VpcId, Read<VpcState>)| {
        let since = state.as_ref().ok()?.uninstalling?;
        Some(format!("{vpc} since {since}"))
    };
    let marked: Vec<String> = states.found.iter().filter_map(marked).collect();
    (!marked.is_empty()).then(|| {
        let message = format!("tagwire is being uninstalled from {}: nothing is connected there", marked.join(", "));
        Check::warning(UNINSTALLING, message, place.tagwire("uninstall --cancel"))
    })
}

fn depth<'facts>(installed: &'facts Installed, output: &str) -> Option<&'facts Read<QueueDepth>> {
    installed.queues.iter().find(|(name, _)| *name == output).map(|(_, depth)| depth)
}

fn status(installed: &Installed, place: &Place) -> Check {
    let Stack { name, status, .. } = &installed.stack;
    let message = format!("the stack {name} is {status}");
    let named = quoted(name);
    if let Some(nonsense) = &installed.nonsense {
        return Check::failure(STACK, nonsense, place.deploy(name, &[]));
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
                place.aws(&format!("cloudformation describe-stack-events --stack-name {named} {query} --output text")),
            )
        }
        "UPDATE_ROLLBACK_FAILED" => Check::failure(
            STACK,
            message,
            place.aws(&format!("cloudformation continue-update-rollback --stack-name {named}")),
        ),
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "DELETE_FAILED" => {
            let delete = place.aws(&format!("cloudformation delete-stack --stack-name {named}"));
            let wait = place.aws(&format!("cloudformation wait stack-delete-complete --stack-name {named}"));
            Check::failure(STACK, message, format!("{delete} && {wait} && {}", place.deploy(name, &[])))
        }
        "CREATE_IN_PROGRESS" => waiting(&message, "stack-create-complete", &named, place),
        "DELETE_IN_PROGRESS" => waiting(&message, "stack-delete-complete", &named, place),
        other if other.contains("ROLLBACK") => waiting(&message, "stack-rollback-complete", &named, place),
        _ => waiting(&message, "stack-update-complete", &named, place),
    }
}

fn waiting(message: &str, waiter: &str, stack: &str, place: &Place) -> Check {
    Check::warning(STACK, message, place.aws(&format!("cloudformation wait {waiter} --stack-name {stack}")))
}

fn same_version(stack: &Stack, here: &str, place: &Place) -> Check {
    let Some(there) = stack.outputs.get("Version") else {
        let message = format!("the stack {} names no version, so it is older than this command's {here}", stack.name);
        return Check::warning(VERSION, message, place.deploy(&stack.name, &[]));
    };
    if there == here {
        return Check::ok(VERSION, format!("the stack and this command are {here}"));
    }
    let message = format!("the stack {} is {there} and this command is {here}", stack.name);
    let is_newer = numbers(there) > numbers(here);
    let fix = if is_newer { "git pull && cargo install --path cli".to_owned() } else { place.deploy(&stack.name, &[]) };
    Check::warning(VERSION, message, fix)
}

/// The numbers of a version; what is no number counts as the lowest.
fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

fn of_mode(stack: &Stack, mode: Option<Mode>, place: &Place) -> Check {
    match mode {
        Some(Mode::Enforce) => Check::ok(MODE, "plans are carried out (enforce)"),
        Some(Mode::DryRun) => {
            let message = "plans are only logged (dry-run): nothing is connected or taken away";
            Check::warning(MODE, message, place.deploy(&stack.name, &[("Mode", "enforce")]))
        }
        None => {
            let message = format!("the stack {} has no parameter Mode, so it is none of tagwire's", stack.name);
            Check::failure(MODE, message, place.deploy(&stack.name, &[]))
        }
    }
}

/// The check's code, and the queue as people call it.
fn named(output: &str) -> Option<(&'static str, &'static str)> {
    Some(match output {
        "ConnectDeadLettersUrl" => ("dead-letters-connect", "connect dead-letter queue"),
        "InstanceDeadLettersUrl" => ("dead-letters-instance", "instance dead-letter queue"),
        "StoreDeadLettersUrl" => ("dead-letters-store", "store dead-letter queue"),
        "DeliveryDeadLettersUrl" => ("dead-letters-delivery", "delivery dead-letter queue"),
        "ConnectQueueUrl" => ("backlog-connect", "connect queue"),
        "InstanceQueueUrl" => ("backlog-instance", "instance queue"),
        "StoreQueueUrl" => ("backlog-store", "store queue"),
        _ => return None,
    })
}

fn dead_letters(output: &str, depth: &Read<QueueDepth>, stack: &Stack, place: &Place) -> Option<Check> {
    let (name, queue) = named(output)?;
    let depth = match depth {
        Ok(depth) => depth,
        Err(error) => return Some(unread(name, &format!("whether the {queue} is empty"), error, stack, place)),
    };
    let number = depth.waiting + depth.in_flight + depth.delayed;
    if number == 0 {
        return Some(Check::ok(name, format!("the {queue} is empty")));
    }
    let messages = count(usize::try_from(number).unwrap_or(usize::MAX), "message");
    if output == "DeliveryDeadLettersUrl" {
        let message =
            format!("{messages} in the {queue} ({}): EventBridge or the scheduler could not deliver", depth.arn);
        let command = format!(
            "sqs receive-message --queue-url {} --message-attribute-names ERROR_CODE ERROR_MESSAGE RULE_ARN",
            url(&depth.arn, place)
        );
        return Some(Check::failure(name, message, place.aws(&command)));
    }
    let message = format!("{messages} in the {queue} ({}) that could not be handled", depth.arn);
    Some(Check::failure(
        name,
        message,
        place.aws(&format!("sqs start-message-move-task --source-arn {}", quoted(&depth.arn))),
    ))
}

/// A queue's URL, as a command that finds it.
fn url(arn: &str, place: &Place) -> String {
    let name = quoted(arn.rsplit(':').next().unwrap_or(arn));
    format!("\"$({})\"", place.aws(&format!("sqs get-queue-url --queue-name {name} --query QueueUrl --output text")))
}

fn backlog(output: &str, depth: &Read<QueueDepth>, stack: &Stack, place: &Place) -> Option<Check> {
    let (name, queue) = named(output)?;
    let QueueDepth { waiting, in_flight, delayed, .. } = match depth {
        Ok(depth) => depth,
        Err(error) => return Some(unread(name, &format!("how much work waits in the {queue}"), error, stack, place)),
    };
    let message = format!("{waiting} waiting, {in_flight} being handled and {delayed} delayed in the {queue}");
    if *waiting < BACKLOG {
        return Some(Check::ok(name, message));
    }
    let function = match output {
        "ConnectQueueUrl" => "ConnectFunctionName",
        "InstanceQueueUrl" => "InstanceEventsFunctionName",
        _ => "DataStoreEventsFunctionName",
    };
    let function = stack.outputs.get(function).map_or("FUNCTION", String::as_str);
    let query = "--query 'EventSourceMappings[].[UUID,State,LastProcessingResult]' --output text";
    let command = format!("lambda list-event-source-mappings --function-name {} {query}", quoted(function));
    Some(Check::warning(name, message, place.aws(&command)))
}

/// A queue that is gone is a failure; one that may not be read is not.
fn unread(name: &'static str, what: &str, error: &CloudError, stack: &Stack, place: &Place) -> Check {
    if error.kind == ErrorKind::NotFound {
        return Check::failure(name, format!("there is no such queue any more: {error}"), place.revert(stack));
    }
    Check::unread(name, what, error, place)
}

fn last_sweep(
    states: &Reading<(VpcId, Read<VpcState>)>,
    now: Timestamp,
    period: Duration,
    mode: Option<Mode>,
    stack: &Stack,
    place: &Place,
) -> Check {
    if mode == Some(Mode::DryRun) {
        return Check::ok(LAST_SWEEP, "a dry run writes nothing down, so when the last sweep was cannot be told");
    }
    let mut oldest: Option<(Option<Timestamp>, &VpcId)> = None;
    for (vpc, state) in &states.found {
        match state.as_ref().map(|state| state.swept) {
            Ok(at) if oldest.is_none_or(|(before, _)| at < before) => oldest = Some((at, vpc)),
            Ok(_) => {}
            Err(error) => return Check::unread(LAST_SWEEP, &format!("when {vpc} was last swept"), error, place),
        }
    }
    if let Some(gap) = states.gaps.first() {
        return Check::gap(LAST_SWEEP, "when every VPC was last swept", gap, place);
    }
    let Some((at, vpc)) = oldest else {
        return Check::ok(LAST_SWEEP, "nothing is opted in, and tagwire owns no groups here");
    };
    let function = stack.outputs.get("SweepFunctionName").map_or("FUNCTION", String::as_str);
    let command = format!(
        "lambda invoke --function-name {} --cli-binary-format raw-in-base64-out --payload '{{}}' /dev/stdout",
        quoted(function)
    );
    let sweep = place.aws(&command);
    let minutes = period.as_secs() / 60;
    let Some(at) = at else {
        let message = format!("{vpc} was not swept yet; a sweep comes every {minutes} minutes");
        return Check::warning(LAST_SWEEP, message, sweep);
    };
    let age = Duration::try_from(now.duration_since(at)).unwrap_or_default();
    let of = count(states.found.len(), "VPC");
    let message = format!(
        "{vpc} was swept {} minutes ago ({at}), the longest of {of}; a sweep comes every {minutes} minutes",
        age.as_secs() / 60
    );
    if age > period.saturating_mul(MISSING) {
        Check::failure(LAST_SWEEP, message, sweep)
    } else if age > period.saturating_mul(LATE) {
        Check::warning(LAST_SWEEP, message, sweep)
    } else {
        Check::ok(LAST_SWEEP, message)
    }
}

#[cfg(test)]
mod tests {
    use tagwire_core::observation::Gap;

    use super::*;
    use crate::doctor::check::{
        Level,
        tests::{error, place, plain},
    };

    fn stack(status: &str, outputs: &[(&str, &str)]) -> Stack {
        Stack {
            name: "tagwire".into(),
            status: status.into(),
            parameters: [].into(),
            outputs: outputs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        }
    }

    fn installed(stack: Stack) -> Installed {
        Installed {
            stack,
            nonsense: None,
            role: Ok(None),
            refusals: None,
            queues: Vec::new(),
            states: Reading::default(),
        }
    }

    fn of_status(word: &str) -> Check {
        status(&installed(stack(word, &[])), &place())
    }

    #[test]
    fn each_state_of_the_stack_has_its_command() {
        for word in ["CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"] {
            assert_eq!(of_status(word).level, Level::Ok, "{word}");
        }
        for (word, level, command) in [
            (
                "UPDATE_ROLLBACK_COMPLETE",
                Level::Warning,
                "aws cloudformation describe-stack-events --stack-name tagwire",
            ),
            (
                "UPDATE_ROLLBACK_FAILED",
                Level::Failure,
                "aws cloudformation continue-update-rollback --stack-name tagwire",
            ),
            ("ROLLBACK_COMPLETE", Level::Failure, "aws cloudformation delete-stack --stack-name tagwire"),
            ("DELETE_FAILED", Level::Failure, "aws cloudformation delete-stack --stack-name tagwire"),
            (
                "CREATE_IN_PROGRESS",
                Level::Warning,
                "aws cloudformation wait stack-create-complete --stack-name tagwire",
            ),
            (
                "UPDATE_IN_PROGRESS",
                Level::Warning,
                "aws cloudformation wait stack-update-complete --stack-name tagwire",
            ),
            ("UPDATE_ROLLBACK_IN_PROGRESS", Level::Warning, "aws cloudformation wait stack-rollback-complete"),
            (
                "DELETE_IN_PROGRESS",
                Level::Warning,
                "aws cloudformation wait stack-delete-complete --stack-name tagwire",
            ),
        ] {
            let check = of_status(word);
            assert_eq!(check.level, level, "{word}");
            assert!(check.message.contains(word) && check.fix.as_ref().unwrap().starts_with(command), "{check:?}");
        }
        let nonsense =
            Installed { nonsense: Some("the stack has Mode=fast".into()), ..installed(stack("CREATE_COMPLETE", &[])) };
        assert_eq!(plain(&status(&nonsense, &place())), (Level::Failure, "the stack has Mode=fast"));
    }

    #[test]
    fn the_stack_and_the_command_are_of_one_version() {
        let of = |outputs: &[(&str, &str)]| same_version(&stack("CREATE_COMPLETE", outputs), "0.10.0", &place());
        assert_eq!(plain(&of(&[("Version", "0.10.0")])), (Level::Ok, "the stack and this command are 0.10.0"));
        let older = of(&[("Version", "0.9.0")]);
        assert_eq!(plain(&older), (Level::Warning, "the stack tagwire is 0.9.0 and this command is 0.10.0"));
        assert!(older.fix.unwrap().starts_with("sam build && sam deploy --stack-name tagwire"));
        let newer = of(&[("Version", "0.11.0")]);
        assert_eq!((newer.level, newer.fix.as_deref()), (Level::Warning, Some("git pull && cargo install --path cli")));
        assert_eq!(of(&[]).level, Level::Warning);
    }

    #[test]
    fn a_dry_run_is_said_to_be_one() {
        let of = |mode| of_mode(&stack("CREATE_COMPLETE", &[]), mode, &place());
        assert_eq!(of(Some(Mode::Enforce)).level, Level::Ok);
        let dry = of(Some(Mode::DryRun));
        assert!(dry.level == Level::Warning && dry.fix.unwrap().ends_with("--parameter-overrides Mode=enforce"));
        assert_eq!(of(None).level, Level::Failure);
    }

    #[expect(clippy::unnecessary_wraps, reason = "as it stands among the facts")]
    fn lying(waiting: u64, in_flight: u64, delayed: u64) -> Read<QueueDepth> {
        Ok(QueueDepth { arn: "arn:aws:sqs:eu-west-1:123456789012:q-1".into(), waiting, in_flight, delayed })
    }

    fn denied<T>() -> Read<T> {
        Err(error(ErrorKind::Denied, "sqs:GetQueueAttributes", "AccessDenied"))
    }

    fn gone<T>() -> Read<T> {
        Err(error(ErrorKind::NotFound, "sqs:GetQueueAttributes", "QueueDoesNotExist"))
    }

    #[test]
    fn what_lies_in_a_dead_letter_queue_is_a_failure_and_is_moved_back() {
        let stack = stack("CREATE_COMPLETE", &[]);
        let of = |output, depth| dead_letters(output, &depth, &stack, &place()).unwrap();
        assert_eq!(
            plain(&of("StoreDeadLettersUrl", lying(0, 0, 0))),
            (Level::Ok, "the store dead-letter queue is empty")
        );
        let one = of("ConnectDeadLettersUrl", lying(0, 1, 0));
        assert_eq!(
            plain(&one),
            (
                Level::Failure,
                "1 message in the connect dead-letter queue (arn:aws:sqs:eu-west-1:123456789012:q-1) that could not be handled"
            )
        );
        assert_eq!(
            one.fix.as_deref(),
            Some(
                "aws sqs start-message-move-task --source-arn arn:aws:sqs:eu-west-1:123456789012:q-1 --region eu-west-1"
            )
        );
        let delivery = of("DeliveryDeadLettersUrl", lying(2, 0, 0));
        assert!(delivery.level == Level::Failure && delivery.message.starts_with("2 messages"), "{delivery:?}");
        let fix = delivery.fix.unwrap();
        assert!(
            fix.starts_with("aws sqs receive-message --queue-url \"$(aws sqs get-queue-url --queue-name q-1 "),
            "{fix}"
        );
        assert_eq!(of("InstanceDeadLettersUrl", denied()).level, Level::Warning);
        let none = of("InstanceDeadLettersUrl", gone());
        assert!(none.level == Level::Failure && none.fix.unwrap().contains("--deployment-mode REVERT_DRIFT"));
        assert_eq!(dead_letters("Other", &lying(1, 0, 0), &stack, &place()), None);
    }

    #[test]
    fn a_queue_in_which_much_waits_deserves_a_look() {
        let stack = stack("CREATE_COMPLETE", &[("ConnectFunctionName", "connect-1")]);
        let of = |depth| backlog("ConnectQueueUrl", &depth, &stack, &place()).unwrap();
        let well = of(lying(999, 10, 5000));
        assert_eq!(plain(&well), (Level::Ok, "999 waiting, 10 being handled and 5000 delayed in the connect queue"));
        let much = of(lying(1000, 0, 0));
        assert!(much.level == Level::Warning && much.fix.unwrap().contains("--function-name connect-1 "));
        assert_eq!((of(denied()).level, of(gone()).level), (Level::Warning, Level::Failure));
    }

    fn vpc(name: &str) -> VpcId {
        VpcId::parse(name).unwrap()
    }

    fn swept(minutes: &[Option<i64>]) -> Check {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let at = |minutes: &i64| now - jiff::SignedDuration::from_mins(*minutes);
        let found = minutes.iter().enumerate();
        let state = |ago: &Option<i64>| VpcState { swept: ago.as_ref().map(at), ..VpcState::default() };
        let found = found.map(|(number, ago)| (vpc(&format!("vpc-{number}")), Ok(state(ago)))).collect();
        let stack = stack("CREATE_COMPLETE", &[("SweepFunctionName", "sweep-1")]);
        last_sweep(&Reading::complete(found), now, Duration::from_mins(15), Some(Mode::Enforce), &stack, &place())
    }

    #[test]
    fn a_sweep_is_late_after_two_periods_and_missing_after_four() {
        assert_eq!(
            plain(&swept(&[Some(1), Some(30), Some(14)])),
            (
                Level::Ok,
                "vpc-1 was swept 30 minutes ago (2026-01-01T11:30:00Z), the longest of 3 VPCs; a sweep comes every 15 minutes"
            )
        );
        let late = swept(&[Some(31)]);
        assert_eq!(late.level, Level::Warning);
        assert!(late.fix.unwrap().starts_with("aws lambda invoke --function-name sweep-1 "));
        assert_eq!((swept(&[Some(60)]).level, swept(&[Some(61), Some(1)]).level), (Level::Warning, Level::Failure));
        let never = swept(&[Some(1), None]);
        assert_eq!(plain(&never), (Level::Warning, "vpc-1 was not swept yet; a sweep comes every 15 minutes"));
        assert_eq!(swept(&[]).level, Level::Ok);
    }

    #[test]
    fn a_vpc_that_tagwire_is_to_be_gone_from_is_named_with_how_to_take_that_back() {
        let since: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let states = |uninstalling| {
            let state = VpcState { uninstalling, ..VpcState::default() };
            Reading::complete(vec![(vpc("vpc-1"), Ok(state)), (vpc("vpc-2"), Ok(VpcState::default()))])
        };
        assert!(uninstalling(&states(None), &place()).is_none());
        let check = uninstalling(&states(Some(since)), &place()).unwrap();
        let message = "tagwire is being uninstalled from vpc-1 since 2026-01-01T12:00:00Z: nothing is connected there";
        assert_eq!(plain(&check), (Level::Warning, message));
        assert!(check.fix.unwrap().starts_with("tagwire uninstall --cancel --region "));
    }

    #[test]
    fn a_sweep_that_is_not_written_down_or_cannot_be_read_is_said_so() {
        let (now, stack) = (Timestamp::UNIX_EPOCH, stack("CREATE_COMPLETE", &[]));
        let of = |states: Reading<(VpcId, Read<VpcState>)>, mode| {
            last_sweep(&states, now, Duration::from_mins(15), mode, &stack, &place())
        };
        let dry = of(Reading::complete(vec![(vpc("vpc-1"), Ok(VpcState::default()))]), Some(Mode::DryRun));
        assert!(dry.level == Level::Ok && dry.message.contains("dry run"), "{dry:?}");
        let unread = of(Reading::complete(vec![(vpc("vpc-1"), denied())]), Some(Mode::Enforce));
        assert!(unread.level == Level::Warning && unread.message.starts_with("cannot tell when vpc-1"), "{unread:?}");
        let gap = Gap::of("it", "", "slow").that_passes(true, true);
        let half = of(Reading { found: Vec::new(), gaps: vec![gap] }, Some(Mode::Enforce));
        assert_eq!((half.level, half.fix.as_deref()), (Level::Warning, Some("tagwire doctor --region eu-west-1")));
    }
}
