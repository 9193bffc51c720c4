//! Who is calling, where, and what the account and its organization have or ask for.

use std::collections::BTreeSet;

use serde_json::Value;
use tagwire_aws::{Identity, Platform, TagPolicy};
use tagwire_core::{
    group::{MANAGED_BY_KEY, SIDE_KEY, STORE_ARN_KEY, STORE_ID_KEY},
    id::{StoreArn, StoreKind},
    model::Instance,
    observation::Reading,
    tag::{ConnectTag, ConnectionName, STATUS_KEY},
};
use tagwire_engine::cloud::{CloudError, ErrorKind, TaggedStore};

use super::{
    check::{Check, Place, count, quoted},
    facts::{Caller, Read, ServiceRole},
};

const TAG_POLICY: &str = "tag-policy";

/// Without a Region nothing can be asked.
pub(super) fn no_region() -> Check {
    Check::failure("region", "no AWS Region is set, so nothing was looked at", "export AWS_REGION=us-east-1")
}

pub(super) fn credentials(caller: &Caller) -> Check {
    const NAME: &str = "credentials";
    let place = &caller.place;
    match &caller.identity {
        Ok(Identity { account, arn }) => Check::ok(NAME, format!("{arn} in account {account}")),
        Err(error) if error.kind == ErrorKind::Denied => {
            // Of a Region that is switched off AWS says the same as of a key that nobody has.
            let message = match error.code.as_str() {
                "no-credentials" => "no credentials were found, so nothing else was looked at".to_owned(),
                _ => format!(
                    "AWS accepts no credentials of yours in {}, so nothing else was looked at: {error}",
                    place.region
                ),
            };
            let command = place.profile.as_ref().map_or_else(
                || "aws configure".to_owned(),
                |profile| format!("aws sso login --profile {}", quoted(profile)),
            );
            Check::failure(NAME, message, command)
        }
        Err(error) => Check::unread(NAME, "who is calling", error, place),
    }
}

/// Whether asking for anything else makes sense.
pub(super) fn may_go_on(identity: &Read<Identity>) -> bool {
    !matches!(identity, Err(CloudError { kind: ErrorKind::Denied, .. }))
}

pub(super) fn region(status: &Read<Option<String>>, place: &Place) -> Check {
    const NAME: &str = "region";
    let region = &place.region;
    match status {
        Ok(Some(status)) if status == "not-opted-in" => {
            let message = format!("{region} is switched off in account {}", place.account());
            Check::failure(NAME, message, place.aws(&format!("account enable-region --region-name {}", quoted(region))))
        }
        Ok(Some(status)) => Check::ok(NAME, format!("{region} is switched on ({status})")),
        Ok(None) => {
            let message = format!("AWS has no Region {region} in this partition");
            Check::failure(NAME, message, "aws ec2 describe-regions --query 'Regions[].RegionName' --region us-east-1")
        }
        Err(error) => Check::unread(NAME, &format!("whether {region} is switched on"), error, place),
    }
}

pub(super) fn platform(platform: &Read<Platform>, place: &Place) -> Check {
    const NAME: &str = "platform";
    let Platform { supported, default_vpc } = match platform {
        Ok(platform) => platform,
        Err(error) => return Check::unread(NAME, "whether the account has EC2-Classic", error, place),
    };
    let has = |name: &str| supported.iter().any(|platform| platform == name);
    let default =
        default_vpc.as_ref().map_or_else(|| "no default VPC".to_owned(), |vpc| format!("{vpc} as default VPC"));
    // An account that never had anything else need not say so for ever.
    match (has("VPC") || supported.is_empty(), has("EC2")) {
        (true, false) => Check::ok(NAME, format!("VPC, with {default}")),
        (true, true) => {
            let message = format!(
                "VPC and EC2-Classic, which AWS retired in 2022, with {default}: what is in no VPC cannot be connected"
            );
            let query = "--query 'Reservations[].Instances[?!VpcId].InstanceId' --output text";
            Check::warning(NAME, message, place.aws(&format!("ec2 describe-instances {query}")))
        }
        (false, _) => {
            let message = format!(
                "instances can be launched into {} only, and tagwire connects nothing outside a VPC",
                supported.join(", ")
            );
            Check::failure(NAME, message, place.aws("ec2 create-default-vpc"))
        }
    }
}

/// The service of a store, as its role names it: DocumentDB and Neptune clusters have RDS's.
fn check_of(store: &StoreArn) -> &'static str {
    match store.kind() {
        StoreKind::DbCluster | StoreKind::DbInstance => "service-linked-role-rds",
        StoreKind::ReplicationGroup | StoreKind::CacheCluster | StoreKind::ServerlessCache => {
            "service-linked-role-elasticache"
        }
        StoreKind::RedshiftCluster => "service-linked-role-redshift",
    }
}

