//! What connect's role has to be allowed, and what the caller is.

use std::collections::{BTreeMap, BTreeSet};

use tagwire_aws::{ContextValue, Probe, Question, Refusal, Stack};
use tagwire_core::{
    group::{MANAGED_BY, MANAGED_BY_KEY, SIDE_KEY, STORE_ARN_KEY, STORE_ID_KEY},
    policy::Mode,
    tag::STATUS_KEY,
};
use tagwire_engine::cloud::{CloudError, ErrorKind};

use super::{
    check::{Check, Place, count, quoted},
    facts::Installed,
};
use crate::installation::Installation;

const CONNECT: &str = "connect-permissions";
const CALLER: &str = "caller-permissions";

/// When a permission is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Always.
    Always,
    /// When plans are carried out.
    Enforcing,
    /// When status tags are written, too.
    WritingStatus,
}

/// One statement of the template: what it grants, on what.
struct Grant {
    /// Its `Sid`.
    #[cfg_attr(not(test), expect(dead_code, reason = "it leads from here to the template, and a test goes that way"))]
    sid: &'static str,
    when: When,
    actions: &'static [&'static str],
    /// ARNs without what is the same for all, as `service:resource`; `*` for everything, `queue:NAME` for a queue of
    /// the stack, `state` for its table.
    resources: &'static [&'static str],
    /// What its conditions ask for.
    context: fn() -> Vec<(&'static str, ContextValue)>,
}

