//! The tables of data-store services and of kinds of data stores: everything in which they differ,
//! a row each. Nothing else in this crate names one of them.

use serde::{Deserialize, Serialize};

/// Declares an enum whose variants are the rows of a table.
macro_rules! table {
    ($(#[$meta:meta])* $name:ident: $row:ident { $($(#[$doc:meta])* $variant:ident: $value:expr,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            $($(#[$doc])* $variant),*
        }

        impl $name {
            /// Every row, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The row.
            #[must_use]
            pub fn row(self) -> &'static $row {
                match self {
                    $(Self::$variant => const { &$value }),*
                }
            }
        }
    };
}

/// Which of the two groups of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Attached to the data store; lets the instance side in.
    Store,
    /// Attached to every instance that may reach the store; lets it out to the store side.
    Instance,
}

impl Side {
    /// Both sides, store first.
    pub const BOTH: [Self; 2] = [Self::Store, Self::Instance];

    /// The value of the side tag.
    #[must_use]
    pub fn tag_value(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Instance => "instance",
        }
    }

    /// The other side.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Store => Self::Instance,
            Self::Instance => Self::Store,
        }
    }
}

/// Whether a store in some state lets its list of groups be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// The call can be made now.
    Ready,
    /// The call would be refused now; the state passes by itself or by somebody's hand.
    Later,
    /// The store is on its way out or broken for good.
    Never,
}

/// A row of the table of services.
#[derive(Debug, Clone, Copy)]
pub struct ServiceRow {
    /// Name for people.
    pub title: &'static str,
    /// Name pattern of the group on the store, without `-n`. For RDS it is the console's own, so
    /// that the console lists our connections under *Connected compute resources*.
    pub store_side: &'static str,
    /// Name pattern of the group on the instance, without `-n`.
    pub instance_side: &'static str,
    /// How the names of the groups begin that the service's own console makes on a store and on an instance,
    /// before the store's name; none where they have the patterns above, or where no console makes any.
    pub console_prefixes: Option<[&'static str; 2]>,
    /// How many groups a store takes.
    pub store_group_limit: usize,
    /// Whether a status tag may be written on its stores: where a tag change takes a store out of
    /// service for a while, it may not.
    pub takes_status_tag: bool,
    /// Whether its stores' tags can be listed only in the states in which their groups can be changed.
    /// In the others they are known from the tag index alone, which may be stale.
    pub lists_tags_only_when_ready: bool,
    /// States in which the list of groups may be changed.
    ready: &'static [&'static str],
    /// States of a store that is being deleted.
    leaving: &'static [&'static str],
    /// States in which a store is broken for good.
    broken: &'static [&'static str],
}

/// RDS takes five groups on a store, and AWS support confirms that no quota raises it.
// Fact 3.2
const RDS_STORE_GROUP_LIMIT: usize = 5;

/// AWS does not document which states besides `available` accept a group change; the others here
/// are states in which the store serves and CloudFormation's own handlers find it modifiable. A
/// refusal after all is answered with another try, so a state too many costs one call.
// Fact 4.1
const RDS_READY: &[&str] = &["available", "backing-up", "storage-optimization", "storage-full"];
const RDS_LEAVING: &[&str] = &["deleting", "deleted"];
const RDS_BROKEN: &[&str] = &["failed", "restore-error", "cloning-failed", "migration-failed"];

/// What RDS and Redshift call a store that somebody stopped or paused.
const AT_REST: &[&str] = &["stopped", "paused"];

/// No document names a limit for ElastiCache or Redshift. Their nodes have the list on network
/// interfaces, which take five groups by default; a store with more than that is left alone.
// Fact 3.2
const INTERFACE_STORE_GROUP_LIMIT: usize = 5;

const RDS: ServiceRow = ServiceRow {
    title: "RDS",
    // Fact 2.1
    store_side: "rds-ec2",
    instance_side: "ec2-rds",
    console_prefixes: None,
    store_group_limit: RDS_STORE_GROUP_LIMIT,
    takes_status_tag: true,
    lists_tags_only_when_ready: false,
    ready: RDS_READY,
    leaving: RDS_LEAVING,
    broken: RDS_BROKEN,
};

