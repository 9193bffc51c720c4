//! Whether the caller may make a call, tried out with one that changes nothing and gives as little as it can.

use std::error::Error;

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use tagwire_engine::cloud::{CloudError, ErrorKind};

use crate::call::Call;

/// One call that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The action: `rds:DescribeDBClusters`.
    pub action: &'static str,
    /// Success when the caller may make the call, or the refusal.
    pub result: Result<(), CloudError>,
}

impl Probe {
    /// The result that an answer stands for. `NotFound` is a success: AWS gives it only to callers who may make
    /// the call.
    pub(crate) fn of<T, E>(action: &'static str, answer: Result<T, SdkError<E, HttpResponse>>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let result = match answer {
            Ok(_) => Ok(()),
            Err(error) => match Call::reading(action, "a call to try").failed(&error) {
                failed if failed.kind == ErrorKind::NotFound => Ok(()),
                failed => Err(failed),
            },
        };
        Self { action, result }
    }
}
