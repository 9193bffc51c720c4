//! Commands behind cargo aliases: `cargo demo`.

mod demo;

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["demo"] => demo::run(false).await,
        ["demo", "--stay"] => demo::run(true).await,
        _ => {
            eprintln!("usage: cargo demo [--stay]");
            ExitCode::FAILURE
        }
    }
}
