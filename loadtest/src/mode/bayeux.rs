//! Bayeux 1.0: arrays of JSON messages, those of `/meta/` answered in kind; and the mode that has them on a WebSocket.
//! <https://docs.cometd.org/current/reference/#_bayeux>

use super::{Cx, Mode, Peer, ws as bare};
use crate::part::{To, Word};
use crate::proto::ws;
use crate::trouble::Fault;
use memchr::memmem;
use serde_json::{Value, json};

/// Where our own server has it.
pub const PATH: &str = "/_/bayeux";

/// The mode.
#[derive(Debug)]
pub struct Bayeux {
    path: String,
}

impl Bayeux {
    /// A server at this path.
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
        }
    }
}

impl Mode for Bayeux {
    fn opened(&self, cx: &mut Cx<'_>, _: &mut Peer) {
        ws::upgrade(cx.out, cx.host, &self.path);
        cx.out.extend_from_slice(b"\r\n");
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        if !bare::upgraded(peer, &mut rest)? {
            return Ok(input.len() - rest.len());
        }
        if peer.step == OPENED {
            peer.step = SHAKING;
            say(cx, &handshake(peer, TYPE));
        }
        while let Some(frame) = ws::next(&mut rest)? {
            if let Some(messages) = bare::message(cx, &frame)? {
                match heard(cx, peer, messages)? {
                    Heard::Shaken => {
                        if let Some(subscribe) = subscribe(cx, peer) {
                            say(cx, &subscribe);
                        }
                        let connect = connect(cx, peer, TYPE);
                        say(cx, &connect);
                    }
                    Heard::Connected => {
                        let connect = connect(cx, peer, TYPE);
                        say(cx, &connect);
                    }
                    Heard::More => {}
                }
            }
        }
        Ok(input.len() - rest.len())
    }

    fn speaks(&self) -> bool {
        true
    }

    fn say(&self, cx: &mut Cx<'_>, peer: &mut Peer, words: &[Word]) {
        let batch = publications(cx, peer, words);
        ws::masked(cx.out, ws::TEXT, batch.as_bytes());
    }
}

/// Steps of [`Peer::step`].
const OPENED: u8 = 0;
const SHAKING: u8 = 1;
const TYPE: &str = "websocket";

fn say(cx: &mut Cx<'_>, message: &Value) {
    ws::masked(cx.out, ws::TEXT, format!("[{message}]").as_bytes());
}

/// What is to be done about messages that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Nothing.
    More,
    /// There is a session: subscribe, and connect.
    Shaken,
    /// Connect again: answered when the server's time is over, or with messages, there is always one of these under way.
    Connected,
}

/// Takes an array of messages in.
///
/// # Errors
/// What is not JSON where that matters, and a refusal but of a publication.
pub fn heard(cx: &mut Cx<'_>, peer: &mut Peer, messages: &[u8]) -> Result<Heard, Fault> {
    let has = |text: &[u8]| memmem::find(messages, text).is_some();
    // Only what is neither a publication nor the answer to a connect is read as JSON: there are few of these.
    let heard = match (has(b"\"/meta/"), has(b"\"successful\":false")) {
        (false, false) => Heard::More,
        (true, false) if peer.ready => Heard::Connected,
        _ => read(cx, peer, messages)?,
    };
    cx.arrived(peer, messages);
    Ok(heard)
}

fn read(cx: &mut Cx<'_>, peer: &mut Peer, messages: &[u8]) -> Result<Heard, Fault> {
    let messages: Value = serde_json::from_slice(messages).map_err(|_| Fault::Response)?;
    let mut heard = Heard::More;
    for message in messages.as_array().ok_or(Fault::Response)? {
        let text = |name: &str| {
            let value = message.get(name).and_then(Value::as_str);
            value.unwrap_or_default()
        };
        let successful = message.get("successful").and_then(Value::as_bool);
        let channel = text("channel");
        if !channel.starts_with("/meta/") {
            cx.marks.tally.refused += u64::from(successful == Some(false));
            continue;
        }
        if successful != Some(true) {
            return Err(Fault::Response);
        }
        match channel {
            "/meta/handshake" => {
                peer.key = Some(text("clientId").into());
                // Of the session before this, if there was one.
                peer.got = 0;
                peer.ready = cx.is_set_up(peer);
                heard = Heard::Shaken;
            }
            "/meta/subscribe" => {
                // All that were asked for are answered by one.
                peer.got = cx.part.calls();
                peer.ready = true;
            }
            "/meta/connect" => heard = Heard::Connected,
            _ => {}
        }
    }
    Ok(heard)
}

/// The first message. Each has an id, as those of real clients do: a server has to remember that of a connect.
pub fn handshake(peer: &mut Peer, kind: &str) -> Value {
    json!({
        "channel": "/meta/handshake",
        "id": next_id(peer),
        "version": "1.0",
        "supportedConnectionTypes": [kind],
    })
}

/// Asks for everything that this client is to hear, if it is anything.
pub fn subscribe(cx: &Cx<'_>, peer: &mut Peer) -> Option<Value> {
    let names = cx.part.channels(cx.channel, peer.client).into_iter();
    let mut names: Vec<_> = names.map(|name| Value::from(format!("/{name}"))).collect();
    let subscription = match names.len() {
        0 => return None,
        1 => names.remove(0),
        _ => Value::from(names),
    };
    Some(json!({
        "channel": "/meta/subscribe",
        "id": next_id(peer),
        "clientId": peer.key,
        "subscription": subscription,
    }))
}

