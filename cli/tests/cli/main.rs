//! The command as a person runs it, against an endpoint that refuses everything and keeps what it was asked.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails its test")]

mod common;
mod endpoint;
mod network;
mod profile;

use std::process::{Command, Output};

/// Runs the command in an environment of its own.
fn tagwire(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tagwire"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
