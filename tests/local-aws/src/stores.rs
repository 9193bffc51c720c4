//! Caches and Redshift clusters, made in a line each. The server tells of them as AWS does: serverless caches by events of
//! their own, the others through CloudTrail.

use anyhow::{Context, Result};
use aws_sdk_elasticache::error::ProvideErrorMetadata as _;

use crate::LocalAws;

/// Where a data store is to lie, and what it is to carry.
#[derive(Clone, Copy, Debug, Default)]
pub struct Placement<'a> {
    /// Subnets, all of one VPC; without any it lies in the default VPC.
    pub subnets: &'a [String],
    /// Security groups; without any it carries the default one of its VPC.
    pub groups: &'a [String],
    /// Tags, each a key and a value.
    pub tags: &'a [(&'a str, &'a str)],
}

impl Placement<'_> {
    fn cache_tags(&self) -> Option<Vec<aws_sdk_elasticache::types::Tag>> {
        let tag =
            |(key, value): &(&str, &str)| aws_sdk_elasticache::types::Tag::builder().key(*key).value(*value).build();
        listed(self.tags.iter().map(tag).collect())
    }

    fn groups(&self) -> Option<Vec<String>> {
        listed(self.groups.to_vec())
    }
}

/// No list at all in place of an empty one, which would be sent as such.
fn listed<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

impl LocalAws {
    /// Makes a Valkey replication group of a primary and a replica; answers its ARN.
    ///
    /// # Errors
    ///
    /// When ElastiCache refuses.
    pub async fn replication_group(&self, name: &str, at: Placement<'_>) -> Result<String> {
        let made = self
            .elasticache()
            .create_replication_group()
            .replication_group_id(name)
            .replication_group_description("made for a test")
            .engine("valkey")
            .num_cache_clusters(2)
            .set_cache_subnet_group_name(self.cache_subnet_group(at).await?)
            .set_security_group_ids(at.groups())
            .set_tags(at.cache_tags())
            .send()
            .await
            .with_context(|| format!("making the replication group {name}"))?;
        made.replication_group().and_then(|group| group.arn()).map(str::to_owned).context("a group without an ARN")
    }

    /// Makes a Memcached cluster of a node; answers its ARN.
    ///
    /// # Errors
    ///
    /// When ElastiCache refuses.
    pub async fn cache_cluster(&self, name: &str, at: Placement<'_>) -> Result<String> {
        let made = self
            .elasticache()
            .create_cache_cluster()
            .cache_cluster_id(name)
            .engine("memcached")
            .num_cache_nodes(1)
            .set_cache_subnet_group_name(self.cache_subnet_group(at).await?)
            .set_security_group_ids(at.groups())
            .set_tags(at.cache_tags())
            .send()
            .await
            .with_context(|| format!("making the cache cluster {name}"))?;
        made.cache_cluster().and_then(|cluster| cluster.arn()).map(str::to_owned).context("a cluster without an ARN")
    }

    /// Makes a serverless Valkey cache; answers its ARN.
    ///
    /// # Errors
    ///
    /// When ElastiCache refuses.
    pub async fn serverless_cache(&self, name: &str, at: Placement<'_>) -> Result<String> {
        let made = self
            .elasticache()
            .create_serverless_cache()
            .serverless_cache_name(name)
            .engine("valkey")
            .set_subnet_ids(listed(at.subnets.to_vec()))
            .set_security_group_ids(at.groups())
            .set_tags(at.cache_tags())
            .send()
            .await
            .with_context(|| format!("making the serverless cache {name}"))?;
        made.serverless_cache().and_then(|cache| cache.arn()).map(str::to_owned).context("a cache without an ARN")
    }

    /// Makes a Redshift cluster; answers its ARN.
    ///
    /// # Errors
    ///
    /// When Redshift refuses.
    pub async fn redshift_cluster(&self, name: &str, at: Placement<'_>) -> Result<String> {
        let subnet_group = at.subnets.first().cloned();
        if let Some(subnet_group) = &subnet_group {
            let request = self.redshift().create_cluster_subnet_group().cluster_subnet_group_name(subnet_group);
            let request = request.description("made for a test").set_subnet_ids(Some(at.subnets.to_vec()));
            request.send().await.context("making a subnet group")?;
        }
        let tag = |(key, value): &(&str, &str)| aws_sdk_redshift::types::Tag::builder().key(*key).value(*value).build();
        self.redshift()
            .create_cluster()
            .cluster_identifier(name)
            .node_type("ra3.xlplus")
            .master_username("someone")
            .master_user_password("not-a-secret")
            .set_cluster_subnet_group_name(subnet_group)
            .set_vpc_security_group_ids(at.groups())
            .set_tags(listed(at.tags.iter().map(tag).collect()))
            .send()
            .await
            .with_context(|| format!("making the cluster {name}"))?;
        Ok(format!("arn:aws:redshift:{}:{}:cluster:{name}", crate::REGION, crate::ACCOUNT))
    }

    /// A subnet group of these subnets, named after the first, which may be there from an earlier cache.
    async fn cache_subnet_group(&self, at: Placement<'_>) -> Result<Option<String>> {
        let Some(name) = at.subnets.first() else { return Ok(None) };
        let request = self.elasticache().create_cache_subnet_group().cache_subnet_group_name(name);
        let request = request.cache_subnet_group_description("made for a test");
        match request.set_subnet_ids(Some(at.subnets.to_vec())).send().await {
            Err(error) if error.code() != Some("CacheSubnetGroupAlreadyExists") => {
                Err(error).context("making a subnet group")
            }
            _ => Ok(Some(name.clone())),
        }
    }
}
