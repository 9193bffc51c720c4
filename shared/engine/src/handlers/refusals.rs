//! What AWS refuses for good, in records that alarms count: a step that ends so has a normal outcome, and all
//! other alarms stay quiet while something stays unconnected, or, worse, connected.
//!
//! Each function says these on every occasion, `connect` only in sweeps: a sweep is the next try of what was refused
//! when an event asked for it. An alarm waits for more than one sweep, so nothing rings that was refused once.

use std::collections::BTreeSet;

use tagwire_core::{finding::Reason, observation::Gap};

use crate::cloud::CloudError;

/// Reports a call, if AWS refused it for good; `doing` is what it was for, `consequence` what stays as it is.
pub(super) fn refused(function: &str, vpc: &str, doing: &str, error: &CloudError, consequence: &str) {
    let Some(hint) = error.kind.way_out() else { return };
    tracing::error!(
        record = "finding",
        function,
        vpc,
        subject = error.resource,
        code = "refused-by-aws",
        call = error.call,
        answer = error.code,
        request_id = error.request_id.as_deref().unwrap_or("none"),
        hint,
        "AWS refuses to {doing}: {error}; {consequence}, and it is tried again with every sweep"
    );
}

/// Reports what cannot be read and will not pass by itself, each once.
pub(super) fn unreadable<'gaps>(function: &str, vpc: Option<&str>, gaps: impl IntoIterator<Item = &'gaps Gap>) {
    let lasting: BTreeSet<&Gap> = gaps.into_iter().filter(|gap| !gap.passing).collect();
    for gap in lasting {
        let call = gap.reading();
        let hint = Reason::unread(gap).hint();
        tracing::error!(
            record = "finding",
            function,
            vpc,
            subject = call,
            code = "unreadable",
            hint,
            "{gap}; nothing is connected or taken away that depends on it"
        );
    }
}
