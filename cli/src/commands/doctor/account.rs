//! The caller, the Region, and the roles and platform of the account.

use tagwire_aws::{Identity, Platform};
use tagwire_core::{id::StoreArn, observation::Reading};
use tagwire_engine::cloud::{CloudError, ErrorKind, TaggedStore};

use super::{
    check::{Check, CommandTarget, count, quoted},
    facts::{CallerFacts, Read, ServiceRole},
};

/// The check without a Region, in which nothing can be read.
pub(super) fn no_region() -> Check {
    Check::failure("region", "no AWS Region is set, so nothing was checked", "export AWS_REGION=us-east-1")
}

pub(super) fn credentials(caller: &CallerFacts) -> Check {
    const NAME: &str = "credentials";
    let target = &caller.target;
    match &caller.identity {
        Ok(Identity { account, arn }) => Check::ok(NAME, format!("{arn} in account {account}")),
        Err(error) if error.kind == ErrorKind::Denied => {
            // AWS gives the same answer for a Region that is switched off as for an unknown key.
            let message = match error.code.as_str() {
                "no-credentials" => "no credentials were found, so nothing else was checked".to_owned(),
                _ => format!(
                    "AWS accepts no credentials of yours in {}, so nothing else was checked: {error}",
                    target.region
                ),
            };
            let command = target.profile.as_ref().map_or_else(
                || "aws configure".to_owned(),
                |profile| format!("aws sso login --profile {}", quoted(profile)),
            );
            Check::failure(NAME, message, command)
        }
        Err(error) if error.kind == ErrorKind::Unavailable => {
            let message = format!("AWS did not answer in {}, so nothing else was checked: {error}", target.region);
            Check::failure(NAME, message, target.again())
        }
        Err(error) => Check::unread(NAME, "who is calling", error, target).required(),
    }
}

/// Whether anything else can be read.
pub(super) fn can_continue(identity: &Read<Identity>) -> bool {
    !matches!(identity, Err(CloudError { kind: ErrorKind::Denied | ErrorKind::Unavailable, .. }))
}

pub(super) fn region(status: &Read<Option<String>>, target: &CommandTarget) -> Check {
    const NAME: &str = "region";
    let region = &target.region;
    match status {
        Ok(Some(status)) if status == "not-opted-in" => {
            let message = format!("{region} is switched off in account {}", target.account());
            Check::failure(
                NAME,
                message,
                target.aws(&format!("account enable-region --region-name {}", quoted(region))),
            )
        }
        Ok(Some(status)) => Check::ok(NAME, format!("{region} is switched on ({status})")),
        Ok(None) => {
            let message = format!("AWS has no Region {region} in this partition");
            Check::failure(NAME, message, "aws ec2 describe-regions --query 'Regions[].RegionName' --region us-east-1")
        }
        Err(error) => Check::unread(NAME, &format!("whether {region} is switched on"), error, target).required(),
    }
}

pub(super) fn platform(platform: &Read<Platform>, target: &CommandTarget) -> Check {
    const NAME: &str = "platform";
    let Platform { supported, default_vpc } = match platform {
        Ok(platform) => platform,
        Err(error) => return Check::unread(NAME, "whether the account has EC2-Classic", error, target),
    };
    let has = |name: &str| supported.iter().any(|platform| platform == name);
    let default =
        default_vpc.as_ref().map_or_else(|| "no default VPC".to_owned(), |vpc| format!("{vpc} as default VPC"));
    // AWS may stop listing platforms one day: an empty list stands for VPC.
    match (has("VPC") || supported.is_empty(), has("EC2")) {
        (true, false) => Check::ok(NAME, format!("VPC, with {default}")),
        (true, true) => {
            let message = format!(
                "VPC and EC2-Classic, which AWS retired in 2022, with {default}: what is in no VPC cannot be connected"
            );
            let query = "--query 'Reservations[].Instances[?!VpcId].InstanceId' --output text";
            Check::warning(NAME, message, target.aws(&format!("ec2 describe-instances {query}")))
        }
        (false, _) => {
            let message = format!(
                "instances can be launched into {} only, and tagwire connects nothing outside a VPC",
                supported.join(", ")
            );
            Check::failure(NAME, message, target.aws("ec2 create-default-vpc"))
        }
    }
}

