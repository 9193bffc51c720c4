//! What goes over the wire to the state table and what comes back, against prepared answers.

use serde_json::{Value, json};
use tagwire_engine::cloud::{Change, Observe};

use super::*;
use crate::testing::Script;

fn vpc() -> VpcId {
    VpcId::parse("vpc-1").unwrap()
}

fn sg(id: &str) -> SecurityGroupId {
    SecurityGroupId::parse(id).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn interface(id: &str) -> Target {
    Target::Interface(InterfaceId::parse(id).unwrap())
}

fn store(id: &str) -> Target {
    Target::Store(StoreId::parse(id).unwrap())
}

fn connection() -> Connection {
    let store = StoreId::parse("arn:aws:redshift:eu-west-1:123456789012:namespace:1").unwrap();
    Connection { instance: InstanceId::parse("i-1").unwrap(), store }
}

fn attached() -> Attached {
    Attached {
        tag: "one two".into(),
        since: time("2026-01-02T03:04:05.123456789Z"),
        again: vec![time("2026-01-03T00:00:00Z"), time("2026-01-04T00:00:00Z")],
        contested: true,
    }
}

fn wanted() -> Note {
    Note::Wanted(Removal::Connection(connection()), Some(Wanted::since(time("2026-01-02T03:04:05Z"))))
}

/// The operation of a call, and its parameters.
fn call(asked: &str) -> (&str, Value) {
    let (operation, body) = asked.split_once(' ').unwrap();
    (operation, serde_json::from_str(body).unwrap())
}

fn items(items: &[Value]) -> String {
    json!({ "Items": items }).to_string()
}

fn error(code: &str) -> String {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "m" }).to_string()
}

const OF_VPC: &str = r#"":vpc":{"S":"vpc-1"}"#;
const OF_LISTS: &str = r#"":vpc":{"S":"vpc-1 attached"}"#;

/// The state that is read when the table holds these items, of the VPC and of its lists.
async fn read_state(of_vpc: &[Value], of_lists: &[Value]) -> Result<VpcState, CloudError> {
    let script = Script::default().to(OF_VPC, 200, items(of_vpc)).to(OF_LISTS, 200, items(of_lists));
    script.aws().vpc_state(&vpc(), None).await
}

async fn write_notes(script: &Script, notes: &[Note]) {
    script.aws().write_notes(&vpc(), notes).await.unwrap();
}

#[tokio::test]
async fn the_whole_state_is_read_consistently_and_to_the_end() {
    let start = json!({ "vpc": { "S": "vpc-1" }, "entry": { "S": "unused sg-1" } });
    let unused = |group: &str| {
        json!({ "vpc": { "S": "vpc-1" }, "entry": { "S": format!("unused {group}") },
            "since": { "S": "2026-01-02T03:04:05Z" } })
    };
    let script = Script::default()
        .to(OF_VPC, 200, json!({ "Items": [unused("sg-1")], "LastEvaluatedKey": start }).to_string())
        .to(OF_LISTS, 200, items(&[]))
        .to("ExclusiveStartKey", 200, items(&[unused("sg-2")]));
    let state = script.aws().vpc_state(&vpc(), None).await.unwrap();
    let since = time("2026-01-02T03:04:05Z");
    assert_eq!(state, VpcState { unused: [(sg("sg-1"), since), (sg("sg-2"), since)].into(), ..VpcState::default() });
    let mut asked: Vec<_> = script.asked();
    asked.sort();
    let query = |key: &str| {
        json!({
            "TableName": "state",
            "ConsistentRead": true,
            "KeyConditionExpression": "#vpc = :vpc",
            "ExpressionAttributeNames": { "#vpc": "vpc" },
            "ExpressionAttributeValues": { ":vpc": { "S": key } },
        })
    };
    let mut second = query("vpc-1");
    second["ExclusiveStartKey"] = start;
    let mut wanted = vec![query("vpc-1"), query("vpc-1 attached"), second];
    for asked in &asked {
        let (operation, body) = call(asked);
        assert_eq!(operation, "Query");
        let index = wanted.iter().position(|wanted| *wanted == body);
        wanted.remove(index.unwrap_or_else(|| panic!("not wanted: {body}")));
    }
    assert_eq!(wanted, Vec::<Value>::new());
}

