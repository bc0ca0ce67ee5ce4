//! Sign-offs of Bayeux: by long-polling and by WebSocket, with the extension of acknowledgements and without.

use crate::client::Client;
use crate::signoff::{Leaves, Scene};
use crate::websocket::WebSocket;

/// Says what only a client of Bayeux does.
struct Bayeux {
    client: String,
    acks: bool,
}

impl Bayeux {
    /// The handshake.
    fn hello(acks: bool) -> String {
        let types = r#"["long-polling","websocket"]"#;
        format!(
            r#"[{{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":{types},"ext":{{"ack":{acks}}}}}]"#
        )
    }

    /// What is known from its answer.
    fn of(answer: &str, acks: bool) -> Self {
        let (_, behind) = answer.split_once("\"clientId\":\"").expect(answer);
        let client = behind.split_once('"').unwrap().0.to_owned();
        Self { client, acks }
    }

    /// The first connect, which is answered at once, and the subscription.
    fn begins(&self, kind: &str) -> String {
        let connect = self.connect(kind, 0);
        let connect = connect.strip_suffix(']').unwrap();
        let client = &self.client;
        format!(
            r#"{connect},{{"channel":"/meta/subscribe","subscription":"/room","clientId":"{client}"}}]"#
        )
    }

    /// A connect of one that has so many batches.
    fn connect(&self, kind: &str, ack: u64) -> String {
        let client = &self.client;
        let ext = match self.acks {
            true => format!(r#","ext":{{"ack":{ack}}}"#),
            false => String::new(),
        };
        format!(
            r#"[{{"channel":"/meta/connect","connectionType":"{kind}","clientId":"{client}"{ext}}}]"#
        )
    }
}

#[test]
fn a_client_that_long_polls_is_signed_off_with_what_it_did_not_confirm() {
    long_polls(false, Leaves::Reset);
    long_polls(false, Leaves::Silent);
}

#[test]
fn a_client_that_long_polls_and_acknowledges_is_signed_off_with_what_it_did_not_acknowledge() {
    long_polls(true, Leaves::Reset);
    long_polls(true, Leaves::Silent);
}

/// A session begun over HTTP: the client, and what it says.
fn begun(scene: &Scene, acks: bool) -> (Client, Bayeux) {
    let mut client = scene.node.connect();
    let answer = client.post("/bayeux", Bayeux::hello(acks).as_bytes());
    let bayeux = Bayeux::of(&answer.text(), acks);
    let answer = client.post("/bayeux", bayeux.begins("long-polling").as_bytes());
    assert!(
        answer.text().contains("\"subscription\""),
        "{}",
        answer.text()
    );
    (client, bayeux)
}

fn long_polls(acks: bool, leaves: Leaves) {
    let mut scene = Scene::start();
    let (mut client, bayeux) = begun(&scene, acks);
    scene.publish(2, 0);
    let mut ask = |ack: u64, until: &str| {
        let body = bayeux.connect("long-polling", ack);
        let text = client.post("/bayeux", body.as_bytes()).text();
        assert!(text.contains(until), "{text}");
    };
    ask(0, "m2 ");
    // The next connect says that these came.
    scene.publish(1, 0);
    ask(2, "m3 ");
    scene.publish(1, 0);
    let left = scene.leave(leaves, [client]);
    scene.publish(2, 0);
    let who = match acks {
        true => "bayeux-longpoll (ack)",
        false => "bayeux-longpoll",
    };
    scene.ends(who, &left, "timeout", |left| {
        assert_eq!(left, [3, 4, 5, 6], "{who}");
    });
}

/// The same over a WebSocket, up to a connect that waits.
fn connected(scene: &Scene, acks: bool) -> (WebSocket, Bayeux) {
    let mut socket = WebSocket::open(scene.node.connect(), "/bayeux");
    socket.text(&Bayeux::hello(acks));
    let bayeux = Bayeux::of(&socket.next_text(), acks);
    socket.text(&bayeux.begins("websocket"));
    assert!(socket.next_text().contains("\"subscription\""));
    socket.text(&bayeux.connect("websocket", 0));
    (socket, bayeux)
}

#[test]
fn a_client_that_acknowledges_over_websocket_is_signed_off_with_what_it_did_not() {
    websocket_that_acknowledges(Leaves::Reset);
}

/// With the extension.
pub fn websocket_that_acknowledges(leaves: Leaves) {
    let mut scene = Scene::start();
    let (mut socket, bayeux) = connected(&scene, true);
    scene.publish(1, 0);
    assert!(socket.next_text().contains("m1 "));
    socket.text(&bayeux.connect("websocket", 1));
    scene.publish(1, 0);
    assert!(socket.next_text().contains("m2 "));
    scene.publish(1, 0);
    let left = scene.leave(leaves, [socket.client]);
    scene.publish(2, 0);
    scene.ends("bayeux-websocket (ack)", &left, "timeout", |left| {
        assert_eq!(left, [2, 3, 4, 5]);
    });
}

#[test]
fn a_client_over_websocket_that_is_cut_off_is_signed_off_with_what_was_not_written() {
    let mut scene = Scene::start();
    let (mut socket, _) = connected(&scene, false);
    scene.publish(3, 0);
    socket.client.through(b"m3 ");
    let last = scene.flood();
    let left = scene.leave(Leaves::Reset, [socket.client]);
    // Its session waits for it, and for a second gets what nobody will fetch.
    assert_eq!(scene.publish(2, 0), 1);
    scene.ends("bayeux-websocket", &left, "timeout", |left| {
        let first = *left.first().unwrap();
        assert!((4..=last - 20).contains(&first), "{first} of {last}");
        assert!(left.iter().copied().eq(first..=last + 2), "{left:?}");
    });
}
