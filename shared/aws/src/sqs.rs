//! SQS: the queues between the functions.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use tagwire_core::work::{Again, WorkItem};
use tagwire_engine::cloud::{CloudError, ErrorKind, EventQueue};

use crate::call::Call;

const SEND: &str = "sqs:SendMessage";
/// Longest delay of a single message that SQS takes.
// Fact 5.3
const LONGEST_DELAY: Duration = Duration::from_mins(15);

/// The URLs of the queues between the functions. A send to a queue that is left out fails and names
/// the queue.
#[derive(Debug, Clone, Default)]
pub struct QueueUrls {
    /// The FIFO queue of `connect`.
    pub connect: Option<String>,
    /// The queue of `instance-events`.
    pub instances: Option<String>,
    /// The queue of `data-store-events`.
    pub stores: Option<String>,
}

/// The queues.
#[derive(Debug)]
pub(crate) struct Sender {
    client: Client,
    urls: QueueUrls,
    deduplication: DeduplicationIds,
}

impl Sender {
    pub(crate) fn new(config: &SdkConfig, urls: QueueUrls) -> Self {
        Self { client: Client::new(config), urls, deduplication: DeduplicationIds::new() }
    }

    pub(crate) async fn send_work(&self, item: &WorkItem) -> Result<(), CloudError> {
        let (url, call) = queue(self.urls.connect.as_deref(), "connect")?;
        let body = serde_json::to_string(item)
            .map_err(|error| call.error(ErrorKind::Rejected, "message-not-written", error.to_string()))?;
        let message = self
            .client
            .send_message()
            .queue_url(url)
            .message_body(body)
            .message_group_id(item.vpc.as_str())
            .message_deduplication_id(self.deduplication.next());
        message.send().await.map(drop).map_err(|error| call.failed(&error))
    }

    pub(crate) async fn send_again(&self, to: EventQueue, again: &Again, after: Duration) -> Result<(), CloudError> {
        let (url, call) = match to {
            EventQueue::Instances => queue(self.urls.instances.as_deref(), "instance"),
            EventQueue::Stores => queue(self.urls.stores.as_deref(), "store"),
        }?;
        let body = serde_json::to_string(again)
            .map_err(|error| call.error(ErrorKind::Rejected, "message-not-written", error.to_string()))?;
        let message = self.client.send_message().queue_url(url).message_body(body).delay_seconds(delay_seconds(after));
        message.send().await.map(drop).map_err(|error| call.failed(&error))
    }
}

/// The approximate numbers of messages in a queue.
#[cfg(feature = "account")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// Its ARN.
    pub arn: String,
    /// Messages that can be taken.
    pub waiting: u64,
    /// Messages that were taken and are not done with.
    pub in_flight: u64,
    /// Messages whose delay is not over.
    pub delayed: u64,
}

/// Counts the messages in a queue.
///
/// # Errors
/// SQS's refusal or failure, or an answer that cannot be used.
#[cfg(feature = "account")]
pub async fn queue_depth(config: &SdkConfig, url: &str) -> Result<QueueDepth, CloudError> {
    use aws_sdk_sqs::types::QueueAttributeName as Name;

    let call = Call::reading("sqs:GetQueueAttributes", url);
    let names = [
        Name::QueueArn,
        Name::ApproximateNumberOfMessages,
        Name::ApproximateNumberOfMessagesNotVisible,
        Name::ApproximateNumberOfMessagesDelayed,
    ];
    let request = Client::new(config).get_queue_attributes().queue_url(url).set_attribute_names(Some(names.into()));
    let answer = request.send().await.map_err(|error| call.failed(&error))?;
    let attributes = answer.attributes();
    let text = |name: &Name| {
        let found = attributes.and_then(|attributes| attributes.get(name)).map(String::as_str);
        found.ok_or_else(|| call.error(ErrorKind::Rejected, "answer-unusable", format!("{name} is missing")))
    };
    let number = |name: &Name| {
        let text = text(name)?;
        let unusable = |_| call.error(ErrorKind::Rejected, "answer-unusable", format!("{name} is {text:?}"));
        text.parse::<u64>().map_err(unusable)
    };
    Ok(QueueDepth {
        arn: text(&Name::QueueArn)?.to_owned(),
        waiting: number(&Name::ApproximateNumberOfMessages)?,
        in_flight: number(&Name::ApproximateNumberOfMessagesNotVisible)?,
        delayed: number(&Name::ApproximateNumberOfMessagesDelayed)?,
    })
}