#[tokio::test]
async fn an_empty_table_is_an_empty_state() {
    assert_eq!(read_state(&[], &[]).await, Ok(VpcState::default()));
}

#[tokio::test]
async fn a_page_that_cannot_be_read_leaves_no_state_at_all() {
    let start = json!({ "vpc": { "S": "vpc-1" }, "entry": { "S": "a" } });
    for (failing, other) in [(OF_VPC, OF_LISTS), (OF_LISTS, OF_VPC)] {
        let script = Script::default()
            .to(failing, 200, json!({ "Items": [], "LastEvaluatedKey": start }).to_string())
            .to(other, 200, items(&[]))
            .to("ExclusiveStartKey", 400, error("ProvisionedThroughputExceededException"));
        let failure = script.aws().vpc_state(&vpc(), None).await.unwrap_err();
        assert_eq!((failure.kind, failure.call), (ErrorKind::Throttled, "dynamodb:Query"));
    }
}

#[tokio::test]
async fn of_some_lists_only_theirs_is_read() {
    let script = Script::default().to("Query", 200, items(&[])).to(
        "BatchGetItem",
        200,
        json!({ "Responses": { "state": [{
            "vpc": { "S": "vpc-1 attached" },
            "entry": { "S": "eni-1" },
            "expires": { "N": "1" },
            "sg-1": { "S": serde_json::to_string(&attached()).unwrap() },
        }] } })
        .to_string(),
    );
    let lists = [interface("eni-1"), store("cluster-A")].into();
    let state = script.aws().vpc_state(&vpc(), Some(&lists)).await.unwrap();
    assert_eq!(state.attached, [((interface("eni-1"), sg("sg-1")), attached())].into());
    let asked = script.asked();
    let batch = asked.iter().map(|asked| call(asked)).find(|(operation, _)| *operation == "BatchGetItem").unwrap().1;
    assert_eq!(batch["RequestItems"]["state"]["ConsistentRead"], true);
    let key = |entry: &str| json!({ "vpc": { "S": "vpc-1 attached" }, "entry": { "S": entry } });
    assert_eq!(batch["RequestItems"]["state"]["Keys"], json!([key("eni-1"), key("cluster-A")]));
    assert!(!asked.iter().any(|asked| asked.contains(OF_LISTS)), "{asked:?}");
}

#[tokio::test]
async fn no_lists_are_no_call() {
    let script = Script::default().to("Query", 200, items(&[]));
    assert_eq!(script.aws().vpc_state(&vpc(), Some(&BTreeSet::new())).await, Ok(VpcState::default()));
    assert_eq!(script.asked().len(), 1);
}

fn interfaces(count: usize) -> BTreeSet<Target> {
    (0..count).map(|number| interface(&format!("eni-{number:04}"))).collect()
}

#[tokio::test]
async fn a_hundred_lists_are_read_at_once_and_of_too_many_all() {
    for (count, batches) in [(100, vec![100]), (101, vec![1, 100]), (500, vec![100; 5]), (501, vec![])] {
        let mut script = Script::default().to(OF_VPC, 200, items(&[])).to(OF_LISTS, 200, items(&[]));
        for _ in &batches {
            script = script.to("BatchGetItem", 200, "{}");
        }
        script.aws().vpc_state(&vpc(), Some(&interfaces(count))).await.unwrap();
        let asked = script.asked();
        let size = |body: &Value| body["RequestItems"]["state"]["Keys"].as_array().unwrap().len();
        let calls = asked.iter().map(|asked| call(asked));
        let mut sizes: Vec<usize> =
            calls.filter(|(operation, _)| *operation == "BatchGetItem").map(|(_, body)| size(&body)).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, batches, "{count}");
        assert_eq!(asked.iter().any(|asked| asked.contains(OF_LISTS)), count > 500);
    }
}

