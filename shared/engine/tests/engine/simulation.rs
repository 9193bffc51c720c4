//! Random worlds in which people, other tools and AWS itself do random things while the functions run
//! on messages that come late, twice, in another order or never, and fail or die at random calls. Then
//! all is quiet, sweeps come by, and an oracle that knows tags, rules and lists alone looks at the end.
//!
//! A seed is a whole story: `TAGWIRE_SIMULATION_SEEDS=1000-2000` runs others than the usual ones.

use std::time::Duration;

use tagwire_core::{
    id::{InstanceId, SecurityGroupId, StoreArn, StoreId, VpcId},
    model::{DataStore, Instance, Membership},
    rule::{Direction, Peer, Rule, Traffic},
    tag::ConnectTag,
};
use tagwire_engine::{cloud::ErrorKind, handlers::Failed};

use crate::{
    installation::Installation,
    simulated::{Fault, When, World, cluster, instance, sg, vpc},
};

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> Option<T> {
        if choices.is_empty() { None } else { Some(choices[self.below(choices.len())].clone()) }
    }
}

const NAMES: [Option<&str>; 10] =
    [None, None, Some(""), Some("x"), Some("x"), Some("y"), Some("x y"), Some("y z"), Some("x y z"), Some("x,y")];

struct Story {
    installation: Installation,
    random: Random,
    /// Events that are on their way.
    events: Vec<String>,
    /// What was done, for whoever has to find out.
    told: Vec<String>,
    born: usize,
}

impl Story {
    fn begin(seed: u64) -> Self {
        let mut random = Random(seed);
        let mut installation = Installation::new(|world| {
            world.groups_hidden_for = u32::try_from(random.below(3)).unwrap();
            if random.chance(30) {
                world.with_ipv6.insert(vpc("1"));
            }
        });
        installation.policy.max_disconnects = 1 + random.below(3);
        installation.policy.status_tags = random.chance(40);
        installation.policy.isolation_groups.insert(sg("quarantine"));
        let mut story = Self { installation, random, events: Vec::new(), told: Vec::new(), born: 0 };
        for _ in 0..3 {
            story.launch();
            story.create_store();
        }
        story
    }

    fn answer_request(&mut self, what: &str) {
        self.told.push(format!("{}: {what}", self.installation.now()));
    }

    /// An event is lost, delivered, or delivered twice.
    fn emit(&mut self, event: String) {
        match self.random.below(10) {
            0 | 1 => {}
            2 => self.events.extend([event.clone(), event]),
            _ => self.events.push(event),
        }
    }

    fn some_vpc(&mut self) -> VpcId {
        vpc(if self.random.chance(65) { "1" } else { "2" })
    }

    fn some_instance(&mut self) -> Option<String> {
        let words: Vec<String> = self.installation.look(|world| {
            let there = world.instances.values().filter(|instance| instance.interface.is_some());
            there.map(|instance| instance.id.as_str().trim_start_matches("i-").to_owned()).collect()
        });
        self.random.of(&words)
    }

    fn some_store(&mut self) -> Option<String> {
        let names: Vec<String> =
            self.installation.look(|world| world.stores.keys().map(|arn| arn.name().to_owned()).collect());
        self.random.of(&names)
    }

