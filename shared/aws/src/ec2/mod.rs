//! EC2: instances, network interfaces, security groups.

#[cfg(feature = "account")]
pub(crate) mod account;
mod mapping;

use std::collections::{BTreeMap, BTreeSet};

use aws_config::SdkConfig;
use aws_sdk_ec2::{
    Client,
    types::{self as ec2, Filter, ResourceType, Tag, TagSpecification},
};
use tagwire_core::{
    cidr::PrefixList,
    group::{
        DESCRIPTION_BEGINS, GroupList, GroupName, MANAGED_BY, MANAGED_BY_KEY, OwnTags, OwnedGroup, STORE_ARN_KEY,
        SecurityGroup, Token, description as group_description,
    },
    group_tags::GroupTags,
    id::{InstanceId, InterfaceId, PrefixListId, SecurityGroupId, VpcId},
    model::{Instance, Interface},
    observation::{AttachedInterface, Reading, Subject},
    rule::{Direction, Peer, Rule},
    service::Service,
    tag::STATUS_KEY,
};
use tagwire_engine::cloud::{CloudError, ErrorKind, Groups, Instances};

use crate::{
    call::Call,
    reading::{sample, together},
};

/// Most results a page may hold.
const PAGE_SIZE: i32 = 1000;
/// Most launch templates that a page may hold.
const TEMPLATES_PAGE_SIZE: i32 = 200;
/// Most prefix lists, or entries of one, that a page may hold.
const PREFIX_LISTS_PAGE_SIZE: i32 = 100;
/// Most values that EC2 takes in one filter.
// Fact 3.4
const FILTER_VALUES: usize = 200;
/// The states of instances that are listed by their tags: all but `terminated`, in which an
/// instance stays listed for up to an hour with its tags.
// Fact 1.1
const NOT_TERMINATED: [&str; 5] = ["pending", "running", "shutting-down", "stopping", "stopped"];

/// The name of the group that every VPC has.
const DEFAULT_GROUP: &str = "default";

/// EC2.
#[derive(Debug)]
pub(crate) struct Ec2 {
    client: Client,
    connect_key: String,
    group_tags: GroupTags,
}

impl Ec2 {
    pub(crate) fn new(config: &SdkConfig, connect_key: String, group_tags: GroupTags) -> Self {
        Self { client: Client::new(config), connect_key, group_tags }
    }

    pub(crate) async fn instances(&self, which: Instances<'_>) -> Reading<Instance> {
        let call = |what: String| Call::reading("ec2:DescribeInstances", what);
        let opted_in = || {
            [filter("tag-key", [literal(&self.connect_key)]), filter("instance-state-name", NOT_TERMINATED)].to_vec()
        };
        let selections: Vec<(Call, Vec<Filter>)> = match which {
            // As a filter, unlike as a parameter, an id that does not exist is no error.
            Instances::Ids(ids) => chunks(ids, ToString::to_string)
                .map(|(ids, values)| {
                    let call = call(sample(&values)).about(ids.into_iter().map(Subject::Instance));
                    (call, vec![filter("instance-id", values)])
                })
                .collect(),
            Instances::OptedIn { vpc, names: None } => {
                let call = call(format!("tagged instances of {vpc}")).in_vpc(Some(vpc));
                vec![(call, [opted_in(), vec![filter("vpc-id", [vpc.as_str()])]].concat())]
            }
            // A name may stand anywhere in the value, and the whole of another name may hold it.
            Instances::OptedIn { vpc, names: Some(names) } => chunks(names, |name| format!("*{name}*"))
                .map(|(_, patterns)| {
                    let call = call(format!("instances of {vpc} tagged {}", sample(&patterns))).in_vpc(Some(vpc));
                    let by_name = filter(&format!("tag:{}", self.connect_key), patterns);
                    (call, [opted_in(), vec![filter("vpc-id", [vpc.as_str()]), by_name]].concat())
                })
                .collect(),
            Instances::WithGroups { vpc, groups } => chunks(groups, ToString::to_string)
                .map(|(_, groups)| {
                    let call = call(format!("instances of {vpc} that have {}", sample(&groups))).in_vpc(Some(vpc));
                    (call, vec![filter("vpc-id", [vpc.as_str()]), filter("network-interface.group-id", groups)])
                })
                .collect(),
            Instances::OptedInAnywhere => vec![(call("tagged instances".to_owned()), opted_in())],
            Instances::WithGroupsAnywhere(groups) => chunks(groups, ToString::to_string)
                .map(|(_, groups)| {
                    let call = call(format!("instances that have {}", sample(&groups)));
                    (call, vec![filter("network-interface.group-id", groups)])
                })
                .collect(),
        };
        let mut reading =
            together(selections.into_iter().map(|(call, filters)| self.describe_instances(call, filters))).await;
        reading.found.sort_by(|one, other| one.id.cmp(&other.id));
        reading.found.dedup_by(|one, other| one.id == other.id);
        reading
    }