fn unprocessed(entries: &[&str]) -> String {
    let keys: Vec<Value> =
        entries.iter().map(|entry| json!({ "vpc": { "S": "vpc-1 attached" }, "entry": { "S": entry } })).collect();
    json!({ "Responses": { "state": [] }, "UnprocessedKeys": { "state": { "Keys": keys } } }).to_string()
}

#[tokio::test]
async fn what_a_batch_leaves_out_is_asked_for_again_even_when_nothing_was_found() {
    let script = Script::default().to("Query", 200, items(&[])).to("BatchGetItem", 200, unprocessed(&["eni-0001"])).to(
        "BatchGetItem",
        200,
        r#"{"Responses":{"state":[]},"UnprocessedKeys":{}}"#,
    );
    assert_eq!(script.aws().vpc_state(&vpc(), Some(&interfaces(2))).await, Ok(VpcState::default()));
    let asked = script.asked();
    let again = call(asked.last().unwrap()).1;
    let entries = &again["RequestItems"]["state"]["Keys"];
    assert_eq!(*entries, json!([{ "vpc": { "S": "vpc-1 attached" }, "entry": { "S": "eni-0001" } }]));
    assert_eq!(again["RequestItems"]["state"]["ConsistentRead"], true);
}

#[tokio::test]
async fn a_batch_that_gets_nowhere_is_throttled() {
    let script =
        Script::default().to("Query", 200, items(&[])).to("BatchGetItem", 200, unprocessed(&["eni-0000", "eni-0001"]));
    let failure = script.aws().vpc_state(&vpc(), Some(&interfaces(2))).await.unwrap_err();
    assert_eq!((failure.kind, failure.code.as_str()), (ErrorKind::Throttled, "UnprocessedKeys"));
}

fn counted(at: &str, connections: u32, of: Option<Removal>) -> CountedRemoval {
    CountedRemoval { at: time(at), connections, of }
}

#[tokio::test]
async fn what_a_window_cannot_say_of_a_removal_is_counted_all_the_same() {
    let when = || json!({ "L": [{ "S": "2026-01-02T03:04:05Z" }, { "N": "2" }] });
    for of in [
        json!(null),
        json!({ "S": "i-1 cluster-A" }),
        json!({ "L": [] }),
        json!({ "L": [{ "S": "" }] }),
        json!({ "L": [{ "S": "i-1" }] }),
        json!({ "L": [{ "S": "x-1 cluster-A" }] }),
        json!({ "L": [{ "N": "1" }] }),
        json!({ "L": [{ "S": "" }, { "S": "i-1 cluster-A" }] }),
    ] {
        let mut item = json!({ "vpc": { "S": "vpc-1" }, "entry": { "S": "window" }, "version": { "N": "7" }, "removals": { "L": [when()] } });
        if !of.is_null() {
            item["of"] = of.clone();
        }
        let whole = Window { version: 7, removals: vec![counted("2026-01-02T03:04:05Z", 2, None)] };
        assert_eq!(read_state(&[item], &[]).await.unwrap().window, whole, "{of}");
    }
}

