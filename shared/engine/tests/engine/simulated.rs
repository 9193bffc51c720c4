//! A cloud in state, with AWS's semantics as far as they matter to the engine, written without
//! the planner and without `expected`. It records every call, can fail or never answer any of
//! them, and lets somebody else change things between two of them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    future::pending,
    rc::Rc,
    time::Duration,
};

use jiff::Timestamp;
use tagwire_core::{
    cidr::{CidrTag, PrefixList},
    group::{
        self, DESCRIPTION_BEGINS, Described, GroupList, GroupName, GroupRecord, Identities, MANAGED_BY, MANAGED_BY_KEY,
        OwnTags, OwnedGroup, Role, SIDE_KEY, STORE_ARN_KEY, STORE_ID_KEY, SecurityGroup, Token,
    },
    id::{InstanceId, InterfaceId, PrefixListId, RequestId, SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{DataStore, Form, Instance, Interface, Membership, Network},
    observation::{AttachedInterface, Gap, InterfaceOwner, Reading, StoreLookup},
    plan::StatusOf,
    rule::{Direction, Peer, PortRange, Rule, Traffic},
    service::{Service, Side},
    state::{Note, Target, VpcState, Window},
    tag::{ConnectTag, TagSettings},
    work::{Again, Answer, WorkItem},
};
use tagwire_engine::cloud::{
    Change, Clock, CloudError, ErrorKind, EventQueue, Groups, Instances, Observe, Queues, TaggedStore,
};

use crate::clock::SimulatedClock;

/// One call, in the order in which they arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) subject: String,
    pub(crate) at: Timestamp,
}

/// The calls that change AWS.
pub(crate) const WRITES: [&str; 8] = [
    "create_group",
    "authorize",
    "revoke",
    "tag_group",
    "set_interface_groups",
    "set_store_groups",
    "delete_group",
    "set_status",
];
/// The calls that read AWS or the state table.
pub(crate) const READS: [&str; 13] = [
    "prefix_lists",
    "instances",
    "interfaces",
    "groups",
    "candidates",
    "stores",
    "all_stores",
    "stores_by_id",
    "attached_interfaces",
    "launch_template_groups",
    "vpc_state",
    "identities",
    "answer",
];
/// The calls that write the state table.
pub(crate) const NOTES: [&str; 3] = ["reserve_window", "write_notes", "answer_request"];

impl Call {
    pub(crate) fn writes(&self) -> bool {
        WRITES.contains(&self.name)
    }

    pub(crate) fn reads(&self) -> bool {
        READS.contains(&self.name)
    }

    /// That a sweep came by is no news.
    pub(crate) fn notes(&self) -> bool {
        NOTES.contains(&self.name) && !self.subject.contains("[Swept(")
    }
}

/// Which calls something happens to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    /// The call of this index among all calls.
    Index(usize),
    /// Calls of one name: so many, after having let so many pass.
    Named { name: &'static str, after: usize, times: usize },
}

/// What happens to a call instead of its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Fails {
        kind: ErrorKind,
        with_effect: bool,
    },
    /// A reading shows its first half, and the next page fails.
    Page(ErrorKind),
    /// The process dies here: no answer, and no call after this one.
    Crash {
        with_effect: bool,
    },
}

struct Hook {
    name: &'static str,
    after: usize,
    act: Box<dyn FnOnce(&mut World)>,
}

#[derive(Debug)]
pub(crate) struct SimulatedGroup {
    pub(crate) group: SecurityGroup,
    /// How many readings still miss it.
    pub(crate) hidden: u32,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) instances: BTreeMap<InstanceId, Instance>,
    /// Instances that no reading shows yet.
    pub(crate) unseen: BTreeSet<InstanceId>,
    pub(crate) groups: BTreeMap<SecurityGroupId, SimulatedGroup>,
    pub(crate) stores: BTreeMap<StoreArn, DataStore>,
    /// Stores that cannot be described, and why not.
    pub(crate) dark: BTreeMap<StoreArn, ErrorKind>,
    /// The tag index, which may say something else than the stores do.
    pub(crate) index: BTreeMap<StoreArn, ConnectTag>,
    /// VPCs with IPv6, whose groups are born with one rule more.
    pub(crate) with_ipv6: BTreeSet<VpcId>,
    /// How many readings miss a group that was just created.
    pub(crate) groups_hidden_for: u32,
    /// Interfaces that are no instance's primary one and no store's own.
    pub(crate) others: BTreeMap<InterfaceId, (VpcId, InterfaceOwner, BTreeSet<SecurityGroupId>)>,
    /// What the stores' own interfaces still have that do not follow their store's list at once.
    pub(super) lagging: BTreeMap<StoreId, (VpcId, BTreeSet<SecurityGroupId>)>,
    /// The groups that launch templates name.
    pub(crate) templates: BTreeSet<SecurityGroupId>,
    /// The managed prefix lists.
    pub(crate) prefix_lists: Vec<PrefixList>,
    /// How often AWS still refuses to delete a group that nothing uses any more.
    pub(crate) deletions_refused: u32,
    /// The state table.
    pub(crate) table: BTreeMap<VpcId, VpcState>,
    /// The records of groups in the state table.
    pub(crate) identities: BTreeMap<VpcId, Identities>,
    /// What people were told became of their requests.
    pub(crate) answers: BTreeMap<(VpcId, RequestId), Vec<Answer>>,
    /// What others have attached, by target, for as long as they want it there.
    pub(super) theirs: BTreeMap<String, BTreeSet<SecurityGroupId>>,
    /// How often others took a group of ours off a list.
    pub(crate) taken_off: BTreeMap<String, usize>,
    /// The groups of others as they made them.
    pub(crate) their_groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    pub(crate) calls: Vec<Call>,
    pub(crate) latency: Duration,
    /// Calls that take another time.
    pub(crate) slow: BTreeMap<&'static str, Duration>,
    /// The interfaces whose lists may not be changed.
    pub(crate) refused: BTreeSet<String>,
    /// Calls about this are not answered.
    pub(crate) hangs: Option<String>,
    faults: Vec<(When, Fault)>,
    hooks: Vec<Hook>,
    crashed: bool,
    /// The stores on the page that could not be read.
    beyond_page: BTreeSet<StoreArn>,
    pub(crate) work: Vec<WorkItem>,
    pub(crate) again: Vec<(EventQueue, Again, Duration)>,
    /// Where and when connections were cut that have to be counted.
    pub(crate) cuts: Vec<(VpcId, Timestamp, (InterfaceId, String))>,
    /// What AWS or its owner would never forgive.
    pub(crate) wrongs: Vec<String>,
    born: u32,
    /// The groups that were made for tagwire, whatever their tags say later.
    made: BTreeSet<SecurityGroupId>,
    tokens: u32,
}