    fn some_names(&mut self) -> Option<&'static str> {
        self.random.of(&NAMES).unwrap_or_default()
    }

    fn launch(&mut self) {
        if self
            .installation
            .look(|world| world.instances.values().filter(|instance| instance.interface.is_some()).count())
            >= 7
        {
            return;
        }
        self.born += 1;
        let (word, of, names) = (self.born.to_string(), self.some_vpc(), self.some_names());
        self.answer_request(&format!("launch {word} in {of} with {names:?}"));
        self.installation.change(|world| {
            world.launch(&word, &of, names);
        });
        let event = self.installation.pending(&instance(&word));
        self.emit(event);
    }

    fn create_store(&mut self) {
        if self.installation.look(|world| world.stores.len()) >= 4 {
            return;
        }
        self.born += 1;
        let (name, of, names) = (format!("s{}", self.born), self.some_vpc(), self.some_names());
        self.answer_request(&format!("create {name} in {of} with {names:?}"));
        self.installation.change(|world| {
            world.store(&name, &of, names);
        });
        let event = self.installation.created(&cluster(&name));
        self.emit(event);
    }

    fn at_an_instance(&mut self) {
        let Some(word) = self.some_instance() else { return };
        let interface = format!("eni-{word}");
        let what = self.random.below(12);
        let names = self.some_names();
        self.answer_request(&format!("at instance {word}: {what} {names:?}"));
        self.installation.change(|world| match what {
            0..=4 => world.tag_instance(&word, names),
            5 => world.instance_mut(&word).settings.blocked ^= true,
            6 => world.instance_mut(&word).settings.held ^= true,
            7 => world.terminate(&word),
            8 => world.other_writer_attaches(&interface, &sg("monitoring")),
            9 => world.they_detach(&interface, &sg("monitoring")),
            10 => world.other_writer_attaches(&interface, &sg("quarantine")),
            _ => world.they_detach(&interface, &sg("quarantine")),
        });
        if what <= 6 {
            let event = self.installation.instance_tagged(&word);
            self.emit(event);
        }
    }

    fn at_a_store(&mut self) {
        let Some(name) = self.some_store() else { return };
        let what = self.random.below(14);
        let (names, of) = (self.some_names(), self.some_vpc());
        self.born += 1;
        let new_name = format!("s{}", self.born);
        let (store, renamed) = (cluster(&name), cluster(&new_name));
        self.answer_request(&format!("at store {name}: {what} {names:?} {of} {new_name}"));
        let identity = StoreId::parse(format!("cluster-IDENTITY{}", self.born)).unwrap();
        self.installation.change(|world| match what {
            0..=3 => world.tag_store(&name, names),
            4 => world.settings_of_store(&name).blocked ^= true,
            5 => world.settings_of_store(&name).held ^= true,
            6 => world.delete_store(&name),
            7 => {
                world.interfaces_stay();
                world.delete_store(&name);
            }
            8 => {
                let of = world.stores[&store].vpc().cloned().unwrap();
                world.replace_store(&name, &of, names);
                world.stores.get_mut(&store).unwrap().id = identity;
            }
            9 => drop(world.rename_store(&name, &new_name)),
            10 => world.move_store(&name, &of),
            11 => world.set_state(&store, "modifying"),
            12 => world.other_writer_attaches(store.as_str(), &sg("audit")),
            _ => drop(world.index.remove(&store)),
        });
        match what {
            0..=5 => {
                let event = self.installation.tagged(store.as_str());
                self.emit(event);
            }
            6..=8 => {
                let event = self.installation.deleted(&store);
                self.emit(event);
            }
            9 => {
                let event = self.installation.created(&renamed);
                self.emit(event);
            }
            _ => {}
        }
    }

    /// A group of ours, and a list that it stands in or might.
    fn by_hand(&mut self) {
        let ours: Vec<SecurityGroupId> = self
            .installation
            .look(|world| world.ours().into_values().flatten().map(|group| group.id.clone()).collect());
        let Some(group) = self.random.of(&ours) else { return };
        let target = if self.random.chance(60) {
            self.some_instance().map(|word| format!("eni-{word}"))
        } else {
            self.some_store().map(|name| cluster(&name).to_string())
        };
        let Some(target) = target else { return };
        let what = self.random.below(5);
        self.answer_request(&format!("by hand: {what} {group} {target}"));
        let port = 1000 + u16::try_from(self.random.below(3)).unwrap();
        self.installation.change(|world| match what {
            0 | 1 => world.they_take_off(&target, &group),
            2 => {
                let here = |instance: &&mut Instance| {
                    let interface = instance.interface.as_ref();
                    interface.is_some_and(|interface| interface.id.as_str() == target && interface.groups.len() < 5)
                };
                let of = world.groups[&group].group.vpc.clone();
                let instance = world.instances.values_mut().find(here);
                let interface = instance.and_then(|instance| instance.interface.as_mut());
                if let Some(interface) = interface.filter(|interface| interface.vpc == of) {
                    interface.groups.insert(group);
                }
            }
            3 => {
                let rule = Rule {
                    direction: Direction::Inbound,
                    traffic: Traffic::Tcp(tagwire_core::rule::PortRange::single(port).unwrap()),
                    peer: Peer::Ipv4("0.0.0.0/0".to_owned()),
                };
                world.they_add_rule(&group, rule);
            }
            _ => {
                world.groups.get_mut(&group).unwrap().group.rules.pop_first();
            }
        });
    }

    fn in_the_background(&mut self) {
        let what = self.random.below(8);
        let span = Duration::from_secs(u64::try_from(1 + self.random.below(600)).unwrap());
        self.answer_request(&format!("in the background: {what} {span:?}"));
        match what {
            0 => self.installation.change(|world| {
                world.table.clear();
                // Nobody can count what no table holds.
                world.cuts.clear();
            }),
            1 => self.installation.change(World::interfaces_stay),
            2 => self.installation.change(World::interfaces_follow),
            3 => self.installation.change(|world| {
                let stores: Vec<StoreArn> = world.stores.keys().cloned().collect();
                for store in &stores {
                    world.set_state(store, "available");
                }
            }),
            4 | 5 => self.installation.change(World::lists_settle),
            _ => self.installation.clock.advance(span),
        }
    }

    /// Something goes wrong in the next invocation, or somebody else works on a list in the middle.
    fn trouble(&mut self) {
        self.installation.budget.set(Duration::from_secs(u64::try_from(6 + self.random.below(54)).unwrap()));
        let latency = Duration::from_millis(u64::try_from(self.random.below(3) * 150).unwrap());
        self.installation.change(|world| world.latency = latency);
        let kinds = [
            ErrorKind::NotFound,
            ErrorKind::NotReady,
            ErrorKind::InUse,
            ErrorKind::Denied,
            ErrorKind::Throttled,
            ErrorKind::Unavailable,
            ErrorKind::EffectUnknown,
        ];
        while self.random.chance(40) {
            let kind = self.random.of(&kinds).unwrap();
            let with_effect = kind == ErrorKind::EffectUnknown && self.random.chance(50);
            let fault = match self.random.below(4) {
                0 => Fault::Crash { with_effect: self.random.chance(50) },
                1 => Fault::Page(kind),
                _ => Fault::Fails { kind, with_effect },
            };
            let ahead = self.random.below(30);
            self.answer_request(&format!("call {ahead} from now: {fault:?}"));
            self.installation.change(|world| world.fail(When::Index(world.calls.len() + ahead), fault));
        }
        if self.random.chance(15) {
            let name = self.random.of(&["reserve_window", "vpc_state", "stores_by_id", "delete_group"]).unwrap();
            let kind = self.random.of(&kinds).unwrap();
            let with_effect = kind == ErrorKind::EffectUnknown;
            self.answer_request(&format!("the next {name}: {kind:?}"));
            self.installation.change(|world| world.fail_next(name, 1, Fault::Fails { kind, with_effect }));
        }
        if self.random.chance(15)
            && let Some(word) = self.some_instance()
        {
            let attaches = self.random.chance(50);
            self.installation.change(|world| {
                world.before("interfaces", 0, move |world| {
                    let there = world.instances.get(&instance(&word)).is_some_and(|there| there.interface.is_some());
                    match (there, attaches) {
                        (true, true) => world.other_writer_attaches(&format!("eni-{word}"), &sg("meanwhile")),
                        (true, false) => world.they_detach(&format!("eni-{word}"), &sg("meanwhile")),
                        (false, _) => {}
                    }
                });
            });
        }
    }

    fn calm(&mut self) {
        self.installation.budget.set(Duration::from_mins(1));
        self.installation.change(|world| {
            world.heal();
            world.everybody_rests();
            world.latency = Duration::ZERO;
        });
    }

    fn take_in(&mut self) {
        let mut batch = Vec::new();
        while !self.events.is_empty() && batch.len() < 10 && self.random.chance(80) {
            let index = self.random.below(self.events.len());
            batch.push(self.events.remove(index));
        }
        let again = self.installation.look(|world| world.again.len());
        if again > 0 && self.random.chance(60) {
            let index = self.random.below(again);
            let (_, again, after) = self.installation.cloud.world.borrow_mut().again.remove(index);
            self.installation.clock.advance(after);
            batch.push(serde_json::to_string(&again).unwrap());
        }
        if batch.is_empty() {
            return;
        }
        self.trouble();
        self.answer_request(&format!("take in {batch:?}"));
        let ran = self.installation.take_in(&batch);
        self.calm();
        let failed = ran.returned.unwrap_or_else(|| (0..batch.len()).map(|index| format!("m{index}")).collect());
        self.events.extend(indices(&failed).map(|index| batch[index].clone()));
    }

    fn connect(&mut self) {
        // Where groups show late, they show before the next run: two of a store are a person's business.
        let late = self.installation.look(|world| world.groups_hidden_for > 0);
        let size = if late { 1 } else { 1 + self.random.below(10) };
        let batch: Vec<_> = {
            let mut world = self.installation.cloud.world.borrow_mut();
            let end = size.min(world.work.len());
            world.work.drain(..end).collect()
        };
        if batch.is_empty() {
            return;
        }
        self.trouble();
        let scopes: Vec<String> = batch.iter().map(|item| format!("{}: {}", item.vpc, item.scope)).collect();
        self.answer_request(&format!("connect {scopes:?}"));
        let ran = self.installation.connect(&batch);
        self.told.extend(ran.calls.iter().map(|call| format!("    {} {}", call.name, call.subject)));
        self.calm();
        assert!(!ran.codes("finding").contains(&"plan-rejected"), "{:#?}", ran.log);
        if ran.returned.is_none() {
            // The queue gives out nothing of the VPC until the visibility timeout is over.
            self.installation.clock.advance(Duration::from_mins(6));
        }
        self.installation.change(|world| world.groups.values_mut().for_each(|there| there.hidden = 0));
        let failed = ran.returned.unwrap_or_else(|| (0..batch.len()).map(|index| format!("m{index}")).collect());
        // What was not done comes back first, or, once in a while, never.
        if self.random.chance(90) {
            let back: Vec<_> = indices(&failed).map(|index| batch[index].clone()).collect();
            self.installation.change(|world| drop(world.work.splice(0..0, back)));
        }
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0 => self.launch(),
            1 => self.create_store(),
            2..=4 => self.at_an_instance(),
            5..=6 => self.at_a_store(),
            7 => self.by_hand(),
            8..=9 => self.in_the_background(),
            10..=13 => self.take_in(),
            14 => {
                self.trouble();
                self.answer_request("sweep");
                self.installation.sweep();
                self.calm();
            }
            _ => self.connect(),
        }
        self.installation.look(World::is_sound).unwrap();
        self.holds_the_window();
    }

    /// What is removed in a run counts from the run's beginning, which may be a minute earlier.
    fn holds_the_window(&mut self) {
        let window = self.installation.policy.disconnect_window;
        self.installation.policy.disconnect_window = window.checked_sub(Duration::from_mins(1)).unwrap();
        self.installation.holds_the_window();
        self.installation.policy.disconnect_window = window;
    }

    /// Everything is quiet, and sweeps come by until one of them has nothing to do.
    fn come_to_rest(&mut self) {
        self.calm();
        self.answer_request("quiet");
        self.installation.change(|world| {
            world.work.clear();
            world.again.clear();
            world.interfaces_follow();
            world.groups.values_mut().for_each(|there| there.hidden = 0);
            world.lists_settle();
            let stores: Vec<(StoreArn, ConnectTag)> =
                world.stores.values().map(|store| (store.arn.clone(), store.settings.connect.clone())).collect();
            world.index.clear();
            for (store, connect) in stores {
                world.set_state(&store, "available");
                if connect != ConnectTag::Absent {
                    world.index.insert(store, connect);
                }
            }
        });
        let due = self.installation.look(due_at_once);
        for sweeps in 0.. {
            assert!(sweeps < 40, "the sweeps never end");
            let before = self.installation.look(|world| world.calls.len());
            self.installation.next_sweep();
            let after: Vec<String> = self.installation.look(|world| {
                let acted = world.calls[before..].iter().filter(|call| call.writes() || call.notes());
                acted.map(|call| format!("    {} {}", call.name, call.subject)).collect()
            });
            self.installation.look(World::is_sound).unwrap();
            if sweeps == 0 {
                self.installation.look(|world| {
                    for (from, to) in &due {
                        assert!(world.reaches(from, to), "{from} does not reach {to} one sweep later");
                    }
                });
            }
            if after.is_empty() {
                break;
            }
            self.told.push(format!("sweep {sweeps}"));
            self.told.extend(after);
        }
        self.installation.assert_converged();
        self.installation.look(judge);
    }
}

