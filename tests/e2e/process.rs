//! The process: how it says that it is ready, and how it ends.

use crate::node::{Node, command, scratch, until};
use crate::sessions::{Session, subscriber};
use crate::websocket::{Message, WebSocket};
use std::collections::BTreeSet;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

#[test]
fn it_says_its_addresses_in_one_line_when_it_is_ready() {
    let node = Node::start(&[]);
    let (http, internal) = (node.said("http"), node.said("internal"));
    let (op, stomp) = (node.said("op"), node.said("stomp"));
    assert_eq!(
        node.ready,
        format!("ready http={http} internal={internal} op={op} stomp={stomp}")
    );
    assert!(op.starts_with("127.0.0.1:") && !op.ends_with(":0"));
    assert!(stomp.starts_with("127.0.0.1:") && !stomp.ends_with(":0"));
    assert!(http.starts_with("127.0.0.1:") && !http.ends_with(":0"));
    assert_eq!(node.connect().get("/").status, 200);
    assert_eq!(node.internal().get("/healthz").status, 200);
    node.stop();
}

#[test]
fn the_welcome_goes_to_standard_error() {
    let node = Node::start(&[]);
    let welcome = format!(
        "publish  curl -d 'hello' http://{}/api/publish/demo/chat",
        node.said("internal")
    );
    until("it says where to publish", || {
        node.stderr().contains(&welcome)
    });
    until("it warns of demo mode", || {
        node.stderr().contains("demo mode: ")
    });
    node.stop();
}

#[test]
fn on_sigterm_everyone_is_told_and_it_ends_with_0() {
    tells_everyone("TERM");
}

#[test]
fn on_sigint_everyone_is_told_and_it_ends_with_0() {
    tells_everyone("INT");
}

#[test]
fn before_it_ends_the_application_is_told_what_nobody_got() {
    let mut node = Node::start(&[]);
    let mut feed = node.internal();
    feed.ask("GET", "/api/events/signoff", "", b"");
    assert_eq!(feed.response_head().status, 200);
    let place = String::from_utf8(feed.chunk().unwrap()).unwrap();
    assert!(
        place.starts_with("id: ") && place.ends_with(":0\n\n"),
        "{place:?}"
    );
    let mut away = Session::open(&node, "revolved");
    away.subscribe("room");
    let reached = node.internal().publish("room", b"last words");
    assert_eq!(reached, 1);
    node.signal("TERM");
    let told = String::from_utf8(feed.chunk().unwrap()).unwrap();
    assert!(told.contains("\"reason\":\"shutdown\""), "{told}");
    assert!(told.contains("\"body\":\"last words\""), "{told}");
    assert_eq!(feed.chunk(), None);
    assert_eq!(node.ended().code(), Some(0));
}

#[test]
fn of_thousands_of_sessions_that_a_stop_ends_each_is_told() {
    let mut node = Node::start(&[]);
    let mut feed = node.internal();
    feed.ask("GET", "/api/events/signoff", "", b"");
    assert_eq!(feed.response_head().status, 200);
    let mut client = node.connect();
    for _ in 0..SESSIONS {
        assert_eq!(client.post("/_/echo/csp/handshake", b"{}").status, 200);
    }
    node.signal("TERM");
    let mut told = Vec::new();
    while let Some(chunk) = feed.chunk() {
        told.extend(chunk);
    }
    let told = String::from_utf8(told).unwrap();
    let keys = told.split("\"session\":\"").skip(1);
    let keys: BTreeSet<_> = keys.filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(keys.len(), SESSIONS);
    assert_eq!(told.matches("\"reason\":\"shutdown\"").count(), SESSIONS);
    assert_eq!(node.ended().code(), Some(0));
}

/// More than are ended in one turn, several times over.
const SESSIONS: usize = 5_000;

