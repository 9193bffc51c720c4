//! The clock of the machine.

use std::time::Duration;

use jiff::Timestamp;
use tagwire_engine::cloud::Clock;

/// The machine's clock, and tokio's timers for waiting.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
