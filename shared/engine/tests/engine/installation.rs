//! An installation over the simulated cloud: its functions, its queues and its log.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fmt,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use tagwire_core::{
    id::{InstanceId, Location, StoreArn, VpcId},
    observation::Scope,
    policy::{Mode, Policy},
    work::{Cause, GIVE_UP_AFTER, Tries, VERSION, WorkItem},
};
use tagwire_engine::{
    cloud::{Clock, CloudError},
    handlers::{ConnectSettings, Context, Failed, Message, connect, sweep, take_in},
    paced::Pacing,
};
use tracing::{Event, Metadata, Subscriber, field::Visit, span};

use crate::{
    clock::{SimulatedClock, run},
    simulated::{Call, Simulated, World, cluster, instance},
};

/// One line of the log, its fields as text.
pub(crate) type Record = BTreeMap<String, String>;

#[derive(Default)]
struct Log(Mutex<Vec<Record>>);

struct Fields(Record);

impl Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

struct Collector(Arc<Log>);

impl Subscriber for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(Record::new());
        event.record(&mut fields);
        self.0.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What one invocation of a function did.
#[derive(Debug)]
pub(crate) struct Ran<T> {
    /// What it returned; none when it died on the way.
    pub(crate) returned: Option<T>,
    pub(crate) calls: Vec<Call>,
    pub(crate) log: Vec<Record>,
}

impl<T> Ran<T> {
    pub(crate) fn count(&self, name: &str) -> usize {
        self.calls.iter().filter(|call| call.name == name).count()
    }

    pub(crate) fn reads(&self) -> usize {
        self.calls.iter().filter(|call| call.reads()).count()
    }

    pub(crate) fn writes(&self) -> usize {
        self.calls.iter().filter(|call| call.writes()).count()
    }

    /// The codes of one kind of record, in the order of the log.
    pub(crate) fn codes(&self, record: &str) -> Vec<&str> {
        let lines = self.log.iter().filter(|line| line.get("record").map(String::as_str) == Some(record));
        lines.filter_map(|line| line.get("code")).map(String::as_str).collect()
    }

    /// The changes that were planned.
    pub(crate) fn planned(&self) -> Vec<&str> {
        let lines = self.log.iter().filter(|line| line.get("record").map(String::as_str) == Some("planned"));
        lines.filter_map(|line| line.get("message")).map(String::as_str).collect()
    }
}

pub(crate) struct Installation {
    pub(crate) cloud: Simulated,
    pub(crate) clock: Rc<SimulatedClock>,
    pub(crate) pacing: Pacing,
    pub(crate) mode: Mode,
    pub(crate) policy: Policy,
    /// How long an invocation may take.
    pub(crate) budget: Cell<Duration>,
}

/// The moment at which every test begins.
pub(crate) fn start() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

impl Installation {
    pub(crate) fn new(build: impl FnOnce(&mut World)) -> Self {
        let clock = Rc::new(SimulatedClock::new(start()));
        let mut world = World::default();
        build(&mut world);
        Self {
            cloud: Simulated { world: RefCell::new(world), clock: Rc::clone(&clock) },
            clock,
            pacing: Pacing::default(),
            mode: Mode::Enforce,
            policy: Policy::default(),
            budget: Cell::new(Duration::from_mins(1)),
        }
    }

