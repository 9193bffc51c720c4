//! `instance-events`: takes EC2 state changes and tag changes of instances from the instance queue.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tagwire_runtime::take_in("instance-events").await
}
