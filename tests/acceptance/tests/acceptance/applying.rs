//! `tagwire apply` and `tagwire uninstall`: shown, agreed to, sent through the queue and followed, with the
//! real functions at the other end. The command itself changes nothing.

use std::time::Duration;

use serde_json::{Value, json};
use tagwire_acceptance::{Installation, Kind, connection, interface_groups, is_write, owned_groups};
use tagwire_local_aws::{Effect, Fault, LocalAws};

use crate::{
    command_line::{assert_valid, run, tagwire, text},
    support::{assert_connected, assert_settled, assert_untouched, lease, lease_with, sweep, writes},
};

/// The writes that no function made, which must be none but the sending of work.
fn writes_of_the_command(aws: &LocalAws) -> Vec<String> {
    let calls = aws.calls().into_iter().filter(|call| call.function.is_none());
    calls
        .filter(|call| {
            is_write(call) || call.service == "dynamodb" && call.action != "GetItem" && call.action != "Query"
        })
        .map(|call| format!("{}:{}", call.service, call.action))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_shown_sent_carried_out_by_connect_and_followed_to_the_end() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    let store = installation.silent_aurora("orders", "orders").await.unwrap();
    let before = tagwire_acceptance::foreign(&aws).await.unwrap();
    aws.forget_calls();

    let nobody = tagwire(&aws, &["apply"]);
    assert_eq!(nobody.status.code(), Some(1), "{}", text(&nobody.stderr));
    assert!(text(&nobody.stderr).contains("--yes"), "{}", text(&nobody.stderr));
    assert!(text(&nobody.stdout).contains("6 changes are pending"), "{}", text(&nobody.stdout));
    assert!(owned_groups(&aws).await.unwrap().is_empty());

    let applied = tagwire(&aws, &["apply", "--yes", "--timeout", "120"]);
    assert_eq!((applied.status.code(), text(&applied.stderr)), (Some(0), String::new()), "{}", text(&applied.stdout));
    assert!(text(&applied.stdout).ends_with("Done: 6 changes made and verified.\n"), "{}", text(&applied.stdout));
    assert_connected(&aws, &instance, &store, 1).await;
    assert_eq!(writes_of_the_command(&aws), Vec::<String>::new());
    let again = tagwire(&aws, &["apply", "--yes"]);
    assert_eq!((again.status.code(), text(&again.stdout)), (Some(0), "Nothing to change.\n".to_owned()));
    assert_untouched(&aws, &before).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_connect_does_not_see_is_refused_and_the_new_one_shown() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    let store = installation.silent_aurora("orders", "orders").await.unwrap();
    // With status tags in its own view only, the command plans something that connect does not.
    let changed = tagwire(&aws, &["apply", "--yes", "--status-tags", "on"]);
    assert_eq!(changed.status.code(), Some(1), "{}", text(&changed.stdout));
    let message = text(&changed.stderr);
    assert!(message.contains("plan-changed") && message.contains("other settings"), "{message}");
    aws.settle().await.unwrap();
    assert!(owned_groups(&aws).await.unwrap().is_empty(), "nothing was carried out");
    let outcomes = crate::support::outcomes(&aws, &installation.vpc).await;
    assert!(outcomes.contains("plan-changed"), "{outcomes:?}");

    // Between the plan and its sending another instance is tagged, of which no event tells.
    let other = installation.launch(None).await.unwrap();
    aws.settle().await.unwrap();
    aws.inject(Fault::new("sqs", "SendMessage", Effect::Delay(Duration::from_secs(6))));
    let changed = {
        let running = tokio::task::spawn_blocking({
            let environment = aws.function_environment();
            move || run(&environment, &["apply", "--yes"])
        });
        tokio::time::sleep(Duration::from_secs(4)).await;
        installation.tag_silently(&other, "orders").await.unwrap();
        running.await.unwrap()
    };
    assert_eq!(aws.forget_faults().len(), 0, "the sending was held up");
    let (message, shown) = (text(&changed.stderr), text(&changed.stdout));
    assert_eq!(changed.status.code(), Some(1), "{shown}");
    assert!(message.contains("plan-changed") && message.contains("run the command again"), "{message}");
    let plans: Vec<&str> = shown.split(&format!("{}\n", installation.vpc)).skip(1).collect();
    assert_eq!(plans.len(), 2, "the plan that was agreed to and the new one: {shown}");
    assert!(!plans[0].contains(&other.id) && plans[1].contains(&other.id), "{shown}");
    assert!(owned_groups(&aws).await.unwrap().is_empty(), "nothing was carried out");

    sweep(&aws).await;
    assert_connected(&aws, &instance, &store, 1).await;
    assert_connected(&aws, &other, &store, 1).await;
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_is_carried_out_while_it_is_the_plan_of_now_and_never_after() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    let other = installation.launch(None).await.unwrap();
    aws.settle().await.unwrap();
    let store = installation.silent_aurora("orders", "orders").await.unwrap();
    let path = std::env::temp_dir().join(format!("tagwire-plan-{}.json", std::process::id()));
    let path = path.to_str().unwrap();

    let saved = tagwire(&aws, &["plan", "--out", path]);
    assert_eq!(saved.status.code(), Some(2), "{}", text(&saved.stderr));
    assert!(text(&saved.stderr).contains(&format!("`tagwire apply --plan {path}`")), "{}", text(&saved.stderr));
    let document = std::fs::read_to_string(path).unwrap();
    assert_valid("plan-v5", &document);

    let elsewhere = tagwire(&aws, &["apply", "--yes", "--plan", path, "--region", "eu-west-1"]);
    assert_eq!((elsewhere.status.code(), text(&elsewhere.stdout)), (Some(1), String::new()));

    // Another instance is tagged, of which no event tells.
    installation.tag_silently(&other, "orders").await.unwrap();
    aws.forget_calls();
    let changed = tagwire(&aws, &["apply", "--yes", "--plan", path]);
    let message = text(&changed.stderr);
    assert_eq!((changed.status.code(), text(&changed.stdout)), (Some(1), String::new()), "{message}");
    assert!(message.contains("something has changed since the plan was made"), "{message}");
    assert!(message.contains("pending now, and not in the saved plan:") && message.contains(&other.id), "{message}");
    assert_eq!(writes(&aws).len(), 0, "nothing was handed over");

    installation.untag_silently(&other.arn()).await.unwrap();
    let applied = tagwire(&aws, &["apply", "--yes", "--plan", path, "--output", "json", "--timeout", "120"]);
    assert_eq!(applied.status.code(), Some(0), "{}", text(&applied.stderr));
    assert_valid("apply-v1", &text(&applied.stdout));
    let result: Value = serde_json::from_slice(&applied.stdout).unwrap();
    let digest = |document: &Value| document["vpcs"][0]["digest"].clone();
    assert_eq!((&result["result"], &result["vpcs"][0]["left"]), (&json!("done"), &json!(0)));
    assert_eq!(digest(&result), digest(&serde_json::from_str(&document).unwrap()));
    assert_connected(&aws, &instance, &store, 1).await;

    let again = tagwire(&aws, &["apply", "--yes", "--plan", path]);
    assert_eq!((again.status.code(), text(&again.stdout)), (Some(0), "Nothing to change.\n".to_owned()));
    std::fs::remove_file(path).unwrap();
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_chooses_the_plan_that_has_it_and_no_other() {
    let aws = lease().await;
    let installations = [Installation::create(&aws, 1).await.unwrap(), Installation::create(&aws, 2).await.unwrap()];
    let mut made = Vec::new();
    for (installation, name) in installations.iter().zip(["orders", "sales"]) {
        let instance = installation.launch(Some(name)).await.unwrap();
        aws.settle().await.unwrap();
        made.push((instance, installation.silent_aurora(name, name).await.unwrap()));
    }
    let planned = tagwire(&aws, &["plan", "--output", "json"]);
    let planned: Value = serde_json::from_slice(&planned.stdout).unwrap();
    let of = |vpc: &str| planned["vpcs"].as_array().unwrap().iter().find(|of| of["vpc"] == vpc).unwrap();
    let digest = of(&installations[0].vpc)["digest"].as_str().unwrap();

    let unknown = tagwire(&aws, &["apply", "--yes", "--digest", &"0".repeat(64)]);
    assert_eq!((unknown.status.code(), text(&unknown.stdout)), (Some(1), String::new()));
    assert!(text(&unknown.stderr).contains(digest), "{}", text(&unknown.stderr));
    assert!(owned_groups(&aws).await.unwrap().is_empty());

    let applied = tagwire(&aws, &["apply", "--yes", "--digest", digest, "--timeout", "120"]);
    assert_eq!((applied.status.code(), text(&applied.stderr)), (Some(0), String::new()), "{}", text(&applied.stdout));
    assert_connected(&aws, &made[0].0, &made[0].1, 1).await;
    assert_eq!(connection(&aws, &made[1].0, &made[1].1).await.unwrap(), None, "its plan was not chosen");
    sweep(&aws).await;
    assert_connected(&aws, &made[1].0, &made[1].1, 1).await;
    assert_settled(&aws, &installations[0].vpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_changes_nothing_is_not_asked_to() {
    let aws = lease_with(&[("Mode", "dry-run")]).await;
    for command in ["apply", "uninstall"] {
        let refused = tagwire(&aws, &[command, "--yes"]);
        assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(1), String::new()));
        assert!(text(&refused.stderr).contains("Mode=dry-run"), "{}", text(&refused.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstalling_leaves_nothing_owned_and_nothing_of_others_touched_until_it_is_taken_back() {
    let aws = lease_with(&[("MaxDisconnects", "0"), ("AllowCidr", "on")]).await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.silent_aurora("orders", "orders").await.unwrap();
    let theirs = installation.launch(None).await.unwrap();
    let by_hand = installation.postgres("by-hand", "unused").await.unwrap();
    // Its members carry the group as well, and let go of it a little later.
    let cache = installation.store(Kind::ReplicationGroup, "orders-valkey", "orders").await.unwrap();
    installation.connect_as_the_console(&theirs, &by_hand, 9).await.unwrap();
    let before = tagwire_acceptance::foreign(&aws).await.unwrap();
    let instances =
        installation.launch_many(2, Some("orders"), std::slice::from_ref(&installation.default_group)).await.unwrap();
    aws.tag(&store.arn, "tagwire:allow-cidr", "203.0.113.7/32").await.unwrap();
    aws.settle().await.unwrap();
    assert_eq!(owned_groups(&aws).await.unwrap().len(), 5);
    aws.forget_calls();

    let shown = tagwire(&aws, &["uninstall", "--plan"]);
    assert_eq!(shown.status.code(), Some(2), "{}", text(&shown.stderr));
    assert!(text(&shown.stdout).contains("tagwire is being uninstalled"), "{}", text(&shown.stdout));
    assert_eq!(owned_groups(&aws).await.unwrap().len(), 5);

    // As on AWS, a store lets go of a group only after a while, and until then the group cannot be deleted.
    aws.slow_stores(Duration::ZERO, Duration::from_secs(6)).await.unwrap();
    let planned = tagwire(&aws, &["uninstall", "--plan", "--output", "json"]);
    assert_eq!(planned.status.code(), Some(2), "{}", text(&planned.stderr));
    assert_valid("plan-v5", &text(&planned.stdout));
    let gone = tagwire(&aws, &["uninstall", "--yes", "--timeout", "120"]);
    aws.slow_stores(Duration::ZERO, Duration::ZERO).await.unwrap();
    assert_eq!((gone.status.code(), text(&gone.stderr)), (Some(0), String::new()), "{}", text(&gone.stdout));
    assert!(text(&gone.stdout).contains("sam delete --stack-name tagwire"), "{}", text(&gone.stdout));
    assert!(owned_groups(&aws).await.unwrap().is_empty());
    assert_eq!(writes_of_the_command(&aws), Vec::<String>::new());

    // Neither an event nor a sweep brings anything back.
    installation.tag(&instances[0], "orders more").await.unwrap();
    aws.settle().await.unwrap();
    aws.invoke("SweepFunction", &json!({})).await.unwrap();
    aws.settle().await.unwrap();
    assert!(owned_groups(&aws).await.unwrap().is_empty());
    for instance in &instances {
        assert_eq!(
            interface_groups(&aws, &instance.interface).await.unwrap(),
            [installation.default_group.clone()].into()
        );
    }
    assert_settled(&aws, &installation.vpc).await;
    assert_untouched(&aws, &before).await;

    let back = tagwire(&aws, &["uninstall", "--cancel", "--yes", "--timeout", "120", "--output", "json"]);
    assert_eq!(back.status.code(), Some(0), "{}", text(&back.stderr));
    assert_valid("apply-v1", &text(&back.stdout));
    let result: Value = serde_json::from_slice(&back.stdout).unwrap();
    assert_eq!((&result["request"], &result["result"]), (&json!("cancel-uninstall"), &json!("done")));
    assert_connected(&aws, &instances[0], &store, 1).await;
    assert_connected(&aws, &instances[1], &store, 1).await;
    assert!(connection(&aws, &instances[0], &cache).await.unwrap().is_some());
    assert_settled(&aws, &installation.vpc).await;
}
