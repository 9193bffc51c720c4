//! The organization's tag policy, and whether it refuses tagwire's tags.

use std::collections::BTreeSet;

use serde_json::Value;
use tagwire_aws::TagPolicy;
use tagwire_core::{
    group::{MANAGED_BY_KEY, SIDE_KEY, STORE_ARN_KEY, STORE_ID_KEY},
    model::Instance,
    observation::Reading,
    tag::{ConnectTag, ConnectionName, STATUS_KEY},
};
use tagwire_engine::cloud::TaggedStore;

use super::{
    check::{Check, CommandTarget, count},
    facts::Read,
};

const NAME: &str = "tag-policy";

/// The services whose resources get tagwire's tags.
const TAGGED: [&str; 4] = ["ec2", "rds", "elasticache", "redshift"];

/// The rule for a key in the policy in effect.
struct TagRule {
    /// The key, in the capitalization of the policy.
    key: String,
    /// The values that it accepts; empty for all.
    values: Vec<String>,
}

pub(super) fn tag_policy(
    policy: &Read<TagPolicy>,
    connect_key: &str,
    instances: &Reading<Instance>,
    stores: &Reading<TaggedStore>,
    target: &CommandTarget,
) -> Check {
    let policy = match policy {
        Ok(TagPolicy::NoOrganization) => return Check::ok(NAME, "the account belongs to no organization"),
        Ok(TagPolicy::None) => return Check::ok(NAME, "the organization has no tag policy in effect here"),
        Ok(TagPolicy::Effective(policy)) => policy,
        Err(error) => return Check::unread(NAME, "whether a tag policy refuses tagwire's tags", error, target),
    };
    let find = || {
        let command =
            format!("organizations list-policies-for-target --target-id {} --filter TAG_POLICY", target.account());
        target.aws(&command)
    };
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        let message = "cannot tell whether the tag policy in effect refuses tagwire's tags, because it is no JSON";
        return Check::warning(
            NAME,
            message,
            target.aws("organizations describe-effective-policy --policy-type TAG_POLICY"),
        );
    };
    let own_keys = [MANAGED_BY_KEY, STORE_ID_KEY, STORE_ARN_KEY, SIDE_KEY, STATUS_KEY];
    let used = names_in_use(instances, stores);
    let mut verdicts = [connect_key].into_iter().chain(own_keys).filter_map(|key| {
        let rule = enforced(&policy, key)?;
        judge_key(key, &rule, (key == connect_key).then_some(&used))
    });
    match verdicts.next() {
        None => Check::ok(NAME, "the tag policy in effect refuses none of tagwire's tags"),
        Some(Ok(accepted)) => Check::ok(NAME, accepted),
        Some(Err(refused)) => Check::warning(NAME, refused, find()),
    }
}

/// Judges the rule for one key: the message that it accepts all names in use, or that it refuses something. `None`
/// when it accepts every value. `used` is `None` for a key whose values tagwire chooses.
fn judge_key(key: &str, rule: &TagRule, used: Option<&BTreeSet<ConnectionName>>) -> Option<Result<String, String>> {
    if rule.key != key {
        return Some(Err(format!(
            "the tag policy in effect enforces the key {} and refuses {key}: have the organization change it",
            rule.key
        )));
    }
    if rule.values.is_empty() || rule.values.iter().any(|value| value == "*") {
        return None;
    }
    let only = format!("the tag policy in effect accepts for {key} only {}", rule.values.join(", "));
    let Some(used) = used else {
        return Some(Err(format!("{only}, which are not the values that tagwire writes there")));
    };
    let is_refused = |name: &&ConnectionName| !rule.values.iter().any(|value| glob(value, name.as_str()));
    let refused: Vec<&ConnectionName> = used.iter().filter(is_refused).collect();
    Some(match (used.len(), refused.as_slice()) {
        (0, _) => Err(format!("{only}, so other connection names are refused")),
        (_, [first, ..]) => {
            let number = count(refused.len(), "connection name");
            Err(format!("{only}, and refuses {number} in use, {first} among them"))
        }
        (number, []) => Ok(format!("{only}, which holds {} in use", count(number, "connection name"))),
    })
}

