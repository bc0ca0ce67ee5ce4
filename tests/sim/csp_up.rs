//! The upstream half of a CSP client: packets, batches, and what clients do to them.
//!
//! In: the peer's bytes. Out: packets, each sent until it is acknowledged: once, twice, out of order, over
//! HTTP and WebSocket at once. That the node takes each exactly once is seen by the peer's calls.

use super::csp::{AckBy, Csp, Phase};
use super::csp_down::Down;
use super::frames;
use super::http::What;
use super::peer::json;
use super::request::{Saying, spell};
use super::scene::Scene;
use super::settings::Transport;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

/// A packet to the server.
pub struct Up {
    id: u64,
    text: String,
    done: bool,
}

/// A batch that is not answered.
pub struct Batch {
    pub number: u32,
    ids: Vec<u64>,
    issued_at: u64,
    /// How its result must look.
    result: String,
    /// It also changes settings.
    changes: bool,
    /// It breaks the protocol.
    bad: bool,
}

impl Csp {
    /// Makes packets of what the peer has to say, cut anywhere.
    pub(super) fn cut(&mut self, scene: &mut Scene) {
        let config = scene.net.node.config();
        let most = if config.max_message < 10_000 {
            1_500
        } else {
            30_000
        };
        while !self.peer.out.is_empty() && self.ups.len() < 40 {
            let len = self.peer.out.len().min(most);
            let cut = if scene.chance.one_in(4) {
                scene.chance.between(1, len)
            } else {
                len
            };
            let bytes: Vec<u8> = self.peer.out.drain(..cut).collect();
            self.queue(scene, Some(&bytes));
        }
        if self.closing && self.peer.out.is_empty() && !self.closed_up {
            self.closed_up = true;
            self.queue(scene, None);
        }
    }

