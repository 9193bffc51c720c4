//! Explanations as plain text.

use std::fmt;

use super::{ExplainedStep, Explanation, GroupExplanation, InstanceExplanation, StepResult, facts::NAMED};

impl StepResult {
    /// The answer in a word.
    #[must_use]
    pub fn mark(&self) -> &'static str {
        match self {
            Self::Holds => "ok",
            Self::Fails(_) => "FAILS",
            Self::AlsoFails(_) => "fails",
            Self::NotSo => "no",
            Self::NotNeeded => "-",
            Self::Unknown => "?",
        }
    }
}

impl fmt::Display for ExplainedStep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:<6}{} ({})", self.result.mark(), self.question, self.condition)?;
        let failure = self.result.failure().map(|failure| format!("why not: {failure}"));
        let facts = first_of(&self.facts);
        facts.iter().chain(&failure).try_for_each(|fact| writeln!(out, "        {fact}"))
    }
}

/// The width of what stands before a line about now or the next run.
const LABEL: usize = 11;

/// The first few of many lines, and how many more there are: JSON has all.
pub(super) fn first_of(lines: &[String]) -> Vec<String> {
    match lines.split_at_checked(NAMED) {
        Some((first, rest)) if rest.len() > 1 => {
            first.iter().cloned().chain([format!("and {} more; -o json has all", rest.len())]).collect()
        }
        _ => lines.to_vec(),
    }
}

fn now_and_next(out: &mut fmt::Formatter<'_>, now: &str, next: &[String]) -> fmt::Result {
    let nothing = ["changes nothing between the two".to_owned()];
    let next = first_of(if next.is_empty() { &nothing } else { next });
    writeln!(out, "\n{:<LABEL$}{now}", "Now:")?;
    let labels = ["Next run:"].into_iter().chain(std::iter::repeat(""));
    labels.zip(next).try_for_each(|(label, line)| writeln!(out, "{label:<LABEL$}{line}"))
}

pub(super) fn section(out: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    lines.iter().try_for_each(|line| writeln!(out, "  {line}"))
}

fn steps(out: &mut fmt::Formatter<'_>, steps: &[ExplainedStep]) -> fmt::Result {
    writeln!(out)?;
    let (unknown, known): (Vec<_>, Vec<_>) =
        steps.iter().partition(|step| step.result == StepResult::Unknown && step.facts.is_empty());
    known.iter().try_for_each(|step| write!(out, "{step}"))?;
    if unknown.is_empty() {
        return Ok(());
    }
    let codes: Vec<&str> = unknown.iter().map(|step| step.condition).collect();
    writeln!(out, "{:<6}What is missing leaves open: {}", StepResult::Unknown.mark(), codes.join(", "))
}

impl fmt::Display for Explanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.message)?;
        now_and_next(out, &self.now, &self.next)?;
        steps(out, &self.steps)?;
        section(out, "What to change:", &self.remedy)
    }
}

/// The condition that decides. What is not known decides as well: nothing is done because of it.
fn deciding(out: &mut fmt::Formatter<'_>, steps: &[ExplainedStep]) -> fmt::Result {
    let failing = steps.iter().find(|step| matches!(step.result, StepResult::Fails(_)));
    match failing.or_else(|| steps.iter().find(|step| step.result == StepResult::Unknown)) {
        Some(step) => write!(out, "\n{step}"),
        None => Ok(()),
    }
}

/// An explanation without the conditions that do not decide.
struct Short<'explained, T>(&'explained T);

impl fmt::Display for Short<'_, Explanation> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Explanation { message, now, next, steps, remedy, .. }) = self;
        writeln!(out, "{message}")?;
        // What stays as the first line tells it needs no second one.
        if !next.is_empty() || !message.ends_with(now) {
            now_and_next(out, now, next)?;
        }
        deciding(out, steps)?;
        section(out, "What to change:", remedy)
    }
}

impl fmt::Display for Short<'_, GroupExplanation> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(GroupExplanation { message, facts, steps, remedy, .. }) = self;
        writeln!(out, "{message}")?;
        section(out, "What it is:", &first_of(facts))?;
        deciding(out, steps)?;
        section(out, "What to change:", remedy)
    }
}

impl Explanation {
    /// The verdict, what is so now, what the next run changes, the condition that decides, and what to change.
    #[must_use]
    pub fn short(&self) -> String {
        Short(self).to_string()
    }
}

impl GroupExplanation {
    /// What the group is, whether it may go, the condition that decides, and what to change.
    #[must_use]
    pub fn short(&self) -> String {
        Short(self).to_string()
    }
}

impl fmt::Display for InstanceExplanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.iter().try_for_each(|fact| writeln!(out, "{fact}"))?;
        let lines = self.stores.iter().map(|line| match line.condition {
            Some(condition) => format!("{} [{condition}]", line.message),
            None => line.message.clone(),
        });
        section(out, "Data stores:", &lines.collect::<Vec<_>>())?;
        section(out, "Said of it:", &self.findings.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        section(out, "What to change:", &self.remedy)
    }
}

impl fmt::Display for GroupExplanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.message)?;
        section(out, "What it is:", &self.facts)?;
        steps(out, &self.steps)?;
        section(out, "Next run:", &first_of(&self.changes))?;
        section(out, "Said of it:", &self.findings.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        section(out, "What to change:", &self.remedy)
    }
}
