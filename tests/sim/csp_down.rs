//! The downstream half of a CSP client: comet requests and WebSockets, and the packets they bring.
//!
//! In: transports by chance, bytes of responses. Out: the server's stream to the peer. It asserts CSP: packets
//! are numbered without gap on every downstream, an id always means the same bytes, what was acknowledged is
//! not sent again, a body looks as 1.5 has it, a held request is answered in its time and not before.

use super::batches::{Batches, Packet, packets};
use super::csp::{AckBy, Csp, Phase};
use super::driver::LinkId;
use super::frames::{self, CLOSE, Frame, Frames, TEXT};
use super::http::What;
use super::request::{Saying, spell};
use super::response::Head;
use super::scene::Scene;
use super::settings::{Settings, Transport, encode};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// One comet request or WebSocket.
pub struct Down {
    pub number: u32,
    pub link: LinkId,
    pub settings: Settings,
    /// What the client acknowledged with it.
    pub(super) ack: u64,
    /// It acknowledged more than the client has: as long as the node has not read it, no other may be served.
    lies: bool,
    issued_at: u64,
    /// When the node had all of the request, and how often it was seen so since.
    served: Option<(u64, u32)>,
    /// Its head is there.
    begun: bool,
    /// Another request overlaps with it that may end it or change how it looks.
    pub lenient: bool,
    last: Option<u64>,
    batches: u32,
    /// The last batch was empty.
    empty: bool,
    body: Batches,
    frames: Frames,
    /// The client broke the WebSocket protocol on it.
    pub broken: bool,
    /// The last upstream packet sent on it.
    pub sent_up: u64,
    /// The last upstream packet acknowledged on it.
    acked_up: u64,
}

impl Down {
    /// Whether the node holds it as the session's downstream, as far as can be seen.
    pub fn is_attached(&self) -> bool {
        self.served.is_some_and(|(_, times)| times > 2)
    }

    /// Whether the node cannot have ended it already, unknown to the client.
    pub fn is_sure(&self, scene: &Scene) -> bool {
        let read = scene.net.unread(self.link) == 0 && !scene.net.is_blocked(self.link);
        let young = scene.now() < self.issued_at + self.settings.duration_s * 1000;
        read || (self.settings.streams() && young && !self.lenient)
    }

    /// Whether upstream packets can go over it.
    pub fn is_open_socket(&self) -> bool {
        self.begun && self.settings.transport == Transport::WebSocket
    }
}

impl Csp {
    /// Opens a downstream, mostly of the kind it had.
    pub fn open_some(&mut self, scene: &mut Scene) {
        if scene.chance.one_in(3) {
            self.transport = Transport::any(&mut scene.chance);
        }
        if scene.net.calm && matches!(self.transport, Transport::Poll | Transport::Row(_)) {
            // A run comes to rest with a downstream that lasts.
            self.transport = Transport::LongPoll;
        }
        self.open_down(scene, false);
    }

    /// Opens a downstream, whether or not there is one. A lying client acknowledges packets that were never
    /// sent, which must count for those that were.
    pub fn open_down(&mut self, scene: &mut Scene, lies: bool) {
        if self.phase != Phase::Open || self.is_lying() {
            return;
        }
        let Some(index) = self.connection(scene) else {
            return;
        };
        let settings = Settings::new(&mut scene.chance, self.transport);
        let ack = match scene.chance.below(10) {
            _ if lies => Some(self.has + scene.chance.between(1, 1_000) as u64),
            0 => None,
            1 | 2 => Some(self.has.saturating_sub(scene.chance.below(4) as u64)),
            _ => Some(self.has),
        };
        self.ask_for_down(scene, index, settings, ack, lies);
    }

    /// Asks for a downstream on a connection.
    pub(super) fn ask_for_down(
        &mut self,
        scene: &mut Scene,
        index: usize,
        settings: Settings,
        ack: Option<u64>,
        lies: bool,
    ) {
        self.number += 1;
        let number = self.number;
        let counts = ack.unwrap_or_default().min(self.has);
        self.acknowledged = self.acknowledged.max(counts);
        self.acks.push((AckBy::Request(number), counts));
        // What was asked for before may still be served behind it.
        let late = self.downs.iter().any(|down| !down.is_attached());
        let overlaps = late || self.has_ghosts() || self.changes_settings();
        self.suspect_silence(scene);
        if settings.transport != Transport::WebSocket {
            self.hold_s = self.hold_s.min(settings.duration_s);
        }
        self.downs.iter_mut().for_each(|down| down.lenient = true);
        let name = self.name;
        scene.note(|| {
            format!(
                "{name} opens {number} {:?} du={} a={ack:?}",
                settings.transport, settings.duration_s
            )
        });
        let request = match settings.transport {
            Transport::WebSocket => {
                scene.net.watch_pings(self.conns[index].link);
                self.upgrade(scene, ack)
            }
            _ => self.comet(scene, &settings, ack),
        };
        scene.count(if self.downs.is_empty() {
            "downstreams: fresh"
        } else {
            "downstreams: takeovers"
        });
        self.last_down = number;
        self.downs.push(Down {
            number,
            link: self.conns[index].link,
            settings,
            ack: ack.unwrap_or_default().min(self.has),
            lies,
            issued_at: scene.now(),
            served: None,
            begun: false,
            lenient: overlaps,
            last: None,
            batches: 0,
            empty: false,
            body: Batches::default(),
            frames: Frames::default(),
            broken: false,
            sent_up: 0,
            acked_up: 0,
        });
        self.conns[index].ask(scene.now(), &request, false, What::Down(number));
    }

