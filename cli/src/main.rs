//! `tagwire`: looks at an account as the functions do, says what they would do and why, and has it done
//! by them.

mod apply;
mod doctor;
mod explain;
mod follow;
mod installation;
mod manual;
mod output;
mod plan;
mod progress;
mod report;
mod session;
mod show;
mod status;
mod uninstall;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::session::Global;

/// As shells report a program that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;
/// As shells report a program whose reader went away.
const READER_GONE: u8 = 141;

#[derive(Parser)]
#[command(
    name = "tagwire",
    version,
    about = "Connects EC2 instances to the data stores they use, by tag.",
    long_about = "Connects EC2 instances to the data stores they use, by tag.\n\n\
        Credentials, Region and endpoints come from the standard AWS variables and files \
        (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, ...) unless an option says otherwise.",
    after_help = "Exit codes: 0 done or nothing to do, 1 error, 2 changes are pending (plan, uninstall --plan)."
)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List every connection, whoever made it: since when, through which groups, in which state.
    Status(status::Arguments),
    /// Show what would change now, and why; change nothing.
    Plan(plan::Arguments),
    /// Show what would change now, ask, and have it done by the stack.
    Apply(apply::Arguments),
    /// Walk a decision condition by condition: why two are connected or not, and why a group is there.
    Explain(explain::Arguments),
    /// Tell whether this account is ready, and what mends it if not; change nothing.
    Doctor(doctor::Arguments),
    /// Write a page that shows every connection, what is pending and what was found.
    Report(report::Arguments),
    /// Have everything taken away that tagwire owns, before its stack is deleted.
    Uninstall(uninstall::Arguments),
    /// Print a script that completes commands and options in a shell.
    Completions(manual::Completions),
    /// Print the manual page.
    Man,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { global, command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // The parser's own exit code for a wrong argument, 2, is the one for pending changes here.
            let code = if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
            return error.print().map_or(ExitCode::from(READER_GONE), |()| code);
        }
    };
    global.color.choose();
    let run = async {
        match command {
            Command::Plan(arguments) => plan::run(&global, arguments).await,
            Command::Explain(arguments) => explain::run(&global, arguments).await,
            Command::Apply(arguments) => apply::run(&global, arguments).await,
            Command::Report(arguments) => report::run(&global, arguments).await,
            Command::Uninstall(arguments) => uninstall::run(&global, arguments).await,
            Command::Doctor(arguments) => doctor::run(&global, arguments).await,
            Command::Status(arguments) => status::run(&global, arguments).await,
            Command::Completions(arguments) => manual::completions(&arguments, Arguments::command()),
            Command::Man => manual::man(&Arguments::command()),
        }
    };
    let result = tokio::select! {
        result = Box::pin(run) => result,
        _ = tokio::signal::ctrl_c() => return ExitCode::from(INTERRUPTED),
    };
    result.unwrap_or_else(|error| {
        if output::is_reader_gone(&error) {
            return ExitCode::from(READER_GONE);
        }
        output::complain(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}
