//! `tagwire explain` on the real path: what it says is what the functions do, and its remedies work.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tagwire_acceptance::{Installation, pair};
use tagwire_local_aws::{Effect, Fault};

use crate::{
    command_line::{tagwire, text},
    support::{assert_connected, assert_settled, lease, writes},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_tag_is_the_first_condition_that_fails_and_setting_it_as_told_connects() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let store = installation.aurora("orders", "orders").await.unwrap();
    let instance = installation.launch(None).await.unwrap();
    aws.settle().await.unwrap();
    aws.forget_calls();

    let explained = tagwire(&aws, &["explain", &instance.id, "cluster/orders"]);
    assert_eq!((explained.status.code(), text(&explained.stderr)), (Some(0), String::new()));
    let message = text(&explained.stdout);
    let fails: Vec<&str> = message.lines().filter(|line| line.starts_with("FAILS")).collect();
    assert_eq!(fails.len(), 1, "{message}");
    let command = message.lines().map(str::trim).find(|line| line.starts_with("aws ec2 create-tags"));
    let command = command.unwrap_or_else(|| panic!("no command in {message}"));
    assert!(command.contains(&instance.id) && command.contains("Value=orders"), "{command}");
    assert_eq!(writes(&aws).len(), 0, "an explanation changes nothing");

    installation.tag(&instance, "orders").await.unwrap();
    aws.settle().await.unwrap();
    assert_connected(&aws, &instance, &store, 1).await;
    let json = tagwire(&aws, &["explain", &instance.id, &store.arn, "-o", "json"]);
    assert_eq!((json.status.code(), text(&json.stderr)), (Some(0), String::new()));
    let document: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((document["version"].as_u64(), document["vpc"].as_str()), (Some(2), Some(installation.vpc.as_str())));
    assert_eq!(document["explanation"]["verdict"]["connected"]["owned"], true, "{document:#}");
    let steps = document["explanation"]["steps"].as_array().unwrap();
    assert!(steps.len() > 10 && steps.iter().all(|step| step["condition"].is_string()), "{document:#}");

    let all = tagwire(&aws, &["explain", &instance.id]);
    assert_eq!(all.status.code(), Some(0), "{}", text(&all.stderr));
    assert!(text(&all.stdout).contains("cluster/orders"), "{}", text(&all.stdout));

    let groups = pair(&aws, &store).await.unwrap().unwrap();
    let group = tagwire(&aws, &["explain", &groups.store_side]);
    let message = text(&group.stdout);
    assert_eq!((group.status.code(), text(&group.stderr)), (Some(0), String::new()), "{message}");
    assert!(message.contains("cluster/orders") && message.contains("FAILS"), "it may not go: {message}");
    let default = tagwire(&aws, &["explain", &installation.default_group]);
    assert_eq!(default.status.code(), Some(0), "{}", text(&default.stderr));
    assert!(text(&default.stdout).contains("default"), "{}", text(&default.stdout));
    assert_settled(&aws, &installation.vpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_not_meant_is_an_error_that_says_so() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let instance = installation.launch(None).await.unwrap();
    installation.silent_aurora("twice", "a").await.unwrap();
    installation.postgres("twice", "a").await.unwrap();
    let elsewhere = Installation::create(&aws, 2).await.unwrap();
    let (long, nowhere) = ("i-0123456789abcdef0", "vpc-0123456789abcdef0");
    for (arguments, says) in [
        (vec!["explain", "vpc-1"], "neither a data store, nor"),
        (vec!["explain", long, "orders"], "there is no data store orders in"),
        (vec!["explain", long], "there is no instance i-0123456789abcdef0"),
        (vec!["explain", &instance.id, "orders"], "there is no data store orders in"),
        (vec!["explain", &instance.id, "twice"], "say which: cluster/twice, db/twice"),
        (vec!["explain", &instance.id, "table/orders"], "is none of"),
        (vec!["explain", "sg-0123456789abcdef0"], "there is no security group"),
        (vec!["explain", &installation.default_group, "orders"], "leave the last argument out"),
        (vec!["plan", "--stack-name", "other"], "there is no stack named other"),
        (vec!["status", "--vpc", nowhere], "there is no VPC vpc-0123456789abcdef0"),
        (vec!["names", "--vpc", nowhere], "there is no VPC vpc-0123456789abcdef0"),
        (vec!["plan", "--vpc", nowhere], "there is no VPC vpc-0123456789abcdef0"),
        (vec!["plan", "--vpc", nowhere, "--instance", &instance.id], "there is no VPC vpc-0123456789abcdef0"),
        (vec!["apply", "--yes", "--vpc", nowhere], "there is no VPC vpc-0123456789abcdef0"),
        (vec!["uninstall", "--yes", "--vpc", nowhere], "there is no VPC vpc-0123456789abcdef0"),
        (vec!["report", "-f", "-", "--vpc", nowhere], "there is no VPC vpc-0123456789abcdef0"),
        (vec!["status", "--instance", long], "there is no instance i-0123456789abcdef0"),
        (vec!["plan", "--instance", long, "--vpc", &installation.vpc], "there is no instance i-0123456789abcdef0"),
        (vec!["status", "--store", "orders"], "there is no data store orders"),
        (
            vec!["plan", "--vpc", &elsewhere.vpc, "--instance", &instance.id],
            "none of the chosen instances and data stores",
        ),
    ] {
        let ran = tagwire(&aws, &arguments);
        let message = text(&ran.stderr);
        assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(1), String::new()), "{arguments:?}");
        assert!(message.contains(says), "{arguments:?}: {message}");
    }
}