pub(crate) fn sg(word: &str) -> SecurityGroupId {
    SecurityGroupId::parse(format!("sg-{word}")).unwrap()
}

pub(crate) fn vpc(word: &str) -> VpcId {
    VpcId::parse(format!("vpc-{word}")).unwrap()
}

pub(crate) fn instance(word: &str) -> InstanceId {
    InstanceId::parse(format!("i-{word}")).unwrap()
}

pub(crate) fn cluster(name: &str) -> StoreArn {
    StoreArn::parse(format!("arn:aws:rds:us-east-1:123456789012:cluster:{name}")).unwrap()
}

pub(crate) fn identity(name: &str) -> StoreId {
    StoreId::parse(format!("cluster-{}", name.to_uppercase())).unwrap()
}

fn settings(names: Option<&str>) -> TagSettings {
    TagSettings {
        connect: ConnectTag::read(names),
        blocked: false,
        held: false,
        allow_cidr: CidrTag::Absent,
        status: None,
    }
}

const ANYWHERE_IPV4: &str = "0.0.0.0/0";
const ANYWHERE_IPV6: &str = "::/0";
const PORT: u16 = 5432;
/// Longer than anybody waits for an answer.
const LONG: Duration = Duration::from_hours(10);

/// Building the world, and what others do in it.
impl World {
    /// An instance `i-WORD` with the interface `eni-WORD`, which has `sg-web`.
    pub(crate) fn launch(&mut self, word: &str, of: &VpcId, names: Option<&str>) -> InstanceId {
        let id = instance(word);
        let interface = Interface {
            id: InterfaceId::parse(format!("eni-{word}")).unwrap(),
            vpc: of.clone(),
            groups: [sg("web")].into(),
        };
        self.theirs.insert(interface.id.to_string(), [sg("web")].into());
        let launched = Instance {
            id: id.clone(),
            name: None,
            interface: Some(interface),
            operator: None,
            zone: None,
            settings: settings(names),
        };
        self.instances.insert(id.clone(), launched);
        id
    }

    /// An available cluster that has `sg-db`.
    pub(crate) fn store(&mut self, name: &str, of: &VpcId, names: Option<&str>) -> StoreArn {
        let arn = cluster(name);
        self.stores.insert(
            arn.clone(),
            DataStore {
                id: identity(name),
                arn: arn.clone(),
                service: Service::Rds,
                network: Network::Vpc(of.clone()),
                zones: BTreeSet::new(),
                ports: PortRange::single(PORT),
                state: "available".to_owned(),
                form: Form::Plain,
                groups: [(sg("db"), Membership::Active)].into(),
                settings: settings(names),
            },
        );
        self.theirs.insert(arn.to_string(), [sg("db")].into());
        if names.is_some() {
            self.index.insert(arn.clone(), ConnectTag::read(names));
        }
        arn
    }

    /// A group of somebody else.
    pub(crate) fn foreign_group(&mut self, word: &str, of: &VpcId, name: &str) -> SecurityGroupId {
        let group = SecurityGroup {
            id: sg(word),
            vpc: of.clone(),
            name: name.to_owned(),
            description: "made by hand".to_owned(),
            tags: BTreeMap::new(),
            rules: BTreeSet::new(),
            record: None,
        };
        self.their_groups.insert(group.id.clone(), group.clone());
        self.groups.insert(group.id.clone(), SimulatedGroup { group, hidden: 0 });
        sg(word)
    }

    /// A group of ours as an interrupted run leaves it: created and nothing more.
    pub(crate) fn half_made(&mut self, side: Side, name: &str, of: &VpcId, store: &StoreArn) -> SecurityGroupId {
        let tags = OwnTags { store: self.stores[store].id.clone(), arn: store.clone(), role: side.into() };
        let token = self.next_token();
        let id = self.bear(of, name.to_owned(), group::description(side, &tags.store, &token), tags.to_map(), 0);
        let record = GroupRecord {
            store: tags.store,
            arn: Some(tags.arn),
            role: tags.role,
            token: Some(token),
            id: None,
            earlier: None,
        };
        self.identities.entry(of.clone()).or_default().insert(GroupName::read(name).unwrap(), record);
        id
    }

    pub(crate) fn set_state(&mut self, store: &StoreArn, state: &str) {
        state.clone_into(&mut self.stores.get_mut(store).unwrap().state);
    }

    /// Somebody attaches a group of theirs to a store or an interface.
    pub(crate) fn other_writer_attaches(&mut self, target: &str, group: &SecurityGroupId) {
        self.theirs.entry(target.to_owned()).or_default().insert(group.clone());
        for store in self.stores.values_mut().filter(|store| store.arn.as_str() == target) {
            store.groups.insert(group.clone(), Membership::Active);
        }
        for interface in self.interfaces_mut().filter(|interface| interface.id.as_str() == target) {
            interface.groups.insert(group.clone());
        }
    }

    /// Somebody detaches a group of theirs.
    pub(crate) fn they_detach(&mut self, target: &str, group: &SecurityGroupId) {
        self.theirs.entry(target.to_owned()).or_default().remove(group);
        for store in self.stores.values_mut().filter(|store| store.arn.as_str() == target) {
            store.groups.remove(group);
        }
        for interface in self.interfaces_mut().filter(|interface| interface.id.as_str() == target) {
            interface.groups.remove(group);
        }
    }

    /// What is on its way into or out of a store's list arrives.
    pub(crate) fn lists_settle(&mut self) {
        for store in self.stores.values_mut() {
            store.groups.retain(|_, membership| *membership != Membership::Removing);
            for membership in store.groups.values_mut() {
                *membership = Membership::Active;
            }
        }
    }

    /// The interfaces that no instance has any more.
    fn left_over(&self) -> impl Iterator<Item = Interface> {
        let nobody_s = self.others.iter().filter(|(_, (_, owner, _))| matches!(owner, InterfaceOwner::Nobody { .. }));
        nobody_s.map(|(id, (vpc, _, groups))| Interface { id: id.clone(), vpc: vpc.clone(), groups: groups.clone() })
    }

    pub(super) fn interfaces_mut(&mut self) -> impl Iterator<Item = &mut Interface> {
        self.instances.values_mut().filter_map(|instance| instance.interface.as_mut())
    }

    fn next_token(&mut self) -> Token {
        self.tokens += 1;
        Token::of_bits(u128::from(self.tokens))
    }

