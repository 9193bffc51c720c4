//! `--all-regions`: a command that reads, once in every Region that is enabled for the account.

use futures_util::stream::{self, StreamExt};
use tagwire_aws::enabled_regions;

use crate::{
    error::{CommandError, CommandResult},
    output::{HEADING, painted},
    session::{GlobalArgs, Session},
};

/// How many Regions are read at once.
const AT_ONCE: usize = 6;

/// What was read in a Region.
pub(crate) struct RegionResult<T> {
    pub(crate) name: String,
    pub(crate) result: CommandResult<(Session, T)>,
}

/// Works in every enabled Region.
///
/// # Errors
/// When it is not known which they are.
pub(crate) async fn in_each<T>(
    global: &GlobalArgs,
    work: impl AsyncFn(&Session) -> CommandResult<T>,
) -> CommandResult<Vec<RegionResult<T>>> {
    let names = enabled_regions(&global.config().await?).await?;
    let in_region = async |name: String| {
        let of_region = global.of_many(&name);
        let result = async {
            let session = Session::open(&of_region).await?;
            let found = work(&session).await?;
            Ok((session, found))
        };
        let result = Box::pin(result).await;
        RegionResult { name, result }
    };
    Ok(stream::iter(names).map(in_region).buffered(AT_ONCE).collect().await)
}

/// What was read in the Regions where it could be, and the error for those where it could not.
pub(crate) fn split<T>(regions: Vec<RegionResult<T>>) -> (Vec<(Session, T)>, Option<CommandError>) {
    let (mut read, mut errors) = (Vec::new(), Vec::new());
    for RegionResult { name, result } in regions {
        match result {
            Ok(found) => read.push(found),
            Err(error) => errors.push(error.context(name)),
        }
    }
    (read, CommandError::all(errors))
}

/// Texts for people, each below its Region, and below them the Regions without any.
pub(crate) fn text<'text>(texts: impl IntoIterator<Item = (&'text Session, Option<String>)>) -> String {
    let (mut parts, mut without, mut not_installed) = (Vec::new(), Vec::new(), Vec::new());
    for (session, text) in texts {
        let Some(text) = text else {
            without.push(session.region());
            continue;
        };
        parts.push(format!("{}\n{text}\n", painted(HEADING, session.region())));
        if session.stack.is_none() {
            not_installed.push(session.region());
        }
    }
    if !without.is_empty() {
        parts.push(format!("Nothing in {}.\n", without.join(", ")));
    }
    if !not_installed.is_empty() {
        let regions = not_installed.join(", ");
        parts.push(format!("Not installed in {regions}; the template's defaults are assumed there.\n"));
    }
    parts.concat()
}
