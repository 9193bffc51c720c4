//! The command at a terminal, as a person sits there: how wide its tables are, what is asked, and what Ctrl-C ends.

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags, open},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tagwire_acceptance::{Installation, owned_groups};
use tagwire_local_aws::LocalAws;

use crate::support::{assert_connected, assert_settled, lease, writes};

/// How long a text may take to appear; the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// A command at a terminal of its own.
pub(crate) struct Terminal {
    keyboard: File,
    command: Child,
    screen: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Terminal {
    /// Starts the command on a terminal of some columns.
    pub(crate) fn start(aws: &LocalAws, columns: u16, arguments: &[&str]) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let path = ptsname(&keyboard, Vec::new()).unwrap();
        let terminal = File::from(open(path.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap());
        tcsetwinsize(&terminal, Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("tagwire");
        let of_terminal = || Stdio::from(terminal.try_clone().unwrap());
        let command = Command::new(program)
            .args(["--color", "never", "--quiet"])
            .args(arguments)
            .env_clear()
            .envs(aws.function_environment())
            .stdin(of_terminal())
            .stdout(of_terminal())
            .stderr(of_terminal())
            .spawn()
            .unwrap();
        let keyboard = File::from(keyboard);
        let (mut output, screen) = (keyboard.try_clone().unwrap(), Arc::new(Mutex::new(String::new())));
        let shown = Arc::clone(&screen);
        // When the command has ended, nobody holds the other end any more and reading fails.
        let reader = thread::spawn(move || {
            let (mut all, mut some) = (Vec::new(), [0; 4096]);
            while let Ok(read @ 1..) = output.read(&mut some) {
                all.extend(some.iter().take(read));
                *shown.lock().unwrap() = String::from_utf8_lossy(&all).replace("\r\n", "\n");
            }
        });
        Self { keyboard, command, screen, reader }
    }

    /// Waits until a text is on the screen.
    pub(crate) fn wait_for(&self, text: &str) {
        let began = Instant::now();
        while !self.screen.lock().unwrap().contains(text) {
            assert!(began.elapsed() < PATIENCE, "{text:?} did not appear: {}", self.screen.lock().unwrap());
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// What Ctrl-C at the terminal does.
    pub(crate) fn interrupt(&self) {
        let command = Pid::from_raw(i32::try_from(self.command.id()).unwrap()).unwrap();
        kill_process(command, Signal::INT).unwrap();
    }

    /// Waits for the end: the exit code and everything that was shown.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let began = Instant::now();
        while self.command.try_wait().unwrap().is_none() {
            if began.elapsed() > PATIENCE {
                self.command.kill().unwrap();
                panic!("the command does not end: {}", self.screen.lock().unwrap());
            }
            thread::sleep(Duration::from_millis(20));
        }
        let code = self.command.wait().unwrap().code();
        self.reader.join().unwrap();
        (code, self.screen.lock().unwrap().clone())
    }
}

/// The result of a command at a terminal of some columns.
pub(crate) fn at_terminal(aws: &LocalAws, columns: u16, arguments: &[&str]) -> String {
    let (code, shown) = Terminal::start(aws, columns, arguments).end();
    assert_eq!(code, Some(0), "{shown}");
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_question_at_once_and_while_connect_works_says_what_goes_on() {
    let aws = lease().await;
    let installation = Installation::create(&aws, 1).await.unwrap();
    let instance = installation.launch(Some("orders")).await.unwrap();
    aws.settle().await.unwrap();
    let store = installation.silent_aurora("orders", "orders").await.unwrap();
    aws.forget_calls();

    let asked = Terminal::start(&aws, 80, &["apply"]);
    asked.wait_for("Type yes to agree:");
    let began = Instant::now();
    asked.interrupt();
    let (code, shown) = asked.end();
    assert_eq!(code, Some(130), "{shown}");
    assert!(shown.ends_with("Nothing was changed.\n") && began.elapsed() < Duration::from_secs(5), "{shown}");

    let mut refused = Terminal::start(&aws, 80, &["apply"]);
    refused.wait_for("Type yes to agree:");
    refused.type_line("y");
    let (code, shown) = refused.end();
    assert!(code == Some(0) && shown.ends_with("Nothing was changed.\n"), "{shown}");
    assert_eq!(writes(&aws).len(), 0, "nothing was handed over");
    assert!(owned_groups(&aws).await.unwrap().is_empty());

    // The data store takes its time, so that there is something to be interrupted.
    aws.slow_stores(Duration::ZERO, Duration::from_secs(20)).await.unwrap();
    let mut agreed = Terminal::start(&aws, 80, &["apply"]);
    agreed.wait_for("Type yes to agree:");
    agreed.type_line("yes");
    while owned_groups(&aws).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    agreed.interrupt();
    let (code, shown) = agreed.end();
    assert_eq!(code, Some(130), "{shown}");
    let message = "connect was handed the plan and goes on without this command: ";
    assert!(shown.contains(message) && shown.contains(&installation.vpc), "{shown}");

    aws.slow_stores(Duration::ZERO, Duration::ZERO).await.unwrap();
    let finished = crate::command_line::tagwire(&aws, &["apply", "--yes", "--timeout", "120"]);
    assert_eq!(finished.status.code(), Some(0), "{}", crate::command_line::text(&finished.stderr));
    assert_connected(&aws, &instance, &store, 1).await;
    assert_settled(&aws, &installation.vpc).await;
}
