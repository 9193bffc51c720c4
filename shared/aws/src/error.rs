//! The meaning of an error of AWS: the one table of error codes, and the calls that got no answer.

use std::{error::Error, io};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::{
    dns::ResolveDnsError,
    orchestrator::HttpResponse,
    result::{DispatchFailure, SdkError},
};
use tagwire_engine::cloud::ErrorKind;

/// The error codes that a row of the table covers.
enum Codes {
    Any,
    Are(&'static [&'static str]),
    /// Codes with one of these ends.
    End(&'static [&'static str]),
    /// Codes with this beginning and one of these ends.
    Between(&'static str, &'static [&'static str]),
}

impl Codes {
    fn cover(&self, code: &str) -> bool {
        let ends = |ends: &[&str]| ends.iter().any(|end| code.ends_with(end));
        match self {
            Self::Any => true,
            Self::Are(codes) => codes.contains(&code),
            Self::End(with) => ends(with),
            Self::Between(start, with) => code.starts_with(start) && ends(with),
        }
    }
}

/// A row of the table.
struct CodeRow {
    codes: Codes,
    /// Parts of the message in lower case, all of which it has to hold.
    message: &'static [&'static str],
    kind: ErrorKind,
}

const fn row(codes: Codes, kind: ErrorKind) -> CodeRow {
    CodeRow { codes, message: &[], kind }
}

/// The table; the first row that covers an error decides. An error that no row covers is judged by
/// its HTTP status, see [`by_status`].
const TABLE: &[CodeRow] = &[
    // AWS names no code for the limit of five groups on an RDS store, only this text. Fact 3.2
    CodeRow {
        codes: Codes::Any,
        message: &["violates your limit on number of ec2 vpc securitygroups"],
        kind: ErrorKind::Limit,
    },
    // The answers for a group that EC2 made a moment ago and the store's service does not know yet. Fact 4.5
    CodeRow {
        codes: Codes::Are(&["InvalidParameterValue"]),
        message: &["invalid security group"],
        kind: ErrorKind::NotReady,
    },
    CodeRow {
        codes: Codes::Are(&["InvalidParameterValue", "InvalidParameterCombination"]),
        message: &["security group", "not exist"],
        kind: ErrorKind::NotReady,
    },
    CodeRow {
        codes: Codes::Are(&["InvalidParameterValue", "InvalidParameterCombination"]),
        message: &["security group", "not found"],
        kind: ErrorKind::NotReady,
    },
    row(
        Codes::Are(&["InvalidGroup.Duplicate", "InvalidPermission.Duplicate", "ConditionalCheckFailedException"]),
        ErrorKind::AlreadyThere,
    ),
    // It is not the store that is missing. A person has to make the role. Fact 4.5
    row(Codes::Are(&["ServiceLinkedRoleNotFoundFault"]), ErrorKind::Rejected),
    // Every service has a code of its own for each kind of resource, in one of these two forms.
    row(Codes::End(&["NotFound", "NotFoundFault"]), ErrorKind::NotFound),
    row(
        Codes::Are(&["ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"]),
        ErrorKind::NotFound,
    ),
    row(Codes::Between("Invalid", &["State", "StateFault"]), ErrorKind::NotReady),
    row(Codes::Are(&["IncorrectInstanceState", "IncorrectState"]), ErrorKind::NotReady),
    row(Codes::Are(&["DependencyViolation", "InvalidGroup.InUse"]), ErrorKind::InUse),
    row(
        Codes::Are(&[
            "SecurityGroupsPerInterfaceLimitExceeded",
            "SecurityGroupsPerInstanceLimitExceeded",
            "RulesPerSecurityGroupLimitExceeded",
            "SecurityGroupLimitExceeded",
            "TagLimitExceeded",
            "LimitExceededFault",
        ]),
        ErrorKind::Limit,
    ),
    row(
        Codes::Are(&[
            "UnauthorizedOperation",
            "AccessDenied",
            "AccessDeniedException",
            "DependentServiceAccessDeniedFault",
            "KMS.AccessDeniedException",
            "AuthFailure",
            "ExpiredToken",
            "ExpiredTokenException",
            "RequestExpired",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "SignatureDoesNotMatch",
            "OptInRequired",
        ]),
        ErrorKind::Denied,
    ),
    row(
        Codes::Are(&[
            // EC2 sends this one with status 503, which alone would mean that the effect is not known. Fact 3.3
            "RequestLimitExceeded",
            "EC2ThrottledException",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "ProvisionedThroughputExceededException",
            "KMS.ThrottlingException",
            "DependentServiceRequestThrottlingFault",
            "TooManyRequestsException",
        ]),
        ErrorKind::Throttled,
    ),
    // The service gave up waiting for the rest of the request, or for its own answer. Fact 4.5
    row(Codes::Are(&["RequestTimeout", "RequestTimeoutException"]), ErrorKind::EffectUnknown),
    // The next reading begins with a fresh token.
    row(Codes::Are(&["PaginationTokenExpiredException"]), ErrorKind::Unavailable),
];

