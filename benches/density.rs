//! What a session costs while nothing happens, and what a message costs that nobody has acknowledged.
//!
//! A million sessions are made through the node's public verbs, by real requests, without sockets. Each variant runs
//! in a process of its own, so that its memory is its own. `cargo bench --bench density [-- --smoke]`

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench fails by panicking"
)]

mod harness;

use harness::usage::{Counting, Usage};
use harness::{Bench, Laps, get, is_smoke, post, publish};
use orbited::config::Config;
use orbited::ids::ConnId;
use orbited::node::Door;
use orbited::session::Session;
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let flag = |word: &str| std::env::args().any(|found| found == word);
    if VARIANTS.into_iter().any(flag) {
        return run(flag(OWN), flag(KEPT));
    }
    let program = std::env::current_exe().expect("a program has a path");
    for variant in VARIANTS {
        let mut command = Command::new(&program);
        command.arg(variant).args(is_smoke().then_some("--smoke"));
        let status = command.status().expect("it was run before");
        assert!(status.success(), "{variant}");
    }
}

const SHARED: &str = "--shared-channel";
const OWN: &str = "--own-channels";
const KEPT: &str = "--kept-channel";
const VARIANTS: [&str; 3] = [SHARED, KEPT, OWN];

/// Makes the sessions, publishes to all of them, and prints what each step took and left.
fn run(own: bool, kept: bool) {
    let sessions = if is_smoke() { 10_000 } else { 1_000_000 };
    let channels = match (own, kept) {
        (true, _) => "a channel each",
        (_, true) => "one channel that keeps its last messages",
        _ => "one channel",
    };
    println!("{sessions} sessions with {channels}");
    println!(
        "{:41} ns each   median   worst us  RSS MiB  RSS B each  heap B each",
        ""
    );
    let rules = if kept { KEEPS } else { "" };
    let mut crowd = Crowd::new(sessions, rules);
    crowd.make();
    if own {
        crowd.subscribe("SUBSCRIBE", 1, |n| format!("user/{n}"));
        crowd.subscribe("SUBSCRIBE to a second, shared channel", 2, |_| {
            EVERYONE.into()
        });
    } else {
        crowd.subscribe("SUBSCRIBE", 1, |_| EVERYONE.into());
    }
    crowd.deliver("publish, each delivery (memory: added)", 1);
    crowd.check();
    let best_ns = crowd.deliver("the same behind one not acknowledged", AGAIN);
    let floor_ns = floor(sessions).best_ns();
    let times = best_ns / floor_ns;
    println!("  at best {best_ns:.1} ns, of a floor of {floor_ns:.1}: {times:.2} x");
}

/// The least that a delivery could cost: in as many rows as large as a session's, one after the other, a pointer is put
/// down and a sum grows.
fn floor(sessions: usize) -> Laps {
    let mut rows = vec![[1_u64; size_of::<Session>() / 8]; sessions];
    let mut laps = Laps::default();
    for _ in 0..AGAIN {
        let start = Instant::now();
        for row in &mut rows {
            row[0] = black_box(7);
            row[9] += 232;
        }
        laps.add(start.elapsed(), sessions);
        black_box(&rows);
    }
    laps
}

/// Prints a step: what it took, and what memory is in use since `since`.
fn row(step: &str, laps: &mut Laps, count: usize, since: &Usage) {
    let now = Usage::now();
    println!(
        "  {step:38} {:8.0} {:8.0} {:10.0}  {:7.1}  {:10.1}  {:11.1}",
        laps.mean_ns(),
        laps.median_ns(),
        laps.worst.as_micros(),
        now.resident.saturating_sub(since.resident) as f64 / f64::from(1 << 20),
        now.resident.saturating_sub(since.resident) as f64 / count as f64,
        now.heap.saturating_sub(since.heap) as f64 / count as f64,
    );
}

/// The sessions, all of them made and spoken to over one connection.
struct Crowd {
    bench: Bench,
    public: ConnId,
    internal: ConnId,
    /// A key each. Not part of what is measured, so the room is used before that begins.
    keys: Vec<[u8; 32]>,
    start: Usage,
}

impl Crowd {
    fn new(sessions: usize, rules: &str) -> Self {
        let keys = vec![[1; 32]; sessions];
        let start = Usage::now();
        let mut bench = Bench::new(Config {
            max_sessions: sessions,
            max_connections: 8,
            max_channels: sessions + 8,
            max_requests: 0,
            max_queue_total: 64 << 30,
            policies: harness::policies(rules),
            ..Config::default()
        });
        let public = bench.connect(Door::Public);
        let internal = bench.connect(Door::Internal);
        Self {
            bench,
            public,
            internal,
            keys,
            start,
        }
    }

