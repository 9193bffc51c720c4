//! What stands between the functions and the servers: it records each call, and spoils those it is told to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::fault::{Effect, Fault};
use crate::http::{Request, Response};

/// A call that a function, or a program given the functions' environment, made to AWS.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it came.
    pub at: SystemTime,
    /// The service's name as it stands in the request's signature: `ec2`, `rds`, `sqs`, `tagging`, `dynamodb`.
    pub service: String,
    /// The API action, `DescribeInstances`; method and path where a service has no such name for it.
    pub action: String,
    /// The deployed name of the function that made it; `None` for another program.
    pub function: Option<String>,
    /// The HTTP status of the answer; `None` while there is none, and for an answer that was lost.
    pub status: Option<u16>,
    /// What was done to it on a test's behalf.
    pub spoiled_by: Option<Effect>,
    /// The request's body: a form for EC2 and RDS, JSON for the others.
    pub body: String,
}

impl Call {
    /// The parameters of a call whose body is a form, decoded; empty for other bodies.
    #[must_use]
    pub fn parameters(&self) -> BTreeMap<String, String> {
        if self.body.starts_with('{') {
            return BTreeMap::new();
        }
        form(&self.body).collect()
    }
}

/// Calls, the faults still to be put into some, and how many calls have no answer yet.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    calls: Vec<Call>,
    forgotten: usize,
    faults: Vec<Fault>,
    under_way: usize,
}

/// The ledger that both proxies write.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedLedger(Arc<Mutex<Ledger>>);

impl SharedLedger {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    pub(crate) fn forget(&self) {
        let mut ledger = self.lock();
        ledger.forgotten += ledger.calls.len();
        ledger.calls.clear();
    }

    pub(crate) fn inject(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    pub(crate) fn forget_faults(&self) -> Vec<Fault> {
        std::mem::take(&mut self.lock().faults)
    }

    /// How many calls there ever were, and how many have no answer yet.
    pub(crate) fn activity(&self) -> (usize, usize) {
        let ledger = self.lock();
        (ledger.forgotten + ledger.calls.len(), ledger.under_way)
    }

    fn begin(&self, call: Call) -> (usize, Option<Effect>) {
        let mut ledger = self.lock();
        let effect = ledger.faults.iter_mut().find_map(|fault| fault.strike(&call));
        ledger.faults.retain(Fault::has_more);
        ledger.under_way += 1;
        let number = ledger.forgotten + ledger.calls.len();
        ledger.calls.push(Call { spoiled_by: effect.clone(), ..call });
        (number, effect)
    }

    fn end(&self, number: usize, status: Option<u16>) {
        let mut ledger = self.lock();
        ledger.under_way -= 1;
        // A call that was forgotten while it was under way is not in the list any more.
        let index = number.checked_sub(ledger.forgotten);
        if let Some(call) = index.and_then(|index| ledger.calls.get_mut(index)) {
            call.status = status;
        }
    }
}

/// Two proxies, one for each server, on a thread of their own: a test that blocks, say on the output of a program that
/// calls AWS, must not hold up the calls it waits for.
#[derive(Debug)]
pub(crate) struct Proxies {
    pub(crate) ledger: SharedLedger,
    /// Where the proxy of the state server listens.
    pub(crate) state: SocketAddr,
    /// Where the proxy of the events and compute server listens.
    pub(crate) events: SocketAddr,
    upstreams: Arc<OnceLock<[SocketAddr; 2]>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxies {
    /// Opens both proxies; what they stand before is told later, since the servers are told of the proxies first.
    pub(crate) fn open() -> Result<Self> {
        let listen = || -> Result<StdListener> {
            let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).context("opening a proxy")?;
            listener.set_nonblocking(true).context("opening a proxy")?;
            Ok(listener)
        };
        let (state, events) = (listen()?, listen()?);
        let addresses = (state.local_addr()?, events.local_addr()?);
        let ledger = SharedLedger::default();
        let upstreams = Arc::new(OnceLock::new());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("making the runtime of the proxies")?;
        let (stop, stopped) = oneshot::channel();
        let serving = (ledger.clone(), Arc::clone(&upstreams));
        let thread = std::thread::Builder::new()
            .name("aws-proxies".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let (ledger, upstreams) = serving;
                    tokio::spawn(accept(state, 0, ledger.clone(), Arc::clone(&upstreams)));
                    tokio::spawn(accept(events, 1, ledger, upstreams));
                    // An error means that the sender is gone, which is a reason to stop as well.
                    stopped.await.ok();
                });
            })
            .context("starting the thread of the proxies")?;
        Ok(Self { ledger, state: addresses.0, events: addresses.1, upstreams, stop: Some(stop), thread: Some(thread) })
    }

    /// Tells where the servers are.
    pub(crate) fn stand_before(&self, state: SocketAddr, events: SocketAddr) -> Result<()> {
        self.upstreams.set([state, events]).map_err(|_| anyhow!("the proxies stand before servers already"))
    }
}

