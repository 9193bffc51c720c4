//! A stack's table, its end and its second beginning.

use std::collections::BTreeMap;
use std::process::Command;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use tagwire_local_aws::{Effect, Fault, LocalAws};

use crate::{ECHO, launch, send, small_stack};

#[tokio::test]
async fn items_of_the_state_table_are_written_read_and_lost() {
    let aws = LocalAws::lease_with(small_stack()).await.unwrap();
    assert_eq!(aws.state_items().await.unwrap(), Vec::<Value>::new());
    let window = json!({
        "vpc": "vpc-1", "entry": "window", "version": 3, "open": true, "removed": [{"at": 1.5, "of": null}]
    });
    let lookup = json!({ "vpc": "vpc-1", "entry": "lookup#sg-1", "at": "2026-01-02T03:04:05Z" });
    aws.put_state_item(&window).await.unwrap();
    aws.put_state_item(&lookup).await.unwrap();
    assert_eq!(aws.state_items().await.unwrap(), [lookup.clone(), window]);
    aws.delete_state_item("vpc-1", "window").await.unwrap();
    assert_eq!(aws.state_items().await.unwrap(), [lookup]);
    aws.forget_state().await.unwrap();
    assert_eq!(aws.state_items().await.unwrap(), Vec::<Value>::new());
    let refused = aws.put_state_item(&json!({ "vpc": "vpc-1" })).await.unwrap_err();
    assert!(format!("{refused:#}").contains("vpc-1"), "{refused:#}");
}

#[tokio::test]
async fn calls_to_the_state_table_are_recorded_and_spoiled() {
    let aws = LocalAws::lease_with(small_stack()).await.unwrap();
    let table = aws.state_table().unwrap();
    let program = format!(
        "import boto3\n\
         client = boto3.client('dynamodb', config=boto3.session.Config(retries={{'total_max_attempts': 1}}))\n\
         try:\n    print(client.get_item(TableName='{table}', Key={{'vpc': {{'S': 'v'}}, 'entry': {{'S': 'e'}}}}))\n\
         except Exception as error:\n    print(error)\n"
    );
    let read = || {
        let run = Command::new(tagwire_local_aws::python().unwrap())
            .args(["-c", &program])
            .envs(aws.function_environment())
            .output()
            .unwrap();
        String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr)
    };
    aws.inject(Fault::new("dynamodb", "*", Effect::ServerError).always());
    for _ in 0..3 {
        assert!(read().contains("InternalServerError"), "{}", read());
    }
    assert_eq!(aws.forget_faults().len(), 1);
    aws.inject(Fault::new("dynamodb", "GetItem", Effect::Throttle));
    assert!(read().contains("ProvisionedThroughputExceededException"));
    aws.inject(Fault::new("dynamodb", "GetItem", Effect::AccessDenied));
    assert!(read().contains("AccessDeniedException"));
    aws.forget_calls();
    let answered = read();
    assert!(answered.contains("'HTTPStatusCode': 200"), "{answered}");
    let calls = aws.calls();
    assert_eq!((calls[0].service.as_str(), calls[0].action.as_str()), ("dynamodb", "GetItem"));
}

#[tokio::test]
async fn stack_that_is_made_again_works_on_the_same_servers() {
    let mut aws = LocalAws::lease_with(small_stack()).await.unwrap();
    let first = launch(&aws).await;
    aws.settle().await.unwrap();
    let records = aws.records().await.unwrap().len();
    let table = aws.state_table().unwrap().to_owned();
    aws.put_state_item(&json!({ "vpc": "vpc-1", "entry": "window" })).await.unwrap();

    aws.delete_stack().await.unwrap();
    assert!(aws.stack().resources().is_empty());
    assert!(aws.state_table().is_err() && aws.invoke(ECHO, &json!({})).await.is_err());
    // Nothing is there to hear of this one.
    launch(&aws).await;
    aws.settle().await.unwrap();
    assert_eq!(aws.records().await.unwrap().len(), records);
    assert!(aws.delete_stack().await.is_err());

    aws.deploy(&BTreeMap::from([("Greeting".to_owned(), "again".to_owned())])).await.unwrap();
    assert_eq!(aws.invoke(ECHO, &json!({})).await.unwrap()["greeting"], "again");
    launch(&aws).await;
    aws.settle().await.unwrap();
    let last = aws.records().await.unwrap().pop().unwrap();
    assert_eq!(last["code"], "3 instances");
    assert!(aws.ec2().describe_instances().instance_ids(first).send().await.is_ok());
    // The table of the first stack stays; the second one begins with an empty one.
    assert_ne!(aws.state_table().unwrap(), table);
    assert_eq!(aws.state_items().await.unwrap(), Vec::<Value>::new());
    let kept = aws.dynamodb().scan().table_name(table).send().await.unwrap();
    assert_eq!(kept.count(), 1);
    let refused = aws.deploy(&BTreeMap::new()).await.unwrap_err().to_string();
    assert!(refused.contains("exist"), "{refused}");
}

#[tokio::test]
async fn alarm_goes_on_when_a_function_writes_what_its_filter_counts() {
    let aws = LocalAws::lease_with(small_stack()).await.unwrap();
    assert_eq!(aws.alarm_state("failures").await.unwrap(), "INSUFFICIENT_DATA");
    send(&aws, &json!({}), 0).await;
    aws.settle().await.unwrap();
    assert_eq!(aws.alarm_state("failures").await.unwrap(), "OK");
    let queue = aws.stack().physical_id("WorkQueue").unwrap();
    let at_once = aws.sqs().set_queue_attributes().queue_url(queue);
    at_once.attributes(QueueAttributeName::VisibilityTimeout, "1").send().await.unwrap();
    send(&aws, &json!({"do": "fail"}), 0).await;
    let logs = aws.log_dir().to_path_buf();
    assert!(aws.settle().await.unwrap_err().to_string().contains("given up on"));
    assert_eq!(aws.alarm_state("failures").await.unwrap(), "ALARM");
    assert!(aws.alarm_state("successes").await.is_err());
    drop(aws);
    std::fs::remove_dir_all(logs).unwrap();
}