/// Whether a call changes something. It decides the meaning of a lost answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

impl Access {
    /// The meaning of a call that was sent and whose effect nobody can tell.
    fn lost(self) -> ErrorKind {
        match self {
            Self::Read => ErrorKind::Unavailable,
            Self::Write => ErrorKind::EffectUnknown,
        }
    }
}

fn classify(code: Option<&str>, message: &str, status: u16, access: Access) -> ErrorKind {
    let message = message.to_ascii_lowercase();
    let says = |row: &CodeRow| row.message.iter().all(|part| message.contains(part));
    let covers = |row: &&CodeRow| row.codes.cover(code.unwrap_or_default()) && says(row);
    match TABLE.iter().find(covers).map(|row| row.kind) {
        Some(ErrorKind::EffectUnknown) => access.lost(),
        Some(kind) => kind,
        None => by_status(status, access),
    }
}

/// The meaning of a code that the table does not have. A service that fails inside may have done its
/// work before, and an error that comes with a status of success is anybody's guess.
fn by_status(status: u16, access: Access) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::Denied,
        429 => ErrorKind::Throttled,
        400..500 => ErrorKind::Rejected,
        _ => access.lost(),
    }
}

/// The kind, code and message of an SDK's error.
pub(crate) fn meaning<E>(error: &SdkError<E, HttpResponse>, access: Access) -> (ErrorKind, String, String)
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let meta = service.err().meta();
            let status = service.raw().status().as_u16();
            // An answer that the SDK cannot read is a service error too, without code or message.
            let said = meta.message().map_or_else(|| chain(error), str::to_owned);
            let details = authorization_details(service.raw()).filter(|details| !said.contains(details.as_str()));
            let message =
                details.map_or_else(|| said.clone(), |details| format!("{said} (authorization details {details})"));
            let kind = classify(meta.code(), &message, status, access);
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
        SdkError::DispatchFailure(_) => (access.lost(), "connection-lost".to_owned(), chain(error)),
        SdkError::TimeoutError(_) => (access.lost(), "timeout".to_owned(), chain(error)),
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            (access.lost(), format!("answer-unreadable-http-{status}"), chain(error))
        }
        // `SdkError` may grow; everything that is left is a request that was never built.
        SdkError::ConstructionFailure(_) | _ => (ErrorKind::Rejected, "request-not-built".to_owned(), chain(error)),
    }
}

/// The id under which AWS keeps the details of a refusal, when the answer names one beside its message: in a header or
/// in a field of its own.
// Fact 6.9
fn authorization_details(answer: &HttpResponse) -> Option<String> {
    const NAME: &str = "authorizationdetailsid";
    let is_it = |name: &str| {
        let letters = name.chars().filter(char::is_ascii_alphanumeric);
        letters.collect::<String>().to_ascii_lowercase().ends_with(NAME)
    };
    let header = answer.headers().iter().find(|(name, _)| is_it(name)).map(|(_, value)| value.to_owned());
    let in_body = || {
        let body = std::str::from_utf8(answer.body().bytes()?).ok()?;
        let (_, after) = body.split_at_checked(body.to_ascii_lowercase().find(NAME)? + NAME.len())?;
        let value = after.trim_start_matches(['"', '>', ':', ' ']);
        Some(value.chars().take_while(|symbol| !matches!(symbol, '"' | '<')).collect())
    };
    header.or_else(in_body).filter(|id: &String| !id.is_empty())
}

