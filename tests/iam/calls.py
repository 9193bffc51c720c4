"""All calls that are put to the evaluator."""

import allowed
import refused

# Kinds of resources that AWS documents for a call and that a request of ours does not name.
NOT_NAMED = {
    "dynamodb:Query": {"index"},  # the state table has none
    # Named where a request tags rules.
    "ec2:AuthorizeSecurityGroupEgress": {"security-group-rule"},
    "ec2:AuthorizeSecurityGroupIngress": {"security-group-rule"},
    # Named where a request sends `AssociatedSubnetIds`: it came into the reference with that member.
    "ec2:ModifyNetworkInterfaceAttribute": {"subnet"},
    # Only the tags of stores are listed.
    "elasticache:ListTagsForResource": {
        "parametergroup",
        "reserved-instance",
        "securitygroup",
        "serverlesscachesnapshot",
        "snapshot",
        "subnetgroup",
        "user",
        "usergroup",
    },
    "iam:SimulatePrincipalPolicy": {"group", "user"},  # only of roles
}
# The one call that nobody has to be allowed.
FREE = {"sts:GetCallerIdentity"}
TABLES = [
    allowed.reads,
    allowed.looks_of_people,
    allowed.messages,
    allowed.made_by_aws,
    allowed.group_changes,
    allowed.list_changes,
    allowed.status_tags,
    refused.groups_of_others,
    refused.other_tags,
    refused.other_changes,
    refused.other_calls,
]


def calls(place):
    """All of them."""
    return [call for table in TABLES for call in table(place)]
