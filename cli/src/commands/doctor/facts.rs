//! Everything that the doctor read, before it is judged.

use jiff::Timestamp;
use tagwire_aws::{Identity, Platform, Probe, QueueDepth, Refusal, Stack, TagPolicy, Trail};
use tagwire_core::{group::SecurityGroup, id::VpcId, model::Instance, observation::Reading, state::VpcState};
use tagwire_engine::cloud::{CloudError, TaggedStore};

use super::check::CommandTarget;
use crate::installation::Installation;

/// A result of reading.
pub(super) type Read<T> = Result<T, CloudError>;

/// The caller, as far as known without asking for anything else.
#[derive(Debug, Clone)]
pub(super) struct CallerFacts {
    pub(super) target: CommandTarget,
    /// The caller's identity.
    pub(super) identity: Read<Identity>,
}

/// Everything that was read of the account and its installation.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The time.
    pub(super) now: Timestamp,
    /// The state of the Region, in EC2's word; `None` when there is no such Region.
    pub(super) region: Read<Option<String>>,
    /// The platforms that instances can be launched into.
    pub(super) platform: Read<Platform>,
    /// The trails that this Region sees.
    pub(super) trails: Read<Vec<Trail>>,
    /// The organization's tag policy.
    pub(super) tag_policy: Read<TagPolicy>,
    /// The calls that the command line makes, each tried once.
    pub(super) probes: Vec<Probe>,
    /// Quotas of security groups and their use.
    pub(super) quotas: Quotas,
    /// Roles by which services manage their own interfaces.
    pub(super) service_roles: Vec<(ServiceRole, Read<bool>)>,
    /// The data stores that carry the connect tag.
    pub(super) stores: Reading<TaggedStore>,
    /// The instances that carry the connect tag.
    pub(super) instances: Reading<Instance>,
    /// The groups that are tagwire's.
    pub(super) groups: Reading<SecurityGroup>,
    /// The name given with `--stack-name`.
    pub(super) requested_stack: Option<String>,
    /// The stack, if there is one.
    pub(super) stack: Read<Option<Installed>>,
    /// The settings of the installation; the template's defaults without one.
    pub(super) installation: Installation,
}

/// A stack and its resources.
#[derive(Debug, Clone)]
pub(super) struct Installed {
    /// The stack.
    pub(super) stack: Stack,
    /// The message about a parameter that no stack of tagwire has.
    pub(super) unknown_parameter: Option<String>,
    /// The ARN of connect's role; `None` when the stack has no such role.
    pub(super) role: Read<Option<String>>,
    /// The calls that connect's role has to make and may not; `None` when IAM was not asked.
    pub(super) refusals: Option<Read<Vec<Refusal>>>,
    /// The queues, by the name of their output.
    pub(super) queues: Vec<(&'static str, Read<QueueDepth>)>,
    /// The state of each VPC of interest, without its attachments.
    pub(super) states: Reading<(VpcId, Read<VpcState>)>,
}

/// Quotas of security groups, and how many groups there are.
#[derive(Debug, Clone)]
pub(super) struct Quotas {
    /// Groups on one network interface.
    pub(super) per_interface: Read<usize>,
    /// Rules of one direction in one group.
    pub(super) rules: Read<usize>,
    /// Groups in the Region.
    pub(super) per_region: Read<usize>,
    /// How many groups there are in the Region.
    pub(super) groups: Read<usize>,
}

/// The role by which a service manages its own interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServiceRole {
    /// The check's code.
    pub(super) check: &'static str,
    /// The service, as people call it.
    pub(super) service: &'static str,
    /// The role's name.
    pub(super) role: &'static str,
    /// The service principal that assumes it.
    pub(super) principal: &'static str,
}

/// The roles, which services make with their first resource in an account.
// Fact 6.1
pub(super) const SERVICE_ROLES: [ServiceRole; 3] = [
    ServiceRole {
        check: "service-linked-role-rds",
        service: "RDS",
        role: "AWSServiceRoleForRDS",
        principal: "rds.amazonaws.com",
    },
    ServiceRole {
        check: "service-linked-role-elasticache",
        service: "ElastiCache",
        role: "AWSServiceRoleForElastiCache",
        principal: "elasticache.amazonaws.com",
    },
    ServiceRole {
        check: "service-linked-role-redshift",
        service: "Redshift",
        role: "AWSServiceRoleForRedshift",
        principal: "redshift.amazonaws.com",
    },
];

/// The queues that hold work.
pub(super) const QUEUES: [&str; 3] = ["ConnectQueueUrl", "InstanceQueueUrl", "StoreQueueUrl"];
/// The queues for messages that could not be handled.
pub(super) const DEAD_LETTERS: [&str; 4] =
    ["ConnectDeadLettersUrl", "InstanceDeadLettersUrl", "StoreDeadLettersUrl", "DeliveryDeadLettersUrl"];
