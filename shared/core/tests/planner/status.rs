//! The status tag: what stands beside a connect tag for the person who set it.

use tagwire_core::plan::{Plan, StatusOf};
use tagwire_world::World;

use crate::case::case;

/// The plan with status tags switched on.
fn statuses(world: &str) -> Plan {
    case(&format!("{world}\nstatus-tags")).plan
}

/// What is written in a plan, as lines; `-` where a tag is taken away.
fn written(world: &str) -> Vec<String> {
    let line = |plan: &Plan| {
        let lines = plan.statuses.iter().map(|change| {
            let of = match &change.of {
                StatusOf::Instance(id) => id.to_string(),
                StatusOf::Store(arn) => arn.name().to_owned(),
            };
            format!("{of}: {}", change.text.as_deref().unwrap_or("-"))
        });
        lines.collect()
    };
    line(&statuses(world))
}

#[test]
fn nothing_is_written_unless_it_is_switched_on() {
    assert_eq!(case("instance i-1 connect=orders status=old\ndb orders connect=orders").plan.statuses, []);
}

#[test]
fn both_sides_are_told_what_they_are_connected_to() {
    let there = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1";
    assert_eq!(written(there), ["i-1: connected: orders", "orders: connected: i-1"]);
    let plan = statuses("instance i-1 connect=orders\ndb orders connect=orders\npair orders 1");
    assert_eq!(
        plan.changes(),
        [
            "attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders",
            "write on i-1: tagwire:status=\"connected: orders\"",
            "write on db/orders: tagwire:status=\"connected: i-1\"",
        ]
    );
    // It is true only when the steps succeed that make it so.
    assert!(plan.statuses.iter().all(|change| change.awaits.len() == 1));
    assert!(statuses(there).statuses.iter().all(|change| change.awaits.is_empty()));
}

#[test]
fn nothing_is_written_that_stands_there_already() {
    let world = "instance i-1 connect=orders status=\"connected: orders\"
         db orders connect=orders status=\"connected: i-1\"
         pair orders 1 attached-to=i-1";
    assert_eq!(written(world), Vec::<String>::new());
}

#[test]
fn what_is_connected_stands_before_what_is_not_and_why() {
    let world = "instance i-1 connect=orders,billing,lost
         db orders connect=orders
         db more connect=orders
         cluster billing connect=billing serverless-v1
         pair orders 1 attached-to=i-1
         pair more 2 attached-to=i-1
         scope i-1";
    assert_eq!(written(world), ["i-1: connected: more orders / no-match: lost / serverless-v1: billing"]);
}

#[test]
fn a_refusal_stands_there_with_its_code() {
    for (world, text) in [
        ("instance i-1 connect=orders hold\ndb orders connect=orders", "held: orders"),
        ("instance i-1 connect=orders block\ndb orders connect=orders", "blocked: orders"),
        (
            "instance i-1 connect=orders groups=quarantine\ndb orders connect=orders\nisolation quarantine",
            "blocked: orders",
        ),
        ("instance i-1 connect=orders\ndb orders connect=orders state=deleting", "not-available: orders"),
        ("instance i-1 connect=orders\ndb orders connect=orders state=modifying", "not-available: orders"),
        ("instance i-1 connect=orders groups=a,b,c,d,e\ndb orders connect=orders", "interface-group-limit: orders"),
        ("instance i-1 connect=orders\ndb orders connect=orders vpc=2", "different-vpc: orders"),
        ("instance i-1 connect=orders", "no-match: orders"),
        ("instance i-1 connect=\"\"", "no-match"),
        ("instance i-1 connect=\"a,b\"", "invalid-tag"),
        (
            "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1\nattached i-1 ec2-rds-1 tag=orders contested",
            "contested: orders",
        ),
    ] {
        assert_eq!(written(&format!("{world}\nscope i-1")), [format!("i-1: {text}")], "{world}");
    }
}

#[test]
fn what_is_blocked_is_told_so_in_the_plan_that_takes_the_connection_away() {
    let world = "instance i-1 connect=orders block status=\"connected: orders\"
         db orders connect=orders status=\"connected: i-1\"
         pair orders 1 attached-to=i-1";
    assert_eq!(written(world), ["i-1: blocked: orders", "orders: blocked: i-1"]);
}

#[test]
fn what_somebody_else_connects_is_connected_all_the_same() {
    let world = "instance i-1 connect=orders block
         db orders connect=orders
         pair orders 1 attached-to=i-1
         pair orders 2 attached-to=i-1 made-by=console
         scope i-1";
    assert_eq!(written(world), ["i-1: connected: orders"]);
    assert_eq!(written(&world.replace("made-by=console", "")), ["i-1: blocked: orders"]);
}

