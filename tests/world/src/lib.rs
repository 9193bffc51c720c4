//! Worlds for tests: what there is in a VPC as a few lines of text, arbitrary worlds for property
//! tests, and an oracle that says who reaches what.
//!
//! ```
//! use tagwire_world::World;
//!
//! let world = World::read(
//!     "instance i-1 connect=orders
//!      db orders connect=orders
//!      pair orders 1 attached-to=i-1",
//! );
//! assert_eq!(world.unwrap().seen.groups.found.len(), 2);
//! ```
//!
//! # The grammar
//!
//! One thing a line; `#` begins a comment; a value with spaces stands in double quotes; values that
//! are lists are separated by commas. A group `G` has the id `sg-G`, the instance `i-1` the
//! interface `eni-1`, and a store of the first kind below the identity `db-NAME`.
//!
//! | line | options |
//! |---|---|
//! | `instance i-1` | `connect=a,b` or the raw value `connect="a b"`, `zone=a`, `groups=G` (default `default`), `name="TEXT"`, `status="TEXT"`, `managed-by=SERVICE`, `block`, `hold`, `gone` |
//! | `db NAME`, `cluster NAME`, `docdb NAME`, `neptune NAME`, `replicationgroup NAME`, `cache NAME`, `serverlesscache NAME`, `redshift NAME` | `connect=` as above, `port=5432` (`5432-5440`, `none`), `state=available`, `groups=G:removing` (default `default`; `:adding`), `zone=a,b`, `vpc=2`, or instead `classic`, `public-endpoint`, `vpc-networking-off`, `not-shown`, `block`, `hold`, `id=IDENTITY`, `serverless-v1`, `global=G`, `member-of=C`, `allow-cidr="203.0.113.0/24 pl-1"` |
//! | `pair NAME 1` (`1/2`: store side 1, instance side 2) | a whole owned pair, attached to the store; `attached-to=i-1`, `loose`, `adding`, `removing`, `only=store`, `rules=none` (`store`, `instance`), `port=5433`, `egress=store,instance`, `store-rule=RULE`, `instance-rule=RULE`, `arn=OLD`, `made-by=console` (`hand`, `forger`, `nobody`: neither tags nor a record), `store-tags=none` (`instance-tags`; `NAME`: those of another store, `unmarked`, `sideless`), `record=none` (`NAME`, `NAME/unnamed`: no id yet, `NAME/ID`: of another group), `former`: described as earlier versions did |
//! | `group G` | `rule=RULE`, `tagged=NAME/store` (`instance`, `cidr`), `tag:KEY=VALUE`, `ours=store` (our description; `ours=store/NAME`: of a store that the tags do not name), `description=D`, `record=` as above (by default as the tags say, if the description is ours), `id=ID`, `attached-to=i-1`, `on=NAME` |
//! | `gone NAME` | the service said that there is no such DB instance, and lists none with its identity; `unsure`: it did not list |
//! | `interface eni-9` | an interface that is no instance's primary one: `groups=G,G`, `of="a function"` or `of=i-1`, `primary`; `copies`: a network plugin copies the primary one's groups; `detached`: it is attached to nothing |
//! | `prefix-list pl-1` | `owner=ACCOUNT` (default: the store's), `most=10`, `entries=10.0.0.0/24,10.0.1.0/24`, `ipv6` |
//! | `template G` | a launch template names the group |
//! | `scope vpc`, `scope i-1 NAME` | |
//! | `gap groups`, `gap stores lasting` | what could not be read (`instances`, `stores`, `groups`, `attached_interfaces`, `templates`, `prefix-lists`, `state`, `identities`); `lasting` when no repetition helps; `of=NAME,NAME` when only these stores were not, `names=a,b` what the tag index lists for them |
//! | `taken G` | names that AWS refused |
//! | `limit 3`, `max 10`, `window 15`, `isolation G`, `status-tags` | the policy: how many groups an interface takes, how many connections are removed in how many minutes, what isolates |
//! | `allow-cidr` | clients that are not instances may be let in, `ipv4=16`, `ipv6=48` the widest |
//! | `removed 8`, `removed 1 i-1 NAME`, `wanted i-1 NAME` (`wanted store-side NAME`, `wanted cidr-group NAME`), `unused G` | what is remembered, each with `ago=MINUTES`; `failed=MINUTES` when a removal was tried |
//! | `uninstalling` | likewise: a person asked for tagwire to be gone |
//! | `attached i-1 G`, `attached NAME G` | likewise, with `tag="a b"`, `again=MINUTES,MINUTES` (ago), `contested` |
//!
//! A `RULE` is written as it is shown: `"tcp 5432 from sg-ec2-rds-1"`, `"all traffic to 0.0.0.0/0"`.

/// A Region of each partition that AWS has, and the partition's name.
pub const PARTITIONS: [(&str, &str); 5] = [
    ("eu-west-1", "aws"),
    ("cn-north-1", "aws-cn"),
    ("us-gov-west-1", "aws-us-gov"),
    ("eusc-de-east-1", "aws-eusc"),
    ("us-iso-east-1", "aws-iso"),
];

mod generate;
mod reach;
mod read;
mod rule;
mod write;

use tagwire_core::{observation::Observation, policy::Policy};

pub use self::{
    generate::{gaps, shuffled, worlds},
    reach::{Unread, reaches},
    read::BadWorld,
};

/// Everything a plan is made from.
#[derive(Clone, PartialEq, Eq)]
pub struct World {
    /// What was observed.
    pub seen: Observation,
    /// The planner's settings.
    pub policy: Policy,
}