#[tokio::test]
async fn a_malformed_window_is_an_error_and_never_an_empty_one() {
    let one = json!({ "L": [{ "L": [{ "S": "2026-01-02T03:04:05Z" }, { "N": "2" }] }] });
    let window = |version: Value, removals: Value| json!({ "vpc": { "S": "vpc-1" }, "entry": { "S": "window" }, "version": version, "removals": removals });
    let whole = Window { version: 7, removals: vec![counted("2026-01-02T03:04:05Z", 2, None)] };
    assert_eq!(read_state(&[window(json!({ "N": "7" }), one.clone())], &[]).await.unwrap().window, whole);
    for malformed in [
        json!({ "vpc": { "S": "vpc-1" }, "entry": { "S": "window" }, "version": { "N": "7" } }),
        json!({ "vpc": { "S": "vpc-1" }, "entry": { "S": "window" }, "removals": one }),
        window(json!({ "S": "7" }), one.clone()),
        window(json!({ "N": "-7" }), one.clone()),
        window(json!({ "N": "7" }), json!({ "S": "[]" })),
        window(json!({ "N": "7" }), json!({ "L": [{ "S": "2026-01-02T03:04:05Z" }] })),
        window(json!({ "N": "7" }), json!({ "L": [{ "L": [{ "S": "2026-01-02T03:04:05Z" }] }] })),
        window(json!({ "N": "7" }), json!({ "L": [{ "L": [{ "S": "yesterday" }, { "N": "2" }] }] })),
        window(json!({ "N": "7" }), json!({ "L": [{ "L": [{ "S": "2026-01-02T03:04:05Z" }, { "N": "-2" }] }] })),
        window(json!({ "N": "7" }), json!({ "L": [{ "L": [{ "S": "2026-01-02T03:04:05Z" }, { "N": "1.5" }] }] })),
    ] {
        let failure = read_state(std::slice::from_ref(&malformed), &[]).await.unwrap_err();
        assert_eq!((failure.kind, failure.code.as_str()), (ErrorKind::Rejected, "item-unreadable"), "{malformed}");
        assert_eq!(failure.resource, "the window of vpc-1 in state");
    }
}

#[tokio::test]
async fn a_note_that_cannot_be_read_counts_as_lost_and_the_rest_stays() {
    let note = |entry: &str, since: Value| json!({ "vpc": { "S": "vpc-1" }, "entry": { "S": entry }, "since": since, "expires": { "N": "1" } });
    let since = || json!({ "S": "2026-01-02T03:04:05Z" });
    let of_vpc = [
        note("unused sg-1", since()),
        note("unused sg-2", json!({ "S": "yesterday" })),
        note("unused sg-3", json!({ "N": "1" })),
        note("unused x-4", since()),
        note("unused sg-5 sg-6", since()),
        note("unused", since()),
        note("wanted i-1", since()),
        note("wanted x-1 cluster-A", since()),
        note("of next year", since()),
        json!({ "vpc": { "S": "vpc-1" }, "entry": { "S": "unused sg-7" } }),
    ];
    let list = |entry: &str, groups: Value| {
        let mut item = json!({ "vpc": { "S": "vpc-1 attached" }, "entry": { "S": entry }, "expires": { "N": "1" } });
        item.as_object_mut().unwrap().extend(groups.as_object().unwrap().clone());
        item
    };
    let whole = || json!({ "S": serde_json::to_string(&attached()).unwrap() });
    let of_lists = [
        list("eni-1", json!({ "sg-1": whole(), "sg-2": { "S": "{" }, "sg-3": { "N": "1" }, "note": whole() })),
        list("two words", json!({ "sg-1": whole() })),
        list("eni-2", json!({})),
    ];
    let state = read_state(&of_vpc, &of_lists).await.unwrap();
    let expected = VpcState {
        unused: [(sg("sg-1"), time("2026-01-02T03:04:05Z"))].into(),
        attached: [((interface("eni-1"), sg("sg-1")), attached())].into(),
        ..VpcState::default()
    };
    assert_eq!(state, expected);
}

