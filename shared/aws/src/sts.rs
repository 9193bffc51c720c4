//! STS: who is calling.

use aws_config::SdkConfig;
use aws_sdk_sts::Client;
use tagwire_core::id::{InvalidId, Partition};
use tagwire_engine::cloud::{CloudError, ErrorKind};

use crate::{call::Call, config::impatient};

/// The identity that the credentials stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account: String,
    /// The user, or the role and its session.
    pub arn: String,
}

impl Identity {
    /// The partition that the account is in.
    ///
    /// # Errors
    /// When the identity has no ARN.
    pub fn partition(&self) -> Result<Partition, InvalidId> {
        Partition::of_arn(&self.arn)
    }
}

/// Asks who is calling; every caller may. It is the first question of most commands, so it is soon known when there is
/// no network.
///
/// # Errors
/// The refusal of STS, or the lack of credentials.
pub async fn identity(config: &SdkConfig) -> Result<Identity, CloudError> {
    let call = Call::reading("sts:GetCallerIdentity", "the caller");
    let answer =
        Client::new(&impatient(config)).get_caller_identity().send().await.map_err(|error| call.failed(&error))?;
    match (answer.account, answer.arn) {
        (Some(account), Some(arn)) => Ok(Identity { account, arn }),
        _ => Err(call.error(ErrorKind::Rejected, "answer-unusable", "the answer names no account")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Script;

    #[tokio::test]
    async fn the_caller_is_named_and_an_answer_without_one_is_an_error() {
        let answer = "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/ops</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>";
        let script = Script::default().then(200, answer).then(200, answer.replace("Account>", "Other>"));
        let identity_of = async || identity(&script.config()).await;
        let expected = Identity { account: "123456789012".into(), arn: "arn:aws:iam::123456789012:user/ops".into() };
        assert_eq!(identity_of().await.unwrap(), expected);
        assert_eq!(identity_of().await.unwrap_err().code, "answer-unusable");
    }
}