/// Whether nothing was sent because there was nothing to sign it with. That does not pass by itself.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| cause(error)).any(<dyn Error>::is::<CredentialsError>)
}

/// The causes of an error of the SDK. Its own text says only which kind it is.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The cause of an error. An I/O error that wraps another skips it and names that one's source.
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

    use tagwire_engine::cloud::CloudError;

    use super::*;
    use crate::call::Call;

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
        use ErrorKind::{AlreadyThere, Denied, InUse, Limit, NotFound, NotReady, Rejected, Throttled};
        for (code, status, kind) in [
            ("RequestLimitExceeded", 503, Throttled),
            ("Throttling", 400, Throttled),
            ("ThrottlingException", 400, Throttled),
            ("ThrottledException", 400, Throttled),
            ("EC2ThrottledException", 400, Throttled),
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
            ("InvalidVPCNetworkStateFault", 400, NotReady),
            ("ServiceLinkedRoleNotFoundFault", 400, Rejected),
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
    fn a_group_that_a_store_s_service_does_not_know_yet_is_waited_for() {
        for (code, message) in [
            ("InvalidParameterValue", "The security group 'sg-1' does not exist"),
            ("InvalidParameterValue", "Security group sg-1 does not exist in the VPC"),
            ("InvalidParameterCombination", "Some security groups do not exist: [sg-1]"),
            ("InvalidParameterValue", "VPC security group sg-1 not found"),
        ] {
            assert_eq!(write(&service(code, message, 400)).kind, ErrorKind::NotReady, "{message}");
        }
        let elsewhere = "The cache subnet group net does not exist";
        assert_eq!(write(&service("InvalidParameterValue", elsewhere, 400)).kind, ErrorKind::Rejected);
        let of_ec2 = "The security group 'sg-1' does not exist";
        assert_eq!(write(&service("InvalidGroup.NotFound", of_ec2, 400)).kind, ErrorKind::NotFound);
    }

    #[test]
    fn a_request_that_timed_out_at_the_service_may_have_had_its_effect() {
        for (code, status) in [("RequestTimeout", 400), ("RequestTimeout", 408), ("RequestTimeoutException", 400)] {
            let error = service(code, "the socket was idle", status);
            assert_eq!((write(&error).kind, read(&error).kind), (ErrorKind::EffectUnknown, ErrorKind::Unavailable));
        }
    }

    #[test]
    fn a_refusal_keeps_what_its_details_can_be_looked_up_by() {
        let refused = |answer: HttpResponse, message: &str| {
            let meta = ErrorMetadata::builder().code("UnauthorizedOperation").message(message).build();
            let error: SdkFailure = SdkError::service_error(CreateSecurityGroupError::generic(meta), answer);
            write(&error).message
        };
        let encoded = "You are not authorized. Encoded authorization failure message: 0a1b";
        assert_eq!(refused(answer(403), encoded), encoded);
        let with_body = |body: &str| Response::new(StatusCode::try_from(403).unwrap(), SdkBody::from(body.to_owned()));
        for body in [
            "<Error><Code>AccessDenied</Code><AuthorizationDetailsId>d-1</AuthorizationDetailsId></Error>",
            r#"{"message": "no", "authorizationDetailsId": "d-1"}"#,
        ] {
            assert_eq!(refused(with_body(body), "no"), "no (authorization details d-1)", "{body}");
        }
        let mut by_header = answer(403);
        by_header.headers_mut().insert("x-amzn-authorization-details-id", "d-1");
        assert_eq!(refused(by_header, "no"), "no (authorization details d-1)");
        let said = "no, see authorization details ID d-1";
        assert_eq!(refused(with_body("<AuthorizationDetailsId>d-1<"), said), said);
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
