"""What docs/aws-facts.md says was read in the service models, read again. A fact has its checks under its number."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """A sentence for people, and whether it holds in a release of the models."""

    what: str
    holds: Callable


def _shape(release, place):
    service, name = place.split()
    shape, _, member = name.partition(".")
    found = release[service].document["shapes"].get(shape, {})
    return found.get("members", {}).get(member, {}) if member else found


def _text(release, place):
    service, name = place.split()
    operation = release[service].document["operations"].get(name)
    documentation = (operation or _shape(release, place)).get("documentation", "")
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", documentation)))


def says(place, text):
    """The documentation of an operation or of a member says so."""
    return Check(f"{place} says {text!r}", lambda release: text in re.sub(r" (?=[.,;)])", "", _text(release, place)))


def has(place, *members):
    return Check(
        f"{place} has {', '.join(members)}",
        lambda release: set(members) <= set(_shape(release, place).get("members", {})),
    )


def lacks(place, pattern):
    return Check(
        f"{place} has no {pattern}",
        lambda release: (
            "members" in _shape(release, place)
            and not any(re.search(pattern, name) for name in _shape(release, place)["members"])
        ),
    )


def bounds(place, **expected):
    """The bounds of a member or of a shape of its own."""

    def holds(release):
        found = _shape(release, place)
        shape = release[place.split()[0]].document["shapes"].get(found.get("shape"), found)
        return all(shape.get(bound) == value for bound, value in expected.items())

    return Check(f"{place} is within {expected}", holds)


def values(place, *expected):
    return Check(
        f"{place} is one of {', '.join(expected)}",
        lambda release: _shape(release, place).get("enum") == list(expected),
    )


def there(service, *operations):
    return Check(
        f"{service} has {', '.join(operations)}",
        lambda release: set(operations) <= set(release[service].document["operations"]),
    )


def fails_with(place, error):
    def holds(release):
        service, name = place.split()
        return error in {one["shape"] for one in release[service].document["operations"][name]["errors"]}

    return Check(f"{place} fails with {error}", holds)


def partitions(*expected):
    return Check(f"the partitions are {', '.join(expected)}", lambda release: release.partitions() == set(expected))


FEWEST = "inimum 20"
PENDING = "the modifications in this request and any pending modifications"
SOON = "This change is asynchronously applied as soon as possible"
NETWORKING = ["EnableVPCNetworking", "EnableInternetAccessGateway", "DBSubnetGroupName", "VpcSecurityGroupIds"]
ISOLATED = ["aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"]

CHECKS = {
    "1.1": [says("ec2 DescribeInstances", "usually less than one hour")],
    "1.5": [
        there("redshift", "RestoreFromClusterSnapshot", "ResumeCluster", "ModifyCluster"),
        has("redshift ModifyClusterMessage", "NewClusterIdentifier"),
    ],
    "3.4": [
        bounds("ec2 DescribeSecurityGroupsRequest.MaxResults", max=1000),
        says("rds DescribeDBClustersMessage.MaxRecords", f"M{FEWEST}, maximum 100"),
        says("elasticache DescribeReplicationGroupsMessage.MaxRecords", f"m{FEWEST}; maximum 100"),
        says("redshift DescribeClustersMessage.MaxRecords", f"m{FEWEST}, maximum 100"),
        says("elasticache DescribeServerlessCachesRequest.MaxResults", "The default is 50"),
        bounds("resourcegroupstaggingapi GetResourcesInput.ResourceARNList", max=100),
        says("resourcegroupstaggingapi GetResourcesInput.ResourceARNList", "any of the pagination parameters"),
        says("resourcegroupstaggingapi GetResourcesInput.ResourceARNList", "it simply isn't included in the response"),
        says("resourcegroupstaggingapi GetResources", "tagged or previously tagged resources"),
        bounds("dynamodb KeysAndAttributes.Keys", max=100),
    ],
    "3.5": [
        says("ec2 Tag.Key", "a maximum of 127 Unicode characters"),
        says("ec2 Tag.Value", "a maximum of 256 Unicode characters"),
        says("rds Tag.Value", "digits, white-space, '_', '.', ':', '/', '=', '+', '-', '@'"),
    ],
    "3.6": [
        says("ec2 CreateSecurityGroupRequest.GroupName", "case-insensitive and must be unique within the VPC"),
        says("ec2 CreateSecurityGroupRequest.GroupName", "Up to 255 characters in length. Can't start with sg-"),
        says("ec2 CreateSecurityGroupRequest.Description", "Up to 255 characters"),
    ],
    "4.1": [
        says("rds ModifyDBInstanceMessage.VpcSecurityGroupIds", SOON),
        says("rds ModifyDBInstanceMessage.VpcSecurityGroupIds", "security groups is managed by the DB cluster"),
        says("rds ModifyDBInstanceMessage.ApplyImmediately", PENDING),
        says("rds ModifyDBClusterMessage.ApplyImmediately", "Specifies whether the modifications in this request are"),
        says("rds VpcSecurityGroupMembership.Status", "the only valid status is active"),
        says("elasticache ModifyReplicationGroupMessage.ApplyImmediately", PENDING),
        says("elasticache ModifyCacheClusterMessage.ApplyImmediately", PENDING),
        says("elasticache ModifyServerlessCacheRequest.SecurityGroupIds", "VPC security groups will be removed"),
        lacks("elasticache ModifyServerlessCacheRequest", "ApplyImmediately"),
        says("redshift ModifyClusterMessage.VpcSecurityGroupIds", SOON),
    ],
    "4.2": [
        says("rds DBInstance.Endpoint", "might not be shown for instances with the status of creating"),
        Check(
            "rds DBCluster.DBSubnetGroup is only a name",
            lambda release: _shape(release, "rds DBCluster.DBSubnetGroup").get("shape") == "String",
        ),
        has("rds DBSubnetGroup", "VpcId"),
        lacks("elasticache ReplicationGroup", "SecurityGroup|Subnet|Vpc"),
        has("elasticache CacheCluster", "SecurityGroups", "CacheSubnetGroupName"),
        lacks("elasticache CacheCluster", "Vpc"),
        has("elasticache ServerlessCache", "SubnetIds", "SecurityGroupIds", "Endpoint", "ReaderEndpoint"),
        lacks("elasticache ServerlessCache", "Vpc"),
        has("redshift Cluster", "VpcId", "VpcSecurityGroups", "Tags", "ClusterNamespaceArn"),
        says("rds DescribeDBClustersMessage.Filters", "db-cluster-resource-id"),
        says("rds DescribeDBInstancesMessage.Filters", "dbi-resource-id"),
        lacks("redshift DescribeClustersMessage", "Filter|Namespace"),
    ],
    "4.3": [
        says("ec2 ModifyNetworkInterfaceAttributeRequest.Groups", "replaces the current set"),
        says("ec2 ModifyNetworkInterfaceAttributeRequest.Groups", "You must specify at least one group"),
        lacks("ec2 CreateSecurityGroupRequest", "Token"),
        says("ec2 RevokeSecurityGroupEgress", "you do not need to specify the description to revoke the rule"),
        says("ec2 RevokeSecurityGroupEgress", "no error is returned, and the output describes"),
        says("ec2 DeleteSecurityGroup", "is referenced by another security group in the same VPC"),
        says("ec2 DeleteSecurityGroup", "DependencyViolation"),
    ],
    "4.5": [
        *(fails_with(f"rds Modify{store}", "InvalidVPCNetworkStateFault") for store in ("DBInstance", "DBCluster")),
        fails_with("elasticache ModifyReplicationGroup", "InvalidVPCNetworkStateFault"),
        fails_with("elasticache ModifyCacheCluster", "InvalidVPCNetworkStateFault"),
        fails_with("elasticache ModifyServerlessCache", "ServiceLinkedRoleNotFoundFault"),
    ],
    "4.6": [partitions("aws", "aws-cn", "aws-us-gov", "aws-eusc", *ISOLATED)],
    "5.1": [
        bounds("events MaximumRetryAttempts", max=185),
        bounds("events MaximumEventAgeInSeconds", max=24 * 60 * 60),
    ],
    "5.2": [
        says("lambda CreateEventSourceMappingRequest.BatchSize", "For FIFO queues the max is 10"),
        says("lambda CreateEventSourceMappingRequest.MaximumBatchingWindowInSeconds", "greater than 10, you must set"),
        bounds("lambda MaximumConcurrency", min=2),
    ],
    "5.3": [
        says("sqs SendMessageRequest.MessageGroupId", "always processed one at a time, in strict order"),
        says("sqs SendMessageRequest.DelaySeconds", "Valid values: 0 to 900"),
        says("sqs SendMessageRequest.DelaySeconds", "When you set FifoQueue, you can't set DelaySeconds per message"),
        says("sqs SendMessageRequest.MessageDeduplicationId", "5-minute deduplication interval"),
        says("sqs CreateQueueRequest.Attributes", "to 1,209,600 seconds (14 days)"),
    ],
    "9.1": [
        says("rds CreateDBClusterMessage.EnableVPCNetworking", "With WithExpressConfiguration, the default is false"),
        has("rds ModifyDBClusterMessage", *NETWORKING),
        has("rds DBCluster", "VPCNetworkingEnabled", "InternetAccessGatewayEnabled"),
        has("rds DBInstance", "VPCNetworkingEnabled"),
        says("rds DBCluster.VPCNetworkingEnabled", "only for an Aurora PostgreSQL DB cluster without VPC networking"),
    ],
    "9.2": [
        says("rds ModifyDBClusterMessage.DBSubnetGroupName", "in the same VPC or in a different VPC"),
        says("rds ModifyDBClusterMessage.DBSubnetGroupName", "uses the default security group of that VPC"),
        says("rds ModifyDBClusterMessage.VpcSecurityGroupIds", "even for a move within the same VPC"),
    ],
    "9.3": [
        values("elasticache ConnectionType", "vpc", "public"),
        says("elasticache CreateServerlessCacheRequest.ConnectionType", "cannot be changed after"),
        says("elasticache CreateServerlessCacheRequest.ConnectionType", "requires Valkey 9 or above"),
    ],
    "9.6": [
        says("rds RestoreDBInstanceFromDBSnapshotMessage.VpcSecurityGroupIds", "The default EC2 VPC security group"),
        says("rds CreateDBInstanceReadReplicaMessage.VpcSecurityGroupIds", "The default EC2 VPC security group"),
        has("rds RestoreDBClusterToPointInTimeMessage", "VpcSecurityGroupIds", "CopyTagsToSnapshot"),
        says("redshift RestoreFromClusterSnapshotMessage.VpcSecurityGroupIds", "The default VPC security group"),
        lacks("rds CreateBlueGreenDeploymentRequest", "SecurityGroup"),
    ],
    "10.1": [
        there("ec2", "ModifyManagedResourceVisibility"),
        has("ec2 DescribeInstancesRequest", "IncludeManagedResources"),
        has("ec2 DescribeNetworkInterfacesRequest", "IncludeManagedResources"),
        has("ec2 DescribeLaunchTemplateVersionsRequest", "IncludeManagedResources"),
        lacks("ec2 DescribeSecurityGroupsRequest", "Managed"),
        has("ec2 Instance", "Operator"),
        has("ec2 NetworkInterface", "Operator"),
        has("ec2 OperatorResponse", "Managed", "Principal"),
    ],
    "10.5": [
        says("ec2 AssociateSecurityGroupVpc", "You must own the security group"),
        says("ec2 AssociateSecurityGroupVpc", "You cannot use this feature with default security groups"),
        says("ec2 DeleteSecurityGroup", "has a VPC association"),
    ],
    "10.6": [says("ec2 DeleteSecurityGroup", "associated with an instance or network interface")],
    "11.12": [says("cloudformation CreateStackSetInput.Capabilities", "CAPABILITY_AUTO_EXPAND")],
}


def broken(release):
    """What the facts say of the models and does not hold in a release, as sentences."""
    return [
        f"fact {number} rests on what is no longer so: {check.what}"
        for number, checks in CHECKS.items()
        for check in checks
        if not check.holds(release)
    ]