/// Asks for what comes, for as long as a silence may be.
pub fn connect(cx: &Cx<'_>, peer: &mut Peer, kind: &str) -> Value {
    let mut connect = json!({
        "channel": "/meta/connect",
        "id": next_id(peer),
        "clientId": peer.key,
        "connectionType": kind,
    });
    let silence_s = cx.interval_s.max(cx.hold_s);
    if silence_s > 0 {
        connect["advice"] = json!({"timeout": silence_s * 1000});
    }
    connect
}

fn next_id(peer: &mut Peer) -> String {
    peer.sent += 1;
    peer.sent.to_string()
}

/// Messages of a client, as one array.
pub fn publications(cx: &Cx<'_>, peer: &mut Peer, words: &[Word]) -> String {
    let publication = |Word { to, text, .. }: &Word| {
        let channel = match to {
            To::Channel(name) => format!("/{name}"),
            To::User(name) => format!("/{}/{name}", cx.channel),
        };
        json!({"channel": channel, "id": next_id(peer), "clientId": peer.key, "data": text})
    };
    Value::from_iter(words.iter().map(publication)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::client::{Client, message, play};

    fn frame(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        ws::plain(&mut out, ws::TEXT, text.as_bytes());
        out
    }

    /// What a client sent, unmasked.
    fn read(mut said: &[u8]) -> Vec<Value> {
        let mut all = Vec::new();
        while let [_, length, rest @ ..] = said {
            let (length, rest) = match length & 0x7f {
                126 => (
                    usize::from(u16::from_be_bytes([rest[0], rest[1]])),
                    &rest[2..],
                ),
                length => (usize::from(length), rest),
            };
            let (mask, rest) = rest.split_at(4);
            let (text, rest) = rest.split_at(length);
            let text: Vec<u8> = text
                .iter()
                .zip(mask.iter().cycle())
                .map(|(a, b)| a ^ b)
                .collect();
            all.push(serde_json::from_slice(&text).unwrap());
            said = rest;
        }
        all
    }

    #[test]
    fn it_shakes_hands_subscribes_and_keeps_a_connect_under_way() {
        let mode = Box::leak(Box::new(Bayeux::new("/faye")));
        let data = format!(
            "[{{\"channel\":\"/news\",\"data\":\"{}\"}}]",
            String::from_utf8(message(0)).unwrap()
        );
        let server = [
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec(),
            frame(r#"[{"channel":"/meta/handshake","successful":true,"clientId":"c1"}]"#),
            frame(r#"[{"channel":"/meta/subscribe","successful":true,"subscription":"/news"}]"#),
            frame(&data),
            frame(r#"[{"channel":"/meta/connect","successful":true}]"#),
        ]
        .concat();
        let (said, arrived, ready) = play(|| Client::open(mode), &server);
        let (head, frames) = said.split_at(memmem::find(&said, b"\r\n\r\n").unwrap() + 4);
        assert!(head.starts_with(b"GET /faye HTTP/1.1\r\n"));
        let said = read(frames);
        let channels: Vec<_> = said
            .iter()
            .map(|message| message[0]["channel"].as_str().unwrap())
            .collect();
        let expected = [
            "/meta/handshake",
            "/meta/subscribe",
            "/meta/connect",
            "/meta/connect",
        ];
        assert_eq!(channels, expected);
        assert_eq!(said[1][0]["subscription"], "/news");
        assert!(
            said[1..]
                .iter()
                .all(|message| message[0]["clientId"] == "c1")
        );
        assert_eq!((arrived, ready), (1, true));
    }

    #[test]
    fn a_burst_is_one_array_and_one_that_is_refused_is_counted() {
        let mode = Box::leak(Box::new(Bayeux::new(PATH)));
        let mut client = Client::upgraded(mode);
        let shaken = r#"[{"channel":"/meta/handshake","successful":true,"clientId":"c1"}]"#;
        client.hears(&frame(shaken)).unwrap();
        client.said.clear();
        let words = [(7, "m/1"), (8, "m/2")].map(|(id, name)| Word {
            id,
            to: To::Channel(name.into()),
            text: "hi".into(),
        });
        client.says(&words);
        let said = read(&client.said);
        let one =
            |id, channel| json!({"channel": channel, "id": id, "clientId": "c1", "data": "hi"});
        assert_eq!(said, [json!([one("4", "/m/1"), one("5", "/m/2")])]);
        let answer =
            r#"[{"channel":"/m/1","successful":true},{"channel":"/m/2","successful":false}]"#;
        client.hears(&frame(answer)).unwrap();
        assert_eq!(client.marks.tally.refused, 1);
    }

    #[test]
    fn a_refusal_is_a_fault() {
        let mode = Box::leak(Box::new(Bayeux::new("/")));
        for bad in [
            r#"[{"channel":"/meta/handshake","successful":false}]"#,
            r#"[{"channel":"/meta/connect"}]"#,
            r#"{"channel":"/meta/"}"#,
            r#"["/meta/"#,
        ] {
            let heard = Client::upgraded(mode).hears(&frame(bad));
            assert_eq!(heard, Err(Fault::Response), "{bad}");
        }
    }
}
