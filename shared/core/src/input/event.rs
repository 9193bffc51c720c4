//! Events, read into hints. An event only says where to look; what is done depends on what is
//! there, so nothing of an event but the resource's name is believed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::{
    id::{InstanceId, Location, StoreArn},
    service::StoreApi,
    work::{Again, Cause, VERSION},
};

/// An instance or data store to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hint {
    /// At an instance.
    Instance(InstanceId),
    /// At a data store.
    Store(StoreArn),
}

/// An event of AWS, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The id that EventBridge gave it.
    pub id: String,
    /// The hints: two for a rename, one for everything else.
    pub hints: BTreeSet<Hint>,
    /// The kind of event.
    pub cause: Cause,
    /// The time of the event; `None` when it holds none that can be read.
    pub time: Option<Timestamp>,
}

/// A message of the instance queue or the store queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// EventBridge put it there.
    Event(Event),
    /// One of our own functions did, to have another look.
    Again(Again),
}

/// Why a message is of no use. It is logged with its code and consumed: asking for it again would
/// bring the same message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadEvent {
    /// It is not JSON, or not an object.
    #[error("the message is not a JSON object: {problem}")]
    NotJson {
        /// The message of the parser.
        problem: String,
    },
    /// A field is missing or has another type.
    #[error("the field {field} is missing or is not a {expected}")]
    Field {
        /// Its path.
        field: &'static str,
        /// The expected type.
        expected: &'static str,
    },
    /// An event of a kind that no rule asks for.
    #[error("there is nothing to do for {detail_type:?} from {source_name:?}")]
    Kind {
        /// `source`.
        source_name: String,
        /// `detail-type`.
        detail_type: String,
    },
    /// A call of an API that was refused, which the rules leave out.
    #[error("the call {call} failed with {problem:?}, so that it changed nothing")]
    FailedCall {
        /// `detail.eventName`.
        call: String,
        /// `detail.errorCode`.
        problem: String,
    },
    /// It is about something that is neither an instance nor a supported data store.
    #[error("it is about {resource:?}, which is neither an instance nor a supported data store")]
    Resource {
        /// The id or ARN.
        resource: String,
    },
    /// An event or a message about another account or Region, which no rule of the installation's own brings.
    #[error("it is about {resource:?}, which is not in the account and Region of this installation")]
    Elsewhere {
        /// The ARN, or the Region and account.
        resource: String,
    },
    /// A message of ours of another version or shape.
    #[error("a message of tagwire's own cannot be read: {problem}")]
    Own {
        /// The message of the parser.
        problem: String,
    },
}

impl BadEvent {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "event-not-json",
            Self::Field { .. } => "event-field-missing",
            Self::Kind { .. } => "event-kind-unknown",
            Self::FailedCall { .. } => "event-call-failed",
            Self::Resource { .. } => "event-resource-unknown",
            Self::Elsewhere { .. } => "event-elsewhere",
            Self::Own { .. } => "message-unreadable",
        }
    }
}

/// Longest piece of a foreign text that goes into an error.
const LONGEST_QUOTE: usize = 200;

fn quote(text: &str) -> String {
    text.chars().take(LONGEST_QUOTE).collect()
}

fn text<'value>(value: &'value Value, pointer: &str, field: &'static str) -> Result<&'value str, BadEvent> {
    value.pointer(pointer).and_then(Value::as_str).ok_or(BadEvent::Field { field, expected: "string" })
}

/// Reads the body of a queue message, which was delivered by a queue at a location.
///
/// # Errors
/// [`BadEvent`] when it says nothing about an instance or a data store.
// Fact 1.0
pub fn read(body: &str, here: &Location) -> Result<Incoming, BadEvent> {
    let message: Value =
        serde_json::from_str(body).map_err(|error| BadEvent::NotJson { problem: error.to_string() })?;
    if !message.is_object() {
        return Err(BadEvent::NotJson { problem: format!("found {}", quote(body)) });
    }
    if message.get("hints").is_some() {
        let again: Again =
            serde_json::from_value(message).map_err(|error| BadEvent::Own { problem: error.to_string() })?;
        if again.version != VERSION {
            return Err(BadEvent::Own { problem: format!("version {} is not {VERSION}", again.version) });
        }
        all_here(&again.hints, here)?;
        return Ok(Incoming::Again(again));
    }

    let envelope = |name: &str| message.get(name).and_then(Value::as_str);
    if let (Some(region), Some(account)) = (envelope("region"), envelope("account"))
        && !here.is(region, account)
    {
        return Err(BadEvent::Elsewhere { resource: quote(&format!("{region} {account}")) });
    }

    let source = text(&message, "/source", "source")?;
    let detail_type = text(&message, "/detail-type", "detail-type")?;
    let (hints, cause) = match (source, detail_type) {
        // Fact 1.1
        ("aws.ec2", "EC2 Instance State-change Notification") => {
            (instance(text(&message, "/detail/instance-id", "detail.instance-id")?)?.into(), Cause::InstanceState)
        }
        // Fact 1.2
        ("aws.tag", "Tag Change on Resource") => {
            (resource(text(&message, "/resources/0", "resources[0]")?, here)?.into(), Cause::TagChange)
        }
        _ => store_event(&message, source, detail_type, here)?,
    };
    all_here(&hints, here)?;
    Ok(Incoming::Event(Event {
        id: message.get("id").and_then(Value::as_str).map(quote).unwrap_or_default(),
        hints,
        cause,
        time: message.get("time").and_then(Value::as_str).and_then(|time| time.parse().ok()),
    }))
}