    async fn describe_instances(&self, call: Call, filters: Vec<Filter>) -> Reading<Instance> {
        // Fact 10.1
        let request = self.client.describe_instances().include_managed_resources(true);
        let request = request.set_filters(Some(filters)).max_results(PAGE_SIZE);
        let pages = request.into_paginator().send().collect().await;
        let reservations = call.listed(pages, |page| (page.reservations, page.next_token));
        let found = reservations.found.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
        let answer = Reading { found: found.collect(), gaps: reservations.gaps };
        call.decode(answer, ec2::Instance::instance_id, |raw| mapping::instance(raw, &self.connect_key))
    }

    pub(crate) async fn interfaces(&self, which: &BTreeSet<InterfaceId>) -> Reading<Interface> {
        let chunks = chunks(which, ToString::to_string);
        together(chunks.map(|(_, ids)| self.describe_interfaces(ids))).await
    }

    async fn describe_interfaces(&self, ids: Vec<String>) -> Reading<Interface> {
        let call = Call::reading("ec2:DescribeNetworkInterfaces", sample(&ids));
        let answer = self.list_interfaces(&call, vec![filter("network-interface-id", ids)]).await;
        call.decode(answer, ec2::NetworkInterface::network_interface_id, mapping::interface)
    }

    async fn list_interfaces(&self, call: &Call, filters: Vec<Filter>) -> Reading<ec2::NetworkInterface> {
        // Fact 10.1
        let request = self.client.describe_network_interfaces().include_managed_resources(true);
        let request = request.set_filters(Some(filters)).max_results(PAGE_SIZE);
        let pages = request.into_paginator().send().collect().await;
        call.listed(pages, |page| (page.network_interfaces, page.next_token))
    }

    pub(crate) async fn groups(&self, which: Groups<'_>) -> Reading<SecurityGroup> {
        let call = |what: String| Call::reading("ec2:DescribeSecurityGroups", what);
        let selections: Vec<(Call, Vec<Filter>)> = match which {
            Groups::InVpc(vpc) => {
                let of_consoles = Service::ALL.iter().filter_map(|service| service.row().console_prefixes).flatten();
                let of_consoles = of_consoles.map(|prefix| format!("{prefix}*"));
                let patterns = Service::ALL.iter().flat_map(|service| service.row().patterns());
                let patterns = patterns.map(|pattern| format!("{pattern}-*")).chain(of_consoles);
                let patterns = patterns.chain([DEFAULT_GROUP.to_owned()]);
                let filters = vec![filter("vpc-id", [vpc.as_str()]), filter("group-name", patterns)];
                vec![(call(format!("groups of {vpc}")).in_vpc(Some(vpc)), filters)]
            }
            Groups::Beside { vpc, named } => {
                let of_vpc = || filter("vpc-id", [vpc.as_str()]);
                let naming = chunks(named, ToString::to_string).flat_map(|(_, ids)| {
                    ["ip-permission.group-id", "egress.ip-permission.group-id"].map(|direction| {
                        let what = format!("groups of {vpc} whose rules name {}", sample(&ids));
                        (call(what).in_vpc(Some(vpc)), vec![of_vpc(), filter(direction, ids.clone())])
                    })
                });
                let tagged = call(format!("groups of {vpc} that carry tagwire's tag")).in_vpc(Some(vpc));
                [(tagged, vec![of_vpc(), owned()])].into_iter().chain(naming).collect()
            }
            Groups::Ids(ids) => chunks(ids, ToString::to_string)
                .map(|(ids, values)| {
                    let call = call(sample(&values)).about(ids.into_iter().map(Subject::Group));
                    (call, vec![filter("group-id", values)])
                })
                .collect(),
            Groups::Named { vpc, name } => {
                let filters = vec![filter("vpc-id", [vpc.as_str()]), filter("group-name", [literal(name)])];
                vec![(call(format!("group {name} of {vpc}")).in_vpc(Some(vpc)), filters)]
            }
            Groups::OwnedAnywhere => {
                // Fact 3.7
                let described = filter("description", [format!("{DESCRIPTION_BEGINS}*")]);
                let tagged = call("groups that carry tagwire's tag".to_owned());
                let described = (call("groups that tagwire described".to_owned()), vec![described]);
                vec![(tagged, vec![owned()]), described]
            }
            Groups::OwnedFor(stores) => chunks(stores, |arn| literal(arn.as_str()))
                .map(|(_, arns)| {
                    let call = call(format!("owned groups of {}", sample(&arns)));
                    (call, vec![owned(), filter(&format!("tag:{STORE_ARN_KEY}"), arns)])
                })
                .collect(),
            Groups::All(None) => vec![(call("every group".to_owned()), Vec::new())],
            Groups::All(Some(vpcs)) => chunks(vpcs, ToString::to_string)
                .map(|(_, vpcs)| (call(format!("every group of {}", sample(&vpcs))), vec![filter("vpc-id", vpcs)]))
                .collect(),
        };
        together(selections.into_iter().map(|(call, filters)| self.describe_groups(call, filters))).await
    }

