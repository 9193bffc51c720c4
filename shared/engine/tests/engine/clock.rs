//! A clock that only moves when everybody sleeps, and the executor that moves it. A run is a
//! function of its input: the same world gives the same calls at the same times.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use jiff::Timestamp;
use tagwire_engine::cloud::Clock;

/// Most polls of one run. A run that needs more turns in circles.
const MOST_POLLS: usize = 100_000;

pub(crate) struct SimulatedClock {
    now: Cell<Timestamp>,
    sleepers: RefCell<BTreeMap<usize, (Timestamp, Waker)>>,
    born: Cell<usize>,
    longest_reach: Cell<Timestamp>,
    /// Whether the process that is running has been killed.
    killed: Cell<bool>,
}

/// One who sleeps, and who is forgotten when it is dropped.
struct Sleeper<'clock> {
    clock: &'clock SimulatedClock,
    id: usize,
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.clock.sleepers.borrow_mut().remove(&self.id);
    }
}

impl SimulatedClock {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            now: Cell::new(now),
            sleepers: RefCell::default(),
            born: Cell::default(),
            longest_reach: Cell::new(now),
            killed: Cell::default(),
        }
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.now.set(self.now.get() + span);
    }

    /// Kills the process that is running.
    pub(crate) fn kill(&self) {
        self.killed.set(true);
    }

    /// The latest moment that anybody has asked to sleep to.
    pub(crate) fn longest_reach(&self) -> Timestamp {
        self.longest_reach.get()
    }

    /// Moves to the first moment at which somebody wants to wake; false when nobody sleeps.
    fn tick(&self) -> bool {
        let sleepers = self.sleepers.borrow();
        let Some(next) = sleepers.values().map(|(until, _)| *until).min() else { return false };
        self.now.set(next.max(self.now.get()));
        for (_, waker) in sleepers.values().filter(|(until, _)| *until <= next) {
            waker.wake_by_ref();
        }
        true
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        self.now.get()
    }

    async fn sleep(&self, span: Duration) {
        let until = self.now.get() + span;
        self.longest_reach.set(self.longest_reach.get().max(until));
        self.born.set(self.born.get() + 1);
        let sleeper = Sleeper { clock: self, id: self.born.get() };
        poll_fn(|context| {
            if self.now.get() >= until {
                return Poll::Ready(());
            }
            self.sleepers.borrow_mut().insert(sleeper.id, (until, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a future to its end; none when it waits for something that will never come: a process
/// that was killed. It is dropped then, as a killed process drops everything.
pub(crate) fn run<T>(clock: &SimulatedClock, future: impl Future<Output = T>) -> Option<T> {
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    clock.killed.set(false);
    for _ in 0..MOST_POLLS {
        if woken.0.swap(false, Ordering::Relaxed) {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(value);
            }
        } else if clock.killed.get() || !clock.tick() {
            return None;
        }
    }
    panic!("the run turns in circles")
}