table! {
    /// A data-store service.
    Service: ServiceRow {
        /// RDS DB instances, Aurora clusters and Multi-AZ DB clusters.
        Rds: RDS,
        /// DocumentDB clusters, which the RDS API describes and modifies.
        DocumentDb: ServiceRow {
            title: "DocumentDB",
            store_side: "docdb-ec2",
            instance_side: "ec2-docdb",
            ..RDS
        },
        /// Neptune clusters, likewise.
        Neptune: ServiceRow {
            title: "Neptune",
            store_side: "neptune-ec2",
            instance_side: "ec2-neptune",
            ..RDS
        },
        /// ElastiCache replication groups, cache clusters and serverless caches.
        ElastiCache: ServiceRow {
            title: "ElastiCache",
            // Fact 2.6
            store_side: "elasticache-ec2",
            instance_side: "ec2-elasticache",
            // Fact 2.7
            console_prefixes: Some(["ec2-elasticache:", "elasticache-ec2-"]),
            store_group_limit: INTERFACE_STORE_GROUP_LIMIT,
            takes_status_tag: false,
            lists_tags_only_when_ready: true,
            ready: &["available"],
            leaving: &["deleting", "deleted"],
            broken: &["create-failed", "restore-failed"],
        },
        /// Provisioned Redshift clusters.
        Redshift: ServiceRow {
            title: "Redshift",
            store_side: "redshift-ec2",
            instance_side: "ec2-redshift",
            console_prefixes: None,
            store_group_limit: INTERFACE_STORE_GROUP_LIMIT,
            takes_status_tag: true,
            lists_tags_only_when_ready: false,
            ready: &["available", "available, prep-for-resize", "available, resize-cleanup"],
            leaving: &["deleting", "final-snapshot"],
            broken: &[],
        },
    }
}

/// An API of AWS that describes and changes data stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreApi {
    /// Its name in ARNs, in the tag index, in the sources of events and in the AWS CLI.
    pub name: &'static str,
    /// The `detail-type` of the events that it sends about its stores.
    pub events: &'static [&'static str],
    /// The commands of the AWS CLI that set and remove a tag.
    pub tag_commands: [&'static str; 2],
    /// The same as calls in events of CloudTrail; empty where tag changes come as events of their own.
    pub tag_calls: &'static [&'static str],
}

/// Also the API of DocumentDB's and Neptune's clusters.
const RDS_API: StoreApi = StoreApi {
    name: "rds",
    events: &["RDS DB Instance Event", "RDS DB Cluster Event"],
    tag_commands: ["add-tags-to-resource", "remove-tags-from-resource"],
    tag_calls: &[],
};

// Fact 1.4
const ELASTICACHE_API: StoreApi = StoreApi {
    name: "elasticache",
    events: &["Cache Created", "Cache Updated", "Cache Deleted"],
    tag_commands: ["add-tags-to-resource", "remove-tags-from-resource"],
    tag_calls: &["AddTagsToResource", "RemoveTagsFromResource"],
};

// Fact 1.5
const REDSHIFT_API: StoreApi = StoreApi {
    name: "redshift",
    events: &[],
    tag_commands: ["create-tags", "delete-tags"],
    tag_calls: &["CreateTags", "DeleteTags"],
};

/// The command of the AWS CLI that turns the VPC networking of an Aurora cluster on. Its groups have to be named:
/// left out, AWS gives it the default group of the VPC.
// Facts 9.1 and 9.2
pub(crate) fn turn_vpc_networking_on(cluster: &str) -> String {
    format!(
        "aws rds modify-db-cluster --db-cluster-identifier {cluster} --enable-vpc-networking --no-enable-internet-access-gateway --db-subnet-group-name SUBNET_GROUP_OF_ITS_INSTANCES_VPC --vpc-security-group-ids SECURITY_GROUP_OF_YOURS"
    )
}