    fn bear(
        &mut self,
        of: &VpcId,
        name: String,
        description: String,
        tags: BTreeMap<String, String>,
        hidden: u32,
    ) -> SecurityGroupId {
        self.born += 1;
        let id = sg(&format!("born{}", self.born));
        let out = |peer| Rule { direction: Direction::Outbound, traffic: Traffic::All, peer };
        let mut rules = BTreeSet::from([out(Peer::Ipv4(ANYWHERE_IPV4.to_owned()))]);
        if self.with_ipv6.contains(of) {
            rules.insert(out(Peer::Ipv6(ANYWHERE_IPV6.to_owned())));
        }
        let group = SecurityGroup { id: id.clone(), vpc: of.clone(), name, description, tags, rules, record: None };
        self.groups.insert(id.clone(), SimulatedGroup { group, hidden });
        self.made.insert(id.clone());
        id
    }

    /// From now on: `fault` instead of an answer.
    pub(crate) fn fail(&mut self, when: When, fault: Fault) {
        self.faults.push((when, fault));
    }

    /// From now on, and so many times: `fault` instead of an answer to calls of this name.
    pub(crate) fn fail_next(&mut self, name: &'static str, times: usize, fault: Fault) {
        let after = self.calls_named(name).count();
        self.fail(When::Named { name, after, times }, fault);
    }

    /// Nothing fails any more, and whoever died lives again.
    pub(crate) fn heal(&mut self) {
        self.faults.clear();
        self.beyond_page.clear();
        self.crashed = false;
    }

    /// Nobody does anything any more while calls are made.
    pub(crate) fn everybody_rests(&mut self) {
        self.hooks.clear();
    }

    /// Right before a call of this name, after so many have passed, something else happens.
    pub(crate) fn before(&mut self, name: &'static str, after: usize, act: impl FnOnce(&mut World) + 'static) {
        let passed = self.calls_named(name).count();
        self.hooks.push(Hook { name, after: passed + after, act: Box::new(act) });
    }
}

/// Looking at the world from outside.
impl World {
    pub(crate) fn calls_named(&self, name: &str) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.name == name)
    }

    /// Whether packets get from an instance to a store: the rules of both ends agree, whoever
    /// made them.
    pub(crate) fn reaches(&self, from: &InstanceId, to: &StoreArn) -> bool {
        let Some(interface) = &self.instances[from].interface else { return false };
        let store = &self.stores[to];
        let listening = store.groups.iter().filter(|(_, membership)| **membership == Membership::Active);
        let Some(ports) = store.ports else { return false };
        listening.map(|(id, _)| id).any(|inside| {
            interface.groups.iter().any(|outside| {
                let rule = |direction, peer: &SecurityGroupId| Rule {
                    direction,
                    traffic: Traffic::Tcp(ports),
                    peer: Peer::Group(peer.clone()),
                };
                let has = |group: &SecurityGroupId, rule: &Rule| {
                    self.groups.get(group).is_some_and(|there| there.group.rules.contains(rule))
                };
                has(inside, &rule(Direction::Inbound, outside)) && has(outside, &rule(Direction::Outbound, inside))
            })
        })
    }

    /// The same, once what is on its way into lists has arrived.
    pub(crate) fn reaches_soon(&self, from: &InstanceId, to: &StoreArn) -> bool {
        let on_its_way = |membership: &Membership| *membership != Membership::Removing;
        let Some(interface) = &self.instances[from].interface else { return false };
        let listening = self.stores[to].groups.iter().filter(|(_, membership)| on_its_way(membership));
        listening.map(|(id, _)| id).any(|inside| {
            let rules = self.groups.get(inside).map(|there| there.group.rules.clone()).unwrap_or_default();
            rules.iter().any(|rule| matches!(&rule.peer, Peer::Group(peer) if interface.groups.contains(peer)))
        })
    }

    /// Whether a group is the one for CIDR clients of a store whose tag has this rule's peer as a word.
    fn asks_for(&self, group: &SecurityGroupId, rule: &Rule) -> bool {
        let tag = |key: &str| self.groups.get(group).and_then(|there| there.group.tags.get(key));
        let of = self.stores.values().find(|store| Some(store.id.as_str()) == tag(STORE_ID_KEY).map(String::as_str));
        let shown = rule.to_string();
        let mut words = of.into_iter().flat_map(|store| store.settings.allow_cidr.peers().map(ToString::to_string));
        tag(SIDE_KEY).is_some_and(|side| side == "cidr") && words.any(|word| shown.ends_with(&format!(" from {word}")))
    }

    pub(super) fn is_ours(group: &SecurityGroup) -> bool {
        let side = group.tags.get(SIDE_KEY).map(String::as_str);
        let described = Described::read(&group.description);
        group.tags.get(MANAGED_BY_KEY).map(String::as_str) == Some(MANAGED_BY)
            && [Role::Side(Side::Store), Role::Side(Side::Instance), Role::Cidr].into_iter().any(|role| {
                Some(role.tag_value()) == side && described.as_ref().is_some_and(|described| described.role == role)
            })
    }

    /// Our groups, by store and side.
    pub(crate) fn ours(&self) -> BTreeMap<(String, String), Vec<&SecurityGroup>> {
        let mut ours: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for there in self.groups.values().filter(|there| Self::is_ours(&there.group)) {
            let tag = |key: &str| there.group.tags.get(key).cloned().unwrap_or_default();
            ours.entry((tag(STORE_ID_KEY), tag(SIDE_KEY))).or_default().push(&there.group);
        }
        ours
    }

    /// What must hold at every moment, whatever failed.
    pub(crate) fn is_sound(&self) -> Result<(), String> {
        let mut wrongs = self.wrongs.clone();
        for (store_and_side, groups) in self.ours() {
            let vpcs: BTreeSet<_> = groups.iter().map(|group| &group.vpc).collect();
            if groups.len() > vpcs.len() {
                wrongs.push(format!("{} groups for {store_and_side:?} in {} VPCs", groups.len(), vpcs.len()));
            }
        }
        for (target, theirs) in &self.theirs {
            let there: BTreeSet<_> = self.list_of(target);
            for lost in theirs.difference(&there) {
                wrongs.push(format!("{target} has lost {lost}"));
            }
        }
        for (id, made) in &self.their_groups {
            if self.groups.get(id).map(|there| &there.group) != Some(made) {
                wrongs.push(format!("{id} of somebody else is not as it was"));
            }
        }
        if wrongs.is_empty() { Ok(()) } else { Err(wrongs.join("; ")) }
    }

    pub(crate) fn list_of(&self, target: &str) -> BTreeSet<SecurityGroupId> {
        let stores = self.stores.values().filter(|store| store.arn.as_str() == target);
        let interfaces = self.instances.values().filter_map(|instance| instance.interface.clone());
        let interfaces = interfaces.chain(self.left_over()).filter(|interface| interface.id.as_str() == target);
        stores
            .flat_map(|store| store.groups.keys())
            .cloned()
            .chain(interfaces.flat_map(|interface| interface.groups))
            .collect()
    }

    fn known(&self, group: &SecurityGroupId) -> bool {
        // Groups that stand in lists from the start have no rules that matter here.
        self.groups.get(group).is_none_or(|there| there.hidden == 0)
    }
}

