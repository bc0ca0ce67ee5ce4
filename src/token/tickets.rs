//! Tickets: what stands for a token once and for a moment, where the token itself should stand in no URL.
//!
//! In: claims. Out: a text that nobody can guess, and for that text the claims, once. So many are kept, for so long.

use super::Claims;
use crate::rng::{Keyed, Rng};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// Tickets that were not used yet.
#[derive(Debug)]
pub struct Tickets {
    rng: Rng,
    kept: HashMap<[u8; 16], Rc<Claims>, Keyed>,
    /// All that were given, in the order in which they end, used ones too.
    ends: VecDeque<(u64, [u8; 16])>,
}

impl Tickets {
    /// None yet; `rng` is what they are made of.
    #[must_use]
    pub fn new(rng: &mut Rng) -> Self {
        let mut seed = [0; 32];
        let (front, rest) = seed.split_at_mut(16);
        front.copy_from_slice(&rng.secret());
        rest.copy_from_slice(&rng.secret());
        Self {
            rng: Rng::new(seed),
            kept: HashMap::with_hasher(rng.keyed()),
            ends: VecDeque::new(),
        }
    }

    /// A ticket for who has these claims, which a session's tickets share; `None` where there are as many as may be.
    pub fn give(&mut self, claims: Rc<Claims>, now_ms: u64) -> Option<String> {
        self.expire(now_ms);
        if self.ends.len() >= TICKETS_MAX {
            return None;
        }
        let key = self.rng.secret();
        self.kept.insert(key, claims);
        self.ends.push_back((now_ms.saturating_add(TICKET_MS), key));
        Some(URL_SAFE_NO_PAD.encode(key))
    }

    /// What a ticket stands for; it is used with that.
    pub fn take(&mut self, text: &str, now_ms: u64) -> Option<Rc<Claims>> {
        self.expire(now_ms);
        let key = URL_SAFE_NO_PAD.decode(text).ok()?;
        self.kept.remove(&<[u8; 16]>::try_from(key).ok()?)
    }

    /// How many are not used.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn expire(&mut self, now_ms: u64) {
        while let Some((_, key)) = self.ends.front().filter(|(end, _)| *end <= now_ms) {
            self.kept.remove(key);
            self.ends.pop_front();
        }
    }
}

/// Milliseconds for which a ticket is kept: what a page needs to open an event source that it was just given one for.
pub const TICKET_MS: u64 = 30_000;
/// Tickets that were given within that time, used ones too.
pub const TICKETS_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_used_once_and_for_its_time() {
        let mut tickets = Tickets::new(&mut Rng::new([1; 32]));
        let one = tickets.give(Rc::default(), 0).unwrap();
        let two = tickets.give(Rc::default(), 1).unwrap();
        assert_eq!((one.len(), one == two), (22, false));
        assert!(tickets.take(&one, 29_999).is_some());
        assert!(tickets.take(&one, 29_999).is_none());
        assert!(tickets.take("", 0).is_none() && tickets.take("*", 0).is_none());
        assert!(tickets.take(&two, 30_001).is_none());
        assert!(tickets.is_empty() && tickets.ends.is_empty());
    }

    #[test]
    fn no_more_are_given_than_may_be() {
        let mut tickets = Tickets::new(&mut Rng::new([1; 32]));
        for _ in 0..TICKETS_MAX {
            let ticket = tickets.give(Rc::default(), 0).unwrap();
            tickets.take(&ticket, 0).unwrap();
        }
        assert_eq!(tickets.give(Rc::default(), 29_999), None);
        assert!(tickets.give(Rc::default(), 30_000).is_some());
    }
}
