//! What channels remember: their last publications, for those who come late or come back.
//!
//! In: publications in the order of their offsets, the bounds that a channel's policy sets, moments. Out: runs of them.
//! A history is always the end of its channel, without a gap: it loses only its oldest, by count, by bytes, by age, and
//! by the bound for all histories together. So what it lacks is known by counting.

use crate::config::policy::History;
use crate::ids::ChannelId;
use crate::mem::Publication;
use crate::time::Tick;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

/// A channel's last publications.
#[derive(Debug)]
pub struct Ring {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// When its oldest is to be looked at.
    due: Tick,
}

#[derive(Debug)]
struct Kept {
    publication: Rc<Publication>,
    until: Tick,
}

/// All histories and their account.
#[derive(Debug)]
pub struct Archive {
    /// By the channel's slot, up to the last that has one: a channel without history costs nothing here, or a pointer.
    rings: Vec<Option<Box<Ring>>>,
    bytes: usize,
    bytes_max: usize,
    messages: usize,
    due: BTreeSet<(Tick, ChannelId)>,
    /// Whose turn it is to lose its oldest, when all together are too many: the channel and number of everything kept,
    /// and of some that is not any more.
    order: VecDeque<(ChannelId, u64)>,
}

impl Ring {
    fn new(due: Tick) -> Self {
        Self {
            kept: VecDeque::new(),
            bytes: 0,
            due,
        }
    }

    /// Publications kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Everything kept from the `skip`th on, oldest first.
    pub fn iter_from(
        &self,
        skip: usize,
    ) -> impl DoubleEndedIterator<Item = &Rc<Publication>> + ExactSizeIterator {
        let skip = skip.min(self.kept.len());
        self.kept.range(skip..).map(|kept| &kept.publication)
    }
}

impl Archive {
    /// Nothing yet; all histories together hold at most `bytes_max`.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            rings: Vec::new(),
            bytes: 0,
            bytes_max,
            messages: 0,
            due: BTreeSet::new(),
            order: VecDeque::new(),
        }
    }

    /// Bytes of everything kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Publications kept.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// When the next history is to be looked at.
    #[must_use]
    pub fn next_due(&self) -> Option<Tick> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The next channel whose oldest publication may be too old.
    pub fn pop_due(&mut self, now: Tick) -> Option<ChannelId> {
        let (due, _) = self.due.first()?;
        (*due <= now)
            .then(|| self.due.pop_first())?
            .map(|(_, id)| id)
    }

    /// What a channel has kept; never empty.
    #[must_use]
    pub fn of(&self, id: ChannelId) -> Option<&Ring> {
        self.rings.get(id.index() as usize)?.as_deref()
    }

    /// Keeps a publication as the newest of its channel, and what `keep` lets of those before it.
    pub fn push(&mut self, id: ChannelId, publication: &Rc<Publication>, keep: History, now: Tick) {
        let until = now + keep.ttl_ms;
        let mut ring = self.take(id).unwrap_or_else(|| {
            self.due.insert((until, id));
            Box::new(Ring::new(until))
        });
        ring.kept.push_back(Kept {
            publication: publication.clone(),
            until,
        });
        ring.bytes += publication.weight();
        self.bytes += publication.weight();
        self.messages += 1;
        self.order.push_back((id, publication.number()));
        while ring.kept.len() > keep.messages as usize || ring.bytes as u64 > keep.bytes {
            self.pop(&mut ring);
        }
        self.put(id, ring);
    }

    /// Lets go what is too old; what is left comes up again when it may be.
    pub fn expire(&mut self, id: ChannelId, now: Tick) {
        let Some(mut ring) = self.take(id) else {
            return;
        };
        while ring.kept.front().is_some_and(|kept| kept.until <= now) {
            self.pop(&mut ring);
        }
        if let Some(oldest) = ring.kept.front() {
            self.due.remove(&(ring.due, id));
            ring.due = oldest.until;
            self.due.insert((ring.due, id));
        }
        self.put(id, ring);
    }

    /// Whose oldest is to go, as long as all together hold too much.
    pub fn pop_surplus(&mut self) -> Option<ChannelId> {
        while self.bytes > self.bytes_max {
            let (id, number) = self.order.pop_front()?;
            if self.oldest(id) == Some(number)
                && let Some(mut ring) = self.take(id)
            {
                self.pop(&mut ring);
                self.put(id, ring);
                return Some(id);
            }
            // It went before.
        }
        self.tidy();
        None
    }

    /// The channels of everything kept, oldest first, and of some that is not any more.
    pub fn oldest_channels(&self) -> impl Iterator<Item = ChannelId> {
        self.order.iter().map(|(id, _)| *id)
    }

    /// Forgets all of a history.
    pub fn forget(&mut self, id: ChannelId) {
        if let Some(mut ring) = self.take(id) {
            while self.pop(&mut ring) {}
            self.put(id, ring);
        }
    }

    /// Drops from `order` what is not kept any more, when that is most of it.
    fn tidy(&mut self) {
        if self.order.len() > 2 * self.messages + ORDER_SLACK {
            let mut order = std::mem::take(&mut self.order);
            order.retain(|(id, number)| self.oldest(*id).is_some_and(|oldest| oldest <= *number));
            order.shrink_to(2 * order.len());
            self.order = order;
        }
    }

    fn oldest(&self, id: ChannelId) -> Option<u64> {
        let oldest = self.of(id)?.kept.front()?;
        Some(oldest.publication.number())
    }

    fn take(&mut self, id: ChannelId) -> Option<Box<Ring>> {
        self.rings.get_mut(id.index() as usize)?.take()
    }

    /// Puts a history back, unless nothing is left of it.
    fn put(&mut self, id: ChannelId, ring: Box<Ring>) {
        if ring.kept.is_empty() {
            self.due.remove(&(ring.due, id));
            return;
        }
        let slot = id.index() as usize;
        if slot >= self.rings.len() {
            self.rings.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.rings.get_mut(slot) {
            *place = Some(ring);
        }
    }

    fn pop(&mut self, ring: &mut Ring) -> bool {
        let Some(kept) = ring.kept.pop_front() else {
            return false;
        };
        ring.bytes -= kept.publication.weight();
        self.bytes -= kept.publication.weight();
        self.messages -= 1;
        true
    }
}

/// Numbers that `order` may hold in vain.
const ORDER_SLACK: usize = 1024;
