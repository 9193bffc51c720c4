//! `tagwire apply` and `tagwire uninstall`: shown, agreed to, sent through the queue and followed, with the
//! real functions at the other end. The command itself changes nothing.

use std::time::Duration;

use serde_json::json;
use tagwire_acceptance::{Installation, Kind, connection, interface_groups, is_write, owned_groups};
use tagwire_local_aws::{Effect, Fault, LocalAws};

use crate::{
    command_line::{run, tagwire, text},
    support::{assert_connected, assert_settled, assert_untouched, lease, lease_with, sweep},
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

    let back = tagwire(&aws, &["uninstall", "--cancel", "--yes", "--timeout", "120"]);
    assert_eq!((back.status.code(), text(&back.stderr)), (Some(0), String::new()), "{}", text(&back.stdout));
    assert_connected(&aws, &instances[0], &store, 1).await;
    assert_connected(&aws, &instances[1], &store, 1).await;
    assert!(connection(&aws, &instances[0], &cache).await.unwrap().is_some());
    assert_settled(&aws, &installation.vpc).await;
}
