//! The stack's table: what the functions remember, as a test reads and writes it.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, anyhow, bail};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};

use crate::LocalAws;

impl LocalAws {
    /// The name of the stack's only table.
    ///
    /// # Errors
    ///
    /// When the stack has no table, or several.
    pub fn state_table(&self) -> Result<&str> {
        self.stack.only("AWS::DynamoDB::Table")
    }

    /// Every item of the state table, each an object, sorted by its keys. A set is told as an array.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    pub async fn state_items(&self) -> Result<Vec<Value>> {
        let table = self.state_table()?;
        let mut pages = self.dynamodb().scan().table_name(table).consistent_read(true).into_paginator().items().send();
        let mut items = BTreeMap::new();
        while let Some(item) = pages.next().await {
            let item = told(&AttributeValue::M(item.with_context(|| format!("reading {table}"))?))?;
            items.insert(state_key(&item)?, item);
        }
        Ok(items.into_values().collect())
    }

    /// Writes an item of the state table, whatever is there. An array becomes a list; sets and binary values are for
    /// [`LocalAws::dynamodb`].
    ///
    /// # Errors
    ///
    /// When the item is not an object, or is not taken.
    pub async fn put_state_item(&self, item: &Value) -> Result<()> {
        let AttributeValue::M(attributes) = attribute(item) else { bail!("{item} is no object") };
        let request = self.dynamodb().put_item().table_name(self.state_table()?).set_item(Some(attributes));
        request.send().await.with_context(|| format!("writing {item}"))?;
        Ok(())
    }

    /// Deletes an item of the state table, if it is there.
    ///
    /// # Errors
    ///
    /// When the table cannot be written.
    pub async fn delete_state_item(&self, vpc: &str, entry: &str) -> Result<()> {
        let request = self.dynamodb().delete_item().table_name(self.state_table()?);
        let request = request.key("vpc", AttributeValue::S(vpc.to_owned()));
        request.key("entry", AttributeValue::S(entry.to_owned())).send().await.context("deleting an item")?;
        Ok(())
    }

    /// Empties the state table, as if its contents had been lost.
    ///
    /// # Errors
    ///
    /// When the table cannot be read or written.
    pub async fn forget_state(&self) -> Result<()> {
        for item in self.state_items().await? {
            let (vpc, entry) = state_key(&item)?;
            self.delete_state_item(&vpc, &entry).await?;
        }
        Ok(())
    }
}

fn state_key(item: &Value) -> Result<(String, String)> {
    let key = |name: &str| item.get(name)?.as_str().map(str::to_owned);
    key("vpc").zip(key("entry")).ok_or_else(|| anyhow!("{item} has not the state table's keys"))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the service may add kinds, and the state table has none of them")]
fn told(attribute: &AttributeValue) -> Result<Value> {
    let number = |text: &str| serde_json::from_str::<Value>(text).with_context(|| format!("the number {text:?}"));
    Ok(match attribute {
        AttributeValue::S(text) => Value::from(text.as_str()),
        AttributeValue::N(text) => number(text)?,
        AttributeValue::Bool(truth) => Value::from(*truth),
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::L(list) => list.iter().map(told).collect::<Result<Vec<Value>>>()?.into(),
        AttributeValue::Ss(texts) => texts.clone().into(),
        AttributeValue::Ns(texts) => texts.iter().map(|text| number(text)).collect::<Result<Vec<Value>>>()?.into(),
        AttributeValue::M(map) => {
            let member = |(name, value): (&String, &AttributeValue)| Ok((name.clone(), told(value)?));
            map.iter().map(member).collect::<Result<Map<String, Value>>>()?.into()
        }
        other => bail!("{other:?} has no place in a test"),
    })
}

fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(truth) => AttributeValue::Bool(*truth),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(list) => AttributeValue::L(list.iter().map(attribute).collect()),
        Value::Object(map) => {
            let member = |(name, value): (&String, &Value)| (name.clone(), attribute(value));
            AttributeValue::M(map.iter().map(member).collect::<HashMap<_, _>>())
        }
    }
}
