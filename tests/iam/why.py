"""Why a role may do something, and why no end-to-end test shows that it does."""

# By the action and the name of its statement, or by the name alone where all of a statement are for one thing.
WHY = {
    # Reads
    ("ec2:DescribeInstances", "ReadNetwork"): "tags, state and VPC of instances",
    ("ec2:DescribeSecurityGroups", "ReadNetwork"): (
        "the groups that are tagwire's; of a store that was deleted they alone show its VPC"
    ),
    ("ec2:DescribeNetworkInterfaces", "ReadNetwork"): "which groups are attached, and to whom",
    ("ec2:DescribeLaunchTemplateVersions", "ReadNetwork"): "no group that a template names is deleted",
    ("ec2:DescribeManagedPrefixLists", "ReadNetwork"): "whose a prefix list is that a tag lets in",
    "ReadOwnPrefixLists": "no list is let in before its entries are known to be narrow enough",
    "ReadDatabases": "tags, state and groups; a cluster's VPC is known through its subnet group only",
    "ReadCaches": "tags, state and groups; a cache's tags are listed by a call of their own",
    "ReadRedshiftClusters": "tags, state and groups; that the call knows resources could not be confirmed",
    "ReadTagIndex": "finds what carries the tag; tags of a cache while ElastiCache does not list them",
    "ReadState": "the window of removals, what waits, what was asked",
    # Messages and logs
    "TakeOwnWork": "Lambda receives the messages under the function's role",
    "PassWorkOn": "hands a VPC on; asks again later for what is not ready yet",
    "WriteOwnLogs": "Lambda writes the function's log; it cannot make one",
    "SendTraces": "Lambda sends the function's traces, which X-Ray limits to no resource",
    "StartSweep": "the schedule starts it",
    "KeepWhatFailed": "the schedule keeps what it could not deliver",
    # Groups
    "CreateGroupAsOurs": "makes a pair",
    "CreateGroupInVpc": "EC2 checks the call against the VPC as well, which may be shared; grants nothing by itself",
    "TagGroupWhileCreatingIt": "tags at creation need it; it also decides which others may be set then",
    "TagOwnedGroup": "writes the store's ARN anew after a rename",
    "ChangeOrDeleteOwnedGroup": "the rules of a pair, and its end",
    # Lists
    "SetGroupsOfInterface": "attaches and detaches the instance side; see below",
    "SetGroupsOfDatabase": "attaches and detaches the store side; see below",
    "SetGroupsOfCache": "attaches and detaches the store side; see below",
    "SetGroupsOfRedshiftCluster": "attaches and detaches the store side; see below",
    "LetElastiCacheReadNetwork": (
        "ElastiCache's reference lists it as needed by whoever changes a cache; the role itself cannot use it"
    ),
    "LetElastiCacheSetUpInterfaces": (
        "ElastiCache's reference lists it as needed by whoever changes a cache; the role itself cannot use it"
    ),
    # State and status
    "WriteState": "a removal is written down before it is made, the result of a request after it",
    "TagInstanceWithStatus": "`StatusTags=on` only",
    "TagDatabaseWithStatus": "`StatusTags=on` only",
    "TagRedshiftClusterWithStatus": "`StatusTags=on` only; caches get no status",
}

# By the name of the statement: what a role has and no function uses itself, so that the local AWS makes no such call.
MADE_BY_AWS = {
    "TakeOwnWork": "Lambda's poller",
    "WriteOwnLogs": "Lambda",
    "SendTraces": "Lambda",
    "StartSweep": "the scheduler",
    "KeepWhatFailed": "the scheduler",
    "LetElastiCacheReadNetwork": "ElastiCache",
    "LetElastiCacheSetUpInterfaces": "ElastiCache",
}