    async fn describe_groups(&self, call: Call, filters: Vec<Filter>) -> Reading<SecurityGroup> {
        let request = self.client.describe_security_groups().set_filters(Some(filters)).max_results(PAGE_SIZE);
        let pages = request.into_paginator().send().collect().await;
        let answer = call.listed(pages, |page| (page.security_groups, page.next_token));
        call.decode(answer, ec2::SecurityGroup::group_id, mapping::security_group)
    }

    /// Every interface that has one of the groups.
    pub(crate) async fn attached_interfaces(
        &self,
        vpc: &VpcId,
        groups: &BTreeSet<SecurityGroupId>,
    ) -> Reading<AttachedInterface> {
        let chunks = chunks(groups, ToString::to_string);
        let mut reading = together(chunks.map(|(groups, values)| async move {
            let what = format!("interfaces of {vpc} that have {}", sample(&values));
            let call = Call::reading("ec2:DescribeNetworkInterfaces", what).in_vpc(Some(vpc));
            let call = call.about(groups.into_iter().map(Subject::Group));
            let filters = vec![filter("vpc-id", [vpc.as_str()]), filter("group-id", values)];
            let answer = self.list_interfaces(&call, filters).await;
            call.decode(answer, ec2::NetworkInterface::network_interface_id, mapping::attached)
        }))
        .await;
        reading.found.sort_by(|one, other| one.interface.cmp(&other.interface));
        reading.found.dedup_by(|one, other| one.interface == other.interface);
        reading
    }

    /// The groups that launch templates name, in the versions that a launch takes when it names none or
    /// the latest.
    pub(crate) async fn launch_template_groups(&self) -> Reading<SecurityGroupId> {
        let call =
            Call::reading("ec2:DescribeLaunchTemplateVersions", "default and latest versions of launch templates");
        let request = self.client.describe_launch_template_versions().versions("$Default").versions("$Latest");
        // Fact 10.1
        let request = request.include_managed_resources(true);
        let pages = request.max_results(TEMPLATES_PAGE_SIZE).into_paginator().send().collect().await;
        let answer = call.listed(pages, |page| (page.launch_template_versions, page.next_token));
        let templates = call.decode(answer, ec2::LaunchTemplateVersion::launch_template_id, mapping::template_groups);
        let (mut found, mut gaps) = (Vec::new(), templates.gaps);
        let mut called = BTreeSet::new();
        for groups in templates.found {
            found.extend(groups.ids);
            called.extend(groups.names);
        }
        // A template may name groups by name, which is looked up in the VPC of the launch: every group of
        // that name counts.
        let named = together(chunks(&called, |name: &String| literal(name)).map(|(_, names)| {
            let what = format!("groups named in launch templates, {}", sample(&names));
            let call = Call::reading("ec2:DescribeSecurityGroups", what);
            self.describe_groups(call, vec![filter("group-name", names)])
        }))
        .await;
        found.extend(named.found.into_iter().map(|group| group.id));
        gaps.extend(named.gaps);
        Reading { found, gaps }
    }

    /// Managed prefix lists. One whose entries cannot all be read lies in a gap, for half of them say
    /// nothing of how wide the list is.
    pub(crate) async fn prefix_lists(&self, which: &BTreeSet<PrefixListId>) -> Reading<PrefixList> {
        let chunks = chunks(which, ToString::to_string);
        let listed = together(chunks.map(|(_, ids)| self.describe_prefix_lists(ids))).await;
        let mut reading = Reading { found: Vec::new(), gaps: listed.gaps };
        let with_entries = listed.found.into_iter().map(|list| async move {
            // A list that AWS owns is refused whatever it holds, so its entries are of no use.
            if list.owner == mapping::AWS_OWNER { Reading::complete(vec![list]) } else { self.with_entries(list).await }
        });
        reading.extend(together(with_entries).await);
        reading
    }

