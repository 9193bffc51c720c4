//! `tagwire man`: the manual page, made from the commands themselves.

use std::process::ExitCode;

use crate::{error::CommandResult, output::print_own};

/// One page with every command on it.
pub(crate) fn run(command: &clap::Command) -> CommandResult<ExitCode> {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone());
    man.render(&mut page)?;
    for subcommand in command.get_subcommands().filter(|of| !of.is_hide_set()) {
        let name = format!("tagwire {}", subcommand.get_name());
        let man = clap_mangen::Man::new(subcommand.clone().display_name(name.clone()).bin_name(name));
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        man.render_extra_section(&mut page)?;
    }
    print_own(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::SUCCESS)
}
