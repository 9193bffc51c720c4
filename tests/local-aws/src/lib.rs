//! A local AWS for tests and the demo: two emulator processes, the project's own stack deployed from `template.yaml`,
//! and a proxy between the functions and the servers that records their calls and can spoil them.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use tagwire_local_aws::LocalAws;
//!
//! let aws = LocalAws::lease().await?;
//! let launched = aws.ec2().run_instances().image_id("ami-12345678").min_count(1).max_count(1).send().await?;
//! aws.settle().await?;
//! for record in aws.records().await? {
//!     println!("{record}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! One lease is one pair of servers with one stack: tests do not share state. Two leases at once run on a machine, over
//! all processes; a third waits. Nothing here needs a container or anything outside this machine but the Python
//! packages, which are installed once.

mod events;
mod fault;
mod http;
mod made;
mod paths;
mod proxy;
mod run;
mod server;
mod settle;
mod slot;
mod stack;
mod state_table;
mod stores;
mod tags;
mod venv;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_ec2::config::Credentials;
use serde_json::{Value, json};

pub use crate::fault::{Effect, Fault};
pub use crate::proxy::Call;
pub use crate::settle::Depth;
pub use crate::stack::{Resource, Stack};
pub use crate::stores::Placement;
pub use crate::venv::python;

use crate::events::{ACCOUNT, REGION};
use crate::http::Request;
use crate::proxy::Proxies;
use crate::run::Run;
use crate::server::Server;
use crate::settle::{Delayed, State, Verdict};
use crate::slot::Slot;
use crate::stack::Deployment;

/// The account that everything lies in.
pub const ACCOUNT_ID: &str = ACCOUNT;

/// Services that the events and compute server answers; all others are the state server's.
const EVENT_SERVICES: [&str; 14] = [
    "CLOUDFORMATION",
    "CLOUDTRAIL",
    "CLOUDWATCH",
    "CLOUDWATCH_LOGS",
    "DYNAMODB",
    "EVENTBRIDGE",
    "IAM",
    "LAMBDA",
    "ORGANIZATIONS",
    "S3",
    "SCHEDULER",
    "SQS",
    "SSM",
    "STS",
];

/// How often the state is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long it must stay still: what the servers do of their own accord between two calls is over by then.
const STILL_FOR: Duration = Duration::from_millis(300);
const LOG_LINES_SHOWN: usize = 20;
const CALLS_SHOWN: usize = 10;

/// What a lease is to be like; [`LeaseOptions::default`] is the project's own stack as it is.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// Parameters of the stack that are not to have their default.
    pub parameters: BTreeMap<String, String>,
    /// Whether to deploy a stack at all, or only to start the servers.
    pub deploy: bool,
    /// Another template than the project's.
    pub template: Option<PathBuf>,
    /// A folder of binaries to deploy instead of building the workspace's.
    pub functions: Option<PathBuf>,
    /// The name of the stack.
    pub stack_name: String,
    /// Where to put logs; they stay there. By default they go when all went well.
    pub log_dir: Option<PathBuf>,
    /// How long [`LocalAws::settle`] waits.
    pub settle_deadline: Duration,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self {
            parameters: BTreeMap::new(),
            deploy: true,
            template: None,
            functions: None,
            stack_name: "tagwire".to_owned(),
            log_dir: None,
            settle_deadline: Duration::from_mins(1),
        }
    }
}

impl LeaseOptions {
    /// The same with one more stack parameter.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// A running local AWS. Dropping it ends the servers, the functions and the proxies.
///
/// Fields go in this order: the servers before the proxies their functions talk to, the logs' folder after those who
/// write to it, the slot last.
#[derive(Debug)]
pub struct LocalAws {
    clients: Clients,
    stack: Stack,
    deployment: Deployment,
    settle_deadline: Duration,
    tag_versions: Mutex<BTreeMap<String, u32>>,
    state_address: SocketAddr,
    events_address: SocketAddr,
    _servers: [Server; 2],
    proxies: Proxies,
    run: Run,
    _slot: Slot,
}

#[derive(Debug)]
struct Clients {
    dynamodb: aws_sdk_dynamodb::Client,
    ec2: aws_sdk_ec2::Client,
    elasticache: aws_sdk_elasticache::Client,
    rds: aws_sdk_rds::Client,
    redshift: aws_sdk_redshift::Client,
    sqs: aws_sdk_sqs::Client,
    eventbridge: aws_sdk_eventbridge::Client,
}

impl LocalAws {
    /// Builds the functions, starts the servers and deploys `template.yaml`.
    ///
    /// # Errors
    ///
    /// When one of these fails; the error says what was tried and where the logs are.
    pub async fn lease() -> Result<Self> {
        Self::lease_with(LeaseOptions::default()).await
    }

