//! A client of Revolved on a bare WebSocket, as small as it can be: what it said, what it was told.
//!
//! In: lines to say. Out: lines that came, and whether it was let in. Its bytes go in pieces, one of many at a time.

use super::chance::Chance;
use super::driver::{Driver, LinkId};
use super::frames::{self, Frames};
use super::response::{Piece, Responses};
use orbited::node::Door;
use serde_json::Value;

/// One client.
pub struct Asker {
    pub link: LinkId,
    out: Vec<u8>,
    responses: Responses,
    frames: Frames,
    line: String,
    /// The answer to its upgrade.
    pub status: Option<u16>,
    /// The code by which the node closed.
    pub code: Option<u16>,
    /// It left, or nothing more comes.
    pub over: bool,
}

impl Asker {
    /// Asks for an upgrade, with some fields of the head.
    pub fn open(net: &mut Driver, target: &str, fields: &str) -> Option<Self> {
        let link = net.connect(Door::Public)?;
        net.watch_pings(link);
        let upgrade = format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
        );
        Some(Self {
            link,
            out: upgrade.into_bytes(),
            responses: Responses::default(),
            frames: Frames::default(),
            line: String::new(),
            status: None,
            code: None,
            over: false,
        })
    }

    /// Whether it may speak.
    pub fn is_in(&self) -> bool {
        self.status == Some(101) && self.code.is_none() && !self.over
    }

    /// Says lines in one message.
    pub fn say(&mut self, chance: &mut Chance, lines: &str) {
        self.out.extend(frames::message(chance, lines.as_bytes()));
    }

    /// Breaks the connection.
    pub fn vanish(&mut self, net: &mut Driver) {
        net.reset(self.link);
        self.over = true;
    }

    /// Sends some of what it has to say, and reads; gives back the lines that came.
    pub fn pump(&mut self, net: &mut Driver, chance: &mut Chance) -> Vec<Value> {
        let mut lines = Vec::new();
        if self.over {
            return lines;
        }
        let now = match net.calm || !chance.one_in(3) {
            true => self.out.len(),
            false => chance.below(self.out.len() + 1),
        };
        let bytes: Vec<u8> = self.out.drain(..now).collect();
        net.send(self.link, &bytes);
        let max = match net.calm || !chance.one_in(4) {
            true => usize::MAX,
            false => chance.below(300),
        };
        self.responses.push(&net.take(self.link, max));
        while let Some(piece) = self.responses.next(false) {
            match piece {
                Piece::Head(head) => self.status = Some(head.status),
                Piece::Raw(bytes) => self.frames.push(&bytes),
                _ => {}
            }
        }
        while let Some(frame) = self.frames.next() {
            match frame.opcode {
                frames::TEXT => self.line.push_str(frame.text()),
                frames::CLOSE => {
                    self.code = Some(frame.code());
                    let bye = frames::close(chance, frame.code());
                    net.send(self.link, &bye);
                }
                frames::PING => {
                    let pong = frames::pong(chance, &frame.payload);
                    net.send(self.link, &pong);
                }
                _ => {}
            }
        }
        while let Some((line, rest)) = self.line.split_once('\n') {
            lines.push(serde_json::from_str(line).unwrap());
            self.line = rest.to_owned();
        }
        if net.is_over(self.link) {
            net.leave(self.link);
            self.over = true;
        }
        lines
    }
}
