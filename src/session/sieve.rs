//! Which of a session's messages stay, where some may be dropped.
//!
//! In: packets that were never written. Out: messages, each with its packets, and whether they stay. It moves nothing.

use super::{PACKETS_MAX, Terms, cost};
use crate::config::policy::Slow;
use crate::mem::{Msg, Publication};
use crate::metrics::Dropped;
use std::collections::BTreeSet;
use std::rc::Rc;

/// What waits of a session, notices not counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub bytes: usize,
    pub packets: usize,
}

impl Load {
    pub(super) fn fits(self, queue_max: usize) -> bool {
        self.bytes <= queue_max && self.packets <= PACKETS_MAX
    }

    fn is_rested(self, queue_max: usize) -> bool {
        self.bytes <= rested(queue_max) && self.packets <= rested(PACKETS_MAX)
    }
}

/// Down to which a queue that ran over is emptied.
pub(super) fn rested(max: usize) -> usize {
    max / 4 * 3
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

    fn goes(&mut self, load: &mut Load, slow: Slow, dropped: &mut Dropped) {
        self.stays = false;
        load.bytes -= self.packets.iter().map(|msg| cost(msg)).sum::<usize>();
        load.packets -= self.packets.len();
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

    /// Bytes of notices, which are counted apart.
    pub(super) fn notices(&self) -> usize {
        let notices = self.parts.iter().filter(|part| part.notice().is_some());
        notices
            .flat_map(|part| part.packets)
            .map(|msg| cost(msg))
            .sum()
    }

    /// Of each channel and key whose latest is enough, drops the others.
    pub(super) fn keep_latest(&mut self, load: &mut Load, terms: &mut Terms<'_>) {
        let mut newer = BTreeSet::new();
        for part in self.parts.iter_mut().rev() {
            let Some(source) = part.loose() else { continue };
            let key = match source.slow() {
                Slow::Latest => source.key(),
                Slow::Every(_) => None,
                Slow::Close | Slow::DropOldest => continue,
            };
            if !newer.insert((&*source.target, key)) {
                part.goes(load, source.slow(), terms.dropped);
            }
        }
    }

    /// Where too much waits, drops the oldest until there is room for more; the latest of a channel only where that is
    /// not enough, and what came last only where it does not fit.
    pub(super) fn drop_oldest(&mut self, load: &mut Load, terms: &mut Terms<'_>) {
        if load.fits(terms.queue_max) {
            return;
        }
        let last = self.parts.iter().rposition(|part| part.loose().is_some());
        for of_latest in [false, true] {
            for (at, part) in self.parts.iter_mut().enumerate() {
                let Some(source) = part.loose().filter(|_| part.stays) else {
                    continue;
                };
                let spared = Some(at) == last && load.fits(terms.queue_max);
                if load.is_rested(terms.queue_max) || spared {
                    return;
                }
                if (source.slow() != Slow::DropOldest) == of_latest {
                    part.goes(load, source.slow(), terms.dropped);
                }
            }
            if load.fits(terms.queue_max) {
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
