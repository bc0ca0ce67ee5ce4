//! A body of many messages is published as a JSON reader reads it, every channel of every message, or not at all.

#![allow(clippy::expect_used, reason = "a target fails by panicking")]

use orbited::config::Config;
use orbited::ids::ConnId;
use orbited::mem::{Sink, Wrote};
use orbited::node::{Door, Node};
use serde_json::Value;
use std::cell::RefCell;
use std::io::IoSlice;

thread_local! {
    /// One node for all runs: making one takes longer than a body.
    static NODE: RefCell<(Node, ConnId)> = RefCell::new(node());
}

/// Panics where what was answered is not what was published.
pub fn run(data: &[u8]) {
    NODE.with_borrow_mut(|(node, app)| {
        let before = node.metrics().messages_in;
        let (status, body) = ask(node, *app, data);
        let published = node.metrics().messages_in - before;
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        let Some(results) = body["results"].as_array() else {
            assert!(matches!(status, 400 | 413), "{status} {body}");
            assert!(body["code"].is_string() && body["hint"].is_string());
            return assert_eq!(published, 0, "something of it was published");
        };
        assert!(matches!(status, 201 | 202 | 207), "{status} {body}");
        assert_eq!(results.len() as u64, published);
        // What is nested deeper than this reader goes is passed on all the same.
        let Ok(read) = serde_json::from_slice::<Value>(data) else {
            return;
        };
        let told: Vec<&Value> = results.iter().map(|result| &result["channel"]).collect();
        let messages = read["messages"].as_array().into_iter().flatten();
        let meant = messages.flat_map(|message| match &message["channels"] {
            Value::Array(names) => names.iter().collect(),
            _ => vec![&message["channel"]],
        });
        assert_eq!(told, meant.collect::<Vec<_>>());
    });
}

#[derive(Default)]
struct Memory(Vec<u8>);

impl Sink for Memory {
    fn write(&mut self, parts: &[IoSlice<'_>]) -> Wrote {
        parts.iter().for_each(|part| self.0.extend_from_slice(part));
        Wrote::Some(parts.iter().map(|part| part.len()).sum())
    }
}

fn node() -> (Node, ConnId) {
    let config = Config {
        max_connections: 1,
        max_sessions: 1,
        max_channels: 8,
        max_requests: 0,
        ..Config::default()
    };
    let mut node = Node::new(config, [7; 32]).expect("the default is right");
    let app = node.accept(Door::Internal).expect("there is room for one");
    (node, app)
}

fn ask(node: &mut Node, app: ConnId, body: &[u8]) -> (u16, String) {
    let head = format!(
        "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    node.receive(app, &mut [head.as_bytes(), body].concat());
    while node.run_commands() {}
    let mut sink = Memory::default();
    while let Some(conn) = node.next_dirty() {
        node.flush(conn, &mut sink);
    }
    let text = String::from_utf8(sink.0).expect("answers are text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.expect("a status"), body.to_owned())
}
