//! An endpoint that refuses every call but that of single sign-on, and keeps by which access key each was signed.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

const REFUSAL: &str =
    "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>";

/// The id of every request.
pub(crate) const REQUEST_ID: &str = "3f5a-request";

/// The access key that whoever signed in by single sign-on gets.
pub(crate) const SIGNED_IN: &str = "SIGNEDIN";

pub(crate) struct Endpoint {
    pub(crate) url: String,
    keys: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keys = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&keys);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                thread::spawn(move || answer(&stream, &kept));
            }
        });
        Self { url, keys }
    }

    /// The access keys of all calls so far; none is left for the next question.
    pub(crate) fn keys(&self) -> Vec<String> {
        std::mem::take(&mut self.keys.lock().unwrap())
    }
}

/// Answers one call and closes the connection.
fn answer(mut stream: &TcpStream, keys: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let (mut length, mut line) = (0, String::new());
    let mut role_credentials = None;
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        let header = line.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if header.contains("/federation/credentials?") {
            role_credentials = Some(format!(
                r#"{{"roleCredentials":{{"accessKeyId":"{SIGNED_IN}","secretAccessKey":"s","sessionToken":"t","expiration":32503680000000}}}}"#
            ));
        }
        if header.starts_with("authorization:") {
            let (_, credential) = line.split_once("Credential=").unwrap();
            keys.lock().unwrap().push(credential.split('/').next().unwrap().to_owned());
        }
        line.clear();
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let (status, body) = match &role_credentials {
        Some(credentials) => ("200 OK", credentials.as_str()),
        None => ("403 Forbidden", REFUSAL),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\nx-amzn-requestid: {REQUEST_ID}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).unwrap();
}