impl StoreApi {
    /// The API that is the source of an event, such as `aws.rds`.
    #[must_use]
    pub fn of_source(source: &str) -> Option<Self> {
        let name = source.strip_prefix("aws.")?;
        StoreKind::ALL.iter().map(|kind| kind.row().api).find(|api| api.name == name)
    }

    /// Whether tag changes, and calls that change a store, are reported by CloudTrail alone.
    #[must_use]
    pub fn needs_cloudtrail(&self) -> bool {
        !self.tag_calls.is_empty()
    }

    /// The kind of store that a call changes, by the name of the call.
    #[must_use]
    pub fn kind_changed_by(&self, call: &str) -> Option<StoreKind> {
        let changed = |kind: &StoreKind| kind.row().api == *self && kind.row().calls.contains(&call);
        StoreKind::ALL.iter().copied().find(changed)
    }
}

/// One kind of data store that an ARN can name.
#[derive(Debug, Clone, Copy)]
pub struct StoreKindRow {
    /// The API that describes and changes stores of this kind.
    pub api: StoreApi,
    /// The resource type in ARNs and in the tag index.
    pub resource: &'static str,
    /// The word of people for it, as in `cluster/orders`.
    pub word: &'static str,
    /// The service of a store that only its ARN is known of. DocumentDB and Neptune clusters are
    /// distinguished by their description alone.
    pub usual_service: Service,
    /// The calls, in events of CloudTrail, after which a store is looked at; empty where the API
    /// sends events of its own about stores of this kind.
    pub calls: &'static [&'static str],
    /// The parameter of those calls that holds the store's name.
    pub name_parameter: &'static str,
}

impl StoreKindRow {
    /// The resource type as the tag index names it: `rds:cluster`.
    #[must_use]
    pub fn index_type(&self) -> String {
        format!("{}:{}", self.api.name, self.resource)
    }
}

table! {
    /// The kinds of data store that an ARN can name.
    StoreKind: StoreKindRow {
        /// An Aurora, Multi-AZ, DocumentDB or Neptune cluster.
        DbCluster: StoreKindRow {
            api: RDS_API,
            resource: "cluster",
            word: "cluster",
            usual_service: Service::Rds,
            calls: &[],
            name_parameter: "",
        },
        /// A DB instance.
        DbInstance: StoreKindRow {
            api: RDS_API,
            resource: "db",
            word: "db",
            usual_service: Service::Rds,
            calls: &[],
            name_parameter: "",
        },
        /// An ElastiCache replication group.
        ReplicationGroup: StoreKindRow {
            api: ELASTICACHE_API,
            resource: "replicationgroup",
            word: "replicationgroup",
            usual_service: Service::ElastiCache,
            calls: &["CreateReplicationGroup", "DeleteReplicationGroup", "ModifyReplicationGroup"],
            name_parameter: "replicationGroupId",
        },
        /// An ElastiCache cache cluster, alone or a member of a replication group.
        CacheCluster: StoreKindRow {
            api: ELASTICACHE_API,
            resource: "cluster",
            word: "cache",
            usual_service: Service::ElastiCache,
            calls: &["CreateCacheCluster", "DeleteCacheCluster", "ModifyCacheCluster"],
            name_parameter: "cacheClusterId",
        },
        /// An ElastiCache serverless cache.
        ServerlessCache: StoreKindRow {
            api: ELASTICACHE_API,
            resource: "serverlesscache",
            word: "serverlesscache",
            usual_service: Service::ElastiCache,
            calls: &[],
            name_parameter: "",
        },
        /// A provisioned Redshift cluster.
        RedshiftCluster: StoreKindRow {
            api: REDSHIFT_API,
            resource: "cluster",
            word: "redshift",
            usual_service: Service::Redshift,
            calls: &[
                "CreateCluster",
                "DeleteCluster",
                "ModifyCluster",
                "RestoreFromClusterSnapshot",
                "ResumeCluster",
            ],
            name_parameter: "clusterIdentifier",
        },
    }
}

