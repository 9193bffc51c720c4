//! The sample events, read by the reader that production uses.

use std::{fs, path::Path};

use proptest::prelude::*;
use tagwire_core::{
    event::{self, Event, Hint, Incoming},
    id::{InstanceId, Location, StoreArn},
    work::Cause,
};
use tagwire_world::PARTITIONS;

fn files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(folder);
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap_or_else(|error| unreachable!("the samples stand beside the template: {error}"))
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), fs::read_to_string(&path).ok()?)))
        .collect();
    files.sort();
    files
}

/// As a queue of the samples' account and Region delivers it.
fn incoming(body: &str) -> Result<Incoming, event::BadEvent> {
    event::read(body, &location("aws", "us-east-1", "123456789012"))
}

fn location(partition: &str, region: &str, account: &str) -> Location {
    let queue = format!("arn:{partition}:sqs:{region}:{account}:stores");
    Location::of_arn(&queue).unwrap_or_else(|_| unreachable!("a queue"))
}

fn read(body: &str) -> Option<Event> {
    match incoming(body) {
        Ok(Incoming::Event(event)) => Some(event),
        Ok(Incoming::Again(_)) | Err(_) => None,
    }
}

fn instance() -> Hint {
    Hint::Instance(InstanceId::parse("i-0a1b2c3d4e5f60718").unwrap_or_else(|_| unreachable!("an instance id")))
}

fn store(service: &str, resource: &str) -> Hint {
    let arn = format!("arn:aws:{service}:us-east-1:123456789012:{resource}");
    Hint::Store(StoreArn::parse(arn).unwrap_or_else(|_| unreachable!("a store's ARN")))
}

fn rds(resource: &str) -> Hint {
    store("rds", resource)
}

fn wanted(file: &str) -> Option<(Vec<Hint>, Cause)> {
    let file = file.strip_suffix(".json")?;
    if file == "redshift-cluster-renamed" {
        let names = ["orders-warehouse", "orders-warehouse-new"];
        return Some((names.map(|name| store("redshift", &format!("cluster:{name}"))).into(), Cause::StoreEvent));
    }
    let (hint, cause) = one_wanted(file)?;
    Some((vec![hint], cause))
}

fn one_wanted(file: &str) -> Option<(Hint, Cause)> {
    let aurora = || rds("cluster:orders-aurora");
    let postgres = || rds("db:orders-postgres");
    let restored = || rds("db:orders-restored");
    let cache = |kind: &str| {
        Some(match kind {
            "replication-group" => store("elasticache", "replicationgroup:orders-cache"),
            "cache-cluster" => store("elasticache", "cluster:orders-memcached"),
            "serverless-cache" => store("elasticache", "serverlesscache:orders-serverless"),
            _ => return None,
        })
    };
    if let Some((kind, what)) = file.strip_prefix("elasticache-").and_then(|rest| rest.rsplit_once('-')) {
        return Some(match what {
            "tagged" | "untagged" => (cache(kind)?, Cause::TagChange),
            "changed" => (cache(kind.strip_suffix("-tag")?)?, Cause::TagChange),
            "created" | "modified" | "updated" | "deleted" => (cache(kind)?, Cause::StoreEvent),
            _ => return None,
        });
    }
    if let Some(what) = file.strip_prefix("redshift-cluster-") {
        let redshift = store("redshift", "cluster:orders-warehouse");
        return Some(match what {
            "tagged" | "untagged" | "tag-changed" => (redshift, Cause::TagChange),
            "created" | "restored" | "modified" | "resumed" | "deleted" => (redshift, Cause::StoreEvent),
            _ => return None,
        });
    }
    Some(match file {
        "ec2-instance-pending" | "ec2-instance-running" => (instance(), Cause::InstanceState),
        "ec2-instance-blocked" | "ec2-instance-tagged" | "ec2-instance-untagged" => (instance(), Cause::TagChange),
        "rds-cluster-tagged" => (aurora(), Cause::TagChange),
        "rds-db-clients-allowed" | "rds-db-held" | "rds-db-tagged" => (postgres(), Cause::TagChange),
        "rds-cluster-created"
        | "rds-cluster-deleted"
        | "rds-cluster-started"
        | "rds-cluster-starting-after-seven-days" => (aurora(), Cause::StoreEvent),
        "rds-cluster-renamed" => (rds("cluster:orders-aurora-new"), Cause::StoreEvent),
        "rds-db-created-cluster-member" => (rds("db:orders-aurora-instance-1"), Cause::StoreEvent),
        "rds-db-created"
        | "rds-db-deleted"
        | "rds-db-moved-to-another-vpc"
        | "rds-db-started"
        | "rds-db-starting-after-seven-days" => (postgres(), Cause::StoreEvent),
        "rds-db-restored-from-snapshot" | "rds-db-restored-to-point-in-time" => (restored(), Cause::StoreEvent),
        _ => return None,
    })
}

