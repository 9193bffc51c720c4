"""Every call that is made under tagwire's roles and policies, as AWS authorises it: resources and condition keys."""

from dataclasses import dataclass, field

from place import ACCOUNT, OTHER_ACCOUNT, REGIONS, Place

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


def reads(place):
    def rds(resource):
        return [Part(place.arn("rds", resource))]

    def cache(resource):
        return [Part(place.arn("elasticache", resource))]

    yield listed("ec2:DescribeInstances", [INSTANCE_EVENTS, CONNECT, SWEEP, LOOKS])
    yield listed("ec2:DescribeSecurityGroups", OBSERVERS)
    for name in ("LaunchTemplateVersions", "ManagedPrefixLists", "NetworkInterfaces"):
        yield listed(f"ec2:Describe{name}", [CONNECT, LOOKS])
    yield Call(
        "ec2:GetManagedPrefixListEntries",
        "of the account's own list",
        [CONNECT, LOOKS],
        [Part(place.arn("ec2", "prefix-list/pl-0123456789abcdef0"))],
    )
    yield Call("rds:DescribeDBClusters", "of a cluster", OBSERVERS, rds("cluster:orders"))
    yield Call("rds:DescribeDBInstances", "of a DB instance", OBSERVERS, rds("db:orders"))
    yield Call("rds:DescribeDBSubnetGroups", "of a subnet group", OBSERVERS, rds("subgrp:private"))
    yield Call("elasticache:DescribeReplicationGroups", "of one", OBSERVERS, cache("replicationgroup:orders"))
    yield Call("elasticache:DescribeCacheClusters", "of one", OBSERVERS, cache("cluster:orders"))
    yield Call("elasticache:DescribeServerlessCaches", "of one", OBSERVERS, cache("serverlesscache:orders"))
    yield Call("elasticache:DescribeCacheSubnetGroups", "of one", OBSERVERS, cache("subnetgroup:private"))
    for kind in ("replicationgroup", "cluster", "serverlesscache"):
        yield Call("elasticache:ListTagsForResource", f"of a {kind}", OBSERVERS, cache(f"{kind}:orders"))
    yield Call(
        "redshift:DescribeClusters", "of a cluster", OBSERVERS, [Part(place.arn("redshift", "cluster:orders"))]
    )
    yield listed("tag:GetResources", OBSERVERS)
    for name in ("BatchGetItem", "Query"):
        yield Call(f"dynamodb:{name}", "of the state table", [CONNECT, LOOKS], [Part(place.table())])
    yield Call("dynamodb:GetItem", "of the state table", [LOOKS, APPLIES], [Part(place.table())])


def looks_of_people(place):
    """What the command line alone asks."""
    role = place.role(place.made("ConnectRole"))
    linked = place.role("aws-service-role/elasticache.amazonaws.com/AWSServiceRoleForElastiCache")
    stack = [Part(place.arn("cloudformation", f"stack/{place.stack}/1a2b3c4d"))]
    trail = [Part(place.arn("cloudtrail", "trail/management-events"))]
    for name in ("DescribeStackResource", "DescribeStackResources", "DescribeStacks"):
        yield Call(f"cloudformation:{name}", "of the stack", [LOOKS], stack)
    yield listed("cloudtrail:DescribeTrails", [LOOKS])
    yield Call("cloudtrail:GetTrailStatus", "of a trail", [LOOKS], trail)
    yield Call("cloudtrail:GetEventSelectors", "of a trail", [LOOKS], trail)
    yield listed("ec2:DescribeAccountAttributes", [LOOKS])
    yield listed("ec2:DescribeRegions", [LOOKS])
    account = [Part(place.arn("organizations", f"account/o-1/{ACCOUNT}", region=""))]
    yield Call("organizations:DescribeEffectivePolicy", "of the account", [LOOKS], account)
    yield listed("servicequotas:GetAWSDefaultServiceQuota", [LOOKS])
    quota = [Part(place.arn("servicequotas", "vpc/L-2AFB9258"))]
    yield Call("servicequotas:GetServiceQuota", "of groups on an interface", [LOOKS], quota)
    for queue in ("InstanceQueue", "StoreQueue", "ConnectQueue"):
        takes = {"InstanceQueue": INSTANCE_EVENTS, "StoreQueue": DATA_STORE_EVENTS, "ConnectQueue": CONNECT}[queue]
        yield Call("sqs:GetQueueAttributes", f"of {queue}", [takes, LOOKS], [Part(place.queue(queue))])
    for queue in ("InstanceDeadLetters", "StoreDeadLetters", "ConnectDeadLetters", "DeliveryDeadLetters"):
        yield Call("sqs:GetQueueAttributes", f"of {queue}", [LOOKS], [Part(place.queue(queue))])
    yield Call("iam:SimulatePrincipalPolicy", "of connect's role", [LOOKS], [Part(role)])
    yield Call("iam:GetRole", "of a service's own role", [LOOKS], [Part(linked)])


