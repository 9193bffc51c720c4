//! A clock that only moves when everybody sleeps, and the executor that moves it. A run is a
//! function of its input: the same world gives the same calls at the same times.

use std::{
    cell::{Cell, RefCell},
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
    sleepers: RefCell<Vec<(Timestamp, Waker)>>,
    longest_reach: Cell<Timestamp>,
}

impl SimulatedClock {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { now: Cell::new(now), sleepers: RefCell::default(), longest_reach: Cell::new(now) }
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.now.set(self.now.get() + span);
    }

    /// The latest moment that anybody has asked to sleep to.
    pub(crate) fn longest_reach(&self) -> Timestamp {
        self.longest_reach.get()
    }

    /// Moves to the first moment at which somebody wants to wake; false when nobody sleeps.
    fn tick(&self) -> bool {
        let mut sleepers = self.sleepers.borrow_mut();
        let Some(next) = sleepers.iter().map(|(until, _)| *until).min() else { return false };
        self.now.set(next.max(self.now.get()));
        for (_, waker) in sleepers.extract_if(.., |(until, _)| *until <= next) {
            waker.wake();
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
        poll_fn(|context| {
            if self.now.get() >= until {
                return Poll::Ready(());
            }
            self.sleepers.borrow_mut().push((until, context.waker().clone()));
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
    for _ in 0..MOST_POLLS {
        if woken.0.swap(false, Ordering::Relaxed) {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(value);
            }
        } else if !clock.tick() {
            clock.sleepers.borrow_mut().clear();
            return None;
        }
    }
    panic!("the run turns in circles")
}
