//! Signs of life on standard error for what takes longer than a second. Where that is no terminal, there
//! are none.

use std::{future::Future, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

/// What is over before this needs no sign.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the sign moves.
const TICK: Duration = Duration::from_millis(120);

/// Waits for something, with a sign of life when it takes long.
pub(crate) async fn waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let in_time = tokio::time::timeout(PATIENCE, work.as_mut()).await;
    if let Ok(done) = in_time {
        return done;
    }
    let sign = ProgressBar::new_spinner().with_message(what.to_owned());
    sign.enable_steady_tick(TICK);
    let done = work.await;
    sign.finish_and_clear();
    done
}

/// A bar that fills with the changes that are made.
pub(crate) fn bar(changes: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(changes).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:30}] {pos}/{len} changes {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(TICK);
    bar
}