pub(crate) struct Simulated {
    pub(crate) world: RefCell<World>,
    pub(crate) clock: Rc<SimulatedClock>,
}

enum Fate {
    Works,
    Fails { error: CloudError, with_effect: bool },
    Page { error: CloudError },
    Crash { with_effect: bool },
}

fn error(kind: ErrorKind, call: &'static str, subject: &str) -> CloudError {
    CloudError {
        kind,
        call,
        resource: subject.to_owned(),
        code: format!("{kind:?}"),
        message: "simulated".to_owned(),
        request_id: Some("request-1".to_owned()),
    }
}

impl Simulated {
    async fn begin(&self, name: &'static str, subject: &str) -> Fate {
        let hangs = self.world.borrow().hangs.as_ref().is_some_and(|word| subject.contains(word));
        let slow = self.world.borrow().slow.get(name).copied();
        let latency = if hangs { LONG } else { slow.unwrap_or(self.world.borrow().latency) };
        if !latency.is_zero() {
            self.clock.sleep(latency).await;
        }
        if self.world.borrow().crashed {
            self.clock.kill();
            pending::<()>().await;
        }
        let mut world = self.world.borrow_mut();
        let nth = world.calls_named(name).count();
        while let Some(hook) = world.hooks.iter().position(|hook| hook.name == name && hook.after == nth) {
            let hook = world.hooks.remove(hook);
            (hook.act)(&mut world);
        }
        let index = world.calls.len();
        world.calls.push(Call { name, subject: subject.to_owned(), at: self.clock.now() });
        let fault = world.faults.iter().find(|(when, _)| match when {
            When::Index(at) => *at == index,
            When::Named { name: of, after, times } => {
                *of == name && (*after..after.saturating_add(*times)).contains(&nth)
            }
        });
        match fault.map(|(_, fault)| *fault) {
            None => Fate::Works,
            Some(Fault::Fails { kind, with_effect }) => Fate::Fails { error: error(kind, name, subject), with_effect },
            Some(Fault::Page(kind)) => Fate::Page { error: error(kind, name, subject) },
            Some(Fault::Crash { with_effect }) => {
                world.crashed = true;
                self.clock.kill();
                Fate::Crash { with_effect }
            }
        }
    }

    async fn read<T>(
        &self,
        name: &'static str,
        subject: String,
        find: impl FnOnce(&mut World) -> Vec<T>,
    ) -> Reading<T> {
        match self.begin(name, &subject).await {
            Fate::Works => Reading::complete(find(&mut self.world.borrow_mut())),
            Fate::Fails { error, .. } => Reading::failed(Gap::from(error)),
            Fate::Page { error } => {
                let mut found = find(&mut self.world.borrow_mut());
                found.truncate(found.len() / 2);
                Reading { found, gaps: vec![Gap::from(error)] }
            }
            Fate::Crash { .. } => pending().await,
        }
    }

    async fn write<T>(
        &self,
        name: &'static str,
        subject: String,
        effect: impl FnOnce(&mut World) -> Result<T, ErrorKind>,
    ) -> Result<T, CloudError> {
        let effect = || effect(&mut self.world.borrow_mut()).map_err(|kind| error(kind, name, &subject));
        match self.begin(name, &subject).await {
            Fate::Works => effect(),
            Fate::Fails { error, with_effect } => {
                if with_effect {
                    drop(effect());
                }
                Err(error)
            }
            Fate::Page { error } => Err(error),
            Fate::Crash { with_effect } => {
                if with_effect {
                    drop(effect());
                }
                pending().await
            }
        }
    }
}

/// Keeps the groups that are visible by now; each reading brings the others nearer.
fn visible(found: Vec<&mut SimulatedGroup>) -> Vec<SecurityGroup> {
    found
        .into_iter()
        .filter_map(|there| {
            let visible = there.hidden == 0;
            there.hidden = there.hidden.saturating_sub(1);
            visible.then(|| there.group.clone())
        })
        .collect()
}

const PATTERNS: [&str; 9] = [
    "rds-ec2-",
    "ec2-rds-",
    "docdb-ec2-",
    "ec2-docdb-",
    "neptune-ec2-",
    "ec2-neptune-",
    "rds-cidr-",
    "docdb-cidr-",
    "neptune-cidr-",
];

impl Observe for Simulated {
    async fn instances(&self, which: Instances<'_>) -> Reading<Instance> {
        self.read("instances", format!("{which:?}"), |world| {
            let seen = world.instances.values().filter(|instance| !world.unseen.contains(&instance.id));
            let in_vpc = |instance: &Instance, of: &VpcId| {
                instance.interface.as_ref().is_some_and(|interface| interface.vpc == *of)
            };
            let opted_in = |instance: &Instance| instance.settings.connect != ConnectTag::Absent;
            seen.filter(|instance| match which {
                Instances::Ids(ids) => ids.contains(&instance.id),
                // AWS's filter is a pattern over the whole value, so it may give more.
                Instances::OptedIn { vpc, names } => {
                    in_vpc(instance, vpc)
                        && opted_in(instance)
                        && names.is_none_or(|names| {
                            instance
                                .settings
                                .connect
                                .names()
                                .any(|name| names.iter().any(|wanted| name.as_str().contains(wanted.as_str())))
                        })
                }
                Instances::WithGroups { vpc, groups } => {
                    in_vpc(instance, vpc) && groups.iter().any(|group| instance.has_group(group))
                }
                Instances::OptedInAnywhere => opted_in(instance),
                Instances::WithGroupsAnywhere(groups) => groups.iter().any(|group| instance.has_group(group)),
            })
            .cloned()
            .collect()
        })
        .await
    }

    async fn interfaces(&self, which: &BTreeSet<InterfaceId>) -> Reading<Interface> {
        self.read("interfaces", format!("{which:?}"), |world| {
            let all = world.instances.values().filter_map(|instance| instance.interface.clone());
            all.chain(world.left_over()).filter(|interface| which.contains(&interface.id)).collect()
        })
        .await
    }