/// Whether a principal manages a store: RDS manages DocumentDB and Neptune clusters as well.
fn manages(principal: &str, store: &StoreArn) -> bool {
    principal.strip_suffix(".amazonaws.com") == Some(store.kind().row().api.name)
}

pub(super) fn service_role(
    role: ServiceRole,
    there: &Read<bool>,
    stores: &Reading<TaggedStore>,
    target: &CommandTarget,
) -> Check {
    let ServiceRole { check, service, role, principal } = role;
    match there {
        Ok(true) => return Check::ok(check, format!("{role} is there")),
        Ok(false) => {}
        Err(error) => return Check::unread(check, &format!("whether {role} is there"), error, target),
    }
    let tagged = stores.found.iter().filter(|store| manages(principal, &store.arn)).count();
    if let (0, Some(gap)) = (tagged, stores.gaps.first()) {
        return Check::gap(check, &format!("whether {service} has data stores with the connect tag"), gap, target);
    }
    if tagged == 0 {
        return Check::ok(check, format!("{role} is missing, and no data store of {service} carries the connect tag"));
    }
    let message = format!(
        "{role} is missing and {} of {service} {} the connect tag: {service} manages no interface without it",
        count(tagged, "data store"),
        if tagged == 1 { "carries" } else { "carry" },
    );
    Check::warning(
        check,
        message,
        target.aws(&format!("iam create-service-linked-role --aws-service-name {principal}")),
    )
}

#[cfg(test)]
mod tests {
    use tagwire_core::{id::Partition, observation::Gap, service::StoreKind, tag::ConnectTag};

