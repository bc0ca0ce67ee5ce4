//! How much of what waits may be written to a client that does not keep up.
//!
//! In: what waits, what the client has or was dropped of it. Out: how many packets from the front are open. The rest waits
//! for acknowledgements: what a kernel has taken for a client that reads slowly could not be dropped any more.

use super::backlog::Backlog;
use super::{PACKETS_MAX, cost};
use crate::mem::Msg;
use std::rc::Rc;

/// Packets from the front that may be written, and their bytes.
#[derive(Debug)]
pub(super) struct Window {
    open: usize,
    bytes: usize,
    bytes_max: usize,
}

impl Window {
    /// One that is open for what was `written` of `backlog`.
    pub(super) fn new(backlog: &Backlog, written: usize, bytes_max: usize) -> Self {
        Self {
            open: written,
            bytes: bytes_of(backlog.iter_from(0).take(written)),
            bytes_max,
        }
    }

    /// Packets that may be written.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Opens it as far as it goes.
    pub(super) fn widen(&mut self, backlog: &Backlog) {
        for msg in backlog.iter_from(self.open) {
            if self.is_full_with(msg) {
                break;
            }
            self.open += 1;
            self.bytes += cost(msg);
        }
    }

    /// The client has `msg`, the first.
    pub(super) fn released(&mut self, msg: &Msg) {
        self.open = self.open.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(cost(msg));
    }

    /// Shuts it for all packets from number `from` on, which are `tail`.
    pub(super) fn shut(&mut self, from: usize, tail: &[Rc<Msg>]) {
        self.bytes -= bytes_of(tail.iter().take(self.open.saturating_sub(from)));
        self.open = self.open.min(from);
    }

    /// Whether it is as large as it says, and open as far as it goes.
    pub(super) fn is_true(&self, backlog: &Backlog) -> bool {
        let next = backlog.iter_from(self.open).next();
        self.open <= backlog.len()
            && self.bytes == bytes_of(backlog.iter_from(0).take(self.open))
            && next.is_none_or(|msg| self.is_full_with(msg))
    }

    /// Whether there is no room for `msg`, the next behind it. For the first of all there always is.
    fn is_full_with(&self, msg: &Msg) -> bool {
        let bytes = self.bytes + cost(msg);
        self.open > 0 && (bytes > self.bytes_max || self.open >= PACKETS_MAX / 2)
    }
}

fn bytes_of<'a>(packets: impl Iterator<Item = &'a Rc<Msg>>) -> usize {
    packets.map(|msg| cost(msg)).sum()
}
