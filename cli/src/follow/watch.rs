//! Sends work to `connect` and follows it, until all of it ended, the time is over, or somebody presses Ctrl-C.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use tagwire_core::id::VpcId;

use super::request::{Follow, FollowOutcome, Job};
use crate::{
    output::{count, tell},
    progress,
    session::Session,
};

/// How often `connect`'s answer is asked for.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// The end of the work in a VPC.
pub(super) struct Ended {
    pub(super) vpc: VpcId,
    /// The number of changes that were agreed to.
    pub(super) agreed: usize,
    /// The number of changes that were not seen made.
    pub(super) left: usize,
    pub(super) outcome: FollowOutcome,
}

/// Work that goes on, and work that ended.
#[derive(Default)]
struct Watched {
    /// The VPCs whose work was handed over, or may have been, with the number of changes that are agreed to and left.
    open: BTreeMap<VpcId, (usize, usize)>,
    follows: BTreeMap<VpcId, Follow>,
    ended: Vec<Ended>,
}

impl Watched {
    fn end(&mut self, vpc: VpcId, outcome: FollowOutcome) {
        self.follows.remove(&vpc);
        let (agreed, left) = self.open.remove(&vpc).unwrap_or_default();
        self.ended.push(Ended { vpc, agreed, left, outcome });
    }

    /// Hands all work over. A VPC in which something fails keeps no other from being followed.
    async fn send(&mut self, session: &Session, jobs: Vec<Job>) {
        for job in jobs {
            let vpc = job.vpc.clone();
            self.open.insert(vpc.clone(), (job.changes, job.changes));
            match Follow::begin(session, job).await {
                Ok(follow) => drop(self.follows.insert(vpc, follow)),
                Err(error) => self.end(vpc, FollowOutcome::Failed(error)),
            }
        }
    }

    async fn follow(&mut self, session: &Session, bar: &ProgressBar, total: usize) {
        while !self.follows.is_empty() {
            tokio::time::sleep(POLL_EVERY).await;
            let mut ended = Vec::new();
            for (vpc, follow) in &mut self.follows {
                let outcome = follow.poll(session, bar).await;
                if let Some((_, left)) = self.open.get_mut(vpc) {
                    *left = follow.left;
                }
                ended.extend(outcome.map(|outcome| (vpc.clone(), outcome)));
            }
            for (vpc, outcome) in ended {
                self.end(vpc, outcome);
            }
            let left: usize = self.open.values().map(|(_, left)| left).sum();
            bar.set_position(u64::try_from(total.saturating_sub(left)).unwrap_or(u64::MAX));
        }
    }

    /// Ends what is still open in the same way.
    fn end_all(&mut self, outcome: impl Fn() -> FollowOutcome) {
        for vpc in self.open.keys().cloned().collect::<Vec<_>>() {
            self.end(vpc, outcome());
        }
    }
}

/// Sends the jobs and follows them to their ends.
pub(super) async fn watch(session: &Session, jobs: Vec<Job>, timeout: Duration) -> Vec<Ended> {
    let (began, total) = (Instant::now(), jobs.iter().map(|job| job.changes).sum());
    let bar = progress::bar(total);
    let mut watched = Watched::default();
    let unsent: Vec<VpcId> = jobs.iter().map(|job| job.vpc.clone()).collect();
    let end = {
        let work = async {
            watched.send(session, jobs).await;
            let left = timeout.saturating_sub(began.elapsed());
            tokio::time::timeout(left, watched.follow(session, &bar, total)).await.is_ok()
        };
        tokio::select! {
            biased;
            is_done = work => if is_done { None } else { Some(End::Late) },
            _ = tokio::signal::ctrl_c() => Some(End::Interrupted),
        }
    };
    bar.finish_and_clear();
    match end {
        None => {}
        Some(End::Late) => watched.end_all(|| FollowOutcome::TimedOut),
        Some(End::Interrupted) => {
            let known = |vpc: &VpcId| watched.open.contains_key(vpc) || watched.ended.iter().any(|of| of.vpc == *vpc);
            let unsent: Vec<VpcId> = unsent.into_iter().filter(|vpc| !known(vpc)).collect();
            tell(&goes_on(&watched.open, &unsent));
            watched.end_all(|| FollowOutcome::Interrupted);
        }
    }
    watched.ended
}

/// Why the work is not followed any longer.
enum End {
    Late,
    Interrupted,
}

/// What goes on without the command, and what does not.
fn goes_on(open: &BTreeMap<VpcId, (usize, usize)>, unsent: &[VpcId]) -> String {
    let names = |vpcs: &mut dyn Iterator<Item = &VpcId>| vpcs.map(VpcId::as_str).collect::<Vec<_>>().join(", ");
    let left: usize = open.values().map(|(_, left)| left).sum();
    let mut lines = Vec::new();
    if !open.is_empty() {
        lines.push(format!(
            "Interrupted. connect was handed the plan and goes on without this command: {} left in {}. `tagwire plan` \
             shows what is not made yet.",
            count(left, "change"),
            names(&mut open.keys())
        ));
    }
    if !unsent.is_empty() {
        lines.push(format!("Nothing is changed in {}: connect was not handed the plan.", names(&mut unsent.iter())));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_interrupts_is_told_where_work_goes_on_and_where_nothing_is_changed() {
        let vpc = |id: &str| VpcId::parse(id).unwrap();
        let open = BTreeMap::from([(vpc("vpc-1"), (3, 2)), (vpc("vpc-2"), (1, 1))]);
        let expected = "Interrupted. connect was handed the plan and goes on without this command: 3 changes left in vpc-1, \
            vpc-2. `tagwire plan` shows what is not made yet.\n\
            Nothing is changed in vpc-3: connect was not handed the plan.";
        assert_eq!(goes_on(&open, &[vpc("vpc-3")]), expected);
        assert!(!goes_on(&open, &[]).contains("Nothing is changed"));
        assert!(goes_on(&BTreeMap::new(), &[vpc("vpc-3")]).starts_with("Nothing is changed"));
    }
}
