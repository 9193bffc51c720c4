//! The Python environment that the servers run in, installed when it is first needed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths;

/// The interpreter of an environment that holds exactly what the lock file names.
///
/// Installs it first if that is needed, under a lock, so that of several processes one installs and the others wait.
/// The interpreter it is made from is `TAGWIRE_PYTHON`, or `python3.11`, or `python3`.
///
/// # Errors
///
/// When there is no Python, or the packages cannot be installed.
pub fn python() -> Result<PathBuf> {
    let lock_file = paths::python().join("requirements.txt");
    let locked = fs::read_to_string(&lock_file).with_context(|| format!("reading {}", lock_file.display()))?;
    let (interpreter, version) = base_interpreter()?;
    let stamp = format!("{version}\n{locked}");

    let folder = paths::state();
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let environment = folder.join(format!("venv-{:016x}", fingerprint(stamp.as_bytes())));
    let python = environment.join("bin").join("python");
    let stamp_file = environment.join("installed-from");

    let guard_path = folder.join("venv.lock");
    let guard = File::create(&guard_path).with_context(|| format!("opening {}", guard_path.display()))?;
    guard.lock().with_context(|| format!("locking {}", guard_path.display()))?;
    if fs::read_to_string(&stamp_file).is_ok_and(|installed| installed == stamp) {
        return Ok(python);
    }
    install(&interpreter, &environment, &python, &lock_file)?;
    // Written last: an installation that was interrupted has no stamp and is made anew.
    fs::write(&stamp_file, stamp).with_context(|| format!("writing {}", stamp_file.display()))?;
    Ok(python)
}

fn base_interpreter() -> Result<(PathBuf, String)> {
    let candidates = match std::env::var_os("TAGWIRE_PYTHON") {
        Some(named) => vec![PathBuf::from(named)],
        None => vec![PathBuf::from("python3.11"), PathBuf::from("python3")],
    };
    for candidate in &candidates {
        let asked = Command::new(candidate).args(["-c", "import sys; print(sys.prefix, sys.version)"]).output();
        if let Ok(answer) = asked
            && answer.status.success()
        {
            let version = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
            return Ok((candidate.clone(), version));
        }
    }
    bail!("the local AWS needs Python 3.11 or newer with venv; tried {candidates:?} (TAGWIRE_PYTHON names another)")
}

fn install(interpreter: &Path, environment: &Path, python: &Path, lock_file: &Path) -> Result<()> {
    if environment.exists() {
        fs::remove_dir_all(environment)
            .with_context(|| format!("removing the unfinished {}", environment.display()))?;
    }
    run(Command::new(interpreter).args(["-m", "venv"]).arg(environment))?;
    run(Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"])
        .arg(lock_file))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}:\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// FNV-1a: only a folder's name hangs on it, and the stamp is compared in full.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
