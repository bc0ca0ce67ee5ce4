//! Watches what the node writes on a WebSocket for its pings: since when one waits for an answer.
//!
//! In: the bytes that the pipe takes, and that something was read. Out: for how long the node has heard nothing
//! since it asked, now and when it said goodbye. It counts from the ping itself, not from what came before.

use super::frames::{CLOSE, Frames, PING};

/// One connection that is to become a WebSocket.
#[derive(Default)]
pub struct Pings {
    /// What was written before the WebSocket began.
    before: Vec<u8>,
    frames: Option<Frames>,
    /// When the first ping was written whole since anything was read.
    asked_at: Option<u64>,
    /// When one was that may have been answered before it was written, or asked only behind that.
    perhaps_at: Option<u64>,
    woke_at: u64,
    /// A ping that is written now may have been answered before it was.
    answered_before: bool,
    /// The longest that an answer took: a goodbye that was decided then may be written only now.
    answered_after: u64,
    /// At the close frame: for how long the node had heard nothing since it asked.
    closed_after: u64,
    closed: bool,
}

impl Pings {
    /// The node wrote `bytes`.
    pub fn wrote(&mut self, bytes: &[u8], now: u64) {
        match &mut self.frames {
            Some(frames) => frames.push(bytes),
            None => self.look_for_beginning(bytes),
        }
        while let Some(frame) = self.frames.as_mut().and_then(Frames::next) {
            match frame.opcode {
                PING if self.answered_before => _ = self.perhaps_at.get_or_insert(now),
                PING => _ = self.asked_at.get_or_insert(now),
                CLOSE => {
                    self.closed = true;
                    let asked_at = self.perhaps_at.or(self.asked_at);
                    let waited = asked_at.map_or(0, |at| now - at);
                    self.closed_after = waited.max(self.answered_after);
                }
                _ => {}
            }
        }
    }

    /// The node read something; if it waits for room, that answers what it had to ask too.
    pub fn heard(&mut self, now: u64, blocked: bool) {
        self.answered_before |= blocked;
        let asked_at = self.asked_at.take();
        if let Some(at) = self.perhaps_at.take().or(asked_at) {
            self.answered_after = self.answered_after.max(now - at);
        }
    }

    /// The node can write again, and may wait for its answer anew.
    pub fn woke(&mut self, now: u64) {
        self.woke_at = now;
    }

    /// Everything is written.
    pub fn idle(&mut self) {
        self.answered_before = false;
    }

    /// For how long a ping is unanswered, while the node says nothing of it.
    pub fn unanswered_ms(&self, now: u64) -> u64 {
        let asked_at = self.asked_at.filter(|_| !self.closed);
        asked_at.map_or(0, |at| now - at.max(self.woke_at))
    }

    /// For how long a ping was unanswered when the node closed.
    pub fn closed_after_ms(&self) -> u64 {
        self.closed_after
    }

    fn look_for_beginning(&mut self, bytes: &[u8]) {
        self.before.extend_from_slice(bytes);
        let find = |from: usize, what: &[u8]| {
            let rest = self.before.get(from..)?;
            Some(from + rest.windows(what.len()).position(|some| some == what)?)
        };
        let head = find(0, b"HTTP/1.1 101 ");
        if let Some(end) = head.and_then(|at| find(at, b"\r\n\r\n")) {
            let mut frames = Frames::default();
            frames.push(&self.before.split_off(end + 4));
            self.frames = Some(frames);
            self.before = Vec::new();
        }
    }
}
