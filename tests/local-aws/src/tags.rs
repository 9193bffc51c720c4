//! Tags set and taken away, with the event that AWS sends.
//!
//! Whether AWS sends `Tag Change on Resource` for caches and Redshift clusters is not known, so for these nothing is put: the
//! server tells of the call through CloudTrail.

use anyhow::{Context, Result, anyhow, bail};

use crate::LocalAws;

impl LocalAws {
    /// Sets a tag on an instance or a data store, named by its ARN; for EC2 and RDS it puts the `Tag Change on
    /// Resource` that AWS sends.
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
        self.tell_tags(arn, key).await
    }

    /// Takes a tag of an instance or a data store away; for EC2 and RDS it puts the event that AWS sends, in which the
    /// key is among those that changed, and not among the tags.
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
        self.tell_tags(arn, key).await
    }

    async fn tell_tags(&self, arn: &str, changed: &str) -> Result<()> {
        let pair = |key: Option<&str>, value: Option<&str>| {
            (key.unwrap_or_default().to_owned(), value.unwrap_or_default().to_owned())
        };
        let tags: Vec<(String, String)> = match Service::of(arn)? {
            Service::Ec2(id) => {
                let of_it = aws_sdk_ec2::types::Filter::builder().name("resource-id").values(id).build();
                let told = self.ec2().describe_tags().filters(of_it).send().await.context("reading tags")?;
                told.tags().iter().map(|tag| pair(tag.key(), tag.value())).collect()
            }
            Service::Rds => {
                let told = self.rds().list_tags_for_resource().resource_name(arn).send().await;
                let told = told.context("reading tags")?;
                told.tag_list().iter().map(|tag| pair(tag.key(), tag.value())).collect()
            }
            Service::ElastiCache | Service::Redshift => return Ok(()),
        };
        let tags: Vec<(&str, &str)> = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.tag_changed(arn, &[changed], &tags).await.map(drop)
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