fn queue<'url>(url: Option<&'url str>, name: &str) -> Result<(&'url str, Call), CloudError> {
    let none = || {
        let message = format!("the URL of the {name} queue is not set");
        Call::writing(SEND, format!("the {name} queue")).error(ErrorKind::Rejected, "no-queue-url", message)
    };
    url.map(|url| (url, Call::writing(SEND, url))).ok_or_else(none)
}

/// Whole seconds, never shorter than asked for and never longer than SQS takes.
fn delay_seconds(after: Duration) -> i32 {
    let whole = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    i32::try_from(whole.min(LONGEST_DELAY.as_secs())).unwrap_or(0)
}

/// Deduplication ids, each used once: SQS drops a FIFO message that comes with the id of one of
/// the last five minutes, and the same work may well be asked for again within that time.
#[derive(Debug)]
struct DeduplicationIds {
    /// Differs between processes: the standard library seeds its hashers from the operating
    /// system's random source.
    process: u64,
    /// The same once more, for 128 bits.
    process_too: u64,
    sent: AtomicU64,
}

impl DeduplicationIds {
    fn new() -> Self {
        let random = || RandomState::new().hash_one(jiff::Timestamp::now().as_nanosecond());
        Self { process: random(), process_too: random(), sent: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}{:016x}-{number}", self.process, self.process_too)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[cfg(feature = "account")]
    #[tokio::test]
    async fn a_queue_tells_what_lies_in_it_and_half_an_answer_is_an_error() {
        let answer = r#"{"Attributes":{"QueueArn":"arn:aws:sqs:eu-west-1:123456789012:q","ApproximateNumberOfMessages":"3","ApproximateNumberOfMessagesNotVisible":"1","ApproximateNumberOfMessagesDelayed":"0"}}"#;
        let script = crate::testing::Script::default()
            .then(200, answer)
            .then(200, answer.replace("\"3\"", "\"many\""))
            .then(200, "{}")
            .then(400, r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no"}"#);
        let depth = async || queue_depth(&script.config(), "https://q").await;
        let expected =
            QueueDepth { arn: "arn:aws:sqs:eu-west-1:123456789012:q".into(), waiting: 3, in_flight: 1, delayed: 0 };
        assert_eq!(depth().await, Ok(expected));
        assert_eq!(depth().await.unwrap_err().code, "answer-unusable");
        assert_eq!(depth().await.unwrap_err().code, "answer-unusable");
        assert_eq!(depth().await.unwrap_err().kind, ErrorKind::NotFound);
        assert!(script.asked()[0].contains("ApproximateNumberOfMessagesDelayed"), "{:?}", script.asked());
    }

    #[test]
    fn every_send_has_an_id_of_its_own() {
        let (one, other) = (DeduplicationIds::new(), DeduplicationIds::new());
        let ids: BTreeSet<String> = (0..100).flat_map(|_| [one.next(), other.next()]).collect();
        assert_eq!(ids.len(), 200);
        assert!(ids.iter().all(|id| id.len() <= 128));
    }

    #[test]
    fn delays_are_rounded_up_and_bounded() {
        assert_eq!(delay_seconds(Duration::ZERO), 0);
        assert_eq!(delay_seconds(Duration::from_millis(1)), 1);
        assert_eq!(delay_seconds(Duration::from_secs(5)), 5);
        assert_eq!(delay_seconds(Duration::from_hours(30)), 900);
    }
}