    /// As [`LocalAws::lease`], with choices.
    ///
    /// # Errors
    ///
    /// As for [`LocalAws::lease`].
    pub async fn lease_with(options: LeaseOptions) -> Result<Self> {
        // Before the slot is taken: a build may wait long for another one.
        let built = if options.deploy && options.functions.is_none() {
            tokio::task::spawn_blocking(stack::build_functions).await.context("building the functions")??
        } else {
            Vec::new()
        };
        let slot = Slot::take().await?;
        let run = Run::begin(options.log_dir.as_deref())?;
        let started = start(&run, &options, &built).await;
        let Started { servers, proxies, stack, deployment } = match started {
            Ok(started) => started,
            Err(error) => {
                run.mark_failed();
                return Err(error.context(format!("leasing a local AWS; its logs are in {}", run.logs().display())));
            }
        };
        let [(state, state_address), (events, events_address)] = servers;
        Ok(Self {
            clients: clients(state_address, events_address).await,
            stack,
            deployment,
            settle_deadline: options.settle_deadline,
            tag_versions: Mutex::default(),
            state_address,
            events_address,
            _servers: [events, state],
            proxies,
            run,
            _slot: slot,
        })
    }

    /// EC2, as the test sees it: straight to the server, neither recorded nor spoiled.
    #[must_use]
    pub fn ec2(&self) -> &aws_sdk_ec2::Client {
        &self.clients.ec2
    }

    /// RDS, as the test sees it.
    #[must_use]
    pub fn rds(&self) -> &aws_sdk_rds::Client {
        &self.clients.rds
    }

    /// ElastiCache, as the test sees it.
    #[must_use]
    pub fn elasticache(&self) -> &aws_sdk_elasticache::Client {
        &self.clients.elasticache
    }

    /// Redshift, as the test sees it.
    #[must_use]
    pub fn redshift(&self) -> &aws_sdk_redshift::Client {
        &self.clients.redshift
    }

    /// DynamoDB, as the test sees it.
    #[must_use]
    pub fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        &self.clients.dynamodb
    }

    /// SQS, as the test sees it.
    #[must_use]
    pub fn sqs(&self) -> &aws_sdk_sqs::Client {
        &self.clients.sqs
    }

    /// EventBridge, as the test sees it.
    #[must_use]
    pub fn eventbridge(&self) -> &aws_sdk_eventbridge::Client {
        &self.clients.eventbridge
    }

    /// The standard AWS variables that the functions have, for a program that is to see the same AWS. Its calls are
    /// recorded and spoiled like theirs.
    #[must_use]
    pub fn function_environment(&self) -> BTreeMap<String, String> {
        function_environment(&self.proxies)
    }

    /// The deployed stack; empty when none was asked for.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Deletes the stack, as an operator does; what its template retains stays, and so does everything that the
    /// functions have made. Until [`LocalAws::deploy`] there is no stack.
    ///
    /// # Errors
    ///
    /// When there is no stack, or it cannot be deleted.
    pub async fn delete_stack(&mut self) -> Result<()> {
        let deployment = self.deployment.clone();
        tokio::task::spawn_blocking(move || deployment.delete()).await.context("deleting the stack")??;
        self.stack = Stack::default();
        Ok(())
    }

