//! A client without a socket, for tests: a mode, what it is told, and what it said.

use crate::marks::Marks;
use crate::mode::{Cx, Mode, Peer};
use crate::part::{Part, Word};
use crate::payload::Mark;
use crate::proto::http::Body;
use crate::trouble::Fault;

pub struct Client<'a> {
    mode: &'a dyn Mode,
    pub peer: Peer,
    /// What it said, WebSocket frames too.
    pub said: Vec<u8>,
    pub marks: Marks,
    unread: Vec<u8>,
}

impl<'a> Client<'a> {
    pub fn open(mode: &'a dyn Mode) -> Self {
        let mut client = Self {
            mode,
            peer: Peer::default(),
            said: Vec::new(),
            marks: Marks::new(1, Part::Reads, 0, 1),
            unread: Vec::new(),
        };
        client
            .act(|mode, cx, peer, _| {
                mode.opened(cx, peer);
                Ok(0)
            })
            .unwrap();
        client
    }

    /// The upgrade is over.
    pub fn upgraded(mode: &'a dyn Mode) -> Self {
        let mut client = Self::open(mode);
        client.peer.body = Body::Upgraded;
        client.said.clear();
        client
    }

    pub fn hears(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.unread.extend_from_slice(bytes);
        let taken = self.act(|mode, cx, peer, unread| mode.received(cx, peer, unread))?;
        self.unread.drain(..taken);
        Ok(())
    }

    pub fn says(&mut self, words: &[Word]) {
        self.act(|mode, cx, peer, _| {
            mode.say(cx, peer, words);
            Ok(0)
        })
        .unwrap();
    }

    fn act(
        &mut self,
        verb: impl FnOnce(&dyn Mode, &mut Cx<'_>, &mut Peer, &[u8]) -> Result<usize, Fault>,
    ) -> Result<usize, Fault> {
        let (mut side, unread) = (Vec::new(), std::mem::take(&mut self.unread));
        let mut cx = Cx {
            host: "host",
            channel: "news",
            out: &mut self.said,
            side: &mut side,
            part: Part::Reads,
            interval_s: 0,
            hold_s: 0,
            marks: &mut self.marks,
            now_ns: 0,
        };
        let done = verb(self.mode, &mut cx, &mut self.peer, &unread);
        self.unread = unread;
        done
    }
}

/// A message of the run that counts.
pub fn message(seq: u32) -> Vec<u8> {
    let (run, at_ns) = (1, 0);
    Mark { run, seq, at_ns }.message(60)
}

/// Plays `server` to new clients, cut at every step; gives back what one said, and its tally, which must be
/// the same however it was cut.
pub fn play(open: impl Fn() -> Client<'static>, server: &[u8]) -> (Vec<u8>, u64, bool) {
    let told = |step: usize| {
        let mut client = open();
        for part in server.chunks(step) {
            client.hears(part).unwrap();
        }
        assert!(client.unread.is_empty(), "left over at step {step}");
        (client.said, client.marks.tally.arrived, client.peer.ready)
    };
    let whole = told(server.len());
    for step in 1..server.len() {
        assert_eq!(told(step), whole, "cut by {step}");
    }
    whole
}
