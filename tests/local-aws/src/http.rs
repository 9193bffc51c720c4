//! As much HTTP as two servers on this machine need.
//!
//! An HTTP library's server half would change the features of crates that the AWS SDKs are built on, and so have every
//! SDK compiled a second time.

use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HEADERS_AT_MOST: usize = 64;
const HEAD_BYTES_AT_MOST: usize = 64 * 1024;

/// Header names and values, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of a header, whatever the case of its name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn without(&self, names: &[&str]) -> Self {
        let kept = |(known, _): &&(String, String)| !names.iter().any(|name| known.eq_ignore_ascii_case(name));
        Self(self.0.iter().filter(kept).cloned().collect())
    }

    fn and(mut self, name: &str, value: String) -> Self {
        self.0.push((name.to_owned(), value));
        self
    }

    fn parse(parsed: &[httparse::Header<'_>]) -> Self {
        let owned = |header: &httparse::Header<'_>| {
            (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
        };
        Self(parsed.iter().map(owned).collect())
    }

    /// A head that starts with the given line and ends with an empty one, for a connection that carries nothing more.
    fn head(&self, first_line: &str, body_length: usize) -> String {
        let framed = self
            .without(&["connection", "content-length", "expect", "keep-alive", "transfer-encoding"])
            .and("content-length", body_length.to_string())
            .and("connection", "close".to_owned());
        let lines = framed.0.iter().map(|(name, value)| format!("{name}: {value}"));
        std::iter::once(first_line.to_owned())
            .chain(lines)
            .chain([String::new(), String::new()])
            .collect::<Vec<_>>()
            .join("\r\n")
    }
}

/// A text as it stands in a form.
fn encoded(text: &str) -> String {
    let coded = text.bytes().map(|byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    coded.collect()
}

/// A request, read as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A request whose body is a form.
    pub(crate) fn form<'field>(path: &str, fields: impl Iterator<Item = (&'field str, &'field str)>) -> Self {
        let fields: Vec<String> = fields.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let mut request = Self::json("POST", path, &serde_json::Value::Null);
        request.headers = Headers::default().and("content-type", "application/x-www-form-urlencoded".to_owned());
        request.body = fields.join("&").into_bytes();
        request
    }

    /// A request with a JSON body.
    pub(crate) fn json(method: &str, path: &str, body: &serde_json::Value) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Headers(vec![("content-type".to_owned(), "application/json".to_owned())]),
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        }
    }

    /// The request with one more header.
    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Reads the next request of a connection; `None` when the other side has closed it.
    pub(crate) async fn read<R: AsyncRead + Unpin>(from: &mut R) -> Result<Option<Self>> {
        let mut buffer = Vec::new();
        let Some(head_length) = read_head(from, &mut buffer).await? else { return Ok(None) };
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_AT_MOST];
        let mut parsed = httparse::Request::new(&mut headers);
        parsed.parse(&buffer).context("a request that is not HTTP")?;
        let mut request = Self {
            method: parsed.method.unwrap_or_default().to_owned(),
            path: parsed.path.unwrap_or_default().to_owned(),
            headers: Headers::parse(parsed.headers),
            body: buffer.split_off(head_length),
        };
        if request.headers.get("transfer-encoding").is_some() {
            bail!("a chunked request, which no client of the local AWS sends: {} {}", request.method, request.path);
        }
        let length =
            request.headers.get("content-length").map_or(Ok(0), str::parse::<usize>).context("content-length")?;
        let missing = length.saturating_sub(request.body.len());
        let already_read = request.body.len();
        request.body.resize(already_read + missing, 0);
        if let Some(rest) = request.body.get_mut(already_read..) {
            from.read_exact(rest).await.context("reading the body of a request")?;
        }
        Ok(Some(request))
    }

    /// Sends the request over a connection of its own, and reads the answer to its end.
    pub(crate) async fn send(&self, to: SocketAddr) -> Result<Response> {
        let what = || format!("{} http://{to}{}", self.method, self.path);
        let mut stream = TcpStream::connect(to).await.with_context(what)?;
        let headers = match self.headers.get("host") {
            Some(_) => self.headers.clone(),
            None => self.headers.clone().and("host", to.to_string()),
        };
        let head = headers.head(&format!("{} {} HTTP/1.1", self.method, self.path), self.body.len());
        stream.write_all(head.as_bytes()).await.with_context(what)?;
        stream.write_all(&self.body).await.with_context(what)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.with_context(what)?;
        Response::parse(answer).with_context(what)
    }
}

/// An answer, read as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// An answer of this side's making.
    pub(crate) fn new(status: u16, headers: &[(&str, &str)], body: String) -> Self {
        let owned = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { status, headers: Headers(owned), body: body.into_bytes() }
    }

    fn parse(mut answer: Vec<u8>) -> Result<Self> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_AT_MOST];
        let mut parsed = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head_length) = parsed.parse(&answer).context("an answer that is not HTTP")?
        else {
            bail!("the answer ended in its head, after {} bytes", answer.len());
        };
        let status = parsed.code.ok_or_else(|| anyhow!("an answer without a status"))?;
        let headers = Headers::parse(parsed.headers);
        let mut body = answer.split_off(head_length);
        if headers.get("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            body = joined(&body)?;
        } else if let Some(length) = headers.get("content-length") {
            let length: usize = length.parse().context("content-length")?;
            if body.len() < length {
                bail!("the answer ended after {} of {length} bytes", body.len());
            }
            body.truncate(length);
        }
        Ok(Self { status, headers, body })
    }

    /// The answer as bytes, for a connection that is closed after it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let first_line = format!("HTTP/1.1 {} {}", self.status, reason(self.status));
        let mut bytes = self.headers.head(&first_line, self.body.len()).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The body as text, for messages.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400..500 => "Refused",
        500.. => "Failed",
        _ => "Done",
    }
}

/// Reads until a head is complete; answers how long it is, or `None` when nothing came at all.
async fn read_head<R: AsyncRead + Unpin>(from: &mut R, buffer: &mut Vec<u8>) -> Result<Option<usize>> {
    loop {
        if let Some(position) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            return Ok(Some(position + 4));
        }
        if buffer.len() > HEAD_BYTES_AT_MOST {
            bail!("a head of more than {HEAD_BYTES_AT_MOST} bytes");
        }
        if from.read_buf(buffer).await.context("reading a head")? == 0 {
            if buffer.is_empty() {
                return Ok(None);
            }
            bail!("the connection ended in the middle of a head");
        }
    }
}

/// The body that a sequence of chunks makes.
fn joined(mut chunks: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((start, length))) = httparse::parse_chunk_size(chunks) else {
            bail!("a chunk without a size, after {} bytes", body.len());
        };
        let end = start + usize::try_from(length).context("the size of a chunk")?;
        if length == 0 {
            return Ok(body);
        }
        body.extend_from_slice(chunks.get(start..end).ok_or_else(|| anyhow!("a chunk that ends early"))?);
        // Each chunk ends in CR LF.
        chunks = chunks.get(end + 2..).ok_or_else(|| anyhow!("chunks that end early"))?;
    }
}
