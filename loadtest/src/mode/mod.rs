//! How a client of each kind behaves, without a socket: a mode is a file here and a row in [`ROWS`].
//!
//! In: bytes of one connection, and what is remembered of it (a [`Peer`]). Out: bytes to send, marks that
//! arrived, whether it is ready.

mod bayeux;
mod bayeux_longpoll;
#[cfg(test)]
mod client;
mod csp;
mod csp_longpoll;
mod csp_moves;
mod csp_stream;
mod csp_ws;
mod events;
mod foreign;
mod http;
mod raw;
mod stomp;
mod template;
mod ws;

pub use template::Template;

use crate::held::Held;
use crate::marks::Marks;
use crate::part::{Part, Word};
use crate::payload;
use crate::proto::http::Body;
use crate::tally::Window;
use crate::trouble::Fault;
use memchr::memmem;
use std::fmt::Debug;

/// What is remembered of a connection. Small: there are very many.
#[derive(Debug, Default)]
pub struct Peer {
    /// The session's key, where there is one.
    pub key: Option<Box<str>>,
    /// A body's text whose end has not come.
    pub text: Held,
    /// Which messages came.
    pub window: Window,
    /// Where it stands in an HTTP response.
    pub body: Body,
    /// The last CSP packet that came, and the last that was acknowledged.
    pub got: u32,
    /// See `got`.
    pub acked: u32,
    /// Bytes of the packets between the two.
    pub unacked: u32,
    /// The last CSP packet that was sent.
    pub sent: u32,
    /// The number of the client.
    pub client: u32,
    /// When something came last, in milliseconds that go round.
    pub heard_ms: u32,
    /// Where it stands in its setting up; the mode's own numbering.
    pub step: u8,
    /// It holds what is to be held.
    pub ready: bool,
    /// It has said goodbye.
    pub leaving: bool,
    /// It stands in the queue of those that acknowledge later.
    pub ack_later: bool,
    /// It stands in the list of those that acknowledge in this turn.
    pub ack_now: bool,
}

impl Peer {
    /// All that came is acknowledged.
    pub fn acknowledged(&mut self) {
        (self.acked, self.unacked) = (self.got, 0);
    }

    /// How long nothing has come.
    #[must_use]
    pub fn silence_ms(&self, now_ns: u64) -> u32 {
        millis(now_ns).wrapping_sub(self.heard_ms)
    }

    /// The same client before it had a connection.
    #[must_use]
    pub fn anew(self) -> Self {
        Self {
            client: self.client,
            window: self.window,
            ..Self::default()
        }
    }

    /// The same client without its connection. A session that was ready, as one is after `calls` answers, waits.
    #[must_use]
    pub fn cut(self, calls: u32) -> Self {
        if self.got < calls || self.key.is_none() {
            return self.anew();
        }
        Self {
            key: self.key,
            got: self.got,
            acked: self.acked,
            sent: self.sent,
            client: self.client,
            window: self.window,
            ..Self::default()
        }
    }
}

/// Milliseconds that go round after 49 days.
#[must_use]
pub fn millis(ns: u64) -> u32 {
    (ns / 1_000_000) as u32
}

/// What a connection acts on besides itself.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The `Host` to name.
    pub host: &'a str,
    /// The channel to subscribe to.
    pub channel: &'a str,
    /// What clients are there for.
    pub part: Part,
    /// Seconds after which a CSP client asks its server to break a silence; 0 leaves it to the server.
    pub interval_s: u32,
    /// Seconds that a CSP client has a response held; 0 leaves it to the server.
    pub hold_s: u32,
    /// What to send on the connection itself.
    pub out: &'a mut Vec<u8>,
    /// Whole requests to send on one of the shared connections beside it, whose answers nobody reads.
    pub side: &'a mut Vec<u8>,
    /// Where marks are counted.
    pub marks: &'a mut Marks,
    /// Now, by `sys::now_ns`.
    pub now_ns: u64,
}

