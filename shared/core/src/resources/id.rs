//! Identifiers. Each kind of id is a type of its own, made only by a constructor that checks its
//! form, so that a VPC id can never stand where a group id is meant and nothing unprintable from
//! an event reaches a log line or a request.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::service::StoreKind;

/// Why a text is not the id it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not {expected}")]
pub struct InvalidId {
    /// The kind of id that was expected, with an example of the right form.
    pub expected: &'static str,
    /// The text, shortened to 200 characters.
    pub text: String,
}

impl InvalidId {
    fn new(expected: &'static str, text: &str) -> Self {
        Self { expected, text: text.chars().take(200).collect() }
    }
}

/// Longest id or ARN that is taken from outside, in bytes; AWS's own are below 300.
const LONGEST: usize = 512;

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn has_prefix_and_word(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(is_word)
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the form of `text`.
            ///
            /// # Errors
            /// [`InvalidId`] when it has another form.
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(InvalidId::new($expected, &text)) }
            }

            /// The id as AWS writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

text_id!(
    /// A VPC: the boundary inside which instance and data store are joined, and the unit of
    /// serialisation (one writer per VPC).
    VpcId, "a VPC id such as vpc-0a1b2c3d", |text| has_prefix_and_word(text, "vpc-")
);
text_id!(
    /// An EC2 instance.
    InstanceId, "an instance id such as i-0a1b2c3d", |text| has_prefix_and_word(text, "i-")
);
text_id!(
    /// An elastic network interface.
    InterfaceId, "a network interface id such as eni-0a1b2c3d", |text| has_prefix_and_word(text, "eni-")
);
text_id!(
    /// A VPC security group.
    SecurityGroupId, "a security group id such as sg-0a1b2c3d", |text| has_prefix_and_word(text, "sg-")
);
text_id!(
    /// A managed prefix list.
    PrefixListId, "a prefix list id such as pl-0a1b2c3d", |text| has_prefix_and_word(text, "pl-")
);
text_id!(
    /// A twelve-digit AWS account id.
    AccountId, "a twelve-digit account id", is_account
);
text_id!(
    /// An Availability Zone name such as `eu-central-1a`.
    ZoneName, "an Availability Zone name such as eu-central-1a", is_word
);
text_id!(
    /// The identity of a data store: the id that survives a rename (`DbClusterResourceId`,
    /// `DbiResourceId`, `ClusterNamespaceArn`). Unlike the ARN it is never reused for another
    /// store, but for caches: they cannot be renamed, and their ARN is all that they have.
    StoreId, "a data store's resource id such as cluster-ABCDEFG or db-ABCDEFG",
    |text| !text.is_empty() && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic())
);
text_id!(
    /// A request of a person to `connect`, under which its result is found.
    RequestId, "the id of a request, such as 0a1b2c3d", |text| is_word(text) && text.len() <= 64
);
text_id!(
    /// The ARN of a data store, of one of the kinds in [`StoreKind`]. It changes with a rename.
    StoreArn, "the ARN of a supported data store, such as arn:aws:rds:eu-central-1:123456789012:cluster:orders",
    |text| kind_of(text).is_some()
);

text_id!(
    /// A partition of AWS, with which its ARNs begin. New ones appear without notice, and a Region's name does not say
    /// which it is in, so it is always taken from an ARN at hand.
    // Fact 4.6
    Partition, "a partition of AWS such as aws or aws-cn", is_partition
);

impl Partition {
    /// The partition of an ARN of whatever kind.
    ///
    /// # Errors
    /// [`InvalidId`] when it is no ARN.
    pub fn of_arn(arn: &str) -> Result<Self, InvalidId> {
        let partition = arn.strip_prefix("arn:").and_then(|rest| rest.split(':').next());
        Self::parse(partition.unwrap_or_default())
    }
}

/// The partition, Region and account of an installation. It sees and changes nothing elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    partition: Partition,
    region: String,
    account: AccountId,
}