    /// Deploys the stack anew, with these parameters that are not to have their default.
    ///
    /// # Errors
    ///
    /// When there is a stack of the name, or it does not come up.
    pub async fn deploy(&mut self, parameters: &BTreeMap<String, String>) -> Result<()> {
        let (deployment, parameters) = (self.deployment.clone(), parameters.clone());
        let deployed = tokio::task::spawn_blocking(move || deployment.create(&parameters));
        self.stack = deployed.await.context("deploying the stack")??;
        Ok(())
    }

    /// Deploys the same template once more as another stack.
    ///
    /// # Errors
    ///
    /// When it does not come up; the error has the stack's events.
    pub async fn deploy_beside(&self, stack: &str, parameters: &BTreeMap<String, String>) -> Result<Stack> {
        let deployment = Deployment { stack: stack.to_owned(), ..self.deployment.clone() };
        let parameters = parameters.clone();
        tokio::task::spawn_blocking(move || deployment.create(&parameters)).await.context("deploying the stack")?
    }

    /// The folder of the servers' and functions' logs.
    #[must_use]
    pub fn log_dir(&self) -> &Path {
        self.run.logs()
    }

    /// Keeps the logs when this ends: somebody will want to read them.
    pub fn keep_logs(&self) {
        self.run.mark_failed();
    }

    /// Puts an event, given with its whole envelope, on the event bus; answers the id that it got there.
    ///
    /// # Errors
    ///
    /// When the event has no source, detail type or detail, or is not taken.
    pub async fn put_event(&self, event: &Value) -> Result<String> {
        let text = |name: &str| {
            event.get(name).and_then(Value::as_str).ok_or_else(|| anyhow!("the event has no {name:?}: {event}"))
        };
        let detail = event.get("detail").ok_or_else(|| anyhow!("the event has no \"detail\": {event}"))?;
        let mut entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder()
            .source(text("source")?)
            .detail_type(text("detail-type")?)
            .detail(detail.to_string());
        for resource in event.get("resources").and_then(Value::as_array).into_iter().flatten() {
            entry = entry.resources(resource.as_str().unwrap_or_default());
        }
        if let Some(time) = event.get("time").and_then(Value::as_str) {
            let time: jiff::Timestamp = time.parse().with_context(|| format!("the event's time, {time:?}"))?;
            entry = entry.time(aws_sdk_eventbridge::primitives::DateTime::from_secs(time.as_second()));
        }
        let answer = self
            .clients
            .eventbridge
            .put_events()
            .entries(entry.build())
            .send()
            .await
            .with_context(|| format!("putting the event {event}"))?;
        answer
            .entries()
            .first()
            .and_then(|put| put.event_id())
            .map(str::to_owned)
            .ok_or_else(|| anyhow!("the event {event} was not taken: {:?}", answer.entries()))
    }

    /// Puts an `EC2 Instance State-change Notification`; the server sends these of its own accord as well.
    ///
    /// # Errors
    ///
    /// When the event is not taken.
    pub async fn instance_state(&self, instance_id: &str, state: &str) -> Result<String> {
        self.put_event(&events::instance_state(instance_id, state)).await
    }

    /// Puts a `Tag Change on Resource`, as the server does of its own accord after tags of EC2 and RDS were changed:
    /// `tags` is the whole set after the change. It changes no tags itself.
    ///
    /// # Errors
    ///
    /// When `arn` is not an ARN, or the event is not taken.
    pub async fn tag_changed(&self, arn: &str, changed_keys: &[&str], tags: &[(&str, &str)]) -> Result<String> {
        let version = {
            let mut versions = self.tag_versions.lock().unwrap_or_else(PoisonError::into_inner);
            let version = versions.entry(arn.to_owned()).or_insert(0);
            *version += 1;
            *version
        };
        self.put_event(&events::tag_change(arn, changed_keys, tags, version)?).await
    }

    /// Puts an `RDS DB Cluster Event` or `RDS DB Instance Event`, by what the ARN names; `event_id` is
    /// `RDS-EVENT-0170` and the like.
    ///
    /// # Errors
    ///
    /// When `arn` names neither a cluster nor an instance, or the event is not taken.
    pub async fn rds_event(&self, arn: &str, event_id: &str) -> Result<String> {
        self.put_event(&events::rds(arn, event_id)?).await
    }

