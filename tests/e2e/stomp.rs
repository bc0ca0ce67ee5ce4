//! STOMP by its own port: the application with a key of a file, one that takes nothing, and the end of the server.

use crate::client::Client;
use crate::node::{Node, scratch};
use std::fs;

/// Connects by the port of STOMP, with these headers, and reads until the server says that it is let in.
fn connect(node: &Node, headers: &str) -> Client {
    let mut client = Client::connect(node.said("stomp"));
    client.send(format!("CONNECT\naccept-version:1.2\n{headers}\n\0").as_bytes());
    let said = String::from_utf8(client.through(b"\0")).unwrap();
    assert!(said.starts_with("CONNECTED\n"), "{said}");
    client
}

fn next(client: &mut Client) -> String {
    String::from_utf8(client.through(b"\0")).unwrap()
}

fn header<'a>(frame: &'a str, name: &str) -> &'a str {
    let mut lines = frame.lines();
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_else(|| panic!("no {name} in {frame}"))
}

#[test]
fn an_application_shows_the_key_of_a_file_and_is_told_the_last_before_the_end() {
    let path = scratch("stomp-key");
    fs::write(&path, "the-key-of-the-file\n").unwrap();
    let key = format!("@{}", path.display());
    let mut node = Node::start(&["--api-key", &key, "--names", "anyone"]);
    let mut app = connect(&node, "passcode:the-key-of-the-file\n");
    app.send(b"SUBSCRIBE\nid:1\ndestination:/orbit/*\nack:client-individual\nreceipt:r\n\n\0");
    assert_eq!(header(&next(&mut app), "receipt-id"), "r");
    let mut other = connect(&node, "login:ann\n");
    let signon = next(&mut app);
    assert_eq!(
        (header(&signon, "orbit-event"), header(&signon, "user")),
        ("signon", "ann")
    );
    app.send(format!("ACK\nid:{}\n\n\0", header(&signon, "ack")).as_bytes());
    node.signal("TERM");
    assert_eq!(header(&next(&mut other), "message"), "the server stops");
    drop(other);
    let signoff = next(&mut app);
    assert_eq!(
        (header(&signoff, "orbit-event"), header(&signoff, "user")),
        ("signoff", "ann")
    );
    assert!(signoff.contains("\"reason\":\"shutdown\""), "{signoff}");
    app.send(format!("ACK\nid:{}\n\n\0", header(&signoff, "ack")).as_bytes());
    assert_eq!(header(&next(&mut app), "orbit-code"), "shutdown");
    drop(app);
    assert!(node.ended().success());
}

/// Whatever happens meanwhile: what it has not taken is bounded, and others are served.
#[test]
fn an_application_that_takes_nothing_holds_up_nobody_and_little_memory() {
    let node = Node::start(&["--callback-queue", "64KiB"]);
    let slow = "SUBSCRIBE\nid:1\ndestination:/orbit/failed\nack:client\nreceipt:r\n\n\0";
    let mut away = connect(&node, "orbit-role:app\nlogin:away\n");
    away.send(slow.as_bytes());
    assert_eq!(header(&next(&mut away), "receipt-id"), "r");
    let mut app = connect(&node, "orbit-role:app\n");
    let one = b"SEND\ndestination:/user/nobody\n\n0123456789\0";
    for _ in 0..20 {
        app.send(&one.repeat(1_000));
        app.send(b"SEND\ndestination:/user/nobody\nreceipt:s\n\nx\0");
        assert_eq!(header(&next(&mut app), "orbit-recipients"), "0");
    }
    let dropped = "orbited_callback_events_total{result=\"dropped\"}";
    node.until_metric(dropped, |dropped| dropped > 18_000);
    assert!(node.metric("orbited_callback_waiting") < 1_500);
    assert!(node.metric("orbited_queue_bytes") < 1024 * 1024);
    // Its group goes on without it, and no further.
    drop(away);
    node.until_metric("orbited_callback_waiting", |waiting| waiting < 500);
    node.stop();
}
