//! What an error of AWS means: the one table of error codes, and what becomes of a call that got
//! no answer at all.

use std::{error::Error, io};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::{error::ProvideErrorMetadata, operation::RequestId};
use aws_smithy_runtime_api::client::{
    dns::ResolveDnsError,
    orchestrator::HttpResponse,
    result::{DispatchFailure, SdkError},
};
use tagwire_core::{
    id::{InvalidId, StoreArn},
    observation::{Gap, Reading, Subject},
};
use tagwire_engine::cloud::{CloudError, ErrorKind};

/// One line of the table.
struct Row {
    /// The error code; none for a text that comes under several.
    code: Option<&'static str>,
    /// What the message has to hold besides, in lower case; empty for anything.
    says: &'static str,
    /// What it means.
    kind: ErrorKind,
}

const fn row(code: &'static str, kind: ErrorKind) -> Row {
    Row { code: Some(code), says: "", kind }
}

/// The table; the first line that fits has the word. A code that is not in it is judged by the
/// HTTP status, see [`by_status`].
const TABLE: &[Row] = &[
    // AWS names no code for the limit of five groups on an RDS store, only this text.
    Row { code: None, says: "violates your limit on number of ec2 vpc securitygroups", kind: ErrorKind::Limit },
    // RDS says this of a group that EC2 has made a moment ago and RDS does not know yet.
    Row { code: Some("InvalidParameterValue"), says: "invalid security group", kind: ErrorKind::NotReady },
    row("InvalidGroup.Duplicate", ErrorKind::AlreadyThere),
    row("InvalidPermission.Duplicate", ErrorKind::AlreadyThere),
    row("ConditionalCheckFailedException", ErrorKind::AlreadyThere),
    row("InvalidGroup.NotFound", ErrorKind::NotFound),
    row("InvalidSecurityGroupID.NotFound", ErrorKind::NotFound),
    row("InvalidPermission.NotFound", ErrorKind::NotFound),
    row("InvalidNetworkInterfaceID.NotFound", ErrorKind::NotFound),
    row("InvalidInstanceID.NotFound", ErrorKind::NotFound),
    row("InvalidVpcID.NotFound", ErrorKind::NotFound),
    row("DBClusterNotFoundFault", ErrorKind::NotFound),
    row("DBInstanceNotFound", ErrorKind::NotFound),
    row("ResourceNotFoundException", ErrorKind::NotFound),
    row("DBInstanceNotFoundFault", ErrorKind::NotFound),
    row("DBSubnetGroupNotFoundFault", ErrorKind::NotFound),
    row("ReplicationGroupNotFoundFault", ErrorKind::NotFound),
    row("CacheClusterNotFound", ErrorKind::NotFound),
    row("CacheClusterNotFoundFault", ErrorKind::NotFound),
    row("ServerlessCacheNotFoundFault", ErrorKind::NotFound),
    row("CacheSubnetGroupNotFoundFault", ErrorKind::NotFound),
    row("ClusterNotFound", ErrorKind::NotFound),
    row("ClusterNotFoundFault", ErrorKind::NotFound),
    row("AWS.SimpleQueueService.NonExistentQueue", ErrorKind::NotFound),
    row("QueueDoesNotExist", ErrorKind::NotFound),
    row("IncorrectInstanceState", ErrorKind::NotReady),
    row("IncorrectState", ErrorKind::NotReady),
    row("InvalidDBInstanceState", ErrorKind::NotReady),
    row("InvalidDBInstanceStateFault", ErrorKind::NotReady),
    row("InvalidDBClusterStateFault", ErrorKind::NotReady),
    row("InvalidReplicationGroupState", ErrorKind::NotReady),
    row("InvalidReplicationGroupStateFault", ErrorKind::NotReady),
    row("InvalidCacheClusterState", ErrorKind::NotReady),
    row("InvalidCacheClusterStateFault", ErrorKind::NotReady),
    row("InvalidServerlessCacheStateFault", ErrorKind::NotReady),
    row("InvalidCacheSecurityGroupState", ErrorKind::NotReady),
    row("InvalidUserGroupState", ErrorKind::NotReady),
    row("InvalidClusterState", ErrorKind::NotReady),
    row("InvalidClusterStateFault", ErrorKind::NotReady),
    row("DependencyViolation", ErrorKind::InUse),
    row("InvalidGroup.InUse", ErrorKind::InUse),
    row("SecurityGroupsPerInterfaceLimitExceeded", ErrorKind::Limit),
    row("SecurityGroupsPerInstanceLimitExceeded", ErrorKind::Limit),
    row("RulesPerSecurityGroupLimitExceeded", ErrorKind::Limit),
    row("SecurityGroupLimitExceeded", ErrorKind::Limit),
    row("TagLimitExceeded", ErrorKind::Limit),
    row("LimitExceededFault", ErrorKind::Limit),
    row("UnauthorizedOperation", ErrorKind::Denied),
    row("AccessDenied", ErrorKind::Denied),
    row("AccessDeniedException", ErrorKind::Denied),
    row("DependentServiceAccessDeniedFault", ErrorKind::Denied),
    row("KMS.AccessDeniedException", ErrorKind::Denied),
    row("AuthFailure", ErrorKind::Denied),
    row("ExpiredToken", ErrorKind::Denied),
    row("ExpiredTokenException", ErrorKind::Denied),
    row("RequestExpired", ErrorKind::Denied),
    row("InvalidClientTokenId", ErrorKind::Denied),
    row("UnrecognizedClientException", ErrorKind::Denied),
    row("SignatureDoesNotMatch", ErrorKind::Denied),
    row("OptInRequired", ErrorKind::Denied),
    // EC2 sends this one with status 503, which alone would mean that the effect is not known.
    row("RequestLimitExceeded", ErrorKind::Throttled),
    row("Throttling", ErrorKind::Throttled),
    row("ThrottlingException", ErrorKind::Throttled),
    row("ThrottledException", ErrorKind::Throttled),
    row("RequestThrottled", ErrorKind::Throttled),
    row("ProvisionedThroughputExceededException", ErrorKind::Throttled),
    row("KMS.ThrottlingException", ErrorKind::Throttled),
    row("DependentServiceRequestThrottlingFault", ErrorKind::Throttled),
    row("TooManyRequestsException", ErrorKind::Throttled),
    // The next reading begins with a fresh token.
    row("PaginationTokenExpiredException", ErrorKind::Unavailable),
];

