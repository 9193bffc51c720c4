"""What somebody is told who asks whether an account is ready."""

import json

import pytest
from botocore.exceptions import ClientError
from conftest import ACCOUNT, client, refusal

HERE = f"arn:aws:ec2:us-east-1:{ACCOUNT}:security-group"
TAGGED = {"ContextKeyName": "aws:ResourceTag/owner", "ContextKeyValues": ["us"], "ContextKeyType": "string"}
KEYS = {"ContextKeyName": "aws:TagKeys", "ContextKeyValues": ["a", "b"], "ContextKeyType": "stringList"}


@pytest.fixture
def iam(server):
    return client("iam", server)


@pytest.fixture
def role(iam, name):
    """Makes a role that may do what the statements say, within what the boundary's say."""

    def make(*statements, boundary=()):
        def policy(of):
            return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in of]})

        limit = {}
        if boundary:
            made = iam.create_policy(PolicyName=f"{name}-boundary", PolicyDocument=policy(boundary))
            limit = {"PermissionsBoundary": made["Policy"]["Arn"]}
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy([]), **limit)["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy(statements))
        return arn

    return make


def decisions(iam, arn, actions, resources, context=()):
    answer = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=actions, ResourceArns=resources, ContextEntries=list(context)
    )
    return {
        (result["EvalActionName"], part["EvalResourceName"]): part["EvalResourceDecision"]
        for result in answer["EvaluationResults"]
        for part in result["ResourceSpecificResults"]
    }


def test_simulation_looks_at_every_action_on_every_resource(iam, role):
    arn = role({"Action": "ec2:CreateTags", "Resource": f"{HERE}/*"})
    seen = decisions(iam, arn, ["ec2:CreateTags", "ec2:DeleteTags"], [f"{HERE}/sg-1", "*"])
    assert seen == {
        ("ec2:CreateTags", f"{HERE}/sg-1"): "allowed",
        ("ec2:CreateTags", "*"): "implicitDeny",
        ("ec2:DeleteTags", f"{HERE}/sg-1"): "implicitDeny",
        ("ec2:DeleteTags", "*"): "implicitDeny",
    }


def test_simulation_knows_the_context_that_it_is_given(iam, role):
    condition = {
        "StringEquals": {"aws:ResourceTag/owner": "us"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b", "c"]},
        "Null": {"aws:TagKeys": "false"},
    }
    arn = role({"Action": "ec2:CreateTags", "Resource": "*", "Condition": condition})
    asked = ["ec2:CreateTags"], [f"{HERE}/sg-1"]
    assert set(decisions(iam, arn, *asked, [TAGGED, KEYS]).values()) == {"allowed"}
    assert set(decisions(iam, arn, *asked, [TAGGED]).values()) == {"implicitDeny"}
    assert set(decisions(iam, arn, *asked, [{**TAGGED, "ContextKeyValues": ["them"]}, KEYS]).values()) == {"implicitDeny"}
    other_keys = {**KEYS, "ContextKeyValues": ["a", "d"]}
    assert set(decisions(iam, arn, *asked, [TAGGED, other_keys]).values()) == {"implicitDeny"}


def test_simulation_says_when_it_is_the_boundary_that_does_not_allow(iam, role):
    arn = role({"Action": "ec2:*", "Resource": "*"}, boundary=[{"Action": "ec2:Describe*", "Resource": "*"}])
    answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["ec2:DescribeVpcs", "ec2:CreateTags"])
    told = {
        result["EvalActionName"]: (
            result["EvalDecision"],
            result["ResourceSpecificResults"][0]["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"],
        )
        for result in answer["EvaluationResults"]
    }
    assert told == {"ec2:DescribeVpcs": ("allowed", True), "ec2:CreateTags": ("implicitDeny", False)}