#[tokio::test]
async fn a_window_is_written_on_the_condition_that_it_follows_the_one_that_was_read() {
    let store = StoreId::parse("cluster-A").unwrap();
    let connection = Connection { instance: InstanceId::parse("i-1").unwrap(), store: store.clone() };
    let window = Window {
        version: 3,
        removals: vec![
            counted("2026-01-02T03:04:05.5Z", 2, None),
            counted("2026-01-02T03:05:00Z", 1, Some(Removal::Connection(connection))),
            counted("2026-01-02T03:05:00Z", 3, Some(Removal::StoreSide(store))),
        ],
    };
    let script = Script::default().then(200, "{}");
    script.aws().reserve_window(&vpc(), &window).await.unwrap();
    let asked = script.asked();
    let (operation, body) = call(&asked[0]);
    assert_eq!(operation, "PutItem");
    let item = json!({
        "vpc": { "S": "vpc-1" },
        "entry": { "S": "window" },
        "version": { "N": "3" },
        "removals": { "L": [
            { "L": [{ "S": "2026-01-02T03:04:05.5Z" }, { "N": "2" }] },
            { "L": [{ "S": "2026-01-02T03:05:00Z" }, { "N": "1" }] },
            { "L": [{ "S": "2026-01-02T03:05:00Z" }, { "N": "3" }] },
        ] },
        "of": { "L": [{ "S": "" }, { "S": "i-1 cluster-A" }, { "S": "store-side cluster-A" }] },
        "expires": { "N": time("2026-02-01T03:05:00Z").as_second().to_string() },
    });
    let expected = json!({
        "TableName": "state",
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#version) OR #version = :before",
        "ExpressionAttributeNames": { "#version": "version" },
        "ExpressionAttributeValues": { ":before": { "N": "2" } },
    });
    assert_eq!(body, expected);
    assert_eq!(read_state(&[item], &[]).await.unwrap().window, window);
}

#[tokio::test]
async fn the_errors_of_a_window_say_whether_somebody_else_wrote_it() {
    let window = Window { version: 1, removals: vec![counted("1970-01-01T00:00:00Z", 1, None)] };
    for (status, code, kind) in [
        (400, "ConditionalCheckFailedException", ErrorKind::AlreadyThere),
        (400, "ProvisionedThroughputExceededException", ErrorKind::Throttled),
        (400, "ThrottlingException", ErrorKind::Throttled),
        (400, "RequestLimitExceeded", ErrorKind::Throttled),
        (400, "ResourceNotFoundException", ErrorKind::NotFound),
        (400, "AccessDeniedException", ErrorKind::Denied),
        (400, "UnrecognizedClientException", ErrorKind::Denied),
        (400, "ValidationException", ErrorKind::Rejected),
        (500, "InternalServerError", ErrorKind::EffectUnknown),
    ] {
        let failure =
            Script::default().then(status, error(code)).aws().reserve_window(&vpc(), &window).await.unwrap_err();
        assert_eq!((failure.kind, failure.code.as_str(), failure.call), (kind, code, "dynamodb:PutItem"));
        assert_eq!(failure.resource, "the window of vpc-1");
    }
    let lost = Script::default().aws().reserve_window(&vpc(), &window).await.unwrap_err();
    assert_eq!((lost.kind, lost.code.as_str()), (ErrorKind::EffectUnknown, "connection-lost"));
}

#[tokio::test]
async fn the_errors_of_a_reading_pass_or_do_not() {
    for (status, code, kind) in [
        (400, "ResourceNotFoundException", ErrorKind::NotFound),
        (400, "AccessDeniedException", ErrorKind::Denied),
        (400, "ThrottlingException", ErrorKind::Throttled),
        (500, "InternalServerError", ErrorKind::Unavailable),
    ] {
        let script = Script::default().to(OF_VPC, status, error(code)).to(OF_LISTS, 200, items(&[]));
        let failure = script.aws().vpc_state(&vpc(), None).await.unwrap_err();
        assert_eq!((failure.kind, failure.resource.as_str()), (kind, "vpc-1 in state"), "{code}");
    }
}

