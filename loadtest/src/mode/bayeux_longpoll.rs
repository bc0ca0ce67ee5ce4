//! Bayeux on long-polls: one connect after the other on the connection itself; publications go over shared ones.

use super::bayeux::{Heard, connect, handshake, heard, publications, subscribe};
use super::{Cx, Mode, Peer, post_as};
use crate::part::Word;
use crate::proto::http;
use crate::trouble::Fault;
use serde_json::{Value, json};

/// The mode.
#[derive(Debug)]
pub struct Poll {
    path: String,
}

impl Poll {
    /// A server at this path.
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    fn ask(&self, cx: &mut Cx<'_>, messages: &Value) {
        post_as(JSON, cx.out, cx.host, &self.path, &messages.to_string());
    }
}

impl Mode for Poll {
    fn opened(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        self.ask(cx, &json!([handshake(peer, TYPE)]));
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        while let Some(messages) = http::whole(&mut peer.body, &mut rest)? {
            match heard(cx, peer, messages)? {
                Heard::Shaken => {
                    let subscribe = subscribe(cx, peer);
                    // The first connect is to be answered at once.
                    let mut first = connect(cx, peer, TYPE);
                    first["advice"] = json!({"timeout": 0});
                    let asked = subscribe.into_iter().chain([first]);
                    self.ask(cx, &Value::from_iter(asked));
                }
                Heard::Connected => {
                    let connect = connect(cx, peer, TYPE);
                    self.ask(cx, &json!([connect]));
                }
                Heard::More => return Err(Fault::Response),
            }
        }
        Ok(input.len() - rest.len())
    }

    fn speaks(&self) -> bool {
        true
    }

    fn say(&self, cx: &mut Cx<'_>, peer: &mut Peer, words: &[Word]) {
        let batch = publications(cx, peer, words);
        post_as(JSON, cx.side, cx.host, &self.path, &batch);
    }
}

const TYPE: &str = "long-polling";
const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::client::{Client, message, play};

    fn answer(text: &str) -> Vec<u8> {
        let length = text.len();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}").into_bytes()
    }

    #[test]
    fn it_shakes_hands_subscribes_and_connects_again_after_each_answer() {
        let mode = Box::leak(Box::new(Poll::new("/cometd")));
        let data = String::from_utf8(message(0)).unwrap();
        let server = [
            answer(r#"[{"channel":"/meta/handshake","successful":true,"clientId":"c1"}]"#),
            answer(r#"[{"channel":"/meta/subscribe","successful":true},{"channel":"/meta/connect","successful":true}]"#),
            answer(&format!(r#"[{{"channel":"/news","data":"{data}"}},{{"channel":"/meta/connect","successful":true}}]"#)),
        ]
        .concat();
        let (said, arrived, ready) = play(|| Client::open(mode), &server);
        let said = String::from_utf8(said).unwrap();
        let requests = said.split("POST").map(|text| text.trim().lines().last());
        let bodies = requests
            .flatten()
            .map(|body| serde_json::from_str(body).unwrap());
        let bodies: Vec<Value> = bodies.collect();
        let connect = |id| json!({"channel": "/meta/connect", "id": id, "clientId": "c1", "connectionType": TYPE});
        let mut first = connect("3");
        first["advice"] = json!({"timeout": 0});
        let subscribe = json!({"channel": "/meta/subscribe", "id": "2", "clientId": "c1", "subscription": "/news"});
        let shake = handshake(&mut Peer::default(), TYPE);
        let expected = [
            json!([shake]),
            json!([subscribe, first]),
            json!([connect("4")]),
            json!([connect("5")]),
        ];
        assert_eq!(bodies, expected);
        assert_eq!(said.matches("POST /cometd HTTP/1.1\r\n").count(), 4);
        assert_eq!((arrived, ready), (1, true));
    }

    #[test]
    fn a_refusal_is_a_fault() {
        let mode = Box::leak(Box::new(Poll::new("/cometd")));
        for bad in [
            r#"[{"channel":"/meta/connect","successful":false,"error":"402::session_unknown"}]"#,
            "[]",
            "{}",
        ] {
            let heard = Client::open(mode).hears(&answer(bad));
            assert_eq!(heard, Err(Fault::Response), "{bad}");
        }
    }
}
