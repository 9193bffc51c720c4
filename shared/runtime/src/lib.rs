//! The functions' frame: settings, logs, the AWS clients and the Lambda loop around the handlers
//! of `tagwire-engine`.

mod logs;
mod settings;

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use tagwire_aws::{Aws, QueueUrls, SystemClock};
use tagwire_core::id::{InvalidId, Location};
use tagwire_engine::{
    handlers::{self, Context, Failed, Message},
    paced::Pacing,
};

pub use self::settings::{Settings, SettingsError};

/// The part of the function's time that is kept for the last log lines and the answer.
const MARGIN: Duration = Duration::from_secs(5);

/// Runs `instance-events` or `data-store-events`.
///
/// # Errors
/// Settings that cannot be used, or a Lambda runtime that does not answer.
pub async fn take_in(function: &'static str) -> Result<(), Error> {
    let process = Box::pin(Process::start(function)).await?;
    let process = &process;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<SqsEvent>| -> Result<SqsBatchResponse, Error> {
        let context = process.context(deadline(&event));
        let messages = messages(event.payload)?;
        Ok(response(Box::pin(handlers::take_in(&context, &messages)).await))
    }))
    .await
}

/// Runs `connect`.
///
/// # Errors
/// Settings that cannot be used, or a Lambda runtime that does not answer.
pub async fn connect(function: &'static str) -> Result<(), Error> {
    let process = Box::pin(Process::start(function)).await?;
    let process = &process;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<SqsEvent>| -> Result<SqsBatchResponse, Error> {
        let context = process.context(deadline(&event));
        let messages = messages(event.payload)?;
        Ok(response(Box::pin(handlers::connect(&context, &process.settings.handlers, &messages)).await))
    }))
    .await
}

/// Runs `sweep`.
///
/// # Errors
/// Settings that cannot be used, or a Lambda runtime that does not answer.
pub async fn sweep(function: &'static str) -> Result<(), Error> {
    let process = Box::pin(Process::start(function)).await?;
    let process = &process;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Value>| -> Result<Value, Error> {
        let context = process.context(deadline(&event));
        let vpcs = Box::pin(handlers::sweep(&context, &event.context.request_id)).await?;
        Ok(serde_json::json!({ "vpcs": vpcs }))
    }))
    .await
}

/// The clients and settings that live as long as the function's process.
struct Process {
    function: &'static str,
    settings: Settings,
    aws: Aws,
    clock: SystemClock,
    pacing: Pacing,
}

impl Process {
    async fn start(function: &'static str) -> Result<Self, Error> {
        logs::start();
        let settings = Settings::read(|name| std::env::var(name).ok()).inspect_err(|error| {
            tracing::error!(record = "start", function, code = "settings", "the function does not start: {error}");
        })?;
        let queues = QueueUrls {
            connect: Some(settings.connect_queue.clone()),
            instances: Some(settings.instance_queue.clone()),
            stores: Some(settings.store_queue.clone()),
        };
        let state_table = Some(settings.state_table.clone());
        let installation = tagwire_aws::AwsSettings {
            connect_key: settings.connect_key.clone(),
            group_tags: settings.group_tags.clone(),
            queues,
            state_table,
        };
        let aws = Aws::new(&Box::pin(tagwire_aws::load_config()).await, installation);
        Ok(Self { function, settings, aws, clock: SystemClock, pacing: Pacing::default() })
    }

    fn context(&self, deadline: Timestamp) -> Context<'_, Aws, Aws, SystemClock> {
        Context {
            function: self.function,
            cloud: &self.aws,
            queues: &self.aws,
            clock: &self.clock,
            pacing: &self.pacing,
            deadline,
            give_up_after: self.settings.give_up_after,
        }
    }
}

/// When the invocation has to be done, with [`MARGIN`] to spare.
fn deadline<T>(event: &LambdaEvent<T>) -> Timestamp {
    let end = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
    let end = Timestamp::from_millisecond(end).unwrap_or(Timestamp::MAX);
    end.checked_sub(MARGIN).unwrap_or(end)
}

/// The messages of a batch. Lambda names the queue with each, and so the partition, Region and account of all of it.
// Fact 4.6
fn messages(event: SqsEvent) -> Result<Vec<Message>, InvalidId> {
    event
        .records
        .into_iter()
        .map(|record| {
            let location = Location::of_arn(record.event_source_arn.as_deref().unwrap_or_default());
            let (id, body) = (record.message_id.unwrap_or_default(), record.body.unwrap_or_default());
            Ok(Message { id, location: location?, body })
        })
        .collect()
}

fn response(failed: Failed) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for id in failed {
        response.add_failure(id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(queue_arn: &str) -> SqsEvent {
        let record = serde_json::json!({"messageId": "m-1", "body": "{}", "eventSourceARN": queue_arn});
        serde_json::from_value(serde_json::json!({ "Records": [record] })).unwrap()
    }

    #[test]
    fn a_message_is_of_the_location_of_its_queue() {
        for partition in ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso"] {
            let messages = messages(event(&format!("arn:{partition}:sqs:somewhere-1:123456789012:stores"))).unwrap();
            assert_eq!(messages[0].location.partition().as_str(), partition);
            assert!(messages[0].location.is("somewhere-1", "123456789012"));
        }
        assert!(messages(event("stores")).is_err(), "it is delivered again instead of being dropped");
    }
}
