use std::time::Duration;

use jiff::Timestamp;
use tagwire_aws::QueueDepth;
use tagwire_core::observation::Gap;
use tagwire_engine::cloud::ErrorKind;

use super::{
    queues::{backlog, dead_letters},
    *,
};
use crate::commands::doctor::check::{
    CheckLevel,
    tests::{error, plain, target},
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
        unknown_parameter: None,
        role: Ok(None),
        refusals: None,
        queues: Vec::new(),
        states: Reading::default(),
    }
}

fn of_status(word: &str) -> Check {
    status(&installed(stack(word, &[])), &target())
}

#[test]
fn each_state_of_the_stack_has_its_command() {
    for word in ["CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"] {
        assert_eq!(of_status(word).level, CheckLevel::Ok, "{word}");
    }
    for (word, level, command) in [
        (
            "UPDATE_ROLLBACK_COMPLETE",
            CheckLevel::Warning,
            "aws cloudformation describe-stack-events --stack-name tagwire",
        ),
        (
            "UPDATE_ROLLBACK_FAILED",
            CheckLevel::Failure,
            "aws cloudformation continue-update-rollback --stack-name tagwire",
        ),
        ("ROLLBACK_COMPLETE", CheckLevel::Failure, "aws cloudformation delete-stack --stack-name tagwire"),
        ("DELETE_FAILED", CheckLevel::Failure, "aws cloudformation delete-stack --stack-name tagwire"),
        (
            "CREATE_IN_PROGRESS",
            CheckLevel::Warning,
            "aws cloudformation wait stack-create-complete --stack-name tagwire",
        ),
        (
            "UPDATE_IN_PROGRESS",
            CheckLevel::Warning,
            "aws cloudformation wait stack-update-complete --stack-name tagwire",
        ),
        ("UPDATE_ROLLBACK_IN_PROGRESS", CheckLevel::Warning, "aws cloudformation wait stack-rollback-complete"),
        (
            "DELETE_IN_PROGRESS",
            CheckLevel::Warning,
            "aws cloudformation wait stack-delete-complete --stack-name tagwire",
        ),
    ] {
        let check = of_status(word);
        assert_eq!(check.level, level, "{word}");
        assert!(check.message.contains(word) && check.fix.as_ref().unwrap().starts_with(command), "{check:?}");
    }
    let unknown_parameter = Installed {
        unknown_parameter: Some("the stack has Mode=fast".into()),
        ..installed(stack("CREATE_COMPLETE", &[]))
    };
    assert_eq!(plain(&status(&unknown_parameter, &target())), (CheckLevel::Failure, "the stack has Mode=fast"));
}

#[test]
fn the_stack_and_the_command_are_of_one_version() {
    let of = |outputs: &[(&str, &str)]| same_version(&stack("CREATE_COMPLETE", outputs), "0.10.0", &target());
    assert_eq!(plain(&of(&[("Version", "0.10.0")])), (CheckLevel::Ok, "the stack and this command are 0.10.0"));
    let older = of(&[("Version", "0.9.0")]);
    assert_eq!(plain(&older), (CheckLevel::Warning, "the stack tagwire is 0.9.0 and this command is 0.10.0"));
    assert!(older.fix.unwrap().starts_with("sam build && sam deploy --stack-name tagwire"));
    let newer = of(&[("Version", "0.11.0")]);
    assert_eq!(
        (newer.level, newer.fix.as_deref()),
        (CheckLevel::Warning, Some("git pull && cargo install --path cli"))
    );
    assert_eq!(of(&[]).level, CheckLevel::Warning);
}

#[test]
fn a_dry_run_is_said_to_be_one() {
    let of = |mode| of_mode(&stack("CREATE_COMPLETE", &[]), mode, &target());
    assert_eq!(of(Some(Mode::Enforce)).level, CheckLevel::Ok);
    let dry = of(Some(Mode::DryRun));
    assert!(dry.level == CheckLevel::Warning && dry.fix.unwrap().ends_with("--parameter-overrides Mode=enforce"));
    assert_eq!(of(None).level, CheckLevel::Failure);
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
    let of = |output, depth| dead_letters(output, &depth, &stack, &target()).unwrap();
    assert_eq!(
        plain(&of("StoreDeadLettersUrl", lying(0, 0, 0))),
        (CheckLevel::Ok, "the store dead-letter queue is empty")
    );
    let one = of("ConnectDeadLettersUrl", lying(0, 1, 0));
    assert_eq!(
        plain(&one),
        (
            CheckLevel::Failure,
            "1 message in the connect dead-letter queue (arn:aws:sqs:eu-west-1:123456789012:q-1) that could not be handled"
        )
    );
    assert_eq!(
        one.fix.as_deref(),
        Some("aws sqs start-message-move-task --source-arn arn:aws:sqs:eu-west-1:123456789012:q-1 --region eu-west-1")
    );
    let delivery = of("DeliveryDeadLettersUrl", lying(2, 0, 0));
    assert!(delivery.level == CheckLevel::Failure && delivery.message.starts_with("2 messages"), "{delivery:?}");
    let fix = delivery.fix.unwrap();
    assert!(
        fix.starts_with("aws sqs receive-message --queue-url \"$(aws sqs get-queue-url --queue-name q-1 "),
        "{fix}"
    );
    assert_eq!(of("InstanceDeadLettersUrl", denied()).level, CheckLevel::Warning);
    let none = of("InstanceDeadLettersUrl", gone());
    assert!(none.level == CheckLevel::Failure && none.fix.unwrap().contains("--deployment-mode REVERT_DRIFT"));
    assert_eq!(dead_letters("Other", &lying(1, 0, 0), &stack, &target()), None);
}

