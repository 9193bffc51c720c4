//! What the help and the manual page of a command say below its options.

/// Examples, remarks and exit codes of a command.
pub(crate) struct CommandHelp {
    /// What an example does, and its lines. Each is short enough for a terminal of 60 columns, for a line that is
    /// broken cannot be copied.
    pub(crate) examples: &'static [(&'static str, &'static str)],
    /// Paragraphs.
    pub(crate) notes: &'static [&'static str],
    /// Each exit code and its meaning.
    pub(crate) exit: &'static [(u8, &'static str)],
}

/// Where the help that `-h` prints leads on.
const MORE: &str = "Options of every command, such as --profile and --region: --help.";

impl CommandHelp {
    /// The text for `-h`.
    pub(crate) fn short(&self) -> String {
        format!("{}\n\n{MORE}", self.long())
    }

    /// The text for `--help`.
    pub(crate) fn long(&self) -> String {
        let mut paragraphs = Vec::new();
        if !self.examples.is_empty() {
            let mut lines = vec!["Examples:".to_owned()];
            for (does, example) in self.examples {
                lines.push(format!("  # {does}"));
                lines.extend(example.lines().map(|line| format!("  {line}")));
            }
            paragraphs.push(lines.join("\n"));
        }
        paragraphs.extend(self.notes.iter().map(|note| (*note).to_owned()));
        if !self.exit.is_empty() {
            let codes: Vec<String> = self.exit.iter().map(|(code, meaning)| format!("{code} {meaning}")).collect();
            paragraphs.push(format!("Exit codes: {}.", codes.join("; ")));
        }
        paragraphs.join("\n\n")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a terminal takes whose lines are not broken.
    const NARROW: usize = 60;

    pub(crate) fn assert_fits(name: &str, help: &CommandHelp) {
        let text = help.long();
        let examples = text.split("\n\n").next().unwrap().lines().skip(1);
        for line in examples {
            assert!(line.chars().count() <= NARROW, "{name}: {line}");
        }
    }

    #[test]
    fn an_example_is_a_comment_and_the_lines_to_be_copied() {
        let help = CommandHelp {
            examples: &[("everything", "tagwire status"), ("for a program", "tagwire status -o json |\n  jq .")],
            notes: &["It only reads."],
            exit: &[(0, "done"), (1, "error")],
        };
        let expected = "\
Examples:
  # everything
  tagwire status
  # for a program
  tagwire status -o json |
    jq .

It only reads.

Exit codes: 0 done; 1 error.";
        assert_eq!(help.long(), expected);
        assert_eq!(help.short(), format!("{expected}\n\n{MORE}"));
    }
}
