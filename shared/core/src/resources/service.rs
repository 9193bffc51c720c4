//! The service table: everything in which the data-store services differ for the planner, a row
//! each. Nothing else in this crate may ask which service a store belongs to.

use serde::{Deserialize, Serialize};

/// A data-store service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// RDS DB instances, Aurora clusters and Multi-AZ DB clusters.
    Rds,
    /// DocumentDB clusters, which the RDS API describes and modifies.
    DocumentDb,
    /// Neptune clusters, likewise.
    Neptune,
    /// ElastiCache replication groups, cache clusters and serverless caches.
    ElastiCache,
    /// Provisioned Redshift clusters.
    Redshift,
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

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct ServiceRow {
    /// The service.
    pub service: Service,
    /// Name for people.
    pub title: &'static str,
    /// Name pattern of the group on the store, without `-n`. For RDS it is the console's own, so
    /// that the console lists our connections under *Connected compute resources*.
    pub store_side: &'static str,
    /// Name pattern of the group on the instance, without `-n`.
    pub instance_side: &'static str,
    /// How many groups a store takes.
    pub store_group_limit: usize,
    /// Whether a status tag may be written on its stores: where a tag change takes a store out of
    /// service for a while, it may not.
    pub takes_status_tag: bool,
    /// Whether its stores' tags can be listed only in the states in which their groups can be changed.
    /// In the others they are known from the tag index alone, which may be stale.
    pub lists_tags_only_when_ready: bool,
    /// How the AWS CLI tags one of its stores: the service, the commands that set and take off.
    pub tag_commands: [&'static str; 3],
    /// States in which the list of groups may be changed.
    ready: &'static [&'static str],
    /// States that never come back to one of those.
    never: &'static [&'static str],
}

/// RDS takes five groups on a store, and AWS support confirms that no quota raises it.
const RDS_STORE_GROUP_LIMIT: usize = 5;

/// AWS does not document which states besides `available` accept a group change; the others here
/// are states in which the store serves and CloudFormation's own handlers find it modifiable. A
/// refusal after all is answered with another try, so a state too many costs one call.
const RDS_READY: &[&str] = &["available", "backing-up", "storage-optimization", "storage-full"];
const RDS_NEVER: &[&str] = &["deleting", "deleted", "failed", "restore-error", "cloning-failed", "migration-failed"];

/// No document names a limit for ElastiCache or Redshift. Their nodes have the list on network
/// interfaces, which take five groups by default; a store with more than that is left alone.
const INTERFACE_STORE_GROUP_LIMIT: usize = 5;

/// DocumentDB's and Neptune's clusters have ARNs of RDS, which tags them as well.
const RDS_TAG_COMMANDS: [&str; 3] = ["rds", "add-tags-to-resource", "remove-tags-from-resource"];

/// The table.
pub const SERVICES: [ServiceRow; 5] = [
    ServiceRow {
        service: Service::Rds,
        title: "RDS",
        store_side: "rds-ec2",
        instance_side: "ec2-rds",
        store_group_limit: RDS_STORE_GROUP_LIMIT,
        takes_status_tag: true,
        lists_tags_only_when_ready: false,
        tag_commands: RDS_TAG_COMMANDS,
        ready: RDS_READY,
        never: RDS_NEVER,
    },
    ServiceRow {
        service: Service::DocumentDb,
        title: "DocumentDB",
        store_side: "docdb-ec2",
        instance_side: "ec2-docdb",
        store_group_limit: RDS_STORE_GROUP_LIMIT,
        takes_status_tag: true,
        lists_tags_only_when_ready: false,
        tag_commands: RDS_TAG_COMMANDS,
        ready: RDS_READY,
        never: RDS_NEVER,
    },
    ServiceRow {
        service: Service::Neptune,
        title: "Neptune",
        store_side: "neptune-ec2",
        instance_side: "ec2-neptune",
        store_group_limit: RDS_STORE_GROUP_LIMIT,
        takes_status_tag: true,
        lists_tags_only_when_ready: false,
        tag_commands: RDS_TAG_COMMANDS,
        ready: RDS_READY,
        never: RDS_NEVER,
    },
    ServiceRow {
        service: Service::ElastiCache,
        title: "ElastiCache",
        store_side: "elasticache-ec2",
        instance_side: "ec2-elasticache",
        store_group_limit: INTERFACE_STORE_GROUP_LIMIT,
        takes_status_tag: false,
        lists_tags_only_when_ready: true,
        tag_commands: ["elasticache", "add-tags-to-resource", "remove-tags-from-resource"],
        ready: &["available"],
        never: &["deleting", "deleted", "create-failed", "restore-failed"],
    },
    ServiceRow {
        service: Service::Redshift,
        title: "Redshift",
        store_side: "redshift-ec2",
        instance_side: "ec2-redshift",
        store_group_limit: INTERFACE_STORE_GROUP_LIMIT,
        takes_status_tag: true,
        lists_tags_only_when_ready: false,
        tag_commands: ["redshift", "create-tags", "delete-tags"],
        ready: &["available", "available, prep-for-resize", "available, resize-cleanup"],
        never: &["deleting", "final-snapshot"],
    },
];

impl Service {
    /// The service's row.
    #[must_use]
    pub fn row(self) -> &'static ServiceRow {
        let [rds, document_db, neptune, elasticache, redshift] = &SERVICES;
        match self {
            Self::Rds => rds,
            Self::DocumentDb => document_db,
            Self::Neptune => neptune,
            Self::ElastiCache => elasticache,
            Self::Redshift => redshift,
        }
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

    /// The name pattern of the group for clients that are not instances, without `-n`.
    #[must_use]
    pub fn cidr_pattern(&self) -> String {
        format!("{}-cidr", self.store_side.trim_end_matches("-ec2"))
    }

    /// Whether a store in `state` (as the service names it, capital letters or not: serverless
    /// caches are `AVAILABLE`, all others `available`) lets its groups be changed.
    #[must_use]
    pub fn readiness(&self, state: &str) -> Readiness {
        let among = |states: &[&str]| states.iter().any(|other| other.eq_ignore_ascii_case(state));
        if among(self.ready) {
            Readiness::Ready
        } else if among(self.never) {
            Readiness::Never
        } else {
            Readiness::Later
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_at_its_service() {
        for row in &SERVICES {
            assert_eq!(row.service.row().title, row.title);
        }
    }

    #[test]
    fn no_two_patterns_are_the_same() {
        let of_pairs = SERVICES.iter().flat_map(|row| Side::BOTH.map(|side| row.pattern(side).to_owned()));
        let mut patterns: Vec<_> = of_pairs.chain(SERVICES.iter().map(ServiceRow::cidr_pattern)).collect();
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
