//! Plans that were saved, to be carried out as they are or not at all.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, stdin},
    path::Path,
};

use anyhow::Context;
use serde::Deserialize;
use tagwire_core::{
    id::VpcId,
    observation::Scope,
    plan::{Effect, Plan},
    work::{PlanDigest, RequestKind},
};

use crate::{
    commands::plan::{JSON_VERSION, PROGRAM_VERSION, signed_line},
    error::{CommandError, CommandErrorKind, CommandResult, user_error},
    session::Place,
};

/// What to do about a plan that cannot be used.
const PLAN_ANEW: &str = "make the plan anew, look at it, and save it: `tagwire plan --out FILE`";

/// The document that `tagwire plan` writes, as far as it is needed here.
#[derive(Debug, Deserialize)]
pub(super) struct SavedPlan {
    tagwire: String,
    account: String,
    region: String,
    request: RequestKind,
    pub(super) vpcs: Vec<SavedVpc>,
}

/// The plan for one VPC.
#[derive(Debug, Deserialize)]
pub(super) struct SavedVpc {
    pub(super) vpc: VpcId,
    pub(super) scope: Scope,
    digest: PlanDigest,
    changes: Vec<SavedChange>,
    gaps: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct SavedChange {
    effect: Effect,
    action: String,
}

/// Of the document of any version.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl SavedPlan {
    /// Reads a file, or standard input for `-`.
    ///
    /// # Errors
    /// When it holds no plan that this version of the program can carry out.
    pub(super) fn read(path: &Path) -> CommandResult<Self> {
        let text = if path == Path::new("-") {
            let mut text = String::new();
            stdin().read_to_string(&mut text).map(|_| text)
        } else {
            fs::read_to_string(path)
        };
        let text = text.with_context(|| format!("reading the plan {}", path.display()))?;
        Self::parse(&text).map_err(|error| error.context(format!("{} cannot be applied", path.display())))
    }

    fn parse(text: &str) -> CommandResult<Self> {
        let damaged = |error: serde_json::Error| user_error!("it is damaged, or no plan: {error}").hint(PLAN_ANEW);
        let Version { version } = serde_json::from_str(text).map_err(damaged)?;
        if version != JSON_VERSION {
            return Err(user_error!(
                "it has the form {version}, and this version of tagwire reads the form {JSON_VERSION}"
            )
            .hint(PLAN_ANEW));
        }
        let saved: Self = serde_json::from_str(text).map_err(damaged)?;
        if saved.tagwire != PROGRAM_VERSION {
            return Err(user_error!(
                "tagwire {:?} made it, and this is tagwire {PROGRAM_VERSION}, which may plan otherwise",
                saved.tagwire
            )
            .hint(PLAN_ANEW));
        }
        if saved.request != RequestKind::Apply {
            return Err(user_error!("it is the plan of an uninstallation").hint("`tagwire uninstall` carries that out"));
        }
        for vpc in &saved.vpcs {
            vpc.require_sound()?;
        }
        Ok(saved)
    }

    /// Refuses a plan for another account or Region than that of the session.
    ///
    /// # Errors
    /// When it is one.
    pub(super) fn require_place(&self, account: &str, region: &str) -> CommandResult<()> {
        if (self.account.as_str(), self.region.as_str()) == (account, region) {
            return Ok(());
        }
        Err(user_error!(
            "the plan is for the account {:?} and the Region {:?}, and this is {account} / {region}",
            self.account,
            self.region
        )
        .hint("choose the account with --profile, and the Region with --region"))
    }
}

impl SavedVpc {
    /// Refuses a plan whose lines are not those that it had when it was made.
    fn require_sound(&self) -> CommandResult<()> {
        let lines: Vec<String> = self.changes.iter().map(|change| change.action.clone()).collect();
        let is_text = |line: &String| !line.chars().any(char::is_control);
        if PlanDigest::of(&lines) != self.digest || !lines.iter().all(is_text) {
            return Err(
                user_error!("it is damaged: its changes in {} are not those of its digest", self.vpc).hint(PLAN_ANEW)
            );
        }
        if self.gaps.is_empty() {
            return Ok(());
        }
        Err(user_error!("not all of {} could be read when it was made", self.vpc).hint(PLAN_ANEW))
    }

    /// Whether the plan of now is the saved one.
    pub(super) fn is(&self, plan: &Plan) -> bool {
        plan.digest() == self.digest
    }

    /// The lines that tell the plan of now from the saved one, below the name of the VPC.
    pub(super) fn differences(&self, place: &Place, plan: &Plan) -> Vec<String> {
        let now = plan.actions();
        let now: Vec<(Effect, &str)> = now.iter().map(|action| (action.effect, action.text.as_str())).collect();
        let saved: Vec<(Effect, &str)> =
            self.changes.iter().map(|change| (change.effect, change.action.as_str())).collect();
        let of = |title: &str, lines: Vec<(Effect, &str)>| -> Vec<String> {
            let title = (!lines.is_empty()).then(|| format!("  {title}"));
            let lines = lines.into_iter().map(|(effect, line)| format!("    {}", signed_line(effect, line)));
            title.into_iter().chain(lines).collect()
        };
        let mut lines = vec![place.of(&self.vpc)];
        lines.extend(of("in the saved plan, and not pending any more:", beyond(&saved, &now)));
        lines.extend(of("pending now, and not in the saved plan:", beyond(&now, &saved)));
        if lines.len() == 1 {
            lines.push("  the same changes, in another order".to_owned());
        }
        lines
    }
}

