//! The node without sockets, as the benches drive it: requests in, bytes into sinks, one turn after another.
//!
//! In: bytes for connections. Out: what the node wrote to each, and how long it took.

#![allow(dead_code, reason = "each bench uses its part")]

pub mod hubs;
pub mod room;
pub mod subscribers;
pub mod usage;

use orbited::config::Config;
use orbited::config::policy::Policies;
use orbited::config::rule::Rule;
use orbited::ids::ConnId;
use orbited::mem::{Sink, Wrote};
use orbited::node::{Door, Node};
use orbited::time::{Clock, Tick};
use std::hint::black_box;
use std::io::IoSlice;
use std::time::{Duration, Instant};

/// A node whose connections write into memory.
pub struct Bench {
    /// The node.
    pub node: Node,
    sinks: Vec<Memory>,
    /// While it is there, everything is written into it and nothing kept: what a sink costs is not the node's.
    pub counted: Option<Count>,
    turns: u64,
}

/// What a connection was written: the bytes are copied, as a kernel would, into room that is kept.
#[derive(Debug, Default)]
pub struct Memory(Vec<u8>);

impl Sink for Memory {
    fn write(&mut self, parts: &[IoSlice<'_>]) -> Wrote {
        parts.iter().for_each(|part| self.0.extend_from_slice(part));
        Wrote::Some(parts.iter().map(|part| part.len()).sum())
    }
}

/// How much was written.
#[derive(Debug, Default)]
pub struct Count {
    /// Writes, each a system call on a socket.
    pub writes: usize,
    /// Bytes.
    pub bytes: usize,
}

impl Sink for Count {
    fn write(&mut self, parts: &[IoSlice<'_>]) -> Wrote {
        let bytes = parts.iter().map(|part| part.len()).sum();
        self.writes += 1;
        self.bytes += bytes;
        Wrote::Some(bytes)
    }
}

impl Bench {
    /// A node with these bounds, where time stands still.
    pub fn new(config: Config) -> Self {
        let node = Node::new(config, [7; 32]).expect("the settings are fixed");
        Self {
            node,
            sinks: Vec::new(),
            counted: None,
            turns: 0,
        }
    }

    /// A connection.
    pub fn connect(&mut self, door: Door) -> ConnId {
        let id = self.node.accept(door).expect("there is room");
        let index = id.index() as usize;
        if index >= self.sinks.len() {
            self.sinks.resize_with(index + 1, Memory::default);
        }
        id
    }

    /// Bytes arrive on a connection, and the loop turns until it has nothing to do.
    pub fn receive(&mut self, id: ConnId, bytes: &mut [u8]) {
        self.node.receive(id, bytes);
        self.settle();
    }

    /// The same for several in turn. A function of its own in a profile, too.
    #[inline(never)]
    pub fn receive_all(&mut self, id: ConnId, requests: &mut [Vec<u8>], laps: &mut Laps) {
        let first = Instant::now();
        let mut last = first;
        for request in &mut *requests {
            self.receive(id, request);
            let now = Instant::now();
            laps.worst = laps.worst.max(now - last);
            last = now;
        }
        laps.add(last - first, requests.len());
    }

    /// The same; what came back is returned.
    pub fn ask(&mut self, id: ConnId, request: &str) -> String {
        self.clear(id);
        self.receive(id, &mut request.as_bytes().to_vec());
        String::from_utf8_lossy(self.wrote(id)).into_owned()
    }

    /// Turns of the loop, as `net` makes them, until nothing is to be done.
    pub fn settle(&mut self) {
        loop {
            self.node.run_commands();
            self.flush();
            while let Some(id) = self.node.next_resumed() {
                self.node.resume(id);
            }
            if self.node.dirty_len() == 0 && !self.node.has_commands() {
                return;
            }
            self.turn();
        }
    }