    fn comet(&mut self, scene: &mut Scene, settings: &Settings, ack: Option<u64>) -> Vec<u8> {
        let mut pairs = vec![("s", self.key.clone())];
        let mut header = String::new();
        match ack {
            // The header beats the variable (1.6).
            Some(ack) if settings.sse && scene.chance.one_in(2) => {
                header = format!("Last-Event-ID: {ack}\r\n");
                pairs.push(("a", "0".to_owned()));
            }
            Some(ack) => pairs.push(("a", ack.to_string())),
            None if scene.chance.one_in(2) => pairs.push(("a", "-1".to_owned())),
            None => {}
        }
        pairs.extend(settings.pairs());
        let get = matches!(
            settings.transport,
            Transport::Jsonp | Transport::Sse | Transport::SseLongPoll
        );
        let path = Self::path(scene, "comet");
        // JSONP of jsio 2.2.5 (1.3).
        let data = scene.chance.one_in(20).then_some(&b"null"[..]);
        spell(
            &mut scene.chance,
            &Saying {
                path: &path,
                pairs,
                data,
                header,
                get,
            },
        )
    }

    fn upgrade(&mut self, scene: &mut Scene, ack: Option<u64>) -> Vec<u8> {
        let mut pairs = vec![("s", self.key.clone())];
        pairs.extend(ack.map(|ack| ("a", ack.to_string())));
        let path = Self::path(scene, "websocket");
        upgrade(&format!("{path}?{}", encode(&pairs)))
    }

    /// Whether an acknowledgement of the future is on its way.
    pub(super) fn is_lying(&self) -> bool {
        self.downs
            .iter()
            .any(|down| down.lies && !down.is_attached())
    }

    fn down(&mut self, number: u32) -> Option<&mut Down> {
        self.downs.iter_mut().find(|down| down.number == number)
    }

    pub(super) fn down_begins(&mut self, scene: &mut Scene, number: u32, head: &Head) {
        let Some(down) = self.down(number) else {
            return;
        };
        let socket = down.settings.transport == Transport::WebSocket;
        match head.status {
            101 => assert!(socket && head.field("sec-websocket-accept").is_some()),
            200 => {
                assert!(!socket, "a WebSocket is answered 200");
                assert_eq!(head.field("access-control-allow-origin"), Some("*"));
                assert_eq!(head.field("x-content-type-options"), Some("nosniff"));
                assert!(
                    down.lenient
                        || down.settings.streams() == head.field("content-length").is_none()
                );
                let kind = head.field("content-type").unwrap_or_default().to_owned();
                let own = matches!(down.settings.transport, Transport::Row(_));
                let sandboxed = head.field("content-security-policy").is_some();
                assert!(
                    own || down.lenient || sandboxed == (kind == "text/html"),
                    "{kind}: {head:?}"
                );
                let wrong = !down.lenient && kind != down.settings.type_of_response();
                let at = down.issued_at;
                if wrong {
                    self.suspect(|| format!("the type is {kind}"));
                }
                self.proven(scene, number, at);
            }
            _ => return,
        }
        if let Some(down) = self.down(number) {
            down.begun = true;
        }
        scene.count("downstreams: begun");
    }

    pub(super) fn down_brings(&mut self, scene: &mut Scene, number: u32, bytes: &[u8]) {
        let Some(down) = self.down(number) else {
            return;
        };
        if down.settings.transport == Transport::WebSocket {
            down.frames.push(bytes);
            while let Some(frame) = self.down(number).and_then(|down| down.frames.next()) {
                self.frame(scene, number, &frame);
            }
            return;
        }
        down.body.push(bytes);
        while let Some((front, array)) = self.down(number).and_then(|down| down.body.next()) {
            let Some(down) = self.down(number) else {
                return;
            };
            let expected = down.body.expected_front(&down.settings);
            let wrong = !down.lenient && expected != front;
            assert!(
                down.settings.streams() || down.lenient || down.batches == 0,
                "two batches in one answer"
            );
            if wrong {
                let (front, expected) = (
                    String::from_utf8_lossy(&front),
                    String::from_utf8_lossy(&expected),
                );
                self.suspect(|| format!("{front:?} in front of a batch instead of {expected:?}"));
            }
            self.batch(scene, number, &array);
        }
    }

