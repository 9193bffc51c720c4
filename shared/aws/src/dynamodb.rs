//! DynamoDB: the state of each VPC, in one table that the stack makes.
//!
//! | `vpc` | `entry` | attributes |
//! |---|---|---|
//! | `vpc-1` | `window` | `version`; `removals`, and `of` with each one's words as below, empty for one of an earlier version |
//! | `vpc-1` | `wanted i-1 IDENTITY`, `wanted eni-1 IDENTITY`, `wanted store-side IDENTITY`, `wanted cidr-group IDENTITY` | `since`, `failed` |
//! | `vpc-1` | `unused sg-1` | `since` |
//! | `vpc-1` | `uninstalling`, `swept` | `since` |
//! | `vpc-1` | `requested` | `since`, `request` |
//! | `uninstalling` | `vpc-1` | `since`: a VPC that has no tags and groups any more may be known from here alone |
//! | `vpc-1 attached` | `eni-1` or an identity | one attribute for each group, named by its id |
//! | `request ID` | `vpc-1` | `answer` |
//!
//! Attachments stand under a key of their own, so that a run reads only those of the lists it looks
//! at, however many the VPC has.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, KeysAndAttributes, ReturnValue},
};
use jiff::Timestamp;
use tagwire_core::{
    id::{InstanceId, InterfaceId, RequestId, SecurityGroupId, StoreId, VpcId},
    observation::Reading,
    state::{Attached, Connection, CountedRemoval, Note, Removal, Target, VpcState, Wanted, Window},
    work::Answer,
};
use tagwire_engine::cloud::{CloudError, ErrorKind};

#[cfg(feature = "account")]
use crate::probe::Probe;
use crate::{call::Call, reading::at_once};

#[cfg(test)]
mod tests;

const VPC: &str = "vpc";
const ENTRY: &str = "entry";
const EXPIRES: &str = "expires";
const WINDOW: &str = "window";
const WANTED: &str = "wanted";
const STORE_SIDE: &str = "store-side";
const CIDR_GROUP: &str = "cidr-group";
const SINCE: &str = "since";
const FAILED: &str = "failed";
const UNUSED: &str = "unused";
const UNINSTALLING: &str = "uninstalling";
const SWEPT: &str = "swept";
const REQUESTED: &str = "requested";
const REQUEST: &str = "request";
const ANSWER: &str = "answer";

/// Most keys that one `BatchGetItem` takes.
// Fact 3.4
const KEYS_AT_ONCE: usize = 100;
/// From this many lists on it is less work to read all of the VPC's.
const MOST_LISTS: usize = 500;

/// The lifetime of an entry. An entry that is no longer true is deleted at once, so only entries of VPCs that
/// nobody looks at live so long.
const KEPT_FOR: Duration = Duration::from_hours(24 * 30);
/// For attachments, which may last long, and for the mark of an uninstall.
const ATTACHED_KEPT_FOR: Duration = Duration::from_hours(24 * 400);
/// For the result of a request, which a person waits for at a terminal.
const ANSWER_KEPT_FOR: Duration = Duration::from_hours(24);

type Item = HashMap<String, AttributeValue>;

/// The state table.
#[derive(Debug)]
pub(crate) struct StateTable {
    client: Client,
    name: Option<String>,
}

impl StateTable {
    pub(crate) fn new(config: &SdkConfig, name: Option<String>) -> Self {
        Self { client: Client::new(config), name }
    }

    /// The state of a VPC; of attachments, those to these lists. Without a table it is empty,
    /// which is safe: nothing is removed that cannot be counted there first.
    pub(crate) async fn vpc_state(
        &self,
        vpc: &VpcId,
        lists: Option<&BTreeSet<Target>>,
    ) -> Result<VpcState, CloudError> {
        let Some(table) = self.name.as_deref() else { return Ok(VpcState::default()) };
        let attached = attached_key(vpc);
        let (items, attached) = futures_util::join!(self.query(table, vpc.as_str()), async {
            match lists {
                Some(lists) if lists.len() <= MOST_LISTS => self.lists(table, &attached, lists).await,
                Some(_) | None => self.query(table, &attached).await,
            }
        });
        let mut state = VpcState::default();
        for item in items? {
            if text(&item, ENTRY) == Some(WINDOW) {
                state.window = window(&item).ok_or_else(|| unreadable(table, vpc))?;
            } else if let Some(note) = note(&item) {
                state.note(note);
            }
        }
        for note in attached?.iter().flat_map(attachments) {
            state.note(note);
        }
        Ok(state)
    }

