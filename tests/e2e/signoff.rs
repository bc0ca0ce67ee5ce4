//! Whoever leaves in mid-stream, whatever carried it: the application is told once, of everything that was never
//! acknowledged and of nothing that was.
//!
//! In: a client that left, and what it left. Out: the sign-off held against that, and how long it took, in print.

use crate::client::Client;
use crate::node::Node;
use crate::websocket::WebSocket;
use crate::{signoff_bare, signoff_bayeux, signoff_csp, signoff_stomp};
use serde_json::Value;
use std::collections::VecDeque;
use std::thread;
use std::time::Instant;

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// Its connections are reset.
    Reset,
    /// Its connections stay, and it does nothing any more.
    Silent,
}

/// A node, the application that publishes on it, and its feed of sign-offs.
pub struct Scene {
    /// The node.
    pub node: Node,
    internal: Client,
    feed: Client,
    told: VecDeque<Value>,
    published: u64,
}

impl Scene {
    /// A session lives for a second without a downstream; a silent socket is asked soon.
    pub fn start() -> Self {
        let times = ["--session-timeout", "1s", "--heartbeat", "200ms"];
        let node = Node::start(&[&times[..], &["--node-name", "here"]].concat());
        let mut feed = node.internal();
        feed.ask("GET", "/api/events/signoff", "", b"");
        assert_eq!(feed.response_head().status, 200);
        Self {
            internal: node.internal(),
            node,
            feed,
            told: VecDeque::new(),
            published: 0,
        }
    }

    /// Publishes the next so many messages, named by their numbers: `m1 `, `m2 ` and so on, and behind that so many bytes.
    /// How many sessions the last of them went to.
    pub fn publish(&mut self, many: u64, bytes: usize) -> u64 {
        let mut reached = 0;
        for _ in 0..many {
            self.published += 1;
            let id = format!("m{}", self.published);
            let text = format!("{id} {}", "x".repeat(bytes));
            reached = self
                .internal
                .publish(&format!("room?id={id}"), text.as_bytes());
        }
        reached
    }

    /// Publishes until the kernels between take nothing more of it for one that does not read, and then 20 more. How many
    /// it were.
    pub fn flood(&mut self) -> u64 {
        while self.node.metric("orbited_queue_bytes") < 100_000 {
            assert!(self.published < 5_000, "80 MB, and nothing waits");
            self.publish(1, 16_000);
        }
        self.publish(20, 10);
        self.published
    }

    /// The client leaves; gives back what of it stays.
    pub fn leave(&self, how: Leaves, clients: impl IntoIterator<Item = Client>) -> Left {
        let mut stay = Vec::new();
        for client in clients {
            match how {
                Leaves::Reset => client.reset(),
                Leaves::Silent => stay.push(client),
            }
        }
        Left {
            since: Instant::now(),
            how,
            _stay: stay,
        }
    }

    /// The end: one sign-off of a session that rode on `who` (up to a blank), for `reason`, which is given to `lists` with the
    /// numbers it names, and none besides.
    pub fn ends(mut self, who: &str, left: &Left, reason: &str, lists: impl Fn(&[u64])) {
        let event = self.told();
        let after = left.since.elapsed().as_millis();
        eprintln!(
            "{who}, {:?}: signoff after {after} ms, timeout 1000 ms",
            left.how
        );
        assert_eq!(event["event"], "signoff");
        assert_eq!(event["reason"], reason, "{who}");
        assert_eq!(event["node"], "here", "{who}");
        let transport = who.split(' ').next();
        assert_eq!(event["transport"].as_str(), transport, "{who}");
        assert_eq!(event.get("cut"), None, "{who}");
        lists(&numbers(&event));
        // Whoever comes behind it is told of next, and then nobody.
        drop(WebSocket::open(self.node.connect(), "/_/echo/ws"));
        assert_eq!(self.told()["service"], "echo", "{who}");
        let ended = format!("orbited_signoffs_total{{reason=\"{reason}\"}}");
        let both = 1 + u64::from(reason == "gone");
        assert_eq!(self.node.metric(&ended), both, "{who}");
        self.node.stop();
        while let Some(chunk) = self.feed.chunk() {
            let text = String::from_utf8(chunk).unwrap();
            assert!(!text.contains("data: "), "{who}: {text}");
        }
    }

    fn told(&mut self) -> Value {
        loop {
            if let Some(event) = self.told.pop_front() {
                return event;
            }
            let chunk = String::from_utf8(self.feed.chunk().unwrap()).unwrap();
            let events = chunk.lines().filter_map(|line| line.strip_prefix("data: "));
            self.told
                .extend(events.map(|event| serde_json::from_str::<Value>(event).unwrap()));
        }
    }
}

/// A client that left.
pub struct Left {
    since: Instant,
    how: Leaves,
    _stay: Vec<Client>,
}

/// The numbers of the messages that an event lists; each has the bytes that belong to its name, and its place.
fn numbers(event: &Value) -> Vec<u64> {
    let list = event["undelivered"].as_array().unwrap();
    let number = |one: &Value| {
        let id = one["id"].as_str().unwrap();
        let body = one["body"].as_str().unwrap();
        assert!(body.starts_with(&format!("{id} ")), "{id}: {body}");
        assert_eq!(one["channel"], "room");
        let number = id.strip_prefix('m').unwrap().parse().unwrap();
        assert_eq!(one["offset"], number);
        number
    };
    list.iter().map(number).collect()
}

/// All at once, since each waits for its answer to a ping as long as the node does.
#[test]
fn websockets_that_answer_no_ping_are_signed_off_with_what_they_did_not_acknowledge() {
    let all: [fn(); 4] = [
        signoff_bare::answers_no_ping,
        || signoff_csp::over_websocket(Leaves::Silent),
        || signoff_bayeux::websocket_that_acknowledges(Leaves::Silent),
        || signoff_stomp::over_websocket(Leaves::Silent),
    ];
    thread::scope(|scope| {
        for one in all {
            scope.spawn(one);
        }
    });
}
