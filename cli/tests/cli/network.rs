//! Where AWS cannot be reached.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use crate::{tagwire, text};

/// An endpoint that no connection to is ever made: more wait for it already than the system keeps.
struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl BlackHole {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        let waiting = std::iter::from_fn(connect).collect();
        Self { address, _listener: listener, _waiting: waiting }
    }
}

#[test]
fn without_a_network_the_doctor_says_so_within_three_seconds() {
    let hole = BlackHole::open();
    let endpoint = format!("http://{}", hole.address);
    let environment = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
    ];
    let began = Instant::now();
    let done = tagwire(&environment, &["doctor"]);
    let took = began.elapsed();
    assert_eq!(done.status.code(), Some(1));
    let message = text(&done.stdout);
    assert!(message.contains("AWS did not answer in eu-west-1, so nothing else was checked"), "{message}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}