    fn queue(&mut self, scene: &mut Scene, bytes: Option<&[u8]>) {
        let id = self.next_up;
        self.next_up += 1;
        let text = match bytes {
            None => format!("[{id},{},null]", scene.chance.below(2)),
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if scene.chance.one_in(2) => {
                    format!(
                        "[{id},{},{}]",
                        if self.utf8 {
                            scene.chance.pick(&[0, 2])
                        } else {
                            0
                        },
                        json(text)
                    )
                }
                _ => {
                    let spelled = match scene.chance.below(3) {
                        0 => STANDARD.encode(bytes),
                        1 => URL_SAFE.encode(bytes),
                        _ => URL_SAFE_NO_PAD.encode(bytes),
                    };
                    format!("[{id}, 1, \"{spelled}\"]")
                }
            },
        };
        self.ups.push_back(Up {
            id,
            text,
            done: false,
        });
    }

    /// Sends what is to be sent: over the WebSocket if there is one, else one request at a time.
    pub(super) fn push_up(&mut self, scene: &mut Scene) {
        if self.ups.is_empty() {
            return;
        }
        let socket = self.downs.iter().position(Down::is_open_socket);
        match socket {
            // At rest the WebSocket itself must acknowledge what came over it.
            Some(at) if scene.net.calm || !scene.chance.one_in(6) => {
                self.push_over_socket(scene, at)
            }
            _ if self.sends.is_empty() => self.send_batch(scene, 0, Vec::new()),
            _ => {}
        }
    }

    fn push_over_socket(&mut self, scene: &mut Scene, at: usize) {
        let down = &mut self.downs[at];
        let limit = scene.net.node.config().max_message - 100;
        let Some(conn) = self.conns.iter_mut().find(|conn| conn.link == down.link) else {
            return;
        };
        let (mut ids, mut batch) = (0, Vec::new());
        let from = down.sent_up;
        for up in self.ups.iter().filter(|up| up.id > from) {
            if batch.len() + up.text.len() > limit {
                break;
            }
            batch.extend_from_slice(if ids == 0 { b"[" } else { b"," });
            batch.extend_from_slice(up.text.as_bytes());
            (ids, down.sent_up) = (ids + 1, up.id);
        }
        if ids > 0 {
            batch.push(b']');
            scene.count("batches over websocket");
            let message = frames::message(&mut scene.chance, &batch);
            conn.say(&message);
        }
    }

    /// Sends again what is on its way already.
    pub fn send_twice(&mut self, scene: &mut Scene) {
        if self.is_live() && !self.ups.is_empty() {
            scene.count("faults: batches sent twice");
            self.send_batch(scene, 0, Vec::new());
        }
        if let Some(down) = self.downs.iter_mut().find(|down| down.is_open_socket()) {
            down.sent_up = down.sent_up.saturating_sub(2);
        }
    }

    /// Sends later packets before earlier ones, within what the node holds.
    pub fn send_ahead(&mut self, scene: &mut Scene) {
        let small = self.ups.iter().all(|up| up.text.len() < 4_000);
        if self.is_live() && self.ups.len() > 1 && self.ups.len() <= 12 && small {
            scene.count("faults: batches out of order");
            let skip = scene.chance.between(1, self.ups.len() - 1);
            self.send_batch(scene, skip, Vec::new());
        }
    }

    /// Changes settings with a batch, perhaps an empty one.
    pub fn change_settings(&mut self, scene: &mut Scene) {
        if !self.is_live() {
            return;
        }
        let changes = [
            ("i", "3"),
            ("se", "1"),
            ("se", "0"),
            ("du", "30"),
            ("du", "0"),
            ("is", "1"),
            ("is", "0"),
            ("g", "1"),
            ("ps", "16"),
        ];
        let (name, value) = scene.chance.pick(&changes);
        scene.count("settings changed by a batch");
        if name == "du" {
            self.hold_s = self.hold_s.min(value.parse().unwrap());
        }
        self.downs.iter_mut().for_each(|down| down.lenient = true);
        self.send_batch(scene, 0, vec![(name, value.to_owned())]);
    }

    /// Whether a batch that changes settings is on its way.
    pub(super) fn changes_settings(&self) -> bool {
        self.sends.iter().any(|batch| batch.changes)
    }

    fn send_batch(&mut self, scene: &mut Scene, skip: usize, changes: Vec<(&'static str, String)>) {
        let limit = scene.net.node.config().max_body / 3 - 2_000;
        let (mut ids, mut text) = (Vec::new(), String::from("["));
        for up in self.ups.iter().filter(|up| !up.done).skip(skip) {
            if text.len() + up.text.len() > limit {
                break;
            }
            text.push_str(if ids.is_empty() { "" } else { "," });
            text.push_str(&up.text);
            ids.push(up.id);
        }
        text.push(']');
        self.send(scene, ids, &text, changes, false);
    }

    /// Breaks the protocol; the node must end the session.
    pub fn send_nonsense(&mut self, scene: &mut Scene) {
        if !self.is_live() {
            return;
        }
        // Whatever it has still to say, a packet for each byte and one that closes, leaves a gap in front of these.
        let next = self.next_up + 2 + self.peer.out.len() as u64;
        let far: Vec<String> = (next..next + 17)
            .map(|id| format!("[{id},0,\"x\"]"))
            .collect();
        let far = format!("[{}]", far.join(","));
        let bad = scene.chance.pick(&[
            "nope",
            "[[1,0]]",
            "[[9,7,\"x\"]]",
            "[[9,1,\"!\"]]",
            "{\"a\":1}",
            &far,
        ]);
        scene.count("faults: nonsense batches");
        self.gives_up = true;
        self.says_goodbye(scene, "protocol");
        let socket = self
            .downs
            .iter()
            .find(|down| down.is_open_socket())
            .map(|down| down.link);
        match socket.and_then(|link| self.conns.iter_mut().find(|conn| conn.link == link)) {
            Some(conn) if !bad.starts_with('{') => {
                scene.doomed += 1;
                conn.say(&frames::message(&mut scene.chance, bad.as_bytes()));
            }
            _ => self.send(scene, Vec::new(), bad, Vec::new(), true),
        }
    }

    fn send(
        &mut self,
        scene: &mut Scene,
        ids: Vec<u64>,
        text: &str,
        changes: Vec<(&'static str, String)>,
        bad: bool,
    ) {
        let Some(index) = self.connection(scene) else {
            return;
        };
        self.suspect_silence(scene);
        self.number += 1;
        scene.doomed += u64::from(bad);
        let (prefix, suffix) = self.wrapping(scene);
        let mut pairs = vec![
            ("s", self.key.clone()),
            ("rp", prefix.to_owned()),
            ("rs", suffix.to_owned()),
        ];
        if scene.chance.one_in(2) {
            self.acknowledged = self.has;
            pairs.push(("a", self.has.to_string()));
            self.acks.push((AckBy::Request(self.number), self.has));
        }
        let changing = !changes.is_empty();
        pairs.extend(changes);
        let path = Self::path(scene, "send");
        let get = self.transport == Transport::Jsonp;
        let header = String::from("Content-Type: text/plain\r\n");
        let request = spell(
            &mut scene.chance,
            &Saying {
                path: &path,
                pairs,
                data: Some(text.as_bytes()),
                header,
                get,
            },
        );
        let name = self.name;
        let number = self.number;
        scene.note(|| format!("{name} sends {number}: {ids:?} on conn {index}"));
        scene.count("batches over http");
        let result = format!("{prefix}(\"OK\"){suffix}");
        self.sends.push(Batch {
            number,
            ids,
            issued_at: scene.now(),
            result,
            changes: changing,
            bad,
        });
        let conn = &mut self.conns[index];
        conn.ask(scene.now(), &request, false, What::Send(number));
        if !scene.net.calm && scene.chance.one_in(16) {
            scene.count("faults: batches late");
            conn.wait = scene.chance.between(1, 20) as u32;
        } else if !scene.net.calm && scene.chance.one_in(40) {
            conn.ask_and_shut(scene);
        }
    }

    pub(super) fn send_answered(
        &mut self,
        scene: &mut Scene,
        number: u32,
        status: u16,
        body: &[u8],
    ) {
        let Some(at) = self.sends.iter().position(|batch| batch.number == number) else {
            return;
        };
        let batch = self.sends.remove(at);
        let text = String::from_utf8_lossy(body);
        match status {
            200 => {
                let plain = text.strip_prefix("/**/").unwrap_or(&text);
                assert_eq!(plain, batch.result);
                // One that was closed minds no gaps any more.
                assert!(
                    !batch.bad || self.peer.may_be_kicked(scene),
                    "nonsense is OK"
                );
                self.proven(scene, number, batch.issued_at);
                self.done(|id| batch.ids.contains(&id));
            }
            400 if batch.bad => self.phase = Phase::Over,
            404 => {
                assert_eq!(text, "'Session not found'");
                self.gone(scene, "send: 404");
            }
            408 | 503 => {}
            _ => panic!("{}: send {number}: {status} {text}", self.name),
        }
    }

    /// The node has every packet up to `id`.
    pub(super) fn up_to(&mut self, id: u64) {
        assert!(
            id < self.next_up,
            "{}: packet {id} is acknowledged and was never sent",
            self.name
        );
        self.done(|up| up <= id);
    }

    fn done(&mut self, has: impl Fn(u64) -> bool) {
        self.ups.iter_mut().for_each(|up| up.done |= has(up.id));
        while self.ups.front().is_some_and(|up| up.done) {
            self.ups.pop_front();
        }
    }

    /// Closes the session as js.io does: a null packet behind everything.
    pub fn close(&mut self, scene: &mut Scene) {
        if self.is_live() {
            scene.count("closes: by the client");
            self.closing = true;
            self.says_goodbye(scene, "clean");
        }
    }

    /// Acknowledges over the WebSocket that it opened last: as is, late, or twice.
    pub fn acknowledge(&mut self, scene: &mut Scene) {
        let Some(link) = self
            .downs
            .iter()
            .rfind(|down| down.is_open_socket())
            .map(|down| down.link)
        else {
            return;
        };
        let Some(conn) = self.conns.iter_mut().find(|conn| conn.link == link) else {
            return;
        };
        let ack = self.has.saturating_sub(if scene.chance.one_in(3) {
            scene.chance.below(5) as u64
        } else {
            0
        });
        self.acknowledged = self.acknowledged.max(ack);
        self.acks.push((AckBy::Socket(link), ack));
        let text = scene
            .chance
            .pick(&["{\"a\":N}", "{ \"a\" : N }", " {\"a\":N,\"b\":[]}"])
            .replace('N', &ack.to_string());
        scene.count("acknowledgements over websocket");
        conn.say(&frames::message(&mut scene.chance, text.as_bytes()));
    }

    /// Acknowledges by whatever downstream it has.
    pub(super) fn acknowledge_all(&mut self, scene: &mut Scene) {
        match self.downs.iter().any(|down| down.is_open_socket()) {
            true => self.acknowledge(scene),
            false => self.open_some(scene),
        }
    }

    /// Breaks the WebSocket protocol, which ends the WebSocket and not the session.
    pub fn break_socket(&mut self, scene: &mut Scene) {
        let Some(down) = self.downs.iter_mut().find(|down| down.is_open_socket()) else {
            return;
        };
        let Some(conn) = self.conns.iter_mut().find(|conn| conn.link == down.link) else {
            return;
        };
        scene.count("faults: broken websockets");
        down.broken = true;
        let bytes = match scene.chance.below(3) {
            0 => vec![0x81, 0x01, b'x'],
            1 => frames::binary(&mut scene.chance, b"x"),
            _ => frames::close(&mut scene.chance, 1000),
        };
        conn.say(&bytes);
    }
}
