//! `tagwire status` finds every connection, whoever made it, and changes nothing.

use std::{collections::BTreeMap, process::Output};

use aws_sdk_ec2::types as ec2;
use serde_json::{Value, json};
use tagwire_acceptance::{CONNECT, Installation, Launched, Store, pair};
use tagwire_local_aws::{Effect, Fault, LocalAws};

use crate::{
    command_line::assert_valid,
    support::{actions, assert_connected, lease, lease_with, writes},
    terminal::at_terminal,
};

const PORT: i32 = 5432;
/// What every instance and store of this test that is to have no tag is made with and loses.
const NOTHING: &str = "nothing";

fn tagwire(aws: &LocalAws, arguments: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("tagwire");
    let mut command = std::process::Command::new(program);
    command.env_clear().envs(aws.function_environment()).env("TAGWIRE_STACK_NAME", "tagwire");
    command.args(arguments).output().unwrap()
}

/// What a command that went well has written.
#[track_caller]
fn messages(aws: &LocalAws, arguments: &[&str]) -> String {
    let done = tagwire(aws, arguments);
    let complaints = String::from_utf8(done.stderr).unwrap();
    assert_eq!((done.status.code(), complaints.as_str()), (Some(0), ""), "{arguments:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// The same text whenever it was written: ids are numbered in the order in which they come, and keep
/// their length, and moments are all the same.
fn plain(text: &str) -> String {
    let mut ids = BTreeMap::<String, String>::new();
    let mut counts = BTreeMap::<String, usize>::new();
    let is_of_word = |symbol: char| symbol.is_ascii_alphanumeric() || matches!(symbol, '-' | ':' | '.' | '_');
    let (mut out, mut word) = (String::new(), String::new());
    let mut known = |word: &str| {
        let Some((kind, number)) = word.split_once('-') else { return word.to_owned() };
        let is_id = ["i", "sg", "vpc", "eni"].contains(&kind)
            && number.len() == 17
            && number.bytes().all(|digit| digit.is_ascii_hexdigit());
        if is_id {
            let next = || {
                let count = counts.entry(kind.to_owned()).or_default();
                *count += 1;
                format!("{kind}-{count:017}")
            };
            return ids.entry(word.to_owned()).or_insert_with(next).clone();
        }
        let is_moment = word.starts_with("20") && word.ends_with('Z') && word.contains('T');
        if is_moment { "2026-01-01T00:00:00Z".to_owned() } else { word.to_owned() }
    };
    for symbol in text.chars().chain(['\n']) {
        if is_of_word(symbol) {
            word.push(symbol);
            continue;
        }
        // A sentence may end behind an id, and names of Graphviz begin with another word.
        let (prefix, rest) = match word.strip_prefix("cluster_") {
            Some(rest) => ("cluster_", rest),
            None => ("", word.as_str()),
        };
        let (rest, end) = rest.split_at(rest.trim_end_matches([':', '.']).len());
        out.push_str(prefix);
        out.push_str(&known(rest));
        out.push_str(end);
        word.clear();
        out.push(symbol);
    }
    out.pop();
    out
}

/// The same table whenever it was written: under the heading of the ages, each is the same.
fn ageless(table: &str) -> String {
    let heading = table.lines().next().unwrap();
    let Some(place) = heading.find("AGE") else { return table.to_owned() };
    let same = |line: &str| {
        let (before, rest) = line.split_at_checked(place)?;
        let (age, after) = rest.split_at_checked("AGE".len())?;
        let digits = age.trim_end().strip_suffix(['s', 'm'])?;
        digits.parse::<u32>().ok().map(|_| format!("{before}AGE{after}"))
    };
    table.lines().map(|line| same(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// A store that carries no tag.
async fn untagged(installation: &Installation<'_>, name: &str) -> Store {
    let store = installation.silent_aurora(name, NOTHING).await.unwrap();
    installation.untag_silently(&store.arn).await.unwrap();
    store
}

/// A way into a store by groups with names of their own.
async fn connect_by_hand(aws: &LocalAws, installation: &Installation<'_>, store: &Store) -> Launched {
    let (app, database) = (installation.group("app").await.unwrap(), installation.group("database").await.unwrap());
    let from_app = ec2::UserIdGroupPair::builder().group_id(&app).build();
    let rule = ec2::IpPermission::builder().ip_protocol("tcp").from_port(PORT).to_port(PORT);
    let request = aws.ec2().authorize_security_group_ingress().group_id(&database);
    request.ip_permissions(rule.user_id_group_pairs(from_app).build()).send().await.unwrap();
    installation.set_store_groups(store, vec![installation.default_group.clone(), database]).await.unwrap();
    installation.launch_with(None, &[installation.default_group.clone(), app]).await.unwrap()
}

/// An instance in the second zone.
async fn launch_elsewhere(aws: &LocalAws, installation: &Installation<'_>, connect: &str) {
    let tag = ec2::Tag::builder().key(CONNECT).value(connect).build();
    let tags = ec2::TagSpecification::builder().resource_type(ec2::ResourceType::Instance).tags(tag).build();
    let request = aws.ec2().run_instances().image_id("ami-12345678").min_count(1).max_count(1);
    let request = request.subnet_id(&installation.subnets[1]).security_group_ids(&installation.default_group);
    request.tag_specifications(tags).send().await.unwrap();
}

/// A store with an instance that tagwire has connected.
async fn connected(aws: &LocalAws, installation: &Installation<'_>, name: &str, number: u32) -> (Store, Launched) {
    let store = installation.silent_aurora(name, name).await.unwrap();
    let instance = installation.launch(Some(name)).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(aws, &instance, &store, number).await;
    (store, instance)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_is_found_in_every_state_and_by_every_maker() {
    let aws = lease_with(&[("AllowCidr", "on")]).await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let (orders, first) = connected(&aws, &installation, "orders", 1).await;
    aws.tag(&orders.arn, "tagwire:allow-cidr", "203.0.113.7/32").await.unwrap();
    aws.settle().await.unwrap();
    let (sales, _) = connected(&aws, &installation, "sales", 2).await;
    installation.postgres("far", "far").await.unwrap();
    launch_elsewhere(&aws, &installation, "far").await;
    aws.settle().await.unwrap();
    let (_, leaving) = connected(&aws, &installation, "old", 4).await;
    // No event tells of anything from here on, so that no function sees it.
    installation.untag_silently(&leaving.arn()).await.unwrap();
    let open = pair(&aws, &sales).await.unwrap().unwrap().store_side;
    installation.open(&open, "10.0.0.0/8").await.unwrap();
    let by_console = untagged(&installation, "legacy").await;
    let instance = installation.launch(None).await.unwrap();
    installation.connect_as_the_console(&instance, &by_console, 7).await.unwrap();
    let by_hand = untagged(&installation, "ledger").await;
    connect_by_hand(&aws, &installation, &by_hand).await;
    let full = installation.launch_with(None, &groups(&installation, 5).await).await.unwrap();
    installation.silent_aurora("archive", "archive").await.unwrap();
    installation.tag_silently(&full, "archive").await.unwrap();
    let busy = installation.silent_aurora("stock", "stock").await.unwrap();
    let waiting = installation.launch(None).await.unwrap();
    aws.settle().await.unwrap();
    installation.tag_silently(&waiting, "stock").await.unwrap();
    aws.set_store_status(&busy.arn, "modifying").await.unwrap();
    aws.forget_calls();

    let document = messages(&aws, &["status", "--output", "json"]);
    assert_valid("status-v3", &document);
    insta::assert_snapshot!("json", plain(&document));
    insta::assert_snapshot!("table", plain(&ageless(&messages(&aws, &["status"]))));
    for columns in [60, 80, 120] {
        let shown = at_terminal(&aws, columns, &["status", "--stack-name", "tagwire"]);
        insta::assert_snapshot!(format!("terminal_{columns}"), plain(&ageless(&shown)));
    }
    insta::assert_snapshot!("wide", plain(&ageless(&messages(&aws, &["status", "--output", "wide"]))));
    insta::assert_snapshot!("csv", plain(&messages(&aws, &["status", "--output", "csv"]).replace("\r\n", "\n")));
    insta::assert_snapshot!("dot", plain(&messages(&aws, &["status", "--output", "dot"])));
    insta::assert_snapshot!("mermaid", plain(&messages(&aws, &["status", "--output", "mermaid"])));

    let stores = |arguments: &[&str]| -> Vec<String> {
        let document = messages(&aws, &[&["status", "--output", "json"], arguments].concat());
        assert_valid("status-v3", &document);
        let document: Value = serde_json::from_str(&document).unwrap();
        let rows = document["connections"].as_array().unwrap().iter();
        rows.map(|row| row["store_name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(stores(&["--store", "cluster/sales", "--store", &by_hand.arn]), ["cluster/ledger", "cluster/sales"]);
    assert_eq!(stores(&["--store", "legacy", "--vpc", &installation.vpc]), ["cluster/legacy"]);
    assert_eq!(stores(&["--instance", &first.id]), ["cluster/orders"]);
    assert_eq!(stores(&["--name", "archive", "--service", "rds"]), ["cluster/archive"]);
    assert_eq!(stores(&["--state", "drifted", "--state", "waiting"]), ["cluster/sales", "cluster/stock"]);
    assert_eq!(stores(&["--service", "Redshift"]), [""; 0]);
    let elsewhere = Installation::create(&aws, 2).await.unwrap();
    assert_eq!(stores(&["--vpc", &elsewhere.vpc]), [""; 0]);
    assert_eq!(messages(&aws, &["status", "--vpc", &elsewhere.vpc]), "No connection matches these filters.\n");

    assert_each_store_has_the_rows_that_it_has_in_the_whole(&aws, &document);
    let unknown = tagwire(&aws, &["status", "--store", "ordres"]);
    assert_eq!(unknown.status.code(), Some(1));
    let complaint = String::from_utf8(unknown.stderr).unwrap();
    assert!(complaint.contains("there is no data store ordres"), "{complaint}");

    aws.inject(Fault::new("elasticache", "DescribeServerlessCaches", Effect::AccessDenied).always());
    let partly = tagwire(&aws, &["status", "--output", "json", "--store", "orders"]);
    assert_eq!(partly.status.code(), Some(1));
    let document = String::from_utf8(partly.stdout).unwrap();
    assert_valid("status-v3", &document);
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!((&document["complete"], &document["gaps"].as_array().unwrap().len()), (&json!(false), &1));
    assert_eq!(document["connections"].as_array().unwrap().len(), 2, "what was found is shown");
    let complaint = String::from_utf8(partly.stderr).unwrap();
    assert!(complaint.contains("elasticache:DescribeServerlessCaches"), "{complaint}");
    assert_changes_nothing(&aws);
}

/// What one data store needs is less than everything, and enough.
fn assert_each_store_has_the_rows_that_it_has_in_the_whole(aws: &LocalAws, whole: &str) {
    let whole: Value = serde_json::from_str(whole).unwrap();
    let rows = |document: &Value, store: &str| -> Vec<Value> {
        let rows = document["connections"].as_array().unwrap().iter();
        rows.filter(|row| row["store_name"] == store).cloned().collect()
    };
    let names = whole["connections"].as_array().unwrap().iter().map(|row| row["store_name"].as_str().unwrap());
    for store in names.collect::<std::collections::BTreeSet<_>>() {
        aws.forget_calls();
        let alone: Value =
            serde_json::from_str(&messages(aws, &["status", "--output", "json", "--store", store])).unwrap();
        assert_eq!(rows(&alone, store), rows(&whole, store), "{store}");
        let calls = aws.calls();
        // Before a group leaves an instance, every data store is looked at, since one may be a copy of this one.
        let stays = rows(&alone, store).iter().all(|row| row["state"] == "connected" && row["code"].is_null());
        for everything in ["DescribeReplicationGroups", "DescribeServerlessCaches", "GetResources"] {
            assert!(
                !stays || !actions(&calls).contains(&everything),
                "{store} needs no {everything}: {:?}",
                actions(&calls)
            );
        }
        aws.forget_calls();
        let planned = tagwire(aws, &["plan", "--store", store]);
        assert!(matches!(planned.status.code(), Some(0 | 2)), "{store}");
        let (of_status, of_plan) = (calls.len(), aws.calls().len());
        assert!(of_status <= 2 * of_plan, "{store}: {of_status} calls for the list and {of_plan} for the plan");
    }
}

fn assert_changes_nothing(aws: &LocalAws) {
    let calls = aws.calls();
    let changing: Vec<&str> = actions(&calls).into_iter().filter(|action| !is_reading(action)).collect();
    assert!(!calls.is_empty() && changing.is_empty(), "{changing:?}");
    assert_eq!(actions(&writes(aws)), Vec::<&str>::new());
}

/// Whether a call only reads, the state table included.
fn is_reading(action: &str) -> bool {
    ["Describe", "List", "Get", "Query", "BatchGet"].iter().any(|word| action.starts_with(word))
}

/// As many groups of others as an interface takes.
async fn groups(installation: &Installation<'_>, number: usize) -> Vec<String> {
    let mut groups = Vec::new();
    for index in 0..number {
        groups.push(installation.group(&format!("other-{index}")).await.unwrap());
    }
    groups
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_connected_the_list_says_so() {
    let aws = lease().await;
    assert_eq!(messages(&aws, &["status"]), "No connection was found.\n");
    let document = messages(&aws, &["status", "--output", "json"]);
    assert_valid("status-v3", &document);
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!((&document["connections"], &document["complete"]), (&json!([]), &json!(true)));
    let csv = messages(&aws, &["status", "--output", "csv"]);
    assert_eq!(csv.lines().count(), 1, "{csv}");
    let everywhere = crate::command_line::tagwire(&aws, &["status", "--all-regions", "--output", "json"]);
    assert_eq!(everywhere.status.code(), Some(0), "{}", String::from_utf8_lossy(&everywhere.stderr));
    let documents: Vec<Value> = serde_json::from_slice(&everywhere.stdout).unwrap();
    let regions: Vec<&str> = documents.iter().map(|document| document["region"].as_str().unwrap()).collect();
    assert!(regions.contains(&"us-east-1") && regions.contains(&"eu-west-1"), "{regions:?}");
    assert_valid("status-v3", &documents[0].to_string());
    assert_changes_nothing(&aws);
}
