//! The configuration of the SDKs.

use std::time::Duration;

pub use aws_config::SdkConfig;
use aws_config::{BehaviorVersion, ConfigLoader, retry::RetryConfig, timeout::TimeoutConfig};

/// Seconds until a connection is made. AWS's endpoints are near; one that does not answer by then
/// is better tried again.
const CONNECT: u32 = 3;
/// Seconds until the first byte of an answer.
const READ: u32 = 8;
/// Seconds for one call as a whole. A function has 40, so a call that hangs leaves time to try it
/// again, to do everything else and to report.
const ATTEMPT: u32 = 9;
/// Seconds for one call with everything around it, such as fetching credentials.
const OPERATION: u32 = 10;

/// The SDKs' configuration from the environment. The standard variables are honoured, among them
/// `AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_SQS`; those for retries
/// are not, because a second layer of retries would multiply with the engine's.
pub async fn load_config() -> SdkConfig {
    loader(SECOND).load().await
}

/// The unit of the times above; tests have a shorter one.
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn loader(second: Duration) -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(second))
}

pub(crate) fn timeouts(second: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(second * CONNECT)
        .read_timeout(second * READ)
        .operation_attempt_timeout(second * ATTEMPT)
        .operation_timeout(second * OPERATION)
        .build()
}

/// Seconds until a connection is made, where a person waits to learn that there is no network.
#[cfg(feature = "account")]
const CONNECT_SOON: u32 = 2;

/// The same configuration for a first call that tells whether AWS can be reached at all.
#[cfg(feature = "account")]
pub(crate) fn impatient(config: &SdkConfig) -> SdkConfig {
    let timeouts = timeouts(SECOND).into_builder().connect_timeout(SECOND * CONNECT_SOON).build();
    config.to_builder().timeout_config(timeouts).build()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::{Client, config::Credentials};
    use aws_smithy_runtime_api::client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::HttpRequest,
    };
    use tagwire_engine::cloud::ErrorKind;

    use super::*;
    use crate::call::Call;

    /// An endpoint that takes every call and never answers.
    #[derive(Debug)]
    struct Hanging;

    impl HttpConnector for Hanging {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::new(std::future::pending())
        }
    }

    /// A second of the configuration lasts ten milliseconds here.
    #[tokio::test]
    async fn a_call_to_a_service_that_hangs_ends_within_a_quarter_of_a_functions_time() {
        let connector = SharedHttpConnector::new(Hanging);
        let second = Duration::from_millis(10);
        let config = loader(second)
            .region(aws_config::Region::new("eu-west-1"))
            .credentials_provider(Credentials::new("a", "b", None, None, "test"))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .load()
            .await;
        let longest = config.timeout_config().and_then(TimeoutConfig::operation_timeout).unwrap();
        assert!(longest * 4 <= second * 40, "{longest:?}");
        let error = Client::new(&config).describe_instances().send().await.unwrap_err();
        let error = Call::reading("ec2:DescribeInstances", "i-1").failed(&error);
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Unavailable, "timeout"));
    }
}
