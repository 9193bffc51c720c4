//! Text of others in every field that an observation has, and what each command makes of it.

use std::collections::BTreeSet;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tagwire_core::{
    cidr::CidrPeer,
    explain::{self, Account},
    id::SecurityGroupId,
    observation::{Gap, InterfaceOwner, Observation, StoreLookup},
    tag::{ConnectionName, DEFAULT_CONNECT_KEY},
};
use tagwire_world::World;

use super::{
    names,
    plan::{PlanView, text as plan_text},
    status::{
        Gathered, json,
        tests::{gathered_of, outputs},
    },
};
use crate::{error::require_complete, instance_names::InstanceNames, output::guarded, session::Place};

/// A line that looks like one of ours, hidden text, a change of the direction of writing, and what steers a terminal.
const HOSTILE: &str =
    "=x\nForged line\r\u{85}Forged line\u{2028}\u{1b}[8m\u{1b}[2J\u{9b}8m\u{202e}\u{2066}\u{200b}\u{feff}\u{e0041}\t";

const WORLD: &str = "instance i-1 connect=orders name=web zone=a
    instance i-2 connect=orders managed-by=eks.amazonaws.com
    instance i-3 connect=\"a$b\"
    instance i-4 name=lost
    instance i-5 connect=ordres groups=web,ec2-rds-9 name=other
    instance i-6 connect=orders hold groups=a,b,c,d,e
    db orders connect=orders allow-cidr=\"203.0.113.0/24 pl-1\" groups=default,web,rds-cidr-1 zone=b
    db busy connect=orders state=modifying
    db odd connect=\"a$b\" allow-cidr=\"a$b\" status=\"odd\"
    cluster worldwide connect=orders global=world
    db member connect=orders member-of=worldwide
    db legacy groups=rds-ec2-9
    pair orders 1 attached-to=i-1,i-4 store-rule=\"udp 5..6 from 10.0.0.0/8\" instance-rule=\"all traffic to 0.0.0.0/0\"
    group ec2-rds-9 rule=\"tcp 5432 to sg-rds-ec2-9\" description=console
    group rds-ec2-9 rule=\"tcp 5432 from sg-ec2-rds-9\" description=console
    group rds-cidr-1 tagged=orders/cidr ours=cidr rule=\"tcp 5432 from 203.0.113.0/24\"
    group web rule=\"all traffic from 203.0.113.0/24\" rule=\"tcp 5432 from pl-2\" rule=\"tcp 5432 from sg-web\"
    group ec2-rds-5 tagged=orders/instance
    interface eni-9 groups=ec2-rds-1 of=\"a function\"
    interface eni-8 groups=ec2-rds-1 of=\"a leftover\" detached
    prefix-list pl-1 owner=999999999999
    allow-cidr
    max 0";

/// The same values with hostile text at the end of one of their fields, for each field that takes it.
fn variants<T: Serialize + DeserializeOwned>(values: &[T]) -> Vec<(String, Vec<T>)> {
    fn paths(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::String(_) => found.push(path.to_owned()),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(place, item)| paths(item, &format!("{path}/{place}"), found));
            }
            Value::Object(fields) => {
                fields.iter().for_each(|(key, field)| {
                    paths(field, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), found);
                });
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let document = serde_json::to_value(values).unwrap();
    let mut found = Vec::new();
    paths(&document, "", &mut found);
    let hostile = found.into_iter().filter_map(|path| {
        let mut document = document.clone();
        let field = document.pointer_mut(&path)?;
        *field = Value::String(format!("{}{HOSTILE}", field.as_str()?));
        // An id takes nothing but the letters of ids.
        Some((path, serde_json::from_value(document).ok()?))
    });
    hostile.collect()
}

/// Worlds of which one field each holds hostile text, and what that field is.
fn hostile_worlds() -> Vec<(String, World)> {
    let world = World::read(WORLD).unwrap();
    let seen = &world.seen;
    let mut worlds: Vec<(String, World)> = Vec::new();
    let mut add = |what: &str, path: String, change: &dyn Fn(&mut Observation)| {
        let mut hostile = world.clone();
        change(&mut hostile.seen);
        worlds.push((format!("{what}{path}"), hostile));
    };
    for (path, found) in variants(&seen.instances.found) {
        add("instances", path, &|seen| seen.instances.found.clone_from(&found));
    }
    for (path, found) in variants(&seen.stores.found) {
        add("stores", path, &|seen| seen.stores.found.clone_from(&found));
    }
    for (path, found) in variants(&seen.groups.found) {
        add("groups", path, &|seen| seen.groups.found.clone_from(&found));
    }
    for (path, found) in variants(&seen.attachments.by.found) {
        add("interfaces", path, &|seen| seen.attachments.by.found.clone_from(&found));
    }
    for (path, found) in variants(&seen.prefix_lists.found) {
        add("prefix lists", path, &|seen| seen.prefix_lists.found.clone_from(&found));
    }
    let gap = Gap::of("tag:GetResources", "page 2", "AccessDenied: no");
    for (path, gaps) in variants(&[gap]) {
        add("gap in stores", path.clone(), &|seen| seen.stores.gaps.clone_from(&gaps));
        add("gap in groups", path.clone(), &|seen| seen.groups.gaps.clone_from(&gaps));
        add("gap in instances", path.clone(), &|seen| seen.instances.gaps.clone_from(&gaps));
        add("gap in prefix lists", path, &|seen| seen.prefix_lists.gaps.clone_from(&gaps));
    }
    worlds
}