fn indices(failed: &Failed) -> impl Iterator<Item = usize> {
    failed.iter().map(|id| id.trim_start_matches('m').parse().unwrap())
}

/// The oracle: whether tags ask for a connection that nothing forbids.
fn is_asked_for(instance: &Instance, store: &DataStore) -> bool {
    let shares = !instance.settings.connect.shared_with(&store.settings.connect).is_empty();
    shares && !is_forbidden(instance, store) && !is_frozen(instance, store)
}

fn is_forbidden(instance: &Instance, store: &DataStore) -> bool {
    instance.settings.blocked || store.settings.blocked || instance.has_group(&sg("quarantine"))
}

/// Whether what stands there stays, and nothing is added. Against its store's leaving no hold of an instance helps.
fn is_frozen(instance: &Instance, store: &DataStore) -> bool {
    store.settings.held || (instance.settings.held && store.settings.connect != ConnectTag::Absent)
}

/// Whether it is not certain that they share no name.
fn cannot_be_read(instance: &Instance, store: &DataStore) -> bool {
    let tags = [&instance.settings.connect, &store.settings.connect];
    tags.iter().all(|tag| **tag != ConnectTag::Absent) && tags.iter().any(|tag| matches!(tag, ConnectTag::Invalid(_)))
}

/// Every instance and every store of its VPC.
fn pairs(world: &World) -> Vec<(&Instance, &DataStore)> {
    let instances = world.instances.values();
    let of_vpc = |instance: &Instance| {
        let here = instance.interface.as_ref().map(|interface| interface.vpc.clone());
        world.stores.values().filter(move |store| here.is_some() && store.vpc() == here.as_ref())
    };
    instances.flat_map(|instance| of_vpc(instance).map(move |store| (instance, store))).collect()
}

