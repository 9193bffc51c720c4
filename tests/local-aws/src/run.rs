//! The folder of one run: the servers' logs, the functions', and what is thrown away.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::paths;

const KEPT_AT_MOST: Duration = Duration::from_hours(24);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The folder of one run. It is removed with this, unless something went wrong or the caller chose the folder.
#[derive(Debug)]
pub(crate) struct Run {
    folder: PathBuf,
    chosen: bool,
    failed: AtomicBool,
}

impl Run {
    /// Makes the folder: the given one, or one of its own under the build's target folder.
    pub(crate) fn begin(chosen: Option<&Path>) -> Result<Self> {
        let runs = paths::state().join("runs");
        remove_old(&runs);
        let own = || runs.join(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let folder = chosen.map_or_else(own, Path::to_path_buf);
        let run = Self { folder, chosen: chosen.is_some(), failed: AtomicBool::new(false) };
        // A folder of this name is what is left of another process that had the same id.
        if !run.chosen && run.folder.exists() {
            fs::remove_dir_all(&run.folder).with_context(|| format!("clearing {}", run.folder.display()))?;
        }
        for made in [run.logs().to_path_buf(), run.temporary()] {
            fs::create_dir_all(&made).with_context(|| format!("making {}", made.display()))?;
        }
        Ok(run)
    }

    /// Where the logs are.
    pub(crate) fn logs(&self) -> &Path {
        &self.folder
    }

    /// The log of a server.
    pub(crate) fn log(&self, server: &str) -> PathBuf {
        self.folder.join(format!("{server}.log"))
    }

    /// What the functions wrote, a JSON line for each invocation.
    pub(crate) fn function_log(&self) -> PathBuf {
        self.folder.join("functions.jsonl")
    }

    /// What the servers put on disk for the time that they run.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.folder.join("temporary")
    }

    /// The binaries that are deployed.
    pub(crate) fn functions(&self) -> PathBuf {
        self.temporary().join("binaries")
    }

    /// Keeps the logs: somebody will want to read them.
    pub(crate) fn mark_failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // What cannot be removed now is removed by a later run, or by `cargo clean`.
        fs::remove_dir_all(self.temporary()).ok();
        let kept = self.chosen || self.failed.load(Ordering::Relaxed) || std::thread::panicking();
        if kept {
            if !self.chosen {
                eprintln!("the logs of the local AWS are in {}", self.folder.display());
            }
        } else {
            fs::remove_dir_all(&self.folder).ok();
        }
    }
}

/// Removes what failed runs left for people to read, once nobody will.
fn remove_old(runs: &Path) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > KEPT_AT_MOST) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}
