//! Ways to be subscribed to the channel `room`, as requests over the node's public verbs.
//!
//! In: a bench. Out: subscribers that have the answer to their SUBSCRIBE, and what each sends between two messages.

use super::{Bench, get, key, post};
use orbited::ids::ConnId;
use orbited::node::Door;

/// A way to be subscribed.
pub struct Kind {
    /// What the benches call it.
    pub name: &'static str,
    /// Makes a subscriber.
    pub open: fn(&mut Bench, up: ConnId) -> Subscriber,
    /// What it sends when it has a message: that it has it, or a request for the next. Nothing for one that need not.
    pub next: fn(&Subscriber, up: ConnId) -> Option<Request>,
}

/// Bytes for a connection.
pub type Request = (ConnId, Vec<u8>);

/// One subscriber.
pub struct Subscriber {
    /// What it is reached by.
    pub conn: ConnId,
    key: String,
    /// Packets it has.
    pub got: u64,
}

/// One message per WebSocket message, and nothing acknowledged.
pub const BARE: Kind = Kind {
    name: "bare-websocket",
    open: |bench, _| {
        let conn = bench.connect(Door::Public);
        bench.ask(conn, &upgrade("/_/revolved/ws"));
        bench.receive(conn, &mut frame("[1,\"SUBSCRIBE\",[\"room\"]]\n"));
        Subscriber::new(conn, String::new())
    },
    next: |_, _| None,
};

/// CSP by WebSocket, each message acknowledged by a message.
pub const SOCKET: Kind = Kind {
    name: "csp-websocket",
    open: |bench, up| {
        let key = handshake(bench, up, "");
        let conn = bench.connect(Door::Public);
        bench.ask(
            conn,
            &upgrade(&format!("/_/revolved/csp/websocket?s={key}")),
        );
        bench.receive(conn, &mut frame(&format!("[[1,2,\"{SUBSCRIBE}\"]]")));
        Subscriber::new(conn, key)
    },
    next: |subscriber, _| {
        let ack = format!("{{\"a\":{}}}", subscriber.got);
        Some((subscriber.conn, frame(&ack)))
    },
};

/// CSP by server-sent events, each message acknowledged by a request on another connection.
pub const EVENTS: Kind = Kind {
    name: "csp-sse",
    open: |bench, up| stream(bench, up, "sse"),
    next: acknowledge,
};

/// The same by XHR streaming.
pub const STREAM: Kind = Kind {
    name: "csp-xhrstream",
    open: |bench, up| stream(bench, up, "xhrstream"),
    next: acknowledge,
};

/// CSP by long-poll: each message ends the answer, and the next request acknowledges it.
pub const POLL: Kind = Kind {
    name: "csp-longpoll",
    open: |bench, up| stream(bench, up, "longpoll"),
    next: |subscriber, _| {
        let request = get(&subscriber.path("comet"));
        Some((subscriber.conn, request.into_bytes()))
    },
};

/// A comet request that is held or streamed; the answer to SUBSCRIBE is taken before.
fn stream(bench: &mut Bench, up: ConnId, transport: &str) -> Subscriber {
    let key = handshake(bench, up, transport);
    let conn = bench.connect(Door::Public);
    let mut subscriber = Subscriber::new(conn, key);
    subscriber.got = 0;
    let batch = format!("[[1,2,\"{SUBSCRIBE}\"]]");
    bench.ask(up, &post(&subscriber.path("send"), &batch));
    bench.ask(conn, &get(&subscriber.path("comet")));
    subscriber.got = 1;
    subscriber
}

fn acknowledge(subscriber: &Subscriber, up: ConnId) -> Option<Request> {
    Some((up, post(&subscriber.path("send"), "[]").into_bytes()))
}

/// Begins a session; its key.
pub fn handshake(bench: &mut Bench, up: ConnId, transport: &str) -> String {
    let settings = match transport {
        "" => String::new(),
        name => format!("?transport={name}&du=60"),
    };
    let path = format!("/_/revolved/csp/handshake{settings}");
    let answer = bench.ask(up, &post(&path, "{\"encodings\":[0,1,2]}"));
    key(&answer).to_owned()
}

impl Subscriber {
    fn new(conn: ConnId, key: String) -> Self {
        Self { conn, key, got: 1 }
    }

    /// The path of an endpoint of its session, with what it has.
    pub fn path(&self, endpoint: &str) -> String {
        let Self { key, got, .. } = self;
        format!("/_/revolved/csp/{endpoint}?s={key}&a={got}")
    }
}

/// A request to upgrade.
pub fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A masked text frame of less than 126 bytes; the mask is nought.
pub fn frame(text: &str) -> Vec<u8> {
    assert!(text.len() < 126);
    [
        &[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0],
        text.as_bytes(),
    ]
    .concat()
}

/// As it stands in a packet of JSON.
const SUBSCRIBE: &str = "[1,\\\"SUBSCRIBE\\\",[\\\"room\\\"]]\\n";
