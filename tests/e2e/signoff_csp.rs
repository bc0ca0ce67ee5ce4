//! Sign-offs of CSP sessions, by each row of the table of transports and by WebSocket.

use crate::client::Client;
use crate::signoff::{Leaves, Scene};
use crate::websocket::WebSocket;
use std::thread;

/// The names of the rows in `transport/rows.rs`, with what only they need, and the word for it in events.
const ROWS: [(&str, &str, &str); 9] = [
    ("polling", "", "csp-poll"),
    ("longpoll", "&du=1", "csp-longpoll"),
    ("xhrstream", "&du=1", "csp-stream"),
    ("iframe", "&du=1", "csp-stream"),
    ("htmlfile", "&du=1", "csp-stream"),
    ("multipart", "&du=1", "csp-stream"),
    ("sse", "&du=1", "csp-sse"),
    ("sselongpoll", "&du=1", "csp-sse"),
    ("jsonp", "&du=1&bp=cb", "csp-jsonp"),
];

#[test]
fn a_client_over_http_that_is_cut_off_is_signed_off_with_what_it_did_not_acknowledge() {
    of_every_row(Leaves::Reset);
}

#[test]
fn a_client_over_http_that_falls_silent_is_signed_off_with_what_it_did_not_acknowledge() {
    of_every_row(Leaves::Silent);
}

fn of_every_row(leaves: Leaves) {
    thread::scope(|scope| {
        for row in ROWS {
            scope.spawn(move || over_http(row, leaves));
        }
    });
}

/// Begins a session that is subscribed; its path with `{}` for the endpoint, up to the acknowledgement.
fn subscribed(up: &mut Client, variables: &str) -> impl Fn(&str) -> String + use<> {
    let path = format!("/_/revolved/csp/handshake?{variables}");
    let text = up.post(&path, b"{\"encodings\":[2]}").text();
    let (_, behind) = text.split_once("\"session\":\"").expect(&text);
    let key = behind.split_once('"').unwrap().0.to_owned();
    let path = move |endpoint: &str| format!("/_/revolved/csp/{endpoint}?s={key}");
    let call = br#"[[1,0,"[1,\"SUBSCRIBE\",[\"room\"]]\n"]]"#;
    assert_eq!(up.post(&path("send"), call).status, 200);
    path
}

fn over_http((row, more, word): (&str, &str, &str), leaves: Leaves) {
    let mut scene = Scene::start();
    let mut up = scene.node.connect();
    let path = subscribed(&mut up, &format!("transport={row}{more}"));
    let mut open: Vec<Client> = Vec::new();
    let node_says = |scene: &Scene, acked: u64, until: &str| {
        let mut down = scene.node.connect();
        let target = format!("{}&a={acked}", path("comet"));
        down.ask("GET", &target, "", b"");
        down.through(until.as_bytes());
        down
    };
    // The answer to the call is the first packet.
    open.push(node_says(&scene, 0, "OK"));
    scene.publish(2, 0);
    open.push(node_says(&scene, 1, "m2 "));
    scene.publish(1, 0);
    open.push(node_says(&scene, 3, "m3 "));
    scene.publish(1, 0);
    open.push(up);
    let left = scene.leave(leaves, open);
    scene.publish(2, 0);
    scene.ends(&format!("{word} ({row})"), &left, "timeout", |left| {
        assert_eq!(left, [3, 4, 5, 6], "{row}");
    });
}

#[test]
fn a_client_over_websocket_that_is_cut_off_is_signed_off_with_what_it_did_not_acknowledge() {
    over_websocket(Leaves::Reset);
}

/// With acknowledgements in frames of their own.
pub fn over_websocket(leaves: Leaves) {
    let mut scene = Scene::start();
    let mut up = scene.node.connect();
    let path = subscribed(&mut up, "du=1");
    let target = format!("{}&a=0", path("websocket"));
    let mut socket = WebSocket::open(scene.node.connect(), &target);
    scene.publish(3, 0);
    socket.client.through(b"m3 ");
    socket.text("{\"a\":3}");
    // What is behind it shows that it was taken.
    socket.text("[]");
    socket.client.through(b"{\"a\":1}");
    scene.publish(1, 0);
    let left = scene.leave(leaves, [up, socket.client]);
    scene.publish(2, 0);
    scene.ends("csp-websocket", &left, "timeout", |left| {
        assert_eq!(left, [3, 4, 5, 6]);
    });
}