    /// Puts a data store, named by ARN or identifier, into a state such as `modifying`; answers the one it was in.
    ///
    /// # Errors
    ///
    /// When there is no such store, or an identifier names two.
    pub async fn set_store_status(&self, store: &str, status: &str) -> Result<String> {
        let told = self.control("store-status", &json!({ "store": store, "status": status })).await?;
        told.get("before").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| anyhow!("no state in {told}"))
    }

    /// Says how long data stores take from now on: to become available once they are made, and to change their
    /// security groups, which are `adding` and `removing` until then. At first both take no time.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn slow_stores(&self, creating: Duration, changing: Duration) -> Result<()> {
        let delays = json!({ "creating": creating.as_secs_f64(), "changing": changing.as_secs_f64() });
        self.control("delays", &delays).await.map(drop)
    }

    /// Does at the state server what AWS itself would do.
    pub(crate) async fn control(&self, what: &str, order: &Value) -> Result<Value> {
        let answer = Request::json("POST", &format!("/tagwire/{what}"), order).send(self.state_address).await?;
        if answer.status != 200 {
            bail!("{what} {order}: HTTP {} {}", answer.status, answer.text());
        }
        serde_json::from_slice(&answer.body).with_context(|| format!("the answer to {what} {order}: {}", answer.text()))
    }

    /// Waits until all work is done: queues empty, delayed messages included, and no function running.
    ///
    /// # Errors
    ///
    /// When a message was given up on, or work is left when the deadline is over. The error tells what lies in the
    /// queues, what was logged last, and where the logs are.
    pub async fn settle(&self) -> Result<()> {
        self.settle_as(Delayed::Count).await
    }

    /// As [`LocalAws::settle`], but messages whose delay is not over may stay.
    ///
    /// # Errors
    ///
    /// As for [`LocalAws::settle`].
    pub async fn settle_except_delayed(&self) -> Result<()> {
        self.settle_as(Delayed::MayStay).await
    }

    async fn settle_as(&self, delayed: Delayed) -> Result<()> {
        let began = Instant::now();
        let mut still_since: Option<(Instant, usize)> = None;
        loop {
            let (calls, under_way) = self.proxies.ledger.activity();
            let state = self.state().await?;
            match state.verdict(delayed, &self.stack) {
                Verdict::DeadLetters => return Err(self.unsettled("a message was given up on", &state)),
                Verdict::Still if under_way == 0 => match still_since {
                    Some((since, calls_then)) if calls_then == calls => {
                        if since.elapsed() >= STILL_FOR {
                            return Ok(());
                        }
                    }
                    _ => still_since = Some((Instant::now(), calls)),
                },
                Verdict::Still | Verdict::Busy => still_since = None,
            }
            if began.elapsed() > self.settle_deadline {
                return Err(self.unsettled(&format!("work is left after {:?}", self.settle_deadline), &state));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn unsettled(&self, what: &str, state: &State) -> anyhow::Error {
        self.run.mark_failed();
        let calls = self.calls();
        let last_calls: Vec<String> = calls
            .iter()
            .skip(calls.len().saturating_sub(CALLS_SHOWN))
            .map(|call| {
                let by = call.function.as_deref().unwrap_or("another program");
                let status = call.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
                format!("\n  {} {} by {by}: {status}", call.service, call.action)
            })
            .collect();
        let logged = self.function_lines().unwrap_or_default();
        let last_lines: Vec<String> = logged
            .iter()
            .skip(logged.len().saturating_sub(LOG_LINES_SHOWN))
            .map(|(function, line)| format!("\n  {function}: {line}"))
            .collect();
        anyhow!(
            "the local AWS did not settle: {what}{}\nlast calls:{}\nlast lines of the functions:{}\nlogs: {}",
            state.report(&self.stack),
            last_calls.concat(),
            last_lines.concat(),
            self.run.logs().display()
        )
    }

    async fn state(&self) -> Result<State> {
        let answer = Request::json("GET", "/tagwire/state", &Value::Null)
            .send(self.events_address)
            .await
            .with_context(|| format!("asking for the queues; the logs are in {}", self.run.logs().display()))?;
        serde_json::from_slice(&answer.body)
            .with_context(|| format!("the server's state: HTTP {} {}", answer.status, answer.text()))
    }

    /// What lies in each queue, by logical id.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn queue_depths(&self) -> Result<BTreeMap<String, Depth>> {
        let named = |(name, queue): (String, settle::Queue)| {
            (self.stack.queue(&name).map_or(name.clone(), str::to_owned), queue.depth)
        };
        Ok(self.state().await?.queues.into_iter().map(named).collect())
    }

    /// The calls that went through the proxies, oldest first, since the start or the last
    /// [`LocalAws::forget_calls`].
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.proxies.ledger.calls()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.proxies.ledger.forget();
    }

    /// Spoils calls to come.
    pub fn inject(&self, fault: Fault) {
        self.proxies.ledger.inject(fault);
    }

    /// Takes back what was injected and has not struck; answers it, so that a test can tell that all of it has.
    pub fn forget_faults(&self) -> Vec<Fault> {
        self.proxies.ledger.forget_faults()
    }

    /// The functions' JSON log lines, oldest invocation first. Each has the key `logical_id` added, which names the
    /// function that wrote it.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    #[expect(clippy::unused_async, reason = "where the lines lie is not the callers' business")]
    pub async fn records(&self) -> Result<Vec<Value>> {
        let lines = self.function_lines()?;
        Ok(lines
            .into_iter()
            .filter_map(|(logical_id, line)| {
                let mut record: Value = serde_json::from_str(&line).ok()?;
                record.as_object_mut()?.insert("logical_id".to_owned(), Value::from(logical_id));
                Some(record)
            })
            .collect())
    }

    /// Every line that functions wrote, each with the logical id of its function.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn function_lines(&self) -> Result<Vec<(String, String)>> {
        let path = self.run.function_log();
        if !path.exists() {
            return Ok(Vec::new());
        }
        let log = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let mut lines = Vec::new();
        for invocation in log.lines() {
            let invocation: Invocation =
                serde_json::from_str(invocation).with_context(|| format!("{invocation:?} in {}", path.display()))?;
            let function = self.stack.logical_id(&invocation.function).unwrap_or(&invocation.function).to_owned();
            lines.extend(invocation.lines.into_iter().map(|line| (function.clone(), line)));
        }
        Ok(lines)
    }

    /// The state of one of the stack's alarms, named without the stack's name: `OK`, `ALARM`, or `INSUFFICIENT_DATA`
    /// until its metric has a value.
    ///
    /// # Errors
    ///
    /// When there is no such alarm.
    pub async fn alarm_state(&self, name: &str) -> Result<String> {
        let name = format!("{}-{name}", self.deployment.stack);
        let named = json!({ "AlarmNames": [name] });
        let told = self.ask("monitoring", "GraniteServiceVersion20100801.DescribeAlarms", &named).await?;
        let state = told.pointer("/MetricAlarms/0/StateValue").and_then(Value::as_str);
        state.map(str::to_owned).ok_or_else(|| anyhow!("the stack has no alarm {name}: {told}"))
    }

    /// A call to the events and compute server, for services that speak JSON and whose SDK would have to be compiled
    /// for one call. The service is named as in signatures.
    ///
    /// # Errors
    ///
    /// When the server refuses the call, or does not answer.
    pub async fn ask(&self, service: &str, target: &str, body: &Value) -> Result<Value> {
        let answer = Request::json("POST", "/", body)
            .with_header("authorization", &signature(service))
            .with_header("x-amz-target", target)
            .send(self.events_address)
            .await?;
        if answer.status != 200 {
            bail!("{target}: HTTP {} {}", answer.status, answer.text());
        }
        serde_json::from_slice(&answer.body).with_context(|| format!("the answer to {target}: {}", answer.text()))
    }

    /// A call to IAM, with its parameters.
    ///
    /// # Errors
    ///
    /// When the server refuses the call, or does not answer.
    pub async fn ask_iam(&self, action: &str, parameters: &[(&str, &str)]) -> Result<()> {
        let given = [("Action", action)].into_iter().chain(parameters.iter().copied());
        let answer =
            Request::form("/", given).with_header("authorization", &signature("iam")).send(self.events_address).await?;
        if answer.status != 200 {
            bail!("iam {action}: HTTP {} {}", answer.status, answer.text());
        }
        Ok(())
    }

    /// Runs the sweep now, as its schedule does, and answers what it answers; [`LocalAws::settle`] waits for the work
    /// that it hands out.
    ///
    /// # Errors
    ///
    /// When the stack has no function `SweepFunction`, or it fails.
    pub async fn sweep(&self) -> Result<Value> {
        self.invoke("SweepFunction", &json!({})).await
    }

    /// Kills the processes of a deployed function, named by its logical id, in the middle of whatever they do; answers
    /// how many there were. Its messages are then delivered again as SQS does.
    ///
    /// # Errors
    ///
    /// When there is no such function, or the server does not answer.
    pub async fn kill(&self, logical_id: &str) -> Result<u64> {
        let order = json!({ "function": self.stack.physical_id(logical_id)? });
        let answer = Request::json("POST", "/tagwire/kill", &order).send(self.events_address).await?;
        let told: Value = serde_json::from_slice(&answer.body)
            .with_context(|| format!("killing {logical_id}: HTTP {} {}", answer.status, answer.text()))?;
        told.get("killed").and_then(Value::as_u64).ok_or_else(|| anyhow!("no number in {told}"))
    }

    /// Calls a deployed function, named by its logical id, and answers what it answers.
    ///
    /// # Errors
    ///
    /// When there is no such function, or it fails.
    pub async fn invoke(&self, logical_id: &str, payload: &Value) -> Result<Value> {
        let name = self.stack.physical_id(logical_id)?;
        let path = format!("/2015-03-31/functions/{name}/invocations");
        let answer = Request::json("POST", &path, payload)
            .with_header("authorization", &signature("lambda"))
            .send(self.events_address)
            .await
            .with_context(|| format!("calling {logical_id}"))?;
        if answer.status != 200 || answer.headers.get("x-amz-function-error").is_some() {
            self.run.mark_failed();
            bail!(
                "{logical_id} failed: HTTP {} {}; the logs are in {}",
                answer.status,
                answer.text(),
                self.run.logs().display()
            );
        }
        serde_json::from_slice(&answer.body).with_context(|| format!("the answer of {logical_id}: {}", answer.text()))
    }
}

