//! Tags set and taken away, of which the server tells as AWS does.

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;

use crate::LocalAws;

impl LocalAws {
    /// Loses the events of tags that change, or sends them again: on AWS any event may get lost.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn lose_tag_events(&self, lost: bool) -> Result<()> {
        self.control("tag-events", &json!({ "sent": !lost })).await.map(drop)
    }

    /// Sets a tag on an instance or a data store, named by its ARN.
    ///
    /// # Errors
    ///
    /// When the ARN is of no service that is known here, or the tag is not taken.
    pub async fn tag(&self, arn: &str, key: &str, value: &str) -> Result<()> {
        match Service::of(arn)? {
            Service::Ec2(id) => {
                let tag = aws_sdk_ec2::types::Tag::builder().key(key).value(value).build();
                self.ec2().create_tags().resources(id).tags(tag).send().await.context("setting a tag")?;
            }
            Service::Rds => {
                let tag = aws_sdk_rds::types::Tag::builder().key(key).value(value).build();
                let request = self.rds().add_tags_to_resource().resource_name(arn).tags(tag);
                request.send().await.context("setting a tag")?;
            }
            Service::ElastiCache => {
                let tag = aws_sdk_elasticache::types::Tag::builder().key(key).value(value).build();
                let request = self.elasticache().add_tags_to_resource().resource_name(arn).tags(tag);
                request.send().await.context("setting a tag")?;
            }
            Service::Redshift => {
                let tag = aws_sdk_redshift::types::Tag::builder().key(key).value(value).build();
                let request = self.redshift().create_tags().resource_name(arn).tags(tag);
                request.send().await.context("setting a tag")?;
            }
        }
        Ok(())
    }

    /// Takes a tag of an instance or a data store away.
    ///
    /// # Errors
    ///
    /// As for [`LocalAws::tag`].
    pub async fn untag(&self, arn: &str, key: &str) -> Result<()> {
        match Service::of(arn)? {
            Service::Ec2(id) => {
                let tag = aws_sdk_ec2::types::Tag::builder().key(key).build();
                self.ec2().delete_tags().resources(id).tags(tag).send().await.context("taking a tag away")?;
            }
            Service::Rds => {
                let request = self.rds().remove_tags_from_resource().resource_name(arn).tag_keys(key);
                request.send().await.context("taking a tag away")?;
            }
            Service::ElastiCache => {
                let request = self.elasticache().remove_tags_from_resource().resource_name(arn).tag_keys(key);
                request.send().await.context("taking a tag away")?;
            }
            Service::Redshift => {
                let request = self.redshift().delete_tags().resource_name(arn).tag_keys(key);
                request.send().await.context("taking a tag away")?;
            }
        }
        Ok(())
    }
}

enum Service<'arn> {
    Ec2(&'arn str),
    Rds,
    ElastiCache,
    Redshift,
}

impl<'arn> Service<'arn> {
    fn of(arn: &'arn str) -> Result<Self> {
        match arn.split(':').nth(2) {
            Some("ec2") => {
                let (_, id) = arn.rsplit_once('/').ok_or_else(|| anyhow!("{arn} names no resource of EC2"))?;
                Ok(Self::Ec2(id))
            }
            Some("rds") => Ok(Self::Rds),
            Some("elasticache") => Ok(Self::ElastiCache),
            Some("redshift") => Ok(Self::Redshift),
            _ => bail!("{arn} is the ARN of neither an instance nor a data store"),
        }
    }
}
