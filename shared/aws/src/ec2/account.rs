//! Facts about the account, and the reads that its caller may make.

use std::collections::{BTreeMap, BTreeSet};

use aws_config::SdkConfig;
use aws_sdk_ec2::{
    Client,
    error::ProvideErrorMetadata,
    types::{self as ec2, AccountAttributeName},
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use futures_util::join;
use tagwire_core::{
    id::{InstanceId, VpcId},
    untrusted::{Shown, Untrusted},
};
use tagwire_engine::cloud::{CloudError, ErrorKind};

use super::{Ec2, PAGE_SIZE, mapping::NAME_KEY};
use crate::{call::Call, probe::Probe};

/// How EC2 answers a dry run of a call that it would have carried out.
const ALLOWED: &str = "DryRunOperation";

/// The networks that instances can be launched into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platform {
    /// `VPC`, and in an account of before 2013 perhaps `EC2`.
    pub supported: Vec<String>,
    /// The default VPC, if there is one.
    pub default_vpc: Option<String>,
}

/// The networks that instances can be launched into.
///
/// # Errors
/// EC2's refusal or failure.
pub async fn platform(config: &SdkConfig) -> Result<Platform, CloudError> {
    let call = Call::reading("ec2:DescribeAccountAttributes", "supported-platforms and default-vpc");
    let request = Client::new(config).describe_account_attributes();
    let request = request
        .attribute_names(AccountAttributeName::SupportedPlatforms)
        .attribute_names(AccountAttributeName::DefaultVpc);
    let answer = request.send().await.map_err(|error| call.failed(&error))?;
    let values = |name: &str| -> Vec<String> {
        let attributes =
            answer.account_attributes().iter().filter(|attribute| attribute.attribute_name() == Some(name));
        let values = attributes.flat_map(ec2::AccountAttribute::attribute_values);
        values.filter_map(|value| value.attribute_value()).map(str::to_owned).collect()
    };
    let default_vpc = values("default-vpc").into_iter().find(|vpc| vpc != "none");
    Ok(Platform { supported: values("supported-platforms"), default_vpc })
}

/// Whether this Region is switched on in the account, in EC2's own word: `opt-in-not-required`, `opted-in` or
/// `not-opted-in`; `None` when there is no such Region.
///
/// # Errors
/// EC2's refusal or failure.
pub async fn region_status(config: &SdkConfig) -> Result<Option<String>, CloudError> {
    let region = config.region().map(|region| region.as_ref().to_owned()).unwrap_or_default();
    let call = Call::reading("ec2:DescribeRegions", region.as_str());
    let request = Client::new(config).describe_regions().all_regions(true);
    // As a filter, unlike as a parameter, a Region that does not exist is no error.
    let request = request.filters(super::filter("region-name", [region.as_str()]));
    let answer = request.send().await.map_err(|error| call.failed(&error))?;
    let found = answer.regions().iter().find(|found| found.region_name() == Some(region.as_str()));
    Ok(found.map(|found| found.opt_in_status().unwrap_or("opt-in-not-required").to_owned()))
}

/// The Regions that are enabled for the account.
///
/// # Errors
/// EC2's refusal or failure.
pub async fn enabled_regions(config: &SdkConfig) -> Result<BTreeSet<String>, CloudError> {
    let call = Call::reading("ec2:DescribeRegions", "the enabled Regions");
    let answer = Client::new(config).describe_regions().send().await.map_err(|error| call.failed(&error))?;
    Ok(answer.regions().iter().filter_map(|region| region.region_name().map(str::to_owned)).collect())
}

/// Which of some VPCs there are, each with its `Name` tag.
///
/// # Errors
/// EC2's refusal or failure.
pub async fn vpcs_by_id(config: &SdkConfig, ids: &[VpcId]) -> Result<BTreeMap<VpcId, Option<Untrusted>>, CloudError> {
    let call = Call::reading("ec2:DescribeVpcs", ids.iter().map(VpcId::as_str).collect::<Vec<_>>().join(","));
    let request = Client::new(config).describe_vpcs();
    // As a filter, unlike as a parameter, a VPC that does not exist is no error.
    let request = request.filters(super::filter("vpc-id", ids.iter().map(VpcId::as_str)));
    let pages = request.into_paginator().send().collect().await;
    let reading = call.listed(pages, |page| (page.vpcs, page.next_token));
    match reading.gaps.into_iter().next() {
        Some(gap) => Err(call.error(ErrorKind::Unavailable, "not-all-read", gap.message)),
        None => Ok(reading.found.iter().filter_map(named_vpc).collect()),
    }
}

