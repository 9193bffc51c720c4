//! `tagwire` observes an account as the functions do, prints the changes that they would make and the reasons, and has
//! the functions make them.
//!
//! Each command is a file or folder in `commands`. All of them open a [`session`], which finds out how tagwire is
//! installed here; `apply` and `uninstall` hand work to `connect` by [`follow`].

mod commands;
mod debug;
mod error;
mod follow;
mod help;
mod installation;
mod instance_names;
mod output;
mod private_file;
mod progress;
mod regions;
mod scope_args;
mod session;
mod table;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    commands::{apply, completions, doctor, explain, man, names, plan, report, status, uninstall},
    error::{CommandError, CommandErrorKind, CommandResult},
    session::GlobalArgs,
};

#[derive(Parser)]
#[command(
    name = "tagwire",
    version,
    about = "Connects EC2 instances to the data stores they use, by tag.",
    long_about = "Connects EC2 instances to the data stores they use, by tag.\n\n\
        Credentials, Region and endpoints come from the standard AWS variables and files \
        (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, ...) unless an option says otherwise.",
    after_help = commands::HELP.short(),
    after_long_help = commands::HELP.long()
)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List every connection, whoever made it: since when, through which groups, in which state.
    Status(status::StatusArgs),
    /// Show the changes that are pending, and why; change nothing.
    Plan(plan::PlanArgs),
    /// Show the changes that are pending, ask, and have the stack make them.
    Apply(apply::ApplyArgs),
    /// Explain a decision condition by condition: why two are connected or not, and why a group exists.
    Explain(explain::ExplainArgs),
    /// List every connection name, and who carries it on either side.
    Names(names::NamesArgs),
    /// Check whether this account is ready, and how to fix it if not; change nothing.
    Doctor(doctor::DoctorArgs),
    /// Write a page that shows every connection, the pending changes and the findings.
    Report(report::ReportArgs),
    /// Have everything removed that tagwire owns, before its stack is deleted.
    Uninstall(uninstall::UninstallArgs),
    /// Print a script that completes commands and options in a shell.
    Completions(completions::CompletionsArgs),
    /// Print the manual page of a command, or write all pages.
    Man(man::ManArgs),
    /// Print the version.
    Version,
}

async fn run(Cli { global, command }: Cli) -> CommandResult<ExitCode> {
    match command {
        Command::Status(args) => Box::pin(status::run(&global, args)).await,
        Command::Plan(args) => Box::pin(plan::run(&global, args)).await,
        Command::Apply(args) => Box::pin(apply::run(&global, args)).await,
        Command::Explain(args) => Box::pin(explain::run(&global, args)).await,
        Command::Names(args) => Box::pin(names::run(&global, args)).await,
        Command::Doctor(args) => Box::pin(doctor::run(&global, args)).await,
        Command::Report(args) => Box::pin(report::run(&global, args)).await,
        Command::Uninstall(args) => Box::pin(uninstall::run(&global, args)).await,
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
        Command::Version => {
            output::print(concat!("tagwire ", env!("CARGO_PKG_VERSION"), "\n"))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // The parser's own exit code for a wrong argument is 2, which means pending changes here.
            let kind = if error.print().is_err() { CommandErrorKind::ReaderGone } else { CommandErrorKind::User };
            let is_help = !error.use_stderr() && kind == CommandErrorKind::User;
            return if is_help { ExitCode::SUCCESS } else { ExitCode::from(kind.exit_code()) };
        }
    };
    cli.global.color.choose();
    output::choose_volume(cli.global.quiet, cli.global.debug);
    if cli.global.debug {
        debug::begin();
    }
    // The command comes first: at Ctrl-C, some have something to say.
    let result = tokio::select! {
        biased;
        result = Box::pin(run(cli)) => result,
        _ = tokio::signal::ctrl_c() => Err(CommandError::interrupted()),
    };
    result.unwrap_or_else(|error| {
        error.print();
        ExitCode::from(error.kind.exit_code())
    })
}
