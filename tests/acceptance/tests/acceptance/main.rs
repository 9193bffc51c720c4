//! The main job on the local AWS: real function processes, deployed from the real template, driven
//! by events, judged by what EC2 and RDS say afterwards.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a helper of tests fails its test")]

mod applying;
mod bad_input;
mod blocking;
mod budget;
mod caches_and_redshift;
mod cidr;
mod clean_up;
mod command_line;
mod connecting;
mod disconnecting;
mod doctor;
mod dry_run;
mod explaining;
mod forgeries;
mod gaps;
mod killed;
mod refusals;
mod repair;
mod restraint;
mod state;
mod status;
mod status_tags;
mod stories;
mod support;
mod sweeps;
mod terminal;
mod window;
