//! Readers of channels without a library, one of each transport, and those that come back.

use crate::node::Node;
use crate::websocket::{Message, WebSocket};
use serde_json::Value;
use std::thread;

#[test]
fn every_plain_transport_brings_every_message_once_and_in_order() {
    let node = Node::start(&[]);
    let opened = |query: &str, kind: &str| {
        let mut client = node.connect();
        client.ask("GET", &format!("/_/events?channel=a{query}"), "", b"");
        let head = client.response_head();
        assert_eq!(
            (head.status, head.field("content-type")),
            (200, Some(kind)),
            "{query}"
        );
        assert_eq!(
            head.field("cache-control"),
            Some("no-store, no-transform"),
            "{query}"
        );
        assert_eq!(head.field("x-accel-buffering"), Some("no"), "{query}");
        client
    };
    let mut events = opened("", "text/event-stream");
    let mut lines = opened("&transport=stream", "application/x-ndjson");
    let kind = "multipart/x-mixed-replace;boundary=\"csp\"";
    let mut parts = opened("&transport=multipart", kind);
    let mut socket = WebSocket::open(node.connect(), "/_/events?channel=a");
    let mut internal = node.internal();
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=MESSAGES {
                assert_eq!(internal.publish("a", n.to_string().as_bytes()), 4);
            }
        });
        scope.spawn(|| is_all(&till_last(&mut events, "data: ", "\n")));
        scope.spawn(|| is_all(&till_last(&mut lines, "\"data\":\"", "\"")));
        scope.spawn(|| is_all(&till_last(&mut parts, "\"data\":\"", "\"")));
        for n in 1..=MESSAGES {
            let message: Value = serde_json::from_str(&socket.next_text()).unwrap();
            assert_eq!(
                (&message["data"], &message["offset"]),
                (&n.to_string().into(), &n.into())
            );
        }
    });
    socket.close(1000);
    assert_eq!(socket.next(), Message::Close(1000));
    node.stop();
}

/// What stands behind `mark` up to `end`, each time, until the last message.
fn till_last(client: &mut crate::client::Client, mark: &str, end: &str) -> Vec<u64> {
    let mut text = String::new();
    loop {
        text += &String::from_utf8(client.chunk().unwrap()).unwrap();
        let found = text
            .split(mark)
            .skip(1)
            .filter_map(|rest| rest.split_once(end));
        let numbers: Vec<u64> = found.map(|(number, _)| number.parse().unwrap()).collect();
        if numbers.last() == Some(&MESSAGES) {
            return numbers;
        }
    }
}

fn is_all(numbers: &[u64]) {
    assert!(numbers.iter().copied().eq(1..=MESSAGES), "{numbers:?}");
}

#[test]
fn a_long_poll_that_missed_something_says_so() {
    let gaps = poll(&[]);
    println!("{gaps} gaps, all of them told");
}

#[test]
fn a_long_poll_of_a_channel_that_keeps_enough_misses_nothing() {
    assert_eq!(poll(&["--channel", "a history=1000"]), 0);
}

/// A reader that polls: between two answers it is not there. It gets no message twice nor out of order, and where one is
/// missing it was told so. Gives back how many times that was.
fn poll(flags: &[&str]) -> u64 {
    let node = Node::start(flags);
    let mut keeper = WebSocket::open(node.connect(), "/_/events?channel=a");
    let mut reader = node.connect();
    let mut internal = node.internal();
    let (mut since, mut last, mut gaps) = (String::new(), 0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=MESSAGES {
                internal.publish("a", n.to_string().as_bytes());
                assert!(keeper.next_text().contains(&format!("\"data\":\"{n}\"")));
            }
        });
        while last < MESSAGES {
            let target = format!("/_/events?channel=a&transport=longpoll&du=1&since={since}");
            let answer = reader.get(&target);
            let object: Value = serde_json::from_slice(&answer.body).unwrap();
            let place = object["since"].as_str().unwrap();
            assert_eq!(answer.field("last-event-id"), Some(place));
            let whole = object["recovered"].as_bool().unwrap();
            let messages = object["messages"].as_array().unwrap();
            for message in messages {
                let offset = message["offset"].as_u64().unwrap();
                assert_eq!(message["data"], offset.to_string());
                assert!(offset > last, "{offset} after {last}");
                // Nobody asked for what came before the first request.
                gaps += u64::from(offset > last + 1 && !since.is_empty());
                assert!(
                    offset == last + 1 || !whole,
                    "{last} to {offset} in silence"
                );
                last = offset;
            }
            let offset: u64 = place.split_once(':').unwrap().1.parse().unwrap();
            assert!(offset == last || !whole);
            (since, last) = (place.to_owned(), offset);
        }
    });
    node.stop();
    gaps
}

const MESSAGES: u64 = 400;
