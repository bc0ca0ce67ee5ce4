//! Which of a session's messages stay, where some may be dropped.
//!
//! In: packets that were never written. Out: messages, each with its packets, and whether they stay. It moves nothing.

use super::{PACKETS_MAX, cost};
use crate::config::policy::Slow;
use crate::mem::{Msg, Publication};
use crate::metrics::Dropped;
use std::collections::BTreeSet;
use std::rc::Rc;

/// So much of what waits.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub bytes: usize,
    pub packets: usize,
}

impl Load {
    /// What may wait.
    pub(super) fn most(queue_max: usize) -> Self {
        Self {
            bytes: queue_max,
            packets: PACKETS_MAX,
        }
    }

    pub(super) fn fits(self, most: Self) -> bool {
        self.bytes <= most.bytes && self.packets <= most.packets
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            packets: self.packets + other.packets,
        }
    }

    pub(super) fn take(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.packets = self.packets.saturating_sub(other.packets);
    }

    /// What may wait until the next look, after one that left this: a sixteenth of the bound more at least, so that no
    /// message that comes costs a look at everything.
    pub(super) fn looked_at(self, most: Self) -> Self {
        Self {
            bytes: most.bytes.max(self.bytes + most.bytes / 16),
            packets: most.packets.max(self.packets + most.packets / 16),
        }
    }

    /// Down to which a queue that ran over is emptied.
    pub(super) fn rested(self) -> Self {
        Self {
            bytes: self.bytes / 4 * 3,
            packets: self.packets / 4 * 3,
        }
    }
}

/// Messages, each with its packets, and whether they stay.
pub(super) struct Sieve<'a> {
    pub parts: Vec<Part<'a>>,
}

pub(super) struct Part<'a> {
    pub packets: &'a [Rc<Msg>],
    pub stays: bool,
}

impl<'a> Part<'a> {
    /// The channel and the count of a notice.
    pub(super) fn notice(&self) -> Option<(&'a Rc<str>, u64)> {
        let source = self.packets.first()?.source()?;
        Some((&source.target, source.missed()?))
    }

    /// What it is of, if it may be dropped.
    pub(super) fn loose(&self) -> Option<&'a Rc<Publication>> {
        let first = self.packets.first().filter(|msg| msg.is_loose());
        first?.source()
    }

    fn load(&self) -> Load {
        Load {
            bytes: self.packets.iter().map(|msg| cost(msg)).sum(),
            packets: self.packets.len(),
        }
    }

    fn goes(&mut self, load: &mut Load, slow: Slow, dropped: &mut Dropped) {
        self.stays = false;
        load.take(self.load());
        dropped.count(slow, 1);
    }
}

impl<'a> Sieve<'a> {
    pub(super) fn new(tail: &'a [Rc<Msg>]) -> Self {
        let parts = tail.chunk_by(is_one);
        let part = |packets| Part {
            packets,
            stays: true,
        };
        Self {
            parts: parts.map(part).collect(),
        }
    }

    /// Drops what came last if there is no room for it even without everything else that may be dropped: nothing is to go
    /// for its sake.
    pub(super) fn refuse_last(&mut self, load: &mut Load, most: Load, dropped: &mut Dropped) {
        let mut fixed = *load;
        let loose = self.parts.iter().filter(|part| part.loose().is_some());
        loose.for_each(|part| fixed.take(part.load()));
        let last = self.parts.iter_mut().rfind(|part| part.loose().is_some());
        if let Some((last, source)) =
            last.and_then(|part| part.loose().map(|source| (part, source)))
            && !fixed.and(last.load()).fits(most)
        {
            last.goes(load, source.slow(), dropped);
        }
    }

    /// Of each channel and key whose latest is enough, drops the others.
    pub(super) fn keep_latest(&mut self, load: &mut Load, dropped: &mut Dropped) {
        let mut newer = BTreeSet::new();
        for part in self.parts.iter_mut().rev() {
            let Some(source) = part.loose().filter(|_| part.stays) else {
                continue;
            };
            let key = match source.slow() {
                Slow::Latest => source.key(),
                Slow::Every(_) => None,
                Slow::Close | Slow::DropOldest => continue,
            };
            if !newer.insert((&*source.target, key)) {
                part.goes(load, source.slow(), dropped);
            }
        }
    }

    /// Where too much waits, drops the oldest until there is room for more; the latest of a channel only where that is
    /// not enough, and what came last only where it does not fit.
    pub(super) fn drop_oldest(&mut self, load: &mut Load, most: Load, dropped: &mut Dropped) {
        if load.fits(most) {
            return;
        }
        let last = self.parts.iter().rposition(|part| part.loose().is_some());
        for of_latest in [false, true] {
            for (at, part) in self.parts.iter_mut().enumerate() {
                let Some(source) = part.loose().filter(|_| part.stays) else {
                    continue;
                };
                let spared = Some(at) == last && load.fits(most);
                if load.fits(most.rested()) || spared {
                    return;
                }
                if (source.slow() != Slow::DropOldest) == of_latest {
                    part.goes(load, source.slow(), dropped);
                }
            }
            if load.fits(most) {
                return;
            }
        }
    }
}

/// Whether two packets in a row are of one message.
pub(super) fn is_one(a: &Rc<Msg>, b: &Rc<Msg>) -> bool {
    match (a.source(), b.source()) {
        (Some(a), Some(b)) => Rc::ptr_eq(a, b),
        _ => false,
    }
}