def messages(place):
    passes_on = {
        "ConnectQueue": [INSTANCE_EVENTS, DATA_STORE_EVENTS, SWEEP, CONNECT, APPLIES],
        "InstanceQueue": [INSTANCE_EVENTS, CONNECT],
        "StoreQueue": [DATA_STORE_EVENTS, CONNECT],
        "DeliveryDeadLetters": [SCHEDULE],
        "ConnectDeadLetters": [],
    }
    for queue, who in passes_on.items():
        yield Call("sqs:SendMessage", f"to {queue}", who, [Part(place.queue(queue))])


def made_by_aws(place):
    """What Lambda, the scheduler and ElastiCache do under the roles."""
    takes = {"InstanceQueue": INSTANCE_EVENTS, "StoreQueue": DATA_STORE_EVENTS, "ConnectQueue": CONNECT}
    for queue, role in takes.items():
        for name in ("ReceiveMessage", "DeleteMessage"):
            yield Call(f"sqs:{name}", f"from {queue}", [role], [Part(place.queue(queue))])
    for role in FUNCTIONS:
        group = place.attribute(role.replace("Role", "Logs"), "AWS::Logs::LogGroup")
        stream = [Part(group.removesuffix(":*") + ":log-stream:2026/11/28/[1]abc")]
        yield Call("logs:PutLogEvents", f"to the log of {role}", [role], stream)
        yield Call("logs:CreateLogStream", f"in the log of {role}", [role], stream)
    for name in ("PutTraceSegments", "PutTelemetryRecords"):
        yield listed(f"xray:{name}", FUNCTIONS)
    sweep = [Part(place.attribute("SweepFunction", "AWS::Lambda::Function"))]
    yield Call("lambda:InvokeFunction", "of sweep", [SCHEDULE], sweep)
    for_elasticache = {"aws:ViaAWSService": "true"}
    for name in ("Subnets", "Tags", "Vpcs"):
        parts = [Part("*", for_elasticache)]
        yield Call(f"ec2:Describe{name}", "by ElastiCache on the role's behalf", [CONNECT], parts, ENFORCES)
    for name, others in (("CreateNetworkInterface", ["subnet/subnet-1"]), ("DeleteNetworkInterface", [])):
        resources = ["network-interface/eni-1", *others, *(["security-group/sg-1"] if others else [])]
        parts = [Part(place.arn("ec2", resource), for_elasticache) for resource in resources]
        yield Call(f"ec2:{name}", "by ElastiCache on the role's behalf", [CONNECT], parts, ENFORCES)


def creation(place, tags, account=ACCOUNT, owner=ACCOUNT):
    """The parts of a request that makes a group with tags: the group, its tags and the VPC, which may be shared."""
    group = place.arn("ec2", "security-group/sg-1", account)
    parts = [Part(group, requested(tags) if tags else {}), Part(place.arn("ec2", "vpc/vpc-1", owner))]
    if tags:
        in_creation = requested(tags) | {"ec2:CreateAction": "CreateSecurityGroup"}
        parts.append(Part(group, in_creation, "ec2:CreateTags"))
    return parts


