//! The permissions of connect's role, and those of the caller.

mod grants;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use tagwire_aws::{Probe, Refusal};
use tagwire_core::policy::Mode;
use tagwire_engine::cloud::{CloudError, ErrorKind};

pub(super) use self::grants::questions;
use self::grants::{GRANTS, is_granted};
use super::{
    check::{Check, CommandTarget, count, quoted},
    facts::Installed,
};
use crate::installation::Installation;

const CONNECT: &str = "connect-permissions";
const CALLER: &str = "caller-permissions";

pub(super) fn connect(installed: &Installed, installation: &Installation, target: &CommandTarget) -> Vec<Check> {
    let what = "what connect's role may do";
    let role = match &installed.role {
        Ok(Some(role)) => role,
        Ok(None) => {
            let message =
                format!("the stack {} has no role ConnectRole, so connect can do nothing", installed.stack.name);
            return vec![Check::failure(CONNECT, message, target.revert(&installed.stack))];
        }
        Err(error) => return vec![Check::unread(CONNECT, what, error, target)],
    };
    let refusals = match &installed.refusals {
        Some(Ok(refusals)) => refusals,
        Some(Err(CloudError { kind: ErrorKind::NotFound, .. })) => {
            let message = format!("{role} is not there any more, so connect can do nothing");
            return vec![Check::failure(CONNECT, message, target.revert(&installed.stack))];
        }
        Some(Err(error)) => return vec![Check::unread(CONNECT, what, error, target)],
        None => {
            let message = format!("cannot tell {what}, because the account is not known");
            return vec![Check::warning(CONNECT, message, target.again())];
        }
    };
    if refusals.is_empty() {
        let granted = GRANTS.iter().filter(|grant| is_granted(grant.when, installation));
        let actions: BTreeSet<&str> = granted.flat_map(|grant| grant.actions).copied().collect();
        let only = if installation.mode == Some(Mode::DryRun) { ", which are reads in a dry run" } else { "" };
        return vec![Check::ok(
            CONNECT,
            format!("{role} may make all {} that it has to{only}", count(actions.len(), "call")),
        )];
    }
    let mut by_source: BTreeMap<RefusedBy, BTreeSet<&str>> = BTreeMap::new();
    for refusal in refusals {
        by_source.entry(RefusedBy::of(refusal)).or_default().insert(&refusal.action);
    }
    let lines = by_source.into_iter().map(|(source, actions)| {
        let actions: Vec<&str> = actions.into_iter().collect();
        let message = format!("{} may not {}: {}", name_of(role), actions.join(", "), source.reason());
        Check::failure(CONNECT, message, source.fix(role, installed, target))
    });
    lines.collect()
}

/// The policy that keeps an action from being allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum RefusedBy {
    /// A service control policy of the organization.
    Organization,
    /// The permissions boundary of the role.
    Boundary,
    /// A statement that denies it, of these policies.
    Denied(Vec<String>),
    /// Nothing allows it.
    NotAllowed,
}

impl RefusedBy {
    fn of(refusal: &Refusal) -> Self {
        if refusal.by_organization {
            Self::Organization
        } else if refusal.by_boundary {
            Self::Boundary
        } else if refusal.denied {
            Self::Denied(refusal.policies.clone())
        } else {
            Self::NotAllowed
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::Organization => "a service control policy of the organization does not allow it".to_owned(),
            Self::Boundary => "its permissions boundary does not allow it".to_owned(),
            Self::Denied(policies) if policies.is_empty() => "a policy denies it".to_owned(),
            Self::Denied(policies) => format!("denied by {}", policies.join(", ")),
            Self::NotAllowed => "no policy of the role allows it".to_owned(),
        }
    }

    fn fix(&self, role: &str, installed: &Installed, target: &CommandTarget) -> String {
        match self {
            Self::Organization => target.aws(&format!(
                "organizations list-policies-for-target --target-id {} --filter SERVICE_CONTROL_POLICY",
                target.account()
            )),
            Self::Boundary => {
                match installed.stack.parameters.get("PermissionsBoundaryArn").filter(|arn| !arn.is_empty()) {
                    // The owner of the boundary has to extend it; a command of ours could allow too much.
                    Some(boundary) => {
                        let arn = quoted(boundary);
                        let version = target.aws(&format!(
                            "iam get-policy --policy-arn {arn} --query Policy.DefaultVersionId --output text"
                        ));
                        target.aws(&format!("iam get-policy-version --policy-arn {arn} --version-id \"$({version})\""))
                    }
                    None => target
                        .aws(&format!("iam delete-role-permissions-boundary --role-name {}", quoted(name_of(role)))),
                }
            }
            Self::Denied(_) | Self::NotAllowed => target.revert(&installed.stack),
        }
    }
}

fn name_of(role: &str) -> &str {
    role.rsplit('/').next().unwrap_or(role)
}

pub(super) fn caller(probes: &[Probe], target: &CommandTarget) -> Check {
    let failed = |denied: bool| {
        let of = |probe: &Probe| {
            let error = probe.result.as_ref().err().filter(|error| (error.kind == ErrorKind::Denied) == denied)?;
            let request = error.request_id.as_deref().unwrap_or("none");
            Some(format!("{} ({}, request id {request})", probe.action, error.code))
        };
        probes.iter().filter_map(of).collect::<Vec<String>>()
    };
    let (denied, unknown) = (failed(true), failed(false));
    if !denied.is_empty() {
        let more = if unknown.is_empty() { String::new() } else { format!("; cannot tell of {}", unknown.join(", ")) };
        let message = format!("the caller may not {}{more}", denied.join(", "));
        return Check::warning(CALLER, message, target.grant_reading());
    }
    if !unknown.is_empty() {
        let message = format!("cannot tell whether the caller may {}", unknown.join(", "));
        return Check::warning(CALLER, message, target.again());
    }
    Check::ok(CALLER, format!("the caller may make all {} of the commands that only read", count(probes.len(), "call")))
}
