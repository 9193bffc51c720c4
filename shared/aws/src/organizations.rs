//! Organizations: the tag policy of an organization.

use aws_config::SdkConfig;
use aws_sdk_organizations::{Client, types::EffectivePolicyType};
use tagwire_engine::cloud::CloudError;

use crate::call::Call;

/// The tag policy that is in effect for this account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagPolicy {
    /// The account belongs to no organization.
    NoOrganization,
    /// The organization asks nothing of its tags.
    None,
    /// The effective policy, as the document that Organizations gives.
    Effective(String),
}

/// The tag policy in effect in this account.
///
/// # Errors
/// The refusal or failure of Organizations.
pub async fn tag_policy(config: &SdkConfig) -> Result<TagPolicy, CloudError> {
    let call = Call::reading("organizations:DescribeEffectivePolicy", "the tag policy of this account");
    match Client::new(config).describe_effective_policy().policy_type(EffectivePolicyType::TagPolicy).send().await {
        Ok(answer) => {
            let content = answer.effective_policy().and_then(|policy| policy.policy_content());
            Ok(content.map_or(TagPolicy::None, |content| TagPolicy::Effective(content.to_owned())))
        }
        Err(error) => match error.as_service_error() {
            Some(message) if message.is_aws_organizations_not_in_use_exception() => Ok(TagPolicy::NoOrganization),
            Some(message) if message.is_effective_policy_not_found_exception() => Ok(TagPolicy::None),
            Some(_) | None => Err(call.failed(&error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use tagwire_engine::cloud::ErrorKind;

    use super::*;
    use crate::testing::Script;

    #[tokio::test]
    async fn no_organization_and_no_policy_are_no_errors_and_a_refusal_is() {
        let error = |code: &str| format!(r#"{{"__type":"{code}","Message":"message"}}"#);
        let script = Script::default()
            .then(200, r#"{"EffectivePolicy":{"PolicyContent":"{\"tags\":{}}","PolicyType":"TAG_POLICY"}}"#)
            .then(400, error("EffectivePolicyNotFoundException"))
            .then(400, error("AWSOrganizationsNotInUseException"))
            .then(400, error("AccessDeniedException"));
        let read = async || tag_policy(&script.config()).await;
        assert_eq!(read().await, Ok(TagPolicy::Effective(r#"{"tags":{}}"#.into())));
        assert_eq!((read().await, read().await), (Ok(TagPolicy::None), Ok(TagPolicy::NoOrganization)));
        assert_eq!(read().await.unwrap_err().kind, ErrorKind::Denied);
        assert_eq!(script.asked()[0], r#"DescribeEffectivePolicy {"PolicyType":"TAG_POLICY"}"#);
    }
}
