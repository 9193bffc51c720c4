//! `instance-events` and `data-store-events`: from events to work. Both take messages in the same
//! way; what each of them gets is decided by the rules that feed its queue, and what each of them
//! may read by its role.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use futures_util::join;
use jiff::Timestamp;
use tagwire_core::{
    event::{self, Hint, Incoming},
    finding::Reason,
    group::SecurityGroup,
    id::{InstanceId, StoreArn, VpcId},
    model::{DataStore, Form, Instance, Network},
    observation::{Gap, Reading, Scope, StoreLookup, Subject},
    plan::vpc_of,
    service::Readiness,
    tag::{ConnectTag, TagSettings},
    work::{Again, Cause, Tries, VERSION, WorkItem},
};

use super::{Context, Failed, INSTANCE_MAY_BE_MISSING, Message, latest_tries, outcome, refusals::unreadable};
use crate::cloud::{Clock, CloudError, EventQueue, Groups, Instances, Observe, Queues};

/// Turns a batch of events into work for `connect`, with one reading for all instances and one
/// for all stores of the batch. An instance or a store that takes no part ends here.
pub async fn take_in<C: Observe, Q: Queues, K: Clock>(context: &Context<'_, C, Q, K>, messages: &[Message]) -> Failed {
    let now = context.clock.now();
    let hints = read(context.function, messages, now);
    let retry_limit = RetryLimit { now, give_up_after: context.give_up_after };
    let cloud = context.paced(context.deadline);
    let instance_ids: BTreeSet<InstanceId> = hints.keys().filter_map(instance_of).cloned().collect();
    let store_arns: BTreeSet<StoreArn> = hints.keys().filter_map(store_of).cloned().collect();
    let (instances, stores) = join!(
        async {
            if instance_ids.is_empty() {
                Reading::default()
            } else {
                cloud.instances(Instances::Ids(&instance_ids)).await
            }
        },
        async { if store_arns.is_empty() { Reading::default() } else { cloud.stores(&store_arns).await } },
    );

    let groups = groups_left_behind(&cloud, &stores).await;
    unreadable(context.function, None, instances.gaps.iter().chain(&stores.gaps).chain(&groups.gaps));

    let mut next: BTreeMap<Next, Vec<(&Hint, &PendingHint)>> = BTreeMap::new();
    for (hint, pending) in &hints {
        let step = match hint {
            Hint::Instance(id) => about_instance(id, pending, &instances, &retry_limit),
            Hint::Store(arn) => about_store(arn, pending, &stores, &groups, &retry_limit),
        };
        next.entry(step).or_default().push((hint, pending));
    }

    let mut failed = Failed::new();
    for (step, hints) in &next {
        let sent = send(context, step, hints).await;
        failed.extend(report(context.function, step, hints, sent.as_ref().err()));
    }
    failed
}

/// Sends what the next step of hints takes.
async fn send<C, Q: Queues, K: Clock>(
    context: &Context<'_, C, Q, K>,
    step: &Next,
    hints: &[(&Hint, &PendingHint)],
) -> Result<(), CloudError> {
    match step {
        Next::Work(vpc) => context.send_work(&work(vpc, hints)).await,
        Next::Again(queue, _) => {
            let (again, delay) = again(hints);
            context.send_again(*queue, &again, delay).await
        }
        Next::Done { .. } => Ok(()),
    }
}

/// Logs the outcome of every message; the messages to be delivered again, because of an error.
fn report(function: &str, step: &Next, hints: &[(&Hint, &PendingHint)], error: Option<&CloudError>) -> Failed {
    let mut failed = Failed::new();
    for (hint, pending) in hints {
        let subject = about(hint);
        for message in &pending.messages {
            let event = &message.event;
            if let Some(error) = error {
                let code = "not-sent";
                tracing::error!(
                    record = "outcome",
                    function,
                    event,
                    code,
                    subject,
                    "{error}; the message is delivered again"
                );
                failed.insert(message.id.clone());
                continue;
            }
            outcome(function, event, step.code(), subject, &step.to_string());
            if step.code() == GAVE_UP {
                tracing::warn!(record = "finding", function, subject, code = GAVE_UP, "{step}");
            }
        }
    }
    failed
}

