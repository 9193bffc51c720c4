//! Everything that the template grants connect's role, and the questions to IAM that follow from it.

use tagwire_aws::{ContextValue, Question, Stack};
use tagwire_core::{
    group::{MANAGED_BY, MANAGED_BY_KEY, SIDE_KEY, STORE_ARN_KEY, STORE_ID_KEY},
    policy::Mode,
    tag::STATUS_KEY,
};

use crate::{commands::doctor::check::CommandTarget, installation::Installation};

/// The condition for a permission to be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GrantCondition {
    /// Always.
    Always,
    /// When plans are carried out.
    Enforcing,
    /// When plans are carried out and status tags are written.
    WritingStatus,
}

/// One statement of the template.
pub(super) struct Grant {
    /// Its `Sid`.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test finds the statement in the template by it"))]
    pub(super) sid: &'static str,
    pub(super) when: GrantCondition,
    pub(super) actions: &'static [&'static str],
    /// ARNs without partition, Region and account, as `service:resource`; `*` for everything, `queue:NAME` for a queue of
    /// the stack, `state` for its table.
    resources: &'static [&'static str],
    /// The values that its conditions ask for.
    context: fn() -> Vec<(&'static str, ContextValue)>,
}

const DATABASES: &[&str] = &["rds:cluster:tagwire-doctor", "rds:db:tagwire-doctor"];
const CACHES: &[&str] = &[
    "elasticache:cluster:tagwire-doctor",
    "elasticache:replicationgroup:tagwire-doctor",
    "elasticache:serverlesscache:tagwire-doctor",
];
const REDSHIFT: &[&str] = &["redshift:cluster:tagwire-doctor"];
const GROUP: &[&str] = &["ec2:security-group/sg-00000000000000000"];

fn nothing() -> Vec<(&'static str, ContextValue)> {
    Vec::new()
}

fn text(text: &str) -> ContextValue {
    ContextValue::Text(text.to_owned())
}

fn own_keys() -> (&'static str, ContextValue) {
    let keys = [MANAGED_BY_KEY, STORE_ID_KEY, STORE_ARN_KEY, SIDE_KEY];
    ("aws:TagKeys", ContextValue::Texts(keys.map(str::to_owned).into()))
}

fn creating() -> Vec<(&'static str, ContextValue)> {
    vec![("aws:RequestTag/tagwire:managed-by", text(MANAGED_BY)), own_keys()]
}

fn tagging_at_creation() -> Vec<(&'static str, ContextValue)> {
    [creating(), vec![("ec2:CreateAction", text("CreateSecurityGroup"))]].concat()
}

fn owned() -> Vec<(&'static str, ContextValue)> {
    vec![("aws:ResourceTag/tagwire:managed-by", text(MANAGED_BY))]
}

fn tagging_owned() -> Vec<(&'static str, ContextValue)> {
    [owned(), vec![own_keys()]].concat()
}

fn by_a_service() -> Vec<(&'static str, ContextValue)> {
    vec![("aws:ViaAWSService", ContextValue::Truth(true))]
}

fn status() -> Vec<(&'static str, ContextValue)> {
    vec![("aws:TagKeys", ContextValue::Texts(vec![STATUS_KEY.to_owned()]))]
}