def group_changes(place):
    ours = Part(place.arn("ec2", "security-group/sg-1"), tagged(OUR_TAGS))
    yield Call("ec2:CreateSecurityGroup", "with our tags", [CONNECT], creation(place, OUR_TAGS), ENFORCES)
    shared = creation(place, OUR_TAGS, owner=OTHER_ACCOUNT)
    yield Call("ec2:CreateSecurityGroup", "in a shared VPC", [CONNECT], shared, ENFORCES)
    theirs = OUR_TAGS | dict(GROUP_TAGS)
    what = "with tags that the organisation demands"
    yield Call("ec2:CreateSecurityGroup", what, [CONNECT], creation(place, theirs), HAS_GROUP_TAGS)
    renamed = {"tagwire:data-store": "arn:aws:rds:eu-west-1:111122223333:cluster:renamed"}
    yield Call(
        "ec2:CreateTags",
        "on our group, whose store was renamed",
        [CONNECT],
        [Part(ours.resource, tagged(OUR_TAGS) | requested(renamed))],
        ENFORCES,
    )
    for name in (
        "AuthorizeSecurityGroupIngress",
        "AuthorizeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
        "RevokeSecurityGroupEgress",
        "DeleteSecurityGroup",
    ):
        yield Call(f"ec2:{name}", "of our group", [CONNECT], [ours], ENFORCES)


def list_changes(place):
    interface = Part(place.arn("ec2", "network-interface/eni-1"))
    instance = Part(place.arn("ec2", "instance/i-1"))
    ours = Part(place.arn("ec2", "security-group/sg-1"), tagged(OUR_TAGS))
    theirs = Part(place.arn("ec2", "security-group/sg-2"), tagged({"Name": "web"}))
    shared = Part(place.arn("ec2", "security-group/sg-3", OTHER_ACCOUNT))
    yield Call(
        "ec2:ModifyNetworkInterfaceAttribute",
        "with groups of ours, of others and of another account in the list",
        [CONNECT],
        [interface, instance, ours, theirs, shared],
        ENFORCES,
    )
    for name, resource in (("ModifyDBCluster", "cluster:orders"), ("ModifyDBInstance", "db:orders")):
        for sent in ({}, {"rds:ManageMasterUserPassword": "false"}):
            parts = [Part(place.arn("rds", resource), sent)]
            yield Call(f"rds:{name}", f"of {resource}, RDS sends {sent or 'no key'}", [CONNECT], parts, ENFORCES)
    for name, kind in (
        ("ModifyReplicationGroup", "replicationgroup"),
        ("ModifyCacheCluster", "cluster"),
        ("ModifyServerlessCache", "serverlesscache"),
    ):
        parts = [Part(place.arn("elasticache", f"{kind}:orders"))]
        yield Call(f"elasticache:{name}", f"of a {kind}", [CONNECT], parts, ENFORCES)
    cluster = [Part(place.arn("redshift", "cluster:orders"))]
    yield Call("redshift:ModifyCluster", "of a cluster", [CONNECT], cluster, ENFORCES)
    for name in ("PutItem", "UpdateItem", "DeleteItem"):
        yield Call(f"dynamodb:{name}", "of the state table", [CONNECT], [Part(place.table())], ENFORCES)


def status_tags(place):
    status = requested({STATUS: "connected: orders"})
    key = {"aws:TagKeys": [STATUS]}
    instance = place.arn("ec2", "instance/i-1")
    yield Call("ec2:CreateTags", "of an instance's status", [CONNECT], [Part(instance, status)], WRITES_STATUS)
    yield Call("ec2:DeleteTags", "of an instance's status", [CONNECT], [Part(instance, key)], WRITES_STATUS)
    stores = [("rds", "cluster:orders"), ("rds", "db:orders"), ("redshift", "cluster:orders")]
    for service, resource in stores:
        adds, removes = {"rds": ("AddTagsToResource", "RemoveTagsFromResource")}.get(
            service, ("CreateTags", "DeleteTags")
        )
        there = place.arn(service, resource)
        what = f"of the status of {resource}"
        yield Call(f"{service}:{adds}", what, [CONNECT], [Part(there, status)], WRITES_STATUS)
        yield Call(f"{service}:{removes}", what, [CONNECT], [Part(there, key)], WRITES_STATUS)