    /// A publication, with the time its deliveries took and the time its writing took.
    /// A function of its own in a profile, too.
    #[inline(never)]
    pub fn fan_out(&mut self, id: ConnId, request: &mut [u8]) -> (Duration, Duration) {
        let (mut publish, mut write) = (Duration::ZERO, Duration::ZERO);
        let mut start = Instant::now();
        let mut lap = || {
            let now = Instant::now();
            now - std::mem::replace(&mut start, now)
        };
        self.node.receive(id, request);
        loop {
            self.node.run_commands();
            publish += lap();
            self.flush();
            write += lap();
            if self.node.dirty_len() == 0 && !self.node.has_commands() {
                break;
            }
            self.turn();
        }
        self.settle();
        (publish, write + lap())
    }

    /// Begins a turn.
    pub fn turn(&mut self) {
        self.turns += 1;
        self.node.turn(Clock {
            tick: Tick(1),
            unix_ms: 1_800_000_000_000,
        });
        self.node.tick();
    }

    /// Writes what is due.
    pub fn flush(&mut self) {
        while let Some(id) = self.node.next_dirty() {
            let sink: &mut dyn Sink = match &mut self.counted {
                Some(count) => count,
                None => &mut self.sinks[id.index() as usize],
            };
            self.node.flush(id, sink);
        }
    }

    /// What a connection was written since it was cleared.
    pub fn wrote(&self, id: ConnId) -> &[u8] {
        &self.sinks[id.index() as usize].0
    }

    /// Forgets what a connection was written.
    pub fn clear(&mut self, id: ConnId) {
        self.sinks[id.index() as usize].0.clear();
    }

    /// The least that a fan-out costs: the same bytes copied to the same sinks, in the same order.
    pub fn floor(&mut self, ids: &[ConnId], bytes: &[u8]) -> Duration {
        ids.iter().for_each(|id| self.clear(*id));
        let start = Instant::now();
        for id in ids {
            let sink = &mut self.sinks[id.index() as usize];
            sink.0.extend_from_slice(black_box(bytes));
        }
        let took = start.elapsed();
        ids.iter().for_each(|id| self.clear(*id));
        took
    }
}

/// How long a step took, in batches.
#[derive(Debug, Default)]
pub struct Laps {
    /// The longest that one took, where each was looked at.
    pub worst: Duration,
    batches_ns: Vec<f64>,
    took: Duration,
    count: usize,
}

impl Laps {
    /// One batch more.
    pub fn add(&mut self, took: Duration, count: usize) {
        self.took += took;
        self.count += count;
        self.batches_ns.push(ns_each(took, count));
    }

    /// Nanoseconds each, everything counted.
    pub fn mean_ns(&self) -> f64 {
        ns_each(self.took, self.count)
    }

    /// Nanoseconds each in the batch in the middle: what other programs took is not in it.
    pub fn median_ns(&mut self) -> f64 {
        self.batches_ns.sort_by(f64::total_cmp);
        self.batches_ns
            .get(self.batches_ns.len() / 2)
            .copied()
            .unwrap_or_default()
    }

    /// Nanoseconds each in the best batch.
    pub fn best_ns(&self) -> f64 {
        self.batches_ns
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min)
    }
}

/// The key in the answer to a handshake.
pub fn key(answer: &str) -> &str {
    let (_, behind) = answer.split_once("\"session\":\"").expect(answer);
    behind.split_once('"').map_or("", |(key, _)| key)
}

/// A request with a body.
pub fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// A request without one.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// The application publishes a text of `bytes` bytes.
pub fn publish(channel: &str, bytes: usize) -> String {
    let body = "x".repeat(bytes);
    format!(
        "POST /api/publish/{channel} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
        Content-Length: {bytes}\r\n\r\n{body}"
    )
}

/// Rules, one a line.
pub fn policies(rules: &str) -> Policies {
    let rules = rules.lines().map(|rule| Rule::parse(rule).expect(rule));
    Policies::new(rules.collect())
}

/// Whether a tiny run is asked for, that only shows that the bench works.
pub fn is_smoke() -> bool {
    std::env::args().any(|word| word == "--smoke")
}

/// Nanoseconds for each of `count`.
pub fn ns_each(took: Duration, count: usize) -> f64 {
    took.as_nanos() as f64 / count as f64
}
