//! The question that a person is asked.

use std::{
    io::{IsTerminal, Write, stdin},
    thread,
};

use anyhow::Context;
use futures_channel::oneshot;

use crate::{
    error::{CommandError, CommandResult, user_error},
    output::tell,
};

/// The question that a person is asked, and the word that agrees.
#[derive(Clone, Copy)]
pub(crate) struct ConfirmPrompt<'text> {
    pub(crate) text: &'text str,
    pub(crate) word: &'text str,
}

/// Asks a person; only the word itself is a yes.
///
/// # Errors
/// When there is nobody to ask, and after Ctrl-C.
pub(super) async fn confirm(ConfirmPrompt { text, word }: ConfirmPrompt<'_>) -> CommandResult<bool> {
    if !stdin().is_terminal() {
        return Err(user_error!("standard input is no terminal, so nobody can be asked")
            .hint("--yes goes ahead without asking"));
    }
    let mut err = anstream::stderr();
    write!(err, "{text} ")?;
    err.flush()?;
    // A thread of its own: nothing else could end the reading, and a task of the runtime would keep it from ending.
    let (sender, line) = oneshot::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = stdin().read_line(&mut line).map(|_| line);
        // Whoever asked is gone after Ctrl-C.
        sender.send(read).unwrap_or_default();
    });
    tokio::select! {
        line = line => Ok(line.context("nobody answers")?.context("reading the answer")?.trim() == word),
        _ = tokio::signal::ctrl_c() => {
            tell("\nNothing was changed.");
            Err(CommandError::interrupted())
        }
    }
}
