//! Explanations that begin with a data store, a client that is no instance, or a name.

use tagwire_core::{
    cidr::CidrPeer,
    connections::Survey,
    explain::{self, Account, Overview},
    id::StoreArn,
    observation::{Observation, Reading},
    plan::{Plan, plan},
    tag::{ConnectionName, DEFAULT_CONNECT_KEY},
};
use tagwire_world::World;

use crate::explain::world;

/// What an account with nothing but one VPC has.
fn of_account(world: &World, overview: impl Fn(&Account<'_>) -> Overview) -> Overview {
    let seen = &world.seen;
    let survey = Survey {
        stores: Reading::complete(seen.present_stores().into_values().cloned().collect()),
        groups: Reading::complete(seen.groups.found.clone()),
        instances: Reading::complete(seen.instances.found.clone()),
    };
    let plan = plan(seen, &world.policy);
    let planned: [(&Observation, &Plan); 1] = [(seen, &plan)];
    overview(&Account { survey: &survey, planned: &planned, policy: &world.policy, connect_key: DEFAULT_CONNECT_KEY })
}

fn store_arn(name: &str) -> StoreArn {
    StoreArn::parse(format!("arn:aws:rds:eu-central-1:123456789012:db:{name}")).unwrap()
}

fn of_store(text: &str, name: &str) -> Overview {
    of_account(&world(text), |account| explain::store(account, &store_arn(name)))
}

fn of_client(text: &str, client: &str, store: Option<&str>) -> Overview {
    let (client, store) = (CidrPeer::parse(client).unwrap(), store.map(store_arn));
    of_account(&world(text), |account| explain::client(account, &client, store.as_ref()))
}

fn of_name(text: &str, name: &str) -> Overview {
    let name = ConnectionName::parse(name).unwrap();
    of_account(&world(text), |account| explain::name(account, &name))
}

#[test]
fn a_data_store_tells_who_is_connected_who_is_not_why_and_what_the_next_run_changes() {
    let text = "instance i-1 connect=orders
        instance i-2 connect=orders groups=a,b,c,d,e
        instance i-3 connect=orders
        instance i-4
        db orders connect=orders
        pair orders 1 attached-to=i-1,i-4";
    assert_eq!(
        of_store(text, "orders").short(),
        "db/orders: 2 connected, 1 waiting, 1 refused

What it is:
  db/orders (RDS, db-orders) in vpc-1, tcp 5432, state \"available\": has sg-default, sg-rds-ec2-1
  tags: tagwire:connect=orders

Connections:
  i-2 refused (interface-group-limit): eni-2 has no free place: it takes 5 security groups (raise quota L-2AFB9258, and the InterfaceGroupLimit parameter with it)
  i-3 waiting (connecting): the tags ask for it, and the next run of tagwire makes it
  i-4 connected (disconnecting): the instance has no connect tag
  i-1 connected: made by tagwire

Next run:
  attach sg-ec2-rds-1 to eni-3 of i-3: shares orders with db/orders
  detach sg-ec2-rds-1 from eni-4 of i-4: the instance has no connect tag (db/orders)

What to change:
  tagwire explain i-2 db/orders
  tagwire explain i-4 db/orders
"
    );
}

#[test]
fn a_data_store_without_a_tag_says_so_and_gets_one() {
    let alone = of_store("instance i-1 connect=orders\ndb orders", "orders");
    assert_eq!(alone.message, "db/orders: nobody is connected, and nobody's tags ask for it");
    let set = "aws rds add-tags-to-resource --resource-name arn:aws:rds:eu-central-1:123456789012:db:orders --tags 'Key=tagwire:connect,Value=orders'";
    assert_eq!(alone.remedy, [set]);
    let nowhere = of_store("db orders", "nothing");
    assert_eq!(nowhere.message, "db/nothing: no such data store was found");
}

#[test]
fn of_a_data_store_that_is_gone_what_is_left_is_told() {
    let gone = of_store("instance i-1 connect=orders\ngone orders\npair orders 1 attached-to=i-1", "orders");
    assert!(gone.message.starts_with("db/orders: no such data store was found; of what is left: "), "{gone}");
    assert!(gone.next.iter().any(|line| line.starts_with("delete sg-rds-ec2-1")), "{gone}");
}

#[test]
fn many_clients_of_a_data_store_are_counted_after_the_first_five() {
    let numbers = 1..=9;
    let instances: Vec<String> = numbers.clone().map(|number| format!("instance i-{number} connect=orders")).collect();
    let attached: Vec<String> = numbers.map(|number| format!("i-{number}")).collect();
    let text =
        format!("{}\ndb orders connect=orders\npair orders 1 attached-to={}", instances.join("\n"), attached.join(","));
    let overview = of_store(&text, "orders");
    assert!(
        overview.short().contains("  i-5 connected: made by tagwire\n  and 4 more connected; -v shows all\n"),
        "{overview}"
    );
    assert!(overview.to_string().contains("  i-9 connected: made by tagwire\n"), "{overview}");
}

#[test]
fn an_address_tells_which_data_stores_let_it_in_through_which_group_and_which_do_not_although_asked() {
    let text = "db orders connect=orders allow-cidr=203.0.113.0/24 groups=rds-cidr-1
        db wide connect=wide allow-cidr=203.0.0.0/8
        db open connect=open groups=web
        db closed connect=closed
        group rds-cidr-1 tagged=orders/cidr ours=cidr rule=\"tcp 5432 from 203.0.113.0/24\"
        group web rule=\"all traffic from 0.0.0.0/0\"
        allow-cidr";
    let shown = of_client(text, "203.0.113.7/32", None).short();
    for line in [
        "203.0.113.7/32: 2 connected, 1 refused\n",
        "  db/orders connected: as a part of 203.0.113.0/24; by sg-rds-cidr-1 (rds-cidr-1); made by tagwire\n",
        "  db/open connected: as a part of 0.0.0.0/0; by the rule all traffic from 0.0.0.0/0 of sg-web (web), which is not tagwire's\n",
        "  no rule of these lets it in, and no tag asks for it: db/closed\n",
        "  tagwire explain db/wide\n",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
    assert!(shown.contains("  db/wide refused (cidr-too-wide): as a part of 203.0.0.0/8; "), "{shown}");
    let wider = of_client(text, "203.0.0.0/16", Some("orders")).short();
    assert!(wider.contains("  db/orders connected: 203.0.113.0/24 only, which is a part of it; "), "{wider}");
}

#[test]
fn an_address_that_a_data_store_does_not_let_in_gets_the_tag_that_would() {
    let text = "db orders connect=orders allow-cidr=198.51.100.0/24\nallow-cidr";
    let overview = of_client(text, "203.0.113.7/32", Some("orders"));
    assert_eq!(overview.message, "203.0.113.7/32: let in by no group of a data store");
    assert!(overview.facts[0].ends_with("its tag tagwire:allow-cidr names only 198.51.100.0/24"), "{overview}");
    let set = "aws rds add-tags-to-resource --resource-name arn:aws:rds:eu-central-1:123456789012:db:orders --tags 'Key=tagwire:allow-cidr,Value=198.51.100.0/24 203.0.113.7/32'";
    assert_eq!(overview.remedy, [set]);
    let off = of_client("db orders connect=orders", "203.0.113.7/32", Some("orders"));
    assert_eq!(off.remedy.len(), 2, "clients that are not instances have to be allowed first: {off}");
}

#[test]
fn an_address_is_let_in_with_the_prefix_list_that_has_it() {
    let text = "db orders connect=orders allow-cidr=pl-1 groups=rds-cidr-1
        group rds-cidr-1 tagged=orders/cidr ours=cidr rule=\"tcp 5432 from pl-1\"
        prefix-list pl-1 entries=10.0.0.0/24
        allow-cidr";
    assert_eq!(of_client(text, "10.0.0.7/32", None).message, "10.0.0.7/32: 1 connected");
    assert_eq!(of_client(text, "10.0.1.7/32", None).connections, []);
    assert_eq!(of_client(text, "pl-1", None).message, "pl-1: 1 connected");
}

#[test]
fn a_name_tells_who_carries_it_what_follows_and_which_names_are_much_like_it() {
    let text = "instance i-1 connect=orders
        instance i-2 connect=ordres
        db orders connect=orders
        pair orders 1 attached-to=i-1";
    let shown = of_name(text, "orders").short();
    for line in [
        "orders: 1 connected\n",
        "  in vpc-1, 1 instance (i-1) and 1 data store (db/orders) carry it\n",
        "  names much like it: ordres\n",
        "  i-1 and db/orders connected: made by tagwire\n",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
    let mistyped = of_name(text, "ordres");
    assert_eq!(mistyped.message, "ordres: it connects nothing");
    assert!(mistyped.facts.contains(&"names much like it: orders".to_owned()), "{mistyped}");
    assert!(mistyped.findings.iter().any(|finding| finding.reason.code() == "no-match"), "{mistyped}");
    assert_eq!(of_name(text, "nothing").message, "nothing: nobody carries this name");
}
