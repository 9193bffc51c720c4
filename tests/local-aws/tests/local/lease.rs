//! How a local AWS begins and ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tagwire_local_aws::{LeaseOptions, LocalAws};

use crate::{ECHO, folder, launch, send, servers_only, small_stack};

fn listening(environment: &std::collections::BTreeMap<String, String>, name: &str) -> bool {
    TcpStream::connect(environment[name].trim_start_matches("http://")).is_ok()
}

/// Whether a process runs; one that nobody has asked for its exit code yet does not.
fn alive(process: u64) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn dropping_it_ends_servers_and_proxies_and_removes_the_logs() {
    let aws = LocalAws::lease_with(servers_only()).await.unwrap();
    let environment = aws.function_environment();
    let logs = aws.log_dir().to_path_buf();
    launch(&aws).await;
    assert!(listening(&environment, "AWS_ENDPOINT_URL") && listening(&environment, "AWS_ENDPOINT_URL_SQS"));
    assert!(logs.join("moto.log").exists());
    drop(aws);
    assert!(!listening(&environment, "AWS_ENDPOINT_URL") && !listening(&environment, "AWS_ENDPOINT_URL_SQS"));
    assert!(!logs.exists());
}

#[tokio::test]
async fn functions_end_with_it() {
    let aws = LocalAws::lease_with(small_stack()).await.unwrap();
    send(&aws, &json!({}), 0).await;
    aws.settle().await.unwrap();
    let process = aws.records().await.unwrap()[0]["pid"].as_u64().unwrap();
    assert!(alive(process));
    drop(aws);
    // It is killed together with the server, but its end need not be the earlier of the two.
    let ended = Instant::now();
    while alive(process) {
        assert!(ended.elapsed() < Duration::from_secs(10), "process {process} outlived its server");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn chosen_log_folder_stays() {
    let folder = std::env::temp_dir().join(format!("tagwire-chosen-{}", std::process::id()));
    let options = LeaseOptions { log_dir: Some(folder.clone()), ..servers_only() };
    drop(LocalAws::lease_with(options).await.unwrap());
    assert!(folder.join("ministack.log").exists());
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn program_with_the_environment_sees_the_same_aws_and_is_recorded() {
    let aws = LocalAws::lease_with(servers_only()).await.unwrap();
    let instance = launch(&aws).await;
    let program = "import boto3; print(boto3.client('ec2').describe_instances(), boto3.client('sqs').list_queues())";
    // Waits for the program on the only thread of this test's runtime, as a test of the CLI does.
    let run = Command::new(tagwire_local_aws::python().unwrap())
        .args(["-c", program])
        .envs(aws.function_environment())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(String::from_utf8_lossy(&run.stdout).contains(&instance));
    let calls: Vec<_> = aws.calls().into_iter().map(|call| (call.service, call.action, call.status)).collect();
    let seen = |service: &str, action: &str| (service.to_owned(), action.to_owned(), Some(200));
    assert_eq!(calls, [seen("ec2", "DescribeInstances"), seen("sqs", "ListQueues")]);
    aws.forget_calls();
    assert!(aws.calls().is_empty());
}

#[tokio::test]
async fn what_is_not_a_call_to_aws_is_neither_recorded_nor_passed_on() {
    let aws = LocalAws::lease_with(servers_only()).await.unwrap();
    let proxy = aws.function_environment().remove("AWS_ENDPOINT_URL").unwrap();
    let mut stream = TcpStream::connect(proxy.trim_start_matches("http://")).unwrap();
    stream.write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(aws.calls().is_empty());
}

#[tokio::test]
async fn store_can_be_put_into_a_state_and_back() {
    let aws = LocalAws::lease_with(servers_only()).await.unwrap();
    let made = aws
        .rds()
        .create_db_cluster()
        .db_cluster_identifier("orders")
        .engine("aurora-postgresql")
        .master_username("someone")
        .master_user_password("something")
        .send()
        .await
        .unwrap();
    let arn = made.db_cluster().and_then(|cluster| cluster.db_cluster_arn()).unwrap();
    let modify = || aws.rds().modify_db_cluster().db_cluster_identifier("orders").deletion_protection(true).send();
    assert_eq!(aws.set_store_status(arn, "modifying").await.unwrap(), "available");
    let refused = modify().await.unwrap_err().into_service_error();
    assert!(refused.is_invalid_db_cluster_state_fault(), "{refused:?}");
    assert_eq!(aws.set_store_status("orders", "available").await.unwrap(), "modifying");
    modify().await.unwrap();
    let unknown = aws.set_store_status("nothing", "available").await.unwrap_err().to_string();
    assert!(unknown.contains("nothing") && unknown.contains("orders"), "{unknown}");
}

#[tokio::test]
async fn deployment_that_fails_says_why() {
    let folder_of_logs = std::env::temp_dir().join(format!("tagwire-refused-{}", std::process::id()));
    let refusal = async |options: LeaseOptions| {
        let options = LeaseOptions { log_dir: Some(folder_of_logs.clone()), ..options };
        let message = format!("{:#}", LocalAws::lease_with(options).await.unwrap_err());
        assert!(message.contains(&*folder_of_logs.to_string_lossy()), "{message}");
        message
    };
    let missing = LeaseOptions { functions: Some(folder()), ..small_stack() };
    let message = refusal(missing).await;
    assert!(message.contains("EchoFunction") && message.contains("which is not there"), "{message}");
    let message = refusal(small_stack().parameter("Colour", "red")).await;
    assert!(message.contains("Colour"), "{message}");
    std::fs::remove_dir_all(folder_of_logs).unwrap();
}

#[tokio::test]
async fn function_is_called_with_the_stacks_parameters() {
    let aws = LocalAws::lease_with(small_stack().parameter("Greeting", "good day")).await.unwrap();
    let answer = aws.invoke(ECHO, &json!({"a": 1})).await.unwrap();
    assert_eq!(answer, json!({"greeting": "good day", "sent": {"a": 1}}));
    assert_eq!(aws.stack().output("WorkQueueUrl").unwrap(), aws.stack().physical_id("WorkQueue").unwrap());
    let failed = aws.invoke(ECHO, &json!({"do": "explode"})).await.unwrap_err().to_string();
    assert!(failed.contains("told to"), "{failed}");
    let unknown = aws.invoke("NoFunction", &Value::Null).await.unwrap_err().to_string();
    assert!(unknown.contains(ECHO), "{unknown}");
    let logs = aws.log_dir().to_path_buf();
    drop(aws);
    std::fs::remove_dir_all(logs).unwrap();
}

#[tokio::test]
async fn projects_own_stack_is_built_and_comes_up() {
    let aws = LocalAws::lease().await.unwrap();
    for function in ["InstanceEventsFunction", "DataStoreEventsFunction", "ConnectFunction", "SweepFunction"] {
        assert_eq!(aws.stack().resources()[function].kind, "AWS::Lambda::Function");
    }
    aws.sweep().await.unwrap();
    aws.settle().await.unwrap();
    assert!(aws.queue_depths().await.unwrap().keys().any(|queue| queue == "ConnectDeadLetters"));
}
