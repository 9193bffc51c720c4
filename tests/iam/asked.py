"""A call as AWS authorises it: who makes it, on which resources, with which condition keys."""

from dataclasses import dataclass, field

from place import ACCOUNT

INSTANCE_EVENTS, DATA_STORE_EVENTS = "InstanceEventsRole", "DataStoreEventsRole"
CONNECT, SWEEP, SCHEDULE = "ConnectRole", "SweepRole", "SweepScheduleRole"
LOOKS, APPLIES = "read-only", "operator"
ROLES = [INSTANCE_EVENTS, DATA_STORE_EVENTS, CONNECT, SWEEP, SCHEDULE]
EVERYBODY = [*ROLES, LOOKS, APPLIES]
FUNCTIONS = [INSTANCE_EVENTS, DATA_STORE_EVENTS, CONNECT, SWEEP]
OBSERVERS = [DATA_STORE_EVENTS, CONNECT, SWEEP, LOOKS]

# What connect may do only with these settings.
ALWAYS, ENFORCES = "always", "Mode=enforce"
WRITES_STATUS, HAS_GROUP_TAGS = "Mode=enforce and StatusTags=on", "Mode=enforce and GroupTags"


@dataclass
class Part:
    """What AWS authorises for one of the resources of a call."""

    resource: str
    context: dict = field(default_factory=dict)
    # Where AWS asks for another permission as well.
    action: str = ""


@dataclass
class Call:
    """A call, who may make it and when; it is allowed if each part is.

    What another account shares is asked for as if it were ours: its consent is the share's and no policy's.
    """

    action: str
    what: str
    who: list
    parts: list
    when: str = ALWAYS

    def __str__(self):
        return f"{self.action}, {self.what}"


GROUP_TAGS = (("CostCenter", "42"), ("Owner", "data-platform"))
MANAGED_BY, STATUS = "tagwire:managed-by", "tagwire:status"
OUR_TAGS = {
    MANAGED_BY: "tagwire",
    "tagwire:data-store-id": "cluster-ABC",
    "tagwire:data-store": "arn:aws:rds:eu-west-1:111122223333:cluster:orders",
    "tagwire:side": "data-store",
}


def requested(tags):
    """The condition keys of a request that sets tags."""
    return {f"aws:RequestTag/{key}": value for key, value in tags.items()} | {"aws:TagKeys": list(tags)}


def tagged(tags):
    """The condition keys of a resource that has tags."""
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}


def listed(action, who, when=ALWAYS):
    """A call that knows no resources."""
    return Call(action, "which knows no resources", who, [Part("*")], when)


def creation(place, tags, account=ACCOUNT, owner=ACCOUNT):
    """The parts of a request that makes a group with tags: the group, its tags and the VPC, which may be shared."""
    group = place.arn("ec2", "security-group/sg-1", account)
    parts = [Part(group, requested(tags) if tags else {}), Part(place.arn("ec2", "vpc/vpc-1", owner))]
    if tags:
        in_creation = requested(tags) | {"ec2:CreateAction": "CreateSecurityGroup"}
        parts.append(Part(group, in_creation, "ec2:CreateTags"))
    return parts
