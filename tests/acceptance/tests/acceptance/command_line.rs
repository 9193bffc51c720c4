//! `tagwire plan` sees what the functions see, and changes nothing.

use std::{
    collections::BTreeMap,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use tagwire_acceptance::{Installation, owned_groups};
use tagwire_local_aws::LocalAws;

use crate::support::{assert_connected, assert_settled, lease, writes};

/// Runs the command with the functions' own view of AWS. The lease has built it beside this test.
pub(crate) fn tagwire(aws: &LocalAws, arguments: &[&str]) -> Output {
    run(&aws.function_environment(), arguments)
}

/// Runs the command in an environment.
pub(crate) fn run(environment: &BTreeMap<String, String>, arguments: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("tagwire");
    Command::new(program).args(arguments).env_clear().envs(environment).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Whether a document has the form that a schema says, by the word of a validator of its own.
pub(crate) fn assert_valid(schema: &str, document: &str) {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schemas/{schema}.schema.json"));
    let program = "import json, sys, jsonschema\n\
        schema = json.load(open(sys.argv[1], encoding='utf-8'))\n\
        jsonschema.Draft202012Validator.check_schema(schema)\n\
        checker = jsonschema.Draft202012Validator.FORMAT_CHECKER\n\
        jsonschema.Draft202012Validator(schema, format_checker=checker).validate(json.load(sys.stdin))\n";
    let mut python = Command::new(tagwire_local_aws::python().unwrap())
        .args(["-c", program])
        .arg(schema)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
    let done = python.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_is_pending_and_then_that_nothing_is() {
    let aws = lease().await;
    let empty = tagwire(&aws, &["plan"]);
    assert_eq!((empty.status.code(), text(&empty.stderr)), (Some(0), String::new()));
    assert!(text(&empty.stdout).contains("Nothing is opted in"), "{}", text(&empty.stdout));

    let installation = Installation::create(&aws, 1).await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    let store = installation.silent_aurora("orders", "orders").await.unwrap();
    let pending = tagwire(&aws, &["plan"]);
    assert_eq!((pending.status.code(), text(&pending.stderr)), (Some(2), String::new()));
    let message = text(&pending.stdout);
    for line in [
        format!(
            "    + attach ec2-rds-1 to {} of {}: shares orders with cluster/orders",
            instance.interface, instance.id
        ),
        "    + attach rds-ec2-1 to cluster/orders".to_owned(),
        "6 changes are pending: +2 create, +2 allow, +2 attach, in 1 VPC (1 finding: see --all).".to_owned(),
    ] {
        assert!(message.lines().any(|printed| printed == line), "{line:?} is not in:\n{message}");
    }
    assert_eq!(writes(&aws).len(), 0, "a plan changes nothing");
    assert!(owned_groups(&aws).await.unwrap().is_empty());

    aws.invoke("SweepFunction", &json!({})).await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, &instance, &store, 1).await;
    let done = tagwire(&aws, &["plan", "--vpc", &installation.vpc, "--instance", &instance.id, "--output", "json"]);
    assert_eq!((done.status.code(), text(&done.stderr)), (Some(0), String::new()));
    let document: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_valid("plan-v5", &text(&done.stdout));
    assert_eq!(document["vpcs"][0]["changes"], json!([]));
    assert_eq!(document["vpcs"][0]["decisions"][0]["instance"], instance.id.as_str());
    assert_eq!(document["vpcs"][0]["decisions"][0]["verdict"]["connected"]["owned"], true);
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_planned_is_an_error_that_says_why() {
    let aws = lease().await;
    let bad = tagwire(&aws, &["plan", "--vpc", "sg-1"]);
    assert_eq!(bad.status.code(), Some(1), "2 would mean that changes are pending");
    assert!(text(&bad.stderr).contains("vpc-0a1b2c3d"), "{}", text(&bad.stderr));

    aws.inject(tagwire_local_aws::Fault::new("ec2", "DescribeInstances", tagwire_local_aws::Effect::AccessDenied));
    let denied = tagwire(&aws, &["plan"]);
    assert_eq!(denied.status.code(), Some(1));
    assert_eq!(text(&denied.stdout), "", "what was not read is not called absent");
    let message = text(&denied.stderr);
    assert!(message.contains("ec2:DescribeInstances") && message.contains("UnauthorizedOperation"), "{message}");
}