/// The lines of one list that another one does not have, or has less often.
fn beyond<'line>(lines: &[(Effect, &'line str)], others: &[(Effect, &'line str)]) -> Vec<(Effect, &'line str)> {
    let mut known = BTreeMap::<&str, usize>::new();
    for (_, line) in others {
        *known.entry(line).or_default() += 1;
    }
    let mut is_new = |line: &str| match known.get_mut(line) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    };
    lines.iter().copied().filter(|(_, line)| is_new(line)).collect()
}

/// The error for a world that is not that of the saved plan any more.
pub(super) fn changed_since(differences: &[String]) -> CommandError {
    let lines = differences.join("\n");
    let message = format!("something has changed since the plan was made, so nothing is carried out:\n{lines}");
    CommandError::new(CommandErrorKind::NotCarriedOut, message).hint(PLAN_ANEW)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tagwire_world::World;

    use super::*;
    use crate::{
        commands::plan::{json, text::tests::planned},
        session::Planned,
    };

    const WORLD: &str =
        "instance i-1 connect=orders\ninstance i-2\ndb orders connect=orders\npair orders 1 attached-to=i-2";

    fn plan(world: &str) -> Planned {
        planned(&World::read(world).unwrap())
    }

    fn place() -> Place {
        Place { account: "123456789012".to_owned(), region: "eu-central-1".to_owned(), ..Place::default() }
    }

    fn document() -> Value {
        json(&place(), RequestKind::Apply, [(&Scope::Vpc, &plan(WORLD))])
    }

    #[test]
    fn a_plan_that_was_saved_is_read_back_and_is_the_plan_of_the_same_world_only() {
        let saved = SavedPlan::parse(&document().to_string()).unwrap();
        assert!(saved.require_place("123456789012", "eu-central-1").is_ok());
        let [vpc] = saved.vpcs.as_slice() else { panic!("{saved:?}") };
        assert_eq!(vpc.scope, Scope::Vpc);
        assert!(vpc.is(plan(WORLD).1.plan()));
        let now = plan(
            &WORLD
                .replace("instance i-2", "instance i-2\ninstance i-3 connect=orders")
                .replace("i-1 connect=orders", "i-1"),
        );
        assert!(!vpc.is(now.1.plan()));
        let shown: Vec<String> = vpc
            .differences(&place(), now.1.plan())
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect();
        let expected = [
            "123456789012 / eu-central-1 / vpc-1",
            "  in the saved plan, and not pending any more:",
            "    + attach sg-ec2-rds-1 to eni-1 of i-1: shares orders with db/orders",
            "  pending now, and not in the saved plan:",
            "    + attach sg-ec2-rds-1 to eni-3 of i-3: shares orders with db/orders",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_plan_for_another_account_or_region_is_refused_by_name() {
        let saved = SavedPlan::parse(&document().to_string()).unwrap();
        for (account, region) in [("210987654321", "eu-central-1"), ("123456789012", "eu-west-1")] {
            let refused = saved.require_place(account, region).unwrap_err();
            let message = refused.to_string();
            assert!(
                message.contains(account) && message.contains(region) && message.contains("123456789012"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_file_that_is_damaged_of_another_version_or_no_plan_of_apply_is_refused_with_the_reason() {
        let with = |path: &str, value: Value| {
            let mut document = document();
            *document.pointer_mut(path).unwrap() = value;
            document.to_string()
        };
        for (text, message) in [
            (String::new(), "it is damaged, or no plan"),
            ("{\"version\": 5}".to_owned(), "it is damaged, or no plan"),
            (document().to_string().chars().take(200).collect(), "it is damaged, or no plan"),
            (with("/version", json!(4)), "it has the form 4"),
            (with("/tagwire", json!("0.0.9")), "tagwire \"0.0.9\" made it"),
            (with("/request", json!("uninstall")), "uninstallation"),
            (with("/vpcs/0/changes/0/action", json!("attach sg-1 to eni-1")), "its changes in vpc-1 are not those"),
            (with("/vpcs/0/changes", json!([])), "its changes in vpc-1 are not those"),
            (with("/vpcs/0/digest", json!("0")), "its changes in vpc-1 are not those"),
            (with("/vpcs/0/gaps", json!([{}])), "not all of vpc-1 could be read"),
        ] {
            let refused = SavedPlan::parse(&text).unwrap_err();
            assert!(refused.to_string().contains(message), "{message}: {refused}");
        }
    }

    #[test]
    fn a_line_that_is_there_twice_counts_twice() {
        let (one, two) = ((Effect::Add, "a"), (Effect::Add, "b"));
        assert_eq!(beyond(&[one, two, one], &[one]), [two, one]);
        assert_eq!(beyond(&[one], &[one, one]), []);
    }
}