/// What stands where a signature does; nobody checks it, but it says which account and service are meant.
fn signature(service: &str) -> String {
    let scope = format!("{ACCOUNT}/20260101/{REGION}/{service}/aws4_request");
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=local")
}

/// A line of the functions' log.
#[derive(Debug, serde::Deserialize)]
struct Invocation {
    function: String,
    lines: Vec<String>,
}

#[derive(Debug)]
struct Started {
    servers: [(Server, SocketAddr); 2],
    proxies: Proxies,
    stack: Stack,
    deployment: Deployment,
}

async fn start(run: &Run, options: &LeaseOptions, built: &[PathBuf]) -> Result<Started> {
    stack::collect(built, &run.functions())?;
    let proxies = Proxies::open()?;
    let environment = function_environment(&proxies);
    let (function_log, temporary) = (run.function_log(), run.temporary());
    let logs = (run.log("ministack"), run.log("moto"));
    let functions = options.functions.clone().unwrap_or_else(|| run.functions());
    let options = options.clone();
    // The thread of a test has the test's name.
    let test = std::thread::current().name().unwrap_or_default().to_owned();

    // Processes are waited for here, which would hold up a test's other tasks.
    let started = tokio::task::spawn_blocking(move || -> Result<_> {
        let python = venv::python()?;
        let mut events = start_events_server(&python, &environment, &function_log, &temporary, &test, logs.0)?;
        let mut state = start_state_server(&python, logs.1)?;
        let events_address = loopback(events.port()?);
        state.answer_request(&format!("http://{events_address}"))?;

        let deployment = Deployment {
            python,
            endpoint: format!("http://{events_address}"),
            template: options.template.unwrap_or_else(|| paths::workspace().join("template.yaml")),
            functions,
            stack: options.stack_name,
        };
        // The state server is still reading its code at this point; deploying need not wait for it.
        let stack = if options.deploy { deployment.create(&options.parameters)? } else { Stack::default() };
        let state_address = loopback(state.port()?);
        Ok(([(state, state_address), (events, events_address)], stack, deployment))
    });
    let (servers, stack, deployment) = started.await.context("starting the servers")??;
    proxies.stand_before(servers[0].1, servers[1].1)?;
    Ok(Started { servers, proxies, stack, deployment })
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn start_state_server(python: &Path, log: PathBuf) -> Result<Server> {
    let mut command = server_command(python);
    command.args(["-m", "tagwire_moto", "--account-id", ACCOUNT, "--region", REGION, "--events-endpoint", "-"]);
    Server::start("moto", command, log)
}

fn start_events_server(
    python: &Path,
    environment: &BTreeMap<String, String>,
    function_log: &Path,
    temporary: &Path,
    test: &str,
    log: PathBuf,
) -> Result<Server> {
    let mut command = server_command(python);
    command
        .envs(environment)
        .env("TAGWIRE_TEST", test)
        .env("TMPDIR", temporary)
        .arg(paths::python().join("ministack_local.py"))
        .arg("--function-log")
        .arg(function_log);
    Server::start("ministack", command, log)
}

/// A Python that knows nothing of any AWS or proxy that this process was set up for.
fn server_command(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.current_dir(paths::python()).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        if shown.starts_with("AWS_")
            || shown.to_ascii_lowercase().ends_with("_proxy")
            || shown.starts_with("PYTHONPATH")
        {
            command.env_remove(&name);
        }
    }
    command
}

