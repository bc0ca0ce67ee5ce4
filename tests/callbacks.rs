//! Events to URLs of the application in large numbers, by the pure node: what is sent of them, and what they hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use orbited::config::{Callback, Config};
use orbited::ids::ConnId;
use orbited::mem::{Sink, Wrote};
use orbited::node::{Door, Node};
use orbited::time::{Clock, Tick};
use serde_json::Value;
use std::io::IoSlice;

const SESSIONS: usize = 10_000;
const HANDSHAKE: &[u8] =
    b"POST /_/echo/csp/handshake HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}";
const OK: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// A node, and what it wrote on the connection to the application.
struct World {
    node: Node,
    now: Tick,
    /// The connection to the application.
    call: Option<ConnId>,
    wrote: Vec<u8>,
    /// Whether the application is there.
    there: bool,
    /// The most that waited at once, in bytes.
    queued_max: u64,
}

struct Taker<'a>(Option<&'a mut Vec<u8>>);

impl Sink for Taker<'_> {
    fn write(&mut self, parts: &[IoSlice<'_>]) -> Wrote {
        if let Some(into) = &mut self.0 {
            parts.iter().for_each(|part| into.extend_from_slice(part));
        }
        Wrote::Some(parts.iter().map(|part| part.len()).sum())
    }
}

impl World {
    fn new(queue: usize) -> Self {
        let callback = Callback::parse("http://127.0.0.1:1/ batch=1000 events=signoff").unwrap();
        let config = Config {
            max_sessions: SESSIONS + 1,
            max_connections: 16,
            max_channels: 16,
            max_requests: 0,
            callbacks: vec![callback],
            callback_queue: queue,
            ..Config::default()
        };
        Self {
            node: Node::new(config, [3; 32]).unwrap(),
            now: Tick(0),
            call: None,
            wrote: Vec::new(),
            there: true,
            queued_max: 0,
        }
    }

    fn begin_sessions(&mut self) {
        let conn = self.node.accept(Door::Public).unwrap();
        for _ in 0..SESSIONS {
            self.node.receive(conn, &mut HANDSHAKE.to_vec());
            self.settle();
        }
        assert_eq!(self.node.session_count(), SESSIONS + 1);
    }

    /// Time goes by until then, and the node wakes whenever it wants to.
    fn go_to(&mut self, target: Tick) {
        while let Some(due) = self.node.next_due().filter(|due| *due <= target) {
            self.now = self.now.max(due);
            self.settle();
        }
        self.now = target;
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            self.turn();
            self.queued_max = self.queued_max.max(self.node.queued_bytes());
            if self.node.dirty_len() == 0 && !self.node.has_commands() {
                return;
            }
        }
    }

    fn turn(&mut self) {
        let unix_ms = 1_700_000_000_000 + self.now.0;
        let tick = self.now;
        self.node.turn(Clock { tick, unix_ms });
        self.node.run_commands();
        while self.node.tick() {}
        self.node.run_commands();
        while let Some(dial) = self.node.next_dial() {
            match self.there {
                true => {
                    self.call = Some(dial.conn);
                    self.node.connected(dial.conn);
                }
                false => self.node.ended(dial.conn, true),
            }
        }
        for _ in 0..self.node.dirty_len() {
            let Some(id) = self.node.next_dirty() else {
                break;
            };
            let ours = self.call == Some(id);
            self.node
                .flush(id, &mut Taker(ours.then_some(&mut self.wrote)));
        }
        while let Some(id) = self.node.next_resumed() {
            self.node.resume(id);
        }
        while let Some(id) = self.node.next_dead() {
            self.call = self.call.filter(|call| *call != id);
        }
        self.node.check_invariants().unwrap();
    }

    /// The events of the next request, which is taken.
    fn take(&mut self) -> Vec<Value> {
        let text = String::from_utf8(std::mem::take(&mut self.wrote)).unwrap();
        let Some((_, body)) = text.split_once("\r\n\r\n") else {
            return Vec::new();
        };
        let events = serde_json::from_str(body).expect("one request at a time");
        if let Some(call) = self.call {
            self.node.receive(call, &mut OK.to_vec());
        }
        self.settle();
        events
    }
}

#[test]
fn sessions_that_end_together_are_each_told_once_in_order() {
    let mut world = World::new(8 << 20);
    let empty = world.node.queued_bytes();
    world.begin_sessions();
    // All of them time out within moments.
    world.go_to(Tick(61_000));
    assert_eq!(world.node.session_count(), 1);
    let (mut seq, mut requests) = (0, 0);
    let mut sessions = std::collections::BTreeSet::new();
    loop {
        let events = world.take();
        if events.is_empty() {
            break;
        }
        for event in events {
            seq += 1;
            assert_eq!(
                (&event["seq"], &event["skipped"]),
                (&seq.into(), &Value::Null)
            );
            sessions.insert(event["session"].to_string());
        }
        requests += 1;
    }
    assert_eq!((seq, sessions.len()), (SESSIONS as u64, SESSIONS));
    // About 64 KiB each.
    assert!(requests < 50, "{requests} requests");
    assert!(world.queued_max < 8 << 20, "{} bytes", world.queued_max);
    assert_eq!(world.node.queued_bytes(), empty);
}

#[test]
fn while_the_application_is_away_so_much_waits_and_no_more() {
    let mut world = World::new(64 << 10);
    world.there = false;
    let empty = world.node.queued_bytes();
    world.begin_sessions();
    world.go_to(Tick(61_000));
    assert_eq!(world.node.session_count(), 1);
    world.go_to(Tick(121_000));
    let waiting = world.node.queued_bytes();
    // A payload's own place is accounted besides.
    assert!(waiting < 3 * (64 << 10), "{waiting} bytes");
    world.there = true;
    world.go_to(Tick(131_000));
    let first = world.take();
    assert_eq!(first.len(), 1, "an open breaker tries one event");
    let skipped = first[0]["skipped"].as_u64().unwrap();
    let mut seq = first[0]["seq"].as_u64().unwrap();
    assert_eq!(seq, skipped + 1);
    loop {
        let events = world.take();
        if events.is_empty() {
            break;
        }
        for event in events {
            seq += 1;
            assert_eq!(
                (&event["seq"], &event["skipped"]),
                (&seq.into(), &Value::Null)
            );
        }
    }
    assert_eq!(seq, SESSIONS as u64);
    assert_eq!(world.node.queued_bytes(), empty);
}