#[test]
fn what_is_disconnected_is_no_longer_named() {
    let world = "instance i-1 connect=orders,billing status=\"connected: billing orders\"
         db orders connect=other status=\"connected: i-1\"
         db billing connect=billing status=\"connected: i-1\"
         pair orders 1 attached-to=i-1
         pair billing 2 attached-to=i-1";
    assert_eq!(written(world), ["i-1: connected: billing / no-match: orders", "orders: no-match: other"]);
}

#[test]
fn what_is_held_back_is_still_connected_and_says_so_although_the_tag_is_gone() {
    let world = "instance i-1 status=\"connected: orders\"
         db orders connect=orders status=\"connected: i-1\"
         pair orders 1 attached-to=i-1
         max 0";
    assert_eq!(
        written(world),
        ["i-1: disconnects-held-back: orders", "orders: disconnects-held-back: i-1 / no-match: orders"]
    );
}

#[test]
fn without_a_connect_tag_the_status_is_taken_away_if_it_is_there() {
    assert_eq!(written("instance i-1 status=\"connected: orders\""), ["i-1: -"]);
    assert_eq!(written("db orders status=\"connected: i-1\""), ["orders: -"]);
    assert_eq!(written("instance i-1\ndb orders"), Vec::<String>::new());
    let leaving = "instance i-1 status=\"connected: orders\"\ndb orders connect=\"\" status=no-match\npair orders 1 attached-to=i-1";
    let plan = statuses(leaving);
    let [change] = plan.statuses.as_slice() else { panic!("{plan}") };
    assert_eq!((change.text.clone(), change.awaits.len()), (None, 1));
    assert_eq!(plan.changes().last().unwrap(), "take the status off i-1");
}

#[test]
fn eight_are_named_and_the_others_counted() {
    let instances: Vec<String> = (1..=11).map(|index| format!("instance i-{index:02} connect=orders")).collect();
    let instances = instances.join("\n");
    let attached: Vec<String> = (1..=11).map(|index| format!("i-{index:02}")).collect();
    let world = |attached: &[String]| {
        format!("{instances}\ndb orders connect=orders\npair orders 1 attached-to={}\nscope orders", attached.join(","))
    };
    assert_eq!(written(&world(&attached)), ["orders: connected: i-01 i-02 i-03 i-04 i-05 i-06 i-07 i-08 +3"]);
}

#[test]
fn no_text_is_longer_than_a_tag_s_value() {
    let stores: Vec<String> = (1..=8)
        .map(|index| {
            let name = format!("{}-{index}", "long".repeat(14));
            format!("db {name} connect=orders\npair {name} {index} attached-to=i-1")
        })
        .collect();
    let lines = written(&format!("instance i-1 connect=orders\n{}\nscope i-1\nlimit 16", stores.join("\n")));
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let text = line.strip_prefix("i-1: ").unwrap();
    assert_eq!(text.chars().count(), 256);
    assert!(text.starts_with("connected: longlong"));
}

#[test]
fn every_character_is_one_that_every_service_takes_in_a_tag() {
    let world = "instance i-1 connect=orders,lost,a.b_c
         instance i-2 connect=orders block
         db orders connect=orders
         pair orders 1 attached-to=i-1";
    for line in written(world) {
        let (_, text) = line.split_once(": ").unwrap();
        assert!(text.chars().all(|symbol| symbol.is_ascii_alphanumeric() || " _.:/=+-@".contains(symbol)), "{text}");
    }
}

#[test]
fn only_what_the_scope_names_is_told_for_of_the_rest_only_a_part_was_seen() {
    let world = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1";
    assert_eq!(written(&format!("{world}\nscope i-1")), ["i-1: connected: orders"]);
    assert_eq!(written(&format!("{world}\nscope orders")), ["orders: connected: i-1"]);
}

#[test]
fn nothing_is_written_from_an_incomplete_reading() {
    let world = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1";
    for gap in ["instances", "stores", "groups"] {
        assert_eq!(written(&format!("{world}\ngap {gap}")), Vec::<String>::new(), "{gap}");
    }
}

#[test]
fn an_instance_that_is_gone_is_told_nothing() {
    assert_eq!(written("instance i-1 connect=orders gone"), Vec::<String>::new());
}

#[test]
fn only_stores_of_a_service_that_stands_a_tag_change_are_told() {
    let world = "instance i-1 connect=orders\ndb orders connect=orders\ndocdb papers connect=orders\nneptune graph connect=orders";
    let world = World::read(&format!("{world}\nstatus-tags")).unwrap();
    let plan = crate::case::holds(&world).unwrap();
    for store in world.seen.present_stores().into_values() {
        let told = plan.statuses.iter().any(|change| change.of == StatusOf::Store(store.arn.clone()));
        assert_eq!(told, store.service.row().takes_status_tag, "{}", store.arn);
    }
}