#[tokio::test]
async fn since_when_something_is_so_comes_back_as_it_was_written() {
    let unused = Note::Unused(sg("sg-1"), Some(time("2026-01-02T03:04:05.000000001Z")));
    let left_over =
        Removal::LeftOver { interface: InterfaceId::parse("eni-1").unwrap(), store: StoreId::parse("db-A").unwrap() };
    let left_over = Note::Wanted(left_over, Some(Wanted::since(time("2026-01-02T03:04:05Z"))));
    for (note, entry) in [
        (wanted(), "wanted i-1 arn:aws:redshift:eu-west-1:123456789012:namespace:1"),
        (left_over, "wanted eni-1 db-A"),
        (unused, "unused sg-1"),
    ] {
        let script = Script::default().then(200, "{}");
        write_notes(&script, std::slice::from_ref(&note)).await;
        let asked = script.asked();
        let (operation, body) = call(&asked[0]);
        assert_eq!((operation, body.as_object().unwrap().len()), ("PutItem", 2), "{body}");
        assert_eq!((&body["TableName"], &body["Item"]["entry"]["S"]), (&json!("state"), &json!(entry)));
        let month = time("2026-02-01T03:04:05Z").as_second().to_string();
        assert_eq!(body["Item"]["expires"]["N"], month);
        let mut state = VpcState::default();
        state.note(note);
        assert_eq!(read_state(&[body["Item"].clone()], &[]).await, Ok(state));
    }
}

#[tokio::test]
async fn an_attachment_comes_back_as_it_was_written_beside_those_of_its_list() {
    for target in [interface("eni-1"), store("arn:aws:redshift:eu-west-1:123456789012:namespace:1")] {
        let note = Note::Attached(target.clone(), sg("sg-1"), Some(attached()));
        let script = Script::default().then(200, "{}");
        write_notes(&script, std::slice::from_ref(&note)).await;
        let asked = script.asked();
        let (operation, mut body) = call(&asked[0]);
        let text = body["ExpressionAttributeValues"][":attached"].take();
        let expires = time("2027-02-08T00:00:00Z").as_second().to_string();
        let key = json!({ "vpc": { "S": "vpc-1 attached" }, "entry": { "S": list_entry(&target) } });
        let expected = json!({
            "TableName": "state",
            "Key": key,
            "UpdateExpression": "SET #group = :attached, #expires = :expires",
            "ExpressionAttributeNames": { "#group": "sg-1", "#expires": "expires" },
            "ExpressionAttributeValues": { ":attached": null, ":expires": { "N": expires } },
        });
        assert_eq!((operation, body), ("UpdateItem", expected));
        let mut item = key;
        item["sg-1"] = text;
        let mut state = VpcState::default();
        state.note(note);
        assert_eq!(read_state(&[], &[item]).await, Ok(state));
    }
}

#[tokio::test]
async fn what_is_over_is_taken_out() {
    let script = Script::default().then(200, "{}").then(200, "{}");
    write_notes(&script, &[Note::Wanted(Removal::Connection(connection()), None), Note::Unused(sg("sg-1"), None)])
        .await;
    for (asked, entry) in
        script.asked().iter().zip(["wanted i-1 arn:aws:redshift:eu-west-1:123456789012:namespace:1", "unused sg-1"])
    {
        let expected = json!({ "TableName": "state", "Key": { "vpc": { "S": "vpc-1" }, "entry": { "S": entry } } });
        assert_eq!(call(asked), ("DeleteItem", expected));
    }
    assert_eq!(script.asked().len(), 2);
}

/// A list's item as it is after one of its attachments was taken out.
fn left(groups: &[&str]) -> String {
    let mut item = json!({ "vpc": { "S": "vpc-1 attached" }, "entry": { "S": "eni-1" }, "expires": { "N": "1" } });
    for group in groups {
        item[*group] = json!({ "S": serde_json::to_string(&attached()).unwrap() });
    }
    json!({ "Attributes": item }).to_string()
}

