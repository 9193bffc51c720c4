//! `tagwire completions`: a script for a shell, made from the commands themselves.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use crate::{error::CommandResult, output::print_own};

/// Shown below the options.
const EXAMPLE: &str = "\
Examples:\n  \
tagwire completions bash > /etc/bash_completion.d/tagwire\n  \
tagwire completions zsh > \"${fpath[1]}/_tagwire\"";

#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, mut command: clap::Command) -> CommandResult<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "tagwire", &mut script);
    print_own(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