def for_nobody(place):
    """What no role and no policy may allow, with any setting."""

    def never(action, what, *parts):
        return Call(action, what, [], list(parts))

    group = place.arn("ec2", "security-group/sg-1")
    in_creation = {"ec2:CreateAction": "CreateSecurityGroup"}
    without = {key: value for key, value in OUR_TAGS.items() if key != MANAGED_BY}
    of_another = OUR_TAGS | {MANAGED_BY: "somebody-else"}
    more = OUR_TAGS | {"tagwire:connect": "orders"}
    create = "ec2:CreateSecurityGroup"
    yield never(create, "without tags", *creation(place, {}))
    yield never(create, "without the tag that makes it ours", *creation(place, without)[:2])
    yield never(create, "as somebody else's", *creation(place, of_another))
    yield never(create, "in another account", *creation(place, OUR_TAGS, OTHER_ACCOUNT)[:2])
    yield never(create, "with a tag that connects", *creation(place, more))
    yield never(create, "with a tag beside those of GroupTags", *creation(place, OUR_TAGS | {"Team": "data"}))
    yield never("ec2:CreateTags", "on a group that is not ours", Part(group, requested(OUR_TAGS)))
    yield never(
        "ec2:CreateTags", "on a group of somebody else", Part(group, requested(OUR_TAGS) | tagged({"Name": "web"}))
    )
    yield never(
        "ec2:CreateTags",
        "that hands our group to somebody else",
        Part(group, tagged(OUR_TAGS) | requested({MANAGED_BY: "somebody-else"})),
    )
    yield never(
        "ec2:CreateTags",
        "while creating an instance",
        Part(group, requested(OUR_TAGS) | {"ec2:CreateAction": "RunInstances"}),
    )
    yield never(
        "ec2:CreateTags", "while creating a group that is not ours", Part(group, requested(without) | in_creation)
    )
    for what, there in (("while creating a group", in_creation), ("on our group", tagged(OUR_TAGS))):
        yield never("ec2:CreateTags", f"with a tag that connects, {what}", Part(group, requested(more) | there))
    volume = place.arn("ec2", "volume/vol-1")
    yield never("ec2:CreateTags", "on what is no group", Part(volume, requested(OUR_TAGS) | in_creation))
    yield never("ec2:CreateTags", "on what only looks ours", Part(volume, requested(OUR_TAGS) | tagged(OUR_TAGS)))
    yield never("ec2:DeleteTags", "of our group", Part(group, tagged(OUR_TAGS) | {"aws:TagKeys": [MANAGED_BY]}))
    instance = place.arn("ec2", "instance/i-1")
    for key in ("tagwire:connect", "tagwire:block", "tagwire:hold", "tagwire:allow-cidr", "Name"):
        yield never("ec2:CreateTags", f"that sets {key}", Part(instance, requested({key: "orders"})))
    for action, where in (
        ("ec2:CreateTags", instance),
        ("ec2:DeleteTags", instance),
        ("rds:AddTagsToResource", place.arn("rds", "cluster:orders")),
        ("rds:RemoveTagsFromResource", place.arn("rds", "db:orders")),
        ("elasticache:AddTagsToResource", place.arn("elasticache", "replicationgroup:orders")),
        ("redshift:CreateTags", place.arn("redshift", "cluster:orders")),
        ("redshift:DeleteTags", place.arn("redshift", "cluster:orders")),
    ):
        keys = {"aws:TagKeys": ["tagwire:connect", STATUS]}
        yield never(action, "of the tag that connects along with the status", Part(where, keys))
    yield never("ec2:DeleteTags", "of an instance that names no key, so all", Part(instance))
    status = requested({STATUS: "connected"})
    yield never("ec2:CreateTags", "of a volume's status", Part(volume, status))
    for service, action, resource in (
        ("rds", "AddTagsToResource", "snapshot:orders"),
        ("redshift", "CreateTags", "snapshot:orders/final"),
    ):
        yield never(f"{service}:{action}", "of a snapshot's status", Part(place.arn(service, resource), status))
        yield never(f"{service}:{action}", "without any key", Part(place.arn(service, "cluster:orders")))
    yield never(
        "elasticache:AddTagsToResource",
        "of a cache's status",
        Part(place.arn("elasticache", "cluster:orders"), requested({STATUS: "connected"})),
    )
    for name in (
        "AuthorizeSecurityGroupIngress",
        "AuthorizeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
        "RevokeSecurityGroupEgress",
        "DeleteSecurityGroup",
    ):
        yield never(f"ec2:{name}", "of a group without tags", Part(group))
        yield never(f"ec2:{name}", "of a group of somebody else", Part(group, tagged(of_another)))
        shared = place.arn("ec2", "security-group/sg-1", OTHER_ACCOUNT)
        yield never(f"ec2:{name}", "of another account's group", Part(shared, tagged(OUR_TAGS)))
    interface = place.arn("ec2", "network-interface/eni-1", OTHER_ACCOUNT)
    yield never("ec2:ModifyNetworkInterfaceAttribute", "of another account", Part(interface))
    elsewhere = f"{REGIONS[place.partition][:-1]}9"
    for name, store, others in (
        ("ModifyDBCluster", "cluster:orders", ["cluster-pg:own", "og:own", "pg:own"]),
        ("ModifyDBInstance", "db:orders", ["pg:own", "og:own", "subgrp:public", "secgrp:classic"]),
    ):
        yield never(
            f"rds:{name}",
            "that hands the master password to Secrets Manager",
            Part(place.arn("rds", store), {"rds:ManageMasterUserPassword": "true"}),
        )
        for other in others:
            yield never(
                f"rds:{name}", f"that names {other}", Part(place.arn("rds", store)), Part(place.arn("rds", other))
            )
        yield never(f"rds:{name}", "in another Region", Part(place.arn("rds", store, region=elsewhere)))
    yield never(
        "redshift:ModifyCluster", "in another Region", Part(place.arn("redshift", "cluster:orders", region=elsewhere))
    )
    for name, store, others in (
        ("ModifyReplicationGroup", "replicationgroup", ["parametergroup", "securitygroup", "usergroup"]),
        ("ModifyCacheCluster", "cluster", ["parametergroup", "securitygroup"]),
        ("ModifyServerlessCache", "serverlesscache", ["usergroup"]),
    ):
        for other in others:
            there = [Part(place.arn("elasticache", f"{resource}:orders")) for resource in (store, other)]
            yield never(f"elasticache:{name}", f"that names a {other}", *there)
    for name in ("Subnets", "Tags", "Vpcs"):
        yield never(f"ec2:Describe{name}", "by the role itself", Part("*", {"aws:ViaAWSService": "false"}))
    for name in ("CreateNetworkInterface", "DeleteNetworkInterface"):
        there = Part(place.arn("ec2", "network-interface/eni-1"), {"aws:ViaAWSService": "false"})
        yield never(f"ec2:{name}", "by the role itself", there)
        theirs = Part(place.arn("ec2", "network-interface/eni-1", OTHER_ACCOUNT), {"aws:ViaAWSService": "true"})
        yield never(f"ec2:{name}", "of another account, by ElastiCache on the role's behalf", theirs)
    other_table = place.arn("dynamodb", "table/customers")
    for name in ("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"):
        yield never(f"dynamodb:{name}", "of another table", Part(other_table))
    yield never("dynamodb:Scan", "of the state table", Part(place.table()))
    yield never("sqs:SendMessage", "to another queue", Part(place.arn("sqs", "payments")))
    yield never("sqs:PurgeQueue", "of the connect queue", Part(place.queue("ConnectQueue")))
    yield never("logs:CreateLogGroup", "of a log of its own", Part(place.arn("logs", "log-group:/aws/lambda/other")))
    yield never("iam:PassRole", "of any role", Part(place.role("admin"), {"iam:PassedToService": "ec2.amazonaws.com"}))
    yield never("iam:GetRole", "of a role that is no service's", Part(place.role("admin")))
    yield never("kms:Decrypt", "with any key", Part(place.arn("kms", "key/1a2b3c4d")))
    secret = place.arn("secretsmanager", "secret:orders-AbCdEf")
    yield never("secretsmanager:GetSecretValue", "of any secret", Part(secret))
    yield never("rds-db:connect", "to a database", Part(place.arn("rds-db", "dbuser:cluster-ABC/admin")))
    yield never("rds:DeleteDBInstance", "of a database", Part(place.arn("rds", "db:orders")))
    yield never("rds:DeleteDBCluster", "of a database", Part(place.arn("rds", "cluster:orders")))
    yield never("redshift:DeleteCluster", "of a cluster", Part(place.arn("redshift", "cluster:orders")))
    yield never("ec2:TerminateInstances", "of an instance", Part(instance))
    yield never("ec2:ModifyInstanceAttribute", "of an instance", Part(instance))


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
TABLES = [reads, looks_of_people, messages, made_by_aws, group_changes, list_changes, status_tags, for_nobody]


def calls(place: Place):
    """All of them."""
    return [call for table in TABLES for call in table(place)]
