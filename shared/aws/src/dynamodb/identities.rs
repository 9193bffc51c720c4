//! The records of groups: one item for each name, in a partition of its own for each VPC.

use aws_sdk_dynamodb::types::AttributeValue;
use tagwire_core::{
    group::{GroupName, GroupRecord, Identities, Role, Token},
    id::{SecurityGroupId, StoreArn, StoreId, VpcId},
};
use tagwire_engine::cloud::CloudError;

use super::{ENTRY, Item, StateTable, keys, text};
use crate::call::Call;

#[cfg(test)]
#[path = "identities_tests.rs"]
mod tests;

/// The version of an item. One of another version does nothing.
const VERSION: u32 = 1;
const VERSION_KEY: &str = "version";
const STORE: &str = "store";
const ARN: &str = "arn";
const ROLE: &str = "role";
const TOKEN: &str = "token";
const ID: &str = "id";
const EARLIER: &str = "earlier";

pub(super) fn groups_key(vpc: &VpcId) -> String {
    format!("{vpc} groups")
}

impl StateTable {
    /// The records of a VPC's groups. Without a table there are none, so nothing is known to be tagwire's.
    pub(crate) async fn identities(&self, vpc: &VpcId) -> Result<Identities, CloudError> {
        let Some(table) = self.name.as_deref() else { return Ok(Identities::new()) };
        let items = self.query(table, &groups_key(vpc)).await?;
        let mut identities = Identities::new();
        for item in &items {
            if let Some((name, record)) = record(item) {
                identities.insert(name, record);
            } else {
                tracing::warn!(
                    record = "finding", %vpc, code = "record-ignored", entry = text(item, ENTRY).unwrap_or_default(),
                    "the state table has a record of a group that is of another version or form; it is ignored, and the group of that name is not taken for tagwire's"
                );
            }
        }
        Ok(identities)
    }

    /// Writes the record of the group that has a name, without an expiry: it is needed for as long as the group is there.
    pub(super) async fn write_identity(
        &self,
        table: &str,
        vpc: &VpcId,
        name: GroupName,
        record: Option<&GroupRecord>,
    ) -> Result<(), CloudError> {
        let Some(record) = record else { return self.delete(table, &groups_key(vpc), name.to_string()).await };
        let call = Call::writing("dynamodb:PutItem", format!("the record of {name} in {vpc}"));
        let put = self.client.put_item().table_name(table).set_item(Some(item(vpc, name, record)));
        put.send().await.map(drop).map_err(|error| call.failed(&error))
    }
}

fn item(vpc: &VpcId, name: GroupName, record: &GroupRecord) -> Item {
    let mut item = keys(&groups_key(vpc), name.to_string());
    item.insert(VERSION_KEY.to_owned(), AttributeValue::N(VERSION.to_string()));
    item.extend(attributes(record));
    if let Some(earlier) = &record.earlier {
        item.insert(EARLIER.to_owned(), AttributeValue::M(attributes(earlier)));
    }
    item
}

fn attributes(record: &GroupRecord) -> Item {
    let texts = [
        (STORE, Some(record.store.as_str())),
        (ARN, record.arn.as_ref().map(StoreArn::as_str)),
        (ROLE, Some(record.role.tag_value())),
        (TOKEN, record.token.as_ref().map(Token::as_str)),
        (ID, record.id.as_ref().map(SecurityGroupId::as_str)),
    ];
    let texts = texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.to_owned())));
    texts.map(|(key, text)| (key, AttributeValue::S(text))).collect()
}

/// `None` for an item of another version or shape.
fn record(item: &Item) -> Option<(GroupName, GroupRecord)> {
    let version: u32 = item.get(VERSION_KEY)?.as_n().ok()?.parse().ok()?;
    let name = GroupName::read(text(item, ENTRY)?)?;
    let record = read(item)?;
    let earlier = match item.get(EARLIER) {
        None => None,
        Some(earlier) => Some(Box::new(read(earlier.as_m().ok()?)?)),
    };
    (version == VERSION && name.role == record.role).then_some((name, GroupRecord { earlier, ..record }))
}

/// That an attribute is there and cannot be read.
struct Unreadable;

/// An attribute that is there and cannot be read is no missing one.
fn read(item: &Item) -> Option<GroupRecord> {
    fn optional<T>(item: &Item, key: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Unreadable> {
        let Some(value) = item.get(key) else { return Ok(None) };
        let text = value.as_s().map_err(|_| Unreadable)?;
        read(text).map(Some).ok_or(Unreadable)
    }
    Some(GroupRecord {
        store: StoreId::parse(text(item, STORE)?).ok()?,
        arn: optional(item, ARN, |arn| StoreArn::parse(arn).ok()).ok()?,
        role: Role::ALL.into_iter().find(|role| Some(role.tag_value()) == text(item, ROLE))?,
        token: optional(item, TOKEN, Token::read).ok()?,
        id: optional(item, ID, |id| SecurityGroupId::parse(id).ok()).ok()?,
        earlier: None,
    })
}
