//! A server process: started, watched until it listens, ended with its owner.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

const GRACE: Duration = Duration::from_secs(3);
const LOG_LINES_SHOWN: usize = 15;

/// A server that ends when this is dropped, and also when this process ends in any other way: it watches its standard
/// input, whose other end is here.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    log: PathBuf,
}

impl Server {
    /// Starts a server; `command` gets its standard streams and its process group here.
    pub(crate) fn start(name: &'static str, mut command: Command, log: PathBuf) -> Result<Self> {
        let errors = File::create(&log).with_context(|| format!("making {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name}: {command:?}"))?;
        let input = child.stdin.take();
        Ok(Self { name, child, input, log })
    }

    /// Writes a line to the server's standard input.
    pub(crate) fn answer_request(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().ok_or_else(|| anyhow!("{} has no standard input", self.name))?;
        writeln!(input, "{line}").with_context(|| format!("telling {} {line:?}", self.name))?;
        input.flush().with_context(|| format!("telling {} {line:?}", self.name))
    }

    /// Waits until the server says where it listens. Blocks.
    pub(crate) fn port(&mut self) -> Result<u16> {
        let output = self.child.stdout.take().ok_or_else(|| anyhow!("{} was asked for its port before", self.name))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).with_context(|| format!("reading the port of {}", self.name))?;
        let announced: serde_json::Value = serde_json::from_str(&line).map_err(|_| {
            anyhow!(
                "{} ended or said {line:?} where it was to say its port; the end of {}:\n{}",
                self.name,
                self.log.display(),
                last_lines(&self.log, LOG_LINES_SHOWN)
            )
        })?;
        announced
            .get("port")
            .and_then(serde_json::Value::as_u64)
            .and_then(|port| u16::try_from(port).ok())
            .ok_or_else(|| anyhow!("{} said {line:?}, which names no port", self.name))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server ends its whole process group, functions included, when its input closes.
        drop(self.input.take());
        let closed = Instant::now();
        while closed.elapsed() < GRACE {
            match self.child.try_wait() {
                Ok(Some(_)) => return,
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(_) => break,
            }
        }
        // Nothing more can be done about a process that cannot even be killed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The end of a text file, for error messages; says so when it cannot be read.
pub(crate) fn last_lines(path: &Path, number: usize) -> String {
    match std::fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            lines.get(lines.len().saturating_sub(number)..).unwrap_or_default().join("\n")
        }
        Err(error) => format!("({} cannot be read: {error})", path.display()),
    }
}