    fn batch(&mut self, scene: &mut Scene, number: u32, array: &[u8]) {
        let packets = packets(array, self.utf8);
        self.last_batch_bytes = array.len();
        let Some(down) = self.down(number) else {
            return;
        };
        down.batches += 1;
        down.empty = packets.is_empty();
        down.body.took(packets.last().map(|packet| packet.id));
        let name = self.name;
        let (first, last) = (packets.first().map(|p| p.id), packets.last().map(|p| p.id));
        scene.note(|| format!("{name} has a batch on {number}: {first:?} to {last:?}"));
        for packet in packets {
            self.packet(scene, number, packet);
        }
    }

    fn packet(&mut self, scene: &mut Scene, number: u32, packet: Packet) {
        let (name, has, known) = (self.name, self.has, self.acknowledged);
        let Some(down) = self.down(number) else {
            return;
        };
        let Packet { id, data } = packet;
        assert!(
            id > down.ack,
            "{name}: packet {id} is sent again on {number}, which acknowledged {}",
            down.ack
        );
        // What another request acknowledged meanwhile need not come on this downstream.
        let next = |last: u64| id == last + 1 || (id > last && id <= known + 1);
        assert!(
            down.last.is_none_or(next),
            "{name}: packet {id} behind {:?} on {number}, and {known} is acknowledged",
            down.last
        );
        assert!(
            id <= has + 1,
            "{name}: packet {id} on {number}, and it has only {has}: a gap"
        );
        down.last = Some(id);
        let mut hasher = DefaultHasher::new();
        data.hash(&mut hasher);
        let digest = hasher.finish();
        if id <= has {
            scene.count("packets again");
            assert_eq!(
                self.digests.get(&id),
                Some(&(digest, data.as_ref().map_or(0, Vec::len))),
                "{name}: packet {id} is other bytes than before"
            );
            return;
        }
        scene.count("packets");
        let kind = self.down(number).map(|down| down.settings.transport.name());
        scene
            .net
            .totals
            .add_to("packets by", kind.unwrap_or_default(), 1);
        assert!(
            self.closed_at.is_none(),
            "{name}: packet {id} behind the close packet"
        );
        self.has = id;
        let len = data.as_ref().map_or(0, Vec::len);
        self.digests.insert(id, (digest, len));
        match data {
            Some(bytes) => {
                assert!(
                    bytes.len() <= 32 * 1024,
                    "a packet of {} bytes",
                    bytes.len()
                );
                self.peer.receive(scene, &bytes, id);
            }
            None => {
                scene.note(|| format!("{name} has the close packet {id}"));
                self.peer.ended();
                self.closed_at = Some(id);
            }
        }
    }

    pub(super) fn down_ends(&mut self, scene: &mut Scene, number: u32, status: u16, body: &[u8]) {
        let Some(at) = self.downs.iter().position(|down| down.number == number) else {
            return;
        };
        let down = self.downs.remove(at);
        match status {
            200 => {}
            404 => {
                assert_eq!(body, b"'Session not found'");
                return self.gone(scene, "comet: 404");
            }
            408 | 503 => return,
            _ => panic!("comet: {status} {}", String::from_utf8_lossy(body)),
        }
        assert!(down.batches > 0, "a body without a batch");
        if down.lenient {
            return;
        }
        let (rest, expected) = down.body.rest(&down.settings);
        if rest != expected {
            let (rest, expected) = (
                String::from_utf8_lossy(rest),
                String::from_utf8_lossy(&expected),
            );
            self.suspect(|| format!("{rest:?} at the end of a body instead of {expected:?}"));
        }
        let held_ms = scene.now() - down.issued_at;
        if (down.settings.streams() || down.empty) && held_ms < down.settings.duration_s * 1000 {
            let (transport, empty) = (down.settings.transport, down.empty);
            self.suspect(|| {
                format!("{number} {transport:?} ended after {held_ms} ms, empty: {empty}")
            });
        }
    }

    pub(super) fn down_is_lost(&mut self, scene: &mut Scene, number: u32) {
        let name = self.name;
        scene.note(|| format!("{name} loses {number}"));
        let before = self.downs.len();
        self.downs.retain(|down| down.number != number);
        self.complete &= before == self.downs.len();
    }

