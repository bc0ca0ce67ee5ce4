//! What there is not enough of: descriptors, connections, patience, memory. Whoever is served goes on being served.

use crate::client::Client;
use crate::node::{Node, clean, metric, until};
use crate::sessions::{published, subscriber};
use crate::websocket::{Message, WebSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

#[test]
fn without_descriptors_the_old_are_served_and_the_new_as_soon_as_there_is_room() {
    let mut node = with_64_descriptors();
    let mut internal = node.internal();
    let mut old: Vec<Client> = (0..40).map(|_| node.connect()).collect();
    old.iter_mut().for_each(served);
    let mut new: Vec<Client> = (0..40).map(|_| node.connect()).collect();
    new.iter_mut()
        .for_each(|client| client.ask("GET", "/style.css", "", b""));
    let refused = "orbited_refused_total{reason=\"no-descriptors\"}";
    until("descriptors run out", || metric(&mut internal, refused) > 0);

    old.iter_mut().for_each(served);
    let (ticks, turns) = (node.cpu_ticks(), metric(&mut internal, TURNS));
    // Not a wait for something: the time over which nothing should be done.
    thread::sleep(Duration::from_secs(2));
    let (ticks, turns) = (
        node.cpu_ticks() - ticks,
        metric(&mut internal, TURNS) - turns,
    );
    assert!(
        ticks <= 10,
        "{ticks} of 200 ticks while there is nothing to do"
    );
    assert!(turns <= 40, "{turns} turns while there is nothing to do");
    old.iter_mut().for_each(served);

    drop(old);
    for client in &mut new {
        assert_eq!(client.response().status, 200);
    }
    served(&mut node.connect());
    node.signal("TERM");
    assert_eq!(node.ended().code(), Some(0));
    let text = node.stderr();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("limit=64"))
        .collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains("ERROR") && lines[0].contains("ulimit -n"));
}

fn with_64_descriptors() -> Node {
    let mut shell = Command::new("sh");
    let script = "ulimit -n 64; exec \"$0\" \"$@\"";
    shell.args(["-c", script, env!("CARGO_BIN_EXE_orbited")]);
    shell.args([
        "--listen",
        "127.0.0.1:0",
        "--internal",
        "127.0.0.1:0",
        "--op",
        "off",
        "--stomp",
        "off",
    ]);
    shell.args(["--keepalive-timeout", "10m", "--header-timeout", "10m"]);
    Node::spawn(clean(&mut shell))
}

const TURNS: &str = "orbited_loop_turns_total";

fn served(client: &mut Client) {
    assert_eq!(client.get("/style.css").status, 200);
}

#[test]
fn one_connection_too_many_is_refused_in_words_and_there_is_room_when_one_closes() {
    let node = Node::start(&["--max-connections", "3"]);
    let mut three: Vec<Client> = (0..3).map(|_| node.connect()).collect();
    three.iter_mut().for_each(served);
    let mut fourth = node.connect();
    let refused = fourth.response();
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("\"code\":\"connections-full\""));
    assert!(fourth.is_closed(), "the answer has the length that it says");
    three.iter_mut().for_each(served);

    three.pop();
    until("there is room again", || {
        let mut client = node.connect();
        client
            .try_send(b"GET /style.css HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .is_ok()
            && matches!(client.read_some(), Ok(1..))
            && client.response_head().status == 200
    });
    node.stop();
}