    async fn describe_prefix_lists(&self, ids: Vec<String>) -> Reading<PrefixList> {
        let call = Call::reading("ec2:DescribeManagedPrefixLists", sample(&ids));
        // As a filter, unlike as a parameter, an id that does not exist is no error.
        let request = self.client.describe_managed_prefix_lists().filters(filter("prefix-list-id", ids));
        let pages = request.max_results(PREFIX_LISTS_PAGE_SIZE).into_paginator().send().collect().await;
        let answer = call.listed(pages, |page| (page.prefix_lists, page.next_token));
        call.decode(answer, ec2::ManagedPrefixList::prefix_list_id, mapping::prefix_list)
    }

    async fn with_entries(&self, list: PrefixList) -> Reading<PrefixList> {
        let call = Call::reading("ec2:GetManagedPrefixListEntries", list.id.as_str());
        let request = self.client.get_managed_prefix_list_entries().prefix_list_id(list.id.as_str());
        let pages = request.max_results(PREFIX_LISTS_PAGE_SIZE).into_paginator().send().collect().await;
        let answer = call.listed(pages, |page| (page.entries, page.next_token));
        let entries = call.decode(answer, ec2::PrefixListEntry::cidr, mapping::prefix_list_entry);
        let found = if entries.is_complete() {
            vec![PrefixList { entries: entries.found.into_iter().collect(), ..list }]
        } else {
            Vec::new()
        };
        Reading { found, gaps: entries.gaps }
    }

    pub(crate) async fn create_group(
        &self,
        vpc: &VpcId,
        name: GroupName,
        tags: &OwnTags,
        token: &Token,
    ) -> Result<SecurityGroupId, CloudError> {
        let call = Call::writing("ec2:CreateSecurityGroup", format!("{name} in {vpc}"));
        let description = group_description(tags.role, &tags.store, token);
        let theirs = self.group_tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        let tags = TagSpecification::builder()
            .resource_type(ResourceType::SecurityGroup)
            .set_tags(Some(own_tags(tags).into_iter().chain(theirs).collect()))
            .build();
        let request = self
            .client
            .create_security_group()
            .vpc_id(vpc.as_str())
            .group_name(name.to_string())
            .description(description)
            .tag_specifications(tags);
        let answer = request.send().await.map_err(|error| call.failed(&error))?;
        SecurityGroupId::parse(answer.group_id.unwrap_or_default())
            .map_err(|error| call.error(ErrorKind::EffectUnknown, "answer-unusable", error.to_string()))
    }

    pub(crate) async fn authorize(&self, group: &OwnedGroup, rule: &Rule) -> Result<(), CloudError> {
        let resource = group.to_string();
        match rule.direction {
            Direction::Inbound => {
                let from = match rule.peer {
                    Peer::Group(_) | Peer::GroupOfAccount { .. } => "tagwire: from the instances of this pair",
                    Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => {
                        "tagwire: named by the tag tagwire:allow-cidr"
                    }
                };
                let permission = mapping::permission(rule, Some(from));
                let request = self.client.authorize_security_group_ingress().group_id(group.id().as_str());
                let answer = request.ip_permissions(permission).send().await;
                answer
                    .map(drop)
                    .map_err(|error| Call::writing("ec2:AuthorizeSecurityGroupIngress", resource).failed(&error))
            }
            Direction::Outbound => {
                let permission = mapping::permission(rule, Some("tagwire: to the data store of this pair"));
                let request = self.client.authorize_security_group_egress().group_id(group.id().as_str());
                let answer = request.ip_permissions(permission).send().await;
                answer
                    .map(drop)
                    .map_err(|error| Call::writing("ec2:AuthorizeSecurityGroupEgress", resource).failed(&error))
            }
        }
    }

