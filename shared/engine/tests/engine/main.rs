//! The engine over a simulated cloud: from events to a reachable data store, and every way in
//! which that can be disturbed. Whatever a test is about, it ends converged: another run over the whole
//! VPC plans nothing, nothing of ours is there twice, and the groups of others are where they
//! put them.

#[cfg(test)]
mod clock;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod installation;
#[cfg(test)]
mod owners;
#[cfg(test)]
mod simulated;

#[cfg(test)]
mod batches;
#[cfg(test)]
mod blocks;
#[cfg(test)]
mod bounded;
#[cfg(test)]
mod cleanup;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod dry_run;
#[cfg(test)]
mod economy;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod first;
#[cfg(test)]
mod last_word;
#[cfg(test)]
mod leaving;
#[cfg(test)]
mod left_over;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod names;
#[cfg(test)]
mod other_writers;
#[cfg(test)]
mod pieces;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod restraint;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod statuses;
#[cfg(test)]
mod surveys;
#[cfg(test)]
mod sweeps;
#[cfg(test)]
mod waiting;
#[cfg(test)]
mod windows;
