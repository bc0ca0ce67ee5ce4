//! Events posted to an application: over its real sockets, while it is there, away, and when the node stops.

use crate::application::Application;
use crate::node::{Node, run, scratch};
use crate::sessions::Session;
use crate::websocket::WebSocket;
use serde_json::Value;
use std::collections::BTreeSet;

/// A session that ends at once.
fn end_one(node: &Node) {
    drop(WebSocket::open(node.connect(), "/_/echo/ws"));
}

fn seqs(events: &[Value]) -> Vec<u64> {
    events
        .iter()
        .filter_map(|one| one["seq"].as_u64())
        .collect()
}

/// A callback for sign-offs only.
fn signoffs(url: &str) -> String {
    format!("{url} events=signoff")
}

#[test]
fn what_a_session_never_got_is_posted_and_signed() {
    let mut app = Application::start();
    let key = scratch("key");
    std::fs::write(&key, "0123456789abcdef\n").unwrap();
    let file = format!("@{}", key.display());
    let mut node = Node::start(&["--callback", &signoffs(&app.url()), "--callback-key", &file]);
    let mut away = Session::open(&node, "revolved");
    away.subscribe("room");
    assert_eq!(node.internal().publish("room", b"last words"), 1);
    node.signal("TERM");
    let post = app.post();
    app.answer("200 OK", "");
    assert!(
        post.head.starts_with("POST /orbited HTTP/1.1\r\n"),
        "{}",
        post.head
    );
    assert!(
        post.head
            .contains(&format!("\r\nHost: {}\r\n", app.address()))
    );
    assert!(
        post.head.contains("\r\nOrbited-Signature: t="),
        "{}",
        post.head
    );
    let events: Vec<Value> = serde_json::from_str(&post.body).unwrap();
    let [event] = &events[..] else {
        panic!("{}", post.body)
    };
    assert_eq!(event["event"], "signoff");
    assert_eq!(event["seq"], 1);
    assert_eq!(event["undelivered"][0]["body"], "last words");
    std::fs::remove_file(key).unwrap();
    assert_eq!(node.ended().code(), Some(0));
}

#[test]
fn what_was_not_taken_is_posted_again_in_order() {
    let mut app = Application::start();
    // The name has two addresses on most machines, of which one answers.
    let url = app.url().replace("127.0.0.1", "localhost");
    let node = Node::start(&["--callback", &signoffs(&url)]);
    end_one(&node);
    assert!(app.post().body.contains("\"seq\":1,"));
    app.answer("500 Internal Server Error", "");
    end_one(&node);
    let again = app.post();
    assert!(again.body.starts_with("[{\"run\":") && again.body.contains("\"seq\":1,"));
    app.hang_up();
    let mut told = seqs(&app.events());
    while told.len() < 2 {
        told.extend(seqs(&app.events()));
    }
    assert_eq!(told, [1, 2]);
    let address = app.address();
    drop(app);
    end_one(&node);
    node.until_metric("orbited_callbacks_total{result=\"unreachable\"}", |count| {
        count >= 2
    });
    let mut app = Application::at(&address);
    assert_eq!(seqs(&app.events()), [3]);
    drop(app);
    node.stop();
}

#[test]
fn a_name_that_nobody_has_keeps_nobody_waiting() {
    let node = Node::start(&["--callback", "http://nobody.invalid:1/"]);
    end_one(&node);
    node.until_metric("orbited_callbacks_total{result=\"unreachable\"}", |count| {
        count >= 1
    });
    assert_eq!(node.connect().get("/").status, 200);
    node.stop();
}

#[test]
fn thousands_of_sessions_that_end_together_are_each_told_once_and_in_order() {
    let mut app = Application::start();
    let mut node = Node::start(&["--callback", &format!("{} batch=500", signoffs(&app.url()))]);
    let mut client = node.connect();
    let mut keys = Vec::new();
    for _ in 0..SESSIONS {
        let answer = client.post("/_/echo/csp/handshake", b"{}");
        let text = String::from_utf8(answer.body).unwrap();
        keys.extend(text.split('"').nth(3).map(str::to_owned));
    }
    node.signal("TERM");
    let (mut told, mut next, mut requests) = (Vec::new(), 1, 0);
    while told.len() < SESSIONS {
        for event in app.events() {
            assert_eq!(event["seq"], next);
            assert_eq!(event["reason"], "shutdown");
            told.push(event["session"].as_str().unwrap().to_owned());
            next += 1;
        }
        requests += 1;
    }
    assert!(requests <= SESSIONS / 100, "{requests} requests");
    let [told, keys] = [told, keys].map(|all| all.into_iter().collect::<BTreeSet<_>>());
    assert_eq!((told.len(), told == keys), (SESSIONS, true));
    assert!(app.is_left());
    assert_eq!((app.connections, node.ended().code()), (1, Some(0)));
}

#[test]
fn a_node_whose_application_is_away_stops_all_the_same() {
    let app = Application::start();
    let url = app.url();
    drop(app);
    let mut node = Node::start(&["--callback", &signoffs(&url)]);
    let _open = WebSocket::open(node.connect(), "/_/echo/ws");
    node.signal("TERM");
    assert_eq!(node.ended().code(), Some(0));
    assert!(
        node.stderr().contains("events=1 are lost"),
        "{}",
        node.stderr()
    );
}

#[test]
fn what_cannot_be_called_is_refused_at_the_start_and_check_says_what_will_be() {
    let refused = |url: &str| {
        let output = run(&["--callback", url], &[]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused("https://app.example/").contains("https is not in this version"));
    assert!(refused("app.example").contains("must begin with http://"));
    let output = run(&["check", "--callback", "http://127.0.0.1:5000/x"], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with("callback "));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    assert_eq!(
        words.join(" "),
        "callback http://127.0.0.1:5000/x events=signon,signoff,message,delivered,failed,occupied,vacated as=json batch=100 flag --callback"
    );
}

const SESSIONS: usize = 10_000;
