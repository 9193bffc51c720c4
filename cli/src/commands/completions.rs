//! `tagwire completions`: a script for a shell, made from the commands themselves.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use crate::{error::CommandResult, help::CommandHelp, output::print_own};

/// Shown below the options.
pub(crate) const HELP: CommandHelp = CommandHelp {
    examples: &[
        (
            "bash, with bash-completion",
            "D=~/.local/share/bash-completion/completions\nmkdir -p $D && tagwire completions bash > $D/tagwire",
        ),
        ("zsh", "tagwire completions zsh > \"${fpath[1]}/_tagwire\""),
    ],
    notes: &[],
    exit: &[],
};

#[derive(Args)]
#[command(after_help = HELP.short(), after_long_help = HELP.long())]
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
