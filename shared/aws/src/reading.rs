//! Putting readings together.

use std::future::Future;

use futures_util::{StreamExt, stream};
use tagwire_core::observation::{Gap, Reading};

/// Calls made at once when a reading falls into independent ones: far below the hundred that
/// EC2's buckets hold for the whole account.
// Fact 3.3
const AT_ONCE: usize = 8;

/// Makes independent calls at once, a few at a time; the answers keep the order of the calls.
pub(crate) async fn at_once<Output>(calls: impl IntoIterator<Item = impl Future<Output = Output>>) -> Vec<Output> {
    stream::iter(calls).buffered(AT_ONCE).collect().await
}

/// Puts the readings of independent calls together.
pub(crate) async fn together<T>(calls: impl IntoIterator<Item = impl Future<Output = Reading<T>>>) -> Reading<T> {
    let mut all = Reading::default();
    for reading in at_once(calls).await {
        all.extend(reading);
    }
    all
}

/// The reading of things that were each read for itself.
pub(crate) fn from_results<T>(results: impl IntoIterator<Item = Result<T, Gap>>) -> Reading<T> {
    let mut reading = Reading::default();
    for result in results {
        match result {
            Ok(found) => reading.found.push(found),
            Err(gap) => reading.gaps.push(gap),
        }
    }
    reading
}

/// A list as an error names it: the first, and how many more.
pub(crate) fn sample(values: &[String]) -> String {
    match values {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}
