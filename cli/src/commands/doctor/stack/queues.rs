//! The queues of the stack: dead letters, and work that waits.

use tagwire_aws::{QueueDepth, Stack};
use tagwire_engine::cloud::{CloudError, ErrorKind};

use crate::commands::doctor::{
    check::{Check, CommandTarget, count, quoted},
    facts::{DEAD_LETTERS, Installed, QUEUES, Read},
};

/// From this many waiting messages on, a queue deserves a look: one message of the sweep stands for a whole VPC, and
/// hundreds of events are taken at a time.
const BACKLOG: u64 = 1000;

pub(super) fn judge(installed: &Installed, target: &CommandTarget) -> Vec<Check> {
    let stack = &installed.stack;
    let dead = DEAD_LETTERS.iter().filter_map(|name| dead_letters(name, depth(installed, name)?, stack, target));
    let waiting = QUEUES.iter().filter_map(|name| backlog(name, depth(installed, name)?, stack, target));
    dead.chain(waiting).collect()
}

fn depth<'facts>(installed: &'facts Installed, output: &str) -> Option<&'facts Read<QueueDepth>> {
    installed.queues.iter().find(|(name, _)| *name == output).map(|(_, depth)| depth)
}

/// The name of the check, and of the queue for people.
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

pub(super) fn dead_letters(
    output: &str,
    depth: &Read<QueueDepth>,
    stack: &Stack,
    target: &CommandTarget,
) -> Option<Check> {
    let (name, queue) = named(output)?;
    let depth = match depth {
        Ok(depth) => depth,
        Err(error) => return Some(unread(name, &format!("whether the {queue} is empty"), error, stack, target)),
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
            url(&depth.arn, target)
        );
        return Some(Check::failure(name, message, target.aws(&command)));
    }
    let message = format!("{messages} in the {queue} ({}) that could not be handled", depth.arn);
    Some(Check::failure(
        name,
        message,
        target.aws(&format!("sqs start-message-move-task --source-arn {}", quoted(&depth.arn))),
    ))
}

/// A command that finds a queue's URL.
fn url(arn: &str, target: &CommandTarget) -> String {
    let name = quoted(arn.rsplit(':').next().unwrap_or(arn));
    format!("\"$({})\"", target.aws(&format!("sqs get-queue-url --queue-name {name} --query QueueUrl --output text")))
}

pub(super) fn backlog(output: &str, depth: &Read<QueueDepth>, stack: &Stack, target: &CommandTarget) -> Option<Check> {
    let (name, queue) = named(output)?;
    let QueueDepth { waiting, in_flight, delayed, .. } = match depth {
        Ok(depth) => depth,
        Err(error) => return Some(unread(name, &format!("how much work waits in the {queue}"), error, stack, target)),
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
    Some(Check::warning(name, message, target.aws(&command)))
}

/// A check of a queue that could not be read, which is a failure when there is no such queue.
fn unread(name: &'static str, what: &str, error: &CloudError, stack: &Stack, target: &CommandTarget) -> Check {
    if error.kind == ErrorKind::NotFound {
        return Check::failure(name, format!("there is no such queue any more: {error}"), target.revert(stack));
    }
    Check::unread(name, what, error, target)
}