    async fn groups(&self, which: Groups<'_>) -> Reading<SecurityGroup> {
        self.read("groups", format!("{which:?}"), |world| {
            let wanted = |group: &SecurityGroup| match which {
                Groups::InVpc(vpc) => {
                    group.vpc == *vpc
                        && (group.is_default() || PATTERNS.iter().any(|pattern| group.name.starts_with(pattern)))
                }
                Groups::Beside { vpc, named } => {
                    let names = |rule: &Rule| matches!(&rule.peer, Peer::Group(peer) if named.contains(peer));
                    let is_tagged = group.tags.get(MANAGED_BY_KEY).map(String::as_str) == Some(MANAGED_BY);
                    group.vpc == *vpc && (is_tagged || group.rules.iter().any(names))
                }
                Groups::Ids(ids) => ids.contains(&group.id),
                // A filter by name minds the case; the rule that names are unique does not.
                Groups::Named { vpc, name } => group.vpc == *vpc && group.name == name,
                Groups::OwnedAnywhere => {
                    group.tags.get(MANAGED_BY_KEY).map(String::as_str) == Some(MANAGED_BY)
                        || group.description.starts_with(DESCRIPTION_BEGINS)
                }
                Groups::OwnedFor(stores) => {
                    let of = group.tags.get(STORE_ARN_KEY);
                    group.tags.get(MANAGED_BY_KEY).map(String::as_str) == Some(MANAGED_BY)
                        && stores.iter().any(|store| of.map(String::as_str) == Some(store.as_str()))
                }
                Groups::All(vpcs) => vpcs.is_none_or(|vpcs| vpcs.contains(&group.vpc)),
            };
            visible(world.groups.values_mut().filter(|there| wanted(&there.group)).collect())
        })
        .await
    }

    async fn candidates(&self) -> Reading<TaggedStore> {
        self.read("candidates", String::new(), |world| {
            let index = world.index.iter();
            index.map(|(arn, connect)| TaggedStore { arn: arn.clone(), connect: connect.clone() }).collect()
        })
        .await
    }

    async fn stores(&self, which: &BTreeSet<StoreArn>) -> Reading<StoreLookup> {
        let mut reading = self
            .read("stores", format!("{which:?}"), |world| {
                let lookup = |arn: &StoreArn| match world.stores.get(arn) {
                    Some(store) => StoreLookup::Found(Box::new(store.clone())),
                    None => StoreLookup::NotFound(arn.clone()),
                };
                let hidden = |arn: &&StoreArn| world.dark.contains_key(arn) || world.beyond_page.contains(arn);
                which.iter().filter(|arn| !hidden(arn)).map(lookup).collect()
            })
            .await;
        if !reading.gaps.is_empty() && !reading.found.is_empty() {
            // Who asks again for the rest alone gets no more of it while the fault lasts.
            let shown: BTreeSet<&StoreArn> = reading.found.iter().map(StoreLookup::arn).collect();
            let rest = which.iter().filter(|arn| !shown.contains(arn)).cloned();
            self.world.borrow_mut().beyond_page.extend(rest);
        }
        let dark = self.world.borrow().dark.clone();
        let gaps = dark.iter().filter(|(arn, _)| which.contains(arn));
        reading.gaps.extend(gaps.map(|(arn, kind)| {
            let gap = Gap::from(error(*kind, "stores", arn.as_str()));
            // What is still being made was described, but for its identity.
            let is_described = *kind == ErrorKind::NotReady;
            let of =
                self.world.borrow().stores.get(arn).filter(|_| is_described).and_then(|store| store.vpc().cloned());
            Gap { vpc: of, ..gap }
        }));
        reading
    }

    async fn all_stores(&self) -> Reading<DataStore> {
        let mut reading = self
            .read("all_stores", String::new(), |world| {
                world.stores.values().filter(|store| !world.dark.contains_key(&store.arn)).cloned().collect()
            })
            .await;
        let dark = self.world.borrow().dark.clone();
        reading.gaps.extend(dark.iter().map(|(arn, kind)| Gap::from(error(*kind, "all_stores", arn.as_str()))));
        reading
    }

    async fn stores_by_id(&self, which: &BTreeMap<StoreId, StoreArn>) -> Reading<DataStore> {
        self.read("stores_by_id", format!("{which:?}"), |world| {
            world.stores.values().filter(|store| which.contains_key(&store.id)).cloned().collect()
        })
        .await
    }

    async fn attached_interfaces(&self, vpc: &VpcId, groups: &BTreeSet<SecurityGroupId>) -> Reading<AttachedInterface> {
        self.read("attached_interfaces", format!("{vpc} {groups:?}"), |world| {
            let all = world.all_interfaces().into_iter();
            let here = all.filter(|(of, attached)| of == vpc && !attached.groups.is_disjoint(groups));
            here.map(|(_, attached)| attached).collect()
        })
        .await
    }

    async fn launch_template_groups(&self) -> Reading<SecurityGroupId> {
        self.read("launch_template_groups", String::new(), |world| world.templates.iter().cloned().collect()).await
    }

    async fn prefix_lists(&self, which: &BTreeSet<PrefixListId>) -> Reading<PrefixList> {
        self.read("prefix_lists", format!("{which:?}"), |world| {
            world.prefix_lists.iter().filter(|list| which.contains(&list.id)).cloned().collect()
        })
        .await
    }

    async fn vpc_state(&self, vpc: &VpcId, lists: Option<&BTreeSet<Target>>) -> Result<VpcState, CloudError> {
        self.write("vpc_state", vpc.to_string(), |world| {
            let mut state = world.table.get(vpc).cloned().unwrap_or_default();
            state.attached.retain(|(target, _), _| lists.is_none_or(|lists| lists.contains(target)));
            Ok(state)
        })
        .await
    }

    async fn identities(&self, vpc: &VpcId) -> Result<Identities, CloudError> {
        self.write("identities", vpc.to_string(), |world| Ok(world.identities.get(vpc).cloned().unwrap_or_default()))
            .await
    }

    async fn vpcs_uninstalling(&self) -> Reading<VpcId> {
        self.read("vpcs_uninstalling", String::new(), |world| {
            let marked = world.table.iter().filter(|(_, state)| state.uninstalling.is_some());
            marked.map(|(vpc, _)| vpc.clone()).collect()
        })
        .await
    }

    async fn answer(&self, vpc: &VpcId, request: &RequestId) -> Result<Option<Answer>, CloudError> {
        self.write("answer", format!("{vpc} {request}"), |world| {
            Ok(world.answers.get(&(vpc.clone(), request.clone())).and_then(|answers| answers.last().cloned()))
        })
        .await
    }
}

