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
    /// Nothing when the caller may make it, or what was message instead.
    pub result: Result<(), CloudError>,
}

impl Probe {
    /// What an answer says of the caller's permission. That something is not there is said only to those who
    /// may ask for it.
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
