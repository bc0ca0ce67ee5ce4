//! A downstream taken over at every byte of what it writes, by every transport: the client has each packet
//! once and in order, whatever of them the old one brought, and the old one ends as its kind ends.
//!
//! In: nothing. Out: how many cuts there were, or a panic. The runs of `world` meet takeovers by chance and
//! among other faults; here none is left out.

use super::batches::{Batches, packets};
use super::chance::Chance;
use super::csp_down::upgrade;
use super::driver::{Driver, LinkId};
use super::frames::{CLOSE, Frames, TEXT};
use super::response::{Piece, Responses};
use super::settings::{Settings, Transport, encode};
use orbited::config::Config;
use orbited::node::Door;
use orbited::transport::ROWS;

/// Cuts every downstream of the kind `old` at every byte; the kinds that take over come in turn, from `first`.
pub fn run(old: Transport, first: usize) -> u64 {
    let kinds = Transport::all();
    let mut bench = Bench::new();
    let mut cuts = 0;
    for bytes in 0.. {
        let new = kinds[(first + bytes) % kinds.len()];
        let both = [false, true].map(|late| bench.cut(old, new, bytes, late));
        cuts += both.iter().filter(|cut| **cut).count() as u64;
        if !both[0] {
            break;
        }
    }
    bench.net.sleep(200_000);
    assert_eq!(bench.net.node.session_count(), 0, "sessions are left");
    assert_eq!(bench.net.node.conn_count(), 0, "connections are left");
    assert_eq!(bench.net.node.queued_bytes(), 0, "bytes are left");
    cuts
}

impl Transport {
    /// Every kind.
    pub fn all() -> Vec<Transport> {
        let own = [
            Transport::LongPoll,
            Transport::Stream,
            Transport::Sse,
            Transport::SseLongPoll,
            Transport::Jsonp,
            Transport::Poll,
            Transport::WebSocket,
        ];
        own.into_iter()
            .chain((0..ROWS.len()).map(Transport::Row))
            .collect()
    }
}

/// More waits for a session than one flush writes, then a downstream comes: it brings all of it, as its pipe
/// takes it.
pub fn flood(kind: Transport) {
    let mut bench = Bench::new();
    for bytes in [usize::MAX, 200_000, 7_000] {
        let mut client = bench.shake_hands();
        for _ in 0..5 {
            bench.send_long(&mut client, 6);
        }
        let mut down = bench.open(&client, kind, 0, bytes);
        while client.has < client.next_up - 1 {
            let before = client.has;
            for _ in 0..20 {
                bench.read(&mut client, &mut down);
            }
            assert!(client.has > before, "{kind:?} stops at {before}");
            if down.over {
                down = bench.open(&client, kind, client.has, bytes);
            }
        }
    }
}

/// A node and who tries it.
struct Bench {
    net: Driver,
    chance: Chance,
}

/// One session's client.
struct Client {
    key: String,
    /// What it sends on.
    up: LinkId,
    next_up: u64,
    /// What its packets hold.
    payload: fn(u64) -> String,
    /// The last packet it has.
    has: u64,
}

/// One downstream.
struct Down {
    link: LinkId,
    settings: Settings,
    /// What it acknowledged, then the last packet it brought.
    last: u64,
    responses: Responses,
    body: Batches,
    frames: Frames,
    over: bool,
}

impl Bench {
    fn new() -> Self {
        let config = Config {
            max_connections: 100_000,
            max_sessions: 100_000,
            ..Config::default()
        };
        let mut net = Driver::new(config, 0, false);
        net.open_wide();
        let chance = Chance::new(0, 4);
        Self { net, chance }
    }

    /// One session whose downstream `old` takes so many bytes and no more, and then `new`; a `late` one
    /// acknowledges as if the old had brought nothing. False when everything fitted.
    fn cut(&mut self, old: Transport, new: Transport, bytes: usize, late: bool) -> bool {
        let mut client = self.shake_hands();
        self.send(&mut client, 2);
        let mut poll = self.open(&client, Transport::Poll, 0, usize::MAX);
        self.read(&mut client, &mut poll);
        assert_eq!(client.has, 2, "the first poll");
        let mut old = self.open(&client, old, 1, bytes);
        self.send(&mut client, 3);
        let cut = self.net.is_blocked(old.link);
        self.net.set_room(old.link, 0);
        self.read(&mut client, &mut old);
        let acked = if late { 1 } else { client.has };
        let mut new = self.open(&client, new, acked, usize::MAX);
        self.read(&mut client, &mut new);
        if self.chance.one_in(2) {
            self.net.set_room(old.link, usize::MAX);
            self.net.settle();
            self.read(&mut client, &mut old);
            let kind = old.settings.transport;
            assert!(old.over, "{kind:?} goes on, cut at {bytes}");
        }
        self.send(&mut client, 1);
        self.read(&mut client, &mut new);
        while client.has < 6 {
            assert!(
                new.over,
                "{:?} brings nothing after {:?} was cut at {bytes}",
                new.settings.transport, old.settings.transport
            );
            new = self.open(&client, Transport::LongPoll, client.has, usize::MAX);
            self.read(&mut client, &mut new);
        }
        for link in [poll.link, old.link, new.link, client.up] {
            self.net.leave(link);
        }
        self.net.settle();
        cut
    }