/// Whether a call changes something. It decides what a lost answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    Writes,
}

impl Effect {
    /// A call that was sent, and whose effect nobody can tell.
    fn lost(self) -> ErrorKind {
        match self {
            Self::Reads => ErrorKind::Unavailable,
            Self::Writes => ErrorKind::EffectUnknown,
        }
    }
}

fn classify(code: Option<&str>, message: &str, status: u16, effect: Effect) -> ErrorKind {
    let message = message.to_ascii_lowercase();
    let fits = |row: &&Row| row.code.is_none_or(|wanted| Some(wanted) == code) && message.contains(row.says);
    TABLE.iter().find(fits).map_or_else(|| by_status(status, effect), |row| row.kind)
}

/// What a code of next year means. A service that fails inside may have done its work before, and
/// an error that comes with a status of success is anybody's guess.
fn by_status(status: u16, effect: Effect) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::Denied,
        429 => ErrorKind::Throttled,
        400..500 => ErrorKind::Rejected,
        _ => effect.lost(),
    }
}

/// One call, for what is said when it fails.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    name: &'static str,
    effect: Effect,
    resource: String,
}

impl Call {
    /// A call that changes nothing.
    pub(crate) fn reading(name: &'static str, resource: impl Into<String>) -> Self {
        Self { name, effect: Effect::Reads, resource: resource.into() }
    }

    /// A call that changes something.
    pub(crate) fn writing(name: &'static str, resource: impl Into<String>) -> Self {
        Self { name, effect: Effect::Writes, resource: resource.into() }
    }

