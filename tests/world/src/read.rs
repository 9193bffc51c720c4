//! The grammar of worlds.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use tagwire_core::{
    cidr::{Block, CidrLimits, CidrTag, Family, PrefixList},
    group::{
        self, Described, GroupName, GroupRecord, Identities, MANAGED_BY, MANAGED_BY_KEY, OwnTags, Role, SIDE_KEY,
        STORE_ARN_KEY, STORE_ID_KEY, SecurityGroup, Token,
    },
    id::{InstanceId, InterfaceId, Partition, PrefixListId, SecurityGroupId, StoreArn, StoreId, VpcId, ZoneName},
    model::{DataStore, Form, Instance, Interface, Membership, Network},
    observation::{
        AttachedInterface, Attachments, Gap, InterfaceOwner, Observation, Reading, Scope, StoreLookup, Subject,
    },
    plan::PairRule,
    policy::Policy,
    rule::{Peer, PortRange, Rule, Traffic},
    service::{Service, Side, StoreKind},
    state::{Attached, Connection, CountedRemoval, Note, Removal, Target, VpcState, Wanted},
    tag::{ConnectTag, ConnectionName, TagSettings},
};
use thiserror::Error;

use crate::{World, rule};

/// Why a text is not a world.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub struct BadWorld {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

pub(crate) const VPC: &str = "vpc-1";
pub(crate) const ZONE_PREFIX: &str = "eu-central-1";
const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "123456789012";

/// What a line that begins with a word is about, and the port it listens on unless it says another.
pub(crate) const STORES: [(&str, Service, StoreKind, &str); 8] = [
    ("db", Service::Rds, StoreKind::DbInstance, "5432"),
    ("cluster", Service::Rds, StoreKind::DbCluster, "5432"),
    ("docdb", Service::DocumentDb, StoreKind::DbCluster, "27017"),
    ("neptune", Service::Neptune, StoreKind::DbCluster, "8182"),
    ("replicationgroup", Service::ElastiCache, StoreKind::ReplicationGroup, "6379"),
    ("cache", Service::ElastiCache, StoreKind::CacheCluster, "11211"),
    ("serverlesscache", Service::ElastiCache, StoreKind::ServerlessCache, "6379-6380"),
    ("redshift", Service::Redshift, StoreKind::RedshiftCluster, "5439"),
];

/// The identity of a store whose line names none.
pub(crate) fn identity(kind: StoreKind, name: &str) -> String {
    let word = STORES.iter().find(|(_, _, of, _)| *of == kind).map_or("store", |(word, ..)| word);
    format!("{word}-{name}")
}

impl World {
    /// Reads a world; the grammar is in the crate's documentation.
    ///
    /// # Errors
    /// [`BadWorld`] for the first line that cannot be read.
    pub fn read(text: &str) -> Result<Self, BadWorld> {
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = Line::read(index + 1, line).map_err(|problem| BadWorld { line: index + 1, problem })?;
            lines.extend(line);
        }
        let mut reader = Reader::new();
        // Pairs and groups are attached to things that may be written below them.
        for heads in [&THINGS[..], &GROUPS[..], &REST[..]] {
            for line in lines.iter_mut().filter(|line| heads.contains(&line.head.as_str())) {
                let number = line.number;
                reader.line(line).and_then(|()| line.finish()).map_err(|problem| BadWorld { line: number, problem })?;
            }
        }
        match lines.iter().find(|line| ![&THINGS[..], &GROUPS[..], &REST[..]].concat().contains(&line.head.as_str())) {
            Some(line) => Err(BadWorld {
                line: line.number,
                problem: format!("there is no line that begins with {:?}", line.head),
            }),
            None => Ok(reader.finish()),
        }
    }
}

impl World {
    /// Reads line by line and leaves out what contradicts the lines before it.
    pub(crate) fn read_what_fits(lines: impl IntoIterator<Item = String>) -> Self {
        let mut reader = Reader::new();
        for text in lines {
            let before = reader.clone();
            let fits = Line::read(1, &text)
                .and_then(|line| line.map_or(Ok(()), |mut line| reader.line(&mut line).and_then(|()| line.finish())));
            if fits.is_err() {
                reader = before;
            }
        }
        reader.finish()
    }
}

const THINGS: [&str; 9] =
    ["instance", "db", "cluster", "docdb", "neptune", "replicationgroup", "cache", "serverlesscache", "redshift"];
const GROUPS: [&str; 2] = ["pair", "group"];
const REST: [&str; 18] = [
    "gone",
    "scope",
    "gap",
    "taken",
    "limit",
    "interface",
    "template",
    "isolation",
    "removed",
    "wanted",
    "unused",
    "attached",
    "max",
    "window",
    "status-tags",
    "allow-cidr",
    "prefix-list",
    "uninstalling",
];