impl Location {
    /// The location of a resource of the installation's own, such as its queue.
    ///
    /// # Errors
    /// [`InvalidId`] when it is no ARN, or one without Region and account.
    pub fn of_arn(arn: &str) -> Result<Self, InvalidId> {
        let mut parts = arn.splitn(6, ':').skip(3);
        let (region, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if !is_word(region) {
            return Err(InvalidId::new("an ARN with a Region", arn));
        }
        Ok(Self { partition: Partition::of_arn(arn)?, region: region.to_owned(), account: AccountId::parse(account)? })
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// Whether an account and a Region are those of the location.
    #[must_use]
    pub fn is(&self, region: &str, account: &str) -> bool {
        (self.region.as_str(), self.account.as_str()) == (region, account)
    }

    /// Whether a data store is there.
    #[must_use]
    pub fn has(&self, store: &StoreArn) -> bool {
        self.is(store.region(), store.account()) && store.field(1) == self.partition.as_str()
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_partition(text: &str) -> bool {
    text.starts_with("aws") && is_word(text)
}

/// The kind of data store that an ARN names; `None` when no supported kind has such ARNs.
fn kind_of(arn: &str) -> Option<StoreKind> {
    let mut parts = arn.splitn(7, ':');
    let (scheme, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let name = parts.next()?;
    let well_formed = arn.len() <= LONGEST
        && scheme == "arn"
        && is_partition(partition)
        && is_word(region)
        && is_account(account)
        && is_word(name);
    let has_such = |kind: &StoreKind| (kind.row().api.name, kind.row().resource) == (service, resource);
    StoreKind::ALL.iter().copied().find(|kind| well_formed && has_such(kind))
}

impl StoreArn {
    /// The ARN of a store that an event or another store names without its ARN.
    ///
    /// # Errors
    /// [`InvalidId`] when one of the parts has another form.
    pub fn of(
        partition: &Partition,
        kind: StoreKind,
        region: &str,
        account: &str,
        name: &str,
    ) -> Result<Self, InvalidId> {
        let row = kind.row();
        Self::parse(format!("arn:{partition}:{}:{region}:{account}:{}:{name}", row.api.name, row.resource))
    }

    /// The ARN of a store of the same account and Region, which this one names without its ARN.
    ///
    /// # Errors
    /// [`InvalidId`] when the name has another form.
    pub fn beside(&self, kind: StoreKind, name: &str) -> Result<Self, InvalidId> {
        Self::of(&Partition::of_arn(&self.0)?, kind, self.region(), self.account(), name)
    }

    /// The store as people call it: `cluster/orders`.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}/{}", self.kind().row().word, self.name())
    }

    /// The kind of store that the ARN names.
    #[must_use]
    pub fn kind(&self) -> StoreKind {
        kind_of(&self.0).unwrap_or_else(|| unreachable!("a text that names no kind is no StoreArn"))
    }

    /// The store's name: the identifier that the service's own calls take.
    #[must_use]
    pub fn name(&self) -> &str {
        self.field(6)
    }

    /// The Region it is in.
    #[must_use]
    pub fn region(&self) -> &str {
        self.field(3)
    }

    /// The account it belongs to.
    #[must_use]
    pub fn account(&self) -> &str {
        self.field(4)
    }

    fn field(&self, index: usize) -> &str {
        self.0.splitn(7, ':').nth(index).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use tagwire_world::PARTITIONS;

    use super::*;

    #[test]
    fn store_arns_of_supported_kinds_are_taken_apart() {
        let arn = StoreArn::parse("arn:aws-cn:rds:cn-north-1:123456789012:cluster:orders").unwrap();
        assert_eq!((arn.kind(), arn.name(), arn.region()), (StoreKind::DbCluster, "orders", "cn-north-1"));
        let arn = StoreArn::parse("arn:aws:rds:us-east-1:123456789012:db:orders-1").unwrap();
        assert_eq!((arn.kind(), arn.name()), (StoreKind::DbInstance, "orders-1"));
        for (text, kind) in [
            ("elasticache:us-east-1:123456789012:replicationgroup:orders", StoreKind::ReplicationGroup),
            ("elasticache:us-east-1:123456789012:cluster:orders", StoreKind::CacheCluster),
            ("elasticache:us-east-1:123456789012:serverlesscache:orders", StoreKind::ServerlessCache),
            ("redshift:us-east-1:123456789012:cluster:orders", StoreKind::RedshiftCluster),
        ] {
            let arn = StoreArn::parse(format!("arn:aws:{text}")).unwrap();
            assert_eq!((arn.kind(), arn.name(), arn.account()), (kind, "orders", "123456789012"), "{text}");
        }
    }

    #[test]
    fn an_arn_is_put_together_in_the_partition_of_an_arn_at_hand() {
        for (region, name) in PARTITIONS.into_iter().chain([("of-next-year-1", "aws-of-next-year")]) {
            let partition = Partition::of_arn(&format!("arn:{name}:sqs:{region}:123456789012:stores")).unwrap();
            for &kind in StoreKind::ALL {
                let arn = StoreArn::of(&partition, kind, region, "123456789012", "orders").unwrap();
                assert!(arn.as_str().starts_with(&format!("arn:{name}:")), "{arn}");
                assert_eq!((arn.kind(), arn.region(), arn.name()), (kind, region, "orders"));
                let beside = arn.beside(StoreKind::CacheCluster, "orders-001").unwrap();
                let expected = format!("arn:{name}:elasticache:{region}:123456789012:cluster:orders-001");
                assert_eq!(beside.as_str(), expected);
            }
        }
        let partition = Partition::parse("aws").unwrap();
        assert!(StoreArn::of(&partition, StoreKind::RedshiftCluster, "eu-west-1", "12345", "orders").is_err());
        assert!(StoreArn::of(&partition, StoreKind::RedshiftCluster, "eu-west-1", "123456789012", "a:b").is_err());
        for text in ["", "aws", "arn", "arn:", "arn:gcp:x", "aws:aws:x", "arn:aws cn:x"] {
            assert!(Partition::of_arn(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_location_has_the_stores_of_its_own_partition_region_and_account_alone() {
        let here = Location::of_arn("arn:aws:sqs:eu-west-1:123456789012:stores").unwrap();
        for (arn, is_here) in [
            ("arn:aws:rds:eu-west-1:123456789012:cluster:orders", true),
            ("arn:aws:rds:eu-west-2:123456789012:cluster:orders", false),
            ("arn:aws:rds:eu-west-1:210987654321:cluster:orders", false),
            ("arn:aws-cn:rds:eu-west-1:123456789012:cluster:orders", false),
        ] {
            assert_eq!(here.has(&StoreArn::parse(arn).unwrap()), is_here, "{arn}");
        }
        for text in ["", "arn:aws:sqs", "arn:aws:sqs::123456789012:stores", "arn:aws:s3:eu-west-1::bucket"] {
            assert!(Location::of_arn(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_text_that_was_given() {
        for text in [
            "",
            "arn:aws:rds:us-east-1:123456789012:snapshot:orders",
            "arn:aws:s3:::bucket",
            "arn:aws:rds:us-east-1:123456789012:cluster:",
            "arn:aws:rds:us-east-1:123456789012:cluster:a\nb",
            "arn:aws:rds:us-east-1:12345:cluster:orders",
            "arn:aws:rds::123456789012:cluster:orders",
            "arn:aws:rds:us-east-1:123456789012:cluster:orders:extra",
            "arn:aws:elasticache:us-east-1:123456789012:db:orders",
            "arn:aws:elasticache:us-east-1:123456789012:snapshot:orders",
            "arn:aws:redshift:us-east-1:123456789012:namespace:orders",
            "arn:aws:redshift:us-east-1:123456789012:snapshot:orders/nightly",
        ] {
            assert_eq!(StoreArn::parse(text).unwrap_err().text, text, "{text:?}");
        }
    }

    #[test]
    fn an_id_of_one_kind_is_never_one_of_another() {
        assert!(VpcId::parse("sg-1").is_err());
        assert!(SecurityGroupId::parse("sg-").is_err());
        assert!(InstanceId::parse("i-1 i-2").is_err());
        assert!(serde_json::from_str::<VpcId>("\"eni-1\"").is_err());
    }
}
