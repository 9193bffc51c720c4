//! What can be done to a call, so that a test sees how the functions take it.

use std::time::Duration;

use crate::http::Response;
use crate::proxy::Call;

/// An order to spoil calls of one kind, given with [`LocalAws::inject`](crate::LocalAws::inject).
#[derive(Clone, Debug)]
pub struct Fault {
    service: String,
    action: String,
    function: Option<String>,
    skip: u32,
    left: u32,
    effect: Effect,
}

/// What becomes of a spoiled call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Refused as too many, under the code that the service uses for it.
    Throttle,
    /// Refused as not allowed.
    AccessDenied,
    /// Failed on AWS's side; it took no effect.
    ServerError,
    /// Carried out, but the connection closes before the answer.
    LoseAnswer,
    /// Carried out after a while.
    Delay(Duration),
    /// Refused with a status, a code and a message of the test's choice.
    Refuse(u16, String, String),
}

impl Fault {
    /// Spoils the next call of an action of a service, named as in [`Call`]; `*` stands for any action.
    #[must_use]
    pub fn new(service: &str, action: &str, effect: Effect) -> Self {
        Self { service: service.to_owned(), action: action.to_owned(), function: None, skip: 0, left: 1, effect }
    }

    /// Spoils that many calls instead of one.
    #[must_use]
    pub fn times(self, number: u32) -> Self {
        Self { left: number, ..self }
    }

    /// Spoils every such call, until [`LocalAws::forget_faults`](crate::LocalAws::forget_faults).
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    /// Lets that many calls pass first.
    #[must_use]
    pub fn after(self, number: u32) -> Self {
        Self { skip: number, ..self }
    }

    /// Spoils only calls of the function whose deployed name contains this, such as its logical id.
    #[must_use]
    pub fn of_function(self, name: &str) -> Self {
        Self { function: Some(name.to_owned()), ..self }
    }

    /// The effect on a call, if it is one of those meant; it is then used up by one.
    pub(crate) fn strike(&mut self, call: &Call) -> Option<Effect> {
        let meant = self.service == call.service
            && (self.action == "*" || self.action == call.action)
            && self.function.as_ref().is_none_or(|wanted| call.function.as_ref().is_some_and(|by| by.contains(wanted)));
        if !meant || self.left == 0 {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.left -= 1;
        Some(self.effect.clone())
    }

    pub(crate) fn has_more(&self) -> bool {
        self.left > 0
    }
}

impl Effect {
    /// The answer that takes the place of the server's, in the words of the service's protocol.
    pub(crate) fn answer(&self, service: &str) -> Option<Response> {
        let (status, code, message) = match self {
            Self::LoseAnswer | Self::Delay(_) => return None,
            Self::Refuse(status, code, message) => (*status, code.as_str(), message.as_str()),
            Self::Throttle => match service {
                "ec2" => (503, "RequestLimitExceeded", "Request limit exceeded."),
                _ if speaks_xml(service) => (400, "Throttling", "Rate exceeded"),
                "dynamodb" => {
                    (400, "ProvisionedThroughputExceededException", "The level of configured throughput was exceeded.")
                }
                "tagging" => (400, "ThrottledException", "Rate exceeded"),
                "sqs" => (400, "RequestThrottled", "Rate exceeded"),
                _ => (400, "ThrottlingException", "Rate exceeded"),
            },
            Self::AccessDenied => match service {
                "ec2" => (403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
                _ if speaks_xml(service) => (403, "AccessDenied", "User is not authorized to perform this operation"),
                _ => (400, "AccessDeniedException", "User is not authorized to perform this operation"),
            },
            Self::ServerError => match service {
                "ec2" => (500, "InternalError", "An internal error has occurred"),
                "tagging" => (500, "InternalServiceException", "An internal error has occurred"),
                "dynamodb" => (500, "InternalServerError", "Internal server error"),
                _ => (500, "InternalFailure", "The request processing has failed because of an unknown error"),
            },
        };
        Some(match service {
            "ec2" => Response::new(
                status,
                &[("content-type", "text/xml;charset=UTF-8"), ("x-amzn-requestid", "spoiled")],
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Errors><Error><Code>{code}</Code>\
                     <Message>{message}</Message></Error></Errors><RequestID>spoiled</RequestID></Response>"
                ),
            ),
            _ if speaks_xml(service) => Response::new(
                status,
                &[("content-type", "text/xml"), ("x-amzn-requestid", "spoiled")],
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type>\
                     <Code>{code}</Code><Message>{message}</Message></Error><RequestId>spoiled</RequestId>\
                     </ErrorResponse>"
                ),
            ),
            _ => Response::new(
                status,
                &[("content-type", "application/x-amz-json-1.1"), ("x-amzn-errortype", code)],
                serde_json::json!({ "__type": code, "message": message }).to_string(),
            ),
        })
    }
}

/// Services that answer in the XML of the query protocol; EC2 has an XML of its own, and the rest speak JSON.
fn speaks_xml(service: &str) -> bool {
    ["rds", "elasticache", "redshift", "cloudformation", "iam", "sts"].contains(&service)
}
