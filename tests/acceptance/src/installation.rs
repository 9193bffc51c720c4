//! VPCs, instances and data stores.

use std::{collections::BTreeSet, ops::Deref};

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_ec2::types as ec2;
use aws_sdk_rds::types as rds;
use tagwire_local_aws::{ACCOUNT_ID, LocalAws, Placement};

use crate::CONNECT;

/// The machine image of every instance; nothing boots, so any id serves.
const IMAGE: &str = "ami-12345678";
/// The port with which every database is made.
const PORT: i32 = 5432;

/// A VPC with a subnet in each of two zones.
#[derive(Debug, Clone)]
pub struct Place {
    /// The VPC's id.
    pub vpc: String,
    /// Its default group.
    pub default_group: String,
    /// The group that instances are launched with, unless others are named.
    pub instance_group: String,
    /// The group that stores are made with.
    pub store_group: String,
    /// Its subnets.
    pub subnets: Vec<String>,
    /// The name of its subnet group for databases.
    pub subnet_group: String,
}

/// A place and the AWS that it is in.
#[derive(Debug)]
pub struct Installation<'aws> {
    aws: &'aws LocalAws,
    place: Place,
}

impl Deref for Installation<'_> {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Place {
    /// The place once more, as its stack may have been deployed anew.
    #[must_use]
    pub fn on(self, aws: &LocalAws) -> Installation<'_> {
        Installation { aws, place: self }
    }
}

/// An instance.
#[derive(Debug, Clone)]
pub struct Launched {
    /// Its id.
    pub id: String,
    /// Its primary interface.
    pub interface: String,
}

impl Launched {
    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:ec2:us-east-1:{ACCOUNT_ID}:instance/{}", self.id)
    }
}

/// A data store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Its ARN.
    pub arn: String,
    /// Its identifier.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The first and the last port that it listens on.
    pub ports: (i32, i32),
}

/// A kind of data store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A DB cluster of any engine.
    DbCluster,
    /// A DB instance.
    DbInstance,
    /// A Valkey replication group with a primary and a replica.
    ReplicationGroup,
    /// A Memcached cluster.
    CacheCluster,
    /// A serverless Valkey cache.
    ServerlessCache,
    /// A Redshift cluster.
    RedshiftCluster,
}

impl Kind {
    /// The kinds that come without events of RDS.
    pub const CACHES_AND_REDSHIFT: [Self; 4] =
        [Self::ReplicationGroup, Self::CacheCluster, Self::ServerlessCache, Self::RedshiftCluster];

    /// The first and the last port that a store is made with.
    fn ports(self) -> (i32, i32) {
        match self {
            Self::DbCluster | Self::DbInstance => (PORT, PORT),
            Self::ReplicationGroup => (6379, 6379),
            Self::CacheCluster => (11211, 11211),
            Self::ServerlessCache => (6379, 6380),
            Self::RedshiftCluster => (5439, 5439),
        }
    }
}

impl Store {
    fn new(kind: Kind, arn: &str, name: &str) -> Self {
        Self { arn: arn.to_owned(), name: name.to_owned(), kind, ports: kind.ports() }
    }
}

