//! Commands behind cargo aliases: `cargo demo`.

mod demo;

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("demo"), None) => demo::run().await,
        _ => {
            eprintln!("usage: cargo demo");
            ExitCode::FAILURE
        }
    }
}
