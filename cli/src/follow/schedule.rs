//! When the VPC is read again while a request is followed. Reading a VPC takes dozens of calls and the answer
//! takes one, so the VPC is read when there is a reason.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// How long after the first reading the VPC is read again, when no new answer comes.
const FIRST_DELAY: Duration = Duration::from_secs(2);
/// The longest time between two readings.
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// The times at which a VPC is read: once for each answer of `connect`, and then with growing delays, because a
/// data store takes its time to change its list of groups.
#[derive(Debug)]
pub(super) struct ReadSchedule {
    /// The moment of the last answer that the VPC was read for.
    answered: Option<Timestamp>,
    last: Option<Instant>,
    delay: Duration,
}

impl ReadSchedule {
    pub(super) fn new() -> Self {
        Self { answered: None, last: None, delay: FIRST_DELAY }
    }

    /// Whether to read the VPC now, after an answer that came at `answered`. When `connect` `goes_on`, only its
    /// next answer is a reason.
    pub(super) fn is_due(&mut self, answered: Timestamp, goes_on: bool, now: Instant) -> bool {
        let is_new = self.answered != Some(answered);
        let is_late = !goes_on && self.last.is_none_or(|last| now.duration_since(last) >= self.delay);
        if !is_new && !is_late {
            return false;
        }
        if !is_new {
            self.delay = (self.delay * 2).min(LONGEST_DELAY);
        }
        self.answered = Some(answered);
        self.last = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which the VPC is read in five minutes of polling, with answers at these seconds.
    fn readings(answers: &[u64], goes_on: bool) -> Vec<u64> {
        let (began, mut schedule) = (Instant::now(), ReadSchedule::new());
        let mut due = |second: u64| {
            let answer = answers.iter().rfind(|at| **at <= second)?;
            let answered = Timestamp::from_second(i64::try_from(*answer).ok()?).ok()?;
            schedule.is_due(answered, goes_on, began + Duration::from_secs(second)).then_some(second)
        };
        (0..300).filter_map(&mut due).collect()
    }

    #[test]
    fn the_vpc_is_read_after_an_answer_and_then_less_and_less_often() {
        let read = readings(&[3], false);
        assert_eq!(read[..6], [3, 5, 9, 17, 33, 63]);
        assert!(read.len() < 15, "300 seconds of polling read the VPC {} times", read.len());
    }

    #[test]
    fn a_new_answer_is_a_reason_to_read_at_once() {
        assert_eq!(readings(&[3, 20], false)[..6], [3, 5, 9, 17, 20, 36]);
    }

    #[test]
    fn while_connect_goes_on_nothing_is_read_before_its_next_answer() {
        assert_eq!(readings(&[3, 200], true), [3, 200]);
    }
}