type Outcome<T> = Result<T, String>;

/// A value of an option, and whether it stood in quotes.
#[derive(Debug, Clone)]
struct Value {
    text: String,
    quoted: bool,
}

/// A line taken apart: a head, bare words, and options. What is used is taken out, so that what is
/// left over at the end is an error.
#[derive(Debug)]
struct Line {
    number: usize,
    head: String,
    words: Vec<String>,
    options: Vec<(String, Value)>,
}

impl Line {
    fn read(number: usize, text: &str) -> Outcome<Option<Self>> {
        let mut words: Vec<(String, Option<usize>)> = Vec::new();
        let mut word: Option<(String, Option<usize>)> = None;
        let mut quoted = false;
        for symbol in text.chars() {
            match symbol {
                '"' => {
                    quoted = !quoted;
                    let (text, quote) = word.get_or_insert_default();
                    *quote = quote.or(Some(text.len()));
                }
                '#' if !quoted => break,
                _ if symbol.is_whitespace() && !quoted => words.extend(word.take()),
                _ => word.get_or_insert_default().0.push(symbol),
            }
        }
        if quoted {
            return Err("a quote is not closed".to_owned());
        }
        words.extend(word);
        let mut line = Self { number, head: String::new(), words: Vec::new(), options: Vec::new() };
        for (word, quote) in words {
            let unquoted = quote.unwrap_or(word.len());
            match word.split_once('=').filter(|(key, _)| key.len() < unquoted) {
                Some((key, value)) => {
                    let value = Value { text: value.to_owned(), quoted: quote.is_some() };
                    line.options.push((key.to_owned(), value));
                }
                None => line.words.push(word),
            }
        }
        if line.words.is_empty() {
            return if line.options.is_empty() { Ok(None) } else { Err("it begins with an option".to_owned()) };
        }
        line.head = line.words.remove(0);
        Ok(Some(line))
    }

    fn finish(&self) -> Outcome<()> {
        match self.words.iter().chain(self.options.iter().map(|(key, _)| key)).next() {
            Some(word) => Err(format!("{word:?} means nothing on the line of {}", self.head)),
            None => Ok(()),
        }
    }

    fn name(&mut self) -> Outcome<String> {
        if self.words.is_empty() { Err(format!("a {} line needs a name", self.head)) } else { Ok(self.words.remove(0)) }
    }

    fn has_names(&self) -> bool {
        !self.words.is_empty()
    }

    fn all(&mut self, key: &str) -> Vec<Value> {
        self.options.extract_if(.., |(other, _)| other == key).map(|(_, value)| value).collect()
    }

