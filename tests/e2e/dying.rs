//! A crowd that dies at once: every session is told of, once, with what it never got.
//!
//! In: CSP sessions on WebSockets, which are all dropped. Out: the application's feed, and in print what it took:
//! `cargo test --release --test e2e thousands_of_sessions_that_die -- --nocapture`.

use crate::client::Client;
use crate::node::Node;
use crate::websocket::WebSocket;
use orbited::net::limits::raise_open_files;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Instant;

/// As many as are asked for, where the system has descriptors for them.
fn crowd() -> usize {
    let files = raise_open_files() as usize;
    SESSIONS.min(files.saturating_sub(2_000))
}

/// Opens a session that is subscribed, on a WebSocket; its key, and the socket.
fn opened(node: &Node, up: &mut Client) -> (String, WebSocket) {
    let base = "/_/revolved/csp";
    let path = format!("{base}/handshake?du=1");
    let text = up.post(&path, b"{\"encodings\":[2]}").text();
    let (_, behind) = text.split_once("\"session\":\"").expect(&text);
    let key = behind.split_once('"').unwrap().0.to_owned();
    let path = format!("{base}/websocket?s={key}&a=0");
    let mut socket = WebSocket::open(node.connect(), &path);
    socket.text(r#"[[1,0,"[1,\"SUBSCRIBE\",[\"room\"]]\n"]]"#);
    socket.client.through(b"[\\\"OK\\\"");
    (key, socket)
}

#[test]
fn thousands_of_sessions_that_die_at_once_are_each_told_of_once_and_whole() {
    let count = crowd();
    let flags = ["--session-timeout", "1s", "--heartbeat", "1h"];
    let more = ["--max-requests", "0", "--keepalive-timeout", "1h"];
    let node = Node::start(&[flags, more].concat());
    let mut feed = node.internal();
    feed.ask("GET", "/api/events/signoff", "", b"");
    assert_eq!(feed.response_head().status, 200);
    let mut up = node.connect();
    let mut all: Vec<_> = (0..count).map(|_| opened(&node, &mut up)).collect();
    let mut internal = node.internal();
    for n in 1..=MESSAGES {
        let text = format!("{n} {}", "x".repeat(1_000));
        let channel = format!("room?id=m{n}");
        assert_eq!(internal.publish(&channel, text.as_bytes()), count as u64);
    }
    let expected: Told = acknowledged(&mut all).collect();
    let before = turns(&mut internal);
    let peak = node.peak_kib();
    drop(all);
    let start = Instant::now();
    assert!(told(&mut feed, count) == expected);
    let took = start.elapsed().as_millis();
    let grown = node.peak_kib() - peak;
    eprintln!("{count} sessions were told of {took} ms from their cut on, in {grown} KiB");
    let longer = before.iter().zip(turns(&mut internal));
    for ((bound, before), (_, after)) in longer {
        eprintln!("turns of the loop up to {bound} s: {}", after - before);
    }
    // All that they never got is 25 MB, each time it is spelled.
    assert!(grown < 16 * 1024, "{grown} KiB more");
    assert_eq!(node.metric("orbited_sessions{transport=\"none\"}"), 0);
    node.stop();
}

/// What each session, by its key, never got.
type Told = BTreeMap<String, Vec<String>>;

/// Every other acknowledges the first message. What each has not.
fn acknowledged(all: &mut [(String, WebSocket)]) -> impl Iterator<Item = (String, Vec<String>)> {
    all.iter_mut().enumerate().map(|(n, (key, socket))| {
        // The answer to its call is the first packet.
        let has = n as u64 % 2;
        socket.text(&format!("{{\"a\":{}}}", 1 + has));
        // What is behind it shows that it was taken.
        socket.text("[]");
        socket.client.through(b"{\"a\":1}");
        let left = (1 + has..=MESSAGES).map(|m| format!("m{m}"));
        (key.clone(), left.collect())
    })
}

/// Reads until so many were told of, each once.
fn told(feed: &mut Client, count: usize) -> Told {
    let mut told = Told::new();
    while told.len() < count {
        let chunk = String::from_utf8(feed.chunk().unwrap()).unwrap();
        let events = chunk.lines().filter_map(|line| line.strip_prefix("data: "));
        for event in events {
            let event: Value = serde_json::from_str(event).unwrap();
            assert_eq!(event["reason"], "timeout");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let ids = event["undelivered"].as_array().unwrap().iter();
            let ids = ids.map(|one| text(&one["id"])).collect();
            let before = told.insert(text(&event["session"]), ids);
            assert_eq!(before, None, "told of twice");
        }
    }
    told
}

/// How many turns of the loop took up to so many seconds.
fn turns(internal: &mut Client) -> Vec<(String, u64)> {
    let text = internal.get("/metrics").text();
    let buckets = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("orbited_loop_turn_seconds_bucket{le=\"")?;
        let (bound, count) = rest.split_once("\"} ")?;
        Some((bound.to_owned(), count.parse().unwrap()))
    });
    buckets.collect()
}

const SESSIONS: usize = 10_000;
const MESSAGES: u64 = 3;
