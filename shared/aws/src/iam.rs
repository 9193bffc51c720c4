//! IAM: the permissions of a role, and the roles of an account.

use aws_config::SdkConfig;
use aws_sdk_iam::{
    Client,
    error::ProvideErrorMetadata,
    types::{self as iam, ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType},
};
use tagwire_engine::cloud::{CloudError, ErrorKind};

use crate::{call::Call, reading::at_once};

const SIMULATE: &str = "iam:SimulatePrincipalPolicy";

/// Whether some actions are allowed on some resources, each action on each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// The actions: `ec2:CreateTags`.
    pub actions: Vec<String>,
    /// The ARNs of the resources, or `*`.
    pub resources: Vec<String>,
    /// The values that conditions may ask for.
    pub context: Vec<(String, ContextValue)>,
}

/// The value of a condition key in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextValue {
    /// One text.
    Text(String),
    /// Any number of texts.
    Texts(Vec<String>),
    /// Yes or no.
    Truth(bool),
}

/// An action that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The action.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// Whether a policy denies it, rather than none allowing it.
    pub denied: bool,
    /// Whether the service control policies of the organization keep it from being allowed.
    pub by_organization: bool,
    /// Whether the permissions boundary does.
    pub by_boundary: bool,
    /// The policies whose statements decided, as IAM names them.
    pub policies: Vec<String>,
}

/// Asks IAM to simulate the policies of a principal. The result holds the refused requests.
///
/// # Errors
/// IAM's refusal to simulate; [`ErrorKind::NotFound`] when there is no such principal.
pub async fn refusals(config: &SdkConfig, principal: &str, questions: &[Question]) -> Result<Vec<Refusal>, CloudError> {
    let client = Client::new(config);
    let answers = at_once(questions.iter().map(|question| simulate(&client, principal, question))).await;
    let answers: Result<Vec<Vec<Refusal>>, CloudError> = answers.into_iter().collect();
    Ok(answers?.into_iter().flatten().collect())
}

async fn simulate(client: &Client, principal: &str, question: &Question) -> Result<Vec<Refusal>, CloudError> {
    let call = Call::reading(SIMULATE, principal);
    let context: Vec<ContextEntry> = question.context.iter().map(|(key, value)| entry(key, value)).collect();
    let (mut refused, mut marker) = (Vec::new(), None);
    loop {
        let request = client
            .simulate_principal_policy()
            .policy_source_arn(principal)
            .set_action_names(Some(question.actions.clone()))
            .set_resource_arns(Some(question.resources.clone()))
            .set_context_entries((!context.is_empty()).then(|| context.clone()))
            .set_marker(marker);
        let answer = request.send().await.map_err(|error| failed(error.code(), || call.failed(&error)))?;
        refused.extend(answer.evaluation_results().iter().flat_map(refused_of));
        if !answer.is_truncated() {
            return Ok(refused);
        }
        marker = answer.marker().map(str::to_owned);
        if marker.is_none() {
            let message = "it names no next page and says that there is one";
            return Err(call.error(ErrorKind::Rejected, "answer-unusable", message));
        }
    }
}

fn entry(key: &str, value: &ContextValue) -> ContextEntry {
    let (kind, values) = match value {
        ContextValue::Text(text) => (ContextKeyTypeEnum::String, vec![text.clone()]),
        ContextValue::Texts(texts) => (ContextKeyTypeEnum::StringList, texts.clone()),
        ContextValue::Truth(truth) => (ContextKeyTypeEnum::Boolean, vec![truth.to_string()]),
    };
    ContextEntry::builder().context_key_name(key).context_key_type(kind).set_context_key_values(Some(values)).build()
}

/// The refusals of one result: one for each resource where the answer tells them apart.
fn refused_of(result: &iam::EvaluationResult) -> Vec<Refusal> {
    let organization = result.organizations_decision_detail().is_some_and(|detail| !detail.allowed_by_organizations());
    let refusal = |resource: &str,
                   decision: &PolicyEvaluationDecisionType,
                   boundary: Option<&iam::PermissionsBoundaryDecisionDetail>,
                   statements: &[iam::Statement]| {
        (*decision != PolicyEvaluationDecisionType::Allowed).then(|| Refusal {
            action: result.eval_action_name().to_owned(),
            resource: resource.to_owned(),
            denied: *decision == PolicyEvaluationDecisionType::ExplicitDeny,
            by_organization: organization,
            by_boundary: boundary.is_some_and(|detail| !detail.allowed_by_permissions_boundary()),
            policies: statements.iter().filter_map(|of| of.source_policy_id()).map(str::to_owned).collect(),
        })
    };
    let boundary = result.permissions_boundary_decision_detail();
    let whole = || {
        let resource = result.eval_resource_name().unwrap_or("*");
        refusal(resource, result.eval_decision(), boundary, result.matched_statements())
    };
    match result.resource_specific_results() {
        [] => whole().into_iter().collect(),
        parts => {
            let part = |part: &iam::ResourceSpecificResult| {
                let boundary = part.permissions_boundary_decision_detail().or(boundary);
                let statements = part.matched_statements();
                refusal(part.eval_resource_name(), part.eval_resource_decision(), boundary, statements)
            };
            let refused: Vec<Refusal> = parts.iter().filter_map(part).collect();
            // The whole has the word when the parts do not say why it is refused.
            if refused.is_empty() { whole().into_iter().collect() } else { refused }
        }
    }
}