pub(super) fn service_role(
    role: ServiceRole,
    there: &Read<bool>,
    stores: &Reading<TaggedStore>,
    place: &Place,
) -> Check {
    let ServiceRole { check, service, role, principal } = role;
    match there {
        Ok(true) => return Check::ok(check, format!("{role} is there")),
        Ok(false) => {}
        Err(error) => return Check::unread(check, &format!("whether {role} is there"), error, place),
    }
    let tagged = stores.found.iter().filter(|store| check_of(&store.arn) == check).count();
    if let (0, Some(gap)) = (tagged, stores.gaps.first()) {
        return Check::gap(check, &format!("whether {service} has data stores with the connect tag"), gap, place);
    }
    if tagged == 0 {
        return Check::ok(check, format!("{role} is missing, and no data store of {service} carries the connect tag"));
    }
    let message = format!(
        "{role} is missing and {} of {service} {} the connect tag: {service} manages no interface without it",
        count(tagged, "data store"),
        if tagged == 1 { "carries" } else { "carry" },
    );
    Check::warning(check, message, place.aws(&format!("iam create-service-linked-role --aws-service-name {principal}")))
}

/// What tagwire's tags are set on.
const TAGGED: [&str; 4] = ["ec2", "rds", "elasticache", "redshift"];

/// What the policy in effect asks of a key.
struct Asked {
    /// The key, in the capitalization that it asks for.
    key: String,
    /// The values that it lets through; none for all.
    values: Vec<String>,
}

pub(super) fn tag_policy(
    policy: &Read<TagPolicy>,
    connect_key: &str,
    instances: &Reading<Instance>,
    stores: &Reading<TaggedStore>,
    place: &Place,
) -> Check {
    let policy = match policy {
        Ok(TagPolicy::NoOrganization) => return Check::ok(TAG_POLICY, "the account belongs to no organization"),
        Ok(TagPolicy::None) => return Check::ok(TAG_POLICY, "the organization has no tag policy in effect here"),
        Ok(TagPolicy::Effective(policy)) => policy,
        Err(error) => return Check::unread(TAG_POLICY, "whether a tag policy refuses tagwire's tags", error, place),
    };
    let find = || {
        let command =
            format!("organizations list-policies-for-target --target-id {} --filter TAG_POLICY", place.account());
        place.aws(&command)
    };
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        let message = "cannot tell whether the tag policy in effect refuses tagwire's tags, because it is no JSON";
        return Check::warning(
            TAG_POLICY,
            message,
            place.aws("organizations describe-effective-policy --policy-type TAG_POLICY"),
        );
    };
    for key in [connect_key, MANAGED_BY_KEY, STORE_ID_KEY, STORE_ARN_KEY, SIDE_KEY, STATUS_KEY] {
        let Some(asked) = enforced(&policy, key) else { continue };
        if asked.key != key {
            let message = format!(
                "the tag policy in effect enforces the key {} and refuses {key}: have the organization change it",
                asked.key
            );
            return Check::warning(TAG_POLICY, message, find());
        }
        if asked.values.is_empty() || asked.values.iter().any(|value| value == "*") {
            continue;
        }
        let accepted = asked.values.join(", ");
        let only = format!("the tag policy in effect accepts for {key} only {accepted}");
        if key != connect_key {
            return Check::warning(TAG_POLICY, format!("{only}, which are not what tagwire writes there"), find());
        }
        let used = names(instances, stores);
        let refused: Vec<&ConnectionName> =
            used.iter().filter(|name| !asked.values.iter().any(|value| glob(value, name.as_str()))).collect();
        match (used.len(), refused.as_slice()) {
            (0, _) => {
                return Check::warning(TAG_POLICY, format!("{only}, so other connection names are refused"), find());
            }
            (_, [first, ..]) => {
                let message = format!(
                    "{only}, and refuses {} in use, {first} among them",
                    count(refused.len(), "connection name")
                );
                return Check::warning(TAG_POLICY, message, find());
            }
            (number, []) => {
                return Check::ok(
                    TAG_POLICY,
                    format!("{only}, which holds {} in use", count(number, "connection name")),
                );
            }
        }
    }
    Check::ok(TAG_POLICY, "the tag policy in effect refuses none of tagwire's tags")
}