    /// Tries both reads of the table, with a key that does not exist; an empty list without a table.
    #[cfg(feature = "account")]
    pub(crate) async fn probes(&self) -> Vec<Probe> {
        let Some(table) = self.name.as_deref() else { return Vec::new() };
        let (key, entry) = ("nothing", "nothing".to_owned());
        let query = self
            .client
            .query()
            .table_name(table)
            .limit(1)
            .key_condition_expression("#vpc = :vpc")
            .expression_attribute_names("#vpc", VPC)
            .expression_attribute_values(":vpc", AttributeValue::S(key.to_owned()));
        let wanted = KeysAndAttributes::builder().keys(keys(key, entry)).build().ok();
        let wanted = wanted.map(|wanted| HashMap::from([(table.to_owned(), wanted)]));
        let (query, items) =
            futures_util::join!(query.send(), self.client.batch_get_item().set_request_items(wanted).send());
        vec![Probe::of("dynamodb:Query", query), Probe::of("dynamodb:BatchGetItem", items)]
    }

    async fn query(&self, table: &str, key: &str) -> Result<Vec<Item>, CloudError> {
        let call = Call::reading("dynamodb:Query", format!("{key} in {table}"));
        let request = self
            .client
            .query()
            .table_name(table)
            .consistent_read(true)
            .key_condition_expression("#vpc = :vpc")
            .expression_attribute_names("#vpc", VPC)
            .expression_attribute_values(":vpc", AttributeValue::S(key.to_owned()));
        let items = request.into_paginator().items().send().try_collect().await;
        items.map_err(|error| call.failed(&error))
    }

