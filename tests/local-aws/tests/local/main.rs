//! The local AWS itself: its servers, its proxy, and that it says so when work is left over.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are not seen as tests themselves")]

mod faults;
mod lease;
mod made;
mod plugin;
mod round;
mod settle;
mod stack;
mod stores;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tagwire_local_aws::{LeaseOptions, LocalAws};

/// The only function of the small stack.
const ECHO: &str = "EchoFunction";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/local")
}

/// A stack of one queue and one function, which tells what it was sent.
fn small_stack() -> LeaseOptions {
    LeaseOptions {
        template: Some(folder().join("template.yaml")),
        functions: Some(folder().join("functions")),
        stack_name: "small".to_owned(),
        settle_deadline: Duration::from_secs(20),
        ..LeaseOptions::default()
    }
}

/// The servers and no stack.
fn servers_only() -> LeaseOptions {
    LeaseOptions { deploy: false, ..LeaseOptions::default() }
}

async fn launch(aws: &LocalAws) -> String {
    let launched = aws.ec2().run_instances().image_id("ami-12345678").min_count(1).max_count(1).send().await.unwrap();
    launched.instances()[0].instance_id().unwrap().to_owned()
}

async fn send(aws: &LocalAws, body: &serde_json::Value, delay_seconds: i32) {
    let queue = aws.stack().physical_id("WorkQueue").unwrap();
    let message = aws.sqs().send_message().queue_url(queue).message_body(body.to_string());
    message.delay_seconds(delay_seconds).send().await.unwrap();
}