    pub(crate) async fn revoke(&self, group: &OwnedGroup, rule: &Rule) -> Result<(), CloudError> {
        let permission = mapping::permission(rule, None);
        let (call, unknown) = match rule.direction {
            Direction::Inbound => {
                let call = Call::writing("ec2:RevokeSecurityGroupIngress", group.to_string());
                let request = self.client.revoke_security_group_ingress().group_id(group.id().as_str());
                let answer = request.ip_permissions(permission).send().await.map_err(|error| call.failed(&error))?;
                (call, answer.unknown_ip_permissions)
            }
            Direction::Outbound => {
                let call = Call::writing("ec2:RevokeSecurityGroupEgress", group.to_string());
                let request = self.client.revoke_security_group_egress().group_id(group.id().as_str());
                let answer = request.ip_permissions(permission).send().await.map_err(|error| call.failed(&error))?;
                (call, answer.unknown_ip_permissions)
            }
        };
        // Fact 4.3: in a default VPC, EC2 answers a rule that is not there with success and this list.
        if unknown.is_none_or(|unknown| unknown.is_empty()) {
            Ok(())
        } else {
            Err(call.error(ErrorKind::NotFound, "UnknownIpPermissions", format!("there is no rule {rule}")))
        }
    }

    pub(crate) async fn tag_group(&self, group: &OwnedGroup, tags: &OwnTags) -> Result<(), CloudError> {
        let call = Call::writing("ec2:CreateTags", group.to_string());
        let request = self.client.create_tags().resources(group.id().as_str()).set_tags(Some(own_tags(tags)));
        request.send().await.map(drop).map_err(|error| call.failed(&error))
    }

    pub(crate) async fn delete_group(&self, group: &OwnedGroup) -> Result<(), CloudError> {
        let call = Call::writing("ec2:DeleteSecurityGroup", group.to_string());
        let request = self.client.delete_security_group().group_id(group.id().as_str());
        request.send().await.map(drop).map_err(|error| call.failed(&error))
    }

    pub(crate) async fn set_status(&self, of: &InstanceId, text: Option<&str>) -> Result<(), CloudError> {
        let tag = Tag::builder().key(STATUS_KEY).set_value(text.map(str::to_owned)).build();
        if text.is_some() {
            let call = Call::writing("ec2:CreateTags", of.as_str());
            let request = self.client.create_tags().resources(of.as_str()).tags(tag);
            request.send().await.map(drop).map_err(|error| call.failed(&error))
        } else {
            let call = Call::writing("ec2:DeleteTags", of.as_str());
            let request = self.client.delete_tags().resources(of.as_str()).tags(tag);
            request.send().await.map(drop).map_err(|error| call.failed(&error))
        }
    }

    pub(crate) async fn set_interface_groups(&self, of: &InterfaceId, to: &GroupList) -> Result<(), CloudError> {
        let call = Call::writing("ec2:ModifyNetworkInterfaceAttribute", of.as_str());
        let groups = to.iter().map(|group| group.as_str().to_owned()).collect();
        let request =
            self.client.modify_network_interface_attribute().network_interface_id(of.as_str()).set_groups(Some(groups));
        request.send().await.map(drop).map_err(|error| call.failed(&error))
    }
}

/// The groups that carry our tag.
fn owned() -> Filter {
    filter(&format!("tag:{MANAGED_BY_KEY}"), [MANAGED_BY])
}

fn filter(name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().map(Into::into).collect())).build()
}

/// A filter's value that stands for itself: EC2 reads `*` and `?` as wildcards.
fn literal(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, symbol| {
        if matches!(symbol, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(symbol);
        escaped
    })
}

/// As many values at a time as one filter takes, each chunk with the things that its values stand
/// for. No things make no chunk: a filter without values would let everything through.
fn chunks<T: Clone>(things: &BTreeSet<T>, value: impl Fn(&T) -> String) -> impl Iterator<Item = (Vec<T>, Vec<String>)> {
    let things: Vec<T> = things.iter().cloned().collect();
    let chunks: Vec<Vec<T>> = things.chunks(FILTER_VALUES).map(<[T]>::to_vec).collect();
    chunks.into_iter().map(move |chunk| {
        let values = chunk.iter().map(&value).collect();
        (chunk, values)
    })
}

fn own_tags(tags: &OwnTags) -> Vec<Tag> {
    let tags: BTreeMap<String, String> = tags.to_map();
    tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_makes_no_call() {
        assert_eq!(chunks(&BTreeSet::<u32>::new(), ToString::to_string).count(), 0);
    }

    #[test]
    fn values_are_split_at_what_a_filter_takes() {
        let sizes: Vec<usize> =
            chunks(&(0..401).collect(), ToString::to_string).map(|(_, values)| values.len()).collect();
        assert_eq!(sizes, [200, 200, 1]);
    }

    #[test]
    fn wildcards_of_others_are_taken_literally() {
        assert_eq!(literal(r"a*b?c\d"), r"a\*b\?c\\d");
        assert_eq!(literal("tagwire:connect"), "tagwire:connect");
    }
}
