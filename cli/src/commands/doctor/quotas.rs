//! Quotas of security groups, and how much of each is used.

use tagwire_core::{group::SecurityGroup, model::Instance, observation::Reading, rule::Direction};

use super::{
    check::{Check, CommandTarget, count},
    facts::{Quotas, Read},
};

pub(super) const PER_INTERFACE: &str = "L-2AFB9258";
pub(super) const RULES: &str = "L-0EA8095F";
pub(super) const PER_REGION: &str = "L-E79EC296";
/// The part of a quota, in percent, from which its use is a warning.
const MUCH: usize = 80;
/// The most groups that AWS grants an interface.
const MOST_PER_INTERFACE: usize = 16;

fn is_much(used: usize, quota: usize) -> bool {
    used.saturating_mul(100) >= quota.saturating_mul(MUCH)
}

fn raise(target: &CommandTarget, code: &str, to: usize) -> String {
    target.aws(&format!(
        "service-quotas request-service-quota-increase --service-code vpc --quota-code {code} --desired-value {to}"
    ))
}

/// The parameter of the stack against the quota that it stands for.
pub(super) fn parameter(quotas: &Quotas, limit: usize, stack: Option<&str>, target: &CommandTarget) -> Check {
    const NAME: &str = "interface-group-quota";
    let quota = match &quotas.per_interface {
        Ok(quota) => *quota,
        Err(error) => return Check::unread(NAME, "how many groups a network interface takes", error, target),
    };
    let Some(stack) = stack else {
        return Check::ok(NAME, format!("a network interface takes {quota} groups ({PER_INTERFACE})"));
    };
    if limit > quota {
        let message = format!(
            "InterfaceGroupLimit is {limit} and a network interface takes {quota} groups ({PER_INTERFACE}), so EC2 refuses what tagwire plans"
        );
        return Check::failure(NAME, message, raise(target, PER_INTERFACE, limit));
    }
    let more = if limit < quota.min(MOST_PER_INTERFACE) {
        let to = quota.min(MOST_PER_INTERFACE);
        format!("; {stack} may be deployed with InterfaceGroupLimit={to}")
    } else {
        String::new()
    };
    Check::ok(
        NAME,
        format!("a network interface takes {quota} groups ({PER_INTERFACE}), and InterfaceGroupLimit is {limit}{more}"),
    )
}

/// The fullest interface of the instances with the connect tag.
pub(super) fn interfaces(
    quotas: &Quotas,
    instances: &Reading<Instance>,
    limit: usize,
    stack: Option<&str>,
    target: &CommandTarget,
) -> Check {
    const NAME: &str = "interface-use";
    let quota = match &quotas.per_interface {
        Ok(quota) => *quota,
        Err(error) => return Check::unread(NAME, "how full interfaces are", error, target),
    };
    if let Some(gap) = instances.gaps.first() {
        return Check::gap(NAME, "how full the interfaces of tagged instances are", gap, target);
    }
    let attached = |instance: &Instance| Some((instance.interface.as_ref()?.groups.len(), instance.id.clone()));
    let Some((most, instance)) = instances.found.iter().filter_map(attached).max() else {
        return Check::ok(NAME, "no instance carries the connect tag");
    };
    let message = format!(
        "{instance} has {most} of the {quota} groups that a network interface takes, the most of {}",
        count(instances.found.len(), "tagged instance")
    );
    if !is_much(most, quota) {
        return Check::ok(NAME, message);
    }
    let fix = match stack {
        Some(stack) if limit < quota.min(MOST_PER_INTERFACE) => {
            let to = quota.min(MOST_PER_INTERFACE).to_string();
            target.deploy(stack, &[("InterfaceGroupLimit", to.as_str())])
        }
        Some(_) | None if quota >= MOST_PER_INTERFACE => target.aws(&format!(
            "ec2 describe-instances --instance-ids {instance} --query 'Reservations[].Instances[].SecurityGroups'"
        )),
        Some(_) | None => raise(target, PER_INTERFACE, (quota * 2).min(MOST_PER_INTERFACE)),
    };
    Check::warning(NAME, message, fix)
}

