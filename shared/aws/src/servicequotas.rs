//! Service Quotas: how much of something the account may have.

use aws_config::SdkConfig;
use aws_sdk_servicequotas::{Client, operation::get_service_quota::GetServiceQuotaError, types::ServiceQuota};
use tagwire_engine::cloud::{CloudError, ErrorKind};

use crate::call::Call;

/// The service that has the quotas of security groups.
const VPC: &str = "vpc";

/// A quota of Amazon VPC, as it applies to the account or, where nothing was ever applied for, as AWS has it
/// by default.
///
/// # Errors
/// The refusal or failure of Service Quotas, or an answer without a number.
pub async fn vpc_quota(config: &SdkConfig, code: &str) -> Result<usize, CloudError> {
    let client = Client::new(config);
    let call = Call::reading("servicequotas:GetServiceQuota", code);
    match client.get_service_quota().service_code(VPC).quota_code(code).send().await {
        Ok(answer) => value(answer.quota(), &call),
        Err(error) if error.as_service_error().is_some_and(GetServiceQuotaError::is_no_such_resource_exception) => {
            let call = Call::reading("servicequotas:GetAWSDefaultServiceQuota", code);
            let answer = client.get_aws_default_service_quota().service_code(VPC).quota_code(code).send().await;
            value(answer.map_err(|error| call.failed(&error))?.quota(), &call)
        }
        Err(error) => Err(call.failed(&error)),
    }
}

fn value(quota: Option<&ServiceQuota>, call: &Call) -> Result<usize, CloudError> {
    let value = quota.and_then(ServiceQuota::value).filter(|value| (0.0..=1e9).contains(value));
    let value = value.ok_or_else(|| call.error(ErrorKind::Rejected, "answer-unusable", "the answer has no value"))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was just compared with both ends")]
    Ok(value as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Script;

    fn quota(value: &str) -> String {
        format!(r#"{{"Quota":{{"QuotaCode":"L-1","Value":{value}}}}}"#)
    }

    #[tokio::test]
    async fn a_quota_that_was_never_applied_for_is_the_default() {
        let none = r#"{"__type":"NoSuchResourceException","Message":"never"}"#;
        let script = Script::default().then(200, quota("16.0")).then(400, none).then(200, quota("5.0"));
        let read = async || vpc_quota(&script.config(), "L-2AFB9258").await;
        assert_eq!((read().await, read().await), (Ok(16), Ok(5)));
        let asked = script.asked();
        assert_eq!(asked[0], r#"GetServiceQuota {"ServiceCode":"vpc","QuotaCode":"L-2AFB9258"}"#);
        assert_eq!(asked[2], r#"GetAWSDefaultServiceQuota {"ServiceCode":"vpc","QuotaCode":"L-2AFB9258"}"#);
    }

    #[tokio::test]
    async fn a_refusal_and_an_answer_without_a_number_are_errors() {
        let denied = r#"{"__type":"AccessDeniedException","Message":"no"}"#;
        let script = Script::default().then(400, denied).then(200, quota("-1.0")).then(200, "{}");
        let read = async || vpc_quota(&script.config(), "L-1").await.unwrap_err();
        assert_eq!(read().await.kind, ErrorKind::Denied);
        assert_eq!((read().await.code, read().await.code), ("answer-unusable".into(), "answer-unusable".into()));
    }
}
