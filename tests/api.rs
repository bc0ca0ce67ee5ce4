//! The application's API on a crowd, over a node without sockets: what is done to very many is done in slices, lists are
//! whole over their pages, and who asked and went away leaves nothing behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, its helpers too"
)]

use orbited::config::Config;
use orbited::ids::ConnId;
use orbited::mem::{Sink, Wrote};
use orbited::node::{DELIVERIES_PER_TURN, Door, Node};
use orbited::time::{Clock, Tick};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::IoSlice;

/// More than one turn has deliveries for.
const CROWD: usize = DELIVERIES_PER_TURN + 1_000;

#[test]
fn a_message_to_everybody_goes_on_over_turns_and_others_are_answered_between() {
    let mut crowd = Crowd::new();
    let (app, other) = (crowd.internal(), crowd.internal());
    crowd.receive(app, &post("/api/broadcast", "hi"));
    let before = crowd.node.metrics().messages_out;
    assert!(crowd.node.run_commands(), "there is more of it");
    let reached = crowd.node.metrics().messages_out - before;
    assert!(
        (1..=DELIVERIES_PER_TURN as u64).contains(&reached),
        "{reached}"
    );
    assert_eq!(crowd.flush(app), "");
    crowd.receive(other, &get("/api/sessions?limit=1"));
    assert!(crowd.flush(other).starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(crowd.settle(app), format!("{{\"sessions\":{CROWD}}}\n"));
}

#[test]
fn a_user_with_very_many_sessions_is_listed_subscribed_sent_to_and_kicked() {
    let mut crowd = Crowd::new();
    let app = crowd.internal();
    assert_eq!(
        crowd.keys(app, "/api/sessions?user=ann&limit=1000").len(),
        CROWD
    );
    assert_eq!(crowd.keys(app, "/api/sessions?limit=1000").len(), CROWD);
    assert_eq!(
        crowd.keys(app, "/api/sessions?user=bob&limit=1000").len(),
        0
    );
    let all = format!("{{\"sessions\":{CROWD},\"refused\":0}}\n");
    let target = "/api/subscribe?user=ann&channel=room";
    assert_eq!(crowd.ask(app, &post(target, "")), all);
    let published = format!("{{\"subscribers\":{CROWD},\"offset\":1}}\n");
    assert_eq!(crowd.ask(app, &post("/api/publish/room", "x")), published);
    let target = "/api/unsubscribe?user=ann&channel=room";
    assert_eq!(crowd.ask(app, &post(target, "")), all);
    assert_eq!(
        crowd.ask(app, &get("/api/channels")),
        "{\"channels\":[],\"after\":null}\n"
    );
    let sessions = format!("{{\"sessions\":{CROWD}}}\n");
    assert_eq!(crowd.ask(app, &post("/api/send/ann", "x")), sessions);
    assert_eq!(crowd.ask(app, &post("/api/kick/ann", "")), sessions);
    assert_eq!(
        crowd.keys(app, "/api/sessions").len(),
        0,
        "those that linger are not open"
    );
}

#[test]
fn what_was_asked_by_who_went_away_is_done_and_told_nobody() {
    let mut crowd = Crowd::new();
    let (app, other) = (crowd.internal(), crowd.internal());
    let body = r#"{"messages":[{"channels":["a","b"],"data":1}]}"#;
    for _ in 0..3 {
        let gone = crowd.internal();
        crowd.receive(gone, &post("/api/broadcast", "x"));
        crowd.receive(gone, &post("/api/publish", body));
        let gone_too = crowd.internal();
        crowd.receive(gone_too, &post("/api/publish", body));
        crowd.node.run_commands();
        crowd.node.ended(gone, true);
        crowd.node.ended(gone_too, true);
    }
    crowd.receive(app, &post("/api/publish", body));
    let answer = crowd.settle(app);
    assert_eq!(
        answer.matches("\"subscribers\":0,\"offset\":1").count(),
        2,
        "{answer}"
    );
    assert_eq!(crowd.settle(other), "");
}

/// A node, and sessions of one user without a connection.
struct Crowd {
    node: Node,
}

#[derive(Default)]
struct Memory(Vec<u8>);

impl Sink for Memory {
    fn write(&mut self, parts: &[IoSlice<'_>]) -> Wrote {
        parts.iter().for_each(|part| self.0.extend_from_slice(part));
        Wrote::Some(parts.iter().map(|part| part.len()).sum())
    }
}

impl Crowd {
    fn new() -> Self {
        let config = Config {
            max_connections: 64,
            max_sessions: CROWD,
            max_channels: 64,
            max_requests: 0,
            ..Config::default()
        };
        let mut node = Node::new(config, [7; 32]).unwrap();
        node.turn(Clock {
            tick: Tick(1_000),
            unix_ms: 1_700_000_000_000,
        });
        let mut crowd = Self { node };
        let door = crowd.node.accept(Door::Public).unwrap();
        for _ in 0..CROWD {
            let answer = crowd.ask(
                door,
                &post("/_/revolved/csp/handshake", "{\"user\":\"ann\"}"),
            );
            assert!(answer.contains("\"session\":"), "{answer}");
        }
        assert_eq!(crowd.node.session_count(), CROWD);
        crowd
    }

    fn internal(&mut self) -> ConnId {
        self.node.accept(Door::Internal).unwrap()
    }

    fn receive(&mut self, conn: ConnId, bytes: &[u8]) {
        self.node.receive(conn, &mut bytes.to_vec());
    }

    /// What the node has written for `conn` by now.
    fn flush(&mut self, conn: ConnId) -> String {
        let mut wanted = Memory::default();
        while let Some(id) = self.node.next_dirty() {
            let mut other = Memory::default();
            let sink = if id == conn { &mut wanted } else { &mut other };
            self.node.flush(id, sink);
        }
        while let Some(id) = self.node.next_resumed() {
            self.node.resume(id);
        }
        while self.node.next_dead().is_some() {}
        String::from_utf8(wanted.0).unwrap()
    }

    /// The body that `conn` is answered with when everything is run.
    fn settle(&mut self, conn: ConnId) -> String {
        while self.node.run_commands() {}
        let text = self.flush(conn);
        self.node.check_invariants().unwrap();
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        body.unwrap_or_default()
    }

    fn ask(&mut self, conn: ConnId, request: &[u8]) -> String {
        self.receive(conn, request);
        while self.node.run_commands() {}
        let text = self.flush(conn);
        text.split_once("\r\n\r\n").expect(&text).1.to_owned()
    }

    /// The keys of all pages; no page is longer than a thousand, and no key comes twice.
    fn keys(&mut self, conn: ConnId, target: &str) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        let mut next = target.to_owned();
        loop {
            let page: Value = serde_json::from_str(&self.ask(conn, &get(&next))).unwrap();
            let rows = page["sessions"].as_array().unwrap();
            assert!(rows.len() <= 1_000);
            for row in rows {
                assert!(keys.insert(row["key"].as_str().unwrap().to_owned()));
            }
            match page["after"].as_str() {
                Some(after) => next = format!("{target}{}after={after}", joint(target)),
                None => return keys,
            }
        }
    }
}

fn joint(target: &str) -> char {
    if target.contains('?') { '&' } else { '?' }
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

fn post(target: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}
