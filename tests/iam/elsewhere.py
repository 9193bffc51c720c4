"""Every call that is allowed, for what lies elsewhere: in another account, in another Region, or somebody else's."""

import re

from allowed import group_changes, list_changes, looks_of_people, made_by_aws, messages, reads, status_tags
from asked import APPLIES, LOOKS, Call, Part
from place import OTHER_ACCOUNT, REGIONS

ALLOWED = [reads, looks_of_people, messages, made_by_aws, group_changes, list_changes, status_tags]

# Kinds of resources that a role may name wherever they are: Redshift's read is granted on everything, and a VPC, its
# subnets and the groups in it may be shared by another account.
ANYWHERE = {("redshift:DescribeClusters", "cluster")}
OF_ANY_ACCOUNT = {
    ("ec2:CreateSecurityGroup", "vpc"),
    ("ec2:ModifyNetworkInterfaceAttribute", "security-group"),
    ("ec2:CreateNetworkInterface", "security-group"),
    ("ec2:CreateNetworkInterface", "subnet"),
}
# Actions of people whose policy names no resource.
ON_EVERYTHING = ("cloudformation:", "cloudtrail:", "organizations:", "servicequotas:")


def moved(place, resource):
    """The resource in another account and in another Region, as far as its ARN names these."""
    words = resource.split(":", 5)
    if len(words) == 6:
        region, account = words[3:5]
        if account and account != OTHER_ACCOUNT:
            yield "of another account", ":".join([*words[:4], OTHER_ACCOUNT, words[5]])
        if region:
            yield "in another Region", ":".join([*words[:3], f"{REGIONS[place.partition][:-1]}9", *words[4:]])


def of_somebody_else(place, resource):
    """A resource of the same kind that is not of the stack, if this one is."""
    name = re.sub(rf"\b({place.stack}|tagwire)-\w+-[\w-]+", "customers", resource)
    if name != resource:
        yield "of somebody else", name


def allowed_still(action, resource, what, who):
    """Those who may do that for what lies elsewhere as well."""
    kind = (action, re.split("[:/]", resource.split(":", 5)[-1])[0])
    if what == "of somebody else":
        return [one for one in who if one in (LOOKS, APPLIES) and action.startswith(ON_EVERYTHING)]
    if kind in ANYWHERE or (kind in OF_ANY_ACCOUNT and what == "of another account"):
        return who
    # Their policies are made to be attached in any account.
    return [one for one in who if one in (LOOKS, APPLIES)]


def elsewhere(place):
    """A call for each resource of a call that is allowed, with that one elsewhere."""
    calls = [call for table in ALLOWED for call in table(place) if call.who]
    for call in calls:
        for number, part in enumerate(call.parts):
            action = part.action or call.action
            others = [*moved(place, part.resource), *of_somebody_else(place, part.resource)]
            for what, resource in others:
                parts = [*call.parts]
                parts[number] = Part(resource, part.context, part.action)
                who = allowed_still(action, part.resource, what, call.who)
                yield Call(call.action, f"{call.what}, {part.resource.split(':', 5)[-1]} {what}", who, parts, call.when)