impl World {
    /// A group that one of our calls is about: it must be ours.
    fn target(&mut self, group: &SecurityGroupId) -> Result<&mut SecurityGroup, ErrorKind> {
        let there = self.groups.get_mut(group).filter(|there| there.hidden == 0).ok_or(ErrorKind::NotFound)?;
        if !self.made.contains(group) {
            self.wrongs.push(format!("{group} was touched and is not ours"));
        }
        Ok(&mut there.group)
    }

    fn replaced(&mut self, target: &str, to: &GroupList, most: usize) -> Result<BTreeSet<SecurityGroupId>, ErrorKind> {
        let list: BTreeSet<SecurityGroupId> = to.iter().cloned().collect();
        if list.iter().any(|group| !self.known(group)) {
            return Err(ErrorKind::NotFound);
        }
        if list.len() > most {
            return Err(ErrorKind::Limit);
        }
        let ours = |group: &SecurityGroupId| self.made.contains(group);
        let taken: Vec<_> = self.list_of(target).difference(&list).filter(|group| !ours(group)).cloned().collect();
        self.wrongs.extend(taken.iter().map(|group| format!("{group} was detached from {target}")));
        if list.is_empty() { Err(ErrorKind::Rejected) } else { Ok(list) }
    }

    /// Whether taking a group of ours off an interface cuts a connection that nobody blocked and whose
    /// store is there.
    fn has_to_be_counted(&self, interface: &InterfaceId, group: &SecurityGroupId) -> bool {
        let of = self.groups.get(group).and_then(|there| there.group.tags.get(STORE_ID_KEY));
        let store = self.stores.values().find(|store| of.map(String::as_str) == Some(store.id.as_str()));
        let mut instances = self.instances.values();
        let instance = instances.find(|instance| instance.interface.as_ref().is_some_and(|own| own.id == *interface));
        let blocked =
            instance.is_some_and(|instance| instance.settings.blocked || instance.has_group(&sg("quarantine")));
        let uninstalling = self.groups.get(group).is_some_and(|there| self.is_uninstalling(&there.group.vpc));
        store.is_some_and(|store| !store.settings.blocked) && !blocked && !uninstalling
    }

    /// Notes that an interface loses its connection with the store of a group.
    fn note_cut(&mut self, interface: &InterfaceId, group: &SecurityGroupId, at: Timestamp) {
        let there = &self.groups[group].group;
        let connection = (interface.clone(), there.tags.get(STORE_ID_KEY).cloned().unwrap_or_default());
        self.cuts.push((there.vpc.clone(), at, connection));
    }

    /// Whether a group was made for another store than the one that has it.
    fn is_copied(&self, group: &SecurityGroupId, of: &StoreArn) -> bool {
        let made_for = self.groups.get(group).and_then(|there| there.group.tags.get(STORE_ID_KEY));
        made_for.zip(self.stores.get(of)).is_some_and(|(made_for, store)| *made_for != store.id.as_str())
    }

    /// Whether some store has a group that was made for another one.
    pub(crate) fn is_copied_anywhere(&self) -> bool {
        let mut stores = self.stores.iter();
        stores.any(|(arn, store)| store.lasting_groups().any(|group| self.is_copied(group, arn)))
    }

    /// The instances that reach a store.
    fn reaching(&self, of: &StoreArn) -> BTreeSet<InstanceId> {
        self.instances.keys().filter(|instance| self.reaches_soon(instance, of)).cloned().collect()
    }

    /// What follows when groups of its source have left a store: nobody who shares a name with it may have lost it, and
    /// whoever else has is counted.
    fn let_go(
        &mut self,
        of: &StoreArn,
        by_source: Vec<(InterfaceId, SecurityGroupId)>,
        before: &BTreeSet<InstanceId>,
        at: Timestamp,
    ) {
        if by_source.is_empty() || self.stores[of].settings.blocked {
            return;
        }
        let after = self.reaching(of);
        for instance in before.difference(&after) {
            let connect = &self.instances[instance].settings.connect;
            if !connect.shared_with(&self.stores[of].settings.connect).is_empty()
                && !self.instances[instance].settings.blocked
            {
                self.wrongs.push(format!("{instance} may reach {of} and was cut off"));
            }
        }
        for (interface, group) in by_source {
            let mut instances = self.instances.values();
            let own = |instance: &&Instance| instance.interface.as_ref().is_some_and(|own| own.id == interface);
            let stays = instances.find(own).is_some_and(|instance| after.contains(&instance.id));
            if !stays && self.has_to_be_counted(&interface, &group) {
                self.note_cut(&interface, &group, at);
            }
        }
    }

    /// Whether somebody asked for tagwire to be gone.
    fn is_uninstalling(&self, vpc: &VpcId) -> bool {
        self.table.get(vpc).is_some_and(|state| state.uninstalling.is_some())
    }

    /// Whether there is a reason for taking a group of ours off an interface, as things really are.
    fn may_leave(&self, interface: &InterfaceId, group: &SecurityGroupId) -> bool {
        let Some(there) = self.groups.get(group) else { return true };
        let of = there.group.tags.get(STORE_ID_KEY);
        let mut instances = self.instances.values();
        let instance = instances.find(|instance| instance.interface.as_ref().is_some_and(|own| own.id == *interface));
        let Some(instance) = instance else {
            // Nobody's is tagwire's to change where it attached something.
            let attached = (Target::Interface(interface.clone()), group.clone());
            let is_known = self.table.get(&there.group.vpc).is_some_and(|state| state.attached.contains_key(&attached));
            return is_known && self.left_over().any(|left| left.id == *interface);
        };
        let isolated = instance.settings.blocked || instance.has_group(&sg("quarantine"));
        let Some(store) = self.stores.values().find(|store| of.map(String::as_str) == Some(store.id.as_str())) else {
            let sides = of.and_then(|of| self.ours().remove(&(of.clone(), Side::Store.tag_value().to_owned())));
            let sides: Vec<_> = sides.into_iter().flatten().map(|group| group.id.clone()).collect();
            let carried = self
                .all_interfaces()
                .iter()
                .any(|(_, attached)| sides.iter().any(|side| attached.groups.contains(side)));
            return isolated || !instance.settings.held && (!carried || self.is_uninstalling(&there.group.vpc));
        };
        let here = store.is_in(&there.group.vpc);
        let apart = match (&instance.settings.connect, &store.settings.connect) {
            (ConnectTag::Absent, _) | (_, ConnectTag::Absent) => true,
            (ConnectTag::Names(mine), ConnectTag::Names(theirs)) => mine.is_disjoint(theirs),
            (ConnectTag::Invalid(_), _) | (_, ConnectTag::Invalid(_)) => false,
        };
        // Against its store's leaving no hold of an instance helps.
        let opted_out = here && store.settings.connect == ConnectTag::Absent;
        let free = !store.settings.held && (opted_out || !instance.settings.held);
        if self.is_uninstalling(&there.group.vpc) {
            return isolated || free;
        }
        isolated || (here && (store.settings.blocked || (free && apart)))
    }