impl Cx<'_> {
    /// Counts a response that arrived, if there are marks in it, and these.
    pub fn arrived(&mut self, peer: &mut Peer, response: &[u8]) {
        let landed = self.landed(peer, response);
        self.marks.tally.responses += u64::from(landed);
    }

    /// Counts the marks in a part of a response; whether there are some.
    pub fn landed(&mut self, peer: &mut Peer, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while let Some((mark, behind)) = payload::find(rest) {
            rest = behind;
            self.marks.note(peer, mark, self.now_ns);
        }
        if self.part.speaks() && peer.ready {
            self.marks.tally.refused += refusals(bytes);
        }
        rest.len() < bytes.len()
    }

    /// What this client says first.
    #[must_use]
    pub fn hello(&self, peer: &Peer) -> String {
        self.part.hello(self.channel, peer.client)
    }

    /// Whether everything that was said first is answered.
    #[must_use]
    pub fn is_set_up(&self, peer: &Peer) -> bool {
        peer.got >= self.part.calls()
    }

    /// A GET with these fields, each ended by CR LF.
    pub fn get(&mut self, target: &str, fields: &str) {
        let host = self.host;
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
        self.out.extend_from_slice(head.as_bytes());
    }
}

/// A POST of text to be appended where it is to be sent.
fn post(out: &mut Vec<u8>, host: &str, target: &str, body: &str) {
    post_as("text/plain", out, host, target, body);
}

/// The same of another type.
fn post_as(kind: &str, out: &mut Vec<u8>, host: &str, target: &str, body: &str) {
    let length = body.len();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    out.extend_from_slice(head.as_bytes());
}

/// How many calls the server refused in these bytes. No message holds capital letters.
fn refusals(bytes: &[u8]) -> u64 {
    memmem::find_iter(bytes, b"ERR").count() as u64
}

/// A kind of client.
pub trait Mode: Debug {
    /// The connection is there.
    fn opened(&self, cx: &mut Cx<'_>, peer: &mut Peer);

    /// Whether a session waits for a client that was cut off.
    fn resumes(&self) -> bool {
        false
    }

    /// The connection is there for a client whose session waits for one.
    fn resumed(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        self.opened(cx, peer);
    }

    /// Bytes came; gives back how many of them were taken. The rest comes again with more behind it.
    ///
    /// # Errors
    /// The server breaks the protocol, or refuses: the connection is closed and counted.
    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault>;

    /// Says what has arrived, where the protocol has acknowledgements, in answer to `wants_ack`.
    fn acknowledge(&self, _: &mut Cx<'_>, _: &mut Peer) {}

    /// Whether such a client can send.
    fn speaks(&self) -> bool {
        false
    }

    /// Sends messages, together.
    fn say(&self, _: &mut Cx<'_>, _: &mut Peer, _words: &[Word]) {}

    /// Says goodbye, after which the server ends the connection. False where the protocol has no such word, and the
    /// connection is just closed.
    fn goodbye(&self, _: &mut Cx<'_>, _: &mut Peer) -> bool {
        false
    }

    /// Whether something is to be acknowledged that no request does by itself, and how soon.
    fn wants_ack(&self, _: &Peer) -> Ack {
        Ack::None
    }
}

/// When to acknowledge; CSP.js does it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// Nothing to acknowledge.
    None,
    /// At once.
    Now,
    /// With what comes in these nanoseconds.
    After(u64),
}

/// A mode by its name.
#[derive(Debug)]
pub struct Row {
    /// As in `--mode`.
    pub name: &'static str,
    /// What `--help` says.
    pub help: &'static str,
    /// What is run against the floor to compare with.
    pub floor: &'static str,
    /// Whether published messages reach it.
    pub subscribes: bool,
    /// Makes it.
    make: fn(&Wish<'_>) -> Box<dyn Mode>,
}

/// What a mode is made for.
#[derive(Debug)]
pub struct Wish<'a> {
    /// Against the floor, which has neither channels nor sessions.
    pub floor: bool,
    /// For the mode `template`.
    pub template: &'a Template,
}

impl Row {
    /// The mode called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|row| row.name == name)
    }

    /// Every mode, those of other servers last.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        ROWS.iter().chain(&foreign::ROWS)
    }

    /// Whether its clients have sessions that wait for them.
    #[must_use]
    pub fn resumes(&self) -> bool {
        self.plain().resumes()
    }

    /// Whether its clients can send.
    #[must_use]
    pub fn speaks(&self) -> bool {
        self.plain().speaks()
    }

    fn plain(&self) -> Box<dyn Mode> {
        self.make(&Wish {
            floor: false,
            template: &Template::default(),
        })
    }