#[tokio::test]
async fn an_attachment_is_taken_out_of_its_list_and_the_item_goes_with_the_last() {
    let over = Note::Attached(interface("eni-1"), sg("sg-1"), None);
    let key = json!({ "vpc": { "S": "vpc-1 attached" }, "entry": { "S": "eni-1" } });
    let update = json!({
        "TableName": "state",
        "Key": key,
        "UpdateExpression": "REMOVE #group",
        "ExpressionAttributeNames": { "#group": "sg-1" },
        "ReturnValues": "ALL_NEW",
    });
    let script = Script::default().then(200, left(&["sg-2"]));
    write_notes(&script, std::slice::from_ref(&over)).await;
    assert_eq!(script.asked().iter().map(|asked| call(asked)).collect::<Vec<_>>(), [("UpdateItem", update.clone())]);

    let script = Script::default().then(200, left(&[])).then(200, "{}");
    write_notes(&script, &[over]).await;
    let delete = json!({ "TableName": "state", "Key": key });
    let asked = script.asked();
    let calls: Vec<_> = asked.iter().map(|asked| call(asked)).collect();
    assert_eq!(calls, [("UpdateItem", update), ("DeleteItem", delete)]);
}

#[tokio::test]
async fn a_list_that_loses_one_attachment_and_gets_another_keeps_the_new_one() {
    let notes = [
        Note::Attached(interface("eni-1"), sg("sg-2"), Some(attached())),
        Note::Attached(interface("eni-1"), sg("sg-1"), None),
    ];
    let script = Script::default().then(200, left(&[])).then(200, "{}").then(200, "{}");
    write_notes(&script, &notes).await;
    let asked = script.asked();
    let operations: Vec<&str> = asked.iter().map(|asked| call(asked).0).collect();
    assert_eq!(operations, ["UpdateItem", "DeleteItem", "UpdateItem"]);
    assert!(asked[0].contains("REMOVE") && asked[2].contains("SET"), "{asked:?}");
}

#[tokio::test]
async fn a_note_that_fails_is_reported_and_the_others_are_written() {
    let notes = [Note::Unused(sg("sg-1"), None), wanted(), Note::Unused(sg("sg-2"), None)];
    let script = Script::default().to("unused sg-1", 400, error("ThrottlingException")).to("wanted", 200, "{}").to(
        "unused sg-2",
        200,
        "{}",
    );
    let failure = script.aws().write_notes(&vpc(), &notes).await.unwrap_err();
    assert_eq!((failure.kind, failure.resource.as_str()), (ErrorKind::Throttled, "unused sg-1 in state"));
    assert_eq!(script.asked().len(), 3);
}