/// Manners that need no AWS at all.
#[test]
fn help_completions_and_the_manual_need_no_aws_and_a_reader_that_goes_away_is_no_error() {
    let program = || {
        let test = std::env::current_exe().unwrap();
        let mut command = Command::new(test.ancestors().nth(2).unwrap().join("tagwire"));
        command.env_clear();
        command
    };
    let commands =
        ["status", "plan", "apply", "explain", "names", "doctor", "report", "uninstall", "completions", "man"];
    let help = text(&program().arg("--help").output().unwrap().stdout);
    for command in commands {
        assert!(help.contains(&format!("  {command}")), "{command} is not in\n{help}");
        let of_command = program().args([command, "--help"]).output().unwrap();
        assert_eq!(of_command.status.code(), Some(0));
        let help = text(&of_command.stdout);
        assert!(command == "man" || help.contains("Example"), "{help}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = program().args(["completions", shell]).output().unwrap();
        assert_eq!(script.status.code(), Some(0));
        assert!(text(&script.stdout).contains("uninstall"), "{shell}");
    }
    let page = text(&program().arg("man").output().unwrap().stdout);
    assert!(page.starts_with(".ie") && commands.iter().all(|command| page.contains(command)), "{page}");

    let piped = "\"$0\" completions bash | head -c 1 > /dev/null; echo \"${PIPESTATUS[0]}\"";
    let test = std::env::current_exe().unwrap();
    let tagwire = test.ancestors().nth(2).unwrap().join("tagwire");
    let ran = Command::new("bash").args(["-c", piped]).arg(tagwire).output().unwrap();
    assert_eq!(text(&ran.stderr), "", "a reader that goes away is no error");
    assert!(["0\n", "141\n"].contains(&text(&ran.stdout).as_str()), "{}", text(&ran.stdout));

    let nowhere = program().arg("plan").output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(text(&nowhere.stderr).contains("no AWS Region is set"), "{}", text(&nowhere.stderr));
    let wrong = program().args(["plan", "--colour"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1), "2 would mean that changes are pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_quietly() {
    let aws = lease().await;
    aws.inject(Fault::new("ec2", "DescribeInstances", Effect::Delay(Duration::from_secs(20))));
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("tagwire");
    let mut command = Command::new(program);
    command.arg("plan").env_clear().envs(aws.function_environment());
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let interrupted = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let ended = tokio::task::spawn_blocking(|| running.wait_with_output().unwrap()).await.unwrap();
    assert_eq!(
        (ended.status.code(), text(&ended.stdout), text(&ended.stderr)),
        (Some(130), String::new(), String::new())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_terminals_and_whoever_asks_for_them() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    installation.silent_aurora("orders", "orders").await.unwrap();
    let has_colours = |output: &std::process::Output| text(&output.stdout).contains('\u{1b}');
    assert!(!has_colours(&tagwire(&aws, &["plan", "--all"])));
    assert!(has_colours(&tagwire(&aws, &["plan", "--all", "--color", "always"])));
    let mut environment = aws.function_environment();
    environment.insert("CLICOLOR_FORCE".to_owned(), "1".to_owned());
    assert!(has_colours(&crate::command_line::run(&environment, &["plan", "--all"])));
    environment.insert("NO_COLOR".to_owned(), "1".to_owned());
    assert!(!has_colours(&crate::command_line::run(&environment, &["plan", "--all", "--color", "never"])));
}