/// Whether our group was taken off a list of one of the two too often to be attached again.
fn is_fought_over(world: &World, instance: &Instance, store: &DataStore) -> bool {
    let lists = instance.interface.iter().map(|interface| interface.id.to_string()).chain([store.arn.to_string()]);
    lists.into_iter().any(|list| world.taken_off.get(&list).is_some_and(|times| *times >= 3))
}

/// The connections that the first sweep has to make: asked for, with room on both lists.
fn due_at_once(world: &World) -> Vec<(InstanceId, StoreArn)> {
    let room = |instance: &Instance, store: &DataStore| {
        let wanted = world.stores.len();
        instance.interface.as_ref().is_some_and(|interface| interface.groups.len() + wanted <= 5)
            && store.groups.len() < 5
            && !is_fought_over(world, instance, store)
    };
    let due =
        pairs(world).into_iter().filter(|(instance, store)| is_asked_for(instance, store) && room(instance, store));
    due.map(|(instance, store)| (instance.id.clone(), store.arn.clone())).collect()
}

/// The instances that have one side of a store's pair.
fn with_side<'world>(world: &'world World, store: &str, side: &str) -> Vec<&'world Instance> {
    let groups = world.ours().remove(&(store.to_owned(), side.to_owned())).unwrap_or_default();
    world.instances.values().filter(|instance| groups.iter().any(|group| instance.has_group(&group.id))).collect()
}