def test_simulation_of_a_role_that_is_not_there_is_refused(iam):
    arn = f"arn:aws:iam::{ACCOUNT}:role/nobody"
    assert refusal(iam.simulate_principal_policy, PolicySourceArn=arn, ActionNames=["ec2:CreateTags"]) == "NoSuchEntity"


@pytest.mark.parametrize(
    ("service", "name"), [("rds", "RDS"), ("elasticache", "ElastiCache"), ("redshift", "Redshift")]
)
def test_role_of_a_service_has_the_name_that_aws_gives_it(iam, service, name):
    made = iam.create_service_linked_role(AWSServiceName=f"{service}.amazonaws.com")["Role"]
    role = f"AWSServiceRoleFor{name}"
    path = f"aws-service-role/{service}.amazonaws.com"
    assert (made["RoleName"], made["Arn"]) == (role, f"arn:aws:iam::{ACCOUNT}:role/{path}/{role}")
    assert iam.get_role(RoleName=role)["Role"]["Arn"] == made["Arn"]
    again = {"AWSServiceName": f"{service}.amazonaws.com"}
    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        iam.create_service_linked_role(**again)


def test_tag_policy_in_effect_is_what_the_policies_above_assign(server):
    organizations = client("organizations", server)
    asked = {"PolicyType": "TAG_POLICY"}
    assert refusal(organizations.describe_effective_policy, **asked) == "AWSOrganizationsNotInUseException"
    organizations.describe_organization()
    assert refusal(organizations.describe_effective_policy, **asked) == "EffectivePolicyNotFoundException"
    root = organizations.list_roots()["Roots"][0]["Id"]
    organizations.enable_policy_type(RootId=root, PolicyType="TAG_POLICY")

    def attach(target, name, values):
        rule = {"tag_key": {"@@assign": "Team"}, "tag_value": {"@@assign": values}}
        made = organizations.create_policy(
            Name=name, Description=name, Type="TAG_POLICY", Content=json.dumps({"tags": {"team": rule}})
        )
        organizations.attach_policy(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=target)

    attach(root, "of-all", ["a", "b"])
    attach(ACCOUNT, "of-one", ["b"])
    policy = organizations.describe_effective_policy(**asked)["EffectivePolicy"]
    assert json.loads(policy["PolicyContent"]) == {"tags": {"team": {"tag_key": "Team", "tag_value": ["b"]}}}


def test_dry_run_changes_nothing_and_says_that_it_would_have(ec2, network):
    with pytest.raises(ClientError) as caught:
        ec2.delete_security_group(GroupId=(group := network.group()), DryRun=True)
    assert caught.value.response["Error"]["Code"] == "DryRunOperation"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]


def test_account_has_no_classic_and_tells_its_default_vpc(ec2):
    asked = ["supported-platforms", "default-vpc"]
    told = {
        attribute["AttributeName"]: [value["AttributeValue"] for value in attribute["AttributeValues"]]
        for attribute in ec2.describe_account_attributes(AttributeNames=asked)["AccountAttributes"]
    }
    default = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    assert told == {"supported-platforms": ["VPC"], "default-vpc": [default]}


def test_quota_that_was_never_changed_has_only_its_default(endpoint):
    quotas = client("service-quotas", endpoint)
    rules = {"ServiceCode": "vpc", "QuotaCode": "L-0EA8095F"}
    assert refusal(quotas.get_service_quota, **rules) == "NoSuchResourceException"
    assert quotas.get_aws_default_service_quota(**rules)["Quota"]["Value"] == 60
    quotas.request_service_quota_increase(**rules, DesiredValue=120)
    assert quotas.get_service_quota(**rules)["Quota"]["Value"] == 120
    assert quotas.get_aws_default_service_quota(**rules)["Quota"]["Value"] == 60
    unknown = {**rules, "QuotaCode": "L-00000000"}
    assert refusal(quotas.get_aws_default_service_quota, **unknown) == "NoSuchResourceException"
    assert refusal(quotas.get_service_quota, **unknown) == "NoSuchResourceException"
