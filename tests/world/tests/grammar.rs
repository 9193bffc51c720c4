//! The grammar of worlds.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails its test")]

use jiff::Timestamp;
use tagwire_core::{
    group::Ownership,
    id::{InstanceId, StoreId},
    model::Membership,
    observation::{InterfaceOwner, Scope, StoreLookup},
    state::{Attached, Connection, CountedRemoval, Removal},
};
use tagwire_world::{BadWorld, Unread, World, reaches};

fn read(text: &str) -> World {
    World::read(text).unwrap()
}

fn refused(text: &str) -> String {
    World::read(text).unwrap_err().to_string()
}

#[test]
fn a_pair_is_owned_attached_to_its_store_and_whole_unless_the_line_says_otherwise() {
    let world = read(
        "instance i-1 connect=orders   # a comment
         db orders connect=orders

         pair orders 1 attached-to=i-1",
    );
    let [store_side, instance_side] = world.seen.groups.found.as_slice() else { panic!("two groups") };
    assert!(matches!(store_side.ownership(), Ownership::Owned(_)));
    assert!(matches!(instance_side.ownership(), Ownership::Owned(_)));
    let rules =
        |group: &tagwire_core::group::SecurityGroup| group.rules.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(rules(store_side), ["tcp 5432 from sg-ec2-rds-1"]);
    assert_eq!(rules(instance_side), ["tcp 5432 to sg-rds-ec2-1"]);
    let Some(StoreLookup::Found(store)) = world.seen.stores.found.first() else { panic!("a store") };
    assert_eq!(store.groups.get(&store_side.id), Some(&Membership::Active));
    let instance = &world.seen.instances.found[0];
    assert!(instance.has_group(&instance_side.id));
    assert!(reaches(&world.seen, &instance.id, &store.arn, Unread::LetsNothing));
}

#[test]
fn a_scope_names_instances_and_stores() {
    let world = read("cluster orders\nscope i-1 orders billing");
    let Scope::Some { instances, stores } = &world.seen.scope else { panic!("not a scope of some") };
    assert_eq!(instances.len(), 1);
    assert_eq!(
        stores.iter().map(|arn| format!("{:?} {}", arn.kind(), arn.name())).collect::<Vec<_>>(),
        ["DbCluster orders", "DbInstance billing"]
    );
}

#[test]
fn what_is_remembered_lies_so_many_minutes_back() {
    let world = read(
        "instance i-1
         cluster orders
         removed 8 ago=5
         removed 1 i-1 orders ago=20
         wanted i-1 orders ago=7
         unused ec2-rds-1 ago=9
         attached i-1 ec2-rds-1 tag=\"a b\" ago=60 again=30,10 contested
         attached orders rds-ec2-1",
    );
    let at = |minutes: i64| Timestamp::from_second(-60 * minutes).unwrap();
    let Ok(state) = &world.seen.state else { panic!("a state") };
    let wanted: Vec<_> = state.wanted.iter().map(|(removal, wanted)| (removal.clone(), wanted.since)).collect();
    let connection =
        Connection { instance: InstanceId::parse("i-1").unwrap(), store: StoreId::parse("cluster-orders").unwrap() };
    let removal = Removal::Connection(connection);
    assert_eq!(wanted, [(removal.clone(), at(7))]);
    let counted = |minutes, connections, of| CountedRemoval { at: at(minutes), connections, of };
    assert_eq!(
        (state.window.version, &state.window.removals),
        (2, &vec![counted(5, 8, None), counted(20, 1, Some(removal))])
    );
    assert_eq!(state.unused.values().copied().collect::<Vec<_>>(), [at(9)]);
    let attached: Vec<&Attached> = state.attached.values().collect();
    let first = Attached { tag: "a b".into(), since: at(60), again: vec![at(30), at(10)], contested: true };
    let second = Attached { tag: String::new(), since: at(0), again: Vec::new(), contested: false };
    assert_eq!(attached, [&first, &second]);
}

#[test]
fn a_store_that_is_gone_is_listed_nowhere_unless_that_is_not_sure() {
    let world = read("gone orders\ngone billing unsure");
    assert_eq!(world.seen.absent.iter().map(StoreId::as_str).collect::<Vec<_>>(), ["db-orders"]);
    assert_eq!(world.seen.stores.found.len(), 2);
}

#[test]
fn other_interfaces_belong_to_an_instance_or_to_something_else() {
    let world = read("interface eni-8 groups=a,b of=i-1 primary\ninterface eni-9 groups=a of=\"a function\"");
    let [of_instance, of_other] = world.seen.attachments.by.found.as_slice() else { panic!("two interfaces") };
    assert!(matches!(&of_instance.owner, InterfaceOwner::Instance { primary: true, .. }));
    assert_eq!(of_instance.groups.len(), 2);
    assert_eq!(of_other.owner, InterfaceOwner::Other { description: "a function".into() });
    let world = read("interface eni-8 groups=a of=i-1 copies\ninterface eni-9 groups=a of=\"a leftover\" detached");
    let [copying, leftover] = world.seen.attachments.by.found.as_slice() else { panic!("two interfaces") };
    assert!(matches!(&copying.owner, InterfaceOwner::Instance { primary: false, copies: true, .. }));
    assert_eq!(leftover.owner, InterfaceOwner::Nobody { description: "a leftover".into() });
}

#[test]
fn every_gap_is_in_the_reading_it_names() {
    for what in ["instances", "stores", "groups", "attached_interfaces", "templates", "state"] {
        let world = read(&format!("gap {what} lasting"));
        let gaps: Vec<bool> = world.seen.gaps().map(|gap| gap.passing).collect();
        assert_eq!(gaps, [false], "{what}");
    }
}

#[test]
fn a_connect_tag_in_quotes_is_taken_as_it_stands() {
    let world = read("instance i-1 connect=a,b\ninstance i-2 connect=\"a,b\"\ninstance i-3 connect=\"a b\"");
    let [plain, raw, words] = world.seen.instances.found.as_slice() else { panic!("three instances") };
    assert_eq!(plain.settings, words.settings);
    assert_eq!(raw.settings.connect.names().count(), 0);
}

#[test]
fn an_error_names_its_line_and_what_is_wrong_with_it() {
    assert_eq!(
        World::read("instance i-1\n\ninstanse i-2"),
        Err(BadWorld { line: 3, problem: "there is no line that begins with \"instanse\"".into() })
    );
    assert_eq!(refused("instance 1"), "line 1: \"1\" is not an instance id such as i-0a1b2c3d");
    assert_eq!(refused("instance i-1 blocked"), "line 1: \"blocked\" means nothing on the line of instance");
    assert_eq!(refused("db a\ndb a"), "line 2: a is there already");
    assert_eq!(refused("db a port=x"), "line 1: \"x\" is not a port");
    assert_eq!(refused("db a groups=b:gone"), "line 1: \"gone\" is not a membership");
    assert_eq!(refused("db a connect=\"b"), "line 1: a quote is not closed");
    assert_eq!(refused("db a\npair a 1 attached-to=i-1"), "line 2: there is no i-1 to have it");
    assert_eq!(refused("pair a 1\npair b 1"), "line 2: sg-rds-ec2-1 is there already");
    assert_eq!(refused("pair a 1 store-rule=\"tcp\""), "line 1: \"tcp\" is not a rule");
    assert_eq!(
        refused("gap tags"),
        "line 1: \"tags\" is none of instances, stores, groups, attached_interfaces, templates, prefix-lists, state"
    );
}
