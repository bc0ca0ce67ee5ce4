//! CSP and Revolved as a client speaks them, over long-polls and over a bare WebSocket.
//!
//! In: connections. Out: lines of the service, in order, each packet once.

use crate::client::Client;
use crate::node::Node;
use crate::websocket::WebSocket;
use std::collections::VecDeque;

/// A CSP session of one service, read by long-polls on a connection of its own.
pub struct Session {
    /// Where the next comet request goes.
    pub down: Client,
    up: Client,
    base: String,
    key: String,
    sent: u64,
    /// The last packet that came.
    pub acked: u64,
    came: VecDeque<Vec<u8>>,
}

impl Session {
    /// Shakes hands.
    pub fn open(node: &Node, service: &str) -> Self {
        let base = format!("/_/{service}/csp");
        let mut up = node.connect();
        let path = format!("{base}/handshake?transport=longpoll&du=60");
        let text = up.post(&path, b"{\"encodings\":[0,1,2]}").text();
        let (_, behind) = text.split_once("\"session\":\"").expect(&text);
        let (key, _) = behind.split_once('"').unwrap();
        Self {
            down: node.connect(),
            up,
            base,
            key: key.to_owned(),
            sent: 0,
            acked: 0,
            came: VecDeque::new(),
        }
    }

    /// The path of an endpoint for this session, with the acknowledgement.
    pub fn path(&self, endpoint: &str) -> String {
        format!("{}/{endpoint}?s={}&a={}", self.base, self.key, self.acked)
    }

    /// Sends bytes of the service's stream.
    pub fn send(&mut self, text: &str) {
        self.sent += 1;
        let batch = format!("[[{},2,{}]]", self.sent, quoted(text));
        let answer = self.up.post(&self.path("send"), batch.as_bytes());
        assert_eq!(answer.text(), "(\"OK\")");
    }

    /// Asks for what is pending, without waiting for it.
    pub fn poll(&mut self) {
        let path = self.path("comet");
        self.down.ask("GET", &path, "", b"");
    }

    /// Takes in what a poll was answered with.
    pub fn take_answer(&mut self) {
        let answer = self.down.response();
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.take_batch(&answer.text());
    }

    /// The next bytes of the service, polled for as long as it takes.
    pub fn next(&mut self) -> String {
        while self.came.is_empty() {
            self.poll();
            self.take_answer();
        }
        String::from_utf8(self.came.pop_front().unwrap()).unwrap()
    }

    /// Subscribes to a channel of Revolved.
    pub fn subscribe(&mut self, channel: &str) {
        self.send(&format!("[1,\"SUBSCRIBE\",[\"{channel}\"]]\n"));
        let answer = self.next();
        assert!(answer.starts_with("[\"OK\",[1,"), "{answer}");
    }

    /// Takes in `([[id,enc,"data"],…])`.
    pub fn take_batch(&mut self, text: &str) {
        let packets = text.strip_prefix("([").and_then(|t| t.strip_suffix("])"));
        let mut rest = packets.unwrap_or_else(|| panic!("no batch: {text}"));
        while let Some(packet) = rest.trim_start_matches(',').strip_prefix('[') {
            let (id, behind) = packet.split_once(',').unwrap();
            let (encoding, behind) = behind.split_once(',').unwrap();
            let (data, behind) = string(behind);
            let data = match encoding {
                "1" => panic!("base64 was not asked for: {text}"),
                _ => data.into_bytes(),
            };
            let id: u64 = id.parse().unwrap();
            if id == self.acked + 1 {
                self.acked = id;
                self.came.push_back(data);
            }
            assert!(id <= self.acked, "packet {id} came after {}", self.acked);
            rest = behind.strip_prefix(']').unwrap();
        }
        assert!(rest.is_empty(), "{text}");
    }
}

/// A bare WebSocket of Revolved that is subscribed to `channel`.
pub fn subscriber(node: &Node, channel: &str) -> WebSocket {
    let mut socket = WebSocket::open(node.connect(), "/_/revolved/ws");
    socket.text(&format!("[1,\"SUBSCRIBE\",[\"{channel}\"]]\n"));
    let answer = socket.next_text();
    assert!(answer.starts_with("[\"OK\",[1,"), "{answer}");
    socket
}

/// The line a subscriber gets for text that the application published.
pub fn published(channel: &str, text: &str, offset: u64) -> String {
    format!("[\"PUBLISH\",[\"{channel}\",null,\"{text}\",{{\"offset\":{offset}}}]]\n")
}

/// A JSON string; the tests send nothing that needs more than this.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// The JSON string in front of `text`, and what is behind it.
fn string(text: &str) -> (String, &str) {
    let mut chars = text.strip_prefix('"').expect(text).chars();
    let mut out = String::new();
    loop {
        match chars.next().expect(text) {
            '"' => return (out, chars.as_str()),
            '\\' => match chars.next().expect(text) {
                'u' => {
                    let code: String = chars.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&code, 16).unwrap();
                    out.push(char::from_u32(code).unwrap());
                }
                'n' => out.push('\n'),
                plain => out.push(plain),
            },
            plain => out.push(plain),
        }
    }
}