#[test]
fn every_sample_event_says_where_to_look_and_when_it_happened() {
    let files = files("");
    assert!(files.len() >= 44, "only {} samples were found", files.len());
    for (file, body) in files {
        let event = read(&body).unwrap_or_else(|| unreachable!("{file}: {:?}", incoming(&body)));
        let (hints, cause) = wanted(&file).unwrap_or_else(|| unreachable!("{file}: say here what it should lead to"));
        assert_eq!((Vec::from_iter(event.hints), event.cause), (hints, cause), "{file}");
        assert!(event.time.is_some() && !event.id.is_empty(), "{file}");
    }
}

/// The rules keep these out. Should one come through all the same, it is either of no use to the
/// reader or a hint at an instance or store that is looked at once more and found as it should be.
#[test]
fn an_ignored_event_is_unreadable_or_a_hint_that_does_no_harm() {
    let harmless = |file: &str| {
        let ours = ["ec2-instance-", "rds-db-", "rds-cluster-"].iter().any(|kind| file.starts_with(kind))
            && !file.contains("snapshot");
        ours || ["-own-cache-cluster-modify-call", "-own-replication-group-modify-call", "shift-own-modify-call"]
            .iter()
            .any(|what| file.contains(what))
            || (["elasticache-", "redshift-"].iter().any(|kind| file.starts_with(kind)) && file.contains("-other-tag"))
    };
    let known = [
        instance(),
        rds("cluster:orders-aurora"),
        store("elasticache", "replicationgroup:orders-cache"),
        store("elasticache", "cluster:orders-memcached"),
        store("redshift", "cluster:orders-warehouse"),
    ];
    let files = files("ignored");
    assert!(files.len() >= 41, "only {} samples were found", files.len());
    for (file, body) in files {
        match incoming(&body) {
            Ok(Incoming::Event(event)) => {
                assert!(harmless(&file), "{file} leads to {event:?}");
                assert!(event.hints.iter().all(|hint| known.contains(hint)) || file.starts_with("rds-db-"));
            }
            Ok(Incoming::Again(again)) => unreachable!("{file} was taken for {again:?}"),
            Err(problem) => {
                assert!(!harmless(&file), "{file}: {problem}");
                let codes = ["event-resource-unknown", "event-kind-unknown", "event-field-missing"];
                let refused = file.ends_with("-refused.json");
                assert_eq!(refused, problem.code() == "event-call-failed", "{file}: {problem}");
                assert!(refused || codes.contains(&problem.code()), "{file}: {problem}");
            }
        }
    }
}

/// What CloudTrail reports of a call, as short as it can be.
fn called(region: &str, source: &str, name: &str, parameters: &serde_json::Value) -> String {
    serde_json::json!({
        "source": source, "detail-type": "AWS API Call via CloudTrail", "region": region, "account": "123456789012",
        "detail": {"eventName": name, "requestParameters": parameters},
    })
    .to_string()
}

#[test]
fn a_call_names_its_store_in_the_partition_of_its_queue_and_in_small_letters() {
    let parameters = serde_json::json!({"clusterIdentifier": "Orders"});
    for (region, name) in PARTITIONS {
        let event = event::read(
            &called(region, "aws.redshift", "CreateCluster", &parameters),
            &location(name, region, "123456789012"),
        );
        let hints = match event {
            Ok(Incoming::Event(event)) => event.hints,
            other => unreachable!("{other:?}"),
        };
        let arn = StoreArn::parse(format!("arn:{name}:redshift:{region}:123456789012:cluster:orders"));
        assert_eq!(Ok(hints), arn.map(|arn| [Hint::Store(arn)].into()), "{region}");
    }
}