/// What the policy asks of a key, if it refuses what does not comply where tagwire's tags are set.
fn enforced(policy: &Value, key: &str) -> Option<Asked> {
    let tags = policy.get("tags")?.as_object()?;
    // Keys of a policy are compared without regard to case.
    let (written, rule) = tags.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
    let texts = |name: &str| -> Vec<String> {
        let list = rule.get(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let types = texts("enforced_for");
    types.iter().any(|kind| kind.split(':').next().is_some_and(|service| TAGGED.contains(&service))).then(|| Asked {
        key: rule.get("tag_key").and_then(Value::as_str).unwrap_or(written).to_owned(),
        values: texts("tag_value"),
    })
}

fn names(instances: &Reading<Instance>, stores: &Reading<TaggedStore>) -> BTreeSet<ConnectionName> {
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
    use tagwire_core::observation::Gap;

    use super::*;
    use crate::doctor::{
        check::{
            Level,
            tests::{ACCOUNT, error, place, plain},
        },
        facts::SERVICE_ROLES,
    };

    fn denied(call: &'static str) -> CloudError {
        error(ErrorKind::Denied, call, "AccessDenied")
    }

    fn gap() -> Gap {
        Gap::of("tag:GetResources", "it", "ThrottledException: slow").that_passes(true, true)
    }

    fn store(kind: StoreKind, names: &str) -> TaggedStore {
        let arn = StoreArn::of(kind, "eu-west-1", ACCOUNT, "orders").unwrap();
        TaggedStore { arn, connect: ConnectTag::read(Some(names)) }
    }

    #[test]
    fn the_caller_is_named_and_without_one_nothing_else_is_looked_at() {
        let known = place().identity.unwrap();
        let caller = |identity: Read<Identity>| Caller { place: place(), identity };
        let check = credentials(&caller(Ok(known.clone())));
        assert_eq!(plain(&check), (Level::Ok, "arn:aws:sts::123456789012:assumed-role/ops/me in account 123456789012"));
        assert!(may_go_on(&Ok(known)));

        let refused = Err(error(ErrorKind::Denied, "sts:GetCallerIdentity", "ExpiredToken"));
        let check = credentials(&caller(refused.clone()));
        assert!(check.level == Level::Failure && check.message.contains("ExpiredToken"), "{check:?}");
        assert_eq!(check.fix.as_deref(), Some("aws configure"));
        assert!(!may_go_on(&refused));
        let none = Err(error(ErrorKind::Denied, "sts:GetCallerIdentity", "no-credentials"));
        let check = credentials(&caller(none));
        assert_eq!(plain(&check), (Level::Failure, "no credentials were found, so nothing else was looked at"));
        let of_profile = Caller { place: Place { profile: Some("ops".into()), ..place() }, identity: refused };
        assert_eq!(credentials(&of_profile).fix.as_deref(), Some("aws sso login --profile ops"));

        let slow = Err(error(ErrorKind::Throttled, "sts:GetCallerIdentity", "Throttling"));
        assert_eq!(credentials(&caller(slow.clone())).level, Level::Warning);
        assert!(may_go_on(&slow));
    }

    #[test]
    fn a_region_has_to_be_set_be_there_and_be_switched_on() {
        assert_eq!(
            (no_region().level, no_region().fix.as_deref()),
            (Level::Failure, Some("export AWS_REGION=us-east-1"))
        );
        assert_eq!(region(&Ok(Some("opted-in".into())), &place()).level, Level::Ok);
        let off = region(&Ok(Some("not-opted-in".into())), &place());
        assert_eq!(plain(&off), (Level::Failure, "eu-west-1 is switched off in account 123456789012"));
        assert_eq!(off.fix.as_deref(), Some("aws account enable-region --region-name eu-west-1 --region eu-west-1"));
        assert_eq!(region(&Ok(None), &place()).level, Level::Failure);
        let unread = region(&Err(denied("ec2:DescribeRegions")), &place());
        assert!(unread.level == Level::Warning && unread.message.contains("ec2:DescribeRegions"), "{unread:?}");
    }

    #[test]
    fn only_the_vpc_platform_is_well() {
        let read = |supported: &[&str], default: Option<&str>| {
            let supported = supported.iter().map(|name| (*name).to_owned()).collect();
            platform(&Ok(Platform { supported, default_vpc: default.map(str::to_owned) }), &place())
        };
        assert_eq!(plain(&read(&["VPC"], Some("vpc-1"))), (Level::Ok, "VPC, with vpc-1 as default VPC"));
        assert_eq!(read(&[], None).level, Level::Ok);
        assert_eq!(plain(&read(&["VPC"], None)), (Level::Ok, "VPC, with no default VPC"));
        let both = read(&["EC2", "VPC"], None);
        assert!(both.level == Level::Warning && both.fix.unwrap().contains("[?!VpcId]"));
        let classic = read(&["EC2"], None);
        assert_eq!(classic.level, Level::Failure);
        assert_eq!(classic.fix.as_deref(), Some("aws ec2 create-default-vpc --region eu-west-1"));
        assert_eq!(platform(&Err(denied("ec2:DescribeAccountAttributes")), &place()).level, Level::Warning);
    }

    #[test]
    fn a_service_needs_its_role_when_its_stores_are_tagged() {
        let [rds, elasticache, redshift] = SERVICE_ROLES;
        let none = Reading::default();
        assert_eq!(plain(&service_role(rds, &Ok(true), &none, &place())), (Level::Ok, "AWSServiceRoleForRDS is there"));
        let unused = service_role(rds, &Ok(false), &none, &place());
        assert_eq!(
            plain(&unused),
            (Level::Ok, "AWSServiceRoleForRDS is missing, and no data store of RDS carries the connect tag")
        );
        let kinds = [StoreKind::DbInstance, StoreKind::DbCluster, StoreKind::ServerlessCache];
        let tagged = Reading { found: kinds.map(|kind| store(kind, "orders")).into(), gaps: vec![gap()] };
        let missing = service_role(rds, &Ok(false), &tagged, &place());
        assert_eq!(missing.level, Level::Warning);
        assert!(missing.message.contains("2 data stores of RDS carry"), "{}", missing.message);
        assert_eq!(
            missing.fix.as_deref(),
            Some("aws iam create-service-linked-role --aws-service-name rds.amazonaws.com --region eu-west-1")
        );
        let one = service_role(elasticache, &Ok(false), &tagged, &place());
        assert!(one.level == Level::Warning && one.message.contains("1 data store of ElastiCache carries"), "{one:?}");
        let unsure = service_role(redshift, &Ok(false), &tagged, &place());
        assert!(unsure.level == Level::Warning && unsure.message.contains("ThrottledException"), "{unsure:?}");
        assert_eq!(unsure.fix.as_deref(), Some("tagwire doctor --region eu-west-1"));
        let unread = service_role(redshift, &Err(denied("iam:GetRole")), &none, &place());
        assert!(unread.level == Level::Warning && unread.message.contains("iam:GetRole"), "{unread:?}");
    }

    fn judged(policy: &Value, used: &[&str]) -> Check {
        let stores = used.iter().map(|names| store(StoreKind::DbCluster, names)).collect();
        let policy = Ok(TagPolicy::Effective(policy.to_string()));
        tag_policy(&policy, "tagwire:connect", &Reading::default(), &Reading::complete(stores), &place())
    }

    fn rule(key: &str, values: &[&str], enforced_for: &[&str]) -> Value {
        json!({ "tags": { "tagwire:connect": { "tag_key": key, "tag_value": values, "enforced_for": enforced_for } } })
    }

    #[test]
    fn without_a_tag_policy_every_tag_may_be_set() {
        let of = |policy: Read<TagPolicy>| tag_policy(&policy, "k", &Reading::default(), &Reading::default(), &place());
        assert_eq!(plain(&of(Ok(TagPolicy::NoOrganization))), (Level::Ok, "the account belongs to no organization"));
        assert_eq!(of(Ok(TagPolicy::None)).level, Level::Ok);
        let unread = of(Err(denied("organizations:DescribeEffectivePolicy")));
        assert!(unread.level == Level::Warning && unread.message.contains("DescribeEffectivePolicy"), "{unread:?}");
        assert_eq!(of(Ok(TagPolicy::Effective("no JSON".into()))).level, Level::Warning);
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
            assert_eq!(judged(&policy, &["orders"]).level, Level::Ok, "{policy}");
        }
    }

    #[test]
    fn a_policy_that_refuses_the_key_or_names_in_use_deserves_a_look() {
        let case = judged(&rule("Tagwire:Connect", &[], &["rds:*"]), &[]);
        assert!(case.level == Level::Warning && case.message.contains("refuses tagwire:connect"), "{case:?}");
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
                Level::Warning,
                "the tag policy in effect accepts for tagwire:connect only orders, team-*, so other connection names are refused"
            )
        );
        let refused = judged(&some, &["orders billing", "team-1"]);
        assert!(
            refused.level == Level::Warning && refused.message.contains("refuses 1 connection name in use, billing"),
            "{refused:?}"
        );
        let held = judged(&some, &["orders", "team-1"]);
        assert!(held.level == Level::Ok && held.message.contains("2 connection names in use"), "{held:?}");
        let own = json!({ "tags": { "tagwire:managed-by": { "tag_key": "tagwire:managed-by", "tag_value": ["me"], "enforced_for": ["ec2:security-group"] } } });
        let own = judged(&own, &[]);
        assert!(own.level == Level::Warning && own.message.contains("tagwire:managed-by only me"), "{own:?}");
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