/// Whether there is a role of this name.
///
/// # Errors
/// IAM's refusal or failure.
pub async fn has_role(config: &SdkConfig, name: &str) -> Result<bool, CloudError> {
    let call = Call::reading("iam:GetRole", name);
    match Client::new(config).get_role().role_name(name).send().await {
        Ok(_) => Ok(true),
        Err(error) => match failed(error.code(), || call.failed(&error)) {
            error if error.kind == ErrorKind::NotFound => Ok(false),
            error => Err(error),
        },
    }
}

/// IAM has a code of its own for a role that does not exist.
fn failed(code: Option<&str>, usual: impl FnOnce() -> CloudError) -> CloudError {
    match code {
        Some("NoSuchEntity") => CloudError { kind: ErrorKind::NotFound, ..usual() },
        _ => usual(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Script;

    const ROLE: &str = "arn:aws:iam::123456789012:role/connect";
    const NO_SUCH: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>no such role</Message></Error></ErrorResponse>";
    const DENIED: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";

    fn answer(results: &str, rest: &str) -> String {
        format!(
            "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults>{results}</EvaluationResults>{rest}</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
        )
    }

    fn result(action: &str, decision: &str, more: &str) -> String {
        format!(
            "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>*</EvalResourceName><EvalDecision>{decision}</EvalDecision>{more}</member>"
        )
    }

    fn question() -> Question {
        Question {
            actions: vec!["ec2:CreateTags".into(), "ec2:DeleteTags".into()],
            resources: vec!["arn:aws:ec2:eu-west-1:123456789012:instance/i-1".into()],
            context: vec![
                ("aws:TagKeys".into(), ContextValue::Texts(vec!["a".into(), "b".into()])),
                ("ec2:CreateAction".into(), ContextValue::Text("CreateSecurityGroup".into())),
                ("aws:ViaAWSService".into(), ContextValue::Truth(true)),
            ],
        }
    }

    #[tokio::test]
    async fn only_what_is_refused_comes_back_and_every_page_is_asked_for() {
        let first = result("ec2:CreateTags", "allowed", "");
        let boundary = "<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>false</AllowedByPermissionsBoundary></PermissionsBoundaryDecisionDetail>";
        let script = Script::default()
            .then(200, answer(&first, "<IsTruncated>true</IsTruncated><Marker>m-1</Marker>"))
            .then(200, answer(&result("ec2:DeleteTags", "implicitDeny", boundary), "<IsTruncated>false</IsTruncated>"));
        let [refused] = refusals(&script.config(), ROLE, &[question()]).await.unwrap().try_into().unwrap();
        assert_eq!((refused.action.as_str(), refused.resource.as_str()), ("ec2:DeleteTags", "*"));
        assert!(refused.by_boundary && !refused.by_organization && !refused.denied);
        let [one, two] = script.asked().try_into().unwrap();
        for part in [
            "Action=SimulatePrincipalPolicy",
            "PolicySourceArn=arn:aws:iam::123456789012:role/connect",
            "ActionNames.member.2=ec2:DeleteTags",
            "ResourceArns.member.1=arn:aws:ec2:eu-west-1:123456789012:instance/i-1",
            "ContextEntries.member.1.ContextKeyValues.member.2=b",
            "ContextEntries.member.1.ContextKeyType=stringList",
            "ContextEntries.member.2.ContextKeyType=string",
            "ContextEntries.member.3.ContextKeyType=boolean",
        ] {
            assert!(one.contains(part), "{part} is not in {one}");
        }
        assert!(!one.contains("Marker") && two.contains("Marker=m-1"));
    }

    #[tokio::test]
    async fn what_differs_by_resource_is_said_of_the_resource() {
        let parts = "<OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations></OrganizationsDecisionDetail><ResourceSpecificResults><member><EvalResourceName>arn:a</EvalResourceName><EvalResourceDecision>allowed</EvalResourceDecision></member><member><EvalResourceName>arn:b</EvalResourceName><EvalResourceDecision>explicitDeny</EvalResourceDecision><MatchedStatements><member><SourcePolicyId>guard</SourcePolicyId></member></MatchedStatements></member></ResourceSpecificResults>";
        let script = Script::default().then(200, answer(&result("rds:ModifyDBCluster", "explicitDeny", parts), ""));
        let [refused] = refusals(&script.config(), ROLE, &[question()]).await.unwrap().try_into().unwrap();
        let expected = Refusal {
            action: "rds:ModifyDBCluster".into(),
            resource: "arn:b".into(),
            denied: true,
            by_organization: true,
            by_boundary: false,
            policies: vec!["guard".into()],
        };
        assert_eq!(refused, expected);
    }

    #[tokio::test]
    async fn a_role_that_is_not_there_is_told_from_one_that_may_not_be_read() {
        let script = Script::default().then(404, NO_SUCH).then(403, DENIED);
        let of = async || refusals(&script.config(), ROLE, &[question()]).await.unwrap_err();
        assert_eq!((of().await.kind, of().await.kind), (ErrorKind::NotFound, ErrorKind::Denied));

        let role = "<GetRoleResponse><GetRoleResult><Role><Path>/</Path><RoleName>r</RoleName><RoleId>i</RoleId><Arn>a</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></Role></GetRoleResult></GetRoleResponse>";
        let script = Script::default().then(200, role).then(404, NO_SUCH).then(403, DENIED);
        let is_there = async || has_role(&script.config(), "AWSServiceRoleForRDS").await;
        assert_eq!((is_there().await, is_there().await), (Ok(true), Ok(false)));
        assert_eq!(is_there().await.unwrap_err().call, "iam:GetRole");
        assert!(script.asked()[0].contains("RoleName=AWSServiceRoleForRDS"));
    }
}
