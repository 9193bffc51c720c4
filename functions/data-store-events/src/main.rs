//! `data-store-events`: takes events and tag changes of data stores from the store queue.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tagwire_runtime::take_in("data-store-events").await
}