/// What holds in the end, whatever happened.
fn judge(world: &World) {
    for (instance, store) in pairs(world) {
        let (from, to) = (&instance.id, &store.arn);
        let reaches = world.reaches(from, to);
        let full =
            instance.interface.as_ref().is_some_and(|interface| interface.groups.len() >= 5) || store.groups.len() >= 5;
        if is_asked_for(instance, store) && !full && !is_fought_over(world, instance, store) {
            assert!(reaches, "{from} does not reach {to}");
        }
        let may = !is_forbidden(instance, store)
            && (is_asked_for(instance, store) || is_frozen(instance, store) || cannot_be_read(instance, store));
        assert!(may || !reaches, "{from} reaches {to}");
    }
    for group in world.ours().into_values().flatten() {
        let id = group.tags.get(tagwire_core::group::STORE_ID_KEY).unwrap();
        // Somebody put the store side on an instance, where it is not ours to take off.
        let misused = !with_side(world, id, "store").is_empty();
        let Some(store) = world.stores.values().find(|store| store.id.as_str() == id) else {
            let held = with_side(world, id, "instance").iter().any(|instance| instance.settings.held);
            assert!(held || misused, "{} is left of {id}, which is gone", group.name);
            continue;
        };
        if !store.is_in(&group.vpc) || store.settings.held {
            continue;
        }
        let takes_part = store.settings.connect != ConnectTag::Absent;
        let stays = |instance: &&Instance| is_frozen(instance, store) || cannot_be_read(instance, store);
        let left = takes_part || misused || with_side(world, id, "instance").iter().any(stays);
        assert!(left, "{} is left of {}, which takes no part", group.name, store.arn);
        assert!(group.rules.len() <= 1, "{} has more than its rule: {:?}", group.name, group.rules);
        for rule in &group.rules {
            let Peer::Group(peer) = &rule.peer else { panic!("{} has a rule to everywhere", group.name) };
            assert!(world.groups.contains_key(peer) && rule.traffic == store.ports.map_or(Traffic::All, Traffic::Tcp));
        }
    }
    for store in world.stores.values() {
        assert!(store.groups.values().all(|membership| *membership == Membership::Active));
    }
}

