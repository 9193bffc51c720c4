//! What is so now, what the next run changes, and what can be done about it, for each world that is not plain.

use tagwire_core::explain::Explanation;

use crate::explain::{first, world};

fn explained(text: &str) -> Explanation {
    first(&world(text))
}

#[track_caller]
fn assert_told(text: &str, now: &str, next: &[&str]) {
    let explanation = explained(text);
    assert_eq!(
        (explanation.now.as_str(), explanation.next.as_slice()),
        (now, next.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()),
        "{text}"
    );
    let (long, short) = (explanation.to_string(), explanation.short());
    let is_plain = next.is_empty() && explanation.message.ends_with(now);
    for shown in [long].into_iter().chain((!is_plain).then_some(short)) {
        assert!(shown.contains(&format!("\nNow:       {now}\n")), "{shown}");
        let first = next.first().unwrap_or(&"changes nothing between the two");
        assert!(shown.contains(&format!("\nNext run:  {first}\n")), "{shown}");
    }
}

const JOINED: &str = "connected by tagwire through sg-ec2-rds-1 and sg-rds-ec2-1";

#[test]
fn on_hold_what_is_connected_stays_and_what_is_not_stays_so() {
    assert_told(
        "instance i-1 connect=orders hold\ndb orders connect=orders\npair orders 1 attached-to=i-1",
        JOINED,
        &[],
    );
    assert_told("instance i-1 hold\ndb orders connect=orders\npair orders 1 attached-to=i-1", JOINED, &[]);
    assert_told(
        "instance i-1 connect=orders hold\ndb orders connect=orders\npair orders 1",
        "the data store has its group of the pair, sg-rds-ec2-1 (rds-ec2-1), and the instance has none",
        &[],
    );
}

#[test]
fn without_a_tag_it_is_connected_now_and_the_next_run_detaches_the_group() {
    let detach = "detach sg-ec2-rds-1 from eni-1 of i-1: the instance has no connect tag (db/orders)";
    let untagged = "instance i-1\ndb orders connect=orders\npair orders 1 attached-to=i-1";
    assert_told(untagged, JOINED, &[detach]);
    assert_told(&format!("{untagged}\nmax 0"), JOINED, &[]);
    assert!(explained(&format!("{untagged}\nmax 0")).message.contains("stays connected for now"));
}

#[test]
fn of_a_data_store_that_is_gone_the_group_that_is_left_is_told_and_what_becomes_of_it() {
    let left = "the instance has sg-ec2-rds-1 (ec2-rds-1), the instance side of a data store that was not found";
    let world = "instance i-1 connect=orders\ngone orders\npair orders 1 attached-to=i-1";
    let next = explained(world).next;
    assert_eq!(next.len(), 5, "{next:?}");
    assert_told(world, left, &next.iter().map(String::as_str).collect::<Vec<_>>());

    let unsure = "instance i-1 connect=orders\ngone orders unsure\npair orders 1 attached-to=i-1";
    assert_told(unsure, left, &[]);
    let explanation = explained(unsure);
    assert_eq!(explanation.first_failing().map(|(_, failure)| failure.code), Some("store-unknown"), "{explanation}");
}

#[test]
fn who_reaches_a_copy_by_the_group_of_its_source_is_not_said_to_be_shut_out() {
    let now =
        "let in through sg-ec2-rds-1 and sg-rds-ec2-1, which were made for db/orders: db/copy took sg-rds-ec2-1 over";
    let untagged = "instance i-1 connect=orders\ndb copy groups=rds-ec2-1\ndb orders connect=orders\npair orders 1 attached-to=i-1";
    assert_told(untagged, now, &[]);
    let explanation = explained(untagged);
    assert!(explanation.message.starts_with(&format!("i-1 and db/copy: {now}")), "{explanation}");
    assert!(explanation.remedy.iter().any(|line| line.contains("sg-rds-ec2-1")), "{explanation}");

    let tagged = "instance i-1 connect=orders\ndb copy connect=orders groups=rds-ec2-1\npair copy 2\ndb orders connect=orders\npair orders 1 attached-to=i-1";
    assert_told(tagged, now, &["attach sg-ec2-rds-2 to eni-1 of i-1: shares orders with db/copy"]);
}

#[test]
fn the_advice_for_a_full_interface_offers_no_group_of_tagwires_and_says_which_connection_would_be_lost() {
    let full = "instance i-1 connect=orders,other groups=a,b,ec2-rds-7,ec2-rds-8,ec2-rds-9
        db orders connect=orders
        db other connect=other
        db console connect=console
        pair other 7
        pair console 8 made-by=console
        group ec2-rds-9 ours=instance";
    let remedy = explained(full).remedy;
    assert_eq!(
        remedy.get(..3).unwrap_or_default(),
        [
            "take a group that is not tagwire's off eni-1: sg-a, sg-b, sg-ec2-rds-8 (with it goes the connection with db/console)",
            "or give up a connection, by taking its names out of tagwire:connect of i-1: db/other (other)",
            "or raise quota L-2AFB9258 to 6, and deploy with the new limit when it is raised:",
        ],
        "{remedy:?}"
    );

    let only_ours = "instance i-1 connect=orders groups=ec2-rds-7\ndb orders connect=orders\ndb other connect=orders\npair other 7\nlimit 1";
    let remedy = explained(only_ours).remedy;
    assert!(remedy.first().is_some_and(|line| line.starts_with("raise quota ")), "{remedy:?}");
    assert!(!remedy.join("\n").contains("ec2-rds-7"), "{remedy:?}");
}

#[test]
fn the_advice_for_a_full_data_store_offers_no_group_of_tagwires() {
    let full = "instance i-1 connect=orders
        db orders connect=orders groups=a,b,c,d,rds-cidr-1 allow-cidr=203.0.113.0/24
        group rds-cidr-1 tagged=orders/cidr ours=cidr rule=\"tcp 5432 from 203.0.113.0/24\"
        allow-cidr";
    let remedy = explained(full).remedy;
    assert!(remedy.iter().any(|line| line.ends_with("which takes 5: sg-a, sg-b, sg-c, sg-d")), "{remedy:?}");
}

#[test]
fn of_many_groups_the_first_five_are_named_and_the_rest_is_counted() {
    let groups: Vec<String> = (1..=12).map(|number| format!("g{number:02}")).collect();
    let text = format!("instance i-1 connect=orders groups={}\ndb orders connect=orders\nlimit 12", groups.join(","));
    let shown = explained(&text).short();
    assert!(shown.contains("eni-1 has 12 of 12: sg-g01, sg-g02, sg-g03, sg-g04, sg-g05 and 7 more\n"), "{shown}");
    assert!(!shown.contains("sg-g06"), "{shown}");
}