#[test]
fn every_sample_is_refused_where_another_account_region_or_partition_is() {
    let elsewhere = [
        location("aws", "us-east-1", "210987654321"),
        location("aws", "us-west-2", "123456789012"),
        location("aws-cn", "us-east-1", "123456789012"),
    ];
    let mut refused = 0;
    for (file, body) in files("") {
        assert!(incoming(&body).is_ok(), "{file}");
        for there in &elsewhere {
            // The partition is in ARNs alone, and the state of an instance has none.
            let has_arn = body.contains("arn:aws:") && !body.contains("AWS API Call via CloudTrail");
            if there.partition().as_str() == "aws" || (has_arn && !body.contains("arn:aws:ec2:")) {
                let code = event::read(&body, there).map_err(|problem| problem.code());
                assert_eq!(code, Err("event-elsewhere"), "{file}");
                refused += 1;
            }
        }
    }
    assert!(refused > 80, "{refused}");
}

#[test]
fn what_names_a_resource_of_another_account_or_region_is_refused_whatever_its_envelope_says() {
    let named = |arn: &str| {
        serde_json::json!({
            "source": "aws.tag", "detail-type": "Tag Change on Resource", "region": "us-east-1", "account": "123456789012",
            "resources": [arn],
        })
        .to_string()
    };
    let again = |arn: &str| {
        serde_json::json!({
            "version": 1, "hints": [{"store": arn}], "cause": "tag-change",
            "tries": {"attempt": 0, "since": "2026-11-22T08:00:00Z"},
        })
        .to_string()
    };
    let code = |body: String| incoming(&body).map(drop).map_err(|problem| problem.code());
    for (place, expected) in [
        ("us-east-1:123456789012", Ok(())),
        ("us-east-1:210987654321", Err("event-elsewhere")),
        ("us-west-2:123456789012", Err("event-elsewhere")),
    ] {
        assert_eq!(code(named(&format!("arn:aws:ec2:{place}:instance/i-0a1b2c3d"))), expected, "{place}");
        assert_eq!(code(named(&format!("arn:aws:rds:{place}:cluster:orders"))), expected, "{place}");
        assert_eq!(code(again(&format!("arn:aws:rds:{place}:cluster:orders"))), expected, "{place}");
    }
}

#[test]
fn a_call_that_does_not_say_which_store_is_refused() {
    let code = |name: &str, parameters: serde_json::Value| {
        incoming(&called("us-east-1", "aws.elasticache", name, &parameters)).map_err(|problem| problem.code())
    };
    assert_eq!(code("CreateCacheCluster", serde_json::json!({})), Err("event-field-missing"));
    assert_eq!(code("CreateCacheCluster", serde_json::Value::Null), Err("event-field-missing"));
    let odd = serde_json::json!({"cacheClusterId": "a:b"});
    assert_eq!(code("CreateCacheCluster", odd), Err("event-resource-unknown"));
    assert_eq!(code("AddTagsToResource", serde_json::json!({"tags": []})), Err("event-field-missing"));
    assert_eq!(code("CreateCluster", serde_json::json!({"clusterIdentifier": "a"})), Err("event-kind-unknown"));
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn no_text_makes_the_reader_panic(body in ".*") {
        prop_assert!(incoming(&body).is_err());
    }

    #[test]
    fn a_sample_cut_short_or_with_a_byte_changed_is_read_or_refused(
        index in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), with in any::<char>(), cut in any::<bool>(),
    ) {
        let files = files("");
        let (_, body) = &files[index.index(files.len())];
        let mut symbols: Vec<char> = body.chars().collect();
        let at = at.index(symbols.len());
        if cut { symbols.truncate(at) } else { symbols[at] = with }
        let text: String = symbols.into_iter().collect();
        if let Err(problem) = incoming(&text) {
            prop_assert!(problem.to_string().len() < 2000);
        }
    }

    #[test]
    fn what_is_quoted_of_an_event_is_bounded(word in "[a-z]{1000,2000}") {
        let body = serde_json::json!({"source": word, "detail-type": word, "id": word}).to_string();
        let problem = incoming(&body).expect_err("no such kind");
        prop_assert!(problem.to_string().len() < 1000);
    }
}