#[tokio::test]
async fn without_a_table_nothing_is_remembered_and_nothing_can_be_counted() {
    let script = Script::default();
    let aws = script.aws_with(None);
    assert_eq!(aws.vpc_state(&vpc(), None).await, Ok(VpcState::default()));
    for failure in [aws.reserve_window(&vpc(), &Window::default()).await, aws.write_notes(&vpc(), &[wanted()]).await] {
        let failure = failure.unwrap_err();
        assert_eq!((failure.kind, failure.code.as_str()), (ErrorKind::Rejected, "no-state-table"));
    }
    assert_eq!(script.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn that_tagwire_is_to_be_gone_and_when_a_vpc_was_swept_come_back_as_they_were_written() {
    let at = time("2026-01-02T03:04:05.123456789Z");
    let script = (0..5).fold(Script::default(), |script, _| script.then(200, "{}"));
    write_notes(&script, &[Note::Uninstalling(Some(at)), Note::Swept(at)]).await;
    let written: Vec<(String, Value)> =
        script.asked().iter().map(|asked| call(asked)).map(|(name, body)| (name.to_owned(), body)).collect();
    assert!(written.iter().all(|(name, _)| name == "PutItem"), "{written:?}");
    let items = written.iter().map(|(_, body)| body["Item"].clone());
    let (index, kept): (Vec<Value>, Vec<Value>) = items.partition(|item| item["vpc"]["S"] == json!("uninstalling"));
    assert_eq!((index.len(), &index[0]["entry"]["S"]), (1, &json!(vpc().as_str())), "it is listed by itself too");
    assert_eq!([&kept[0]["entry"]["S"], &kept[1]["entry"]["S"]], [&json!("uninstalling"), &json!("swept")]);
    let days = |item: &Value| {
        let expires: i64 = item["expires"]["N"].as_str().unwrap().parse().unwrap();
        (expires - at.as_second()) / 86_400
    };
    assert!(days(&kept[0]) > 365, "it must not be forgotten while it is so: {kept:?}");
    let state = read_state(&kept, &[]).await.unwrap();
    assert_eq!((state.uninstalling, state.swept), (Some(at), Some(at)));

    write_notes(&script, &[Note::Uninstalling(None)]).await;
    let asked = script.asked();
    let [.., of_vpc, of_list] = asked.as_slice() else { panic!("{asked:?}") };
    let (operation, body) = call(of_vpc);
    assert_eq!((operation, &body["Key"]["entry"]["S"]), ("DeleteItem", &json!("uninstalling")));
    let (operation, body) = call(of_list);
    assert_eq!((operation, &body["Key"]["vpc"]["S"]), ("DeleteItem", &json!("uninstalling")));
}

#[tokio::test]
async fn the_vpcs_that_tagwire_is_to_be_gone_from_are_listed_without_knowing_them() {
    let items = json!({"Items": [{"vpc": {"S": "uninstalling"}, "entry": {"S": vpc().as_str()}}]});
    let script = Script::default().then(200, items.to_string());
    let listed = script.aws().vpcs_uninstalling().await;
    assert_eq!((listed.found, listed.gaps), (vec![vpc()], Vec::new()));
    let asked = script.asked();
    let (operation, body) = call(&asked[0]);
    assert_eq!((operation, &body["ExpressionAttributeValues"][":vpc"]["S"]), ("Query", &json!("uninstalling")));
}

#[tokio::test]
async fn an_answer_comes_back_as_it_was_written_and_none_is_none() {
    let id = RequestId::parse("request-1").unwrap();
    let answer =
        Answer { code: "changed".into(), message: "2 changes were made".into(), at: time("2026-01-02T03:04:05Z") };
    let script = Script::default().then(200, "{}");
    script.aws().answer_request(&vpc(), &id, &answer).await.unwrap();
    let asked = script.asked();
    let (operation, written) = call(&asked[0]);
    assert_eq!((operation, &written["Item"]["vpc"]["S"]), ("PutItem", &json!("request request-1")));
    assert_eq!(written["Item"]["entry"]["S"], "vpc-1");

    let script = Script::default()
        .then(200, json!({ "Item": written["Item"] }).to_string())
        .then(200, "{}")
        .then(200, json!({ "Item": { "answer": { "S": "{}" } } }).to_string())
        .then(400, error("ResourceNotFoundException"));
    let aws = script.aws();
    assert_eq!(aws.answer(&vpc(), &id).await.unwrap(), Some(answer));
    assert_eq!(aws.answer(&vpc(), &id).await.unwrap(), None);
    assert_eq!(aws.answer(&vpc(), &id).await.unwrap_err().code, "item-unreadable");
    assert_eq!(aws.answer(&vpc(), &id).await.unwrap_err().kind, ErrorKind::NotFound);
    let asked = script.asked();
    let (operation, body) = call(&asked[0]);
    assert_eq!((operation, &body["ConsistentRead"]), ("GetItem", &json!(true)));
    assert_eq!(body["Key"], json!({ "vpc": { "S": "request request-1" }, "entry": { "S": "vpc-1" } }));
}
