//! Commands behind cargo aliases: `cargo demo`.

mod demo;

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["demo"] {
        demo::run().await
    } else {
        eprintln!("usage: cargo demo");
        ExitCode::FAILURE
    }
}
