//! One call of an AWS API: the errors and gaps that it leaves, and the decoding of its answer.

use std::error::Error;

use aws_sdk_ec2::{error::ProvideErrorMetadata, operation::RequestId};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use tagwire_core::{
    id::{InvalidId, StoreArn},
    observation::{Gap, Reading, Subject},
};
use tagwire_engine::cloud::{CloudError, ErrorKind};

use crate::error::{Access, meaning};

/// One call, as errors and gaps name it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    name: &'static str,
    access: Access,
    resource: String,
}

impl Call {
    /// A call that changes nothing.
    pub(crate) fn reading(name: &'static str, resource: impl Into<String>) -> Self {
        Self { name, access: Access::Read, resource: resource.into() }
    }

    /// A call that changes something.
    pub(crate) fn writing(name: &'static str, resource: impl Into<String>) -> Self {
        Self { name, access: Access::Write, resource: resource.into() }
    }

    /// The same call on something else: one page of many, or one resource in its answer.
    pub(crate) fn on(&self, resource: impl Into<String>) -> Self {
        Self { resource: resource.into(), ..self.clone() }
    }

    /// The error of a call that failed.
    pub(crate) fn failed<E>(&self, error: &SdkError<E, HttpResponse>) -> CloudError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let request_id = error.request_id().map(str::to_owned);
        let (kind, code, message) = meaning(error, self.access);
        CloudError { kind, call: self.name, resource: self.resource.clone(), code, message, request_id }
    }

    /// An error that AWS did not report as one.
    pub(crate) fn error(&self, kind: ErrorKind, code: &str, message: impl Into<String>) -> CloudError {
        CloudError {
            kind,
            call: self.name,
            resource: self.resource.clone(),
            code: code.to_owned(),
            message: message.into(),
            request_id: None,
        }
    }

    /// The list that a paginator has read: `take` gives a page's entries and the token of the next
    /// page. A page that failed leaves a gap; the pages before it stay.
    pub(crate) fn listed<Page, Raw, E>(
        &self,
        pages: Vec<Result<Page, SdkError<E, HttpResponse>>>,
        take: impl Fn(Page) -> (Option<Vec<Raw>>, Option<String>),
    ) -> Reading<Raw>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let mut reading = Reading::default();
        let mut next = None;
        for (number, page) in (1..).zip(pages) {
            match page.map(&take) {
                Ok((found, token)) => {
                    reading.found.extend(found.into_iter().flatten());
                    next = token.filter(|token| !token.is_empty());
                }
                Err(error) => {
                    reading.gaps.push(self.on(format!("{} page {number}", self.resource)).failed(&error).into());
                    next = None;
                }
            }
        }
        // The paginator stops without an error at a page that names itself as the next one.
        if next.is_some() {
            let message = "a page names itself as the next page";
            reading.gaps.push(self.error(ErrorKind::Rejected, "page-repeats", message).into());
        }
        reading
    }

    /// Decodes an answer. A part that is unusable becomes a gap, and the rest stays.
    pub(crate) fn decode<Raw, T>(
        &self,
        answer: Reading<Raw>,
        name: impl Fn(&Raw) -> Option<&str>,
        read: impl Fn(&Raw) -> Result<T, Unusable>,
    ) -> Reading<T> {
        let mut reading = Reading { found: Vec::new(), gaps: answer.gaps };
        for raw in &answer.found {
            match read(raw) {
                Ok(found) => reading.found.push(found),
                Err(unusable) => reading.gaps.push(self.unusable(name(raw), &unusable)),
            }
        }
        reading
    }

    /// The gap that an unusable part of an answer leaves.
    pub(crate) fn unusable(&self, name: Option<&str>, unusable: &Unusable) -> Gap {
        let resource = name.map_or_else(|| format!("something without an id among {}", self.resource), str::to_owned);
        let about = name.and_then(|name| StoreArn::parse(name).ok()).map(Subject::Store);
        let message = format!("the answer cannot be used: {}", unusable.reason);
        Gap::of(self.name, resource, message).about(about).that_passes(unusable.passing, unusable.soon)
    }
}

/// Why a part of an answer cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    reason: String,
    passing: bool,
    soon: bool,
}

impl Unusable {
    /// A reason that will be no different next time.
    pub(crate) fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), passing: false, soon: false }
    }

    /// A reason that is expected to pass by itself within seconds.
    pub(crate) fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), passing: true, soon: true }
    }

    /// A reason that passes when the resource has reached another state.
    pub(crate) fn later(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), passing: true, soon: false }
    }
}

impl From<InvalidId> for Unusable {
    fn from(error: InvalidId) -> Self {
        Self::lasting(error.to_string())
    }
}

/// A field without which an answer means nothing.
pub(crate) fn required<'answer>(field: Option<&'answer str>, name: &str) -> Result<&'answer str, Unusable> {
    field.filter(|text| !text.is_empty()).ok_or_else(|| Unusable::lasting(format!("{name} is missing")))
}
