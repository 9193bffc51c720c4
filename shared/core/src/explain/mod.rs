//! Explanations of a decision, step by step. The steps are the planner's own conditions, evaluated on the
//! same observation in the same order, and the verdict is the plan's; an explanation adds the facts behind
//! each step, and a remedy.

mod connection;
mod ending;
mod facts;
mod group;
mod instance;
mod now;
mod overview;
mod remedy;
mod show;

use std::fmt;

use serde::Serialize;

pub use self::overview::{Account, Overview, OverviewLine, client, name, store};
pub use crate::plan::DeleteCondition;
use crate::{
    finding::{Finding, Reason},
    id::{InstanceId, SecurityGroupId, StoreArn},
    model::DataStore,
    observation::Observation,
    plan::{
        Condition, Decision, DeleteReason, DetachReason, Premise, Settled, Verdict, conditions::Unmet, index::Index,
        settle,
    },
    policy::Policy,
};

/// One step of an explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedStep {
    /// The stable code of the condition.
    pub condition: &'static str,
    /// The condition as a question.
    pub question: &'static str,
    /// The answer.
    pub result: StepResult,
    /// The observed facts behind the answer.
    pub facts: Vec<String>,
}

/// The answer to a step's question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepResult {
    /// It holds.
    Holds,
    /// It is the first that does not hold: this is the reason.
    Fails(FailedCondition),
    /// It does not hold either.
    AlsoFails(FailedCondition),
    /// The answer is no, which keeps nothing from being done.
    NotSo,
    /// Nothing depends on it.
    NotNeeded,
    /// The answer is not known, because something before it is missing.
    Unknown,
}

impl StepResult {
    /// The failure, whether it is the first or not.
    #[must_use]
    pub fn failure(&self) -> Option<&FailedCondition> {
        match self {
            Self::Fails(failure) | Self::AlsoFails(failure) => Some(failure),
            Self::Holds | Self::NotSo | Self::NotNeeded | Self::Unknown => None,
        }
    }
}

/// Why a step's condition does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedCondition {
    /// The stable code: that of the reason, if the failure has one.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
    /// The reason in the plan's own form, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl FailedCondition {
    fn new(code: &'static str, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), reason: None }
    }
}

impl From<Reason> for FailedCondition {
    fn from(reason: Reason) -> Self {
        Self { code: reason.code(), message: reason.to_string(), reason: Some(reason) }
    }
}

impl From<&Unmet> for FailedCondition {
    fn from(unmet: &Unmet) -> Self {
        Self::new(unmet.code(), unmet)
    }
}

impl From<DetachReason> for FailedCondition {
    fn from(reason: DetachReason) -> Self {
        Self::new(reason.code(), reason)
    }
}

impl fmt::Display for FailedCondition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.message, self.code)
    }
}

/// Why one instance is connected to one store, or is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The instance.
    pub instance: InstanceId,
    /// The store.
    pub store: StoreArn,
    /// The plan's verdict; `None` when the plan has none for the two.
    pub verdict: Option<Verdict>,
    /// The verdict in words.
    pub message: String,
    /// How the instance reaches the store now, before anything is changed.
    pub now: String,
    /// The changes of the next run between the two, one line each.
    pub next: Vec<String>,
    /// Every condition, in the order in which they are looked at.
    pub steps: Vec<ExplainedStep>,
    /// The remedy: changes that make the connection, or keep it. Lines that begin with `aws `, `sam ` or `tagwire ` are
    /// commands.
    pub remedy: Vec<String>,
}

/// Every store that an instance could reach, and whether it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceExplanation {
    /// The instance.
    pub instance: InstanceId,
    /// The observed facts.
    pub facts: Vec<String>,
    /// The stores that share a name with it, that it reaches, or whose group it has.
    pub stores: Vec<StoreLine>,
    /// The plan's findings about the instance.
    pub findings: Vec<Finding>,
    /// The remedies of these. Lines that begin with `aws `, `sam ` or `tagwire ` are commands.
    pub remedy: Vec<String>,
}

/// The verdict on one instance and one store, in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreLine {
    /// The store.
    pub store: StoreArn,
    /// The plan's verdict; `None` when the plan has none for the two.
    pub verdict: Option<Verdict>,
    /// The verdict in words.
    pub message: String,
    /// The first condition that does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<&'static str>,
}

/// Why a group exists, and whether it may go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupExplanation {
    /// The group.
    pub group: SecurityGroupId,
    /// The observed facts, and the role of the group.
    pub facts: Vec<String>,
    /// Every condition of its deletion, in the order in which they are looked at.
    pub steps: Vec<ExplainedStep>,
    /// Whether the plan deletes it.
    pub may_go: bool,
    /// Why, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<DeleteReason>,
    /// The answer in words.
    pub message: String,
    /// The plan's changes of the group, one line each.
    pub changes: Vec<String>,
    /// The plan's findings about the group.
    pub findings: Vec<Finding>,
    /// The remedy: changes that let it be deleted or repaired. Lines that begin with `aws `, `sam ` or `tagwire ` are commands.
    pub remedy: Vec<String>,
}

