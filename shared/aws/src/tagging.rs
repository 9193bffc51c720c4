//! The Resource Groups Tagging API: the index of tagged resources, which may be stale.

use aws_config::SdkConfig;
use aws_sdk_resourcegroupstagging::{
    Client,
    types::{ResourceTagMapping, TagFilter},
};
use tagwire_core::{
    id::StoreArn,
    observation::{Reading, Subject},
    service::StoreKind,
    tag::{ConnectTag, TagSettings},
};
use tagwire_engine::cloud::TaggedStore;

#[cfg(feature = "account")]
use crate::probe::Probe;
use crate::{call::Call, reading::together};

/// Most resources a page may hold.
const PAGE_SIZE: i32 = 100;
/// Most resources that can be asked for at once.
// Fact 3.4
const AT_A_TIME: usize = 100;

/// The tag index.
#[derive(Debug, Clone)]
pub(crate) struct TagIndex {
    client: Client,
}

impl TagIndex {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// Tries the read of the index.
    #[cfg(feature = "account")]
    pub(crate) async fn probes(&self) -> Vec<Probe> {
        vec![Probe::of("tag:GetResources", self.client.get_resources().resources_per_page(1).send().await)]
    }

    /// The stores that carry a key.
    pub(crate) async fn stores(&self, connect_key: &str) -> Reading<TaggedStore> {
        let call = Call::reading("tag:GetResources", format!("stores tagged {connect_key}"));
        let request = self
            .client
            .get_resources()
            .tag_filters(TagFilter::builder().key(connect_key).build())
            .set_resource_type_filters(Some(StoreKind::ALL.iter().map(|kind| kind.row().index_type()).collect()))
            .resources_per_page(PAGE_SIZE);
        let pages = request.into_paginator().send().collect().await;
        let answer = call.listed(pages, |page| (page.resource_tag_mapping_list, page.pagination_token));
        let found = answer.found.iter().filter_map(|mapping| tagged_store(mapping, connect_key)).collect();
        Reading { found, gaps: answer.gaps }
    }

    /// The settings in the tags of these stores, as the index has them. A store that it leaves out was
    /// never tagged, is too new for it, or does not exist, which is to say that nothing follows.
    pub(crate) async fn settings(&self, which: &[&StoreArn], connect_key: &str) -> Reading<(StoreArn, TagSettings)> {
        together(which.chunks(AT_A_TIME).map(async |chunk| {
            let call = Call::reading("tag:GetResources", format!("{} stores", chunk.len()));
            let call = call.about(chunk.iter().map(|arn| Subject::Store((*arn).clone())));
            let arns = chunk.iter().map(|arn| arn.as_str().to_owned()).collect();
            match self.client.get_resources().set_resource_arn_list(Some(arns)).send().await {
                Ok(answer) => {
                    let mappings = answer.resource_tag_mapping_list().iter();
                    let found = mappings.filter_map(|mapping| settings(mapping, connect_key)).collect();
                    Reading { found, gaps: Vec::new() }
                }
                Err(error) => Reading { found: Vec::new(), gaps: vec![call.gap(call.failed(&error))] },
            }
        }))
        .await
    }
}

fn settings(mapping: &ResourceTagMapping, connect_key: &str) -> Option<(StoreArn, TagSettings)> {
    let arn = StoreArn::parse(mapping.resource_arn()?).ok()?;
    let tags = mapping.tags().iter().map(|tag| (tag.key(), tag.value()));
    Some((arn, TagSettings::read(connect_key, tags)))
}

/// `None` for a resource that is no supported store, and for one that lost the key: the index goes on listing
/// resources that were tagged once.
fn tagged_store(mapping: &ResourceTagMapping, connect_key: &str) -> Option<TaggedStore> {
    let arn = StoreArn::parse(mapping.resource_arn()?).ok()?;
    let tag = mapping.tags().iter().find(|tag| tag.key() == connect_key)?;
    Some(TaggedStore { arn, connect: ConnectTag::read(Some(tag.value())) })
}

#[cfg(test)]
mod tests {
    use aws_sdk_resourcegroupstagging::types::Tag;

    use super::*;

    fn mapping(arn: &str, tags: &[(&str, &str)]) -> ResourceTagMapping {
        let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build().unwrap()).collect();
        ResourceTagMapping::builder().resource_arn(arn).set_tags(Some(tags)).build()
    }

    #[test]
    fn a_tagged_store_comes_with_its_names() {
        let store =
            tagged_store(&mapping("arn:aws:rds:eu-west-1:123456789012:db:a", &[("x", "y"), ("k", "one two")]), "k");
        let store = store.unwrap();
        assert_eq!((store.arn.name(), store.connect), ("a", ConnectTag::read(Some("one two"))));
    }

    #[test]
    fn what_lost_the_key_or_is_no_store_is_left_out() {
        assert_eq!(tagged_store(&mapping("arn:aws:rds:eu-west-1:123456789012:db:a", &[("x", "y")]), "k"), None);
        assert_eq!(tagged_store(&mapping("arn:aws:rds:eu-west-1:123456789012:pg:a", &[("k", "y")]), "k"), None);
    }
}