/// The world as it stands, for whoever has to find out.
fn describe(world: &World) {
    for instance in world.instances.values() {
        let groups = instance.interface.as_ref().map(|interface| (&interface.vpc, &interface.groups));
        eprintln!("{}: {groups:?} {:?}", instance.id, instance.settings);
    }
    for store in world.stores.values() {
        eprintln!("{} {} in {:?}: {:?} {:?}", store.arn.name(), store.id, store.vpc(), store.groups, store.settings);
    }
    for there in world.groups.values() {
        eprintln!("{:?}", there.group);
    }
}

fn run(seed: u64) {
    let mut story = Story::begin(seed);
    let steps = 60 + story.random.below(60);
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..steps {
            story.step();
        }
        story.come_to_rest();
    }));
    if let Err(cause) = told {
        eprintln!("{}", story.told.join("\n"));
        story.installation.look(describe);
        eprintln!("the seed is {seed}");
        std::panic::resume_unwind(cause);
    }
}

fn seeds() -> std::ops::Range<u64> {
    let Some(text) = std::env::var_os("TAGWIRE_SIMULATION_SEEDS") else { return 0..100 };
    let text = text.into_string().unwrap();
    let (first, last) = text.split_once('-').unwrap();
    first.parse().unwrap()..last.parse().unwrap()
}

#[test]
fn whatever_happens_it_ends_as_the_tags_say() {
    seeds().for_each(run);
}
