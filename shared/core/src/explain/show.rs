//! Explanations as plain text.

use std::fmt;

use super::{ExplainedStep, Explanation, GroupExplanation, InstanceExplanation, StepResult};

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
        self.facts.iter().chain(&failure).try_for_each(|fact| writeln!(out, "        {fact}"))?;
        Ok(())
    }
}

fn section(out: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
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
        steps(out, &self.steps)?;
        section(out, "What to change:", &self.remedy)
    }
}

/// The parts of an explanation that are read first.
struct Short<'text> {
    message: &'text str,
    facts: &'text [String],
    steps: &'text [ExplainedStep],
    remedy: &'text [String],
}

impl fmt::Display for Short<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.message)?;
        section(out, "What it is:", self.facts)?;
        // What is not known decides as well: nothing is done because of it.
        let failing = self.steps.iter().find(|step| matches!(step.result, StepResult::Fails(_)));
        let deciding = failing.or_else(|| self.steps.iter().find(|step| step.result == StepResult::Unknown));
        if let Some(step) = deciding {
            write!(out, "\n{step}")?;
        }
        section(out, "What to change:", self.remedy)
    }
}

impl Explanation {
    /// The verdict, the condition that decides, and what to change.
    #[must_use]
    pub fn short(&self) -> String {
        let Self { message, steps, remedy, .. } = self;
        Short { message, facts: &[], steps, remedy }.to_string()
    }
}

impl GroupExplanation {
    /// What the group is, whether it may go, the condition that decides, and what to change.
    #[must_use]
    pub fn short(&self) -> String {
        let Self { message, facts, steps, remedy, .. } = self;
        Short { message, facts, steps, remedy }.to_string()
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
        section(out, "What the plan does with it:", &self.changes)?;
        section(out, "Said of it:", &self.findings.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        section(out, "What to change:", &self.remedy)
    }
}
