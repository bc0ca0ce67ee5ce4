//! Bayeux 1.0 on a WebSocket: arrays of JSON messages, those of `/meta/` answered in kind.
//! <https://docs.cometd.org/current/reference/#_bayeux>

use crate::mode::{Cx, Mode, Peer, ws as bare};
use crate::proto::ws;
use crate::trouble::Fault;
use memchr::memmem;
use serde_json::{Value, json};

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
            let handshake = json!({
                "channel": "/meta/handshake",
                "version": "1.0",
                "supportedConnectionTypes": ["websocket"],
            });
            say(cx, &handshake);
        }
        while let Some(frame) = ws::next(&mut rest)? {
            if let Some(messages) = bare::message(cx, &frame)? {
                // Only what is not a publication is read as JSON: there are few of these.
                if memmem::find(messages, b"\"/meta/").is_some() {
                    meta(cx, peer, messages)?;
                }
                cx.arrived(peer, messages);
            }
        }
        Ok(input.len() - rest.len())
    }
}

/// Steps of [`Peer::step`].
const OPENED: u8 = 0;
const SHAKING: u8 = 1;

fn meta(cx: &mut Cx<'_>, peer: &mut Peer, messages: &[u8]) -> Result<(), Fault> {
    let messages: Value = serde_json::from_slice(messages).map_err(|_| Fault::Response)?;
    for message in messages.as_array().ok_or(Fault::Response)? {
        let text = |name: &str| {
            message
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let channel = text("channel");
        if !channel.starts_with("/meta/") {
            continue;
        }
        if message.get("successful") != Some(&Value::Bool(true)) {
            return Err(Fault::Response);
        }
        match channel {
            "/meta/handshake" => {
                let client = text("clientId");
                peer.key = Some(client.into());
                let subscription = format!("/{}", cx.channel);
                say(
                    cx,
                    &json!({"channel": "/meta/subscribe", "clientId": client, "subscription": subscription}),
                );
                connect(cx, client);
            }
            "/meta/subscribe" => peer.ready = true,
            // Answered when the server's time is over, or with messages: there is always one of these under way.
            "/meta/connect" => connect(cx, peer.key.as_deref().unwrap_or_default()),
            _ => {}
        }
    }
    Ok(())
}

fn connect(cx: &mut Cx<'_>, client: &str) {
    say(
        cx,
        &json!({"channel": "/meta/connect", "clientId": client, "connectionType": "websocket"}),
    );
}

fn say(cx: &mut Cx<'_>, message: &Value) {
    ws::masked(cx.out, ws::TEXT, format!("[{message}]").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::client::{Client, message, play};
    use super::*;

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
