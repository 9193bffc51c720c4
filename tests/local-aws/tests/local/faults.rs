//! Calls that are spoiled.

use std::time::Duration;

use serde_json::json;
use tagwire_local_aws::{Effect, Fault, LocalAws};

use crate::{ECHO, send, small_stack};

#[tokio::test]
async fn spoiled_calls_go_wrong_as_told_and_the_others_do_not() {
    let aws = LocalAws::lease_with(small_stack()).await.unwrap();
    let outcome = async |faults: Vec<Fault>| {
        aws.forget_calls();
        for fault in faults {
            aws.inject(fault);
        }
        send(&aws, &json!({}), 0).await;
        aws.settle().await.unwrap();
        let code = aws.records().await.unwrap().last().unwrap()["code"].as_str().unwrap().to_owned();
        (code, aws.calls().remove(0))
    };
    let spoil = |effect| vec![Fault::new("ec2", "DescribeInstances", effect)];

    let (code, call) = outcome(spoil(Effect::Throttle)).await;
    assert!(code.starts_with("503") && code.contains("<Code>RequestLimitExceeded</Code>"), "{code}");
    assert_eq!((call.status, call.spoiled_by), (Some(503), Some(Effect::Throttle)));

    let (code, _) = outcome(spoil(Effect::AccessDenied)).await;
    assert!(code.starts_with("403") && code.contains("UnauthorizedOperation"), "{code}");

    let (code, _) = outcome(spoil(Effect::ServerError)).await;
    assert!(code.starts_with("500") && code.contains("InternalError"), "{code}");

    let (code, call) = outcome(spoil(Effect::LoseAnswer)).await;
    assert!(code.starts_with("no answer"), "{code}");
    assert_eq!(call.status, None);

    let (code, call) = outcome(spoil(Effect::Delay(Duration::from_millis(200)))).await;
    assert_eq!((code.as_str(), call.status), ("0 instances", Some(200)));

    let refused = Effect::Refuse(400, "InvalidGroup.NotFound".to_owned(), "made up".to_owned());
    let (code, _) = outcome(vec![Fault::new("ec2", "*", refused).of_function(ECHO)]).await;
    assert!(code.contains("InvalidGroup.NotFound"), "{code}");

    // Neither another action, nor another function, nor a call before its turn.
    let (code, call) = outcome(vec![
        Fault::new("ec2", "DescribeSecurityGroups", Effect::Throttle),
        Fault::new("rds", "*", Effect::Throttle),
        Fault::new("ec2", "*", Effect::Throttle).of_function("OtherFunction"),
        Fault::new("ec2", "*", Effect::Throttle).after(1).times(2),
    ])
    .await;
    assert_eq!((code.as_str(), call.spoiled_by), ("0 instances", None));
    for expected in ["503", "503", "0 instances"] {
        let (code, _) = outcome(Vec::new()).await;
        assert!(code.starts_with(expected), "{code}");
    }
    assert_eq!(aws.forget_faults().len(), 3);
}
