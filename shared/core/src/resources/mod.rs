//! The nouns that all stages share: ids, tags, rules, groups, services, instances and data stores.

pub mod cidr;
pub mod group;
pub mod group_tags;
pub mod id;
pub mod model;
pub mod rule;
pub mod service;
pub mod spelling;
pub mod tag;
pub mod untrusted;
