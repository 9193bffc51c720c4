//! One call of an AWS API: the errors and gaps that it leaves, and the decoding of its answer.

use std::{collections::BTreeSet, error::Error};

use aws_sdk_ec2::{error::ProvideErrorMetadata, operation::RequestId};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use tagwire_core::{
    id::{InstanceId, InvalidId, SecurityGroupId, StoreArn, VpcId},
    observation::{Gap, Reading, Subject},
};
use tagwire_engine::cloud::{CloudError, ErrorKind};

use crate::error::{Access, meaning};

/// One call, as errors and gaps name it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    name: &'static str,
    access: Access,
    /// For people: an id, or words for several.
    resource: String,
    /// The VPC, if the call asks for nothing outside it.
    vpc: Option<VpcId>,
    /// The resources that the call asks for; empty when nobody can name them before it is answered.
    about: BTreeSet<Subject>,
}

impl Call {
    /// A call that changes nothing.
    pub(crate) fn reading(name: &'static str, resource: impl Into<String>) -> Self {
        Self { name, access: Access::Read, resource: resource.into(), vpc: None, about: BTreeSet::new() }
    }

    /// A call that changes something.
    pub(crate) fn writing(name: &'static str, resource: impl Into<String>) -> Self {
        Self { access: Access::Write, ..Self::reading(name, resource) }
    }

    /// A call that reads one store.
    pub(crate) fn of_store(name: &'static str, arn: &StoreArn) -> Self {
        Self::reading(name, arn.as_str()).about([Subject::Store(arn.clone())])
    }

    /// The same call, which asks for nothing outside a VPC.
    pub(crate) fn in_vpc(self, vpc: Option<&VpcId>) -> Self {
        Self { vpc: vpc.cloned(), ..self }
    }

    /// The same call, which asks for these resources and nothing else.
    pub(crate) fn about(self, resources: impl IntoIterator<Item = Subject>) -> Self {
        Self { about: resources.into_iter().collect(), ..self }
    }

    /// The gap that an error leaves in everything that the call asks for.
    pub(crate) fn gap(&self, error: CloudError) -> Gap {
        Gap { vpc: self.vpc.clone(), ..Gap::from(error) }.about(self.about.iter().cloned())
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
                    let page = Self { resource: format!("{} page {number}", self.resource), ..self.clone() };
                    reading.gaps.push(page.gap(page.failed(&error)));
                    next = None;
                }
            }
        }
        // The paginator stops without an error at a page that names itself as the next one.
        if next.is_some() {
            let message = "a page names itself as the next page";
            reading.gaps.push(self.gap(self.error(ErrorKind::Rejected, "page-repeats", message)));
        }
        reading
    }

    /// Decodes an answer. A part that is unusable becomes a gap, and the rest stays.
    pub(crate) fn decode<Raw, T>(
        &self,
        answer: Reading<Raw>,
        id: impl Fn(&Raw) -> Option<&str>,
        read: impl Fn(&Raw) -> Result<T, Unusable>,
    ) -> Reading<T> {
        let mut reading = Reading { found: Vec::new(), gaps: answer.gaps };
        for raw in &answer.found {
            match read(raw) {
                Ok(found) => reading.found.push(found),
                Err(unusable) => reading.gaps.push(self.on(id(raw)).unusable(&unusable)),
            }
        }
        reading
    }

    /// The same call on one resource in its answer.
    pub(crate) fn on(&self, id: Option<&str>) -> Self {
        let resource = id.map_or_else(|| format!("something without an id among {}", self.resource), str::to_owned);
        let about = id.and_then(subject).map_or_else(|| self.about.clone(), |subject| [subject].into());
        Self { resource, about, ..self.clone() }
    }

    /// The gap that an unusable answer leaves.
    pub(crate) fn unusable(&self, unusable: &Unusable) -> Gap {
        let message = format!("the answer cannot be used: {}", unusable.reason);
        let gap = Gap::of(self.name, self.resource.as_str(), message).about(self.about.iter().cloned());
        Gap { vpc: self.vpc.clone(), ..gap }.that_passes(unusable.passing, unusable.soon)
    }
}

/// The subject with an id; `None` for a resource that nothing is decided about by itself.
fn subject(id: &str) -> Option<Subject> {
    let instance = || InstanceId::parse(id).ok().map(Subject::Instance);
    let group = || SecurityGroupId::parse(id).ok().map(Subject::Group);
    StoreArn::parse(id).ok().map(Subject::Store).or_else(instance).or_else(group)
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
