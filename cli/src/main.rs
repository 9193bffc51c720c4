//! `tagwire`: looks at an account as the functions do and says what they would do, and why.

mod plan;
mod show;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "tagwire",
    version,
    about = "Connects EC2 instances to the data stores they use, by tag.",
    long_about = "Connects EC2 instances to the data stores they use, by tag.\n\n\
        Credentials, Region and endpoints come from the standard AWS variables and files \
        (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, ...).",
    after_help = "Exit codes: 0 nothing to do, 1 error, 2 changes are pending (plan)."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show what would change now, and why; change nothing.
    Plan(plan::Arguments),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // The parser's own exit code for a wrong argument, 2, is the one for pending changes here.
            let code = if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
            return error.print().map_or(ExitCode::FAILURE, |()| code);
        }
    };
    let result = match command {
        Command::Plan(arguments) => plan::run(arguments).await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("tagwire: {error:#}");
        ExitCode::FAILURE
    })
}