impl<'aws> Installation<'aws> {
    /// Makes a VPC; `number` (1 to 250) keeps its addresses apart from other sites'.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn create(aws: &'aws LocalAws, number: u8) -> Result<Self> {
        let vpc = aws.ec2().create_vpc().cidr_block(format!("10.{number}.0.0/16")).send().await?;
        let vpc = vpc.vpc().and_then(ec2::Vpc::vpc_id).context("CreateVpc answered no VPC")?.to_owned();
        let mut subnets = Vec::new();
        for (index, zone) in ["us-east-1a", "us-east-1b"].iter().enumerate() {
            let made = aws
                .ec2()
                .create_subnet()
                .vpc_id(&vpc)
                .availability_zone(*zone)
                .cidr_block(format!("10.{number}.{index}.0/24"))
                .send()
                .await?;
            let id = made.subnet().and_then(ec2::Subnet::subnet_id).context("CreateSubnet answered no subnet")?;
            subnets.push(id.to_owned());
        }
        let of_vpc = ec2::Filter::builder().name("vpc-id").values(&vpc).build();
        let named = ec2::Filter::builder().name("group-name").values("default").build();
        let groups = aws.ec2().describe_security_groups().filters(of_vpc).filters(named).send().await?;
        let default_group = groups
            .security_groups()
            .first()
            .and_then(ec2::SecurityGroup::group_id)
            .context("no default group")?
            .to_owned();
        let subnet_group = format!("installation-{number}");
        aws.rds()
            .create_db_subnet_group()
            .db_subnet_group_name(&subnet_group)
            .db_subnet_group_description("both subnets of the installation")
            .set_subnet_ids(Some(subnets.clone()))
            .send()
            .await?;
        let (instance_group, store_group) = (default_group.clone(), default_group.clone());
        Ok(Place { vpc, default_group, instance_group, store_group, subnets, subnet_group }.on(aws))
    }

    /// Instances and stores are made with a group of their own from now on, of which neither lets anybody in. Two that
    /// have one default group reach each other in any case.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn separated(mut self) -> Result<Self> {
        self.place.instance_group = self.group("app").await?;
        self.place.store_group = self.group("data").await?;
        Ok(self)
    }

    /// What is left of it when the AWS is needed for something else.
    #[must_use]
    pub fn place(self) -> Place {
        self.place
    }

    /// Launches an instance; `connect` is the value of its connect tag.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn launch(&self, connect: Option<&str>) -> Result<Launched> {
        self.launch_with(connect, std::slice::from_ref(&self.instance_group)).await
    }

    /// Launches an instance that has these groups.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn launch_with(&self, connect: Option<&str>, groups: &[String]) -> Result<Launched> {
        self.launch_many(1, connect, groups).await?.pop().context("RunInstances answered no instance")
    }

    /// Launches instances that have these groups, in one call.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn launch_many(&self, number: i32, connect: Option<&str>, groups: &[String]) -> Result<Vec<Launched>> {
        let subnet = self.subnets.first().context("the installation has no subnet")?;
        let mut request = self
            .aws
            .ec2()
            .run_instances()
            .image_id(IMAGE)
            .min_count(number)
            .max_count(number)
            .subnet_id(subnet)
            .set_security_group_ids(Some(groups.to_vec()));
        if let Some(value) = connect {
            let tag = ec2::Tag::builder().key(CONNECT).value(value).build();
            request = request.tag_specifications(
                ec2::TagSpecification::builder().resource_type(ec2::ResourceType::Instance).tags(tag).build(),
            );
        }
        let launched = request.send().await?;
        let read = |instance: &ec2::Instance| {
            let interface =
                instance.network_interfaces().first().and_then(ec2::InstanceNetworkInterface::network_interface_id);
            Ok(Launched {
                id: instance.instance_id().context("the instance has no id")?.to_owned(),
                interface: interface.context("the instance has no interface")?.to_owned(),
            })
        };
        launched.instances().iter().map(read).collect()
    }

    /// Writes an instance's connect tag.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn tag(&self, instance: &Launched, connect: &str) -> Result<()> {
        self.aws.tag(&instance.arn(), CONNECT, connect).await
    }

    /// Takes the connect tag off an instance or a store, of which no event tells.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn untag_silently(&self, arn: &str) -> Result<()> {
        self.aws.lose_tag_events(true).await?;
        let untagged = self.aws.untag(arn, CONNECT).await;
        self.aws.lose_tag_events(false).await?;
        untagged
    }

    /// Writes an instance's connect tag, of which no event tells.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn tag_silently(&self, instance: &Launched, connect: &str) -> Result<()> {
        self.aws.lose_tag_events(true).await?;
        let tagged = self.aws.tag(&instance.arn(), CONNECT, connect).await;
        self.aws.lose_tag_events(false).await?;
        tagged
    }

    /// Makes an Aurora PostgreSQL cluster and says so on the event bus, as RDS does.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn aurora(&self, name: &str, connect: &str) -> Result<Store> {
        let store = self.silent_aurora(name, connect).await?;
        self.aws.rds_event(&store.arn, "RDS-EVENT-0170").await?;
        Ok(store)
    }

    /// Makes an Aurora PostgreSQL cluster of which no event tells.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn silent_aurora(&self, name: &str, connect: &str) -> Result<Store> {
        self.cluster("aurora-postgresql", name, connect).await
    }

    /// Makes a DB cluster of an engine through the RDS API, which also makes those of DocumentDB
    /// (`docdb`) and Neptune (`neptune`); no event tells of it.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn cluster(&self, engine: &str, name: &str, connect: &str) -> Result<Store> {
        let made = self
            .aws
            .rds()
            .create_db_cluster()
            .db_cluster_identifier(name)
            .engine(engine)
            .master_username("orders")
            .master_user_password("not-a-secret")
            .port(PORT)
            .db_subnet_group_name(&self.subnet_group)
            .vpc_security_group_ids(&self.store_group)
            .tags(rds::Tag::builder().key(CONNECT).value(connect).build())
            .send()
            .await?;
        let arn = made.db_cluster().and_then(rds::DbCluster::db_cluster_arn).context("the cluster has no ARN")?;
        ensure!(made.db_cluster().and_then(rds::DbCluster::port) == Some(PORT), "the cluster has another port");
        Ok(Store::new(Kind::DbCluster, arn, name))
    }

    /// Makes a stand-alone PostgreSQL instance and says so on the event bus, as RDS does.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn postgres(&self, name: &str, connect: &str) -> Result<Store> {
        let made = self
            .aws
            .rds()
            .create_db_instance()
            .db_instance_identifier(name)
            .db_instance_class("db.t3.medium")
            .engine("postgres")
            .allocated_storage(20)
            .master_username("orders")
            .master_user_password("not-a-secret")
            .port(PORT)
            .db_subnet_group_name(&self.subnet_group)
            .vpc_security_group_ids(&self.store_group)
            .tags(rds::Tag::builder().key(CONNECT).value(connect).build())
            .send()
            .await?;
        let arn = made.db_instance().and_then(rds::DbInstance::db_instance_arn).context("the instance has no ARN")?;
        let store = Store::new(Kind::DbInstance, arn, name);
        self.aws.rds_event(&store.arn, "RDS-EVENT-0005").await?;
        Ok(store)
    }

    /// Makes a cache or a Redshift cluster. The local AWS tells of it as AWS does.
    ///
    /// # Errors
    /// For a database, and when the local AWS refuses.
    pub async fn store(&self, kind: Kind, name: &str, connect: &str) -> Result<Store> {
        let groups = [self.store_group.clone()];
        let at = Placement { subnets: &self.subnets, groups: &groups, tags: &[(CONNECT, connect)] };
        let arn = match kind {
            Kind::ReplicationGroup => self.aws.replication_group(name, at).await?,
            Kind::CacheCluster => self.aws.cache_cluster(name, at).await?,
            Kind::ServerlessCache => self.aws.serverless_cache(name, at).await?,
            Kind::RedshiftCluster => self.aws.redshift_cluster(name, at).await?,
            Kind::DbCluster | Kind::DbInstance => bail!("a database comes with an event that says more of it"),
        };
        Ok(Store::new(kind, &arn, name))
    }

    /// Deletes a store. The local AWS tells of it as AWS does, but of a database: no event tells of that.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn delete(&self, store: &Store) -> Result<()> {
        let (caches, name) = (self.aws.elasticache(), store.name.as_str());
        match store.kind {
            Kind::ReplicationGroup => {
                caches.delete_replication_group().replication_group_id(name).send().await?;
            }
            Kind::CacheCluster => {
                caches.delete_cache_cluster().cache_cluster_id(name).send().await?;
            }
            Kind::ServerlessCache => {
                caches.delete_serverless_cache().serverless_cache_name(name).send().await?;
            }
            Kind::RedshiftCluster => {
                let request = self.aws.redshift().delete_cluster().cluster_identifier(name);
                request.skip_final_cluster_snapshot(true).send().await?;
            }
            Kind::DbCluster => {
                let request = self.aws.rds().delete_db_cluster().db_cluster_identifier(name);
                request.skip_final_snapshot(true).send().await?;
            }
            Kind::DbInstance => {
                let request = self.aws.rds().delete_db_instance().db_instance_identifier(name);
                request.skip_final_snapshot(true).send().await?;
            }
        }
        Ok(())
    }

    /// Makes a group of somebody else, with the default outbound rule and no inbound one.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn group(&self, name: &str) -> Result<String> {
        self.group_described(name, "made by somebody else").await
    }

    async fn group_described(&self, name: &str, description: &str) -> Result<String> {
        let request = self.aws.ec2().create_security_group().vpc_id(&self.vpc).group_name(name);
        let made = request.description(description).send().await?;
        Ok(made.group_id().context("CreateSecurityGroup answered no id")?.to_owned())
    }

    /// Joins an instance and a store as the RDS console does: its names, its descriptions, its rules, its order.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn connect_as_the_console(
        &self,
        instance: &Launched,
        store: &Store,
        number: u32,
    ) -> Result<(String, String)> {
        let (name, end) = (&store.name, "Modification could lead to connection loss.");
        let of_instances = format!("Security group attached to instances to securely connect to {name}. {end}");
        let of_store = format!(
            "Security group attached to {name} to allow EC2 instances with specific security groups attached to connect to the database. {end}"
        );
        let instance_side = self.group_described(&format!("ec2-rds-{number}"), &of_instances).await?;
        let store_side = self.group_described(&format!("rds-ec2-{number}"), &of_store).await?;
        let rule = |peer: &str| {
            ec2::IpPermission::builder()
                .ip_protocol("tcp")
                .from_port(PORT)
                .to_port(PORT)
                .user_id_group_pairs(ec2::UserIdGroupPair::builder().group_id(peer).build())
                .build()
        };
        let client = self.aws.ec2();
        client
            .authorize_security_group_egress()
            .group_id(&instance_side)
            .ip_permissions(rule(&store_side))
            .send()
            .await?;
        client
            .authorize_security_group_ingress()
            .group_id(&store_side)
            .ip_permissions(rule(&instance_side))
            .send()
            .await?;
        for group in [&instance_side, &store_side] {
            let everything = ec2::IpPermission::builder()
                .ip_protocol("-1")
                .ip_ranges(ec2::IpRange::builder().cidr_ip("0.0.0.0/0").build())
                .build();
            client.revoke_security_group_egress().group_id(group).ip_permissions(everything).send().await?;
        }
        let mut groups = crate::interface_groups(self.aws, &instance.interface).await?;
        groups.insert(instance_side.clone());
        self.set_interface_groups(&instance.interface, groups).await?;
        let mut groups: Vec<String> = crate::store_groups(self.aws, store).await?.into_iter().collect();
        groups.push(store_side.clone());
        self.set_store_groups(store, groups).await?;
        Ok((store_side, instance_side))
    }

    /// Replaces an interface's list of groups.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn set_interface_groups(&self, interface: &str, groups: BTreeSet<String>) -> Result<()> {
        let request = self.aws.ec2().modify_network_interface_attribute().network_interface_id(interface);
        request.set_groups(Some(groups.into_iter().collect())).send().await?;
        Ok(())
    }

    /// Takes a group off an interface, as people and other tools do.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn detach(&self, interface: &str, group: &str) -> Result<()> {
        let mut groups = crate::interface_groups(self.aws, interface).await?;
        groups.remove(group);
        self.set_interface_groups(interface, groups).await
    }

    /// Lets everybody from a CIDR block in through a group.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn open(&self, group: &str, cidr: &str) -> Result<()> {
        let rule = ec2::IpPermission::builder().ip_protocol("tcp").from_port(PORT).to_port(PORT);
        let rule = rule.ip_ranges(ec2::IpRange::builder().cidr_ip(cidr).build()).build();
        self.aws.ec2().authorize_security_group_ingress().group_id(group).ip_permissions(rule).send().await?;
        Ok(())
    }

    /// Replaces a store's list of groups.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn set_store_groups(&self, store: &Store, groups: Vec<String>) -> Result<()> {
        match store.kind {
            Kind::DbCluster => {
                let request = self.aws.rds().modify_db_cluster().db_cluster_identifier(&store.name);
                request.set_vpc_security_group_ids(Some(groups)).send().await?;
            }
            Kind::DbInstance => {
                let request = self.aws.rds().modify_db_instance().db_instance_identifier(&store.name);
                request.set_vpc_security_group_ids(Some(groups)).send().await?;
            }
            Kind::ReplicationGroup | Kind::CacheCluster | Kind::ServerlessCache | Kind::RedshiftCluster => {
                bail!("the list of a cache or a Redshift cluster is left to tagwire")
            }
        }
        Ok(())
    }
}
