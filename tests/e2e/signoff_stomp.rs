//! Sign-offs of STOMP, whose subscription acknowledges one by one: over TCP and over WebSocket.

use crate::client::Client;
use crate::signoff::{Leaves, Scene};
use crate::websocket::WebSocket;

/// A client; what it says is a frame without its last byte.
trait Stomp {
    fn say(&mut self, frame: &str);
    fn through(&mut self, text: &str) -> String;
    fn client(self) -> Client;
}

impl Stomp for Client {
    fn say(&mut self, frame: &str) {
        self.send(format!("{frame}\0").as_bytes());
    }

    fn through(&mut self, text: &str) -> String {
        String::from_utf8(Client::through(self, text.as_bytes())).unwrap()
    }

    fn client(self) -> Client {
        self
    }
}

impl Stomp for WebSocket {
    fn say(&mut self, frame: &str) {
        self.text(&format!("{frame}\0"));
    }

    fn through(&mut self, text: &str) -> String {
        let bytes = self.client.through(text.as_bytes());
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn client(self) -> Client {
        self.client
    }
}

#[test]
fn a_client_of_tcp_that_is_cut_off_is_signed_off_with_what_it_did_not_acknowledge() {
    let scene = Scene::start();
    let client = Client::connect(scene.node.said("stomp"));
    leaves(scene, "stomp", client, (Leaves::Reset, "gone"));
}

#[test]
fn a_client_of_tcp_whose_heart_stops_is_signed_off_with_what_it_did_not_acknowledge() {
    let scene = Scene::start();
    let client = Client::connect(scene.node.said("stomp"));
    leaves(scene, "stomp", client, (Leaves::Silent, "timeout"));
}

#[test]
fn a_client_of_websocket_that_is_cut_off_is_signed_off_with_what_it_did_not_acknowledge() {
    over_websocket(Leaves::Reset);
}

/// With acknowledgements in frames of STOMP.
pub fn over_websocket(how: Leaves) {
    let scene = Scene::start();
    let socket = WebSocket::open(scene.node.connect(), "/_/stomp");
    let reason = match how {
        Leaves::Reset => "gone",
        Leaves::Silent => "timeout",
    };
    leaves(scene, "stomp-websocket", socket, (how, reason));
}

fn leaves(mut scene: Scene, who: &str, mut stomp: impl Stomp, how: (Leaves, &str)) {
    stomp.say("CONNECT\naccept-version:1.2\nheart-beat:1000,0\n\n");
    stomp.through("CONNECTED");
    stomp.say("SUBSCRIBE\nid:a\ndestination:/topic/room\nack:client-individual\nreceipt:r\n\n");
    stomp.through("receipt-id:r");
    scene.publish(5, 0);
    // Not in their order.
    let mut acks = Vec::new();
    for n in 1..=5 {
        let text = stomp.through(&format!("m{n} "));
        let (_, behind) = text.rsplit_once("\nack:").unwrap();
        acks.push(behind.split_once('\n').unwrap().0.to_owned());
    }
    stomp.say(&format!("ACK\nid:{}\n\n", acks[3]));
    stomp.say(&format!("ACK\nid:{}\nreceipt:s\n\n", acks[0]));
    stomp.through("receipt-id:s");
    scene.publish(1, 0);
    let left = scene.leave(how.0, [stomp.client()]);
    let mut expected = vec![2, 3, 5, 6];
    if how.0 == Leaves::Silent {
        // Whoever is cut off has no session any more.
        scene.publish(1, 0);
        expected.push(7);
    }
    scene.ends(who, &left, how.1, |left| {
        assert_eq!(left, expected, "{who}")
    });
}