    /// The error of a call that failed.
    pub(crate) fn failed<E>(&self, error: &SdkError<E, HttpResponse>) -> CloudError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let request_id = error.request_id().map(str::to_owned);
        let (kind, code, message) = match error {
            SdkError::ServiceError(service) => {
                let meta = service.err().meta();
                let status = service.raw().status().as_u16();
                // An answer that the SDK cannot read is a service error too, without code or message.
                let message = meta.message().map_or_else(|| chain(error), str::to_owned);
                let kind = classify(meta.code(), &message, status, self.effect);
                (kind, meta.code().map_or_else(|| format!("http-{status}"), str::to_owned), message)
            }
            SdkError::DispatchFailure(failure) if failure.is_user() => {
                (ErrorKind::Rejected, "request-not-valid".to_owned(), chain(error))
            }
            SdkError::DispatchFailure(_) if lacks_credentials(error) => {
                (ErrorKind::Denied, "no-credentials".to_owned(), chain(error))
            }
            SdkError::DispatchFailure(failure) if was_never_sent(failure) => {
                (ErrorKind::Unavailable, "not-connected".to_owned(), chain(error))
            }
            SdkError::DispatchFailure(_) => (self.effect.lost(), "connection-lost".to_owned(), chain(error)),
            SdkError::TimeoutError(_) => (self.effect.lost(), "timeout".to_owned(), chain(error)),
            SdkError::ResponseError(response) => {
                let status = response.raw().status().as_u16();
                (self.effect.lost(), format!("answer-unreadable-http-{status}"), chain(error))
            }
            // `SdkError` may grow; everything that is left is a request that was never built.
            SdkError::ConstructionFailure(_) | _ => (ErrorKind::Rejected, "request-not-built".to_owned(), chain(error)),
        };
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

    /// The same call on something else: one page of many, or one resource in its answer.
    pub(crate) fn on(&self, resource: impl Into<String>) -> Self {
        Self { resource: resource.into(), ..self.clone() }
    }

    /// Takes an answer apart. What cannot be understood of it becomes a gap, and the rest stays.
    pub(crate) fn understand<Raw, T>(
        &self,
        answer: Reading<Raw>,
        name: impl Fn(&Raw) -> Option<&str>,
        read: impl Fn(&Raw) -> Result<T, Odd>,
    ) -> Reading<T> {
        let mut reading = Reading { found: Vec::new(), gaps: answer.gaps };
        for raw in &answer.found {
            match read(raw) {
                Ok(found) => reading.found.push(found),
                Err(odd) => reading.gaps.push(self.odd(name(raw), &odd)),
            }
        }
        reading
    }

    /// The gap that a part of an answer leaves which cannot be understood.
    pub(crate) fn odd(&self, name: Option<&str>, odd: &Odd) -> Gap {
        let resource = name.map_or_else(|| format!("something without an id among {}", self.resource), str::to_owned);
        let about = name.and_then(|name| StoreArn::parse(name).ok()).map(Subject::Store);
        let message = format!("the answer cannot be used: {}", odd.what);
        Gap::of(self.name, resource, message).about(about).that_passes(odd.passing, odd.soon)
    }
}

/// Something in an answer that cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Odd {
    what: String,
    passing: bool,
    soon: bool,
}

impl Odd {
    /// Something that will be no different next time.
    pub(crate) fn lasting(what: impl Into<String>) -> Self {
        Self { what: what.into(), passing: false, soon: false }
    }

    /// Something that AWS is expected to fill in by itself within seconds.
    pub(crate) fn passing(what: impl Into<String>) -> Self {
        Self { what: what.into(), passing: true, soon: true }
    }

    /// Something that AWS fills in when the resource is done with what it is doing.
    pub(crate) fn later(what: impl Into<String>) -> Self {
        Self { what: what.into(), passing: true, soon: false }
    }
}

impl From<InvalidId> for Odd {
    fn from(error: InvalidId) -> Self {
        Self::lasting(error.to_string())
    }
}

/// A field without which an answer means nothing.
pub(crate) fn required<'answer>(field: Option<&'answer str>, name: &str) -> Result<&'answer str, Odd> {
    field.filter(|text| !text.is_empty()).ok_or_else(|| Odd::lasting(format!("{name} is missing")))
}

/// Whether nothing was sent because there was nothing to sign it with. That does not pass by itself.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| cause(error)).any(<dyn Error>::is::<CredentialsError>)
}