impl Drop for Proxies {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // No receiver means that the thread has ended by itself.
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            // A panic over there has been printed there.
            thread.join().ok();
        }
    }
}

async fn accept(listener: StdListener, which: usize, ledger: SharedLedger, upstreams: Arc<OnceLock<[SocketAddr; 2]>>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("local AWS: a proxy could not listen: {error}");
            return;
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let upstream = upstreams.get().and_then(|known| known.get(which)).copied();
                tokio::spawn(serve(stream, upstream, ledger.clone()));
            }
            // Out of file handles, most likely; others may be closed by then.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// One call over one connection; clients open another for the next.
async fn serve(mut stream: TcpStream, upstream: Option<SocketAddr>, ledger: SharedLedger) {
    let request = match Request::read(&mut stream).await {
        Ok(Some(request)) => request,
        Ok(None) => return,
        Err(error) => {
            eprintln!("local AWS: a proxy was sent {error:#}");
            return;
        }
    };
    // The system gives ports out again: whoever talks to an earlier owner of this one is not calling AWS.
    let Some(call) = describe(&request) else {
        let refusal = Response::new(404, &[], "this is a proxy for signed calls to AWS".to_owned());
        stream.write_all(&refusal.to_bytes()).await.ok();
        return;
    };
    let (service, action) = (call.service.clone(), call.action.clone());
    let (number, effect) = ledger.begin(call);
    let answer = answer(&request, &service, effect.as_ref(), upstream).await;
    match answer {
        Ok(Some(response)) => {
            ledger.end(number, Some(response.status));
            // The client may have given up waiting, which is its own affair.
            stream.write_all(&response.to_bytes()).await.ok();
            stream.shutdown().await.ok();
        }
        // Closed without a byte: the caller cannot know whether the call took effect.
        Ok(None) => ledger.end(number, None),
        Err(error) => {
            eprintln!("local AWS: {service} {action} did not reach its server: {error:#}");
            ledger.end(number, None);
        }
    }
}

async fn answer(
    request: &Request,
    service: &str,
    effect: Option<&Effect>,
    upstream: Option<SocketAddr>,
) -> Result<Option<Response>> {
    if let Some(response) = effect.and_then(|effect| effect.answer(service)) {
        return Ok(Some(response));
    }
    if let Some(Effect::Delay(time)) = effect {
        tokio::time::sleep(*time).await;
    }
    let upstream = upstream.ok_or_else(|| anyhow!("the servers are not up yet"))?;
    let response = request.send(upstream).await?;
    Ok((effect != Some(&Effect::LoseAnswer)).then_some(response))
}

/// The call that a request is; `None` when it is not signed for a service.
fn describe(request: &Request) -> Option<Call> {
    let service = signed_service(request.headers.get("authorization")?)?.to_owned();
    let header = |name| request.headers.get(name).unwrap_or_default();
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let target = request.headers.get("x-amz-target").and_then(|target| target.rsplit('.').next()).map(str::to_owned);
    let is_form = header("content-type").starts_with("application/x-www-form-urlencoded");
    let form_action = || form(&body).find_map(|(name, value)| (name == "Action").then_some(value));
    let action = target
        .or_else(|| if is_form { form_action() } else { None })
        .unwrap_or_else(|| format!("{} {}", request.method, request.path));
    Some(Call {
        at: SystemTime::now(),
        service,
        action,
        function: application(header("user-agent"))
            .or_else(|| application(header("x-amz-user-agent")))
            .map(str::to_owned),
        status: None,
        spoiled_by: None,
        body,
    })
}

/// The service in `Credential=<key>/<date>/<region>/<service>/aws4_request`.
fn signed_service(authorization: &str) -> Option<&str> {
    authorization.split_once("Credential=")?.1.split('/').nth(3)
}

/// The application's name in a user agent, which is where the functions' names are put.
fn application(user_agent: &str) -> Option<&str> {
    user_agent.split(' ').find_map(|part| part.strip_prefix("app/"))
}

/// The names and values of a form.
fn form(body: &str) -> impl Iterator<Item = (String, String)> + '_ {
    body.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decoded(name), decoded(value)))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let digits = String::from_utf8_lossy(&digits).into_owned();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