    /// The interfaces that have the other group of a store side's pair, and that group.
    fn carried_by(&self, store_side: &SecurityGroupId) -> Vec<(InterfaceId, SecurityGroupId)> {
        let rules = self.groups.get(store_side).map(|there| there.group.rules.clone()).unwrap_or_default();
        let all = self.all_interfaces();
        let peers = rules.into_iter().filter_map(|rule| match rule.peer {
            Peer::Group(peer) => Some(peer),
            Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
        });
        let with = |peer: SecurityGroupId| {
            let attached = all.iter().filter(|(_, attached)| attached.groups.contains(&peer));
            attached.map(|(_, attached)| (attached.interface.clone(), peer.clone())).collect::<Vec<_>>()
        };
        peers.flat_map(with).collect()
    }

    /// Every interface, whatever it belongs to.
    fn all_interfaces(&self) -> Vec<(VpcId, AttachedInterface)> {
        let primary = self.instances.values().filter_map(|instance| {
            let interface = instance.interface.as_ref()?;
            let owner = InterfaceOwner::Instance { id: instance.id.clone(), primary: true, copies: false };
            let attached =
                AttachedInterface { interface: interface.id.clone(), owner, groups: interface.groups.clone() };
            Some((interface.vpc.clone(), attached))
        });
        let others = self.others.iter().map(|(id, (vpc, owner, groups))| {
            (vpc.clone(), AttachedInterface { interface: id.clone(), owner: owner.clone(), groups: groups.clone() })
        });
        let of_stores = self.store_interfaces().into_iter().map(|(store, (vpc, groups))| {
            let interface = InterfaceId::parse(format!("eni-of-{}", store.as_str().to_lowercase())).unwrap();
            (
                vpc,
                AttachedInterface {
                    interface,
                    owner: InterfaceOwner::Other { description: "RDSNetworkInterface".into() },
                    groups,
                },
            )
        });
        primary.chain(others).chain(of_stores).collect()
    }

    /// What the stores' own interfaces have: what is in the list, or not out of it yet.
    pub(super) fn store_interfaces(&self) -> BTreeMap<StoreId, (VpcId, BTreeSet<SecurityGroupId>)> {
        let mut interfaces: BTreeMap<_, _> = self
            .stores
            .values()
            .filter_map(|store| {
                let attached = store.groups.iter().filter(|(_, membership)| **membership != Membership::Adding);
                Some((store.id.clone(), (store.vpc().cloned()?, attached.map(|(group, _)| group.clone()).collect())))
            })
            .collect();
        interfaces.extend(self.lagging.clone());
        interfaces
    }

    /// Whether AWS would answer `DependencyViolation`.
    fn is_in_use(&self, group: &SecurityGroupId) -> bool {
        let peer = Peer::Group(group.clone());
        let named = self
            .groups
            .values()
            .any(|there| there.group.id != *group && there.group.rules.iter().any(|rule| rule.peer == peer));
        named
            || self.stores.values().any(|store| store.groups.contains_key(group))
            || self.all_interfaces().iter().any(|(_, attached)| attached.groups.contains(group))
    }
}

/// AWS's default, and its fixed one for stores.
const GROUPS_IN_A_LIST: usize = 5;
const RULES_IN_A_GROUP: usize = 60;
const MODIFIABLE: [&str; 4] = ["available", "backing-up", "storage-optimization", "storage-full"];

impl Change for Simulated {
    fn new_token(&self) -> Result<Token, CloudError> {
        Ok(self.world.borrow_mut().next_token())
    }

    async fn create_group(
        &self,
        of: &VpcId,
        name: GroupName,
        tags: &OwnTags,
        token: &Token,
    ) -> Result<SecurityGroupId, CloudError> {
        let name = name.to_string();
        self.write("create_group", name.clone(), |world| {
            let is_there = world
                .groups
                .values()
                .any(|there| there.group.vpc == *of && there.group.name.eq_ignore_ascii_case(&name));
            if is_there {
                return Err(ErrorKind::AlreadyThere);
            }
            let hidden = world.groups_hidden_for;
            let record =
                world.identities.get(of).zip(GroupName::read(&name)).and_then(|(known, name)| known.get(&name));
            if record.and_then(|record| record.token.as_ref()) != Some(token) {
                world.wrongs.push(format!("{name} was created before its token was written down"));
            }
            let description = group::description(tags.role, &tags.store, token);
            Ok(world.bear(of, name, description, tags.to_map(), hidden))
        })
        .await
    }

    async fn authorize(&self, group: &OwnedGroup, rule: &Rule) -> Result<(), CloudError> {
        self.write("authorize", format!("{group}: {rule}"), |world| {
            match &rule.peer {
                Peer::Group(peer) => {
                    if world.groups.get(peer).is_none_or(|there| there.hidden != 0) {
                        return Err(ErrorKind::NotFound);
                    }
                }
                Peer::GroupOfAccount { .. } | Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => {
                    if !world.asks_for(group.id(), rule) {
                        world.wrongs.push(format!("{rule} opens {group} to more than a group"));
                    }
                }
            }
            let there = world.target(group.id())?;
            if there.rules.len() >= RULES_IN_A_GROUP {
                Err(ErrorKind::Limit)
            } else if there.rules.insert(rule.clone()) {
                Ok(())
            } else {
                Err(ErrorKind::AlreadyThere)
            }
        })
        .await
    }

    async fn revoke(&self, group: &OwnedGroup, rule: &Rule) -> Result<(), CloudError> {
        self.write("revoke", format!("{group}: {rule}"), |world| {
            if world.target(group.id())?.rules.remove(rule) { Ok(()) } else { Err(ErrorKind::NotFound) }
        })
        .await
    }

    async fn tag_group(&self, group: &OwnedGroup, tags: &OwnTags) -> Result<(), CloudError> {
        self.write("tag_group", group.to_string(), |world| {
            world.target(group.id())?.tags.extend(tags.to_map());
            Ok(())
        })
        .await
    }

