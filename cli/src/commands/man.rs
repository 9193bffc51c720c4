//! `tagwire man`: the manual pages, one a command, made from the commands themselves.

use std::{fs, io, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;

use super::help_of;
use crate::{
    error::{CommandResult, user_error},
    help::CommandHelp,
    output::{print, print_own},
};

/// The variables of the environment that every command reads, beside those of its options.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("AWS_PROFILE", "The profile of the shared AWS files, unless keys are in the environment."),
    ("AWS_REGION", "The Region."),
    ("AWS_ENDPOINT_URL", "One endpoint for all services."),
    ("NO_COLOR", "Without colours, when it is set."),
    ("CLICOLOR_FORCE", "With colours also where there is no terminal, when it is set."),
    ("COLUMNS", "The width of the terminal, in place of its own."),
];

/// Shown below the options.
pub(crate) const HELP: CommandHelp = CommandHelp {
    examples: &[
        ("read a page at once", "tagwire man status | man -l -"),
        ("for `man tagwire` and `man tagwire-status`", "tagwire man --dir ~/.local/share/man/man1"),
    ],
    notes: &[],
    exit: &[],
};

#[derive(Args)]
#[command(after_help = HELP.short(), after_long_help = HELP.long())]
pub(crate) struct ManArgs {
    /// The command; without one, the page about all of them.
    command: Option<String>,
    /// Write every page into this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &ManArgs, mut root: clap::Command) -> CommandResult<ExitCode> {
    // Only then have the commands the options of all.
    root.build();
    let Some(folder) = &args.dir else {
        print_own(&match args.command.as_deref() {
            None => overview(&root)?,
            Some(name) => {
                let command = commands(&root).find(|command| command.get_name() == name);
                page(
                    command.ok_or_else(|| {
                        user_error!("there is no command {name:?}").hint("`tagwire --help` lists them")
                    })?,
                )?
            }
        })?;
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let mut pages = vec![("tagwire.1".to_owned(), overview(&root)?)];
    for command in commands(&root) {
        pages.push((format!("tagwire-{}.1", command.get_name()), page(command)?));
    }
    for (name, page) in &pages {
        let path = folder.join(name);
        fs::write(&path, page).with_context(|| format!("writing {}", path.display()))?;
    }
    print(&format!("Wrote {} pages to {}\n", pages.len(), folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn commands(root: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    root.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

/// What every page begins with: all that clap knows of a command.
fn beginning(command: clap::Command) -> io::Result<String> {
    let man = clap_mangen::Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The page about all commands.
fn overview(root: &clap::Command) -> io::Result<String> {
    let mut page = beginning(root.clone())?;
    page.push_str(".SH COMMANDS\n");
    for command in commands(root) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        page.push_str(&tagged(&format!("tagwire-{}(1)", command.get_name()), &about));
    }
    page.push_str(&section("EXIT STATUS", exit_status(&super::HELP)));
    page.push_str(&environment(root));
    Ok(page)
}

/// The page of a command.
fn page(command: &clap::Command) -> io::Result<String> {
    let name = command.get_name().to_owned();
    let titled = command.clone().display_name(format!("tagwire-{name}")).bin_name(format!("tagwire {name}"));
    let mut page = beginning(titled)?;
    if let Some(help) = help_of(&name) {
        let examples = help.examples.iter().map(|(does, lines)| {
            format!(".PP\n{}:\n.PP\n.nf\n.RS 4\n{}\n.RE\n.fi\n", escaped(&capitalised(does)), escaped(lines))
        });
        page.push_str(&section("EXAMPLES", examples.collect()));
        let notes = help.notes.iter().map(|note| format!(".PP\n{}\n", escaped(note)));
        page.push_str(&section("NOTES", notes.collect()));
        page.push_str(&section("EXIT STATUS", exit_status(help)));
    }
    page.push_str(&environment(command));
    page.push_str(&section("SEE ALSO", ".BR tagwire (1)\n".to_owned()));
    Ok(page)
}

fn exit_status(help: &CommandHelp) -> String {
    help.exit.iter().map(|(code, meaning)| tagged(&code.to_string(), &capitalised(meaning))).collect()
}

/// The variables of a command's options, and those of every command.
fn environment(command: &clap::Command) -> String {
    let of_options = command.get_arguments().filter_map(|option| {
        let variable = option.get_env()?.to_string_lossy().into_owned();
        Some(tagged(&variable, &format!("See --{}.", option.get_long()?)))
    });
    let of_all = ENVIRONMENT.iter().map(|(variable, meaning)| tagged(variable, meaning));
    section("ENVIRONMENT", of_all.chain(of_options).collect())
}

/// A section; nothing without text.
fn section(heading: &str, text: String) -> String {
    if text.is_empty() { text } else { format!(".SH {heading:?}\n{text}") }
}

/// A word with its meaning.
fn tagged(word: &str, meaning: &str) -> String {
    format!(".TP\n\\fB{}\\fR\n{}\n", escaped(word), escaped(meaning))
}

fn capitalised(text: &str) -> String {
    let mut symbols = text.chars();
    symbols.next().map(|first| first.to_uppercase().chain(symbols).collect()).unwrap_or_default()
}

/// A text without anything that the formatter would take for a request.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('-', "\\-");
    let line = |line: &str| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::{Cli, help::tests::assert_fits};

    fn root() -> clap::Command {
        let mut root = Cli::command();
        root.build();
        root
    }

    #[test]
    fn every_command_has_a_page_with_its_own_and_the_common_options_and_every_section() {
        let root = root();
        for command in
            commands(&root).filter(|command| !["completions", "man", "version"].contains(&command.get_name()))
        {
            let page = page(command).unwrap();
            for part in [
                &format!(".TH tagwire-{}", command.get_name()),
                ".SH \"EXAMPLES\"",
                ".SH \"EXIT STATUS\"",
                ".SH \"ENVIRONMENT\"",
                "AWS_REGION",
                "TAGWIRE_STACK_NAME",
                "\\-\\-profile",
            ] {
                assert!(page.contains(part), "{}: {part} is not in\n{page}", command.get_name());
            }
        }
        let all = overview(&root).unwrap();
        for command in commands(&root) {
            assert!(all.contains(&format!("tagwire\\-{}(1)", command.get_name().replace('-', "\\-"))), "{all}");
        }
    }

    #[test]
    fn no_example_is_broken_on_a_narrow_terminal() {
        let root = root();
        let with_help = commands(&root).filter_map(|command| Some((command.get_name(), help_of(command.get_name())?)));
        let names: Vec<&str> = with_help
            .map(|(name, help)| {
                assert_fits(name, help);
                name
            })
            .collect();
        assert!(names.contains(&"status") && names.len() >= 9, "{names:?}");
    }

    #[test]
    fn the_short_help_of_a_command_shows_its_own_options_and_the_long_one_all() {
        let mut root = root();
        let status = root.find_subcommand_mut("status").unwrap();
        let short = status.render_help().to_string();
        assert!(short.contains("--state") && short.contains("--help.") && !short.contains("--profile <"), "{short}");
        let long = status.render_long_help().to_string();
        assert!(long.find("--state").unwrap() < long.find("--profile <").unwrap(), "{long}");
    }

    #[test]
    fn no_text_is_taken_for_a_request_of_the_formatter() {
        assert_eq!(escaped(".SH x\n'y\n-a \\n"), "\\&.SH x\n\\&'y\n\\-a \\\\n");
    }
}
