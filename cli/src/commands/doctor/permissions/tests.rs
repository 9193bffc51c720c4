use tagwire_aws::{ContextValue, Question, Stack};
use tagwire_core::policy::Policy;

use super::*;
use crate::commands::doctor::check::{
    CheckLevel,
    tests::{error, plain, target},
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
        unknown_parameter: None,
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
    connect(installed, &installation(Mode::Enforce, false), &target())
}

/// The statements of a role in the template: `Sid` and actions.
fn statements_of_the_template() -> BTreeMap<String, BTreeSet<String>> {
    let template = include_str!("../../../../../template.yaml");
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
        questions(installation, &stack(&[]), &target()).into_iter().flat_map(|question| question.actions).collect()
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
    let all = questions(&installation(Mode::Enforce, true), &stack(&[]), &target());
    let of = |action: &str| -> Vec<&Question> {
        all.iter().filter(|question| question.actions.iter().any(|asked| asked == action)).collect()
    };
    let [created, in_vpc] = of("ec2:CreateSecurityGroup").try_into().unwrap();
    assert_eq!(created.resources, ["arn:aws:ec2:eu-west-1:123456789012:security-group/sg-00000000000000000"]);
    assert_eq!(in_vpc.resources, ["arn:aws:ec2:eu-west-1:123456789012:vpc/vpc-00000000000000000"]);
    assert!(
        created.context.contains(&("aws:RequestTag/tagwire:managed-by".into(), ContextValue::Text("tagwire".into())))
    );
    let [state] = of("dynamodb:PutItem").try_into().unwrap();
    assert_eq!(state.resources, ["arn:aws:dynamodb:eu-west-1:123456789012:table/table-1"]);
    let [send] = of("sqs:SendMessage").try_into().unwrap();
    assert_eq!(send.resources[1], "arn:aws:sqs:eu-west-1:123456789012:InstanceQueueUrl");
    let without = Installation { state_table: None, ..installation(Mode::Enforce, false) };
    let known = questions(&without, &stack(&[]), &target());
    assert!(!known.iter().any(|question| question.actions.iter().any(|action| action.starts_with("dynamodb:"))));
}

#[test]
fn a_role_that_may_do_everything_is_well() {
    let [check] = judged(&installed(Vec::new())).try_into().unwrap();
    assert!(check.level == CheckLevel::Ok && check.message.starts_with(ROLE) && check.fix.is_none(), "{check:?}");
    let dry = connect(&installed(Vec::new()), &installation(Mode::DryRun, false), &target());
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
            CheckLevel::Failure,
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
        limit.fix.unwrap().starts_with("aws iam delete-role-permissions-boundary --role-name tagwire-ConnectRole-1")
    );
    assert!(guard.message.ends_with("may not ec2:DeleteSecurityGroup: denied by guard"), "{}", guard.message);
    assert_eq!(
        plain(&missing),
        (
            CheckLevel::Failure,
            "tagwire-ConnectRole-1 may not ec2:DescribeInstances, sqs:SendMessage: no policy of the role allows it"
        )
    );
    let fix = missing.fix.unwrap();
    assert!(
        fix.contains("--deployment-mode REVERT_DRIFT") && fix.contains("ParameterKey=Mode,UsePreviousValue=true"),
        "{fix}"
    );
    assert!(fix.ends_with(
        "aws cloudformation execute-change-set --stack-name tagwire --change-set-name tagwire-doctor --region eu-west-1"
    ));
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
    assert_eq!(judged(&gone)[0].level, CheckLevel::Failure);
    let not_found = Err(error(ErrorKind::NotFound, "iam:SimulatePrincipalPolicy", "NoSuchEntity"));
    let [check] = judged(&Installed { refusals: Some(not_found), ..installed(Vec::new()) }).try_into().unwrap();
    assert!(check.level == CheckLevel::Failure && check.message.contains("not there any more"), "{check:?}");
    let denied = || error(ErrorKind::Denied, "iam:SimulatePrincipalPolicy", "AccessDenied");
    let [check] = judged(&Installed { refusals: Some(Err(denied())), ..installed(Vec::new()) }).try_into().unwrap();
    assert!(check.level == CheckLevel::Warning && check.message.contains("iam:SimulatePrincipalPolicy"), "{check:?}");
    let [check] = judged(&Installed { role: Err(denied()), ..installed(Vec::new()) }).try_into().unwrap();
    assert_eq!(check.level, CheckLevel::Warning);
    let [check] = judged(&Installed { refusals: None, ..installed(Vec::new()) }).try_into().unwrap();
    assert_eq!(check.level, CheckLevel::Warning);
}

#[test]
fn what_the_caller_may_not_read_is_named_with_its_request() {
    let probe = |action, result| Probe { action, result };
    let denied = || Err(error(ErrorKind::Denied, "rds:DescribeDBClusters", "AccessDenied"));
    let slow = || Err(error(ErrorKind::Throttled, "tag:GetResources", "ThrottledException"));
    let well = caller(&[probe("rds:DescribeDBClusters", Ok(())), probe("tag:GetResources", Ok(()))], &target());
    assert_eq!(plain(&well), (CheckLevel::Ok, "the caller may make all 2 calls of the commands that only read"));
    let both = caller(&[probe("rds:DescribeDBClusters", denied()), probe("tag:GetResources", slow())], &target());
    assert_eq!(
        plain(&both),
        (
            CheckLevel::Warning,
            "the caller may not rds:DescribeDBClusters (AccessDenied, request id r-1); cannot tell of tag:GetResources (ThrottledException, request id r-1)"
        )
    );
    assert!(both.fix.unwrap().starts_with("aws iam put-role-policy --role-name ops"));
    let unknown = caller(&[probe("tag:GetResources", slow())], &target());
    assert_eq!(
        (unknown.level, unknown.fix.as_deref()),
        (CheckLevel::Warning, Some("tagwire doctor --region eu-west-1"))
    );
}
