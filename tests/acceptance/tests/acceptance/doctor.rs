//! `tagwire doctor` finds an account ready, and says of each thing that is not what it is and how to fix it. It only
//! reads.

use std::process::Output;

use serde_json::{Value, json};
use tagwire_acceptance::Installation;
use tagwire_local_aws::{ACCOUNT_ID, Effect, Fault, LocalAws};

use crate::{
    command_line::{tagwire, text},
    support::{Joined, lease, lease_with, let_pass, sweep, writes},
};

/// What the doctor found: its exit code, and the checks.
struct Found {
    code: Option<i32>,
    checks: Vec<Value>,
}

impl Found {
    fn of(output: &Output) -> Self {
        assert_eq!(text(&output.stderr), "", "whatever is wrong is a line of the report");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["version"], 2);
        let checks = document["checks"].as_array().unwrap().clone();
        for check in &checks {
            let is_well = check["level"] == "ok";
            assert_eq!(check["fix"].is_string(), !is_well, "what is not well has a command, and nothing else: {check}");
        }
        Self { code: output.status.code(), checks }
    }

    /// The levels, texts and commands of a check, in the order of the report.
    fn named(&self, name: &str) -> Vec<(&str, &str, &str)> {
        let of_name = self.checks.iter().filter(|check| check["name"] == name);
        of_name
            .map(|check| {
                let part = |key: &str| check[key].as_str().unwrap_or_default();
                (part("level"), part("message"), part("fix"))
            })
            .collect()
    }

    /// The check of a name that there is one of.
    fn only(&self, name: &str) -> (&str, &str, &str) {
        let [only] = self.named(name).try_into().unwrap_or_else(|all| panic!("{name}: {all:?}"));
        only
    }

    /// What is not well.
    fn unwell(&self) -> Vec<&str> {
        let unwell = self.checks.iter().filter(|check| check["level"] != "ok");
        unwell.map(|check| check["name"].as_str().unwrap()).collect()
    }
}

fn doctor(aws: &LocalAws, arguments: &[&str]) -> Found {
    Found::of(&tagwire(aws, &[&["doctor", "-o", "json"], arguments].concat()))
}