/// The groups that stores left behind whose services say that they are gone, or that are about to be and show
/// no VPC any more.
async fn groups_left_behind<C: Observe>(cloud: &C, stores: &Reading<StoreLookup>) -> Reading<SecurityGroup> {
    let gone: BTreeSet<StoreArn> = stores
        .found
        .iter()
        .filter_map(|lookup| match lookup {
            StoreLookup::NotFound(arn) => Some(arn.clone()),
            StoreLookup::Found(store) => leaves_unseen(store).then(|| store.arn.clone()),
        })
        .collect();
    if gone.is_empty() { Reading::default() } else { cloud.groups(Groups::OwnedFor(&gone)).await }
}

/// A hint that waits for the read of its resource, with the messages that gave it.
struct PendingHint {
    cause: Cause,
    tries: Tries,
    messages: Vec<MessageRef>,
}

/// A message, and the event it carried.
struct MessageRef {
    id: String,
    event: String,
}

fn read(function: &str, messages: &[Message], now: Timestamp) -> BTreeMap<Hint, PendingHint> {
    let mut hints: BTreeMap<Hint, PendingHint> = BTreeMap::new();
    let mut add = |hint: Hint, cause: Cause, tries: Tries, message: &Message, event: &str| {
        let pending = hints.entry(hint).or_insert_with(|| PendingHint { cause, tries, messages: Vec::new() });
        // A tag change is looked into even when the tag is gone, so it wins over other causes.
        if cause == Cause::TagChange {
            pending.cause = cause;
        }
        pending.tries = latest_tries(pending.tries, tries);
        pending.messages.push(MessageRef { id: message.id.clone(), event: event.to_owned() });
    };
    for message in messages {
        match event::read(&message.body, &message.location) {
            Ok(Incoming::Event(event)) => {
                // A clock that is wrong must not make an event of today look a year old.
                let since = event.time.filter(|time| *time <= now).unwrap_or(now);
                for hint in event.hints {
                    add(hint, event.cause, Tries { attempt: 0, since }, message, &event.id);
                }
            }
            Ok(Incoming::Again(again)) => {
                if again.hints.is_empty() {
                    outcome(function, &message.id, "nothing-asked", "nothing", "it asks for nothing to be looked at");
                }
                for hint in again.hints {
                    add(hint, again.cause, again.tries, message, &message.id);
                }
            }
            Err(problem) => {
                let body = message.beginning();
                tracing::warn!(
                    record = "outcome",
                    function,
                    event = message.id,
                    code = problem.code(),
                    body,
                    "{problem}; the message is consumed, for it would say the same again"
                );
            }
        }
    }
    hints
}

/// The code of what waits for a person, who stopped it and may start it again.
const LEFT_TO_SWEEP: &str = "left-to-sweep";
/// The code of what was looked at again for too long.
const GAVE_UP: &str = "gave-up";

/// The next step of a hint. Ordered, so that hints with the same next step travel together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// `connect` looks at it.
    Work(VpcId),
    /// It is looked at again, together with what has been tried as often.
    Again(EventQueue, u32),
    /// That is all.
    Done { code: &'static str, message: String },
}

impl Next {
    fn code(&self) -> &'static str {
        match self {
            Self::Work(_) => "work-sent",
            Self::Again(..) => "will-retry",
            Self::Done { code, .. } => code,
        }
    }

    fn found(reason: &Reason) -> Self {
        Self::Done { code: reason.code(), message: reason.to_string() }
    }
}

impl fmt::Display for Next {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work(vpc) => write!(out, "connect looks at it in {vpc}"),
            Self::Again(..) => out.write_str("it cannot be read yet and is looked at again after a delay"),
            Self::Done { message, .. } => out.write_str(message),
        }
    }
}

fn instance_of(hint: &Hint) -> Option<&InstanceId> {
    match hint {
        Hint::Instance(id) => Some(id),
        Hint::Store(_) => None,
    }
}

fn store_of(hint: &Hint) -> Option<&StoreArn> {
    match hint {
        Hint::Store(arn) => Some(arn),
        Hint::Instance(_) => None,
    }
}

fn about(hint: &Hint) -> &str {
    match hint {
        Hint::Instance(id) => id.as_str(),
        Hint::Store(arn) => arn.as_str(),
    }
}

/// For how long something is looked at again, and what time it is.
struct RetryLimit {
    now: Timestamp,
    give_up_after: Duration,
}