    use super::*;
    use crate::commands::doctor::{
        check::{
            CheckLevel,
            tests::{ACCOUNT, error, plain, target},
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
        let arn = StoreArn::of(&Partition::parse("aws").unwrap(), kind, "eu-west-1", ACCOUNT, "orders").unwrap();
        TaggedStore { arn, connect: ConnectTag::read(Some(names)) }
    }

    #[test]
    fn the_caller_is_named_and_without_one_nothing_else_is_looked_at() {
        let known = target().identity.unwrap();
        let caller = |identity: Read<Identity>| CallerFacts { target: target(), identity };
        let check = credentials(&caller(Ok(known.clone())));
        assert_eq!(
            plain(&check),
            (CheckLevel::Ok, "arn:aws:sts::123456789012:assumed-role/ops/me in account 123456789012")
        );
        assert!(can_continue(&Ok(known)));

        let refused = Err(error(ErrorKind::Denied, "sts:GetCallerIdentity", "ExpiredToken"));
        let check = credentials(&caller(refused.clone()));
        assert!(check.level == CheckLevel::Failure && check.message.contains("ExpiredToken"), "{check:?}");
        assert_eq!(check.fix.as_deref(), Some("aws configure"));
        assert!(!can_continue(&refused));
        let none = Err(error(ErrorKind::Denied, "sts:GetCallerIdentity", "no-credentials"));
        let check = credentials(&caller(none));
        assert_eq!(plain(&check), (CheckLevel::Failure, "no credentials were found, so nothing else was checked"));
        let of_profile =
            CallerFacts { target: CommandTarget { profile: Some("ops".into()), ..target() }, identity: refused };
        assert_eq!(credentials(&of_profile).fix.as_deref(), Some("aws sso login --profile ops"));

        let slow = Err(error(ErrorKind::Throttled, "sts:GetCallerIdentity", "Throttling"));
        assert_eq!(credentials(&caller(slow.clone())).level, CheckLevel::Failure);
        assert!(can_continue(&slow));

        let unreachable = Err(error(ErrorKind::Unavailable, "sts:GetCallerIdentity", "not-connected"));
        let check = credentials(&caller(unreachable.clone()));
        assert!(check.level == CheckLevel::Failure && check.message.contains("nothing else was checked"), "{check:?}");
        assert!(!can_continue(&unreachable), "the rest would be a warning for each call that gets no answer");
    }

    #[test]
    fn a_region_has_to_be_set_be_there_and_be_switched_on() {
        assert_eq!(
            (no_region().level, no_region().fix.as_deref()),
            (CheckLevel::Failure, Some("export AWS_REGION=us-east-1"))
        );
        assert_eq!(region(&Ok(Some("opted-in".into())), &target()).level, CheckLevel::Ok);
        let off = region(&Ok(Some("not-opted-in".into())), &target());
        assert_eq!(plain(&off), (CheckLevel::Failure, "eu-west-1 is switched off in account 123456789012"));
        assert_eq!(off.fix.as_deref(), Some("aws account enable-region --region-name eu-west-1 --region eu-west-1"));
        assert_eq!(region(&Ok(None), &target()).level, CheckLevel::Failure);
        let unread = region(&Err(denied("ec2:DescribeRegions")), &target());
        assert!(unread.level == CheckLevel::Failure && unread.message.contains("ec2:DescribeRegions"), "{unread:?}");
    }

    #[test]
    fn only_the_vpc_platform_is_well() {
        let read = |supported: &[&str], default: Option<&str>| {
            let supported = supported.iter().map(|name| (*name).to_owned()).collect();
            platform(&Ok(Platform { supported, default_vpc: default.map(str::to_owned) }), &target())
        };
        assert_eq!(plain(&read(&["VPC"], Some("vpc-1"))), (CheckLevel::Ok, "VPC, with vpc-1 as default VPC"));
        assert_eq!(read(&[], None).level, CheckLevel::Ok);
        assert_eq!(plain(&read(&["VPC"], None)), (CheckLevel::Ok, "VPC, with no default VPC"));
        let both = read(&["EC2", "VPC"], None);
        assert!(both.level == CheckLevel::Warning && both.fix.unwrap().contains("[?!VpcId]"));
        let classic = read(&["EC2"], None);
        assert_eq!(classic.level, CheckLevel::Failure);
        assert_eq!(classic.fix.as_deref(), Some("aws ec2 create-default-vpc --region eu-west-1"));
        assert_eq!(platform(&Err(denied("ec2:DescribeAccountAttributes")), &target()).level, CheckLevel::Warning);
    }

    #[test]
    fn a_service_needs_its_role_when_its_stores_are_tagged() {
        let [rds, elasticache, redshift] = SERVICE_ROLES;
        let none = Reading::default();
        assert_eq!(
            plain(&service_role(rds, &Ok(true), &none, &target())),
            (CheckLevel::Ok, "AWSServiceRoleForRDS is there")
        );
        let unused = service_role(rds, &Ok(false), &none, &target());
        assert_eq!(
            plain(&unused),
            (CheckLevel::Ok, "AWSServiceRoleForRDS is missing, and no data store of RDS carries the connect tag")
        );
        let kinds = [StoreKind::DbInstance, StoreKind::DbCluster, StoreKind::ServerlessCache];
        let tagged = Reading { found: kinds.map(|kind| store(kind, "orders")).into(), gaps: vec![gap()] };
        let missing = service_role(rds, &Ok(false), &tagged, &target());
        assert_eq!(missing.level, CheckLevel::Warning);
        assert!(missing.message.contains("2 data stores of RDS carry"), "{}", missing.message);
        assert_eq!(
            missing.fix.as_deref(),
            Some("aws iam create-service-linked-role --aws-service-name rds.amazonaws.com --region eu-west-1")
        );
        let one = service_role(elasticache, &Ok(false), &tagged, &target());
        assert!(
            one.level == CheckLevel::Warning && one.message.contains("1 data store of ElastiCache carries"),
            "{one:?}"
        );
        let unsure = service_role(redshift, &Ok(false), &tagged, &target());
        assert!(unsure.level == CheckLevel::Warning && unsure.message.contains("ThrottledException"), "{unsure:?}");
        assert_eq!(unsure.fix.as_deref(), Some("tagwire doctor --region eu-west-1"));
        let unread = service_role(redshift, &Err(denied("iam:GetRole")), &none, &target());
        assert!(unread.level == CheckLevel::Warning && unread.message.contains("iam:GetRole"), "{unread:?}");
    }
}