impl ServiceRow {
    /// The name pattern of one side, without `-n`.
    #[must_use]
    pub fn pattern(&self, side: Side) -> &'static str {
        match side {
            Side::Store => self.store_side,
            Side::Instance => self.instance_side,
        }
    }

    /// How the names begin that the service's own console gives to the groups of one side.
    #[must_use]
    pub fn console_prefix(&self, side: Side) -> Option<&'static str> {
        let [on_store, on_instance] = self.console_prefixes?;
        Some(match side {
            Side::Store => on_store,
            Side::Instance => on_instance,
        })
    }

    /// The name pattern of the group for clients that are not instances, without `-n`.
    #[must_use]
    pub fn cidr_pattern(&self) -> String {
        format!("{}-cidr", self.store_side.trim_end_matches("-ec2"))
    }

    /// The name patterns of all its groups, without `-n`.
    #[must_use]
    pub fn patterns(&self) -> [String; 3] {
        [self.store_side.to_owned(), self.instance_side.to_owned(), self.cidr_pattern()]
    }

    /// Whether a store in `state` is being deleted.
    #[must_use]
    pub fn is_leaving(&self, state: &str) -> bool {
        self.leaving.iter().any(|other| other.eq_ignore_ascii_case(state))
    }

    /// Whether somebody put a store in `state` to rest: it stays so until it is started again, which sends an event.
    #[must_use]
    pub fn is_at_rest(&self, state: &str) -> bool {
        AT_REST.iter().any(|other| other.eq_ignore_ascii_case(state))
    }

    /// Whether a store in `state` (as the service names it, capital letters or not: serverless
    /// caches are `AVAILABLE`, all others `available`) lets its groups be changed.
    #[must_use]
    pub fn readiness(&self, state: &str) -> Readiness {
        let among = |states: &[&str]| states.iter().any(|other| other.eq_ignore_ascii_case(state));
        if among(self.ready) {
            Readiness::Ready
        } else if self.is_leaving(state) || among(self.broken) {
            Readiness::Never
        } else {
            Readiness::Later
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_kinds_share_a_word_or_an_index_type() {
        for column in [|kind: &StoreKind| kind.row().word.to_owned(), |kind: &StoreKind| kind.row().index_type()] {
            let column: BTreeSet<String> = StoreKind::ALL.iter().map(column).collect();
            assert_eq!(column.len(), StoreKind::ALL.len(), "{column:?}");
        }
    }

    #[test]
    fn no_two_patterns_are_the_same() {
        let mut patterns: Vec<String> = Service::ALL.iter().flat_map(|service| service.row().patterns()).collect();
        patterns.sort_unstable();
        let before = patterns.len();
        patterns.dedup();
        assert_eq!(patterns.len(), before);
    }

    #[test]
    fn an_unknown_state_is_one_that_may_pass() {
        let row = Service::Rds.row();
        assert_eq!(row.readiness("available"), Readiness::Ready);
        assert_eq!(row.readiness("modifying"), Readiness::Later);
        assert_eq!(row.readiness("a-state-of-next-year"), Readiness::Later);
        assert_eq!(row.readiness("deleting"), Readiness::Never);
    }

    #[test]
    fn every_service_says_in_which_states_it_can_be_changed() {
        let states = [
            (Service::ElastiCache, "available", Readiness::Ready),
            (Service::ElastiCache, "AVAILABLE", Readiness::Ready),
            (Service::ElastiCache, "snapshotting", Readiness::Later),
            (Service::ElastiCache, "MODIFYING", Readiness::Later),
            (Service::ElastiCache, "CREATE-FAILED", Readiness::Never),
            (Service::ElastiCache, "deleting", Readiness::Never),
            (Service::Redshift, "available", Readiness::Ready),
            (Service::Redshift, "available, prep-for-resize", Readiness::Ready),
            (Service::Redshift, "paused", Readiness::Later),
            (Service::Redshift, "creating", Readiness::Later),
            (Service::Redshift, "final-snapshot", Readiness::Never),
            (Service::DocumentDb, "creating", Readiness::Later),
            (Service::Neptune, "available", Readiness::Ready),
        ];
        for (service, state, readiness) in states {
            assert_eq!(service.row().readiness(state), readiness, "{service:?} {state}");
        }
    }
}