/// The instances with a `Name` tag of this value, but for those that are terminated.
///
/// # Errors
/// EC2's refusal or failure.
pub async fn instances_named(config: &SdkConfig, name: &str) -> Result<Vec<InstanceId>, CloudError> {
    let call = Call::reading("ec2:DescribeInstances", format!("instances named {}", Shown(name)));
    let request = Client::new(config).describe_instances().include_managed_resources(true).max_results(PAGE_SIZE);
    let request = request.filters(super::filter(&format!("tag:{NAME_KEY}"), [super::literal(name)]));
    let request = request.filters(super::filter("instance-state-name", super::NOT_TERMINATED));
    let pages = request.into_paginator().send().collect().await;
    let reading = call.listed(pages, |page| (page.reservations, page.next_token));
    if let Some(gap) = reading.gaps.into_iter().next() {
        return Err(call.error(ErrorKind::Unavailable, "not-all-read", gap.message));
    }
    let instances = reading.found.iter().flat_map(ec2::Reservation::instances);
    Ok(instances.filter_map(|instance| InstanceId::parse(instance.instance_id()?).ok()).collect())
}

fn named_vpc(vpc: &ec2::Vpc) -> Option<(VpcId, Option<Untrusted>)> {
    let name = vpc.tags().iter().find(|tag| tag.key() == Some(NAME_KEY)).and_then(|tag| tag.value());
    let name = name.filter(|name| !name.is_empty()).map(Untrusted::from);
    Some((VpcId::parse(vpc.vpc_id()?).ok()?, name))
}

/// How many security groups there are in this Region, whoever made them.
///
/// # Errors
/// The first page that could not be read.
pub async fn count_groups(config: &SdkConfig) -> Result<usize, CloudError> {
    let call = Call::reading("ec2:DescribeSecurityGroups", "every group of this Region");
    let request = Client::new(config).describe_security_groups().max_results(PAGE_SIZE);
    let pages = request.into_paginator().send().collect().await;
    let reading = call.listed(pages, |page| (page.security_groups, page.next_token));
    match reading.gaps.into_iter().next() {
        Some(gap) => Err(call.error(ErrorKind::Unavailable, "not-all-read", gap.message)),
        None => Ok(reading.found.len()),
    }
}

impl Ec2 {
    /// Tries every read of EC2 without making it.
    pub(crate) async fn probes(&self) -> Vec<Probe> {
        let client = &self.client;
        let (instances, templates, lists, entries, interfaces, groups, vpcs) = join!(
            client.describe_instances().dry_run(true).send(),
            client.describe_launch_template_versions().versions("$Default").dry_run(true).send(),
            client.describe_managed_prefix_lists().dry_run(true).send(),
            client.get_managed_prefix_list_entries().prefix_list_id("pl-00000000000000000").dry_run(true).send(),
            client.describe_network_interfaces().dry_run(true).send(),
            client.describe_security_groups().dry_run(true).send(),
            client.describe_vpcs().dry_run(true).send(),
        );
        vec![
            dry_run("ec2:DescribeInstances", instances),
            dry_run("ec2:DescribeLaunchTemplateVersions", templates),
            dry_run("ec2:DescribeManagedPrefixLists", lists),
            dry_run("ec2:GetManagedPrefixListEntries", entries),
            dry_run("ec2:DescribeNetworkInterfaces", interfaces),
            dry_run("ec2:DescribeSecurityGroups", groups),
            dry_run("ec2:DescribeVpcs", vpcs),
        ]
    }
}

