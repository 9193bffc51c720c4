//! Connections for programs. The form is docs/schemas/status-v1.schema.json; a change that a program
//! could stumble over needs another version.

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tagwire_core::{
    id::{InstanceId, StoreArn, VpcId, ZoneName},
    status::{ConnectionStatus, Maker, SideGroup, State},
    tag::ConnectionName,
};

use super::Gathered;

/// The version of the JSON document's form.
pub(super) const JSON_VERSION: u32 = 1;

/// One connection.
#[derive(Serialize)]
struct Record<'row> {
    vpc: &'row VpcId,
    instance: Option<&'row InstanceId>,
    client: String,
    instance_zone: Option<&'row ZoneName>,
    store: &'row StoreArn,
    store_name: String,
    service: &'static str,
    store_zones: Vec<&'row ZoneName>,
    cross_az: bool,
    ports: Option<String>,
    names: Vec<&'row ConnectionName>,
    store_side: Option<&'row SideGroup>,
    instance_side: Option<&'row SideGroup>,
    made_by: Option<Maker>,
    since: Option<Timestamp>,
    state: State,
    code: Option<&'static str>,
    reason: Option<&'row str>,
}

impl<'row> Record<'row> {
    fn of(row: &'row ConnectionStatus) -> Self {
        Self {
            vpc: &row.vpc,
            instance: row.client.instance(),
            client: row.client.to_string(),
            instance_zone: row.instance_zone.as_ref(),
            store: &row.store,
            store_name: row.store.short(),
            service: row.service.row().title,
            store_zones: row.store_zones.iter().collect(),
            cross_az: row.cross_az,
            ports: row.ports.map(|ports| ports.to_string()),
            names: row.names.iter().collect(),
            store_side: row.store_side.as_ref(),
            instance_side: row.instance_side.as_ref(),
            made_by: row.made_by,
            since: row.since,
            state: row.state,
            code: row.code,
            reason: row.reason.as_deref(),
        }
    }

    /// The values, each in one cell, in the order of [`KEYS`].
    fn cells(&self) -> [String; KEYS.len()] {
        let words = |words: &mut dyn Iterator<Item = &str>| words.collect::<Vec<_>>().join(" ");
        let side = |group: Option<&SideGroup>| group.map(|group| format!("{} {}", group.name, group.id));
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        [
            self.vpc.to_string(),
            text(self.instance.map(InstanceId::as_str)),
            self.client.clone(),
            text(self.instance_zone.map(ZoneName::as_str)),
            self.store.to_string(),
            self.store_name.clone(),
            self.service.to_owned(),
            words(&mut self.store_zones.iter().map(|zone| zone.as_str())),
            self.cross_az.to_string(),
            text(self.ports.as_deref()),
            words(&mut self.names.iter().map(|name| name.as_str())),
            side(self.store_side).unwrap_or_default(),
            side(self.instance_side).unwrap_or_default(),
            text(self.made_by.map(Maker::word)),
            self.since.map(|since| since.to_string()).unwrap_or_default(),
            self.state.word().to_owned(),
            text(self.code),
            text(self.reason),
        ]
    }
}

/// One document.
pub(super) fn json(gathered: &Gathered) -> Value {
    let connections: Vec<Record<'_>> = gathered.connections.iter().map(Record::of).collect();
    json!({
        "version": JSON_VERSION,
        "account": gathered.account,
        "region": gathered.region,
        "observed_at": gathered.observed_at,
        "complete": gathered.gaps.is_empty(),
        "connections": connections,
        "gaps": gathered.gaps,
    })
}

/// A header and one record a connection, as RFC 4180 has them.
pub(super) fn csv(connections: &[ConnectionStatus]) -> Result<String> {
    let mut out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    out.write_record(KEYS)?;
    for row in connections {
        out.write_record(Record::of(row).cells())?;
    }
    Ok(String::from_utf8(out.into_inner()?)?)
}

/// The header of the records, which is written also when there are none.
const KEYS: [&str; 18] = [
    "vpc",
    "instance",
    "client",
    "instance_zone",
    "store",
    "store_name",
    "service",
    "store_zones",
    "cross_az",
    "ports",
    "names",
    "store_side",
    "instance_side",
    "made_by",
    "since",
    "state",
    "code",
    "reason",
];