/// The rule for a key, if the policy enforces it for resources that get tagwire's tags.
fn enforced(policy: &Value, key: &str) -> Option<TagRule> {
    let tags = policy.get("tags")?.as_object()?;
    // Keys of a policy are compared without regard to case.
    let (written, rule) = tags.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
    let texts = |name: &str| -> Vec<String> {
        let list = rule.get(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let types = texts("enforced_for");
    types.iter().any(|kind| kind.split(':').next().is_some_and(|service| TAGGED.contains(&service))).then(|| TagRule {
        key: rule.get("tag_key").and_then(Value::as_str).unwrap_or(written).to_owned(),
        values: texts("tag_value"),
    })
}

fn names_in_use(instances: &Reading<Instance>, stores: &Reading<TaggedStore>) -> BTreeSet<ConnectionName> {
    let of_instances = instances.found.iter().map(|instance| &instance.settings.connect);
    let tags = of_instances.chain(stores.found.iter().map(|store| &store.connect));
    let names = tags.filter_map(|tag| match tag {
        ConnectTag::Names(names) => Some(names),
        ConnectTag::Absent | ConnectTag::Invalid(_) => None,
    });
    names.flatten().cloned().collect()
}

/// Whether a value fits one of a policy, in which a star stands for anything.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            after.is_empty() || rest.char_indices().any(|(at, _)| rest.get(at..).is_some_and(|rest| glob(after, rest)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tagwire_core::{
        id::{Partition, StoreArn},
        service::StoreKind,
    };
    use tagwire_engine::cloud::ErrorKind;

    use super::*;
    use crate::commands::doctor::check::{
        CheckLevel,
        tests::{ACCOUNT, error, plain, target},
    };

    fn store(kind: StoreKind, names: &str) -> TaggedStore {
        let arn = StoreArn::of(&Partition::parse("aws").unwrap(), kind, "eu-west-1", ACCOUNT, "orders").unwrap();
        TaggedStore { arn, connect: ConnectTag::read(Some(names)) }
    }

    fn judged(policy: &Value, used: &[&str]) -> Check {
        let stores = used.iter().map(|names| store(StoreKind::DbCluster, names)).collect();
        let policy = Ok(TagPolicy::Effective(policy.to_string()));
        tag_policy(&policy, "tagwire:connect", &Reading::default(), &Reading::complete(stores), &target())
    }

    fn rule(key: &str, values: &[&str], enforced_for: &[&str]) -> Value {
        json!({ "tags": { "tagwire:connect": { "tag_key": key, "tag_value": values, "enforced_for": enforced_for } } })
    }

    #[test]
    fn without_a_tag_policy_every_tag_may_be_set() {
        let of =
            |policy: Read<TagPolicy>| tag_policy(&policy, "k", &Reading::default(), &Reading::default(), &target());
        assert_eq!(
            plain(&of(Ok(TagPolicy::NoOrganization))),
            (CheckLevel::Ok, "the account belongs to no organization")
        );
        assert_eq!(of(Ok(TagPolicy::None)).level, CheckLevel::Ok);
        let unread = of(Err(error(ErrorKind::Denied, "organizations:DescribeEffectivePolicy", "AccessDenied")));
        assert!(
            unread.level == CheckLevel::Warning && unread.message.contains("DescribeEffectivePolicy"),
            "{unread:?}"
        );
        assert_eq!(of(Ok(TagPolicy::Effective("no JSON".into()))).level, CheckLevel::Warning);
    }

    #[test]
    fn a_policy_that_only_reports_or_is_about_others_is_well() {
        for policy in [
            json!({ "tags": {} }),
            json!({ "tags": { "team": { "tag_key": "Team", "enforced_for": ["ec2:instance"] } } }),
            rule("Tagwire:Connect", &["a"], &[]),
            rule("Tagwire:Connect", &["a"], &["s3:bucket"]),
            rule("tagwire:connect", &[], &["ec2:instance"]),
            rule("tagwire:connect", &["*"], &["ec2:instance"]),
        ] {
            assert_eq!(judged(&policy, &["orders"]).level, CheckLevel::Ok, "{policy}");
        }
    }

    #[test]
    fn a_policy_that_refuses_the_key_or_names_in_use_deserves_a_look() {
        let case = judged(&rule("Tagwire:Connect", &[], &["rds:*"]), &[]);
        assert!(case.level == CheckLevel::Warning && case.message.contains("refuses tagwire:connect"), "{case:?}");
        assert_eq!(
            case.fix.as_deref(),
            Some(
                "aws organizations list-policies-for-target --target-id 123456789012 --filter TAG_POLICY --region eu-west-1"
            )
        );
        let some = rule("tagwire:connect", &["orders", "team-*"], &["ec2:instance"]);
        let unused = judged(&some, &[]);
        assert_eq!(
            plain(&unused),
            (
                CheckLevel::Warning,
                "the tag policy in effect accepts for tagwire:connect only orders, team-*, so other connection names are refused"
            )
        );
        let refused = judged(&some, &["orders billing", "team-1"]);
        assert!(
            refused.level == CheckLevel::Warning
                && refused.message.contains("refuses 1 connection name in use, billing"),
            "{refused:?}"
        );
        let held = judged(&some, &["orders", "team-1"]);
        assert!(held.level == CheckLevel::Ok && held.message.contains("2 connection names in use"), "{held:?}");
        let own = json!({ "tags": { "tagwire:managed-by": { "tag_key": "tagwire:managed-by", "tag_value": ["me"], "enforced_for": ["ec2:security-group"] } } });
        let own = judged(&own, &[]);
        assert!(own.level == CheckLevel::Warning && own.message.contains("tagwire:managed-by only me"), "{own:?}");
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, fits) in [
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("*", "", true),
            ("a*d", "abc", false),
            ("abc", "ab", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }
}