    async fn lists(&self, table: &str, key: &str, lists: &BTreeSet<Target>) -> Result<Vec<Item>, CloudError> {
        let lists: Vec<&Target> = lists.iter().collect();
        let answers = at_once(lists.chunks(KEYS_AT_ONCE).map(|portion| async move {
            let call = Call::reading("dynamodb:BatchGetItem", format!("{key} in {table}"));
            let mut left: Vec<Item> = portion.iter().map(|target| keys(key, list_entry(target))).collect();
            let mut items = Vec::new();
            while !left.is_empty() {
                let asked = left.len();
                let wanted = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(left)).build();
                let wanted = wanted.map_err(|error| call.error(ErrorKind::Rejected, "no-keys", error.to_string()))?;
                let answer = self.client.batch_get_item().request_items(table, wanted).send().await;
                let answer = answer.map_err(|error| call.failed(&error))?;
                items.extend(answer.responses.into_iter().flat_map(HashMap::into_values).flatten());
                let tables = answer.unprocessed_keys.into_iter().flat_map(HashMap::into_values);
                left = tables.flat_map(|rest| rest.keys).collect();
                if left.len() >= asked {
                    return Err(call.error(ErrorKind::Throttled, "UnprocessedKeys", "no key was processed"));
                }
            }
            Ok(items)
        }))
        .await;
        let items: Result<Vec<Vec<Item>>, CloudError> = answers.into_iter().collect();
        Ok(items?.into_iter().flatten().collect())
    }

    /// Writes a window on the condition that it follows the one that is there.
    pub(crate) async fn reserve_window(&self, vpc: &VpcId, window: &Window) -> Result<(), CloudError> {
        let call = Call::writing("dynamodb:PutItem", format!("the window of {vpc}"));
        let table = self.table(&call)?;
        let removals: Vec<AttributeValue> = window
            .removals
            .iter()
            .map(|counted| {
                let (at, connections) = (counted.at.to_string(), counted.connections.to_string());
                AttributeValue::L(vec![AttributeValue::S(at), AttributeValue::N(connections)])
            })
            .collect();
        let of = window
            .removals
            .iter()
            .map(|counted| AttributeValue::S(counted.of.as_ref().map(removal_words).unwrap_or_default()));
        let last = window.removals.iter().map(|counted| counted.at).max().unwrap_or(Timestamp::UNIX_EPOCH);
        let request = self
            .client
            .put_item()
            .table_name(table)
            .set_item(Some(keys(vpc.as_str(), WINDOW.to_owned())))
            .item("version", AttributeValue::N(window.version.to_string()))
            .item("removals", AttributeValue::L(removals))
            .item("of", AttributeValue::L(of.collect()))
            .item(EXPIRES, expires(last, KEPT_FOR))
            .condition_expression("attribute_not_exists(#version) OR #version = :before")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":before", AttributeValue::N(window.version.saturating_sub(1).to_string()));
        request.send().await.map(drop).map_err(|error| call.failed(&error))
    }

    /// Writes notes, each for itself; the first that fails is reported, the others are tried.
    pub(crate) async fn write_notes(&self, vpc: &VpcId, notes: &[Note]) -> Result<(), CloudError> {
        let call = Call::writing("dynamodb:UpdateItem", format!("{} notes on {vpc}", notes.len()));
        let table = self.table(&call)?;
        let is_over = |note: &&Note| match note {
            Note::Wanted(_, wanted) => wanted.is_none(),
            Note::Unused(_, since) | Note::Uninstalling(since) => since.is_none(),
            Note::Attached(_, _, attached) => attached.is_none(),
            Note::Requested(..) | Note::Swept(_) => false,
        };
        let (over, new): (Vec<&Note>, Vec<&Note>) = notes.iter().partition(is_over);
        // One after the other: an item goes with its last attachment, and must not take a new one along.
        let mut results = at_once(over.into_iter().map(|note| self.write(table, vpc, note))).await;
        results.extend(at_once(new.into_iter().map(|note| self.write(table, vpc, note))).await);
        results.into_iter().collect()
    }

    async fn write(&self, table: &str, vpc: &VpcId, note: &Note) -> Result<(), CloudError> {
        match note {
            Note::Wanted(removal, wanted) => {
                let moments = wanted.iter().flat_map(|wanted| {
                    let failed = wanted.failed.map(|failed| (FAILED, failed));
                    [(SINCE, wanted.since)].into_iter().chain(failed)
                });
                self.write_moments(table, vpc.as_str(), wanted_entry(removal), moments.collect(), KEPT_FOR).await
            }
            Note::Unused(group, since) => {
                self.write_since(table, vpc.as_str(), format!("{UNUSED} {group}"), *since, KEPT_FOR).await
            }
            Note::Uninstalling(since) => {
                self.write_since(table, vpc.as_str(), UNINSTALLING.to_owned(), *since, ATTACHED_KEPT_FOR).await?;
                self.write_since(table, UNINSTALLING, vpc.to_string(), *since, ATTACHED_KEPT_FOR).await
            }
            Note::Swept(at) => self.write_since(table, vpc.as_str(), SWEPT.to_owned(), Some(*at), KEPT_FOR).await,
            Note::Requested(request, at) => {
                let call = Call::writing("dynamodb:PutItem", format!("{REQUESTED} in {table}"));
                let item = keys(vpc.as_str(), REQUESTED.to_owned());
                let put = self.client.put_item().table_name(table).set_item(Some(item));
                let put = put.item("since", AttributeValue::S(at.to_string()));
                let put = put.item(REQUEST, AttributeValue::S(request.to_string()));
                let put = put.item(EXPIRES, expires(*at, ATTACHED_KEPT_FOR));
                put.send().await.map(drop).map_err(|error| call.failed(&error))
            }
            Note::Attached(target, group, None) => self.forget_attached(table, vpc, target, group).await,
            Note::Attached(target, group, Some(attached)) => {
                let call = Call::writing("dynamodb:UpdateItem", format!("{} in {table}", list_entry(target)));
                let request = self.client.update_item().table_name(table);
                let request = request
                    .set_key(Some(keys(&attached_key(vpc), list_entry(target))))
                    .update_expression("SET #group = :attached, #expires = :expires")
                    .expression_attribute_names("#group", group.as_str())
                    .expression_attribute_names("#expires", EXPIRES)
                    .expression_attribute_values(":attached", AttributeValue::S(written(attached, &call)?))
                    .expression_attribute_values(":expires", expires(last_of(attached), ATTACHED_KEPT_FOR));
                request.send().await.map(drop).map_err(|error| call.failed(&error))
            }
        }
    }

    async fn write_since(
        &self,
        table: &str,
        key: &str,
        entry: String,
        since: Option<Timestamp>,
        kept_for: Duration,
    ) -> Result<(), CloudError> {
        self.write_moments(table, key, entry, since.iter().map(|since| (SINCE, *since)).collect(), kept_for).await
    }

    /// Writes an entry that holds moments; without any it is deleted.
    async fn write_moments(
        &self,
        table: &str,
        key: &str,
        entry: String,
        moments: BTreeMap<&str, Timestamp>,
        kept_for: Duration,
    ) -> Result<(), CloudError> {
        let Some(last) = moments.values().max().copied() else {
            return self.delete(table, key, entry).await;
        };
        let call = Call::writing("dynamodb:PutItem", format!("{entry} in {table}"));
        let mut request = self.client.put_item().table_name(table).set_item(Some(keys(key, entry)));
        for (name, at) in moments {
            request = request.item(name, AttributeValue::S(at.to_string()));
        }
        let request = request.item(EXPIRES, expires(last, kept_for));
        request.send().await.map(drop).map_err(|error| call.failed(&error))
    }

    /// Writes the answer to a request.
    pub(crate) async fn answer_request(&self, vpc: &VpcId, id: &RequestId, answer: &Answer) -> Result<(), CloudError> {
        let call = Call::writing("dynamodb:PutItem", format!("the answer to the request {id}"));
        let table = self.table(&call)?;
        let written = serde_json::to_string(answer);
        let written = written.map_err(|error| call.error(ErrorKind::Rejected, "not-json", error.to_string()))?;
        let request = self.client.put_item().table_name(table).set_item(Some(keys(&request_key(id), vpc.to_string())));
        let request = request.item(ANSWER, AttributeValue::S(written));
        let request = request.item(EXPIRES, expires(answer.at, ANSWER_KEPT_FOR));
        request.send().await.map(drop).map_err(|error| call.failed(&error))
    }

    /// The VPCs that tagwire is being uninstalled from.
    pub(crate) async fn vpcs_uninstalling(&self) -> Reading<VpcId> {
        let Some(table) = self.name.as_deref() else { return Reading::default() };
        match self.query(table, UNINSTALLING).await {
            Ok(items) => {
                let vpcs = items.iter().filter_map(|item| VpcId::parse(text(item, ENTRY)?).ok());
                Reading::complete(vpcs.collect())
            }
            Err(error) => Reading::failed(error.into()),
        }
    }

    /// The answer to a request; `None` while there is none.
    pub(crate) async fn answer(&self, vpc: &VpcId, id: &RequestId) -> Result<Option<Answer>, CloudError> {
        let call = Call::reading("dynamodb:GetItem", format!("the answer to the request {id}"));
        let table = self.table(&call)?;
        let request = self.client.get_item().table_name(table).consistent_read(true);
        let request = request.set_key(Some(keys(&request_key(id), vpc.to_string())));
        let answer = request.send().await.map_err(|error| call.failed(&error))?;
        let Some(item) = answer.item else { return Ok(None) };
        let answer = text(&item, ANSWER).and_then(|answer| serde_json::from_str(answer).ok());
        let unreadable = || call.error(ErrorKind::Rejected, "item-unreadable", "it is an answer of another version");
        answer.map(Some).ok_or_else(unreadable)
    }

    /// Takes an attachment out of its list's item, and the item away with the last one: interfaces come
    /// and go, and empty items of all that ever were would be read with every sweep.
    async fn forget_attached(
        &self,
        table: &str,
        vpc: &VpcId,
        target: &Target,
        group: &SecurityGroupId,
    ) -> Result<(), CloudError> {
        let (key, entry) = (attached_key(vpc), list_entry(target));
        let call = Call::writing("dynamodb:UpdateItem", format!("{entry} in {table}"));
        let request = self.client.update_item().table_name(table);
        let request = request
            .set_key(Some(keys(&key, entry.clone())))
            .update_expression("REMOVE #group")
            .expression_attribute_names("#group", group.as_str())
            .return_values(ReturnValue::AllNew);
        let answer = request.send().await.map_err(|error| call.failed(&error))?;
        if attachments(&answer.attributes.unwrap_or_default()).is_empty() {
            self.delete(table, &key, entry).await
        } else {
            Ok(())
        }
    }

    async fn delete(&self, table: &str, key: &str, entry: String) -> Result<(), CloudError> {
        let call = Call::writing("dynamodb:DeleteItem", format!("{entry} in {table}"));
        let request = self.client.delete_item().table_name(table).set_key(Some(keys(key, entry)));
        request.send().await.map(drop).map_err(|error| call.failed(&error))
    }

    fn table(&self, call: &Call) -> Result<&str, CloudError> {
        let missing = || call.error(ErrorKind::Rejected, "no-state-table", "no state table is configured");
        self.name.as_deref().ok_or_else(missing)
    }
}