fn tells_everyone(signal: &str) {
    let mut node = Node::start(&[]);
    let mut bare = subscriber(&node, "room");
    let mut echo = WebSocket::open(node.connect(), "/_/echo/ws");
    let mut poller = Session::open(&node, "revolved");
    poller.subscribe("room");
    poller.poll();
    node.until_metric("orbited_sessions{transport=\"longpoll\"}", |count| {
        count == 1
    });
    let mut events = node.connect();
    events.ask("GET", "/_/events?channel=room", "", b"");
    assert_eq!(events.response_head().status, 200);
    assert!(events.chunk().unwrap().starts_with(b"id: "));
    let mut idle = node.connect();
    assert_eq!(idle.get("/").status, 200);
    let mut silent = node.connect();

    node.signal(signal);

    let bye = bare.next_text();
    assert!(bye.starts_with("[\"BYE\",[1001,"), "{bye}");
    assert_eq!(bare.next(), Message::Close(1001));
    assert_eq!(echo.next(), Message::Close(1001));
    poller.take_answer();
    let bye = poller.next();
    assert!(bye.starts_with("[\"BYE\",[1001,"), "{bye}");
    assert_eq!(events.chunk(), None, "the stream is ended, not cut");
    assert!(idle.is_closed() && silent.is_closed());
    for client in [
        &mut bare.client,
        &mut echo.client,
        &mut poller.down,
        &mut events,
    ] {
        assert!(client.is_closed());
    }
    assert_eq!(node.ended().code(), Some(0));
}

#[test]
fn a_poll_in_the_middle_of_its_request_does_not_keep_it_from_stopping() {
    let mut node = Node::start(&[]);
    let mut client = node.connect();
    client.send(
        b"POST /_/echo/csp/send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf",
    );
    node.until_metric("orbited_connections", |count| count >= 2);
    node.signal("TERM");
    assert_eq!(node.ended().code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once_though_a_peer_does_not_close() {
    let mut node = Node::start(&[]);
    // Its peer never closes, so the first signal waits for it.
    let mut stubborn = WebSocket::open(node.connect(), "/_/echo/ws");
    node.signal("TERM");
    assert_eq!(stubborn.next(), Message::Close(1001));
    node.signal("TERM");
    assert_eq!(node.ended().code(), Some(0));
}

#[test]
fn a_stopped_node_can_be_started_on_the_same_address_at_once() {
    let node = Node::start(&[]);
    let address = node.said("http").to_owned();
    let mut client = node.connect();
    assert_eq!(client.get("/").status, 200);
    node.stop();
    let mut again = command(&["--listen", &address, "--internal", "off"]);
    let node = Node::spawn(&mut again);
    assert_eq!(node.said("http"), address);
    assert_eq!(node.connect().get("/").status, 200);
    node.stop();
}

#[test]
fn systemd_is_told_on_the_socket_it_names() {
    let path = scratch("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    hears_ready(&socket, path.to_str().unwrap());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn systemd_is_told_on_an_abstract_socket_too() {
    let name = scratch("notify").to_string_lossy().into_owned();
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    hears_ready(&socket, &format!("@{name}"));
}

fn hears_ready(socket: &UnixDatagram, name: &str) {
    socket
        .set_read_timeout(Some(crate::node::PATIENCE))
        .unwrap();
    let mut command = command(&["--listen", "127.0.0.1:0", "--internal", "off"]);
    let node = Node::spawn(command.env("NOTIFY_SOCKET", name));
    let mut bytes = [0; 64];
    let count = socket.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..count], b"READY=1");
    node.stop();
}

#[test]
fn a_notify_socket_that_is_gone_is_a_warning() {
    let path = scratch("notify");
    let mut command = command(&["--listen", "127.0.0.1:0", "--internal", "off"]);
    let mut node = Node::spawn(command.env("NOTIFY_SOCKET", &path));
    assert_eq!(node.connect().get("/").status, 200);
    node.signal("TERM");
    assert_eq!(node.ended().code(), Some(0));
    let text = node.stderr();
    assert!(
        text.contains("WARN") && text.contains("NOTIFY_SOCKET"),
        "{text}"
    );
}