const DATABASES: &[&str] = &["rds:cluster:tagwire-doctor", "rds:db:tagwire-doctor"];
const CACHES: &[&str] = &[
    "elasticache:cluster:tagwire-doctor",
    "elasticache:replicationgroup:tagwire-doctor",
    "elasticache:serverlesscache:tagwire-doctor",
];
const WAREHOUSE: &[&str] = &["redshift:cluster:tagwire-doctor"];
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
const GRANTS: &[Grant] = &[
    Grant {
        sid: "ReadNetwork",
        when: When::Always,
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
        when: When::Always,
        actions: &["ec2:GetManagedPrefixListEntries"],
        resources: &["ec2:prefix-list/pl-00000000000000000"],
        context: nothing,
    },
    Grant {
        sid: "ReadDatabases",
        when: When::Always,
        actions: &["rds:DescribeDBClusters", "rds:DescribeDBInstances", "rds:DescribeDBSubnetGroups"],
        resources: &["rds:cluster:tagwire-doctor", "rds:db:tagwire-doctor", "rds:subgrp:tagwire-doctor"],
        context: nothing,
    },
    Grant {
        sid: "ReadCaches",
        when: When::Always,
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
        when: When::Always,
        actions: &["redshift:DescribeClusters"],
        resources: &["*"],
        context: nothing,
    },
    Grant {
        sid: "ReadTagIndex",
        when: When::Always,
        actions: &["tag:GetResources"],
        resources: &["*"],
        context: nothing,
    },
    Grant {
        sid: "ReadState",
        when: When::Always,
        actions: &["dynamodb:BatchGetItem", "dynamodb:Query"],
        resources: &["state"],
        context: nothing,
    },
    Grant {
        sid: "TakeOwnWork",
        when: When::Always,
        actions: &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
        resources: &["queue:ConnectQueueUrl"],
        context: nothing,
    },
    Grant {
        sid: "PassWorkOn",
        when: When::Always,
        actions: &["sqs:SendMessage"],
        resources: &["queue:ConnectQueueUrl", "queue:InstanceQueueUrl", "queue:StoreQueueUrl"],
        context: nothing,
    },
    Grant {
        sid: "WriteOwnLogs",
        when: When::Always,
        actions: &["logs:CreateLogStream", "logs:PutLogEvents"],
        resources: &["logs:log-group:/tagwire/connect:log-stream:tagwire-doctor"],
        context: nothing,
    },
    Grant {
        sid: "SendTraces",
        when: When::Always,
        actions: &["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
        resources: &["*"],
        context: nothing,
    },
    Grant {
        sid: "CreateGroupAsOurs",
        when: When::Enforcing,
        actions: &["ec2:CreateSecurityGroup"],
        resources: GROUP,
        context: creating,
    },
    Grant {
        sid: "CreateGroupInVpc",
        when: When::Enforcing,
        actions: &["ec2:CreateSecurityGroup"],
        resources: &["ec2:vpc/vpc-00000000000000000"],
        context: creating,
    },
    Grant {
        sid: "TagGroupWhileCreatingIt",
        when: When::Enforcing,
        actions: &["ec2:CreateTags"],
        resources: GROUP,
        context: tagging_at_creation,
    },
    Grant {
        sid: "TagOwnedGroup",
        when: When::Enforcing,
        actions: &["ec2:CreateTags"],
        resources: GROUP,
        context: tagging_owned,
    },
    Grant {
        sid: "ChangeOrDeleteOwnedGroup",
        when: When::Enforcing,
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
        when: When::Enforcing,
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
        when: When::Enforcing,
        actions: &["rds:ModifyDBCluster", "rds:ModifyDBInstance"],
        resources: DATABASES,
        context: nothing,
    },
    Grant {
        sid: "SetGroupsOfCache",
        when: When::Enforcing,
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
        when: When::Enforcing,
        actions: &["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DescribeTags", "ec2:DescribeVpcs"],
        resources: &["*"],
        context: by_a_service,
    },
    Grant {
        sid: "LetElastiCacheSetUpInterfaces",
        when: When::Enforcing,
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
        when: When::Enforcing,
        actions: &["redshift:ModifyCluster"],
        resources: WAREHOUSE,
        context: nothing,
    },
    Grant {
        sid: "WriteState",
        when: When::Enforcing,
        actions: &["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
        resources: &["state"],
        context: nothing,
    },
    Grant {
        sid: "TagInstanceWithStatus",
        when: When::WritingStatus,
        actions: &["ec2:CreateTags", "ec2:DeleteTags"],
        resources: &["ec2:instance/i-00000000000000000"],
        context: status,
    },
    Grant {
        sid: "TagDatabaseWithStatus",
        when: When::WritingStatus,
        actions: &["rds:AddTagsToResource", "rds:RemoveTagsFromResource"],
        resources: DATABASES,
        context: status,
    },
    Grant {
        sid: "TagRedshiftClusterWithStatus",
        when: When::WritingStatus,
        actions: &["redshift:CreateTags", "redshift:DeleteTags"],
        resources: WAREHOUSE,
        context: status,
    },
];

/// What connect's role has to be allowed in this installation. What the stack does not name is left out.
pub(super) fn questions(installation: &Installation, stack: &Stack, place: &Place) -> Vec<Question> {
    let granted = GRANTS.iter().filter(|grant| is_granted(grant.when, installation));
    let questions = granted.map(|grant| Question {
        actions: grant.actions.iter().map(|action| (*action).to_owned()).collect(),
        resources: grant.resources.iter().filter_map(|resource| arn(resource, installation, stack, place)).collect(),
        context: (grant.context)().into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    });
    // Without a resource IAM would take all of them.
    questions.filter(|question| !question.resources.is_empty()).collect()
}

fn is_granted(when: When, installation: &Installation) -> bool {
    let enforces = installation.mode != Some(Mode::DryRun);
    match when {
        When::Always => true,
        When::Enforcing => enforces,
        When::WritingStatus => enforces && installation.policy.status_tags,
    }
}

fn arn(resource: &str, installation: &Installation, stack: &Stack, place: &Place) -> Option<String> {
    let here = |service: &str, rest: &str| {
        format!("arn:{}:{service}:{}:{}:{rest}", place.partition(), place.region, place.account())
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

pub(super) fn connect(installed: &Installed, installation: &Installation, place: &Place) -> Vec<Check> {
    let what = "what connect's role may do";
    let role = match &installed.role {
        Ok(Some(role)) => role,
        Ok(None) => {
            let message =
                format!("the stack {} has no role ConnectRole, so connect can do nothing", installed.stack.name);
            return vec![Check::failure(CONNECT, message, place.revert(&installed.stack))];
        }
        Err(error) => return vec![Check::unread(CONNECT, what, error, place)],
    };
    let refusals = match &installed.refusals {
        Some(Ok(refusals)) => refusals,
        Some(Err(CloudError { kind: ErrorKind::NotFound, .. })) => {
            let message = format!("{role} is not there any more, so connect can do nothing");
            return vec![Check::failure(CONNECT, message, place.revert(&installed.stack))];
        }
        Some(Err(error)) => return vec![Check::unread(CONNECT, what, error, place)],
        None => {
            let message = format!("cannot tell {what}, because the account is not known");
            return vec![Check::warning(CONNECT, message, place.again())];
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
    let mut by_decider: BTreeMap<Decider, BTreeSet<&str>> = BTreeMap::new();
    for refusal in refusals {
        by_decider.entry(Decider::of(refusal)).or_default().insert(&refusal.action);
    }
    let lines = by_decider.into_iter().map(|(decider, actions)| {
        let actions: Vec<&str> = actions.into_iter().collect();
        let message = format!("{} may not {}: {}", name_of(role), actions.join(", "), decider.says());
        Check::failure(CONNECT, message, decider.fix(role, installed, place))
    });
    lines.collect()
}

/// What keeps an action from being allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Decider {
    /// A service control policy of the organization.
    Organization,
    /// The permissions boundary of the role.
    Boundary,
    /// A statement that denies it, of these policies.
    Denied(Vec<String>),
    /// Nothing allows it.
    NotAllowed,
}

impl Decider {
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

    fn says(&self) -> String {
        match self {
            Self::Organization => "a service control policy of the organization does not allow it".to_owned(),
            Self::Boundary => "its permissions boundary does not allow it".to_owned(),
            Self::Denied(policies) if policies.is_empty() => "a policy denies it".to_owned(),
            Self::Denied(policies) => format!("denied by {}", policies.join(", ")),
            Self::NotAllowed => "no policy of the role allows it".to_owned(),
        }
    }

    fn fix(&self, role: &str, installed: &Installed, place: &Place) -> String {
        match self {
            Self::Organization => place.aws(&format!(
                "organizations list-policies-for-target --target-id {} --filter SERVICE_CONTROL_POLICY",
                place.account()
            )),
            Self::Boundary => {
                match installed.stack.parameters.get("PermissionsBoundaryArn").filter(|arn| !arn.is_empty()) {
                    // Whose boundary it is has to add to it: what else it lets through is not for us to say.
                    Some(boundary) => {
                        let arn = quoted(boundary);
                        let version = place.aws(&format!(
                            "iam get-policy --policy-arn {arn} --query Policy.DefaultVersionId --output text"
                        ));
                        place.aws(&format!("iam get-policy-version --policy-arn {arn} --version-id \"$({version})\""))
                    }
                    None => place
                        .aws(&format!("iam delete-role-permissions-boundary --role-name {}", quoted(name_of(role)))),
                }
            }
            Self::Denied(_) | Self::NotAllowed => place.revert(&installed.stack),
        }
    }
}

fn name_of(role: &str) -> &str {
    role.rsplit('/').next().unwrap_or(role)
}

pub(super) fn caller(probes: &[Probe], place: &Place) -> Check {
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
        return Check::warning(CALLER, message, place.let_read());
    }
    if !unknown.is_empty() {
        let message = format!("cannot tell whether the caller may {}", unknown.join(", "));
        return Check::warning(CALLER, message, place.again());
    }
    Check::ok(CALLER, format!("the caller may make all {} of the commands that only read", count(probes.len(), "call")))
}

#[cfg(test)]
mod tests {
    use tagwire_core::policy::Policy;

    use super::*;
    use crate::doctor::check::{
        Level,
        tests::{error, place, plain},
    };

    const ROLE: &str = "arn:aws:iam::123456789012:role/tagwire-ConnectRole-1";

    fn installation(mode: Mode, status_tags: bool) -> Installation {
        Installation {
            tag_key: "tagwire:connect".into(),
            state_table: Some("table-1".into()),
            policy: Policy { status_tags, ..Policy::default() },
            mode: Some(mode),
        }
    }

    fn stack(parameters: &[(&str, &str)]) -> Stack {
        let url = |name: &str| format!("https://sqs.eu-west-1.amazonaws.com/123456789012/{name}");
        let outputs = ["ConnectQueueUrl", "InstanceQueueUrl", "StoreQueueUrl"];
        Stack {
            name: "tagwire".into(),
            status: "CREATE_COMPLETE".into(),
            parameters: parameters.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            outputs: outputs.map(|name| (name.to_owned(), url(name))).into(),
        }
    }

    fn installed(refusals: Vec<Refusal>) -> Installed {
        Installed {
            stack: stack(&[("Mode", "enforce")]),
            nonsense: None,
            role: Ok(Some(ROLE.into())),
            refusals: Some(Ok(refusals)),
            queues: Vec::new(),
            states: tagwire_core::observation::Reading::default(),
        }
    }

    fn refusal(action: &str) -> Refusal {
        Refusal {
            action: action.into(),
            resource: "*".into(),
            denied: false,
            by_organization: false,
            by_boundary: false,
            policies: Vec::new(),
        }
    }

    fn judged(installed: &Installed) -> Vec<Check> {
        connect(installed, &installation(Mode::Enforce, false), &place())
    }

    /// The statements of a role in the template: `Sid` and actions.
    fn statements_of_the_template() -> BTreeMap<String, BTreeSet<String>> {
        let template = include_str!("../../../template.yaml");
        let role = template.split("\n  ConnectRole:\n").nth(1).unwrap().split("\n  SweepRole:\n").next().unwrap();
        let statement = |text: &str| {
            let (sid, rest) = text.split_once('\n').unwrap();
            let actions = rest.split_once("Action:").unwrap().1.split_once("Resource:").unwrap().0;
            let is_action =
                |word: &&str| word.split_once(':').is_some_and(|(_, name)| name.starts_with(char::is_uppercase));
            let words = actions.split(|symbol: char| symbol.is_whitespace() || "[],".contains(symbol));
            (sid.trim().to_owned(), words.filter(is_action).map(str::to_owned).collect())
        };
        role.split("- Sid: ").skip(1).map(statement).collect()
    }

    #[test]
    fn what_is_asked_for_is_what_the_template_grants() {
        let asked: BTreeMap<String, BTreeSet<String>> = GRANTS
            .iter()
            .map(|grant| (grant.sid.to_owned(), grant.actions.iter().map(|action| (*action).to_owned()).collect()))
            .collect();
        assert_eq!(asked.len(), GRANTS.len());
        assert_eq!(asked, statements_of_the_template());
    }

    #[test]
    fn a_dry_run_asks_for_no_change_and_status_tags_only_when_they_are_written() {
        let actions = |installation: &Installation| -> BTreeSet<String> {
            questions(installation, &stack(&[]), &place()).into_iter().flat_map(|question| question.actions).collect()
        };
        let dry = actions(&installation(Mode::DryRun, true));
        assert!(
            dry.contains("ec2:DescribeInstances")
                && !dry.contains("ec2:CreateSecurityGroup")
                && !dry.contains("rds:AddTagsToResource")
        );
        let enforcing = actions(&installation(Mode::Enforce, false));
        assert!(enforcing.contains("ec2:CreateSecurityGroup") && !enforcing.contains("rds:AddTagsToResource"));
        assert!(actions(&installation(Mode::Enforce, true)).contains("rds:AddTagsToResource"));
    }

    #[test]
    fn resources_and_context_are_those_that_the_statements_ask_for() {
        let all = questions(&installation(Mode::Enforce, true), &stack(&[]), &place());
        let of = |action: &str| -> Vec<&Question> {
            all.iter().filter(|question| question.actions.iter().any(|asked| asked == action)).collect()
        };
        let [created, in_vpc] = of("ec2:CreateSecurityGroup").try_into().unwrap();
        assert_eq!(created.resources, ["arn:aws:ec2:eu-west-1:123456789012:security-group/sg-00000000000000000"]);
        assert_eq!(in_vpc.resources, ["arn:aws:ec2:eu-west-1:123456789012:vpc/vpc-00000000000000000"]);
        assert!(
            created
                .context
                .contains(&("aws:RequestTag/tagwire:managed-by".into(), ContextValue::Text("tagwire".into())))
        );
        let [state] = of("dynamodb:PutItem").try_into().unwrap();
        assert_eq!(state.resources, ["arn:aws:dynamodb:eu-west-1:123456789012:table/table-1"]);
        let [send] = of("sqs:SendMessage").try_into().unwrap();
        assert_eq!(send.resources[1], "arn:aws:sqs:eu-west-1:123456789012:InstanceQueueUrl");
        let without = Installation { state_table: None, ..installation(Mode::Enforce, false) };
        let known = questions(&without, &stack(&[]), &place());
        assert!(!known.iter().any(|question| question.actions.iter().any(|action| action.starts_with("dynamodb:"))));
    }

    #[test]
    fn a_role_that_may_do_everything_is_well() {
        let [check] = judged(&installed(Vec::new())).try_into().unwrap();
        assert!(check.level == Level::Ok && check.message.starts_with(ROLE) && check.fix.is_none(), "{check:?}");
        let dry = connect(&installed(Vec::new()), &installation(Mode::DryRun, false), &place());
        assert!(dry[0].message.ends_with("which are reads in a dry run"), "{dry:?}");
    }

    #[test]
    fn every_refused_action_is_named_with_who_refuses_it() {
        let boundary = Refusal { by_boundary: true, ..refusal("rds:ModifyDBCluster") };
        let organization = Refusal { by_organization: true, denied: true, ..refusal("ec2:CreateTags") };
        let denied = Refusal { denied: true, policies: vec!["guard".into()], ..refusal("ec2:DeleteSecurityGroup") };
        let twice = [refusal("sqs:SendMessage"), refusal("sqs:SendMessage"), refusal("ec2:DescribeInstances")];
        let all = [vec![boundary, organization, denied], twice.into()].concat();
        let [scp, limit, guard, missing] = judged(&installed(all)).try_into().unwrap();
        assert_eq!(
            plain(&scp),
            (
                Level::Failure,
                "tagwire-ConnectRole-1 may not ec2:CreateTags: a service control policy of the organization does not allow it"
            )
        );
        assert!(scp.fix.unwrap().contains("--target-id 123456789012 --filter SERVICE_CONTROL_POLICY"));
        assert!(
            limit.message.ends_with("may not rds:ModifyDBCluster: its permissions boundary does not allow it"),
            "{}",
            limit.message
        );
        assert!(
            limit
                .fix
                .unwrap()
                .starts_with("aws iam delete-role-permissions-boundary --role-name tagwire-ConnectRole-1")
        );
        assert!(guard.message.ends_with("may not ec2:DeleteSecurityGroup: denied by guard"), "{}", guard.message);
        assert_eq!(
            plain(&missing),
            (
                Level::Failure,
                "tagwire-ConnectRole-1 may not ec2:DescribeInstances, sqs:SendMessage: no policy of the role allows it"
            )
        );
        let fix = missing.fix.unwrap();
        assert!(
            fix.contains("--deployment-mode REVERT_DRIFT") && fix.contains("ParameterKey=Mode,UsePreviousValue=true"),
            "{fix}"
        );
        assert!(fix.ends_with("aws cloudformation execute-change-set --stack-name tagwire --change-set-name tagwire-doctor --region eu-west-1"));
    }

    #[test]
    fn a_boundary_of_the_stack_is_shown_and_not_taken_off() {
        let boundary = Refusal { by_boundary: true, ..refusal("rds:ModifyDBCluster") };
        let arn = "arn:aws:iam::123456789012:policy/limit";
        let of_stack = Installed { stack: stack(&[("PermissionsBoundaryArn", arn)]), ..installed(vec![boundary]) };
        let [check] = judged(&of_stack).try_into().unwrap();
        assert!(check.fix.unwrap().starts_with(&format!("aws iam get-policy-version --policy-arn {arn} --version-id")));
    }

    #[test]
    fn a_role_that_is_gone_or_cannot_be_simulated_is_said_so() {
        let gone = Installed { role: Ok(None), refusals: None, ..installed(Vec::new()) };
        assert_eq!(judged(&gone)[0].level, Level::Failure);
        let not_found = Err(error(ErrorKind::NotFound, "iam:SimulatePrincipalPolicy", "NoSuchEntity"));
        let [check] = judged(&Installed { refusals: Some(not_found), ..installed(Vec::new()) }).try_into().unwrap();
        assert!(check.level == Level::Failure && check.message.contains("not there any more"), "{check:?}");
        let denied = || error(ErrorKind::Denied, "iam:SimulatePrincipalPolicy", "AccessDenied");
        let [check] = judged(&Installed { refusals: Some(Err(denied())), ..installed(Vec::new()) }).try_into().unwrap();
        assert!(check.level == Level::Warning && check.message.contains("iam:SimulatePrincipalPolicy"), "{check:?}");
        let [check] = judged(&Installed { role: Err(denied()), ..installed(Vec::new()) }).try_into().unwrap();
        assert_eq!(check.level, Level::Warning);
        let [check] = judged(&Installed { refusals: None, ..installed(Vec::new()) }).try_into().unwrap();
        assert_eq!(check.level, Level::Warning);
    }

    #[test]
    fn what_the_caller_may_not_read_is_named_with_its_request() {
        let probe = |action, result| Probe { action, result };
        let denied = || Err(error(ErrorKind::Denied, "rds:DescribeDBClusters", "AccessDenied"));
        let slow = || Err(error(ErrorKind::Throttled, "tag:GetResources", "ThrottledException"));
        let well = caller(&[probe("rds:DescribeDBClusters", Ok(())), probe("tag:GetResources", Ok(()))], &place());
        assert_eq!(plain(&well), (Level::Ok, "the caller may make all 2 calls of the commands that only read"));
        let both = caller(&[probe("rds:DescribeDBClusters", denied()), probe("tag:GetResources", slow())], &place());
        assert_eq!(
            plain(&both),
            (
                Level::Warning,
                "the caller may not rds:DescribeDBClusters (AccessDenied, request id r-1); cannot tell of tag:GetResources (ThrottledException, request id r-1)"
            )
        );
        assert!(both.fix.unwrap().starts_with("aws iam put-role-policy --role-name ops"));
        let unknown = caller(&[probe("tag:GetResources", slow())], &place());
        assert_eq!(
            (unknown.level, unknown.fix.as_deref()),
            (Level::Warning, Some("tagwire doctor --region eu-west-1"))
        );
    }
}