#[test]
fn a_dribbled_head_gets_408_and_nobody_waits_for_it() {
    let node = Node::start(&["--header-timeout", "300ms"]);
    let mut slow: Vec<Client> = (0..20).map(|_| node.connect()).collect();
    for client in &mut slow {
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    }
    let mut good = node.connect();
    let mut dribbler = slow.pop().unwrap();
    dribbler.set_patience(Duration::from_millis(20));
    // Every byte is in time, all of them together are not.
    while dribbler.read_some().is_err() && dribbler.try_send(b"x").is_ok() {
        served(&mut good);
    }
    slow.push(dribbler);
    for client in &mut slow {
        client.set_patience(crate::node::PATIENCE);
        let answer = client.response();
        assert_eq!(
            (answer.status, answer.field("connection")),
            (408, Some("close"))
        );
        assert!(answer.text().contains("\"code\":\"request-timeout\""));
    }
    assert_eq!(
        node.metric("orbited_refused_total{reason=\"request-timeout\"}"),
        20
    );
    node.stop();
}

#[test]
fn pipelined_requests_whose_answers_nobody_reads_do_not_fill_the_memory() {
    let node = Node::start(&[]);
    served(&mut node.connect());
    let before = node.resident_kib();
    let many = "GET /_/CSP.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(4000);
    let mut greedy: Vec<Client> = (0..4).map(|_| node.connect()).collect();
    for client in &mut greedy {
        client.set_patience(Duration::from_millis(300));
        // Until the server takes no more, or has taken what would be hundreds of megabytes of answers.
        let _ = client.try_send(many.as_bytes());
    }
    served(&mut node.connect());
    let grown = node.resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB for four connections");
    for client in &mut greedy {
        client.set_patience(crate::node::PATIENCE);
        let answer = client.response();
        assert_eq!(answer.body, include_bytes!("../../static/CSP.js"));
    }
    node.stop();
}

#[test]
fn a_subscriber_that_does_not_read_is_ended_and_the_others_miss_nothing() {
    let node = Node::start(&["--max-queue", "256KiB"]);
    let mut good: Vec<WebSocket> = (0..5).map(|_| subscriber(&node, "room")).collect();
    let mut lazy = subscriber(&node, "room");
    let mut internal = node.internal();
    let mut watch = node.internal();
    let overflows = "orbited_signoffs_total{reason=\"overflow\"}";
    let mut sent = 0;
    while metric(&mut watch, overflows) == 0 {
        assert!(sent < 2000, "120 MB wait for one that does not read");
        sent += 1;
        let text = format!("{sent} {}", "x".repeat(60_000));
        let reached = internal.publish("room", text.as_bytes());
        for socket in &mut good {
            assert_eq!(socket.next_text(), published("room", &text, sent));
        }
        assert!(reached == 6 || metric(&mut watch, overflows) == 1);
    }
    assert_eq!(internal.publish("room", b"after"), 5);
    for socket in &mut good {
        assert_eq!(socket.next_text(), published("room", "after", sent + 1));
    }
    let came = in_order_until_closed(&mut lazy);
    assert!(came < sent, "{came} of {sent}");
    assert_eq!(
        metric(&mut watch, "orbited_sessions{transport=\"websocket\"}"),
        5
    );
    drop(good);
    until("everything is let go", || {
        metric(&mut watch, "orbited_queue_bytes") < 4096
    });
    node.stop();
}

/// How many messages an abandoned subscriber finds when it reads at last: the first ones, each once, then the end.
fn in_order_until_closed(lazy: &mut WebSocket) -> u64 {
    let mut came = 0;
    loop {
        match lazy.next() {
            Message::Text(line) => {
                came += 1;
                let start = format!("[\"PUBLISH\",[\"room\",null,\"{came} x");
                assert!(line.starts_with(&start), "{:?}", &line[..40]);
            }
            Message::Close(code) => {
                assert_eq!(code, 4413);
                return came;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_peer_that_resets_its_connection_leaves_nothing_behind() {
    let node = Node::start(&[]);
    for _ in 0..200 {
        let mut client = node.connect();
        client.ask("GET", "/_/CSP.js", "", b"");
        // Closing with unread bytes is a reset.
        client.read_some().unwrap();
    }
    node.until_metric("orbited_connections", |count| count == 1);
    assert_eq!(node.metric("orbited_queue_bytes"), 0);
    node.stop();
}