    fn shake_hands(&mut self) -> Client {
        let up = self.net.connect(Door::Public).unwrap();
        let text = self.ask(
            up,
            "GET /_/echo/csp/handshake?d=%7B%7D HTTP/1.1\r\nHost: h\r\n\r\n",
        );
        let (_, behind) = text.split_once("\"session\":\"").unwrap();
        let (key, _) = behind.split_once('"').unwrap();
        Client {
            key: key.to_owned(),
            up,
            next_up: 1,
            payload,
            has: 0,
        }
    }

    /// Sends `many` packets, all of which come back.
    fn send(&mut self, client: &mut Client, many: u64) {
        self.send_packets(client, many, payload);
    }

    /// Sends packets of some ten kilobytes.
    fn send_long(&mut self, client: &mut Client, many: u64) {
        self.send_packets(client, many, long_payload);
    }

    fn send_packets(&mut self, client: &mut Client, many: u64, payload: fn(u64) -> String) {
        client.payload = payload;
        let ids = client.next_up..client.next_up + many;
        client.next_up = ids.end;
        let packets: Vec<String> = ids
            .map(|id| format!("[{id},0,\"{}\"]", payload(id)))
            .collect();
        let (key, data) = (&client.key, format!("[{}]", packets.join(",")));
        let head = format!("POST /_/echo/csp/send?s={key} HTTP/1.1\r\nHost: h\r\n");
        let length = format!("Content-Length: {}\r\n\r\n", data.len());
        let text = self.ask(client.up, &format!("{head}{length}{data}"));
        assert!(text.ends_with("(\"OK\")"), "{text}");
    }

    fn ask(&mut self, link: LinkId, request: &str) -> String {
        self.net.send(link, request.as_bytes());
        self.net.settle();
        String::from_utf8(self.net.take(link, usize::MAX)).unwrap()
    }

    /// Opens a downstream whose pipe takes so many bytes.
    fn open(&mut self, client: &Client, kind: Transport, acked: u64, bytes: usize) -> Down {
        let settings = Settings::new(&mut self.chance, kind);
        let link = self.net.connect(Door::Public).unwrap();
        self.net.set_room(link, bytes);
        let mut pairs = vec![("s", client.key.clone()), ("a", acked.to_string())];
        let request = if kind == Transport::WebSocket {
            upgrade(&format!("/_/echo/csp/websocket?{}", encode(&pairs)))
        } else {
            pairs.extend(settings.pairs());
            let query = encode(&pairs);
            format!("GET /_/echo/csp/comet?{query} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes()
        };
        self.net.send(link, &request);
        self.net.settle();
        Down {
            link,
            settings,
            last: acked,
            responses: Responses::default(),
            body: Batches::default(),
            frames: Frames::default(),
            over: false,
        }
    }

    /// Reads what is there of a downstream.
    fn read(&mut self, client: &mut Client, down: &mut Down) {
        down.responses.push(&self.net.take(down.link, usize::MAX));
        self.net.settle();
        while let Some(piece) = down.responses.next(false) {
            match piece {
                Piece::Head(head) => assert!(matches!(head.status, 101 | 200), "{head:?}"),
                Piece::Body(bytes) => {
                    down.body.push(&bytes);
                    while let Some((_, array)) = down.body.next() {
                        let last = client.takes(down, &array);
                        down.body.took(last);
                    }
                }
                Piece::Raw(bytes) => {
                    down.frames.push(&bytes);
                    while let Some(frame) = down.frames.next() {
                        match frame.opcode {
                            TEXT => _ = client.takes(down, &frame.payload),
                            CLOSE => {
                                assert_eq!(frame.code(), 4409);
                                down.over = true;
                            }
                            opcode => panic!("opcode {opcode}"),
                        }
                    }
                }
                Piece::End => down.over = true,
            }
        }
    }
}

impl Client {
    /// Takes a batch; gives back the id of its last packet.
    fn takes(&mut self, down: &mut Down, array: &[u8]) -> Option<u64> {
        for packet in packets(array, false) {
            let kind = down.settings.transport;
            assert_eq!(packet.id, down.last + 1, "on {kind:?}");
            assert_eq!(
                packet.data.as_deref(),
                Some((self.payload)(packet.id).as_bytes()),
                "packet {} on {kind:?}",
                packet.id
            );
            down.last = packet.id;
            self.has = self.has.max(packet.id);
        }
        (down.last > 0).then_some(down.last)
    }
}

fn payload(id: u64) -> String {
    format!("<{id}> {}", "x".repeat(8 * id as usize))
}

fn long_payload(id: u64) -> String {
    format!("<{id}> {}", "y".repeat(30_000))
}