fn unreadable(table: &str, vpc: &VpcId) -> CloudError {
    let call = Call::reading("dynamodb:Query", format!("the window of {vpc} in {table}"));
    call.error(ErrorKind::Rejected, "item-unreadable", "delete the item: without it the window is taken to be unused")
}

fn attached_key(vpc: &VpcId) -> String {
    format!("{vpc} attached")
}

fn request_key(id: &RequestId) -> String {
    format!("request {id}")
}

fn wanted_entry(removal: &Removal) -> String {
    format!("{WANTED} {}", removal_words(removal))
}

fn removal_words(removal: &Removal) -> String {
    match removal {
        Removal::Connection(connection) => format!("{} {}", connection.instance, connection.store),
        Removal::LeftOver { interface, store } => format!("{interface} {store}"),
        Removal::StoreSide(store) => format!("{STORE_SIDE} {store}"),
        Removal::CidrGroup(store) => format!("{CIDR_GROUP} {store}"),
    }
}

fn removal(of: &str, store: &str) -> Option<Removal> {
    let store = StoreId::parse(store).ok()?;
    Some(match of {
        STORE_SIDE => Removal::StoreSide(store),
        CIDR_GROUP => Removal::CidrGroup(store),
        list => match InstanceId::parse(list) {
            Ok(instance) => Removal::Connection(Connection { instance, store }),
            Err(_) => Removal::LeftOver { interface: InterfaceId::parse(list).ok()?, store },
        },
    })
}

