//! Progress on standard error, for work that takes longer than a second. There is none where standard error is
//! no terminal.

use std::{future::Future, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::shows_progress;

/// Work that is done before this shows no progress.
const QUIET_TIME: Duration = Duration::from_secs(1);
/// How often the spinner moves.
const TICK: Duration = Duration::from_millis(120);

/// Waits for work to finish, with a spinner when that takes long.
pub(crate) async fn waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    if !shows_progress() {
        return work.await;
    }
    let mut work = std::pin::pin!(work);
    let in_time = tokio::time::timeout(QUIET_TIME, work.as_mut()).await;
    if let Ok(done) = in_time {
        return done;
    }
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    spinner.enable_steady_tick(TICK);
    let done = work.await;
    spinner.finish_and_clear();
    done
}

/// A bar that fills as changes are made.
pub(crate) fn bar(changes: usize) -> ProgressBar {
    if !shows_progress() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(changes).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:30}] {pos}/{len} changes {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(TICK);
    bar
}