fn function_environment(proxies: &Proxies) -> BTreeMap<String, String> {
    let plain = [
        ("AWS_ACCESS_KEY_ID", ACCOUNT),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        // What this machine's user has set up for the real AWS is nobody's business here.
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ];
    let mut environment: BTreeMap<String, String> =
        plain.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    environment.insert("AWS_ENDPOINT_URL".to_owned(), format!("http://{}", proxies.state));
    for service in EVENT_SERVICES {
        environment.insert(format!("AWS_ENDPOINT_URL_{service}"), format!("http://{}", proxies.events));
    }
    environment
}

async fn clients(state: SocketAddr, events: SocketAddr) -> Clients {
    let shared = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(REGION))
        // Whatever goes wrong in a call of the test's own is the test's to see.
        .retry_config(RetryConfig::disabled())
        .credentials_provider(Credentials::new(ACCOUNT, "local", None, None, "local AWS"))
        .load()
        .await;
    let (state, events) = (format!("http://{state}"), format!("http://{events}"));
    Clients {
        dynamodb: aws_sdk_dynamodb::Client::from_conf(
            aws_sdk_dynamodb::config::Builder::from(&shared).endpoint_url(events.clone()).build(),
        ),
        elasticache: aws_sdk_elasticache::Client::from_conf(
            aws_sdk_elasticache::config::Builder::from(&shared).endpoint_url(state.clone()).build(),
        ),
        redshift: aws_sdk_redshift::Client::from_conf(
            aws_sdk_redshift::config::Builder::from(&shared).endpoint_url(state.clone()).build(),
        ),
        ec2: aws_sdk_ec2::Client::from_conf(
            aws_sdk_ec2::config::Builder::from(&shared).endpoint_url(state.clone()).build(),
        ),
        rds: aws_sdk_rds::Client::from_conf(aws_sdk_rds::config::Builder::from(&shared).endpoint_url(state).build()),
        sqs: aws_sdk_sqs::Client::from_conf(
            aws_sdk_sqs::config::Builder::from(&shared).endpoint_url(events.clone()).build(),
        ),
        eventbridge: aws_sdk_eventbridge::Client::from_conf(
            aws_sdk_eventbridge::config::Builder::from(&shared).endpoint_url(events).build(),
        ),
    }
}
