//! `sweep`: on a schedule, has every VPC looked at that has something opted in or owned.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tagwire_runtime::sweep("sweep").await
}
