//! Explanations that begin with one end of several connections: a data store, a client that is no instance, or a
//! connection name. Their lines are the rows of `tagwire status`.

mod clients;
mod names;
mod show;
mod store;

use std::collections::BTreeSet;

use serde::Serialize;

use super::Explainer;
use crate::{
    cidr::CidrPeer,
    connections::{CONNECTING, ConnectionStatus, State, Survey, connections},
    finding::Finding,
    id::{InstanceId, StoreArn, VpcId},
    observation::Observation,
    plan::{Action, Plan},
    policy::Policy,
    tag::ConnectionName,
};

/// Everything that an overview is made from.
#[derive(Clone, Copy)]
pub struct Account<'account> {
    /// Every data store and group, and the instances that may be connected.
    pub survey: &'account Survey,
    /// The observation and the plan of each VPC that has something opted in or owned.
    pub planned: &'account [(&'account Observation, &'account Plan)],
    /// The planner's settings.
    pub policy: &'account Policy,
    /// The installation's tag key.
    pub connect_key: &'account str,
}

/// Who has to do with a data store, a client or a name, and what the next run changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// The data store's ARN, the block, the prefix list, or the name.
    pub subject: String,
    /// The answer in words.
    pub message: String,
    /// The observed facts.
    pub facts: Vec<String>,
    /// The connections, those that are not as the tags ask for before the others.
    pub connections: Vec<OverviewLine>,
    /// The changes of the next run, one line each.
    pub next: Vec<String>,
    /// The plan's findings about the subject.
    pub findings: Vec<Finding>,
    /// The remedy. Lines that begin with `aws `, `sam ` or `tagwire ` are commands.
    pub remedy: Vec<String>,
    /// Which end of the connections is the same in all.
    #[serde(skip)]
    end: SharedEnd,
}

/// The end that all connections of an overview share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SharedEnd {
    #[default]
    Neither,
    Store,
    Client,
}

/// One connection of an overview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OverviewLine {
    /// The VPC.
    pub vpc: VpcId,
    /// The client: an instance, a block or a prefix list.
    pub client: String,
    /// The instance, if the client is one.
    pub instance: Option<InstanceId>,
    /// The data store.
    pub store: StoreArn,
    /// The state.
    pub state: State,
    /// The stable code of the reason for the state.
    pub code: Option<&'static str>,
    /// How it is made, or why it is not.
    pub message: String,
}

impl OverviewLine {
    fn of(row: &ConnectionStatus) -> Self {
        let made = row.made_by.map(|maker| format!("made by {}", maker.word()));
        Self {
            vpc: row.vpc.clone(),
            client: row.client.to_string(),
            instance: row.client.instance().cloned(),
            store: row.store.clone(),
            state: row.state,
            code: row.code,
            message: row.reason.clone().or(made).unwrap_or_default(),
        }
    }

    /// What is not as the tags ask for comes first.
    fn rank(&self) -> (u8, Option<&str>) {
        let state = match self.state {
            State::Refused => 0,
            State::Drifted => 1,
            State::Waiting => 2,
            State::Connected => 3 + u8::from(self.code.is_none()),
        };
        (state, self.code)
    }
}

/// Explains who is let in to a data store, who is not, and why.
#[must_use]
pub fn store(account: &Account<'_>, arn: &StoreArn) -> Overview {
    account.store(arn)
}

/// Explains which data stores let in a block of addresses or a prefix list, and which do not although they are asked
/// to; of all data stores, or of one.
#[must_use]
pub fn client(account: &Account<'_>, client: &CidrPeer, store: Option<&StoreArn>) -> Overview {
    account.client(client, store)
}

/// Explains who carries a connection name, and what follows from it.
#[must_use]
pub fn name(account: &Account<'_>, name: &ConnectionName) -> Overview {
    account.name(name)
}

impl<'account> Account<'account> {
    fn rows(&self) -> Vec<ConnectionStatus> {
        connections(self.survey, self.planned)
    }

    /// The observation of a VPC with the plan for it.
    fn planned(&self, vpc: &VpcId) -> Option<(&'account Observation, &'account Plan)> {
        self.planned.iter().find(|(seen, _)| seen.vpc == *vpc).copied()
    }

    fn actions(&self, which: impl Fn(&Action) -> bool) -> Vec<String> {
        let actions = self.planned.iter().flat_map(|(_, plan)| plan.actions());
        actions.filter(which).map(|action| action.text).collect()
    }
}

impl Overview {
    /// Sorts the lines, and adds for each reason that a person can act on the command that explains the first of them.
    fn with_lines(mut self, mut lines: Vec<OverviewLine>) -> Self {
        lines.sort_by(|one, other| {
            let key = |line: &OverviewLine| (line.vpc.clone(), line.store.clone(), line.client.clone());
            (one.rank(), key(one)).cmp(&(other.rank(), key(other)))
        });
        let mut codes = BTreeSet::new();
        for line in &lines {
            if let (Some(code), Some(instance)) = (line.code, &line.instance)
                && code != CONNECTING
                && codes.insert(code)
            {
                self.remedy.push(format!("tagwire explain {instance} {}", line.store.short()));
            }
        }
        self.connections = lines;
        self
    }
}

/// How many lines there are of each state, in words.
fn counted(lines: &[OverviewLine]) -> String {
    let of = |state: State| lines.iter().filter(|line| line.state == state).count();
    let counted = State::ALL.into_iter().map(|state| (of(state), state.word())).filter(|(number, _)| *number > 0);
    counted.map(|(number, word)| format!("{number} {word}")).collect::<Vec<_>>().join(", ")
}

impl Explainer<'_> {
    /// The remedies for some findings, each line once.
    fn remedies(&self, findings: &[Finding], store: Option<&crate::model::DataStore>) -> Vec<String> {
        let about = super::remedy::Advisor { explainer: self, instance: None, store };
        let mut remedies = Vec::new();
        for line in findings.iter().flat_map(|finding| about.remedy(&finding.reason, &finding.subject)) {
            if !remedies.contains(&line) {
                remedies.push(line);
            }
        }
        remedies
    }
}
