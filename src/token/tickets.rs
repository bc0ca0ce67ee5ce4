//! Tickets: what stands for a token once and for a moment, where the token itself should stand in no URL.
//!
//! In: claims. Out: a text that nobody can guess, and for that text the claims, once. So many are kept, for so long.

use super::Claims;
use crate::rng::{Keyed, Rng};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher as _;
use std::rc::Rc;

/// Tickets that were not used yet.
#[derive(Debug)]
pub struct Tickets {
    rng: Rng,
    /// By their text: the numbers in which they were given.
    numbers: HashMap<[u8; 16], u64, Keyed>,
    /// In the order in which they end.
    kept: BTreeMap<u64, Kept>,
    /// How many a session's user has, or who has the same claims without one; the claims are shared among equals.
    owners: HashMap<u64, Owner, Keyed>,
    by_sessions: usize,
    given: u64,
}

#[derive(Debug)]
struct Kept {
    key: [u8; 16],
    end_ms: u64,
    claims: Rc<Claims>,
    /// Of a session's: whose it is.
    owner: Option<u64>,
}

#[derive(Debug)]
struct Owner {
    tickets: usize,
    last: Rc<Claims>,
}

/// Who asks for a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Giver {
    /// The application.
    Application,
    /// A session, for its own token.
    Session,
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
            numbers: HashMap::with_hasher(rng.keyed()),
            kept: BTreeMap::new(),
            owners: HashMap::with_hasher(rng.keyed()),
            by_sessions: 0,
            given: 0,
        }
    }

    /// A ticket for who has these claims; `None` where there are as many as may be: of this user's, of sessions, or of all.
    pub fn give(&mut self, claims: Rc<Claims>, now_ms: u64, giver: Giver) -> Option<String> {
        while self.expire(now_ms) {}
        if self.kept.len() >= TICKETS_MAX {
            return None;
        }
        let (claims, owner) = match giver {
            Giver::Application => (claims, None),
            Giver::Session => self
                .own(claims)
                .map(|(claims, owner)| (claims, Some(owner)))?,
        };
        let key = self.rng.secret();
        self.given += 1;
        self.numbers.insert(key, self.given);
        let end_ms = now_ms.saturating_add(TICKET_MS);
        let kept = Kept {
            key,
            end_ms,
            claims,
            owner,
        };
        self.kept.insert(self.given, kept);
        Some(URL_SAFE_NO_PAD.encode(key))
    }

    /// Counts one more of a session's; `None` where it may have no more.
    fn own(&mut self, claims: Rc<Claims>) -> Option<(Rc<Claims>, u64)> {
        if self.by_sessions >= TICKETS_MAX / 2 {
            return None;
        }
        let hasher = self.owners.hasher();
        let id = match &claims.user {
            Some(user) => hasher.hash_one(user),
            None => hasher.hash_one(&*claims),
        };
        let owner = self.owners.entry(id).or_insert_with(|| Owner {
            tickets: 0,
            last: claims.clone(),
        });
        if owner.tickets >= TICKETS_OF_ONE_MAX {
            return None;
        }
        owner.tickets += 1;
        if owner.last != claims {
            owner.last = claims;
        }
        self.by_sessions += 1;
        Some((owner.last.clone(), id))
    }

    /// What a ticket stands for, if it is not used.
    #[must_use]
    pub fn look(&self, text: &str, now_ms: u64) -> Option<&Rc<Claims>> {
        let number = self.numbers.get(&Self::key(text)?)?;
        let kept = self.kept.get(number).filter(|kept| kept.end_ms > now_ms);
        kept.map(|kept| &kept.claims)
    }

    /// Uses a ticket.
    pub fn take(&mut self, text: &str) {
        let number = Self::key(text).and_then(|key| self.numbers.get(&key).copied());
        if let Some(number) = number {
            self.forget(number);
        }
    }

    fn key(text: &str) -> Option<[u8; 16]> {
        let key = URL_SAFE_NO_PAD.decode(text).ok()?;
        key.try_into().ok()
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

    /// When the next is forgotten, in milliseconds of the wall clock.
    #[must_use]
    pub fn next_end_ms(&self) -> Option<u64> {
        self.kept.values().next().map(|kept| kept.end_ms)
    }

    /// Forgets some whose time is over. False when there was none.
    pub fn expire(&mut self, now_ms: u64) -> bool {
        let over = |(_, kept): &(&u64, &Kept)| kept.end_ms <= now_ms;
        let over = self.kept.iter().take(FORGOTTEN_AT_ONCE).take_while(over);
        let over: Vec<u64> = over.map(|(number, _)| *number).collect();
        for number in &over {
            self.forget(*number);
        }
        !over.is_empty()
    }

    fn forget(&mut self, number: u64) {
        let Some(kept) = self.kept.remove(&number) else {
            return;
        };
        self.numbers.remove(&kept.key);
        let Some(id) = kept.owner else { return };
        self.by_sessions -= 1;
        if let Some(owner) = self.owners.get_mut(&id) {
            owner.tickets -= 1;
            if owner.tickets == 0 {
                self.owners.remove(&id);
            }
        }
    }
}