/// Everything that an error of the SDK was caused by; its own text says only which kind it is.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What caused an error. An I/O error that wraps another skips it and names that one's source.
fn cause<'error>(error: &'error (dyn Error + 'static)) -> Option<&'error (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// Whether a connection was never made, so that nothing can have been received. Only what is
/// certain counts: taking a lost answer for this would have a change made twice, while the reverse
/// costs one more look.
fn was_never_sent(failure: &DispatchFailure) -> bool {
    let Some(error) = failure.as_connector_error() else { return false };
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = next {
        let unreachable = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::AddrNotAvailable
            )
        };
        if error.is::<ResolveDnsError>() || error.downcast_ref::<io::Error>().is_some_and(unreachable) {
            return true;
        }
        next = cause(error);
    }
    false
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::operation::create_security_group::CreateSecurityGroupError;
    use aws_smithy_runtime_api::{
        client::result::ConnectorError,
        http::{Response, StatusCode},
    };
    use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};

    use super::*;

    type SdkFailure = SdkError<CreateSecurityGroupError, HttpResponse>;

    fn answer(status: u16) -> HttpResponse {
        let mut answer = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
        answer.headers_mut().insert("x-amzn-requestid", "r-1");
        answer
    }

    fn service(code: &str, message: &str, status: u16) -> SdkFailure {
        let meta = ErrorMetadata::builder().code(code).message(message).build();
        SdkError::service_error(CreateSecurityGroupError::generic(meta), answer(status))
    }

    fn write(error: &SdkFailure) -> CloudError {
        Call::writing("ec2:CreateSecurityGroup", "rds-ec2-1").failed(error)
    }

    fn read(error: &SdkFailure) -> CloudError {
        Call::reading("ec2:DescribeInstances", "i-1").failed(error)
    }

    #[test]
    fn codes_mean_what_the_table_says_whoever_asks_and_whatever_the_status() {
        use ErrorKind::{AlreadyThere, Denied, InUse, Limit, NotFound, NotReady, Throttled};
        for (code, status, kind) in [
            ("RequestLimitExceeded", 503, Throttled),
            ("Throttling", 400, Throttled),
            ("ThrottlingException", 400, Throttled),
            ("ThrottledException", 400, Throttled),
            ("InvalidGroup.Duplicate", 400, AlreadyThere),
            ("InvalidPermission.Duplicate", 400, AlreadyThere),
            ("InvalidGroup.NotFound", 400, NotFound),
            ("InvalidPermission.NotFound", 400, NotFound),
            ("InvalidNetworkInterfaceID.NotFound", 400, NotFound),
            ("InvalidInstanceID.NotFound", 400, NotFound),
            ("DBClusterNotFoundFault", 404, NotFound),
            ("DBInstanceNotFound", 404, NotFound),
            ("DependencyViolation", 400, InUse),
            ("InvalidGroup.InUse", 400, InUse),
            ("SecurityGroupsPerInterfaceLimitExceeded", 400, Limit),
            ("RulesPerSecurityGroupLimitExceeded", 400, Limit),
            ("SecurityGroupLimitExceeded", 400, Limit),
            ("InvalidDBInstanceState", 400, NotReady),
            ("InvalidDBClusterStateFault", 400, NotReady),
            ("IncorrectInstanceState", 400, NotReady),
            ("ReplicationGroupNotFoundFault", 404, NotFound),
            ("CacheClusterNotFound", 404, NotFound),
            ("ServerlessCacheNotFoundFault", 404, NotFound),
            ("ClusterNotFound", 404, NotFound),
            ("InvalidReplicationGroupState", 400, NotReady),
            ("InvalidCacheClusterState", 400, NotReady),
            ("InvalidServerlessCacheStateFault", 400, NotReady),
            ("InvalidClusterState", 400, NotReady),
            ("LimitExceededFault", 400, Limit),
            ("DependentServiceRequestThrottlingFault", 400, Throttled),
            ("UnauthorizedOperation", 403, Denied),
            ("AccessDenied", 403, Denied),
            ("AccessDeniedException", 400, Denied),
            ("AuthFailure", 401, Denied),
            ("ExpiredToken", 400, Denied),
            ("ExpiredTokenException", 400, Denied),
        ] {
            let error = service(code, "whatever", status);
            assert_eq!((write(&error).kind, read(&error).kind), (kind, kind), "{code}");
        }
    }

    #[test]
    fn texts_of_rds_are_told_apart_where_the_code_says_too_little() {
        let young = "Invalid security group , groupId=sg-1, groupName=.";
        assert_eq!(write(&service("InvalidParameterValue", young, 400)).kind, ErrorKind::NotReady);
        assert_eq!(write(&service("InvalidParameterValue", "Invalid port", 400)).kind, ErrorKind::Rejected);
        let full = "The request violates your limit on number of Ec2 VPC SecurityGroups associated with an instance";
        assert_eq!(write(&service("InvalidParameterCombination", full, 400)).kind, ErrorKind::Limit);
        let elsewhere = "Database is in vpc-1, but Ec2 Security Group sg-1 is in vpc-2";
        assert_eq!(write(&service("InvalidParameterCombination", elsewhere, 400)).kind, ErrorKind::Rejected);
    }

    #[test]
    fn an_unknown_code_is_judged_by_its_status() {
        for (status, written, read_) in [
            (200, ErrorKind::EffectUnknown, ErrorKind::Unavailable),
            (400, ErrorKind::Rejected, ErrorKind::Rejected),
            (403, ErrorKind::Denied, ErrorKind::Denied),
            (429, ErrorKind::Throttled, ErrorKind::Throttled),
            (500, ErrorKind::EffectUnknown, ErrorKind::Unavailable),
            (503, ErrorKind::EffectUnknown, ErrorKind::Unavailable),
        ] {
            let error = service("OfNextYear", "", status);
            assert_eq!((write(&error).kind, read(&error).kind), (written, read_), "{status}");
        }
    }

    #[test]
    fn an_error_carries_what_an_operator_asks_aws_about() {
        let error = write(&service("InvalidGroup.Duplicate", "taken", 400));
        assert_eq!(
            error.to_string(),
            "ec2:CreateSecurityGroup on rds-ec2-1 failed: InvalidGroup.Duplicate: taken (request id r-1)"
        );
    }

    #[test]
    fn an_answer_without_a_code_says_its_status() {
        let error: SdkFailure =
            SdkError::service_error(CreateSecurityGroupError::generic(ErrorMetadata::builder().build()), answer(502));
        assert_eq!((write(&error).kind, write(&error).code.as_str()), (ErrorKind::EffectUnknown, "http-502"));
    }

    #[test]
    fn a_call_that_was_never_sent_had_no_effect() {
        for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::NetworkUnreachable] {
            let error: SdkFailure = SdkError::dispatch_failure(ConnectorError::io(io::Error::from(kind).into()));
            assert_eq!((write(&error).kind, read(&error).kind), (ErrorKind::Unavailable, ErrorKind::Unavailable));
        }
        let error: SdkFailure =
            SdkError::dispatch_failure(ConnectorError::io(ResolveDnsError::new("no such host").into()));
        assert_eq!(write(&error).kind, ErrorKind::Unavailable);
        assert!(write(&error).message.contains("no such host"), "{}", write(&error).message);
    }

    #[test]
    fn a_call_that_nobody_could_sign_says_so_and_is_not_tried_again() {
        let nobody = CredentialsError::not_loaded("no provider had any");
        let error: SdkFailure = SdkError::dispatch_failure(ConnectorError::other(nobody.into(), None));
        assert_eq!((write(&error).kind, write(&error).code.as_str()), (ErrorKind::Denied, "no-credentials"));
        assert_eq!(read(&error).kind, ErrorKind::Denied);
        assert!(write(&error).message.contains("no provider had any"), "{}", write(&error).message);
    }

    #[test]
    fn a_lost_answer_leaves_the_effect_of_a_change_unknown() {
        let failures: [SdkFailure; 4] = [
            SdkError::dispatch_failure(ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into())),
            SdkError::dispatch_failure(ConnectorError::timeout("slow".into())),
            SdkError::timeout_error("slow"),
            SdkError::response_error("not XML", answer(200)),
        ];
        for error in &failures {
            assert_eq!(write(error).kind, ErrorKind::EffectUnknown, "{error:?}");
            assert_eq!(read(error).kind, ErrorKind::Unavailable, "{error:?}");
        }
    }

    #[test]
    fn a_request_that_was_never_built_is_our_mistake() {
        let error: SdkFailure = SdkError::construction_failure("no region");
        let error = write(&error);
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Rejected, "request-not-built"));
        assert_eq!(error.message, "no region");
    }
}
