//! Reading lists to their end.

use std::{error::Error, future::Future};

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use futures_util::{StreamExt, stream};
use tagwire_core::observation::Reading;
use tagwire_engine::cloud::ErrorKind;

use crate::error::Call;

/// Calls made at once when a reading falls into independent ones: far below the hundred that
/// EC2's buckets hold for the whole account.
const AT_ONCE: usize = 8;

/// One page: what is on it, and the token of the next.
pub(crate) type Page<Raw> = (Vec<Raw>, Option<String>);

/// Reads page after page. What a failing page leaves unread is a gap; what was found stays.
pub(crate) async fn pages<Raw, E>(
    call: &Call,
    what: &str,
    fetch: impl AsyncFn(Option<String>) -> Result<Page<Raw>, SdkError<E, HttpResponse>>,
) -> Reading<Raw>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let mut reading = Reading::default();
    let mut token: Option<String> = None;
    for number in 1_u32.. {
        let page = call.on(format!("{what} page {number}"));
        match fetch(token.clone()).await {
            Ok((found, next)) => {
                reading.found.extend(found);
                let next = next.filter(|next| !next.is_empty());
                if next.is_none() {
                    break;
                }
                if next == token {
                    let error = page.error(ErrorKind::Rejected, "page-repeats", "it names itself as the next page");
                    reading.gaps.push(error.into());
                    break;
                }
                token = next;
            }
            Err(error) => {
                reading.gaps.push(page.failed(&error).into());
                break;
            }
        }
    }
    reading
}

/// Makes independent calls at once, a few at a time; the answers keep the order of the calls.
pub(crate) async fn at_once<Answer>(calls: impl IntoIterator<Item = impl Future<Output = Answer>>) -> Vec<Answer> {
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

/// A list as an error names it: the first, and how many more.
pub(crate) fn sample(values: &[String]) -> String {
    match values {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}