/// Explains the verdict on one instance and one store. `connect_key` is the installation's tag key.
#[must_use]
pub fn connection(
    seen: &Observation,
    policy: &Policy,
    connect_key: &str,
    instance: &InstanceId,
    store: &StoreArn,
) -> Explanation {
    let index = Index::of(seen, policy);
    Explainer::of(&index, connect_key).connection(instance, store)
}

/// Explains the verdicts on one instance and every store that it has to do with.
#[must_use]
pub fn instance(seen: &Observation, policy: &Policy, connect_key: &str, instance: &InstanceId) -> InstanceExplanation {
    let index = Index::of(seen, policy);
    Explainer::of(&index, connect_key).instance(instance)
}

/// Explains why a group exists, and whether it may go.
#[must_use]
pub fn group(seen: &Observation, policy: &Policy, connect_key: &str, group: &SecurityGroupId) -> GroupExplanation {
    let index = Index::of(seen, policy);
    Explainer::of(&index, connect_key).group(group)
}

/// The codes and questions of an explained connection, in the order in which they are walked.
pub fn questions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let first = [connection::INSTANCE_READ, connection::KEPT, connection::STORE_READ];
    let premises = Premise::ALL.into_iter().map(|premise| (premise.code(), premise.question()));
    let conditions = Condition::ALL.into_iter().map(|condition| (condition.code(), condition.question()));
    first.into_iter().chain(premises).chain([connection::CONNECTED]).chain(conditions)
}

/// An observation, and the planner's decisions on it.
struct Explainer<'index> {
    index: &'index Index<'index>,
    settled: Settled<'index>,
    connect_key: &'index str,
}

impl<'index> Explainer<'index> {
    fn of(index: &'index Index<'index>, connect_key: &'index str) -> Self {
        Self { index, settled: settle(index), connect_key }
    }

    /// The plan's verdict on an instance and a store. The ARN of a store that is gone may be
    /// another one's by now, so that two decisions can name it.
    fn verdict(&self, instance: &InstanceId, arn: &StoreArn, store: Option<&DataStore>) -> Option<Verdict> {
        let about = |decision: &&Decision| decision.instance == *instance && decision.store == *arn;
        let (departed, joined) =
            self.settled.plan.decisions.split_at_checked(self.settled.departed).unwrap_or_default();
        match store {
            Some(store) => self
                .settled
                .disconnects
                .verdict(instance, &store.id)
                .or_else(|| joined.iter().find(about).map(|decision| decision.verdict.clone())),
            None => departed.iter().find(about).map(|decision| decision.verdict.clone()),
        }
    }
}

/// The steps so far: of those that fail, the first is the reason.
#[derive(Default)]
struct Steps {
    taken: Vec<ExplainedStep>,
    remedy: Vec<String>,
    failed: bool,
}

/// The answer of a step, before it is known whether another one failed before it.
enum StepAnswer {
    Holds,
    NotSo,
    NotNeeded,
    Unknown,
    Fails(FailedCondition, Vec<String>),
}

impl StepAnswer {
    /// `Holds` without a failure.
    fn of(failure: Option<(FailedCondition, Vec<String>)>) -> Self {
        failure.map_or(Self::Holds, |(failure, remedy)| Self::Fails(failure, remedy))
    }
}

impl Steps {
    fn step(&mut self, (condition, question): (&'static str, &'static str), answer: StepAnswer, facts: Vec<String>) {
        let result = match answer {
            StepAnswer::Holds => StepResult::Holds,
            StepAnswer::NotSo => StepResult::NotSo,
            StepAnswer::NotNeeded => StepResult::NotNeeded,
            StepAnswer::Unknown => StepResult::Unknown,
            StepAnswer::Fails(failure, remedy) => {
                self.advise(remedy);
                if self.failed {
                    StepResult::AlsoFails(failure)
                } else {
                    self.failed = true;
                    StepResult::Fails(failure)
                }
            }
        };
        self.taken.push(ExplainedStep { condition, question, result, facts });
    }

    fn advise(&mut self, remedy: Vec<String>) {
        for line in remedy {
            if !self.remedy.contains(&line) {
                self.remedy.push(line);
            }
        }
    }

    fn first(&self) -> Option<&FailedCondition> {
        first(&self.taken).map(|(_, failure)| failure)
    }
}

/// The first step that fails.
fn first(steps: &[ExplainedStep]) -> Option<(&ExplainedStep, &FailedCondition)> {
    steps.iter().find_map(|step| match &step.result {
        StepResult::Fails(failure) => Some((step, failure)),
        StepResult::Holds
        | StepResult::AlsoFails(_)
        | StepResult::NotSo
        | StepResult::NotNeeded
        | StepResult::Unknown => None,
    })
}

impl Explanation {
    /// The first step that fails: the reason why there is no connection, or why it goes.
    #[must_use]
    pub fn first_failing(&self) -> Option<(&ExplainedStep, &FailedCondition)> {
        first(&self.steps)
    }
}

impl GroupExplanation {
    /// The first step that fails: the reason why the group stays.
    #[must_use]
    pub fn first_failing(&self) -> Option<(&ExplainedStep, &FailedCondition)> {
        first(&self.steps)
    }
}