/// What an account has that was set up with care.
async fn set_up(aws: &LocalAws) {
    let trail = json!({ "Name": "all", "S3BucketName": "trails", "IsMultiRegionTrail": true });
    aws.ask("cloudtrail", "CloudTrail_20131101.CreateTrail", &trail).await.unwrap();
    aws.ask("cloudtrail", "CloudTrail_20131101.StartLogging", &json!({ "Name": "all" })).await.unwrap();
    for principal in ["rds.amazonaws.com", "elasticache.amazonaws.com", "redshift.amazonaws.com"] {
        aws.ask_iam("CreateServiceLinkedRole", &[("AWSServiceName", principal)]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_account_is_found_ready_and_left_as_it_is() {
    let aws = lease().await;
    set_up(&aws).await;
    aws.forget_calls();
    let empty = doctor(&aws, &["--strict"]);
    assert_eq!((empty.code, empty.unwell()), (Some(0), Vec::new()), "{:#?}", empty.checks);

    let joined = Joined::<2>::make(&aws).await;
    let young = doctor(&aws, &[]);
    assert_eq!((young.code, young.unwell()), (Some(0), vec!["last-sweep"]), "{:#?}", young.checks);
    let lines = text(&tagwire(&aws, &["doctor"]).stdout);
    assert!(lines.ends_with("\nReady, with 1 warning.\n"), "{lines}");
    sweep(&aws).await;
    aws.forget_calls();
    let ready = doctor(&aws, &["--strict"]);
    assert_eq!((ready.code, ready.unwell()), (Some(0), Vec::new()), "{:#?}", ready.checks);
    let messages = |name: &str| ready.only(name).1.to_owned();
    assert!(messages("credentials").contains(ACCOUNT_ID), "{}", messages("credentials"));
    assert!(
        messages("trail").starts_with(&format!("arn:aws:cloudtrail:us-east-1:{ACCOUNT_ID}:trail/all logs")),
        "{}",
        messages("trail")
    );
    assert!(messages("interface-use").contains("has 3 of the 5 groups"), "{}", messages("interface-use"));
    assert!(messages("rule-quota").contains("has 1 of the 60 rules"), "{}", messages("rule-quota"));
    assert!(messages("last-sweep").starts_with(&joined.installation.vpc), "{}", messages("last-sweep"));
    assert!(messages("caller-permissions").contains("all 19 calls"), "{}", messages("caller-permissions"));

    assert_eq!(writes(&aws).len(), 0);
    let verbs = ["Describe", "Get", "List", "Query", "BatchGet", "Simulate"];
    let others: Vec<String> = aws
        .calls()
        .into_iter()
        .filter(|call| call.function.is_none() && !verbs.iter().any(|verb| call.action.starts_with(verb)))
        .map(|call| format!("{} {}", call.service, call.action))
        .collect();
    assert_eq!(others, Vec::<String>::new());

    // A sweep comes every 60 minutes here.
    let_pass(&aws, 125).await;
    let late = doctor(&aws, &[]);
    let (level, message, fix) = late.only("last-sweep");
    assert!(level == "warning" && message.contains("was swept 125 minutes ago"), "{message}");
    assert!(fix.starts_with("aws lambda invoke --function-name tagwire-SweepFunction-"), "{fix}");
    let_pass(&aws, 125).await;
    let missing = doctor(&aws, &[]);
    assert_eq!((missing.code, missing.only("last-sweep").0), (Some(1), "failure"));
    joined.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ready_is_named_with_what_mends_it() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    installation.silent_aurora("orders", "orders").await.unwrap();

    // Only what deserves a look so far.
    let bare = doctor(&aws, &[]);
    assert_eq!(bare.code, Some(0));
    let (level, message, fix) = bare.only("trail");
    assert!(level == "warning" && message.starts_with("there is no trail"), "{message}");
    assert!(fix.contains("aws cloudtrail create-trail --name tagwire") && fix.contains("--region us-east-1"), "{fix}");
    let (level, message, fix) = bare.only("service-linked-role-rds");
    assert!(level == "warning" && message.contains("1 data store of RDS carries the connect tag"), "{message}");
    assert_eq!(fix, "aws iam create-service-linked-role --aws-service-name rds.amazonaws.com --region us-east-1");
    assert_eq!(bare.only("service-linked-role-redshift").0, "ok");
    assert_eq!(doctor(&aws, &["--strict"]).code, Some(1));

    set_up(&aws).await;
    aws.ask("cloudtrail", "CloudTrail_20131101.StopLogging", &json!({ "Name": "all" })).await.unwrap();
    let off = doctor(&aws, &[]);
    let (level, message, fix) = off.only("trail");
    assert!(level == "warning" && message.contains("trail/all is switched off"), "{message}");
    assert!(fix.starts_with("aws cloudtrail start-logging --name arn:aws:cloudtrail:us-east-1:"), "{fix}");
    aws.ask("cloudtrail", "CloudTrail_20131101.StartLogging", &json!({ "Name": "all" })).await.unwrap();

    let selectors = json!([{ "ReadWriteType": "ReadOnly", "IncludeManagementEvents": true }]);
    let narrow = json!({ "TrailName": "all", "EventSelectors": selectors });
    aws.ask("cloudtrail", "CloudTrail_20131101.PutEventSelectors", &narrow).await.unwrap();
    let narrow = doctor(&aws, &[]);
    let (level, message, fix) = narrow.only("trail");
    assert!(level == "warning" && message.contains("not every management write"), "{message}");
    assert!(fix.contains("aws cloudtrail put-event-selectors") && fix.contains("ReadOnly"), "{fix}");

    // An organization that refuses the names in use.
    aws.ask("organizations", "AWSOrganizationsV20161128.DescribeOrganization", &json!({})).await.unwrap();
    let roots = aws.ask("organizations", "AWSOrganizationsV20161128.ListRoots", &json!({})).await.unwrap();
    let enable = json!({ "RootId": roots["Roots"][0]["Id"], "PolicyType": "TAG_POLICY" });
    aws.ask("organizations", "AWSOrganizationsV20161128.EnablePolicyType", &enable).await.unwrap();
    let document = json!({ "tags": { "tagwire:connect": {
        "tag_key": { "@@assign": "tagwire:connect" }, "tag_value": { "@@assign": ["billing"] },
        "enforced_for": { "@@assign": ["rds:cluster"] },
    } } });
    let policy = json!({ "Name": "tags", "Description": "", "Type": "TAG_POLICY", "Content": document.to_string() });
    let made = aws.ask("organizations", "AWSOrganizationsV20161128.CreatePolicy", &policy).await.unwrap();
    let attach = json!({ "PolicyId": made["Policy"]["PolicySummary"]["Id"], "TargetId": ACCOUNT_ID });
    aws.ask("organizations", "AWSOrganizationsV20161128.AttachPolicy", &attach).await.unwrap();
    let refused = doctor(&aws, &[]);
    let (level, message, fix) = refused.only("tag-policy");
    assert!(
        level == "warning" && message.ends_with("and refuses 1 connection name in use, orders among them"),
        "{message}"
    );
    assert!(fix.contains(&format!("list-policies-for-target --target-id {ACCOUNT_ID} --filter TAG_POLICY")), "{fix}");
    assert_eq!(refused.code, Some(0));

    // Something that could not be handled.
    let url = aws.stack().output("ConnectDeadLettersUrl").unwrap();
    let lost = aws.sqs().send_message().queue_url(url).message_body("{}").message_group_id("g");
    lost.message_deduplication_id("1").send().await.unwrap();
    let lost = doctor(&aws, &[]);
    assert_eq!(lost.code, Some(1));
    let (level, message, fix) = lost.only("dead-letters-connect");
    assert!(level == "failure" && message.starts_with("1 message in the connect dead-letter queue"), "{message}");
    assert!(
        fix.starts_with(&format!("aws sqs start-message-move-task --source-arn arn:aws:sqs:us-east-1:{ACCOUNT_ID}:")),
        "{fix}"
    );
    assert_eq!(lost.only("dead-letters-store").0, "ok");

    // A role that somebody took something from.
    let role = aws.stack().physical_id("ConnectRole").unwrap();
    aws.ask_iam("DeleteRolePolicy", &[("RoleName", role), ("PolicyName", "what-it-changes")]).await.unwrap();
    let stripped = doctor(&aws, &[]);
    assert_eq!(stripped.code, Some(1));
    let (level, message, fix) = stripped.only("connect-permissions");
    assert_eq!(level, "failure");
    assert!(message.starts_with(&format!("{role} may not dynamodb:DeleteItem, ")), "{message}");
    assert!(message.contains("ec2:CreateSecurityGroup, ") && !message.contains("ec2:DescribeInstances"), "{message}");
    assert!(message.ends_with("no policy of the role allows it"), "{message}");
    assert!(
        fix.contains("--deployment-mode REVERT_DRIFT") && fix.contains("ParameterKey=Mode,UsePreviousValue=true"),
        "{fix}"
    );
    assert_eq!(writes(&aws).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_the_quota_does_not_allow_is_a_failure() {
    let aws = lease_with(&[("InterfaceGroupLimit", "16")]).await;
    let found = doctor(&aws, &[]);
    assert_eq!(found.code, Some(1));
    let (level, message, fix) = found.only("interface-group-quota");
    assert!(
        level == "failure" && message.starts_with("InterfaceGroupLimit is 16 and a network interface takes 5 groups"),
        "{message}"
    );
    assert!(fix.contains("--quota-code L-2AFB9258 --desired-value 16"), "{fix}");
    assert_eq!(found.only("rule-quota").0, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_is_asked_for_no_permission_to_change_anything() {
    let aws = lease_with(&[("Mode", "dry-run")]).await;
    set_up(&aws).await;
    let found = doctor(&aws, &[]);
    assert_eq!((found.code, found.unwell()), (Some(0), vec!["mode"]), "{:#?}", found.checks);
    assert!(found.only("mode").2.ends_with("--parameter-overrides Mode=enforce"));
    assert!(found.only("connect-permissions").1.ends_with("which are reads in a dry run"));
    assert!(found.only("last-sweep").1.contains("dry run"));
    assert_eq!(doctor(&aws, &["--strict"]).code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_stack_it_says_how_to_get_one() {
    let mut aws = lease().await;
    let other = doctor(&aws, &["--stack-name", "other"]);
    assert_eq!(other.code, Some(1));
    let (level, message, fix) = other.only("stack");
    assert!(level == "failure" && message.starts_with("there is no stack named other"), "{message}");
    assert_eq!(fix, "sam build && sam deploy --stack-name other --region us-east-1");
    assert!(other.named("dead-letters-connect").is_empty(), "there is nothing to look at");

    aws.delete_stack().await.unwrap();
    let none = doctor(&aws, &[]);
    assert_eq!(none.code, Some(1));
    assert!(none.only("stack").1.starts_with("tagwire is not installed"), "{}", none.only("stack").1);
    assert_eq!(none.only("group-quota").0, "ok", "the account is looked at all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_line_of_its_own_and_ends_nothing() {
    let aws = lease().await;
    set_up(&aws).await;
    let denied = |service: &str, action: &str| Fault::new(service, action, Effect::AccessDenied).always();
    aws.inject(denied("iam", "SimulatePrincipalPolicy"));
    aws.inject(denied("ec2", "DescribeRegions"));
    aws.inject(denied("rds", "DescribeDBClusters"));
    aws.inject(Fault::new("cloudtrail", "DescribeTrails", Effect::Throttle).always());
    aws.inject(Fault::new("sqs", "GetQueueAttributes", Effect::Throttle));
    let found = doctor(&aws, &[]);
    assert_eq!(found.code, Some(1), "a Region that could not be asked about is a failure: {:#?}", found.checks);
    for (name, words, command) in [
        ("connect-permissions", ["iam:SimulatePrincipalPolicy", "AccessDenied"], "aws iam "),
        ("region", ["ec2:DescribeRegions", "UnauthorizedOperation"], "aws iam "),
        ("caller-permissions", ["rds:DescribeDBClusters", "AccessDenied"], "aws iam "),
        ("trail", ["cloudtrail:DescribeTrails", "ThrottlingException"], "tagwire doctor --region us-east-1"),
    ] {
        let (level, message, fix) = found.only(name);
        let expected = if name == "region" { "failure" } else { "warning" };
        assert!(level == expected && words.iter().all(|word| message.contains(word)), "{name}: {message}");
        assert!(message.contains("request id"), "{name}: {message}");
        assert!(fix.starts_with(command), "{name}: {fix}");
    }
    let slow: Vec<&str> = found
        .unwell()
        .into_iter()
        .filter(|name| name.starts_with("dead-letters") || name.starts_with("backlog"))
        .collect();
    assert_eq!(slow.len(), 1, "one queue did not answer: {slow:?}");
    assert_eq!(found.unwell().len(), 5, "{:?}", found.unwell());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_or_a_region_it_says_so_and_asks_for_nothing_else() {
    let aws = lease().await;
    let wrong = Effect::Refuse(
        403,
        "InvalidClientTokenId".into(),
        "The security token included in the request is invalid.".into(),
    );
    aws.inject(Fault::new("sts", "GetCallerIdentity", wrong));
    aws.forget_calls();
    let found = doctor(&aws, &[]);
    assert_eq!((found.code, found.unwell()), (Some(1), vec!["credentials"]));
    let (level, message, fix) = found.only("credentials");
    assert!(
        level == "failure" && message.contains("InvalidClientTokenId") && fix == "aws configure",
        "{message}: {fix}"
    );
    assert_eq!(aws.calls().len(), 1);

    // Throttled is not refused.
    aws.inject(Fault::new("sts", "GetCallerIdentity", Effect::Throttle));
    let slow = doctor(&aws, &[]);
    assert_eq!((slow.code, slow.only("credentials").0), (Some(1), "failure"));
    assert_eq!(slow.only("stack").0, "ok");

    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("tagwire");
    let mut environment = aws.function_environment();
    environment.retain(|name, _| !name.ends_with("REGION"));
    let nowhere = std::process::Command::new(program)
        .args(["doctor", "-o", "json"])
        .env_clear()
        .envs(environment)
        .output()
        .unwrap();
    let nowhere = Found::of(&nowhere);
    assert_eq!((nowhere.code, nowhere.unwell()), (Some(1), vec!["region"]));
}
