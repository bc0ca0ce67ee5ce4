//! OP over real sockets: an application in demo mode and with a key, and one that takes nothing.

use crate::client::Client;
use crate::node::{Node, run};
use crate::websocket::WebSocket;

/// Takes as many bytes as `expected` has, which they are to be.
fn told(client: &mut Client, expected: &str) {
    let came = client.take(expected.len());
    assert_eq!(String::from_utf8_lossy(&came), expected);
}

fn reader(node: &Node, user: &str) -> WebSocket {
    let mut reader = WebSocket::open(node.connect(), "/_/revolved/ws");
    reader.text(&format!("[1,\"AUTH\",[\"{user}\"]]\n"));
    assert_eq!(reader.next_text(), format!("[\"OK\",[1,\"{user}\"]]\n"));
    reader
}

#[test]
fn both_forms_of_op_reach_a_user_and_the_last_is_told_of_the_end() {
    let mut node = Node::start(&[]);
    let mut reader = reader(&node, "ann");
    let mut old = Client::connect(node.said("op"));
    old.send(b"Orbit 1.0\r\nEvent\r\nid: 1\r\nrecipient: ann, 0, /chat\r\nlength: 1\r\n\r\n1");
    assert_eq!(reader.next_text(), "[\"SEND\",[null,1]]\n");
    told(&mut old, "Success\r\nid: 1\r\n\r\n");
    let mut app = Client::connect(node.said("op"));
    app.send(b"CONNECT\nid:1\nconnection_id:a\n\n\0CALLBACK\nid:2\nfunction:signoff\nresponse:receipt\n\n\0");
    told(&mut app, "RECEIPT\r\nid:2\r\n\r\n\0");
    app.send(b"SEND\nid:3\nrecipient:ann\nrecipient:bob\n\n{\"n\":3}\0");
    assert_eq!(reader.next_text(), "[\"SEND\",[null,{\"n\":3}]]\n");
    told(
        &mut app,
        "CALLBACK\r\nfunction:failure\r\nid:3\r\nreason:not connected\r\nrecipient:bob\r\n\r\n\0",
    );
    told(
        &mut app,
        "CALLBACK\r\nfunction:success\r\nid:3\r\nrecipient:ann\r\n\r\n\0",
    );
    node.signal("TERM");
    told(
        &mut app,
        "CALLBACK\r\nfunction:signoff\r\nkey:ann\r\ntype:shutdown\r\n",
    );
    drop(app);
    assert_eq!(node.ended().code(), Some(0));
}

#[test]
fn outside_demo_mode_an_application_shows_a_key() {
    let node = Node::start(&["--api-key", "0123456789abcdef"]);
    let mut old = Client::connect(node.said("op"));
    old.send(b"Orbit 1.0\r\nEvent\r\nid: 1\r\nlength: 0\r\n\r\n");
    told(&mut old, "Failure\r\nid: 1\r\nmsg: OP 1.0 has no password");
    let mut other = Client::connect(node.said("op"));
    other.send(b"CONNECT\nid:1\nconnection_id:a\npassword:0123456789abcdee\n\n\0");
    told(&mut other, "ERROR\r\ncode:5\r\nid:1\r\n");
    let mut app = Client::connect(node.said("op"));
    app.send(b"CONNECT\nid:1\nconnection_id:a\nresponse:receipt\npassword:0123456789abcdef\n\n\0");
    told(&mut app, "RECEIPT\r\nid:1\r\n\r\n\0");
    node.stop();
}

#[test]
fn a_busy_port_for_op_that_was_named_ends_it_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(
        &[
            "--listen",
            "127.0.0.1:0",
            "--internal",
            "off",
            "--stomp",
            "off",
            "--op",
            &address,
        ],
        &[],
    );
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&format!("--op {address}: cannot listen")),
        "{text}"
    );
}
