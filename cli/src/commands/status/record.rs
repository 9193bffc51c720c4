//! Connections for programs. The form is docs/schemas/status-v3.schema.json; a change that a program
//! could stumble over needs another version.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tagwire_core::{
    connections::{ConnectionStatus, Maker, SideGroup, State},
    id::{InstanceId, StoreArn, VpcId, ZoneName},
    tag::ConnectionName,
    untrusted::Shown,
};

use super::{Gathered, hints::hint_of};
use crate::{error::CommandResult, session::Planned};

/// The version of the JSON document.
pub(super) const JSON_VERSION: u32 = 3;

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
    hint: Option<String>,
}

impl<'row> Record<'row> {
    fn of(row: &'row ConnectionStatus, planned: &[Planned]) -> Self {
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
            hint: hint_of(row, planned),
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
            text(self.hint.as_deref()),
        ]
    }
}

/// One document.
pub(crate) fn json(gathered: &Gathered) -> Value {
    let connections: Vec<Record<'_>> =
        gathered.connections.iter().map(|row| Record::of(row, &gathered.planned)).collect();
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
pub(super) fn csv<'gathered>(gathered: impl IntoIterator<Item = &'gathered Gathered>) -> CommandResult<String> {
    let mut out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    out.write_record(KEYS)?;
    for gathered in gathered {
        for row in &gathered.connections {
            out.write_record(Record::of(row, &gathered.planned).cells().map(|cell| inert(&cell)))?;
        }
    }
    Ok(String::from_utf8(out.into_inner()?)?)
}

/// A cell that no spreadsheet takes for a formula, on one line. Spreadsheets show no apostrophe at the beginning.
fn inert(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("{}{}", if is_formula { "'" } else { "" }, Shown(cell))
}

/// The header of the records, which is written also when there are none.
const KEYS: [&str; 19] = [
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
    "hint",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::status::tests::gathered;

    const SCHEMA: &str = include_str!("../../../../docs/schemas/status-v3.schema.json");

    fn keys(object: &Value) -> BTreeSet<&str> {
        object.as_object().unwrap().keys().map(String::as_str).collect()
    }

    fn required(schema: &Value) -> BTreeSet<&str> {
        schema["required"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect()
    }

    /// A validator checks the whole schema in the end-to-end tests; this test finds what a change of the code
    /// could forget.
    #[test]
    fn every_key_is_in_the_schema_in_the_records_and_nowhere_else() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let document = json(&gathered(
            "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\ngap stores",
        ));
        let connection = &schema["$defs"]["connection"];
        for (object, schema) in [
            (&document, &schema),
            (&document["connections"][0], connection),
            (&document["connections"][0]["store_side"], &schema["$defs"]["group"]),
            (&document["gaps"][0], &schema["$defs"]["gap"]),
        ] {
            assert_eq!((keys(object), keys(object)), (required(schema), keys(&schema["properties"])), "{object}");
        }
        assert_eq!(keys(&document["connections"][0]), KEYS.into());
        assert_eq!((&document["version"], &document["complete"]), (&json!(JSON_VERSION), &json!(false)));
        let words = |key: &str| connection["properties"][key]["enum"].clone();
        assert_eq!(words("state"), json!(State::ALL.map(State::word)));
        let titles: Vec<&str> = tagwire_core::service::Service::ALL.iter().map(|service| service.row().title).collect();
        assert_eq!(words("service"), json!(titles));
        let makers = [Maker::Tagwire, Maker::Console, Maker::Other].map(Maker::word);
        assert_eq!(words("made_by"), json!([makers[0], makers[1], makers[2], null]));
    }

    #[test]
    fn a_client_that_is_no_instance_is_told_apart() {
        let world = "db orders connect=orders allow-cidr=203.0.113.0/24\nallow-cidr";
        let document = json(&gathered(world));
        let row = &document["connections"][0];
        assert_eq!((&row["instance"], &row["client"]), (&Value::Null, &json!("203.0.113.0/24")));
        assert_eq!((&row["state"], &row["code"]), (&json!("waiting"), &json!("connecting")));
    }

    #[test]
    fn cells_with_commas_and_quotes_are_quoted() {
        let world = "instance i-1 connect=orders\ndb orders connect=orders state=\"a,b\"";
        let written = csv([&gathered(world)]).unwrap();
        assert!(written.starts_with("vpc,instance,client,") && written.ends_with("\r\n"), "{written:?}");
        let mut reader = csv::Reader::from_reader(written.as_bytes());
        let record = reader.records().next().unwrap().unwrap();
        assert_eq!(record.len(), KEYS.len());
        let reason = "its state is \"a,b\", in which its groups cannot be changed; it is looked at again";
        assert_eq!((record.get(1), record.get(17)), (Some("i-1"), Some(reason)));
        let none = Gathered { connections: Vec::new(), ..gathered("instance i-1") };
        assert_eq!(csv([&none]).unwrap().trim_end(), KEYS.join(","));
    }
}
