//! At most two local AWSs at once on a machine, whichever processes lease them.

use std::fs::{self, File, TryLockError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::paths;

/// More would only slow each other down on a machine with two cores.
const SLOTS: usize = 2;
const TIMEOUT: Duration = Duration::from_mins(20);

/// The right to run one local AWS, given back when it is dropped or its process ends.
#[derive(Debug)]
pub(crate) struct Slot {
    // The lock goes when the file is closed.
    _lock: File,
}

impl Slot {
    /// Waits for a free slot.
    pub(crate) async fn take() -> Result<Self> {
        let folder = paths::state();
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let waiting_since = Instant::now();
        loop {
            for number in 0..SLOTS {
                let path = folder.join(format!("slot-{number}.lock"));
                let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
                match file.try_lock() {
                    Ok(()) => return Ok(Self { _lock: file }),
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(error)) => {
                        return Err(error).with_context(|| format!("locking {}", path.display()));
                    }
                }
            }
            if waiting_since.elapsed() > TIMEOUT {
                bail!("no local AWS came free in {TIMEOUT:?}: {SLOTS} are leased, see {}", folder.display());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
