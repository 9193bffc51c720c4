//! The hints for connections that are not as the tags ask for.

use tagwire_core::{
    connections::ConnectionStatus,
    finding::{Finding, Reason, Subject},
};

use crate::{commands::reason_of, session::Planned};

/// The hint for a row: that of the reason with the row's code, in the decision or a finding about the row. `None` when
/// there is no such reason.
pub(super) fn hint_of(row: &ConnectionStatus, planned: &[Planned]) -> Option<String> {
    let code = row.code?;
    let plans = planned.iter().filter(|(seen, _)| seen.vpc == row.vpc).map(|(_, checked)| checked.plan());
    let mut reasons = plans.flat_map(|plan| {
        let decisions = plan
            .decisions
            .iter()
            .filter(|decision| row.client.instance() == Some(&decision.instance) && decision.store == row.store);
        let findings = plan.findings.iter().filter(|finding| is_about(finding, row));
        decisions.filter_map(|decision| reason_of(&decision.verdict)).chain(findings.map(|finding| &finding.reason))
    });
    reasons.find(|reason| reason.code() == code).map(Reason::hint)
}

fn is_about(finding: &Finding, row: &ConnectionStatus) -> bool {
    match &finding.subject {
        Subject::Store(store) => *store == row.store,
        Subject::Instance(instance) => row.client.instance() == Some(instance),
        Subject::Group(group) => row.store_side.iter().chain(&row.instance_side).any(|side| side.id == *group),
        Subject::Vpc(vpc) => *vpc == row.vpc,
    }
}
