"""All calls that are put to the evaluator."""

import functools

import elsewhere
import refused

# Kinds of resources that AWS documents for a call and that a request of ours does not name.
NOT_NAMED = {
    "dynamodb:Query": {"index"},  # the state table has none
    # Only the tags of stores are listed.
    "elasticache:ListTagsForResource": {
        "parametergroup",
        "reserved-instance",
        "securitygroup",
        "serverlesscachesnapshot",
        "subnetgroup",
        "user",
        "usergroup",
    },
    "iam:SimulatePrincipalPolicy": {"group", "user"},  # only of roles
}
# The one call that nobody has to be allowed.
FREE = {"sts:GetCallerIdentity"}
TABLES = [
    *elsewhere.ALLOWED,
    elsewhere.elsewhere,
    refused.groups_of_others,
    refused.other_tags,
    refused.other_changes,
    refused.other_calls,
]


@functools.cache
def calls(place):
    """All of them."""
    return [call for table in TABLES for call in table(place)]