    async fn set_interface_groups(&self, of: &InterfaceId, to: &GroupList) -> Result<(), CloudError> {
        self.write("set_interface_groups", of.to_string(), |world| {
            if world.refused.contains(of.as_str()) {
                return Err(ErrorKind::Denied);
            }
            let list = world.replaced(of.as_str(), to, GROUPS_IN_A_LIST)?;
            let gone: Vec<_> = world.list_of(of.as_str()).difference(&list).cloned().collect();
            let unjust: Vec<_> = gone.iter().filter(|group| !world.may_leave(of, group)).cloned().collect();
            world.wrongs.extend(unjust.iter().map(|group| format!("{group} left {of} without a reason")));
            for group in gone.iter().filter(|group| world.has_to_be_counted(of, group)).collect::<Vec<_>>() {
                world.note_cut(of, group, self.clock.now());
            }
            if let Some((_, _, groups)) = world.others.get_mut(of) {
                *groups = list;
                return Ok(());
            }
            let interface = world.interfaces_mut().find(|interface| interface.id == *of).ok_or(ErrorKind::NotFound)?;
            interface.groups = list;
            Ok(())
        })
        .await
    }

    async fn set_store_groups(&self, of: &StoreArn, to: &GroupList) -> Result<(), CloudError> {
        self.write("set_store_groups", of.to_string(), |world| {
            let store = world.stores.get(of).ok_or(ErrorKind::NotFound)?;
            if !MODIFIABLE.contains(&store.state.as_str()) {
                return Err(ErrorKind::NotReady);
            }
            let changing = store.groups.values().any(|membership| *membership == Membership::Adding);
            // The same list once more, after an answer that was lost, does no harm.
            if changing && !to.iter().eq(store.groups.keys()) {
                world.wrongs.push(format!("the list of {of} was replaced while it was changing"));
            }
            let list = world.replaced(of.as_str(), to, GROUPS_IN_A_LIST)?;
            let gone: Vec<_> =
                world.stores[of].lasting_groups().filter(|group| !list.contains(*group)).cloned().collect();
            let (copied, own): (Vec<_>, Vec<_>) = gone.iter().partition(|group| world.is_copied(group, of));
            let carried: Vec<_> = own.into_iter().flat_map(|group| world.carried_by(group)).collect();
            let by_source: Vec<_> = copied.into_iter().flat_map(|group| world.carried_by(group)).collect();
            let before = world.reaching(of);
            let settings = &world.stores[of].settings;
            let uninstalling = world.stores[of].vpc().is_some_and(|vpc| world.is_uninstalling(vpc));
            let opted_out = settings.connect == ConnectTag::Absent || uninstalling;
            let may_go = |group: &SecurityGroupId| {
                let lets_clients_in = world
                    .groups
                    .get(group)
                    .and_then(|there| there.group.tags.get(SIDE_KEY))
                    .is_some_and(|side| side == "cidr");
                let copied = world.is_copied(group, of) && matches!(settings.connect, ConnectTag::Names(_));
                opted_out || copied || (lets_clients_in && settings.allow_cidr.asks_for_none())
            };
            if !gone.is_empty() && !settings.blocked && (settings.held || !gone.iter().all(may_go)) {
                world.wrongs.push(format!("{gone:?} left {of} without a reason"));
            }
            for (interface, group) in &carried {
                if world.has_to_be_counted(interface, group) {
                    world.note_cut(interface, group, self.clock.now());
                }
            }
            let store = world.stores.get_mut(of).ok_or(ErrorKind::NotFound)?;
            for (group, membership) in &mut store.groups {
                if !list.contains(group) {
                    *membership = Membership::Removing;
                }
            }
            for group in list {
                let membership = store.groups.entry(group).or_insert(Membership::Adding);
                // What was on its way out comes back.
                if *membership == Membership::Removing {
                    *membership = Membership::Adding;
                }
            }
            world.let_go(of, by_source, &before, self.clock.now());
            Ok(())
        })
        .await
    }

    async fn delete_group(&self, group: &OwnedGroup) -> Result<(), CloudError> {
        self.write("delete_group", group.to_string(), |world| {
            world.target(group.id())?;
            if world.is_in_use(group.id()) {
                return Err(ErrorKind::InUse);
            }
            if world.deletions_refused > 0 {
                world.deletions_refused -= 1;
                return Err(ErrorKind::InUse);
            }
            if world.templates.contains(group.id()) {
                world.wrongs.push(format!("{group} was deleted and a launch template names it"));
            }
            world.groups.remove(group.id());
            Ok(())
        })
        .await
    }

    async fn set_status(&self, of: &StatusOf, text: Option<&str>) -> Result<(), CloudError> {
        let subject = match of {
            StatusOf::Instance(id) => id.to_string(),
            StatusOf::Store(arn) => arn.to_string(),
        };
        self.write("set_status", subject, |world| {
            let settings = match of {
                StatusOf::Instance(id) => world.instances.get_mut(id).map(|instance| &mut instance.settings),
                StatusOf::Store(arn) => world.stores.get_mut(arn).map(|store| &mut store.settings),
            };
            settings.ok_or(ErrorKind::NotFound)?.status = text.map(str::to_owned);
            Ok(())
        })
        .await
    }

    async fn reserve_window(&self, vpc: &VpcId, window: &Window) -> Result<(), CloudError> {
        self.write("reserve_window", vpc.to_string(), |world| {
            let there = &mut world.table.entry(vpc.clone()).or_default().window;
            if there.version.checked_add(1) != Some(window.version) {
                return Err(ErrorKind::AlreadyThere);
            }
            *there = window.clone();
            Ok(())
        })
        .await
    }

    async fn write_notes(&self, vpc: &VpcId, notes: &[Note]) -> Result<(), CloudError> {
        self.write("write_notes", format!("{vpc} {notes:?}"), |world| {
            let state = world.table.entry(vpc.clone()).or_default();
            notes.iter().cloned().for_each(|note| state.note(note));
            let identities = world.identities.entry(vpc.clone()).or_default();
            for note in notes {
                if let Note::Identity(name, Some(record)) = note {
                    identities.insert(*name, record.clone());
                } else if let Note::Identity(name, None) = note {
                    identities.remove(name);
                }
            }
            Ok(())
        })
        .await
    }

    async fn answer_request(&self, vpc: &VpcId, request: &RequestId, answer: &Answer) -> Result<(), CloudError> {
        self.write("answer_request", format!("{vpc} {request}"), |world| {
            world.answers.entry((vpc.clone(), request.clone())).or_default().push(answer.clone());
            Ok(())
        })
        .await
    }
}

impl Queues for Simulated {
    async fn send_work(&self, item: &WorkItem) -> Result<(), CloudError> {
        self.write("send_work", item.vpc.to_string(), |world| {
            world.work.push(item.clone());
            Ok(())
        })
        .await
    }

    async fn send_again(&self, queue: EventQueue, again: &Again, after: Duration) -> Result<(), CloudError> {
        self.write("send_again", format!("{queue:?}"), |world| {
            world.again.push((queue, again.clone(), after));
            Ok(())
        })
        .await
    }
}