/// What every command that shows an observation writes for people.
fn shown(gathered: &Gathered, world: &World) -> Vec<String> {
    let (seen, policy, key) = (&world.seen, &world.policy, DEFAULT_CONNECT_KEY);
    let names: InstanceNames = gathered.instance_names();
    let place = Place { names: [(seen.vpc.clone(), Some(HOSTILE.into()))].into(), ..Place::default() };
    let mut shown = outputs(gathered);
    shown.push(plan_text(&gathered.planned, PlanView { place: &place, all: true, complete: true }));
    shown.push(names::text(&names::carriers(&gathered.survey), &names, true, None));
    let mut explained = Vec::new();
    let stores: BTreeSet<_> = seen.stores.found.iter().map(StoreLookup::arn).collect();
    for instance in &seen.instances.found {
        explained.push(explain::instance(seen, policy, key, &instance.id).to_string());
        for store in stores.iter().filter(|store| ["orders", "worldwide", "legacy"].contains(&store.name())) {
            let explanation = explain::connection(seen, policy, key, &instance.id, store);
            explained.extend([explanation.to_string(), explanation.short()]);
        }
    }
    let groups: BTreeSet<&SecurityGroupId> = seen.groups.found.iter().map(|group| &group.id).collect();
    for group in groups {
        let explanation = explain::group(seen, policy, key, group);
        explained.extend([explanation.to_string(), explanation.short()]);
    }
    let planned: Vec<_> = gathered.planned.iter().map(|(seen, checked)| (seen, checked.plan())).collect();
    let account = Account { survey: &gathered.survey, planned: &planned, policy, connect_key: key };
    explained.extend(stores.iter().map(|store| explain::store(&account, store).to_string()));
    explained.push(explain::client(&account, &CidrPeer::parse("203.0.113.7/32").unwrap(), None).to_string());
    explained.push(explain::client(&account, &CidrPeer::parse("pl-2").unwrap(), None).to_string());
    explained.push(explain::name(&account, &ConnectionName::parse("orders").unwrap()).to_string());
    shown.extend(explained.iter().map(|text| names.label_in(text)));
    shown.extend(require_complete(&gathered.gaps, "the list").err().map(|error| error.text("error")));
    shown
}

#[test]
fn no_text_of_others_forges_a_line_steers_the_terminal_or_hides_in_the_output_of_any_command() {
    let worlds = hostile_worlds();
    let mut reached = BTreeSet::new();
    for (what, world) in &worlds {
        let gathered = gathered_of(world.clone());
        let mut shows = false;
        for text in shown(&gathered, world) {
            shows |= text.contains("Forged line");
            let forged =
                text.split(['\n', '\r', '\u{85}', '\u{2028}']).find(|line| line.trim_start().starts_with("Forged"));
            assert_eq!(forged, None, "{what}: {text}");
            assert!(!text.contains("\u{1b}[8m"), "{what}: {text:?}");
            assert_eq!(guarded(&text), text, "{what}: the last guard finds nothing left to do");
        }
        if shows {
            reached.insert(what.as_str());
        }
        let document = json(&gathered);
        let written = guarded(&format!("{document:#}\n"));
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), document, "{what}");
    }
    // The test looks at what is there: each of these fields is shown by some command.
    for field in ["/0/name", "/1/operator", "/1/description"] {
        assert!(reached.iter().any(|what| what.ends_with(field)), "{field} is not in {reached:#?}");
    }
    assert!(reached.len() > 20, "{reached:#?}");
}

#[test]
fn an_interfaces_description_cannot_forge_a_line_of_the_plan_above_the_question_of_apply() {
    let mut world = World::read("instance i-1 connect=orders\ndb orders connect=orders\npair orders 1\ninterface eni-9 groups=ec2-rds-1 of=\"a function\"").unwrap();
    let forged = "x\n0 changes are pending";
    for attached in &mut world.seen.attachments.by.found {
        attached.owner = InterfaceOwner::Other { description: forged.into() };
    }
    let gathered = gathered_of(world);
    let place = Place::default();
    let text = plan_text(&gathered.planned, PlanView { place: &place, all: true, complete: true });
    assert!(text.contains("eni-9 (x\\n0 changes are pending)"), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("0 changes")), "{text}");
}

#[test]
fn a_cell_that_a_spreadsheet_would_take_for_a_formula_is_none() {
    for beginning in ["=", "+", "-", "@", "\t", "\r"] {
        let mut world = World::read("instance i-1 connect=orders\ndb orders connect=orders groups=web\ngroup web rule=\"tcp 5432 from sg-web\" rule=\"all traffic to 0.0.0.0/0\"").unwrap();
        world.seen.groups.found.iter_mut().for_each(|group| group.name = format!("{beginning}HYPERLINK(1)"));
        world.seen.instances.found[0].interface.as_mut().unwrap().groups =
            [SecurityGroupId::parse("sg-web").unwrap()].into();
        let csv = outputs(&gathered_of(world)).remove(2);
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let cells: Vec<String> =
            reader.records().flat_map(|record| record.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()).collect();
        assert!(cells.iter().any(|cell| cell.contains("HYPERLINK")), "{csv}");
        let dangerous = cells.iter().find(|cell| cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
        assert_eq!(dangerous, None, "{csv}");
    }
}
