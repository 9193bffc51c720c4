//! CloudFormation: the stack that runs tagwire, for whoever wants to look at it from outside.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_cloudformation::{Client, error::ProvideErrorMetadata, types as cloudformation};
use tagwire_engine::cloud::{CloudError, ErrorKind};

use crate::call::Call;

/// The resource of fixed name by which CloudFormation refuses a second installation, and by which the
/// first is found.
const INSTALLATION: &str = "/tagwire/installation";

/// The stack, as deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// Its status in CloudFormation's own word: `UPDATE_COMPLETE`.
    pub status: String,
    /// Its parameters, as they are in force.
    pub parameters: BTreeMap<String, String>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
}

/// The stacks of an account and Region.
#[derive(Debug)]
pub struct Stacks {
    client: Client,
}

impl Stacks {
    /// A client; nothing is called yet.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// The stack of that name, or, with `None`, the one that runs tagwire here; `None` when there is no such stack.
    ///
    /// # Errors
    /// CloudFormation's refusal or failure.
    pub async fn find(&self, name: Option<&str>) -> Result<Option<Stack>, CloudError> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => match self.installed().await? {
                Some(name) => name,
                None => return Ok(None),
            },
        };
        let call = Call::reading("cloudformation:DescribeStacks", name.as_str());
        match self.client.describe_stacks().stack_name(&name).send().await {
            Ok(answer) => Ok(answer.stacks().first().map(stack)),
            Err(error) if is_unknown(&error) => Ok(None),
            Err(error) => Err(call.failed(&error)),
        }
    }

    /// The physical id of a resource of a stack; `None` when the stack has none of that name, or it is not there any
    /// more.
    ///
    /// # Errors
    /// CloudFormation's refusal or failure.
    pub async fn resource(&self, stack: &str, logical_id: &str) -> Result<Option<String>, CloudError> {
        let call = Call::reading("cloudformation:DescribeStackResource", format!("{logical_id} of {stack}"));
        let request = self.client.describe_stack_resource().stack_name(stack).logical_resource_id(logical_id);
        match request.send().await {
            Ok(answer) => {
                let resource = answer.stack_resource_detail();
                let there =
                    resource.filter(|resource| resource.resource_status().is_none_or(|status| !is_gone(status)));
                Ok(there.and_then(|resource| resource.physical_resource_id()).map(str::to_owned))
            }
            Err(error) if is_unknown(&error) => Ok(None),
            Err(error) => Err(call.failed(&error)),
        }
    }

    /// The name of the stack that has the installation.
    async fn installed(&self) -> Result<Option<String>, CloudError> {
        let call = Call::reading("cloudformation:DescribeStackResources", INSTALLATION);
        let answer = self.client.describe_stack_resources().physical_resource_id(INSTALLATION).send().await;
        match answer {
            Ok(answer) => {
                let found = answer.stack_resources().iter().find(|resource| {
                    resource.physical_resource_id() == Some(INSTALLATION) && resource.stack_name().is_some()
                });
                Ok(found.and_then(|resource| resource.stack_name()).map(str::to_owned))
            }
            Err(error) if is_unknown(&error) => Ok(None),
            Err(error) => Err(call.failed(&error)),
        }
    }
}

/// CloudFormation has no code of its own for a stack that does not exist.
fn is_unknown(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some("ValidationError") && error.message().is_some_and(|message| message.contains("does not exist"))
}

fn is_gone(status: &cloudformation::ResourceStatus) -> bool {
    matches!(status, cloudformation::ResourceStatus::DeleteComplete | cloudformation::ResourceStatus::CreateFailed)
}

fn stack(raw: &cloudformation::Stack) -> Stack {
    let parameters = raw.parameters().iter().filter_map(|parameter| {
        // The functions were given the values that CloudFormation resolved.
        let value = parameter.resolved_value().or(parameter.parameter_value())?;
        Some((parameter.parameter_key()?.to_owned(), value.to_owned()))
    });
    let outputs = raw
        .outputs()
        .iter()
        .filter_map(|output| Some((output.output_key()?.to_owned(), output.output_value()?.to_owned())));
    Stack {
        name: raw.stack_name().unwrap_or_default().to_owned(),
        status: raw.stack_status().map_or_else(String::new, |status| status.as_str().to_owned()),
        parameters: parameters.collect(),
        outputs: outputs.collect(),
    }
}

