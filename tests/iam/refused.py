"""What no role may do, with any setting, and no policy for people but where it says so."""

from asked import LOOKS, MANAGED_BY, OUR_TAGS, STATUS, Call, Part, creation, requested, tagged
from place import OTHER_ACCOUNT, REGIONS


def never(action, what, *parts):
    return Call(action, what, [], list(parts))


def groups_of_others(place):
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
    rule = Part(place.arn("ec2", "security-group-rule/sgr-1"), tagged(OUR_TAGS))
    for name in ("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress"):
        yield never(f"ec2:{name}", "that tags a rule", Part(group, tagged(OUR_TAGS)), rule)


def other_tags(place):
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
    yield never("ec2:CreateTags", "of a volume's status", Part(place.arn("ec2", "volume/vol-1"), status))
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


def other_changes(place):
    interface = place.arn("ec2", "network-interface/eni-1", OTHER_ACCOUNT)
    yield never("ec2:ModifyNetworkInterfaceAttribute", "of another account", Part(interface))
    associated = [Part(place.arn("ec2", resource)) for resource in ("network-interface/eni-1", "subnet/subnet-1")]
    yield never("ec2:ModifyNetworkInterfaceAttribute", "that associates a subnet", *associated)
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


def other_calls(place):
    instance = place.arn("ec2", "instance/i-1")
    for name in ("Subnets", "Tags"):
        yield never(f"ec2:Describe{name}", "by the role itself", Part("*", {"aws:ViaAWSService": "false"}))
    for name in ("CreateNetworkInterface", "DeleteNetworkInterface"):
        there = Part(place.arn("ec2", "network-interface/eni-1"), {"aws:ViaAWSService": "false"})
        yield never(f"ec2:{name}", "by the role itself", there)
        theirs = Part(place.arn("ec2", "network-interface/eni-1", OTHER_ACCOUNT), {"aws:ViaAWSService": "true"})
        yield never(f"ec2:{name}", "of another account, by ElastiCache on the role's behalf", theirs)
    snapshot = [Part(place.arn("elasticache", "snapshot:orders"))]
    yield Call("elasticache:ListTagsForResource", "of a snapshot", [LOOKS], snapshot)
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