/// Milliseconds for which a ticket is kept: what a page needs to open an event source that it was just given one for.
pub const TICKET_MS: u64 = 30_000;
/// Tickets that are not used, of all; sessions have half of them at most, so that the application is always given one.
pub const TICKETS_MAX: usize = 65_536;
/// Of them, those of one user's sessions: a page has a few event sources.
pub const TICKETS_OF_ONE_MAX: usize = 8;
/// Tickets that are forgotten before the loop looks at its sockets again.
const FORGOTTEN_AT_ONCE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: Option<&str>, exp: u64) -> Rc<Claims> {
        let user = user.map(Box::from);
        Rc::new(Claims {
            user,
            exp,
            ..Claims::default()
        })
    }

    fn used(tickets: &mut Tickets, text: &str, now_ms: u64) -> bool {
        let known = tickets.look(text, now_ms).is_some();
        tickets.take(text);
        known
    }

    #[test]
    fn a_ticket_is_used_once_and_for_its_time() {
        let mut tickets = Tickets::new(&mut Rng::new([1; 32]));
        let mut give = |at| tickets.give(Rc::default(), at, Giver::Application).unwrap();
        let (one, two) = (give(0), give(1));
        assert_eq!((one.len(), one == two), (22, false));
        assert!(tickets.look(&one, 0).is_some(), "to look uses nothing");
        assert!(used(&mut tickets, &one, 29_999));
        assert!(!used(&mut tickets, &one, 29_999));
        assert!(!used(&mut tickets, "", 0) && !used(&mut tickets, "*", 0));
        assert!(tickets.look(&two, 30_001).is_none());
        assert_eq!(tickets.next_end_ms(), Some(30_001));
        assert!(!tickets.expire(30_000) && tickets.expire(30_001));
        assert!(tickets.is_empty() && tickets.numbers.is_empty());
    }

    #[test]
    fn a_user_has_a_few_and_sessions_half_of_all() {
        let mut tickets = Tickets::new(&mut Rng::new([1; 32]));
        let mut texts = Vec::new();
        for _ in 0..TICKETS_OF_ONE_MAX {
            // Each session has the claims of its own token, which are the same.
            texts.extend(tickets.give(of(Some("ann"), 9), 0, Giver::Session));
        }
        assert_eq!(texts.len(), TICKETS_OF_ONE_MAX);
        let [first, .., last] = &*texts else { panic!() };
        let (first, last) = (tickets.look(first, 0), tickets.look(last, 0));
        assert!(Rc::ptr_eq(first.unwrap(), last.unwrap()));
        let another = |tickets: &mut Tickets| tickets.give(of(Some("ann"), 8), 0, Giver::Session);
        assert_eq!(another(&mut tickets), None);
        assert!(used(&mut tickets, &texts.pop().unwrap(), 0));
        assert!(another(&mut tickets).is_some());
        for n in tickets.len()..TICKETS_MAX / 2 {
            let nameless = of(None, n as u64);
            assert!(tickets.give(nameless, 0, Giver::Session).is_some());
        }
        assert_eq!(tickets.give(of(None, 0), 0, Giver::Session), None);
        for _ in 0..TICKETS_MAX / 2 {
            assert!(tickets.give(of(None, 0), 0, Giver::Application).is_some());
        }
        assert_eq!(tickets.give(of(None, 0), 0, Giver::Application), None);
        assert!(tickets.give(of(None, 0), 30_000, Giver::Session).is_some());
        assert_eq!(
            (tickets.len(), tickets.owners.len(), tickets.by_sessions),
            (1, 1, 1)
        );
    }
}