impl RetryLimit {
    /// One look more, unless there have been looks for too long.
    fn again_because(&self, queue: EventQueue, pending: &PendingHint, why: &str) -> Next {
        if pending.tries.age(self.now) < self.give_up_after {
            return Next::Again(queue, pending.tries.attempt);
        }
        let age = self.now.duration_since(pending.tries.since);
        Next::Done {
            code: GAVE_UP,
            message: format!("{why}; it has been looked at for {age:#}, and is left to the sweep"),
        }
    }
}

fn about_instance(
    id: &InstanceId,
    pending: &PendingHint,
    reading: &Reading<Instance>,
    retry_limit: &RetryLimit,
) -> Next {
    let Some(instance) = reading.found.iter().find(|instance| instance.id == *id) else {
        return unseen(EventQueue::Instances, &Subject::Instance(id.clone()), pending, &reading.gaps, retry_limit);
    };
    match &instance.interface {
        None => Next::found(&Reason::InstanceGone),
        Some(interface) => {
            uninterested(&instance.settings, pending.cause).unwrap_or_else(|| Next::Work(interface.vpc.clone()))
        }
    }
}

fn about_store(
    arn: &StoreArn,
    pending: &PendingHint,
    reading: &Reading<StoreLookup>,
    groups: &Reading<SecurityGroup>,
    retry_limit: &RetryLimit,
) -> Next {
    let lookup = reading.found.iter().find_map(|lookup| match lookup {
        StoreLookup::Found(store) if store.arn == *arn => Some(Some(store)),
        StoreLookup::NotFound(gone) if gone == arn => Some(None),
        StoreLookup::Found(_) | StoreLookup::NotFound(_) => None,
    });
    match lookup {
        None => unseen(EventQueue::Stores, &Subject::Store(arn.clone()), pending, &reading.gaps, retry_limit),
        Some(None) => gone(arn, pending, groups, retry_limit),
        Some(Some(store)) => leaving(store, pending, groups, retry_limit)
            .or_else(|| uninterested(&store.settings, pending.cause))
            .or_else(|| member(store))
            .or_else(|| not_ready(store, pending, retry_limit))
            .unwrap_or_else(|| place(store, pending, retry_limit)),
    }
}

/// Whether a store is being deleted and shows no VPC any more, in which its end could be noticed.
// Fact 9.4
fn leaves_unseen(store: &DataStore) -> bool {
    store.is_leaving() && store.network == Network::NotShown
}

/// A store that leaves groups behind is looked at until it is gone, whatever is known of its tags: not every
/// service reports the end of a deletion.
// Fact 1.4
fn leaving(
    store: &DataStore,
    pending: &PendingHint,
    groups: &Reading<SecurityGroup>,
    retry_limit: &RetryLimit,
) -> Option<Next> {
    if !leaves_unseen(store) || (left_behind(&store.arn, groups).is_none() && groups.is_complete()) {
        return None;
    }
    Some(retry_limit.again_because(EventQueue::Stores, pending, &format!("its state is {:?}", store.state)))
}

/// Where `connect` looks at it. A store that shows no VPC yet has none to be looked at in.
fn place(store: &DataStore, pending: &PendingHint, retry_limit: &RetryLimit) -> Next {
    match vpc_of(store) {
        Ok(vpc) => Next::Work(vpc.clone()),
        Err(reason) if reason.passes() => retry_limit.again_because(EventQueue::Stores, pending, &reason.to_string()),
        Err(reason) => Next::found(&reason),
    }
}

/// A part of a larger store is answered with its whole, whatever its tags say: it never has a connection
/// of its own, and a cache carries copies of its replication group's tags.
fn member(store: &DataStore) -> Option<Next> {
    match &store.form {
        Form::ClusterMember { cluster } => Some(Next::found(&Reason::ClusterMember { cluster: cluster.clone() })),
        Form::Plain | Form::ServerlessV1 | Form::GlobalMember { .. } => None,
    }
}

/// A store that is still being created, without an endpoint: there is nothing that `connect` could
/// do for it, so its observation is saved. And any store that has not become ready for too long.
/// A hint that may remove something is not kept waiting.
fn not_ready(store: &DataStore, pending: &PendingHint, retry_limit: &RetryLimit) -> Option<Next> {
    if store.readiness() != Readiness::Later || pending.cause == Cause::TagChange || store.settings.blocked {
        return None;
    }
    let again = retry_limit.again_because(EventQueue::Stores, pending, &format!("its state is {:?}", store.state));
    let gives_up = again.code() == GAVE_UP && pending.tries.attempt > 0;
    if store.is_at_rest() && (store.ports.is_none() || gives_up) {
        let message =
            format!("its state is {:?}; it is looked at again when it is started, and by the sweep", store.state);
        return Some(Next::Done { code: LEFT_TO_SWEEP, message });
    }
    (store.ports.is_none() || gives_up).then_some(again)
}

