//! What a store is of which AWS leaves something out: every field of a description that the adapters look for,
//! asked for over the wire and planned for.

use std::fmt::Write as _;

use tagwire_core::{
    id::StoreArn,
    observation::{StoreLookup, Subject},
    plan::{Verdict, plan},
};
use tagwire_engine::cloud::Observe;
use tagwire_world::World;

use crate::testing::Script;

/// A kind of store, and whole descriptions: the store's own and, for what is not in it, those of other calls.
struct Kind {
    called: &'static str,
    arn: &'static str,
    describe: (&'static str, &'static str),
    beside: &'static [(&'static str, &'static str)],
    /// The fields that may be left out, with what AWS shows in their place, and with words for it.
    left_out: &'static [(&'static str, &'static str, &'static str)],
}

const DB_SUBNETS: (&str, &str) = (
    "Action=DescribeDBSubnetGroups",
    "<DescribeDBSubnetGroupsResponse><DescribeDBSubnetGroupsResult><DBSubnetGroups><DBSubnetGroup><DBSubnetGroupName>net</DBSubnetGroupName><VpcId>vpc-1</VpcId></DBSubnetGroup></DBSubnetGroups></DescribeDBSubnetGroupsResult></DescribeDBSubnetGroupsResponse>",
);
const CACHE_SUBNETS: (&str, &str) = (
    "Action=DescribeCacheSubnetGroups",
    "<DescribeCacheSubnetGroupsResponse><DescribeCacheSubnetGroupsResult><CacheSubnetGroups><CacheSubnetGroup><VpcId>vpc-1</VpcId></CacheSubnetGroup></CacheSubnetGroups></DescribeCacheSubnetGroupsResult></DescribeCacheSubnetGroupsResponse>",
);
const CACHE_TAGS: (&str, &str) = (
    "Action=ListTagsForResource",
    "<ListTagsForResourceResponse><ListTagsForResourceResult><TagList><Tag><Key>k</Key><Value>orders</Value></Tag></TagList></ListTagsForResourceResult></ListTagsForResourceResponse>",
);
const INDEX: (&str, &str) =
    ("ResourceARNList", r#"{"ResourceTagMappingList":[{"ResourceARN":"ARN","Tags":[{"Key":"k","Value":"orders"}]}]}"#);
const EC2_GROUP: (&str, &str) = (
    "Action=DescribeSecurityGroups",
    "<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>sg-1</groupId><groupName>web</groupName><groupDescription>d</groupDescription><vpcId>vpc-1</vpcId></item></securityGroupInfo></DescribeSecurityGroupsResponse>",
);
const MEMBER: (&str, &str) = (
    "Action=DescribeCacheClusters",
    "<DescribeCacheClustersResponse><DescribeCacheClustersResult><CacheClusters><CacheCluster><CacheClusterId>a-001</CacheClusterId><ARN>arn:aws:elasticache:eu-west-1:123456789012:cluster:a-001</ARN><CacheClusterStatus>STATE</CacheClusterStatus><CacheSubnetGroupName>net</CacheSubnetGroupName><SecurityGroups><member><SecurityGroupId>sg-1</SecurityGroupId><Status>active</Status></member></SecurityGroups></CacheCluster></CacheClusters></DescribeCacheClustersResult></DescribeCacheClustersResponse>",
);

const KINDS: [Kind; 6] = [
    Kind {
        called: "DB cluster",
        arn: "arn:aws:rds:eu-west-1:123456789012:cluster:a",
        describe: (
            "Action=DescribeDBClusters",
            "<DescribeDBClustersResponse><DescribeDBClustersResult><DBClusters><DBCluster><DBClusterIdentifier>a</DBClusterIdentifier><DBClusterArn>ARN</DBClusterArn><DbClusterResourceId>cluster-A</DbClusterResourceId><Engine>aurora-mysql</Engine><Status>STATE</Status><Port>3306</Port><DBSubnetGroup>net</DBSubnetGroup><AvailabilityZones><AvailabilityZone>eu-west-1a</AvailabilityZone></AvailabilityZones><VpcSecurityGroups><VpcSecurityGroupMembership><VpcSecurityGroupId>sg-1</VpcSecurityGroupId><Status>active</Status></VpcSecurityGroupMembership></VpcSecurityGroups><TagList><Tag><Key>k</Key><Value>orders</Value></Tag></TagList></DBCluster></DBClusters></DescribeDBClustersResult></DescribeDBClustersResponse>",
        ),
        beside: &[DB_SUBNETS],
        left_out: &[
            ("Port", "", "`Port`"),
            ("DBSubnetGroup", "", "`DBSubnetGroup`"),
            (
                "DBSubnetGroup",
                "<VPCNetworkingEnabled>false</VPCNetworkingEnabled>",
                "`DBSubnetGroup`, with `VPCNetworkingEnabled=false`",
            ),
            ("VpcSecurityGroups", "", "`VpcSecurityGroups`"),
            ("AvailabilityZones", "", "`AvailabilityZones`"),
            ("Status", "", "`Status`"),
            ("Engine", "", "`Engine`"),
            ("DbClusterResourceId", "", "`DbClusterResourceId`"),
        ],
    },
    Kind {
        called: "DB instance",
        arn: "arn:aws:rds:eu-west-1:123456789012:db:a",
        describe: (
            "Action=DescribeDBInstances",
            "<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances><DBInstance><DBInstanceIdentifier>a</DBInstanceIdentifier><DBInstanceArn>ARN</DBInstanceArn><DbiResourceId>db-A</DbiResourceId><Engine>mysql</Engine><DBInstanceStatus>STATE</DBInstanceStatus><Endpoint><Port>3306</Port></Endpoint><DBSubnetGroup><VpcId>vpc-1</VpcId></DBSubnetGroup><AvailabilityZone>eu-west-1a</AvailabilityZone><VpcSecurityGroups><VpcSecurityGroupMembership><VpcSecurityGroupId>sg-1</VpcSecurityGroupId><Status>active</Status></VpcSecurityGroupMembership></VpcSecurityGroups><TagList><Tag><Key>k</Key><Value>orders</Value></Tag></TagList></DBInstance></DBInstances></DescribeDBInstancesResult></DescribeDBInstancesResponse>",
        ),
        beside: &[],
        left_out: &[
            ("Endpoint", "", "`Endpoint`, `DbInstancePort`"),
            ("DBSubnetGroup", "", "`DBSubnetGroup`"),
            (
                "DBSubnetGroup",
                "<DBSecurityGroups><DBSecurityGroup><DBSecurityGroupName>default</DBSecurityGroupName></DBSecurityGroup></DBSecurityGroups>",
                "`DBSubnetGroup`, with `DBSecurityGroups`",
            ),
            ("VpcSecurityGroups", "", "`VpcSecurityGroups`"),
            ("AvailabilityZone", "", "`AvailabilityZone`"),
            ("DBInstanceStatus", "", "`DBInstanceStatus`"),
            ("Engine", "", "`Engine`"),
            ("DbiResourceId", "", "`DbiResourceId`"),
        ],
    },
    Kind {
        called: "replication group",
        arn: "arn:aws:elasticache:eu-west-1:123456789012:replicationgroup:a",
        describe: (
            "Action=DescribeReplicationGroups",
            "<DescribeReplicationGroupsResponse><DescribeReplicationGroupsResult><ReplicationGroups><ReplicationGroup><ReplicationGroupId>a</ReplicationGroupId><ARN>ARN</ARN><Status>STATE</Status><MemberClusters><ClusterId>a-001</ClusterId></MemberClusters><NodeGroups><NodeGroup><PrimaryEndpoint><Port>6379</Port></PrimaryEndpoint></NodeGroup></NodeGroups></ReplicationGroup></ReplicationGroups></DescribeReplicationGroupsResult></DescribeReplicationGroupsResponse>",
        ),
        beside: &[MEMBER, CACHE_SUBNETS, CACHE_TAGS, INDEX],
        left_out: &[
            ("MemberClusters", "", "`MemberClusters`"),
            ("NodeGroups", "", "`NodeGroups`, `ConfigurationEndpoint`"),
            ("Status", "", "`Status`"),
        ],
    },
    Kind {
        called: "cache cluster",
        arn: "arn:aws:elasticache:eu-west-1:123456789012:cluster:a",
        describe: (
            "Action=DescribeCacheClusters",
            "<DescribeCacheClustersResponse><DescribeCacheClustersResult><CacheClusters><CacheCluster><CacheClusterId>a</CacheClusterId><ARN>ARN</ARN><CacheClusterStatus>STATE</CacheClusterStatus><CacheSubnetGroupName>net</CacheSubnetGroupName><CacheNodes><CacheNode><Endpoint><Port>11211</Port></Endpoint></CacheNode></CacheNodes><SecurityGroups><member><SecurityGroupId>sg-1</SecurityGroupId><Status>active</Status></member></SecurityGroups></CacheCluster></CacheClusters></DescribeCacheClustersResult></DescribeCacheClustersResponse>",
        ),
        beside: &[CACHE_SUBNETS, CACHE_TAGS, INDEX],
        left_out: &[
            ("CacheNodes", "", "`CacheNodes`, `ConfigurationEndpoint`"),
            ("CacheSubnetGroupName", "", "`CacheSubnetGroupName`"),
            (
                "CacheSubnetGroupName",
                "<CacheSecurityGroups><CacheSecurityGroup><CacheSecurityGroupName>default</CacheSecurityGroupName></CacheSecurityGroup></CacheSecurityGroups>",
                "`CacheSubnetGroupName`, with `CacheSecurityGroups`",
            ),
            ("SecurityGroups", "", "`SecurityGroups`"),
            ("CacheClusterStatus", "", "`CacheClusterStatus`"),
        ],
    },
    Kind {
        called: "serverless cache",
        arn: "arn:aws:elasticache:eu-west-1:123456789012:serverlesscache:a",
        describe: (
            "Action=DescribeServerlessCaches",
            "<DescribeServerlessCachesResponse><DescribeServerlessCachesResult><ServerlessCaches><member><ServerlessCacheName>a</ServerlessCacheName><ARN>ARN</ARN><Status>STATE</Status><Endpoint><Port>6379</Port></Endpoint><SecurityGroupIds><SecurityGroupId>sg-1</SecurityGroupId></SecurityGroupIds></member></ServerlessCaches></DescribeServerlessCachesResult></DescribeServerlessCachesResponse>",
        ),
        beside: &[EC2_GROUP, CACHE_TAGS, INDEX],
        left_out: &[
            ("Endpoint", "", "`Endpoint`, `ReaderEndpoint`"),
            ("SecurityGroupIds", "", "`SecurityGroupIds`"),
            (
                "SecurityGroupIds",
                "<ConnectionType>public</ConnectionType>",
                "`SecurityGroupIds`, with `ConnectionType=public`",
            ),
            ("Status", "", "`Status`"),
        ],
    },
    Kind {
        called: "Redshift cluster",
        arn: "arn:aws:redshift:eu-west-1:123456789012:cluster:a",
        describe: (
            "Action=DescribeClusters",
            "<DescribeClustersResponse><DescribeClustersResult><Clusters><Cluster><ClusterIdentifier>a</ClusterIdentifier><ClusterStatus>STATE</ClusterStatus><ClusterNamespaceArn>arn:aws:redshift:eu-west-1:123456789012:namespace:n</ClusterNamespaceArn><VpcId>vpc-1</VpcId><AvailabilityZone>eu-west-1a</AvailabilityZone><Endpoint><Port>5439</Port></Endpoint><VpcSecurityGroups><VpcSecurityGroup><VpcSecurityGroupId>sg-1</VpcSecurityGroupId><Status>active</Status></VpcSecurityGroup></VpcSecurityGroups><Tags><Tag><Key>k</Key><Value>orders</Value></Tag></Tags></Cluster></Clusters></DescribeClustersResult></DescribeClustersResponse>",
        ),
        beside: &[],
        left_out: &[
            ("Endpoint", "", "`Endpoint`"),
            ("VpcId", "", "`VpcId`"),
            (
                "VpcId",
                "<ClusterSecurityGroups><ClusterSecurityGroup><ClusterSecurityGroupName>default</ClusterSecurityGroupName></ClusterSecurityGroup></ClusterSecurityGroups>",
                "`VpcId`, with `ClusterSecurityGroups`",
            ),
            ("VpcSecurityGroups", "", "`VpcSecurityGroups`"),
            ("AvailabilityZone", "", "`AvailabilityZone`"),
            ("ClusterStatus", "", "`ClusterStatus`"),
            ("ClusterNamespaceArn", "", "`ClusterNamespaceArn`"),
        ],
    },
];

/// An answer with another text in place of its first element of a name.
fn with(answer: &str, element: &str, other: &str) -> String {
    let (start, end) = (format!("<{element}>"), format!("</{element}>"));
    let (before, rest) = answer.split_once(&start).unwrap_or_else(|| panic!("no {element} in {answer}"));
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{other}{after}")
}

/// What becomes of an instance and the store, which share a name, when the service describes it so.
async fn outcome(kind: &Kind, description: &str, state: &str) -> String {
    let said = |answer: &str| answer.replace("\"ARN\"", &format!("\"{}\"", kind.arn)).replace("STATE", state);
    let own = said(description).replace(">ARN<", &format!(">{}<", kind.arn));
    let (call, _) = kind.describe;
    let script = kind
        .beside
        .iter()
        .fold(Script::default().to(call, 200, own), |script, (call, answer)| script.to(call, 200, said(answer)));
    let arn = StoreArn::parse(kind.arn).unwrap();
    let stores = script.aws().stores(&[arn.clone()].into()).await;
    if let [gap] = &stores.gaps[..] {
        assert!(stores.found.is_empty(), "{stores:?}");
        assert_eq!(gap.resources, [Subject::Store(arn)].into(), "it hides nothing else");
        return format!("unread{}", if gap.passing { ", for a while" } else { "" });
    }
    assert!(matches!(stores.found[..], [StoreLookup::Found(_)]), "{stores:?}");
    let mut world = World::read("instance i-1 connect=orders").unwrap();
    world.seen.stores = stores;
    let plan = plan(&world.seen, &world.policy);
    let [decision] = &plan.decisions[..] else { panic!("not one decision: {plan}") };
    match &decision.verdict {
        Verdict::Connecting => "connected".to_owned(),
        Verdict::Waiting(reason) => format!("waits: `{}`", reason.code()),
        Verdict::Refused(reason) => format!("refused: `{}`", reason.code()),
        other @ (Verdict::Connected(_) | Verdict::Disconnecting(_) | Verdict::HeldBack(_)) => panic!("{other}"),
    }
}

const STATES: [&str; 3] = ["available", "creating", "deleting"];

async fn row(kind: &Kind, words: &str, description: &str) -> String {
    let mut line = format!("| {} | {words} |", kind.called);
    for state in STATES {
        let _ = write!(line, " {} |", outcome(kind, description, state).await);
    }
    line
}

#[tokio::test]
async fn whatever_aws_leaves_out_of_a_store_is_a_finding_about_that_store() {
    let mut table =
        String::from("| data store | without | `available` | `creating` | `deleting` |\n|---|---|---|---|---|\n");
    for kind in &KINDS {
        let whole = kind.describe.1;
        let _ = writeln!(table, "{}", row(kind, "nothing", whole).await);
        for (element, other, words) in kind.left_out {
            let _ = writeln!(table, "{}", row(kind, words, &with(whole, element, other)).await);
        }
    }
    let documented = include_str!("../../../../docs/decisions/011-what-aws-leaves-out.md");
    assert!(documented.contains(&table), "the table of this decision is out of date:\n{table}");
}