    /// A installation whose first sweep has come and gone.
    pub(crate) fn connected(build: impl FnOnce(&mut World)) -> Self {
        let installation = Self::new(build);
        installation.swept();
        installation.assert_converged();
        installation
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.cloud.world.borrow_mut());
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.cloud.world.borrow())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn invoke<T>(&self, function: impl AsyncFnOnce(&Context<'_, Simulated, Simulated, SimulatedClock>) -> T) -> Ran<T> {
        let before = self.look(|world| world.calls.len());
        let log = Arc::new(Log::default());
        let context = Context {
            function: "function",
            cloud: &self.cloud,
            queues: &self.cloud,
            clock: self.clock.as_ref(),
            pacing: &self.pacing,
            deadline: self.now() + self.budget.get(),
            give_up_after: GIVE_UP_AFTER,
        };
        let returned =
            tracing::subscriber::with_default(Collector(Arc::clone(&log)), || run(&self.clock, function(&context)));
        let calls = self.look(|world| world.calls[before..].to_vec());
        let log = log.0.lock().unwrap().clone();
        Ran { returned, calls, log }
    }

    pub(crate) fn take_in<B: AsRef<str>>(&self, bodies: &[B]) -> Ran<Failed> {
        let messages = messages(bodies);
        self.invoke(async |context| take_in(context, &messages).await)
    }

    pub(crate) fn connect_raw<B: AsRef<str>>(&self, bodies: &[B]) -> Ran<Failed> {
        let messages = messages(bodies);
        let settings = ConnectSettings { policy: self.policy.clone(), mode: self.mode };
        self.invoke(async |context| connect(context, &settings, &messages).await)
    }

    pub(crate) fn connect(&self, items: &[WorkItem]) -> Ran<Failed> {
        let bodies: Vec<String> = items.iter().map(|item| serde_json::to_string(item).unwrap()).collect();
        self.connect_raw(&bodies)
    }

    /// Takes the first pieces of work that wait for `connect`.
    pub(crate) fn take_work(&self, most: usize) -> Vec<WorkItem> {
        let mut world = self.cloud.world.borrow_mut();
        let most = most.min(world.work.len());
        world.work.drain(..most).collect()
    }

    /// Waits until a moment, unless it is over.
    pub(crate) fn advance_to(&self, moment: Timestamp) {
        self.clock.advance(Duration::try_from(moment.duration_since(self.now())).unwrap_or_default());
    }

    /// `connect` with all work that was sent to it.
    pub(crate) fn connect_sent(&self) -> Ran<Failed> {
        let items = std::mem::take(&mut self.cloud.world.borrow_mut().work);
        assert!(!items.is_empty(), "no work was sent");
        self.connect(&items)
    }

    pub(crate) fn sweep(&self) -> Ran<Result<usize, CloudError>> {
        self.invoke(async |context| sweep(context, "request-1").await.map(|vpcs| vpcs.len()))
    }

    /// A sweep and all that comes of it.
    pub(crate) fn swept(&self) {
        assert!(matches!(self.sweep().returned, Some(Ok(_))));
        self.drain();
    }

    /// The next sweep of the schedule, and all that comes of it.
    pub(crate) fn next_sweep(&self) {
        self.clock.advance(self.policy.sweep_period);
        self.change(World::lists_settle);
        self.swept();
    }

    /// Events come in, and everything that comes of them is done.
    pub(crate) fn deliver<B: AsRef<str>>(&self, events: &[B]) {
        let ran = self.take_in(events);
        assert_eq!(ran.returned, Some(Failed::new()), "{:#?}", ran.log);
        self.drain();
    }

    /// An instance gets another tag, or none, and its event comes in.
    pub(crate) fn retag_instance(&self, word: &str, names: Option<&str>) {
        self.change(|world| world.tag_instance(word, names));
        self.deliver(&[self.instance_tagged(word)]);
    }

    /// A store gets another tag, or none, and its event comes in.
    pub(crate) fn retag_store(&self, name: &str, names: Option<&str>) {
        self.change(|world| world.tag_store(name, names));
        self.deliver(&[self.tagged(cluster(name).as_str())]);
    }

    /// Runs the functions on what their queues hold until nothing is left there. Each round takes
    /// time, in which lists arrive where they were going.
    pub(crate) fn drain(&self) {
        for _ in 0..200 {
            let mut world = self.cloud.world.borrow_mut();
            let work = std::mem::take(&mut world.work);
            let soonest = world.again.iter().enumerate().min_by_key(|(_, (_, _, after))| *after);
            let soonest = soonest.map(|(index, _)| index);
            let again = if work.is_empty() { soonest.map(|index| world.again.remove(index)) } else { None };
            drop(world);
            if !work.is_empty() {
                let ran = self.connect(&work);
                assert_eq!(ran.returned, Some(Failed::new()), "{:#?}", ran.log);
            } else if let Some((_, again, after)) = again {
                self.clock.advance(after);
                let ran = self.take_in(&[serde_json::to_string(&again).unwrap()]);
                assert_eq!(ran.returned, Some(Failed::new()), "{:#?}", ran.log);
            } else {
                self.change(World::lists_settle);
                return;
            }
            self.clock.advance(Duration::from_secs(1));
            self.change(World::lists_settle);
        }
        panic!("the queues never run empty");
    }

    /// Nothing is wrong, nothing of ours is there twice, and a look at everything plans nothing.
    #[track_caller]
    pub(crate) fn assert_converged(&self) {
        self.change(World::lists_settle);
        self.look(World::is_sound).unwrap();
        self.holds_the_window();
        let vpcs: Vec<VpcId> = self.look(|world| {
            let stores = world.stores.values().filter_map(|store| store.vpc().cloned());
            let instances = world.instances.values().filter_map(|instance| instance.interface.as_ref());
            let instances = instances.map(|interface| interface.vpc.clone());
            let groups = world.groups.values().map(|there| there.group.vpc.clone());
            stores.chain(instances).chain(groups).collect::<BTreeSet<VpcId>>().into_iter().collect()
        });
        assert!(!vpcs.is_empty());
        for vpc in vpcs {
            let ran = self.connect(&[self.whole(&vpc)]);
            assert_eq!(ran.planned(), Vec::<&str>::new(), "a second run plans something for {vpc}");
            assert_eq!((ran.codes("outcome"), ran.writes()), (vec!["unchanged"], 0), "{:#?}", ran.log);
            let again = self.connect(&[self.whole(&vpc)]);
            let wrote = again.calls.iter().any(|call| call.writes() || call.notes());
            assert!(!wrote, "what was noted once is noted again: {:#?}", again.calls);
        }
    }

    /// In no span as long as the window were more connections cut than the policy lets.
    #[track_caller]
    pub(crate) fn holds_the_window(&self) {
        let cuts = self.look(|world| world.cuts.clone());
        for (vpc, start, _) in &cuts {
            let end = *start + self.policy.disconnect_window;
            let within = cuts.iter().filter(|(of, at, _)| of == vpc && (*start..end).contains(at));
            // One that is cut again is still one.
            let count = within.map(|(_, _, connection)| connection).collect::<BTreeSet<_>>().len();
            assert!(count <= self.policy.max_disconnects, "{count} connections were cut from {start} on: {cuts:?}");
        }
    }

    /// Nothing and nobody is in the way any more, and the next sweep comes: then everything is
    /// as it should be.
    #[track_caller]
    pub(crate) fn recovers(&self) {
        self.change(|world| {
            world.heal();
            world.lists_settle();
        });
        // What was left in the queues is lost too: the sweep alone must do.
        self.change(|world| {
            world.work.clear();
            world.again.clear();
        });
        self.clock.advance(Duration::from_mins(10));
        assert!(matches!(self.sweep().returned, Some(Ok(_))));
        self.drain();
        self.assert_converged();
    }

    pub(crate) fn item(&self, vpc: &VpcId, scope: Scope) -> WorkItem {
        WorkItem {
            version: VERSION,
            vpc: vpc.clone(),
            scope,
            cause: Cause::InstanceState,
            tries: Tries::first(self.now()),
            request: None,
            tagged_stores: None,
        }
    }

    pub(crate) fn whole(&self, vpc: &VpcId) -> WorkItem {
        self.item(vpc, Scope::Vpc)
    }

    pub(crate) fn about_instance(&self, vpc: &VpcId, instance: &InstanceId) -> WorkItem {
        self.item(vpc, Scope::of_instances([instance.clone()].into()))
    }

    pub(crate) fn about_store(&self, vpc: &VpcId, store: &StoreArn) -> WorkItem {
        self.item(vpc, Scope::of_stores([store.clone()].into()))
    }

    /// The event of an instance that starts, as it happens now.
    pub(crate) fn pending(&self, instance: &InstanceId) -> String {
        serde_json::json!({
            "version": "0",
            "id": format!("event-of-{instance}"),
            "detail-type": "EC2 Instance State-change Notification",
            "source": "aws.ec2",
            "account": "123456789012",
            "time": self.now().to_string(),
            "region": "us-east-1",
            "resources": [format!("arn:aws:ec2:us-east-1:123456789012:instance/{instance}")],
            "detail": { "instance-id": instance, "state": "pending" },
        })
        .to_string()
    }

    /// The event of a store that was created, as it happens now.
    pub(crate) fn created(&self, store: &StoreArn) -> String {
        serde_json::json!({
            "version": "0",
            "id": format!("event-of-{}", store.name()),
            "detail-type": "RDS DB Cluster Event",
            "source": "aws.rds",
            "account": "123456789012",
            "time": self.now().to_string(),
            "region": "us-east-1",
            "resources": [store],
            "detail": { "EventID": "RDS-EVENT-0170", "SourceArn": store, "SourceIdentifier": store.name() },
        })
        .to_string()
    }

    /// The event of a store that was deleted, as it happens now.
    pub(crate) fn deleted(&self, store: &StoreArn) -> String {
        self.created(store).replace("RDS-EVENT-0170", "RDS-EVENT-0171")
    }

    /// The event of a tag that changed on an instance, as it happens now.
    pub(crate) fn instance_tagged(&self, word: &str) -> String {
        self.tagged(&format!("arn:aws:ec2:us-east-1:123456789012:instance/{}", instance(word)))
    }

    /// The event of a tag that changed on a resource, as it happens now.
    pub(crate) fn tagged(&self, arn: &str) -> String {
        serde_json::json!({
            "version": "0",
            "id": "event-of-a-tag",
            "detail-type": "Tag Change on Resource",
            "source": "aws.tag",
            "account": "123456789012",
            "time": self.now().to_string(),
            "region": "us-east-1",
            "resources": [arn],
            "detail": { "changed-tag-keys": ["tagwire:connect"] },
        })
        .to_string()
    }
}

/// Where the worlds' resources are.
pub(crate) fn here() -> Location {
    Location::of_arn("arn:aws:sqs:us-east-1:123456789012:queue").unwrap()
}

fn messages<B: AsRef<str>>(bodies: &[B]) -> Vec<Message> {
    let numbered = bodies.iter().enumerate();
    let message = |(index, body): (usize, &B)| Message {
        id: format!("m{index}"),
        location: here(),
        body: body.as_ref().to_owned(),
    };
    numbered.map(message).collect()
}
