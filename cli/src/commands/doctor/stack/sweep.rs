//! The last sweep of each VPC.

use std::time::Duration;

use jiff::Timestamp;
use tagwire_aws::Stack;
use tagwire_core::{id::VpcId, observation::Reading, policy::Mode, state::VpcState};

use crate::commands::doctor::{
    check::{Check, CommandTarget, count, quoted},
    facts::Read,
};

const LAST_SWEEP: &str = "last-sweep";
/// The number of periods without a sweep that is a warning.
const LATE: u32 = 2;
/// The number of periods without a sweep that is a failure, and at which the alarm rings.
const MISSING: u32 = 4;

pub(super) fn last_sweep(
    states: &Reading<(VpcId, Read<VpcState>)>,
    now: Timestamp,
    period: Duration,
    mode: Option<Mode>,
    stack: &Stack,
    target: &CommandTarget,
) -> Check {
    if mode == Some(Mode::DryRun) {
        return Check::ok(LAST_SWEEP, "a dry run writes no state, so the time of the last sweep is not known");
    }
    let mut oldest: Option<(Option<Timestamp>, &VpcId)> = None;
    for (vpc, state) in &states.found {
        match state.as_ref().map(|state| state.swept) {
            Ok(at) if oldest.is_none_or(|(before, _)| at < before) => oldest = Some((at, vpc)),
            Ok(_) => {}
            Err(error) => return Check::unread(LAST_SWEEP, &format!("when {vpc} was last swept"), error, target),
        }
    }
    if let Some(gap) = states.gaps.first() {
        return Check::gap(LAST_SWEEP, "when every VPC was last swept", gap, target);
    }
    let Some((at, vpc)) = oldest else {
        return Check::ok(LAST_SWEEP, "nothing is opted in, and tagwire owns no groups here");
    };
    let function = stack.outputs.get("SweepFunctionName").map_or("FUNCTION", String::as_str);
    let command = format!(
        "lambda invoke --function-name {} --cli-binary-format raw-in-base64-out --payload '{{}}' /dev/stdout",
        quoted(function)
    );
    let sweep = target.aws(&command);
    let minutes = period.as_secs() / 60;
    let Some(at) = at else {
        let message = format!("{vpc} was not swept yet; a sweep comes every {minutes} minutes");
        return Check::warning(LAST_SWEEP, message, sweep);
    };
    let age = Duration::try_from(now.duration_since(at)).unwrap_or_default();
    let of = count(states.found.len(), "VPC");
    let message = format!(
        "{vpc} was swept {} ago ({at}), the longest of {of}; a sweep comes every {minutes} minutes",
        count(usize::try_from(age.as_secs() / 60).unwrap_or(usize::MAX), "minute")
    );
    if age > period.saturating_mul(MISSING) {
        Check::failure(LAST_SWEEP, message, sweep)
    } else if age > period.saturating_mul(LATE) {
        Check::warning(LAST_SWEEP, message, sweep)
    } else {
        Check::ok(LAST_SWEEP, message)
    }
}
