"""The calls that are made under tagwire's roles and policies."""

from asked import (
    APPLIES,
    CONNECT,
    DATA_STORE_EVENTS,
    ENFORCES,
    FUNCTIONS,
    GROUP_TAGS,
    HAS_GROUP_TAGS,
    INSTANCE_EVENTS,
    LOOKS,
    OBSERVERS,
    OUR_TAGS,
    SCHEDULE,
    STATUS,
    SWEEP,
    WRITES_STATUS,
    Call,
    Part,
    creation,
    listed,
    requested,
    tagged,
)
from place import ACCOUNT, OTHER_ACCOUNT


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
    yield Call("redshift:DescribeClusters", "of a cluster", OBSERVERS, [Part(place.arn("redshift", "cluster:orders"))])
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
    yield listed("ec2:DescribeVpcs", [LOOKS])
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
    for name, who in (("Subnets", [CONNECT]), ("Tags", [CONNECT]), ("Vpcs", [CONNECT, LOOKS])):
        parts = [Part("*", for_elasticache)]
        yield Call(f"ec2:Describe{name}", "by ElastiCache on the role's behalf", who, parts, ENFORCES)
    for name, others in (("CreateNetworkInterface", ["subnet/subnet-1"]), ("DeleteNetworkInterface", [])):
        resources = ["network-interface/eni-1", *others, *(["security-group/sg-1"] if others else [])]
        parts = [Part(place.arn("ec2", resource), for_elasticache) for resource in resources]
        yield Call(f"ec2:{name}", "by ElastiCache on the role's behalf", [CONNECT], parts, ENFORCES)


def group_changes(place):
    ours = Part(place.arn("ec2", "security-group/sg-1"), tagged(OUR_TAGS))
    yield Call("ec2:CreateSecurityGroup", "with our tags", [CONNECT], creation(place, OUR_TAGS), ENFORCES)
    shared = creation(place, OUR_TAGS, owner=OTHER_ACCOUNT)
    yield Call("ec2:CreateSecurityGroup", "in a shared VPC", [CONNECT], shared, ENFORCES)
    theirs = OUR_TAGS | dict(GROUP_TAGS)
    what = "with tags that the organisation demands"
    yield Call("ec2:CreateSecurityGroup", what, [CONNECT], creation(place, theirs), HAS_GROUP_TAGS)
    # All of our tags are sent, not only the one that differs.
    renamed = OUR_TAGS | {"tagwire:data-store": "arn:aws:rds:eu-west-1:111122223333:cluster:renamed"}
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
