//! Addresses: TCP of both versions, Unix sockets, several at once, and those somebody else has.

use crate::client::Client;
use crate::node::{Node, command, run, scratch};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

#[test]
fn a_unix_socket_serves_http_and_goes_with_the_node() {
    let path = scratch("http");
    let address = format!("unix:{}", path.display());
    let flags = ["--listen", &address, "--internal", "off"];
    let flags = [&flags[..], &["--op", "off", "--stomp", "off"]].concat();
    let node = Node::spawn(&mut command(&flags));
    assert_eq!(
        node.ready,
        format!("ready http={address} internal=off op=off stomp=off")
    );
    assert_eq!(node.connect().get("/").status, 200);
    let mut socket = crate::websocket::WebSocket::open(node.connect(), "/_/echo/ws");
    socket.text("over unix");
    assert_eq!(socket.next_text(), "over unix");
    drop(socket);
    node.stop();
    assert!(!path.exists());
}

#[test]
fn the_internal_port_may_be_a_unix_socket() {
    let path = scratch("internal");
    let address = format!("unix:{}", path.display());
    let flags = ["--listen", "127.0.0.1:0", "--internal", &address];
    let node = Node::spawn(&mut command(&flags));
    assert_eq!(node.internal().get("/healthz").status, 200);
    node.stop();
}

#[test]
fn a_unix_socket_that_a_killed_node_left_is_taken_over() {
    let path = scratch("http");
    let address = format!("unix:{}", path.display());
    let flags = ["--listen", &*address, "--internal", "off"];
    Node::spawn(&mut command(&flags)).kill();
    assert!(path.exists() && Client::try_connect(&address).is_err());
    let node = Node::spawn(&mut command(&flags));
    assert_eq!(node.connect().get("/").status, 200);
    node.stop();
}

#[test]
fn a_unix_socket_that_somebody_serves_is_not_taken_over() {
    let path = scratch("http");
    let _owner = UnixListener::bind(&path).unwrap();
    let address = format!("unix:{}", path.display());
    let output = run(&["--listen", &address, "--internal", "off"], &[]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&address) && text.contains("another process has it"),
        "{text}"
    );
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_file_that_is_no_socket_is_not_removed() {
    let path = scratch("file");
    std::fs::write(&path, "precious").unwrap();
    let address = format!("unix:{}", path.display());
    let output = run(&["--listen", &address, "--internal", "off"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn ipv6_loopback_is_served() {
    if let Err(error) = TcpListener::bind("[::1]:0") {
        eprintln!("this machine has no ::1: {error}");
        return;
    }
    let flags = ["--listen", "[::1]:0", "--internal", "[::1]:0"];
    let node = Node::spawn(&mut command(&flags));
    assert!(node.said("http").starts_with("[::1]:"));
    assert_eq!(node.connect().get("/").status, 200);
    assert_eq!(node.internal().get("/healthz").status, 200);
    node.stop();
}

#[test]
fn every_listen_is_served_and_named_in_its_order() {
    let path = scratch("http");
    let unix = format!("unix:{}", path.display());
    let node = Node::start(&["--listen", "127.0.0.1:0", "--listen", &unix]);
    let addresses: Vec<&str> = node.said("http").split(',').collect();
    assert_eq!(addresses.len(), 3);
    assert_eq!(addresses[2], unix);
    assert_ne!(addresses[0], addresses[1]);
    for address in addresses {
        assert_eq!(Client::connect(address).get("/").status, 200, "{address}");
    }
    node.stop();
}

#[test]
fn a_busy_port_that_was_named_ends_it_with_1_with_cause_and_cure() {
    let owner = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = owner.local_addr().unwrap().to_string();
    for flags in [
        ["--listen", &address, "--internal", "off"],
        ["--listen", "127.0.0.1:0", "--internal", &address],
    ] {
        let output = run(&flags, &[]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(output.stdout.is_empty(), "not ready");
        assert!(
            text.contains(&format!("{address}: cannot listen: ")),
            "{text}"
        );
        assert!(text.contains("in use") && text.contains("port 0"), "{text}");
    }
}

#[test]
fn a_busy_internal_port_that_nobody_named_is_a_warning() {
    // Whether this test or somebody else has the default port, it is busy.
    let _owner = TcpListener::bind("127.0.0.1:8001");
    let mut node = Node::spawn(&mut command(&["--listen", "127.0.0.1:0"]));
    assert_eq!(node.said("internal"), "off");
    assert_eq!(node.connect().get("/").status, 200);
    node.signal("TERM");
    assert_eq!(node.ended().code(), Some(0));
    let text = node.stderr();
    let line = text.lines().find(|line| line.contains("WARN"));
    assert!(
        line.is_some_and(|line| line.contains("127.0.0.1:8001")),
        "{text}"
    );
}

#[test]
fn nodes_that_say_so_share_a_port() {
    let first = Node::start(&["--reuse-port"]);
    let address = first.said("http").to_owned();
    let flags = ["--listen", &address, "--internal", "off", "--reuse-port"];
    let second = Node::spawn(&mut command(&flags));
    assert_eq!(second.said("http"), address);
    first.stop();
    assert_eq!(second.connect().get("/").status, 200);
    second.stop();
}