    fn frame(&mut self, scene: &mut Scene, number: u32, frame: &Frame) {
        match frame.opcode {
            TEXT if frame.payload.first() == Some(&b'[') => {
                self.served(scene, number);
                self.batch(scene, number, &frame.payload);
            }
            TEXT => {
                self.served(scene, number);
                let id: Option<u64> = frame
                    .text()
                    .strip_prefix("{\"a\":")
                    .and_then(|t| t.strip_suffix('}')?.parse().ok());
                let id = id.unwrap_or_else(|| panic!("{:?}", frame.text()));
                let Some(down) = self.down(number) else {
                    return;
                };
                assert!(
                    id >= down.acked_up,
                    "packet {id} is acknowledged behind {}",
                    down.acked_up
                );
                down.acked_up = id;
                self.up_to(id);
            }
            CLOSE => self.socket_closed(scene, number, frame.code()),
            9 => self.pinged(scene, number, &frame.payload),
            10 => scene.count("pongs"),
            opcode => panic!("opcode {opcode} on a CSP WebSocket"),
        }
    }

    fn pinged(&mut self, scene: &mut Scene, number: u32, payload: &[u8]) {
        let link = self.down(number).map(|down| down.link);
        let conn = self.conns.iter_mut().find(|conn| Some(conn.link) == link);
        if let Some(conn) = conn
            && scene.answers_ping()
        {
            conn.say(&frames::pong(&mut scene.chance, payload));
        }
    }

    fn served(&mut self, scene: &Scene, number: u32) {
        if let Some(at) = self.down(number).map(|down| down.issued_at) {
            self.proven(scene, number, at);
        }
    }

    fn socket_closed(&mut self, scene: &mut Scene, number: u32, code: u16) {
        let name = self.name;
        scene.note(|| format!("{name} is told {code} on {number}"));
        let Some(at) = self.downs.iter().position(|down| down.number == number) else {
            return;
        };
        let down = self.downs.remove(at);
        if let Some(conn) = self.conns.iter_mut().find(|conn| conn.link == down.link) {
            conn.say(&frames::close(&mut scene.chance, 1000));
            if scene.chance.one_in(2) {
                scene.net.finish(down.link);
            }
        }
        assert!(
            code == 1001 || !self.is_farewell(number),
            "{name} is told {code} when the node stops"
        );
        match code {
            4409 => assert!(
                down.lenient,
                "{name} is told that another downstream took over, and there is none"
            ),
            1000 | 1002 | 1003 if down.broken => {}
            // One that was ended in front of the stop was told that, and has its close packet.
            1001 if scene.net.is_stopped()
                && (!self.is_farewell(number) || self.closed_at.is_some()) =>
            {
                self.gives_up = true;
                self.gone(scene, "stopped");
            }
            // What it was answered in the turn of the stop may leave no room for the goodbye: its session ended by that.
            1001 if !self.peer.heard_bye() => assert!(
                scene.may_be_full()
                    || scene.net.was_unheard(down.link)
                    || (scene.net.is_stopped() && scene.claim_overflow()),
                "{name} is told {code} without a reason"
            ),
            _ => self.gone(scene, &format!("close code {code}")),
        }
    }

    /// Compares what the node holds with what it should have let go.
    pub(super) fn watch_downs(&mut self, scene: &mut Scene) {
        let now = scene.now();
        let ending = self.is_ending();
        for down in &mut self.downs {
            let Some(conn) = self.conns.iter().find(|conn| conn.link == down.link) else {
                continue;
            };
            let still = scene.net.unread(down.link) == 0
                && !scene.net.is_blocked(down.link)
                && scene.net.is_up(down.link);
            if !still || !(down.begun || conn.is_served(scene, &What::Down(down.number))) {
                continue;
            }
            let (since, times) = down.served.get_or_insert((now, 0));
            *times += 1;
            if *times <= 2 {
                continue;
            }
            // The session is attached now, so it was not forgotten before.
            self.contact = now;
            if down.lenient || ending {
                continue;
            }
            let silent = now - scene.net.written_at(down.link).max(*since);
            let settings = &down.settings;
            if settings.transport == Transport::WebSocket {
                assert!(
                    silent <= HEARTBEAT_MS + SLACK_MS,
                    "{} hears nothing on a WebSocket for {silent} ms",
                    self.name
                );
                continue;
            }
            let held = now - *since;
            assert!(
                held <= settings.duration_s * 1000 + SLACK_MS,
                "{}: {} is held for {held} ms",
                self.name,
                down.number
            );
            let interval_ms = settings.interval_s * 1000;
            let breathes = settings.streams() && interval_ms > 0;
            assert!(
                !breathes || silent <= interval_ms + SLACK_MS,
                "{} hears nothing on a stream for {silent} ms",
                self.name
            );
        }
    }
}

/// The request that opens a WebSocket.
pub fn upgrade(target: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// What the node's `heartbeat_ms` is in every run.
pub const HEARTBEAT_MS: u64 = 25_000;
/// Milliseconds by which the node may be late: the wheel's granule, twice.
pub const SLACK_MS: u64 = 24;