fn dry_run<T, E>(action: &'static str, answer: Result<T, SdkError<E, HttpResponse>>) -> Probe
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Err(error) if error.code() == Some(ALLOWED) => Probe { action, result: Ok(()) },
        answer => Probe::of(action, answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Script;

    fn error(code: &str) -> String {
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>said</Message></Error></Errors><RequestID>r-1</RequestID></Response>"
        )
    }

    #[tokio::test]
    async fn the_platform_is_what_the_account_s_attributes_say() {
        let attribute = |name: &str, values: &[&str]| {
            let values: Vec<String> =
                values.iter().map(|value| format!("<item><attributeValue>{value}</attributeValue></item>")).collect();
            let values = values.concat();
            format!("<item><attributeName>{name}</attributeName><attributeValueSet>{values}</attributeValueSet></item>")
        };
        let answer = |platforms: &[&str], vpc: &str| {
            let attributes = [attribute("supported-platforms", platforms), attribute("default-vpc", &[vpc])].concat();
            format!(
                "<DescribeAccountAttributesResponse><accountAttributeSet>{attributes}</accountAttributeSet></DescribeAccountAttributesResponse>"
            )
        };
        let script = Script::default()
            .then(200, answer(&["VPC"], "vpc-1"))
            .then(200, answer(&["EC2", "VPC"], "none"))
            .then(403, error("UnauthorizedOperation"));
        let read = async || platform(&script.config()).await;
        let expected = Platform { supported: vec!["VPC".into()], default_vpc: Some("vpc-1".into()) };
        assert_eq!(read().await, Ok(expected));
        let expected = Platform { supported: vec!["EC2".into(), "VPC".into()], default_vpc: None };
        assert_eq!(read().await, Ok(expected));
        assert_eq!(read().await.unwrap_err().kind, ErrorKind::Denied);
        assert!(script.asked()[0].contains("AttributeName.2=default-vpc"), "{:?}", script.asked());
    }

    #[tokio::test]
    async fn the_vpcs_that_there_are_come_with_their_names() {
        let answer = "<DescribeVpcsResponse><vpcSet>\
            <item><vpcId>vpc-1</vpcId><tagSet><item><key>Name</key><value>prod</value></item></tagSet></item>\
            <item><vpcId>vpc-2</vpcId><tagSet><item><key>Name</key><value></value></item></tagSet></item>\
            </vpcSet></DescribeVpcsResponse>";
        let script = Script::default().then(200, answer).then(403, error("UnauthorizedOperation"));
        let [one, two, three] = ["vpc-1", "vpc-2", "vpc-3"].map(|id| VpcId::parse(id).unwrap());
        let read = async || vpcs_by_id(&script.config(), &[one.clone(), two.clone(), three.clone()]).await;
        let expected = [(one.clone(), Some("prod".into())), (two.clone(), None)].into();
        assert_eq!(read().await, Ok(expected), "one that is not there is left out");
        assert_eq!(read().await.unwrap_err().call, "ec2:DescribeVpcs");
        assert!(
            script.asked()[0].contains("Filter.1.Name=vpc-id") && script.asked()[0].contains("Filter.1.Value.3=vpc-3")
        );
    }

    #[tokio::test]
    async fn an_instance_is_found_by_its_name_and_by_no_pattern() {
        let answer = "<DescribeInstancesResponse><reservationSet><item><instancesSet>\
            <item><instanceId>i-1</instanceId></item><item><instanceId>i-2</instanceId></item>\
            </instancesSet></item></reservationSet></DescribeInstancesResponse>";
        let script = Script::default().then(200, answer).then(403, error("UnauthorizedOperation"));
        let read = async || instances_named(&script.config(), "web*").await;
        let expected = ["i-1", "i-2"].map(|id| InstanceId::parse(id).unwrap());
        assert_eq!(read().await, Ok(expected.to_vec()));
        assert_eq!(read().await.unwrap_err().call, "ec2:DescribeInstances");
        let asked = &script.asked()[0];
        assert!(asked.contains("Filter.1.Name=tag:Name") && asked.contains("Filter.1.Value.1=web%5C*"), "{asked}");
    }

    #[tokio::test]
    async fn a_region_is_switched_on_or_off_or_unknown() {
        let answer = |name: &str| {
            format!(
                "<DescribeRegionsResponse><regionInfo><item><regionName>{name}</regionName><optInStatus>not-opted-in</optInStatus></item></regionInfo></DescribeRegionsResponse>"
            )
        };
        let script = Script::default()
            .then(200, answer("eu-west-1"))
            .then(200, answer("mars-1"))
            .then(401, error("AuthFailure"));
        let read = async || region_status(&script.config()).await;
        assert_eq!((read().await, read().await), (Ok(Some("not-opted-in".into())), Ok(None)));
        assert_eq!(read().await.unwrap_err().code, "AuthFailure");
        assert!(
            script.asked()[0].contains("AllRegions=true") && script.asked()[0].contains("Filter.1.Value.1=eu-west-1")
        );
    }

    #[tokio::test]
    async fn the_enabled_regions_are_those_that_aws_lists_unless_it_is_asked_for_all() {
        let answer = "<DescribeRegionsResponse><regionInfo><item><regionName>eu-west-1</regionName></item><item><regionName>eu-central-1</regionName></item></regionInfo></DescribeRegionsResponse>";
        let script = Script::default().then(200, answer).then(401, error("AuthFailure"));
        let regions = enabled_regions(&script.config()).await.unwrap();
        assert_eq!(regions, ["eu-central-1", "eu-west-1"].map(str::to_owned).into());
        assert!(!script.asked()[0].contains("AllRegions"), "{:?}", script.asked());
        assert_eq!(enabled_regions(&script.config()).await.unwrap_err().code, "AuthFailure");
    }

    #[tokio::test]
    async fn groups_are_counted_over_all_pages_and_half_a_count_is_none() {
        let page = |groups: usize, next: &str| {
            let groups = "<item><groupId>sg-1</groupId></item>".repeat(groups);
            format!(
                "<DescribeSecurityGroupsResponse><securityGroupInfo>{groups}</securityGroupInfo><nextToken>{next}</nextToken></DescribeSecurityGroupsResponse>"
            )
        };
        let script = Script::default().then(200, page(2, "more")).then(200, page(1, ""));
        assert_eq!(count_groups(&script.config()).await, Ok(3));
        let script = Script::default().then(200, page(2, "more")).then(503, error("RequestLimitExceeded"));
        let error = count_groups(&script.config()).await.unwrap_err();
        assert!(error.to_string().contains("RequestLimitExceeded"), "{error}");
    }

    #[tokio::test]
    async fn a_dry_run_that_would_have_succeeded_is_allowed() {
        let script = Script::default()
            .to("DescribeInstances", 412, error("DryRunOperation"))
            .to("DescribeSecurityGroups", 403, error("UnauthorizedOperation"))
            .to("DescribeNetworkInterfaces", 503, error("RequestLimitExceeded"))
            .to("DescribeLaunchTemplateVersions", 412, error("DryRunOperation"))
            .to("DescribeManagedPrefixLists", 412, error("DryRunOperation"))
            .to("GetManagedPrefixListEntries", 400, error("InvalidPrefixListID.NotFound"))
            .to("DescribeVpcs", 412, error("DryRunOperation"));
        let aws = script.aws();
        let probes = Box::pin(aws.ec2.probes()).await;
        let of = |action: &str| probes.iter().find(|probe| probe.action == action).unwrap().result.clone();
        assert_eq!(of("ec2:DescribeInstances"), Ok(()));
        assert_eq!(
            of("ec2:GetManagedPrefixListEntries"),
            Ok(()),
            "who may not read it is not told that it is not there"
        );
        assert_eq!(of("ec2:DescribeSecurityGroups").unwrap_err().kind, ErrorKind::Denied);
        assert_eq!(of("ec2:DescribeNetworkInterfaces").unwrap_err().kind, ErrorKind::Throttled);
        assert_eq!(probes.len(), 7);
        assert!(script.asked().iter().all(|asked| asked.contains("DryRun=true")), "{:?}", script.asked());
    }
}