#[test]
fn a_queue_in_which_much_waits_deserves_a_look() {
    let stack = stack("CREATE_COMPLETE", &[("ConnectFunctionName", "connect-1")]);
    let of = |depth| backlog("ConnectQueueUrl", &depth, &stack, &target()).unwrap();
    let well = of(lying(999, 10, 5000));
    assert_eq!(plain(&well), (CheckLevel::Ok, "999 waiting, 10 being handled and 5000 delayed in the connect queue"));
    let much = of(lying(1000, 0, 0));
    assert!(much.level == CheckLevel::Warning && much.fix.unwrap().contains("--function-name connect-1 "));
    assert_eq!((of(denied()).level, of(gone()).level), (CheckLevel::Warning, CheckLevel::Failure));
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
    last_sweep(&Reading::complete(found), now, Duration::from_mins(15), Some(Mode::Enforce), &stack, &target())
}

#[test]
fn a_sweep_is_late_after_two_periods_and_missing_after_four() {
    assert_eq!(
        plain(&swept(&[Some(1), Some(30), Some(14)])),
        (
            CheckLevel::Ok,
            "vpc-1 was swept 30 minutes ago (2026-01-01T11:30:00Z), the longest of 3 VPCs; a sweep comes every 15 minutes"
        )
    );
    let late = swept(&[Some(31)]);
    assert_eq!(late.level, CheckLevel::Warning);
    assert!(late.fix.unwrap().starts_with("aws lambda invoke --function-name sweep-1 "));
    assert_eq!(
        (swept(&[Some(60)]).level, swept(&[Some(61), Some(1)]).level),
        (CheckLevel::Warning, CheckLevel::Failure)
    );
    let never = swept(&[Some(1), None]);
    assert_eq!(plain(&never), (CheckLevel::Warning, "vpc-1 was not swept yet; a sweep comes every 15 minutes"));
    assert_eq!(swept(&[]).level, CheckLevel::Ok);
}

#[test]
fn a_vpc_that_tagwire_is_to_be_gone_from_is_named_with_how_to_take_that_back() {
    let since: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let states = |uninstalling| {
        let state = VpcState { uninstalling, ..VpcState::default() };
        Reading::complete(vec![(vpc("vpc-1"), Ok(state)), (vpc("vpc-2"), Ok(VpcState::default()))])
    };
    assert!(uninstalling(&states(None), &target()).is_none());
    let check = uninstalling(&states(Some(since)), &target()).unwrap();
    let message = "tagwire is being uninstalled from vpc-1 since 2026-01-01T12:00:00Z: nothing is connected there";
    assert_eq!(plain(&check), (CheckLevel::Warning, message));
    assert!(check.fix.unwrap().starts_with("tagwire uninstall --cancel --region "));
}

#[test]
fn a_sweep_that_is_not_written_down_or_cannot_be_read_is_said_so() {
    let (now, stack) = (Timestamp::UNIX_EPOCH, stack("CREATE_COMPLETE", &[]));
    let of = |states: Reading<(VpcId, Read<VpcState>)>, mode| {
        last_sweep(&states, now, Duration::from_mins(15), mode, &stack, &target())
    };
    let dry = of(Reading::complete(vec![(vpc("vpc-1"), Ok(VpcState::default()))]), Some(Mode::DryRun));
    assert!(dry.level == CheckLevel::Ok && dry.message.contains("dry run"), "{dry:?}");
    let unread = of(Reading::complete(vec![(vpc("vpc-1"), denied())]), Some(Mode::Enforce));
    assert!(unread.level == CheckLevel::Warning && unread.message.starts_with("cannot tell when vpc-1"), "{unread:?}");
    let gap = Gap::of("it", "", "slow").that_passes(true, true);
    let half = of(Reading { found: Vec::new(), gaps: vec![gap] }, Some(Mode::Enforce));
    assert_eq!((half.level, half.fix.as_deref()), (CheckLevel::Warning, Some("tagwire doctor --region eu-west-1")));
}

#[test]
fn whoever_is_told_of_alarms_gets_the_command_that_tries_it() {
    let mut stack = stack("CREATE_COMPLETE", &[]);
    let nobody = alarms(&stack, &target());
    assert_eq!((nobody.level, nobody.message.contains("nobody is told")), (CheckLevel::Ok, true), "{nobody:?}");
    stack.parameters.insert("AlarmTopicArn".into(), String::new());
    assert_eq!(alarms(&stack, &target()).message, nobody.message);
    let topic = "arn:aws:sns:eu-central-1:123456789012:on-call";
    stack.parameters.insert("AlarmTopicArn".into(), topic.into());
    let told = alarms(&stack, &target());
    assert_eq!(told.level, CheckLevel::Ok);
    let ring = target().aws(
        "cloudwatch set-alarm-state --alarm-name tagwire-gave-up --state-value ALARM --state-reason 'trying the topic'",
    );
    assert!(told.message.contains(topic) && told.message.ends_with(&ring), "{told:?}");
}