/// The fullest of tagwire's groups.
pub(super) fn rules(quotas: &Quotas, groups: &Reading<SecurityGroup>, target: &CommandTarget) -> Check {
    const NAME: &str = "rule-quota";
    let quota = match &quotas.rules {
        Ok(quota) => *quota,
        Err(error) => return Check::unread(NAME, "how many rules a group takes", error, target),
    };
    if let Some(gap) = groups.gaps.first() {
        return Check::gap(NAME, "how full tagwire's groups are", gap, target);
    }
    let most = |group: &SecurityGroup| {
        let number = |direction| group.rules(direction).count();
        (number(Direction::Inbound).max(number(Direction::Outbound)), group.id.clone())
    };
    let Some((most, group)) = groups.found.iter().map(most).max() else {
        return Check::ok(NAME, format!("a group takes {quota} rules ({RULES}), and tagwire owns no group yet"));
    };
    let message = format!(
        "{group} has {most} of the {quota} rules that a group takes ({RULES}), the most of {}",
        count(groups.found.len(), "owned group")
    );
    if is_much(most, quota) {
        Check::warning(NAME, message, raise(target, RULES, quota * 2))
    } else {
        Check::ok(NAME, message)
    }
}

/// The groups of the Region.
pub(super) fn groups(quotas: &Quotas, target: &CommandTarget) -> Check {
    const NAME: &str = "group-quota";
    let both: (&Read<usize>, &Read<usize>) = (&quotas.groups, &quotas.per_region);
    let (used, quota) = match both {
        (Ok(used), Ok(quota)) => (*used, *quota),
        (Err(error), _) | (_, Err(error)) => {
            return Check::unread(NAME, "how many groups there are and may be in this Region", error, target);
        }
    };
    let message = format!("{used} of {quota} security groups of this Region are in use ({PER_REGION})");
    if used >= quota {
        return Check::failure(
            NAME,
            format!("{message}, so no pair can be made"),
            raise(target, PER_REGION, quota * 2),
        );
    }
    if is_much(used, quota) {
        Check::warning(NAME, message, raise(target, PER_REGION, quota * 2))
    } else {
        Check::ok(NAME, message)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tagwire_core::{
        id::{InstanceId, InterfaceId, SecurityGroupId, VpcId},
        model::Interface,
        observation::Gap,
        rule::{Peer, PortRange, Rule, Traffic},
        tag::TagSettings,
    };
    use tagwire_engine::cloud::ErrorKind;

    use super::*;
    use crate::commands::doctor::check::{
        CheckLevel,
        tests::{error, plain, target},
    };

    fn quotas() -> Quotas {
        Quotas { per_interface: Ok(5), rules: Ok(60), per_region: Ok(2500), groups: Ok(12) }
    }

    fn denied<T>() -> Read<T> {
        Err(error(ErrorKind::Denied, "servicequotas:GetServiceQuota", "AccessDeniedException"))
    }

    fn gap() -> Gap {
        Gap::of("it", "", "AccessDenied: no")
    }

    fn group_ids(number: usize) -> BTreeSet<SecurityGroupId> {
        (0..number).map(|number| SecurityGroupId::parse(format!("sg-{number}")).unwrap()).collect()
    }

    fn instance(number: usize, groups: usize) -> Instance {
        let interface = Interface {
            id: InterfaceId::parse(format!("eni-{number}")).unwrap(),
            vpc: VpcId::parse("vpc-1").unwrap(),
            groups: group_ids(groups),
        };
        Instance {
            name: None,
            id: InstanceId::parse(format!("i-{number}")).unwrap(),
            interface: Some(interface),
            operator: None,
            zone: None,
            settings: TagSettings::read("k", [("k", "orders")]),
        }
    }

    fn group(rules: u16) -> SecurityGroup {
        let rule = |port| Rule {
            direction: Direction::Inbound,
            traffic: Traffic::Tcp(PortRange::single(port).unwrap()),
            peer: Peer::Group(SecurityGroupId::parse("sg-9").unwrap()),
        };
        SecurityGroup {
            id: SecurityGroupId::parse("sg-1").unwrap(),
            vpc: VpcId::parse("vpc-1").unwrap(),
            name: "rds-ec2-1".into(),
            description: String::new(),
            tags: [].into(),
            rules: (1..=rules).map(rule).collect(),
            record: None,
        }
    }

    #[test]
    fn the_parameter_may_not_be_above_the_quota() {
        let stack = Some("tagwire");
        let well = parameter(&quotas(), 5, stack, &target());
        assert_eq!(
            plain(&well),
            (CheckLevel::Ok, "a network interface takes 5 groups (L-2AFB9258), and InterfaceGroupLimit is 5")
        );
        let over = parameter(&quotas(), 10, stack, &target());
        assert_eq!(over.level, CheckLevel::Failure);
        assert!(
            over.message.starts_with("InterfaceGroupLimit is 10 and a network interface takes 5 groups"),
            "{}",
            over.message
        );
        assert_eq!(
            over.fix.as_deref(),
            Some(
                "aws service-quotas request-service-quota-increase --service-code vpc --quota-code L-2AFB9258 --desired-value 10 --region eu-west-1"
            )
        );
        let raised = Quotas { per_interface: Ok(10), ..quotas() };
        let below = parameter(&raised, 5, stack, &target());
        assert!(
            below.level == CheckLevel::Ok
                && below.message.ends_with("tagwire may be deployed with InterfaceGroupLimit=10"),
            "{below:?}"
        );
        assert_eq!(parameter(&quotas(), 5, None, &target()).level, CheckLevel::Ok);
        let unread = parameter(&Quotas { per_interface: denied(), ..quotas() }, 5, stack, &target());
        assert!(
            unread.level == CheckLevel::Warning && unread.message.contains("servicequotas:GetServiceQuota"),
            "{unread:?}"
        );
    }

    #[test]
    fn an_interface_that_is_nearly_full_deserves_a_look() {
        let seen = |groups: &[usize]| {
            Reading::complete(groups.iter().enumerate().map(|(number, groups)| instance(number, *groups)).collect())
        };
        let of = |quotas: &Quotas, groups: &[usize], limit| {
            interfaces(quotas, &seen(groups), limit, Some("tagwire"), &target())
        };
        assert_eq!(plain(&of(&quotas(), &[], 5)), (CheckLevel::Ok, "no instance carries the connect tag"));
        let well = of(&quotas(), &[1, 3, 2], 5);
        assert_eq!(
            plain(&well),
            (
                CheckLevel::Ok,
                "i-1 has 3 of the 5 groups that a network interface takes, the most of 3 tagged instances"
            )
        );
        let much = of(&quotas(), &[4], 5);
        assert_eq!(much.level, CheckLevel::Warning);
        assert!(much.fix.unwrap().contains("--quota-code L-2AFB9258 --desired-value 10"));
        let raised = of(&Quotas { per_interface: Ok(10), ..quotas() }, &[8], 5);
        assert!(raised.fix.unwrap().ends_with("--parameter-overrides InterfaceGroupLimit=10"));
        let highest = of(&Quotas { per_interface: Ok(16), ..quotas() }, &[16], 16);
        assert!(highest.fix.unwrap().starts_with("aws ec2 describe-instances --instance-ids i-0"));
        let unread = of(&Quotas { per_interface: denied(), ..quotas() }, &[4], 5);
        assert_eq!(unread.level, CheckLevel::Warning);
        let half = Reading { found: vec![instance(1, 1)], gaps: vec![gap()] };
        let half = interfaces(&quotas(), &half, 5, None, &target());
        assert!(half.level == CheckLevel::Warning && half.message.contains("AccessDenied"), "{half:?}");
        assert!(half.fix.unwrap().starts_with("aws iam put-role-policy"));
    }

    #[test]
    fn a_group_that_is_nearly_full_deserves_a_look() {
        let of = |number| rules(&quotas(), &Reading::complete(vec![group(1), group(number)]), &target());
        assert_eq!(
            plain(&of(47)),
            (CheckLevel::Ok, "sg-1 has 47 of the 60 rules that a group takes (L-0EA8095F), the most of 2 owned groups")
        );
        let much = of(48);
        assert!(
            much.level == CheckLevel::Warning
                && much.fix.unwrap().contains("--quota-code L-0EA8095F --desired-value 120")
        );
        assert_eq!(rules(&quotas(), &Reading::default(), &target()).level, CheckLevel::Ok);
        assert_eq!(
            rules(&Quotas { rules: denied(), ..quotas() }, &Reading::default(), &target()).level,
            CheckLevel::Warning
        );
        let half = rules(&quotas(), &Reading { found: Vec::new(), gaps: vec![gap()] }, &target());
        assert!(half.level == CheckLevel::Warning && half.message.contains("AccessDenied"), "{half:?}");
    }

    #[test]
    fn a_region_that_is_nearly_full_deserves_a_look_and_a_full_one_makes_no_pair() {
        let of = |used| groups(&Quotas { groups: Ok(used), ..quotas() }, &target());
        assert_eq!(
            plain(&of(1999)),
            (CheckLevel::Ok, "1999 of 2500 security groups of this Region are in use (L-E79EC296)")
        );
        assert_eq!(of(2000).level, CheckLevel::Warning);
        let full = of(2500);
        assert!(full.level == CheckLevel::Failure && full.message.ends_with("so no pair can be made"), "{full:?}");
        assert!(full.fix.unwrap().contains("--quota-code L-E79EC296 --desired-value 5000"));
        assert_eq!(groups(&Quotas { groups: denied(), ..quotas() }, &target()).level, CheckLevel::Warning);
        assert_eq!(groups(&Quotas { per_region: denied(), ..quotas() }, &target()).level, CheckLevel::Warning);
    }
}