    /// Shakes hands for every session.
    fn make(&mut self) {
        let request = post("/_/revolved/csp/handshake", "{\"encodings\":[0,1,2]}");
        let mut laps = Laps::default();
        for first in (0..self.keys.len()).step_by(BATCH) {
            let count = BATCH.min(self.keys.len() - first);
            self.serve((0..count).map(|_| request.clone()), &mut laps);
            let answers = String::from_utf8_lossy(self.bench.wrote(self.public));
            let keys = answers.split("\"session\":\"").skip(1);
            for (slot, key) in self.keys[first..].iter_mut().zip(keys) {
                slot.copy_from_slice(&key.as_bytes()[..32]);
            }
        }
        row("handshake", &mut laps, self.keys.len(), &self.start);
    }

    /// Every session sends its packet `number`, a SUBSCRIBE, and takes and acknowledges the answer. A batch of sessions
    /// is through with it before the next begins, so that answers do not pile up.
    fn subscribe(&mut self, step: &str, number: u64, channel: impl Fn(usize) -> String) {
        let (mut subscribe, mut poll, mut ack) = <(Laps, Laps, Laps)>::default();
        for first in (0..self.keys.len()).step_by(BATCH) {
            let range = first..self.keys.len().min(first + BATCH);
            let batch = |n: usize| {
                let line = format!("[1,\\\"SUBSCRIBE\\\",[\\\"{}\\\"]]\\n", channel(n));
                format!("[[{number},2,\"{line}\"]]")
            };
            let send = |n: usize| post(&self.path("send", n, number - 1), &batch(n));
            let comet = |n: usize| get(&self.path("comet", n, number - 1));
            let done = |n: usize| post(&self.path("send", n, number), "[]");
            let subscribes: Vec<String> = range.clone().map(send).collect();
            let polls: Vec<String> = range.clone().map(comet).collect();
            let acks: Vec<String> = range.map(done).collect();
            self.serve(subscribes, &mut subscribe);
            self.serve(polls, &mut poll);
            self.serve(acks, &mut ack);
        }
        let count = self.keys.len();
        row(step, &mut subscribe, count, &self.start);
        row(
            "  a poll that brings the answer",
            &mut poll,
            count,
            &self.start,
        );
        row(
            "  a request that acknowledges it",
            &mut ack,
            count,
            &self.start,
        );
    }

    /// Publishes 200 bytes to everyone, so many times: nobody is connected, everybody has it to come. The best of them,
    /// in nanoseconds for each session.
    fn deliver(&mut self, step: &str, times: usize) -> f64 {
        let before = Usage::now();
        let mut laps = Laps::default();
        for _ in 0..times {
            self.bench.clear(self.internal);
            let mut request = publish(EVERYONE, 200).into_bytes();
            let start = Instant::now();
            self.bench.receive(self.internal, &mut request);
            laps.add(start.elapsed(), self.keys.len());
            let answer = String::from_utf8_lossy(self.bench.wrote(self.internal));
            let reached = format!("{{\"subscribers\":{},", self.keys.len());
            assert!(answer.contains(&reached), "{answer}");
        }
        row(step, &mut laps, self.keys.len(), &before);
        laps.best_ns()
    }

    /// Some sessions look, and find the message.
    fn check(&mut self) {
        for n in (0..self.keys.len()).step_by(997) {
            let answer = self.bench.ask(self.public, &get(&self.path("comet", n, 0)));
            let found = answer.contains("PUBLISH") && answer.contains(EVERYONE);
            assert!(found && answer.contains(&"x".repeat(200)), "{answer}");
        }
    }

    fn path(&self, endpoint: &str, n: usize, ack: u64) -> String {
        let key = String::from_utf8_lossy(&self.keys[n]);
        format!("/_/revolved/csp/{endpoint}?s={key}&a={ack}")
    }

    /// Serves requests one by one, and notes how long the node took. The answers are left to be read.
    fn serve(&mut self, requests: impl IntoIterator<Item = String>, laps: &mut Laps) {
        let mut requests: Vec<Vec<u8>> = requests.into_iter().map(String::into_bytes).collect();
        self.bench.clear(self.public);
        self.bench.receive_all(self.public, &mut requests, laps);
        let answers = String::from_utf8_lossy(self.bench.wrote(self.public));
        let served = answers.matches("HTTP/1.1 200 OK\r\n").count();
        assert_eq!(served, requests.len(), "{answers}");
    }
}

/// Requests served between two looks at the clock.
const BATCH: usize = 1000;
/// Messages behind the first: what a chain holds without more memory for anybody.
const AGAIN: usize = 7;
const EVERYONE: &str = "everyone";
const KEEPS: &str = "everyone history=100";