/// A store that is gone may have left its groups behind, in one VPC as a rule; a sweep finds the
/// others.
fn gone(arn: &StoreArn, pending: &PendingHint, groups: &Reading<SecurityGroup>, retry_limit: &RetryLimit) -> Next {
    match (left_behind(arn, groups), groups.gaps.first()) {
        (Some(group), _) => Next::Work(group.vpc.clone()),
        (None, Some(gap)) => {
            unseen(EventQueue::Stores, &Subject::Store(arn.clone()), pending, std::slice::from_ref(gap), retry_limit)
        }
        (None, None) => Next::found(&Reason::StoreGone),
    }
}

/// A group that a store leaves behind.
fn left_behind<'groups>(arn: &StoreArn, groups: &'groups Reading<SecurityGroup>) -> Option<&'groups SecurityGroup> {
    let is_its = |group: &&SecurityGroup| group.ownership().ours().is_some_and(|owned| owned.arn.as_ref() == Some(arn));
    groups.found.iter().find(is_its)
}

/// Why nobody needs to look further; none when `connect` has to.
fn uninterested(settings: &TagSettings, cause: Cause) -> Option<Next> {
    match &settings.connect {
        ConnectTag::Names(_) => None,
        // A block takes effect whatever else stands there.
        ConnectTag::Invalid(_) if settings.blocked => None,
        ConnectTag::Invalid(problem) => Some(Next::found(&Reason::InvalidTag { problem: problem.clone() })),
        ConnectTag::Absent if cause == Cause::TagChange => None,
        ConnectTag::Absent => {
            Some(Next::Done { code: "not-opted-in", message: "it does not carry the connect tag".to_owned() })
        }
    }
}

/// The next step for a resource that was asked for and not found: too new, unreadable for the moment, or gone.
fn unseen(queue: EventQueue, subject: &Subject, pending: &PendingHint, gaps: &[Gap], retry_limit: &RetryLimit) -> Next {
    // Other things of the same batch may lie in gaps that last.
    match gaps.iter().find(|gap| !gap.resources.is_empty() && gap.hides(subject)).or(gaps.first()) {
        None if queue == EventQueue::Instances && pending.tries.age(retry_limit.now) < INSTANCE_MAY_BE_MISSING => {
            Next::Again(queue, pending.tries.attempt)
        }
        None if queue == EventQueue::Instances => Next::found(&Reason::InstanceGone),
        None => Next::found(&Reason::StoreGone),
        Some(gap) if gap.passing => retry_limit.again_because(queue, pending, &gap.to_string()),
        Some(gap) => Next::found(&Reason::unread(gap)),
    }
}

fn work(vpc: &VpcId, hints: &[(&Hint, &PendingHint)]) -> WorkItem {
    let (cause, tries) = merged(hints);
    let (instances, stores) = hints.iter().fold((BTreeSet::new(), BTreeSet::new()), |mut sets, (hint, _)| {
        sets.0.extend(instance_of(hint).cloned());
        sets.1.extend(store_of(hint).cloned());
        sets
    });
    WorkItem {
        version: VERSION,
        vpc: vpc.clone(),
        scope: Scope::Some { instances, stores },
        cause,
        tries,
        request: None,
        tagged_stores: None,
    }
}

fn again(hints: &[(&Hint, &PendingHint)]) -> (Again, Duration) {
    let (cause, tries) = merged(hints);
    let (tries, delay) = tries.next();
    (Again { version: VERSION, hints: hints.iter().map(|(hint, _)| (*hint).clone()).collect(), cause, tries }, delay)
}

/// The cause and the tries of hints that travel together. There is always at least one.
fn merged(hints: &[(&Hint, &PendingHint)]) -> (Cause, Tries) {
    let causes = hints.iter().map(|(_, pending)| (pending.cause, pending.tries));
    causes
        .reduce(|one, other| {
            let cause = if other.0 == Cause::TagChange { other.0 } else { one.0 };
            (cause, latest_tries(one.1, other.1))
        })
        .unwrap_or((Cause::Sweep, Tries::first(Timestamp::UNIX_EPOCH)))
}