/// Everything that the template grants connect's role. A test compares it with the template.
pub(super) const GRANTS: &[Grant] = &[
    Grant {
        sid: "ReadNetwork",
        when: GrantCondition::Always,
        actions: &[
            "ec2:DescribeInstances",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:DescribeManagedPrefixLists",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
        ],
        resources: &["*"],
        context: nothing,
    },
    Grant {
        sid: "ReadOwnPrefixLists",
        when: GrantCondition::Always,
        actions: &["ec2:GetManagedPrefixListEntries"],
        resources: &["ec2:prefix-list/pl-00000000000000000"],
        context: nothing,
    },
    Grant {
        sid: "ReadDatabases",
        when: GrantCondition::Always,
        actions: &["rds:DescribeDBClusters", "rds:DescribeDBInstances", "rds:DescribeDBSubnetGroups"],
        resources: &["rds:cluster:tagwire-doctor", "rds:db:tagwire-doctor", "rds:subgrp:tagwire-doctor"],
        context: nothing,
    },
    Grant {
        sid: "ReadCaches",
        when: GrantCondition::Always,
        actions: &[
            "elasticache:DescribeCacheClusters",
            "elasticache:DescribeCacheSubnetGroups",
            "elasticache:DescribeReplicationGroups",
            "elasticache:DescribeServerlessCaches",
            "elasticache:ListTagsForResource",
        ],
        resources: &[
            "elasticache:cluster:tagwire-doctor",
            "elasticache:replicationgroup:tagwire-doctor",
            "elasticache:serverlesscache:tagwire-doctor",
            "elasticache:subnetgroup:tagwire-doctor",
        ],
        context: nothing,
    },
    Grant {
        sid: "ReadRedshiftClusters",
        when: GrantCondition::Always,
        actions: &["redshift:DescribeClusters"],
        resources: &["*"],
        context: nothing,
    },
    Grant {
        sid: "ReadTagIndex",
        when: GrantCondition::Always,
        actions: &["tag:GetResources"],
        resources: &["*"],
        context: nothing,
    },
    Grant {
        sid: "ReadState",
        when: GrantCondition::Always,
        actions: &["dynamodb:BatchGetItem", "dynamodb:Query"],
        resources: &["state"],
        context: nothing,
    },
    Grant {
        sid: "TakeOwnWork",
        when: GrantCondition::Always,
        actions: &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
        resources: &["queue:ConnectQueueUrl"],
        context: nothing,
    },
    Grant {
        sid: "PassWorkOn",
        when: GrantCondition::Always,
        actions: &["sqs:SendMessage"],
        resources: &["queue:ConnectQueueUrl", "queue:InstanceQueueUrl", "queue:StoreQueueUrl"],
        context: nothing,
    },
    Grant {
        sid: "WriteOwnLogs",
        when: GrantCondition::Always,
        actions: &["logs:CreateLogStream", "logs:PutLogEvents"],
        resources: &["logs:log-group:/tagwire/connect:log-stream:tagwire-doctor"],
        context: nothing,
    },
    Grant {
        sid: "SendTraces",
        when: GrantCondition::Always,
        actions: &["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
        resources: &["*"],
        context: nothing,
    },
    Grant {
        sid: "CreateGroupAsOurs",
        when: GrantCondition::Enforcing,
        actions: &["ec2:CreateSecurityGroup"],
        resources: GROUP,
        context: creating,
    },
    Grant {
        sid: "CreateGroupInVpc",
        when: GrantCondition::Enforcing,
        actions: &["ec2:CreateSecurityGroup"],
        resources: &["ec2:vpc/vpc-00000000000000000"],
        context: creating,
    },
    Grant {
        sid: "TagGroupWhileCreatingIt",
        when: GrantCondition::Enforcing,
        actions: &["ec2:CreateTags"],
        resources: GROUP,
        context: tagging_at_creation,
    },
    Grant {
        sid: "TagOwnedGroup",
        when: GrantCondition::Enforcing,
        actions: &["ec2:CreateTags"],
        resources: GROUP,
        context: tagging_owned,
    },
    Grant {
        sid: "ChangeOrDeleteOwnedGroup",
        when: GrantCondition::Enforcing,
        actions: &[
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:DeleteSecurityGroup",
            "ec2:RevokeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupEgress",
        ],
        resources: GROUP,
        context: owned,
    },
    Grant {
        sid: "SetGroupsOfInterface",
        when: GrantCondition::Enforcing,
        actions: &["ec2:ModifyNetworkInterfaceAttribute"],
        resources: &[
            "ec2:network-interface/eni-00000000000000000",
            "ec2:instance/i-00000000000000000",
            "ec2:security-group/sg-00000000000000000",
        ],
        context: nothing,
    },
    Grant {
        sid: "SetGroupsOfDatabase",
        when: GrantCondition::Enforcing,
        actions: &["rds:ModifyDBCluster", "rds:ModifyDBInstance"],
        resources: DATABASES,
        context: nothing,
    },
    Grant {
        sid: "SetGroupsOfCache",
        when: GrantCondition::Enforcing,
        actions: &[
            "elasticache:ModifyCacheCluster",
            "elasticache:ModifyReplicationGroup",
            "elasticache:ModifyServerlessCache",
        ],
        resources: CACHES,
        context: nothing,
    },
    Grant {
        sid: "LetElastiCacheReadNetwork",
        when: GrantCondition::Enforcing,
        actions: &["ec2:DescribeSubnets", "ec2:DescribeTags", "ec2:DescribeVpcs"],
        resources: &["*"],
        context: by_a_service,
    },
    Grant {
        sid: "LetElastiCacheSetUpInterfaces",
        when: GrantCondition::Enforcing,
        actions: &["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"],
        resources: &[
            "ec2:network-interface/eni-00000000000000000",
            "ec2:security-group/sg-00000000000000000",
            "ec2:subnet/subnet-00000000000000000",
        ],
        context: by_a_service,
    },
    Grant {
        sid: "SetGroupsOfRedshiftCluster",
        when: GrantCondition::Enforcing,
        actions: &["redshift:ModifyCluster"],
        resources: REDSHIFT,
        context: nothing,
    },
    Grant {
        sid: "WriteState",
        when: GrantCondition::Enforcing,
        actions: &["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
        resources: &["state"],
        context: nothing,
    },
    Grant {
        sid: "TagInstanceWithStatus",
        when: GrantCondition::WritingStatus,
        actions: &["ec2:CreateTags", "ec2:DeleteTags"],
        resources: &["ec2:instance/i-00000000000000000"],
        context: status,
    },
    Grant {
        sid: "TagDatabaseWithStatus",
        when: GrantCondition::WritingStatus,
        actions: &["rds:AddTagsToResource", "rds:RemoveTagsFromResource"],
        resources: DATABASES,
        context: status,
    },
    Grant {
        sid: "TagRedshiftClusterWithStatus",
        when: GrantCondition::WritingStatus,
        actions: &["redshift:CreateTags", "redshift:DeleteTags"],
        resources: REDSHIFT,
        context: status,
    },
];

/// The questions whether connect's role has each permission of this installation. Resources that the stack does not
/// have are left out.
pub(in crate::commands::doctor) fn questions(
    installation: &Installation,
    stack: &Stack,
    target: &CommandTarget,
) -> Vec<Question> {
    let granted = GRANTS.iter().filter(|grant| is_granted(grant.when, installation));
    let questions = granted.map(|grant| Question {
        actions: grant.actions.iter().map(|action| (*action).to_owned()).collect(),
        resources: grant.resources.iter().filter_map(|resource| arn(resource, installation, stack, target)).collect(),
        context: (grant.context)().into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    });
    // Without a resource IAM would take all of them.
    questions.filter(|question| !question.resources.is_empty()).collect()
}

pub(super) fn is_granted(when: GrantCondition, installation: &Installation) -> bool {
    let enforces = installation.mode != Some(Mode::DryRun);
    match when {
        GrantCondition::Always => true,
        GrantCondition::Enforcing => enforces,
        GrantCondition::WritingStatus => enforces && installation.policy.status_tags,
    }
}

fn arn(resource: &str, installation: &Installation, stack: &Stack, target: &CommandTarget) -> Option<String> {
    let here = |service: &str, rest: &str| {
        format!("arn:{}:{service}:{}:{}:{rest}", target.partition(), target.region, target.account())
    };
    match resource.split_once(':') {
        None if resource == "state" => {
            installation.state_table.as_ref().map(|table| here("dynamodb", &format!("table/{table}")))
        }
        None => Some(resource.to_owned()),
        Some(("queue", output)) => stack.outputs.get(output)?.rsplit('/').next().map(|name| here("sqs", name)),
        Some((service, rest)) => Some(here(service, rest)),
    }
}