    fn value(&mut self, key: &str) -> Outcome<Option<Value>> {
        let mut values = self.all(key);
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(format!("{key} stands there twice")),
        }
    }

    fn text(&mut self, key: &str) -> Outcome<Option<String>> {
        Ok(self.value(key)?.map(|value| value.text))
    }

    fn list(&mut self, key: &str) -> Outcome<Option<Vec<String>>> {
        Ok(self.text(key)?.map(|text| words(&text)))
    }

    fn network(&mut self, vpc: VpcId) -> Network {
        let others = [
            ("not-shown", Network::NotShown),
            ("vpc-networking-off", Network::VpcNetworkingOff),
            ("public-endpoint", Network::PublicEndpoint),
            ("classic", Network::Classic),
        ];
        let named = others.into_iter().find_map(|(flag, network)| self.flag(flag).then_some(network));
        named.unwrap_or(Network::Vpc(vpc))
    }

    fn flag(&mut self, flag: &str) -> bool {
        self.words.extract_if(.., |word| word == flag).count() > 0
    }

    /// The moment that lies as far back as `ago` says, in minutes.
    fn ago(&mut self) -> Outcome<Timestamp> {
        Ok(self.minutes("ago")?.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// The moment so many minutes before the observation.
    fn minutes(&mut self, key: &str) -> Outcome<Option<Timestamp>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        said(Timestamp::from_second(-60 * said(text.parse::<i64>())?)).map(Some)
    }

    fn rules(&mut self, key: &str) -> Outcome<BTreeSet<Rule>> {
        let read = |value: Value| rule::read(&value.text).ok_or_else(|| format!("{:?} is not a rule", value.text));
        self.all(key).into_iter().map(read).collect()
    }

    fn settings(&mut self) -> Outcome<TagSettings> {
        let connect = self.value("connect")?;
        let value = connect.map(|value| if value.quoted { value.text } else { value.text.replace(',', " ") });
        Ok(TagSettings {
            connect: ConnectTag::read(value.as_deref()),
            blocked: self.flag("block"),
            held: self.flag("hold"),
            allow_cidr: CidrTag::read(self.text("allow-cidr")?.as_deref()),
            status: self.text("status")?,
        })
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(',').filter(|word| !word.is_empty() && *word != "none").map(str::to_owned).collect()
}

fn said<T>(result: Result<T, impl std::fmt::Display>) -> Outcome<T> {
    result.map_err(|error| error.to_string())
}

/// A group's id; the prefix may be left out.
fn group_id(name: &str) -> Outcome<SecurityGroupId> {
    said(SecurityGroupId::parse(format!("sg-{}", name.strip_prefix("sg-").unwrap_or(name))))
}

fn interface_of(instance: &InstanceId) -> Outcome<InterfaceId> {
    said(InterfaceId::parse(instance.as_str().replacen("i-", "eni-", 1)))
}

fn zone(name: &str) -> Outcome<ZoneName> {
    said(ZoneName::parse(format!("{ZONE_PREFIX}{name}")))
}

fn side(text: &str) -> Outcome<Side> {
    Side::BOTH.into_iter().find(|side| side.tag_value() == text).ok_or_else(|| format!("{text:?} is not a side"))
}

fn role(text: &str) -> Outcome<Role> {
    if text == Role::Cidr.tag_value() { Ok(Role::Cidr) } else { side(text).map(Role::Side) }
}

fn sides(text: &str) -> Outcome<Vec<Side>> {
    words(text).iter().map(|word| side(word)).collect()
}

fn arn(kind: StoreKind, name: &str) -> Outcome<StoreArn> {
    said(StoreArn::of(&said(Partition::parse("aws"))?, kind, REGION, ACCOUNT, name))
}

/// What a pair or a group needs to know of its store, which may be one that is no longer there.
struct Home {
    id: StoreId,
    arn: StoreArn,
    service: Service,
    ports: Option<PortRange>,
}

#[derive(Clone)]
struct Reader {
    world: World,
    /// By the names that the text uses.
    stores: BTreeMap<String, StoreArn>,
}

impl Reader {
    fn new() -> Self {
        let vpc = VpcId::parse(VPC).unwrap_or_else(|_| unreachable!("a constant"));
        let seen = Observation {
            vpc,
            at: Timestamp::UNIX_EPOCH,
            scope: Scope::Vpc,
            instances: Reading::default(),
            stores: Reading::default(),
            groups: Reading::default(),
            taken_names: BTreeSet::new(),
            listed: BTreeMap::new(),
            absent: BTreeSet::new(),
            attachments: Attachments::default(),
            launch_templates: Some(Reading::default()),
            prefix_lists: Reading::default(),
            identities: Ok(Identities::new()),
            state: Ok(VpcState::default()),
        };
        Self { world: World { seen, policy: Policy::default() }, stores: BTreeMap::new() }
    }

    fn line(&mut self, line: &mut Line) -> Outcome<()> {
        match line.head.as_str() {
            "instance" => self.instance(line),
            "pair" => self.pair(line),
            "group" => self.group(line),
            "gone" => {
                let name = line.name()?;
                self.world.seen.stores.found.push(StoreLookup::NotFound(arn(StoreKind::DbInstance, &name)?));
                if !line.flag("unsure") {
                    self.world.seen.absent.insert(said(StoreId::parse(format!("db-{name}")))?);
                }
                Ok(())
            }
            "interface" => self.interface(line),
            "template" => {
                let name = line.name()?;
                let templates = self.world.seen.launch_templates.get_or_insert_default();
                templates.found.push(group_id(&name)?);
                Ok(())
            }
            "isolation" => {
                self.world.policy.isolation_groups.insert(group_id(&line.name()?)?);
                Ok(())
            }
            "removed" | "wanted" | "unused" | "attached" | "uninstalling" => self.state(line),
            "max" => {
                self.world.policy.max_disconnects = said(line.name()?.parse())?;
                Ok(())
            }
            "window" => {
                let minutes = said(line.name()?.parse())?;
                self.world.policy.disconnect_window = Duration::from_mins(minutes);
                Ok(())
            }
            "status-tags" => {
                self.world.policy.status_tags = true;
                Ok(())
            }
            "allow-cidr" => {
                let usual = CidrLimits::default();
                let mut widest = |key, usual: u8| line.text(key)?.map_or(Ok(usual), |text| said(text.parse()));
                self.world.policy.allow_cidr = Some(CidrLimits {
                    widest_ipv4: widest("ipv4", usual.widest_ipv4)?,
                    widest_ipv6: widest("ipv6", usual.widest_ipv6)?,
                });
                Ok(())
            }
            "prefix-list" => self.prefix_list(line),
            "scope" => self.scope(line),
            "gap" => self.gap(line),
            "taken" => {
                self.world.seen.taken_names.extend(line.words.drain(..));
                Ok(())
            }
            "limit" => {
                self.world.policy.interface_group_limit = said(line.name()?.parse())?;
                Ok(())
            }
            other => match STORES.iter().find(|(word, ..)| *word == other) {
                Some((_, service, kind, port)) => self.store(line, *service, *kind, port),
                None => Err(format!("there is no line that begins with {other:?}")),
            },
        }
    }

    fn instance(&mut self, line: &mut Line) -> Outcome<()> {
        let id = said(InstanceId::parse(line.name()?))?;
        if self.world.seen.instances.found.iter().any(|instance| instance.id == id) {
            return Err(format!("{id} is there already"));
        }
        let has = line.list("groups")?.unwrap_or_else(|| vec!["default".to_owned()]);
        let interface = Interface {
            id: interface_of(&id)?,
            vpc: self.world.seen.vpc.clone(),
            groups: has.iter().map(|name| group_id(name)).collect::<Outcome<_>>()?,
        };
        let instance = Instance {
            id,
            name: line.text("name")?.map(Into::into),
            interface: (!line.flag("gone")).then_some(interface),
            operator: line.text("managed-by")?.map(Into::into),
            zone: line.text("zone")?.map(|name| zone(&name)).transpose()?,
            settings: line.settings()?,
        };
        self.world.seen.instances.found.push(instance);
        Ok(())
    }

    fn store(&mut self, line: &mut Line, service: Service, kind: StoreKind, port: &str) -> Outcome<()> {
        let name = line.name()?;
        let arn = arn(kind, &name)?;
        let form = if line.flag("serverless-v1") {
            Form::ServerlessV1
        } else if let Some(global) = line.text("global")? {
            Form::GlobalMember { global: global.into() }
        } else if let Some(cluster) = line.text("member-of")? {
            Form::ClusterMember { cluster: cluster.into() }
        } else {
            Form::Plain
        };
        let ports = match line.text("port")?.as_deref().unwrap_or(port) {
            "none" => None,
            text => Some(rule::ports(text).ok_or_else(|| format!("{text:?} is not a port"))?),
        };
        let mut groups = BTreeMap::new();
        for word in line.list("groups")?.unwrap_or_else(|| vec!["default".to_owned()]) {
            let (group, membership) = match word.split_once(':') {
                None => (word.as_str(), Membership::Active),
                Some((group, "adding")) => (group, Membership::Adding),
                Some((group, "removing")) => (group, Membership::Removing),
                Some((_, other)) => return Err(format!("{other:?} is not a membership")),
            };
            groups.insert(group_id(group)?, membership);
        }
        let number = line.text("vpc")?.unwrap_or_else(|| "1".to_owned());
        let vpc = said(VpcId::parse(format!("vpc-{number}")))?;
        let id = line.text("id")?.unwrap_or_else(|| identity(kind, &name));
        let store = DataStore {
            id: said(StoreId::parse(id))?,
            arn: arn.clone(),
            service,
            network: line.network(vpc),
            zones: line.list("zone")?.unwrap_or_default().iter().map(|name| zone(name)).collect::<Outcome<_>>()?,
            ports,
            state: line.text("state")?.unwrap_or_else(|| "available".to_owned()),
            form,
            groups,
            settings: line.settings()?,
        };
        if self.stores.insert(name.clone(), arn).is_some() {
            return Err(format!("{name} is there already"));
        }
        self.world.seen.stores.found.push(StoreLookup::Found(Box::new(store)));
        Ok(())
    }

    fn store_mut(&mut self, name: &str) -> Option<&mut DataStore> {
        let arn = self.stores.get(name)?;
        self.world.seen.stores.found.iter_mut().find_map(|lookup| match lookup {
            StoreLookup::Found(store) if store.arn == *arn => Some(store.as_mut()),
            StoreLookup::Found(_) | StoreLookup::NotFound(_) => None,
        })
    }

    fn home(&mut self, name: &str) -> Outcome<Home> {
        if let Some(store) = self.store_mut(name) {
            let (id, arn, service, ports) = (store.id.clone(), store.arn.clone(), store.service, store.ports);
            return Ok(Home { id, arn, service, ports });
        }
        Ok(Home {
            id: said(StoreId::parse(format!("db-{name}")))?,
            arn: arn(StoreKind::DbInstance, name)?,
            service: Service::Rds,
            ports: PortRange::single(5432),
        })
    }

    fn have(&mut self, instance: &str, group: SecurityGroupId) -> Outcome<()> {
        let found = self.world.seen.instances.found.iter_mut().find(|found| found.id.as_str() == instance);
        let interface = found.and_then(|instance| instance.interface.as_mut());
        interface.ok_or_else(|| format!("there is no {instance} to have it"))?.groups.insert(group);
        Ok(())
    }

    fn add(&mut self, group: SecurityGroup) -> Outcome<()> {
        if self.world.seen.groups.found.iter().any(|found| found.id == group.id) {
            return Err(format!("{} is there already", group.id));
        }
        self.world.seen.groups.found.push(group);
        Ok(())
    }

    fn pair(&mut self, line: &mut Line) -> Outcome<()> {
        let of = line.name()?;
        let home = self.home(&of)?;
        let numbers = line.name()?;
        let (store_number, instance_number) = numbers.split_once('/').unwrap_or((&numbers, &numbers));
        let number = |side| match side {
            Side::Store => said(store_number.parse::<u32>()),
            Side::Instance => said(instance_number.parse::<u32>()),
        };
        let name =
            |side| number(side).map(|number| GroupName { service: home.service, role: Role::Side(side), number });
        let names = BTreeMap::from([(Side::Store, name(Side::Store)?), (Side::Instance, name(Side::Instance)?)]);

        let made = line.text("only")?.map_or_else(|| Ok(Side::BOTH.to_vec()), |text| sides(&text))?;
        let with_rule = match line.text("rules")? {
            Some(text) => sides(&text)?,
            None if made.len() == 1 => Vec::new(),
            None => Side::BOTH.to_vec(),
        };
        let open = line.text("egress")?.map_or_else(|| Ok(Vec::new()), |text| sides(&text))?;
        let ports = match line.text("port")? {
            Some(text) => Some(rule::ports(&text).ok_or_else(|| format!("{text:?} is not a port"))?),
            None => home.ports.or_else(|| PortRange::single(5432)),
        };
        let tag_arn =
            line.text("arn")?.map_or_else(|| Ok(home.arn.clone()), |name| arn(StoreKind::DbInstance, &name))?;
        let maker = line.text("made-by")?.unwrap_or_else(|| MANAGED_BY.to_owned());
        let (former, record) = (line.flag("former"), line.text("record")?);
        let mut others = BTreeMap::new();
        for (side, key) in [(Side::Store, "store-tags"), (Side::Instance, "instance-tags")] {
            others.extend(line.text(key)?.map(|text| (side, text)));
        }
        let mut extra =
            BTreeMap::from([(Side::Store, line.rules("store-rule")?), (Side::Instance, line.rules("instance-rule")?)]);

        for side in made.iter().copied() {
            let (Some(name), Some(peer)) = (names.get(&side), names.get(&side.opposite())) else { continue };
            let mut rules = extra.remove(&side).unwrap_or_default();
            if with_rule.contains(&side) {
                rules.extend(ports.map(|ports| Rule {
                    direction: PairRule::direction(side),
                    traffic: Traffic::Tcp(ports),
                    peer: Peer::Group(group_id(&peer.to_string()).unwrap_or_else(|_| unreachable!("names are ids"))),
                }));
            }
            if open.contains(&side) {
                rules.insert(rule::default_egress());
            }
            let own = OwnTags { store: home.id.clone(), arn: tag_arn.clone(), role: side.into() };
            let token = Token::of_bits(u128::from(name.number));
            let ours = if former {
                group::former_description(side).to_owned()
            } else {
                group::description(side, &home.id, &token)
            };
            let (description, tags) = match maker.as_str() {
                "console" => (console_description(side, &of), BTreeMap::new()),
                "hand" => ("by hand".to_owned(), BTreeMap::new()),
                "forger" => ("by hand".to_owned(), own.to_map()),
                "nobody" => (ours, BTreeMap::new()),
                MANAGED_BY => (ours, own.to_map()),
                other => return Err(format!("nobody is called {other:?}: console, hand, forger, nobody")),
            };
            let mut group = SecurityGroup {
                id: group_id(&name.to_string())?,
                vpc: self.world.seen.vpc.clone(),
                name: name.to_string(),
                description,
                tags,
                rules,
                record: None,
            };
            group.record = self.record(record.as_deref(), &group)?;
            if let Some(others) = others.get(&side) {
                group.tags = self.other_tags(others, side.into(), group.tags)?;
            }
            self.add(group)?;
        }
        let membership = match (line.flag("loose"), line.flag("adding"), line.flag("removing")) {
            (true, ..) => None,
            (_, true, _) => Some(Membership::Adding),
            (.., true) => Some(Membership::Removing),
            _ => Some(Membership::Active),
        };
        if made.contains(&Side::Store)
            && let Some((membership, name)) = membership.zip(names.get(&Side::Store))
            && let Some(store) = self.store_mut(&of)
        {
            store.groups.insert(group_id(&name.to_string())?, membership);
        }
        for instance in line.list("attached-to")?.unwrap_or_default() {
            let name = names.get(&Side::Instance).filter(|_| made.contains(&Side::Instance));
            let name = name.ok_or("there is no instance side to have")?;
            self.have(&instance, group_id(&name.to_string())?)?;
        }
        Ok(())
    }

    fn group(&mut self, line: &mut Line) -> Outcome<()> {
        let name = line.name()?;
        let id = line.text("id")?.unwrap_or_else(|| name.clone());
        let id = group_id(&id)?;
        let mut tags = BTreeMap::new();
        if let Some(tagged) = line.text("tagged")? {
            let (of, of_role) = tagged.split_once('/').ok_or_else(|| format!("{tagged:?} is not STORE/ROLE"))?;
            let home = self.home(of)?;
            tags = OwnTags { store: home.id, arn: home.arn, role: role(of_role)? }.to_map();
        }
        let written: Vec<String> =
            line.options.iter().filter(|(key, _)| key.starts_with("tag:")).map(|(key, _)| key.clone()).collect();
        for key in written {
            if let (Some(value), Some(tag)) = (line.text(&key)?, key.strip_prefix("tag:")) {
                tags.insert(tag.to_owned(), value);
            }
        }
        let ours = line.text("ours")?.map(|text| self.ours(&text, &tags)).transpose()?;
        let record = line.text("record")?;
        let description = line.text("description")?;
        let group = SecurityGroup {
            id: id.clone(),
            vpc: self.world.seen.vpc.clone(),
            name,
            description: ours.or(description).unwrap_or_else(|| "by hand".to_owned()),
            tags,
            rules: line.rules("rule")?,
            record: None,
        };
        let group = SecurityGroup { record: self.record(record.as_deref(), &group)?, ..group };
        self.add(group)?;
        for instance in line.list("attached-to")?.unwrap_or_default() {
            self.have(&instance, id.clone())?;
        }
        for name in line.list("on")?.unwrap_or_default() {
            let store = self.store_mut(&name).ok_or_else(|| format!("there is no store {name}"))?;
            store.groups.insert(id.clone(), Membership::Active);
        }
        Ok(())
    }

    /// Our description for a role, of the store that the text or else the tags name; without one it is an earlier
    /// version's.
    fn ours(&mut self, text: &str, tags: &BTreeMap<String, String>) -> Outcome<String> {
        let (role_word, of) = text.split_once('/').map_or((text, None), |(role, of)| (role, Some(of)));
        let role = role(role_word)?;
        let tagged = tags.get(STORE_ID_KEY).and_then(|id| StoreId::parse(id.clone()).ok());
        let store = of.map(|of| self.home(of)).transpose()?.map(|home| home.id).or(tagged);
        Ok(match store {
            Some(store) => group::description(role, &store, &Token::of_bits(1)),
            None => group::former_description(role).to_owned(),
        })
    }

    /// The record of a group: what its tags say when nothing else is written, `none`, or one for another store, which
    /// may know no id yet or another one.
    fn record(&mut self, text: Option<&str>, group: &SecurityGroup) -> Outcome<Option<GroupRecord>> {
        let usual = usual_record(group);
        let Some(text) = text else { return Ok(usual) };
        if text == "none" {
            return Ok(None);
        }
        if let [store, arn, role_word, id, token] = text.split(' ').collect::<Vec<_>>().as_slice() {
            let known = |word: &str| (word != "-").then(|| word.to_owned());
            return Ok(Some(GroupRecord {
                store: said(StoreId::parse(*store))?,
                arn: known(arn).map(|arn| said(StoreArn::parse(arn))).transpose()?,
                role: role(role_word)?,
                token: known(token).and_then(|token| Token::read(&token)),
                id: known(id).map(|id| group_id(&id)).transpose()?,
                earlier: None,
            }));
        }
        let (of, id) = text.split_once('/').unwrap_or((text, "bound"));
        let home = self.home(of)?;
        let described = Described::read(&group.description).ok_or("its description is none of ours")?;
        let id = match id {
            "bound" => Some(group.id.clone()),
            "unnamed" => None,
            other => Some(group_id(other)?),
        };
        let (role, token) = (described.role, described.token().cloned());
        Ok(Some(GroupRecord { store: home.id, arn: Some(home.arn), role, token, id, earlier: None }))
    }

    fn other_tags(
        &mut self,
        text: &str,
        role: Role,
        mut tags: BTreeMap<String, String>,
    ) -> Outcome<BTreeMap<String, String>> {
        match text {
            "none" => tags.clear(),
            "unmarked" => drop(tags.remove(MANAGED_BY_KEY)),
            "sideless" => drop(tags.insert(SIDE_KEY.to_owned(), "x".to_owned())),
            name => {
                let home = self.home(name)?;
                tags.extend(OwnTags { store: home.id, arn: home.arn, role }.to_map());
            }
        }
        Ok(tags)
    }

    fn prefix_list(&mut self, line: &mut Line) -> Outcome<()> {
        let list = PrefixList {
            id: said(PrefixListId::parse(line.name()?))?,
            owner: line.text("owner")?.unwrap_or_else(|| ACCOUNT.to_owned()).into(),
            family: if line.flag("ipv6") { Family::Ipv6 } else { Family::Ipv4 },
            most_entries: line.text("most")?.map_or(Ok(10), |text| said(text.parse()))?,
            entries: line
                .list("entries")?
                .unwrap_or_default()
                .iter()
                .map(|entry| said(Block::parse(entry)))
                .collect::<Outcome<_>>()?,
        };
        let lists = &mut self.world.seen.prefix_lists.found;
        if lists.iter().any(|other| other.id == list.id) {
            return Err(format!("{} is there already", list.id));
        }
        lists.push(list);
        Ok(())
    }

    fn interface(&mut self, line: &mut Line) -> Outcome<()> {
        let interface = said(InterfaceId::parse(line.name()?))?;
        let of = line.text("of")?.unwrap_or_default();
        let owner = match InstanceId::parse(of.clone()) {
            Ok(id) => InterfaceOwner::Instance { id, primary: line.flag("primary"), copies: line.flag("copies") },
            Err(_) if line.flag("detached") => InterfaceOwner::Nobody { description: of.into() },
            Err(_) => InterfaceOwner::Other { description: of.into() },
        };
        let groups = line.list("groups")?.unwrap_or_default();
        let groups = groups.iter().map(|name| group_id(name)).collect::<Outcome<_>>()?;
        self.world.seen.attachments.by.found.push(AttachedInterface { interface, owner, groups });
        Ok(())
    }

    fn removal(&mut self, line: &mut Line) -> Outcome<Removal> {
        let of = line.name()?;
        let store = line.name()?;
        let store = self.home(&store)?.id;
        Ok(match of.as_str() {
            "store-side" => Removal::StoreSide(store),
            "cidr-group" => Removal::CidrGroup(store),
            _ if of.starts_with("eni-") => Removal::LeftOver { interface: said(InterfaceId::parse(of))?, store },
            _ => Removal::Connection(Connection { instance: said(InstanceId::parse(of))?, store }),
        })
    }

    fn state(&mut self, line: &mut Line) -> Outcome<()> {
        let at = line.ago()?;
        if line.head == "removed" {
            let connections = said(line.name()?.parse())?;
            let of = if line.has_names() { Some(self.removal(line)?) } else { None };
            let Ok(state) = &mut self.world.seen.state else { return Ok(()) };
            state.window.version += 1;
            state.window.removals.push(CountedRemoval { at, connections, of });
            return Ok(());
        }
        let note = match line.head.as_str() {
            "wanted" => {
                let failed = line.minutes("failed")?;
                Note::Wanted(self.removal(line)?, Some(Wanted { since: at, failed }))
            }
            "unused" => Note::Unused(group_id(&line.name()?)?, Some(at)),
            "uninstalling" => Note::Uninstalling(Some(at)),
            _ => {
                let target = line.name()?;
                let target = match InstanceId::parse(target.clone()) {
                    Ok(id) => Target::Interface(interface_of(&id)?),
                    Err(_) => Target::Store(self.home(&target)?.id),
                };
                let group = group_id(&line.name()?)?;
                let again = line.list("again")?.unwrap_or_default();
                let again =
                    again.iter().map(|minutes| said(Timestamp::from_second(-60 * said(minutes.parse::<i64>())?)));
                let attached = Attached {
                    tag: line.text("tag")?.unwrap_or_default(),
                    since: at,
                    again: again.collect::<Outcome<_>>()?,
                    contested: line.flag("contested"),
                };
                Note::Attached(target, group, Some(attached))
            }
        };
        if let Ok(state) = &mut self.world.seen.state {
            state.note(note);
        }
        Ok(())
    }

    /// Who has an owned group was asked, as a sweep does.
    fn finish(mut self) -> World {
        let seen = &mut self.world.seen;
        for group in seen.groups.found.iter_mut().filter(|_| seen.identities.is_err()) {
            group.record = None;
        }
        if let Ok(identities) = &mut seen.identities {
            let named = seen.groups.found.iter().filter_map(|group| Some((GroupName::read(&group.name)?, group)));
            identities.extend(named.filter_map(|(name, group)| Some((name, group.record.clone()?))));
        }
        let owned = seen.groups.found.iter().filter(|group| group.ownership().ours().is_some());
        seen.attachments.of = owned.map(|group| group.id.clone()).collect();
        self.world
    }

    fn scope(&mut self, line: &mut Line) -> Outcome<()> {
        let names: Vec<String> = line.words.drain(..).collect();
        if names == ["vpc"] {
            return Ok(());
        }
        let (mut instances, mut stores) = (BTreeSet::new(), BTreeSet::new());
        for name in names {
            if name.starts_with("i-") {
                instances.insert(said(InstanceId::parse(name))?);
            } else {
                stores.insert(self.stores.get(&name).cloned().map_or_else(|| arn(StoreKind::DbInstance, &name), Ok)?);
            }
        }
        self.world.seen.scope = Scope::Some { instances, stores };
        Ok(())
    }

    fn gap(&mut self, line: &mut Line) -> Outcome<()> {
        let what = line.name()?;
        let passing = !line.flag("lasting");
        let message = if passing { "Throttling" } else { "AccessDenied" };
        let of = line.list("of")?.unwrap_or_default();
        let of =
            of.iter().map(|name| self.stores.get(name).cloned().map_or_else(|| arn(StoreKind::DbInstance, name), Ok));
        let of: BTreeSet<StoreArn> = of.collect::<Outcome<_>>()?;
        if let Some(names) = line.list("names")? {
            let names: BTreeSet<_> =
                names.into_iter().map(|name| said(ConnectionName::parse(&name))).collect::<Outcome<_>>()?;
            self.world.seen.listed.extend(of.iter().map(|store| (store.clone(), names.clone())));
        }
        let resources = || of.iter().cloned().map(Subject::Store);
        let gap = |call: &str| Gap::of(call, "", message).about(resources()).that_passes(passing, passing);
        let seen = &mut self.world.seen;
        let (gaps, reading) = match what.as_str() {
            "state" => {
                seen.state = Err(gap("dynamodb:Query"));
                return Ok(());
            }
            "identities" => {
                seen.identities = Err(gap("dynamodb:Query"));
                return Ok(());
            }
            "attached_interfaces" => (&mut seen.attachments.by.gaps, "ec2:DescribeNetworkInterfaces"),
            "templates" => {
                let templates = seen.launch_templates.get_or_insert_default();
                (&mut templates.gaps, "ec2:DescribeLaunchTemplateVersions")
            }
            "instances" => (&mut seen.instances.gaps, "ec2:DescribeInstances"),
            "stores" => (&mut seen.stores.gaps, "rds:DescribeDBInstances"),
            "prefix-lists" => (&mut seen.prefix_lists.gaps, "ec2:DescribeManagedPrefixLists"),
            "groups" => (&mut seen.groups.gaps, "ec2:DescribeSecurityGroups"),
            _ => {
                return Err(format!(
                    "{what:?} is none of instances, stores, groups, attached_interfaces, templates, prefix-lists, state, identities"
                ));
            }
        };
        gaps.push(gap(reading));
        Ok(())
    }
}

/// The record of a group whose description and tags say the same: what the tool that made it would have written.
pub(crate) fn usual_record(group: &SecurityGroup) -> Option<GroupRecord> {
    let name = GroupName::read(&group.name)?;
    let described = Described::read(&group.description).filter(|described| described.role == name.role)?;
    let has = |key: &str, value: &str| group.tags.get(key).is_some_and(|found| found == value);
    let store = StoreId::parse(group.tags.get(STORE_ID_KEY)?.clone()).ok()?;
    let arn = group.tags.get(STORE_ARN_KEY).and_then(|arn| StoreArn::parse(arn.clone()).ok());
    (has(MANAGED_BY_KEY, MANAGED_BY) && has(SIDE_KEY, name.role.tag_value())).then(|| GroupRecord {
        store,
        arn,
        role: name.role,
        token: described.token().cloned(),
        id: Some(group.id.clone()),
        earlier: None,
    })
}

fn console_description(side: Side, store: &str) -> String {
    match side {
        Side::Store => format!(
            "Security group attached to {store} to allow EC2 instances with specific security groups attached to connect to the database. Modification could lead to connection loss."
        ),
        Side::Instance => format!(
            "Security group attached to instances to securely connect to {store}. Modification could lead to connection loss."
        ),
    }
}
