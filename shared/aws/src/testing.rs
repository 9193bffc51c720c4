//! A stand-in for AWS's endpoints, for tests: it answers each call with the next of its prepared
//! answers and keeps the requests.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;

use tagwire_core::group_tags::GroupTags;

use crate::{Aws, AwsSettings, QueueUrls};

#[derive(Debug)]
struct Prepared {
    /// A text that a call must contain to be given it.
    to: String,
    status: u16,
    body: String,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    answers: Arc<Mutex<VecDeque<Prepared>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl HttpConnector for Script {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
        // Services that speak JSON name the operation in a header: `DynamoDB_20120810.PutItem`.
        let operation = request.headers().get("x-amz-target").and_then(|target| target.split('.').nth(1));
        let body = operation.map_or_else(|| body.to_string(), |operation| format!("{operation} {body}"));
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            let next = answers.iter().position(|prepared| plain(&body).contains(&prepared.to));
            next.and_then(|next| answers.remove(next))
        };
        self.asked.lock().unwrap().push(body);
        HttpConnectorFuture::ready(match answer {
            Some(Prepared { status, body, .. }) => {
                let mut answer = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
                answer.headers_mut().insert("x-amzn-requestid", "r-1");
                Ok(answer)
            }
            None => Err(ConnectorError::other("no answer is prepared".into(), None)),
        })
    }
}

impl Script {
    /// Adds an answer.
    pub(crate) fn then(self, status: u16, body: impl Into<String>) -> Self {
        self.to("", status, body)
    }

    /// Adds an answer to a call that holds some text, for calls whose order is of no interest.
    pub(crate) fn to(self, text: &str, status: u16, body: impl Into<String>) -> Self {
        let prepared = Prepared { to: text.to_owned(), status, body: body.into() };
        self.answers.lock().unwrap().push_back(prepared);
        self
    }

    /// The cloud whose endpoints these are.
    pub(crate) fn aws(&self) -> Aws {
        self.aws_with(Some("state"))
    }

    /// The same, with this state table.
    pub(crate) fn aws_with(&self, state_table: Option<&str>) -> Aws {
        let url = |name: &str| Some(format!("https://sqs.eu-west-1.amazonaws.com/123456789012/{name}"));
        let queues = QueueUrls { connect: url("connect.fifo"), instances: url("instances"), stores: None };
        let state_table = state_table.map(str::to_owned);
        let group_tags = GroupTags::read("CostCenter=42").unwrap();
        Aws::new(&self.config(), AwsSettings { connect_key: "k".to_owned(), group_tags, queues, state_table })
    }

    /// The configuration of clients of these endpoints.
    pub(crate) fn config(&self) -> SdkConfig {
        let connector = SharedHttpConnector::new(self.clone());
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test")))
            .retry_config(RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build()
    }

    /// The bodies of the calls so far, with form encoding undone, each behind its operation when the
    /// body does not name it.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|body| plain(body)).collect()
    }
}

fn plain(body: &str) -> String {
    [("%3A", ":"), ("%2A", "*"), ("%2F", "/"), ("%20", " "), ("%2C", ",")]
        .iter()
        .fold(body.to_owned(), |text, (code, symbol)| text.replace(code, symbol))
}