fn list_entry(target: &Target) -> String {
    match target {
        Target::Interface(id) => id.to_string(),
        Target::Store(id) => id.to_string(),
    }
}

fn keys(vpc: &str, entry: String) -> Item {
    HashMap::from([(VPC.to_owned(), AttributeValue::S(vpc.to_owned())), (ENTRY.to_owned(), AttributeValue::S(entry))])
}

fn expires(since: Timestamp, kept_for: Duration) -> AttributeValue {
    let at = since.checked_add(kept_for).unwrap_or(Timestamp::MAX);
    AttributeValue::N(at.as_second().to_string())
}

fn last_of(attached: &Attached) -> Timestamp {
    attached.again.iter().copied().max().unwrap_or(attached.since)
}

fn written(attached: &Attached, call: &Call) -> Result<String, CloudError> {
    serde_json::to_string(attached).map_err(|error| call.error(ErrorKind::Rejected, "not-json", error.to_string()))
}

fn text<'item>(item: &'item Item, key: &str) -> Option<&'item str> {
    item.get(key)?.as_s().ok().map(String::as_str)
}

fn window(item: &Item) -> Option<Window> {
    let counted = |value: &AttributeValue| {
        let [at, count] = value.as_l().ok()?.as_slice() else { return None };
        let (at, connections) = (at.as_s().ok()?.parse().ok()?, count.as_n().ok()?.parse().ok()?);
        Some(CountedRemoval { at, connections, of: None })
    };
    let mut removals = item.get("removals")?.as_l().ok()?.iter().map(counted).collect::<Option<Vec<_>>>()?;
    // An earlier version wrote none, and what cannot be read is counted as if it were another one.
    let of = item.get("of").and_then(|of| of.as_l().ok()).filter(|of| of.len() == removals.len());
    for (counted, of) in removals.iter_mut().zip(of.into_iter().flatten()) {
        counted.of = of.as_s().ok().and_then(|words| words.split_once(' ')).and_then(|(of, store)| removal(of, store));
    }
    Some(Window { version: item.get("version")?.as_n().ok()?.parse().ok()?, removals })
}

/// `None` for an unreadable item: it counts as lost, which delays a removal at most.
fn note(item: &Item) -> Option<Note> {
    let moment = |name: &str| text(item, name)?.parse::<Timestamp>().ok();
    let since = Some(moment(SINCE)?);
    let mut words = text(item, ENTRY)?.splitn(3, ' ');
    match (words.next()?, words.next(), words.next()) {
        (WANTED, Some(of), Some(store)) => {
            Some(Note::Wanted(removal(of, store)?, Some(Wanted { since: since?, failed: moment(FAILED) })))
        }
        (UNUSED, Some(group), None) => Some(Note::Unused(SecurityGroupId::parse(group).ok()?, since)),
        (UNINSTALLING, None, None) => Some(Note::Uninstalling(since)),
        (REQUESTED, None, None) => Some(Note::Requested(RequestId::parse(text(item, REQUEST)?).ok()?, since?)),
        (SWEPT, None, None) => since.map(Note::Swept),
        _ => None,
    }
}

/// The attachments of one list. Those that cannot be read count as lost.
fn attachments(item: &Item) -> Vec<Note> {
    let Some(entry) = text(item, ENTRY) else { return Vec::new() };
    let interface = InterfaceId::parse(entry).map(Target::Interface).ok();
    let Some(target) = interface.or_else(|| StoreId::parse(entry).map(Target::Store).ok()) else {
        return Vec::new();
    };
    let sorted: BTreeMap<&String, &AttributeValue> = item.iter().collect();
    let attached = |(key, value): (&String, &AttributeValue)| {
        let group = SecurityGroupId::parse(key.as_str()).ok()?;
        let attached: Attached = serde_json::from_str(value.as_s().ok()?).ok()?;
        Some(Note::Attached(target.clone(), group, Some(attached)))
    };
    sorted.into_iter().filter_map(attached).collect()
}