impl Stack {
    /// An output without which nothing can be sent or read.
    ///
    /// # Errors
    /// When the stack has no such output, which is to say that it is not tagwire's or is being made.
    pub fn output(&self, name: &str) -> Result<&str, CloudError> {
        let call = Call::reading("cloudformation:DescribeStacks", self.name.as_str());
        let missing = || call.error(ErrorKind::NotFound, "no-output", format!("the stack has no output {name}"));
        self.outputs.get(name).map(String::as_str).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Script;

    const RESOURCES: &str = "<DescribeStackResourcesResponse><DescribeStackResourcesResult><StackResources><member><StackName>tagwire-eu</StackName><PhysicalResourceId>/tagwire/installation</PhysicalResourceId><LogicalResourceId>Installation</LogicalResourceId><ResourceType>AWS::SSM::Parameter</ResourceType><Timestamp>2026-01-01T00:00:00Z</Timestamp><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member></StackResources></DescribeStackResourcesResult></DescribeStackResourcesResponse>";
    const STACK: &str = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>tagwire-eu</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>UPDATE_COMPLETE</StackStatus><Parameters><member><ParameterKey>Mode</ParameterKey><ParameterValue>dry-run</ParameterValue></member><member><ParameterKey>TagKey</ParameterKey><ParameterValue>/key</ParameterValue><ResolvedValue>team:db</ResolvedValue></member></Parameters><Outputs><member><OutputKey>StateTableName</OutputKey><OutputValue>table-1</OutputValue></member></Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>";
    const UNKNOWN: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack for /tagwire/installation does not exist</Message></Error></ErrorResponse>";
    const DENIED: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";

    #[tokio::test]
    async fn the_stack_is_found_by_the_resource_of_fixed_name() {
        let script = Script::default().then(200, RESOURCES).then(200, STACK);
        let stack = Stacks::new(&script.config()).find(None).await.unwrap().unwrap();
        assert_eq!((stack.name.as_str(), stack.status.as_str()), ("tagwire-eu", "UPDATE_COMPLETE"));
        assert_eq!(stack.parameters["TagKey"], "team:db");
        assert_eq!(stack.output("StateTableName").unwrap(), "table-1");
        assert!(stack.output("ConnectQueueUrl").unwrap_err().to_string().contains("ConnectQueueUrl"));
        let [resources, stacks] = script.asked().try_into().unwrap();
        assert!(
            resources.contains("Action=DescribeStackResources")
                && resources.contains("PhysicalResourceId=/tagwire/installation")
        );
        assert!(stacks.contains("Action=DescribeStacks") && stacks.contains("StackName=tagwire-eu"));
    }

    #[tokio::test]
    async fn a_resource_has_the_id_that_its_service_knows_unless_it_is_gone() {
        let answer = |status: &str| {
            format!(
                "<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail><StackName>tagwire</StackName><LogicalResourceId>ConnectRole</LogicalResourceId><PhysicalResourceId>tagwire-ConnectRole-1</PhysicalResourceId><ResourceType>AWS::IAM::Role</ResourceType><LastUpdatedTimestamp>2026-01-01T00:00:00Z</LastUpdatedTimestamp><ResourceStatus>{status}</ResourceStatus></StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>"
            )
        };
        let script = Script::default()
            .then(200, answer("UPDATE_COMPLETE"))
            .then(200, answer("DELETE_COMPLETE"))
            .then(400, UNKNOWN)
            .then(403, DENIED);
        let stacks = Stacks::new(&script.config());
        let role = async || stacks.resource("tagwire", "ConnectRole").await;
        assert_eq!(role().await, Ok(Some("tagwire-ConnectRole-1".to_owned())));
        assert_eq!((role().await, role().await), (Ok(None), Ok(None)));
        assert_eq!(role().await.unwrap_err().resource, "ConnectRole of tagwire");
        assert!(script.asked()[0].contains("LogicalResourceId=ConnectRole"));
    }

    #[tokio::test]
    async fn no_stack_is_not_an_error_and_a_refusal_is() {
        let none = Script::default().then(400, UNKNOWN);
        assert_eq!(Stacks::new(&none.config()).find(None).await.unwrap(), None);
        let none = Script::default().then(400, UNKNOWN.replace("/tagwire/installation", "other"));
        assert_eq!(Stacks::new(&none.config()).find(Some("other")).await.unwrap(), None);
        let denied = Script::default().then(403, DENIED);
        let error = Stacks::new(&denied.config()).find(None).await.unwrap_err();
        assert_eq!((error.kind, error.resource.as_str()), (ErrorKind::Denied, "/tagwire/installation"));
    }
}