/// One or two hints at once.
type Hints = BTreeSet<Hint>;

/// Reads an event of an API of data stores.
fn store_event(message: &Value, source: &str, detail_type: &str, here: &Location) -> Result<(Hints, Cause), BadEvent> {
    match StoreApi::of_source(source) {
        Some(api) if api.events.contains(&detail_type) => {
            // The identifier beside the ARN is not reliable: AWS's own samples prefix it. Fact 1.3
            let arn = text(message, "/detail/SourceArn", "detail.SourceArn")
                .or_else(|error| text(message, "/resources/0", "resources[0]").map_err(|_| error))?;
            Ok((store(arn)?.into(), Cause::StoreEvent))
        }
        Some(api) if api.needs_cloudtrail() && detail_type == "AWS API Call via CloudTrail" => {
            call(message, api, (source, detail_type), here)
        }
        Some(_) | None => Err(BadEvent::Kind { source_name: quote(source), detail_type: quote(detail_type) }),
    }
}

/// Reads a call of an API as CloudTrail reports it. ElastiCache's node-based caches and Redshift's
/// clusters have no events of their own. A call names its store by the identifier that its caller
/// wrote, which both services turn into small letters.
// Facts 1.4, 1.5 and 1.6
fn call(
    message: &Value,
    api: StoreApi,
    (source, detail_type): (&str, &str),
    here: &Location,
) -> Result<(Hints, Cause), BadEvent> {
    const REQUEST: &str = "/detail/requestParameters";
    let name = text(message, "/detail/eventName", "detail.eventName")?;
    if let Some(code) = message.pointer("/detail/errorCode").and_then(Value::as_str) {
        return Err(BadEvent::FailedCall { call: quote(name), problem: quote(code) });
    }
    if api.tag_calls.contains(&name) {
        let arn = text(message, &format!("{REQUEST}/resourceName"), "detail.requestParameters.resourceName")?;
        return Ok((store(arn)?.into(), Cause::TagChange));
    }
    let Some(kind) = api.kind_changed_by(name) else {
        let detail_type = quote(&format!("{detail_type}: {name}"));
        return Err(BadEvent::Kind { source_name: quote(source), detail_type });
    };
    let region = text(message, "/region", "region")?;
    let account = text(message, "/account", "account")?;
    let named = |name: &str| {
        StoreArn::of(here.partition(), kind, region, account, &name.to_ascii_lowercase())
            .map(Hint::Store)
            .map_err(|_| BadEvent::Resource { resource: quote(name) })
    };
    let identifier = text(
        message,
        &format!("{REQUEST}/{}", kind.row().name_parameter),
        "the store's identifier in detail.requestParameters",
    )?;
    let mut hints = Hints::from([named(identifier)?]);
    if let Some(new) = message.pointer("/detail/requestParameters/newClusterIdentifier").and_then(Value::as_str) {
        hints.insert(named(new)?);
    }
    Ok((hints, Cause::StoreEvent))
}

fn instance(id: &str) -> Result<[Hint; 1], BadEvent> {
    InstanceId::parse(id).map(|id| [Hint::Instance(id)]).map_err(|_| BadEvent::Resource { resource: quote(id) })
}

fn store(arn: &str) -> Result<[Hint; 1], BadEvent> {
    StoreArn::parse(arn).map(|arn| [Hint::Store(arn)]).map_err(|_| BadEvent::Resource { resource: quote(arn) })
}

/// Whether all the data stores of some hints are there; an instance is named without its account and Region.
fn all_here(hints: &BTreeSet<Hint>, here: &Location) -> Result<(), BadEvent> {
    let elsewhere = hints.iter().find_map(|hint| match hint {
        Hint::Store(arn) if !here.has(arn) => Some(arn),
        Hint::Store(_) | Hint::Instance(_) => None,
    });
    elsewhere.map_or(Ok(()), |arn| Err(BadEvent::Elsewhere { resource: quote(arn.as_str()) }))
}

/// `arn:aws:ec2:REGION:ACCOUNT:instance/ID`, or a data store's ARN.
fn resource(arn: &str, here: &Location) -> Result<[Hint; 1], BadEvent> {
    match arn.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "ec2", region, account, _] if !here.is(region, account) => {
            Err(BadEvent::Elsewhere { resource: quote(arn) })
        }
        ["arn", _, "ec2", _, _, resource] => {
            instance(resource.strip_prefix("instance/").ok_or_else(|| BadEvent::Resource { resource: quote(arn) })?)
        }
        _ => store(arn),
    }
}
