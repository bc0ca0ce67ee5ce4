//! What one subscriber costs when a message is published: from the application's request to the last byte written.
//!
//! Ten thousand subscribers of each kind, over sinks in memory, against the least that the same bytes could cost in the
//! same run. `cargo bench --bench fanout [-- --smoke] [KIND]`

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench fails by panicking"
)]

mod harness;

use harness::{Bench, Laps, get, is_smoke, key, post, publish};
use orbited::config::Config;
use orbited::ids::ConnId;
use orbited::node::Door;
use std::time::{Duration, Instant};

fn main() {
    let (count, rounds) = if is_smoke() { (100, 3) } else { (10_000, 51) };
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    println!("{count} subscribers, a message of 200 bytes, medians of {rounds} rounds");
    println!(
        "{:16}  bytes each  floor ns  publish ns  write ns  together  (best)    x floor  again ns",
        ""
    );
    for kind in [BARE, SOCKET, EVENTS, STREAM, POLL] {
        if wanted.is_empty() || wanted.iter().any(|name| name == kind.name) {
            run(&kind, count, rounds);
        }
    }
}

/// A way to be subscribed.
struct Kind {
    name: &'static str,
    /// Makes a subscriber.
    open: fn(&mut Bench, up: ConnId) -> Subscriber,
    /// What it sends when it has a message: that it has it, or a request for the next. Nothing for one that need not.
    next: fn(&Subscriber, up: ConnId) -> Option<Request>,
}

/// Bytes for a connection.
type Request = (ConnId, Vec<u8>);

/// One subscriber.
struct Subscriber {
    conn: ConnId,
    key: String,
    /// Packets it has.
    got: u64,
}

const BARE: Kind = Kind {
    name: "bare-websocket",
    open: |bench, _| {
        let conn = bench.connect(Door::Public);
        bench.ask(conn, &upgrade("/_/revolved/ws"));
        bench.receive(conn, &mut frame("[1,\"SUBSCRIBE\",[\"room\"]]\n"));
        Subscriber::new(conn, String::new())
    },
    next: |_, _| None,
};

const SOCKET: Kind = Kind {
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

const EVENTS: Kind = Kind {
    name: "csp-sse",
    open: |bench, up| stream(bench, up, "sse"),
    next: acknowledge,
};

const STREAM: Kind = Kind {
    name: "csp-xhrstream",
    open: |bench, up| stream(bench, up, "xhrstream"),
    next: acknowledge,
};

const POLL: Kind = Kind {
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

fn handshake(bench: &mut Bench, up: ConnId, transport: &str) -> String {
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

    fn path(&self, endpoint: &str) -> String {
        let Self { key, got, .. } = self;
        format!("/_/revolved/csp/{endpoint}?s={key}&a={got}")
    }
}

/// What the rounds took.
#[derive(Default)]
struct Rounds {
    floor: Laps,
    publish: Laps,
    write: Laps,
    together: Laps,
    again: Laps,
}

fn run(kind: &Kind, count: usize, rounds: usize) {
    let mut bench = Bench::new(Config {
        max_sessions: count,
        max_connections: count + 8,
        max_requests: 0,
        ..Config::default()
    });
    let up = bench.connect(Door::Public);
    let internal = bench.connect(Door::Internal);
    let mut subscribers: Vec<Subscriber> =
        (0..count).map(|_| (kind.open)(&mut bench, up)).collect();
    let ids: Vec<ConnId> = subscribers
        .iter()
        .map(|subscriber| subscriber.conn)
        .collect();
    again(kind, &mut bench, up, &subscribers);
    let message = publish("room", 200);
    let mut bytes = Vec::new();
    let mut taken = Rounds::default();
    // The first round finds everything cold, the sinks without room and nothing to compare with.
    for n in 0..=rounds {
        let floor = bench.floor(&ids, &bytes);
        let (publish, write) = round(&mut bench, &ids, internal, &message, &mut bytes);
        subscribers
            .iter_mut()
            .for_each(|subscriber| subscriber.got += 1);
        let again = again(kind, &mut bench, up, &subscribers);
        if n == 0 {
            continue;
        }
        taken.floor.add(floor, count);
        taken.publish.add(publish, count);
        taken.write.add(write, count);
        taken.together.add(publish + write, count);
        taken.again.add(again, count);
    }
    print(kind, &mut taken, bytes.len());
}

/// Everybody sends what is to be sent before the next round.
fn again(kind: &Kind, bench: &mut Bench, up: ConnId, subscribers: &[Subscriber]) -> Duration {
    let requests = subscribers
        .iter()
        .filter_map(|subscriber| (kind.next)(subscriber, up));
    let mut requests: Vec<Request> = requests.collect();
    bench.clear(up);
    let start = Instant::now();
    for (id, request) in &mut requests {
        bench.receive(*id, request);
    }
    start.elapsed()
}

/// Publishes once, and sees that everybody got it.
fn round(
    bench: &mut Bench,
    ids: &[ConnId],
    internal: ConnId,
    message: &str,
    bytes: &mut Vec<u8>,
) -> (Duration, Duration) {
    bench.clear(internal);
    let mut request = message.as_bytes().to_vec();
    let took = bench.fan_out(internal, &mut request);
    let answer = String::from_utf8_lossy(bench.wrote(internal));
    let reached = format!("{{\"subscribers\":{},", ids.len());
    assert!(answer.contains(&reached), "{answer}");
    *bytes = bench.wrote(ids[0]).to_vec();
    for id in ids {
        let wrote = bench.wrote(*id);
        assert_eq!(wrote.len(), bytes.len(), "{}", wrote.escape_ascii());
        assert!(
            wrote
                .windows(200)
                .any(|window| window.iter().all(|byte| *byte == b'x'))
        );
    }
    took
}

fn print(kind: &Kind, rounds: &mut Rounds, bytes: usize) {
    let floor = rounds.floor.median_ns();
    let together = rounds.together.median_ns();
    println!(
        "{:16}  {bytes:10}  {floor:8.1}  {:10.1}  {:8.1}  {together:8.1}  {:8.1}  {:7.1}  {:8.1}",
        kind.name,
        rounds.publish.median_ns(),
        rounds.write.median_ns(),
        rounds.together.best_ns(),
        together / floor,
        rounds.again.median_ns(),
    );
}

fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A masked text frame of less than 126 bytes; the mask is nought.
fn frame(text: &str) -> Vec<u8> {
    assert!(text.len() < 126);
    [
        &[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0],
        text.as_bytes(),
    ]
    .concat()
}

/// As it stands in a packet of JSON.
const SUBSCRIBE: &str = "[1,\\\"SUBSCRIBE\\\",[\\\"room\\\"]]\\n";
