//! `connect`: takes work from the FIFO queue and makes the connections; the only writer.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tagwire_runtime::connect("connect").await
}