    /// Makes it.
    #[must_use]
    pub fn make(&self, wish: &Wish<'_>) -> Box<dyn Mode> {
        (self.make)(wish)
    }
}

/// Every mode that is the node's own, and `template`.
pub const ROWS: [Row; 13] = [
    Row {
        name: "raw",
        help: "sockets that say nothing",
        floor: "raw",
        subscribes: false,
        make: |_| Box::new(raw::Raw),
    },
    Row {
        name: "http",
        help: "HTTP keep-alive: one GET of --path, then idle",
        floor: "http",
        subscribes: false,
        make: |wish| Box::new(http::Http::new(wish.template.path_or("/"))),
    },
    Row {
        name: "ws",
        help: "a bare WebSocket, Revolved's SUBSCRIBE",
        floor: "ws",
        subscribes: true,
        make: |wish| Box::new(ws::Ws { bare: wish.floor }),
    },
    Row {
        name: "csp-ws",
        help: "a CSP session on a WebSocket, Revolved, acks as CSP.js",
        floor: "ws",
        subscribes: true,
        make: |_| Box::new(csp_ws::CspWs),
    },
    Row {
        name: "csp-sse",
        help: "the same on server-sent events, acks on shared connections",
        floor: "events",
        subscribes: true,
        make: |_| Box::new(csp_stream::SSE),
    },
    Row {
        name: "csp-stream",
        help: "the same on XHR streaming",
        floor: "events",
        subscribes: true,
        make: |_| Box::new(csp_stream::XHR),
    },
    Row {
        name: "csp-longpoll",
        help: "the same on long-polls, each of which acknowledges",
        floor: "events",
        subscribes: true,
        make: |_| Box::new(csp_longpoll::CspLongPoll),
    },
    Row {
        name: "csp-moves",
        help: "the same on server-sent events, or on a WebSocket after a cut: for storm and soak",
        floor: "events",
        subscribes: true,
        make: |_| Box::new(csp_moves::CspMoves),
    },
    Row {
        name: "bayeux",
        help: "Bayeux on a WebSocket at --path, which other servers of it have elsewhere: CometD, Faye",
        floor: "ws",
        subscribes: true,
        make: |wish| Box::new(bayeux::Bayeux::new(wish.template.path_or(bayeux::PATH))),
    },
    Row {
        name: "bayeux-longpoll",
        help: "the same on long-polls, publications on shared connections",
        floor: "events",
        subscribes: true,
        make: |wish| {
            Box::new(bayeux_longpoll::Poll::new(
                wish.template.path_or(bayeux::PATH),
            ))
        },
    },
    Row {
        name: "events",
        help: "an EventSource on /_/events",
        floor: "events",
        subscribes: true,
        make: |_| Box::new(events::Events),
    },
    Row {
        name: "stomp",
        help: "STOMP over TCP, SUBSCRIBE",
        floor: "raw",
        subscribes: true,
        make: |_| Box::new(stomp::Stomp),
    },
    Row {
        name: "template",
        help: "any other server: --path, --header, --first",
        floor: "ws",
        subscribes: true,
        make: |wish| Box::new(wish.template.clone()),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_another_that_the_floor_serves() {
        for row in Row::all() {
            let floor = Row::named(row.floor).map(|floor| floor.floor);
            assert_eq!(floor, Some(row.floor), "{}", row.name);
        }
    }

    #[test]
    fn a_client_that_is_cut_keeps_its_session_once_it_was_ready() {
        let peer = |got| Peer {
            key: Some("k".into()),
            got,
            sent: 3,
            client: 7,
            ready: true,
            ..Peer::default()
        };
        let kept = peer(2).cut(2);
        assert_eq!(
            (kept.key.as_deref(), kept.got, kept.sent),
            (Some("k"), 2, 3)
        );
        assert!(!kept.ready && kept.client == 7);
        let half = peer(1).cut(2);
        assert_eq!((half.key, half.got, half.client), (None, 0, 7));
        let bare = Peer {
            key: None,
            ..peer(2)
        };
        assert_eq!(bare.cut(2).got, 0, "it is to subscribe again");
    }

    #[test]
    fn what_is_remembered_of_a_connection_is_little() {
        assert!(size_of::<Peer>() <= 80, "{}", size_of::<Peer>());
    }
}
