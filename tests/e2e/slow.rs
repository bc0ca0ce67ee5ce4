//! A subscriber that does not keep up with a channel whose rule says what becomes of it, beside others that do.

use crate::client::Client;
use crate::node::{Node, metric};
use crate::sessions::{Session, subscriber};
use crate::websocket::{Message, WebSocket};

/// What a channel brought a reader: the last offset, and how many it was told that it missed.
#[derive(Default)]
struct Heard {
    messages: u64,
    last: u64,
    missed: u64,
    notices: u64,
}

impl Heard {
    /// Takes a line; nothing may be missing without a notice.
    fn take(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("[\"GAP\",[\"room\",{\"missed\":") {
            let missed: u64 = rest.trim_end_matches("}]]\n").parse().unwrap();
            (self.missed, self.notices) = (self.missed + missed, self.notices + 1);
            self.last += missed;
            return;
        }
        let (_, behind) = line.rsplit_once("{\"offset\":").expect(line);
        let offset: u64 = behind.trim_end_matches("}]]\n").parse().unwrap();
        (self.messages, self.last) = (self.messages + 1, self.last + 1);
        assert_eq!(offset, self.last, "{} were missed", self.missed);
    }
}

/// Publishes more than any kernel takes for the one that does not read, 60 KB at a time, until so many were dropped.
/// Everybody of `good` gets everything. Gives back how many messages it were.
fn flood(node: &Node, good: &mut [WebSocket], policy: &str, mut meanwhile: impl FnMut(u64)) -> u64 {
    let mut internal = node.internal();
    let mut watch = node.internal();
    let dropped = format!("orbited_dropped_total{{policy=\"{policy}\"}}");
    let before = node.resident_kib();
    let mut sent = 0;
    while metric(&mut watch, &dropped) < 500 {
        assert!(sent < 3_000, "180 MB, and nothing is dropped");
        sent += 1;
        let text = format!("{sent} {}", "x".repeat(60_000));
        assert_eq!(
            internal.publish("room", text.as_bytes()),
            good.len() as u64 + 1
        );
        for socket in &mut *good {
            let line = socket.next_text();
            assert!(line.ends_with(&format!("{{\"offset\":{sent}}}]]\n")));
        }
        // A message is there as it was published, as a line, and as a packet.
        let queued = metric(&mut watch, "orbited_queue_bytes");
        assert!(queued < 3 * MAX_QUEUE, "{queued} bytes wait");
        meanwhile(sent);
    }
    let grown = node.resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB for one that does not read");
    sent
}

const MAX_QUEUE: u64 = 512 << 10;

fn node(policy: &str) -> Node {
    let rule = format!("room slow={policy}");
    Node::start(&["--max-queue", "512KiB", "--channel", &rule])
}

fn good(node: &Node) -> Vec<WebSocket> {
    (0..3).map(|_| subscriber(node, "room")).collect()
}

#[test]
fn a_bare_websocket_that_does_not_read_misses_the_oldest_and_is_told_how_many() {
    bare("drop-oldest");
}

#[test]
fn a_bare_websocket_that_does_not_read_finds_the_latest() {
    bare("latest");
}

fn bare(policy: &str) {
    let node = node(policy);
    let mut good = good(&node);
    let mut lazy = subscriber(&node, "room");
    let sent = flood(&node, &mut good, policy, |_| {});
    let mut heard = Heard::default();
    while heard.last < sent {
        match lazy.next() {
            Message::Text(line) => heard.take(&line),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((heard.last, heard.messages + heard.missed), (sent, sent));
    assert!(heard.missed >= 500, "{}", heard.missed);
    if policy == "latest" {
        assert_eq!(heard.notices, 1);
    }
    let label = format!("orbited_dropped_total{{policy=\"{policy}\"}}");
    assert_eq!(node.metric(&label), heard.missed, "exactly");
    // It keeps up again: everything comes.
    assert_eq!(node.internal().publish("room", b"after"), 4);
    match lazy.next() {
        Message::Text(line) => heard.take(&line),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        node.metric("orbited_signoffs_total{reason=\"overflow\"}"),
        0
    );
    node.stop();
}

/// A CSP session whose client takes a little now and then: what it was written and did not acknowledge is never dropped.
#[test]
fn a_csp_session_that_reads_slowly_gets_the_latest_and_keeps_its_session() {
    for policy in ["latest", "drop-oldest"] {
        let node = node(policy);
        let mut good = good(&node);
        let mut slow = Session::open(&node, "revolved");
        slow.subscribe("room");
        let mut heard = Heard::default();
        let sent = flood(&node, &mut good, policy, |sent| {
            if sent % 40 == 0 {
                lines(&mut slow, &mut heard, 1);
            }
        });
        while heard.last < sent {
            lines(&mut slow, &mut heard, 1);
        }
        assert_eq!((heard.last, heard.messages + heard.missed), (sent, sent));
        let label = format!("orbited_dropped_total{{policy=\"{policy}\"}}");
        assert_eq!(node.metric(&label), heard.missed, "exactly");
        node.stop();
    }
}

/// Takes so many lines, each over as many packets as it needs.
fn lines(session: &mut Session, heard: &mut Heard, count: usize) {
    for _ in 0..count {
        let mut line = session.next();
        while !line.ends_with('\n') {
            line += &session.next();
        }
        heard.take(&line);
    }
}

#[test]
fn a_reader_of_a_channel_with_a_time_gets_the_newest_at_most_so_often() {
    let node = Node::start(&["--channel", "room slow=every=50ms"]);
    let mut socket = subscriber(&node, "room");
    let mut internal = node.internal();
    let mut sent = 0;
    let mut heard = Heard::default();
    let dropped = "orbited_dropped_total{policy=\"every\"}";
    let mut watch: Client = node.internal();
    while metric(&mut watch, dropped) < 20 {
        sent += 1;
        internal.publish("room", b"x");
    }
    while heard.last < sent {
        heard.take(&socket.next_text());
    }
    assert_eq!(heard.missed, metric(&mut watch, dropped));
    assert_eq!(heard.messages + heard.missed, sent);
    node.stop();
}
