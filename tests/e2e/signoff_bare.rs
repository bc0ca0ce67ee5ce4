//! Sign-offs of sessions that acknowledge nothing: what their socket took has arrived, the rest is named.

use crate::client::Client;
use crate::sessions::subscriber;
use crate::signoff::{Leaves, Scene};
use crate::websocket::WebSocket;

#[test]
fn a_bare_websocket_that_is_cut_off_is_signed_off_with_what_was_not_written() {
    let scene = Scene::start();
    let socket = subscriber(&scene.node, "room").client;
    cut_off(scene, ("websocket", "gone"), socket);
}

#[test]
fn an_event_stream_that_is_cut_off_is_signed_off_with_what_was_not_written() {
    let scene = Scene::start();
    let mut events = scene.node.connect();
    events.ask("GET", "/_/events?channel=room", "", b"");
    assert_eq!(events.response_head().status, 200);
    cut_off(scene, ("sse (events)", "gone"), events);
}

#[test]
fn a_plain_websocket_that_is_cut_off_is_signed_off_with_what_was_not_written() {
    let scene = Scene::start();
    let socket = WebSocket::open(scene.node.connect(), "/_/events?channel=room");
    cut_off(scene, ("websocket (events)", "gone"), socket.client);
}

/// It could come back for a while: it is over when that is.
#[test]
fn a_stream_of_orbited_0_3_that_is_cut_off_is_signed_off_with_what_was_not_written() {
    let scene = Scene::start();
    let mut page = scene.node.connect();
    let told = page.get("/_/revolved/connect?resource=a").text();
    let key = told.split('"').nth(3).unwrap();
    let call = format!("session={key}&channel=room");
    let told = page.get(&format!("/_/revolved/subscribe?{call}")).text();
    assert_eq!(told, "success");
    let mut stream = scene.node.connect();
    stream.ask("GET", &format!("/_/revolved/event?{call}"), "", b"");
    assert_eq!(stream.response_head().status, 200);
    cut_off(scene, ("stream (Orbited 0.3)", "timeout"), stream);
}

/// It reads what comes first, then nothing more, until its connection breaks.
fn cut_off(mut scene: Scene, (who, reason): (&str, &str), mut client: Client) {
    assert_eq!(scene.publish(3, 0), 1);
    client.through(b"m3 ");
    let last = scene.flood();
    let left = scene.leave(Leaves::Reset, [client]);
    // Whoever publishes learns that nobody is there: that is no message for the one who left.
    scene.ends(who, &left, reason, |left| {
        let first = *left.first().unwrap();
        assert!((4..=last - 20).contains(&first), "{first} of {last}");
        assert!(left.iter().copied().eq(first..=last), "{left:?}");
    });
}

/// Of a transport without acknowledgements nothing is left that its kernel took.
pub fn answers_no_ping() {
    let mut scene = Scene::start();
    let mut socket = subscriber(&scene.node, "room");
    scene.publish(1, 0);
    socket.client.through(b"m1 ");
    let left = scene.leave(Leaves::Silent, [socket.client]);
    assert_eq!(scene.publish(1, 0), 1);
    scene.ends("websocket", &left, "timeout", |left| {
        assert_eq!(left, [0_u64; 0]);
    });
}
