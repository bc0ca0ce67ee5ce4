//! Messages for users who have no session, as long as their senders let them wait.
//!
//! In: messages, until when they may wait; users who come. Out: each message once: in the order they were sent when its user
//! comes, or when its time is over. Bounded in all, for each user, and in what clients may have in it.

use super::{Hub, Scope};
use crate::cmd::Origin;
use crate::mem::Publication;
use crate::time::Tick;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// A message that waits for its user.
#[derive(Debug)]
pub struct Waiter {
    /// The message.
    pub publication: Rc<Publication>,
    /// Who is told what became of it.
    pub origin: Origin,
}

/// The message cannot wait: as many do as may.
#[derive(Debug)]
pub struct Crowded(pub Waiter);

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Bytes for all users.
    pub bytes_max: usize,
    /// Bytes for one user: what its queue holds when it comes.
    pub user_bytes_max: usize,
}

/// What waits, by user and by time.
#[derive(Debug, Default)]
pub struct Waiting {
    users: BTreeMap<Rc<str>, Queue>,
    all: BTreeMap<(Tick, u64), Waiter>,
    /// Users who came, and have something.
    arrived: VecDeque<Rc<str>>,
    /// Messages so far.
    count: u64,
    bytes: usize,
}

/// What waits for one user, in the order it was sent.
#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<(Tick, u64)>,
    bytes: usize,
}

impl Waiting {
    fn take(&mut self, at: (Tick, u64)) -> Option<Waiter> {
        let waiter = self.all.remove(&at)?;
        let bytes = weight(&waiter);
        self.bytes -= bytes;
        let user = &waiter.publication.target;
        if let Some(queue) = self.users.get_mut(user) {
            queue.bytes -= bytes;
            // Most wait for the same time, so the first is it.
            let place = queue.order.iter().position(|one| *one == at);
            place.and_then(|place| queue.order.remove(place));
            if queue.order.is_empty() {
                self.users.remove(user);
            }
        }
        Some(waiter)
    }

    /// Whether its two lists hold the same.
    pub(super) fn is_consistent(&self) -> bool {
        let listed: usize = self.users.values().map(|queue| queue.order.len()).sum();
        let bytes: usize = self.users.values().map(|queue| queue.bytes).sum();
        let weights: usize = self.all.values().map(weight).sum();
        listed == self.all.len() && bytes == self.bytes && weights == bytes
    }
}

impl Hub {
    /// Whether a user has a session.
    #[must_use]
    pub fn is_here(&self, user: &str) -> bool {
        self.find(Scope::User, user).is_some()
    }

    /// Lets a message wait until `until` for the user that it is for. Of messages of clients (`by_client`) no more wait than
    /// leave half of the room to the application.
    ///
    /// # Errors
    /// [`Crowded`].
    pub fn wait(
        &mut self,
        waiter: Waiter,
        until: Tick,
        (room, by_client): (Room, bool),
    ) -> Result<(), Crowded> {
        let waiting = &mut self.waiting;
        let bytes = weight(&waiter);
        let share = if by_client { 2 } else { 1 };
        let queue = waiting.users.get(&waiter.publication.target);
        let (messages, queued) = queue.map_or((0, 0), |queue| (queue.order.len(), queue.bytes));
        if messages >= USER_MESSAGES_MAX
            || queued + bytes > room.user_bytes_max
            || waiting.all.len() >= MESSAGES_MAX / share
            || waiting.bytes + bytes > room.bytes_max / share
        {
            return Err(Crowded(waiter));
        }
        waiting.count += 1;
        let at = (until, waiting.count);
        let user = waiter.publication.target.clone();
        let queue = waiting.users.entry(user).or_default();
        queue.order.push_back(at);
        queue.bytes += bytes;
        waiting.bytes += bytes;
        waiting.all.insert(at, waiter);
        Ok(())
    }

    /// Somebody came: what waits is to be given.
    pub(super) fn arrive(&mut self, user: &str) {
        if let Some((user, _)) = self.waiting.users.get_key_value(user) {
            let user = user.clone();
            self.waiting.arrived.push_back(user);
        }
    }

    /// The next message for a user who came, and is still there.
    pub fn next_arrived(&mut self) -> Option<Waiter> {
        while let Some(user) = self.waiting.arrived.front().cloned() {
            let here = self.is_here(&user);
            let queue = self.waiting.users.get(&user).filter(|_| here);
            let at = queue.and_then(|queue| queue.order.front().copied());
            match at.and_then(|at| self.waiting.take(at)) {
                Some(waiter) => return Some(waiter),
                None => self.waiting.arrived.pop_front(),
            };
        }
        None
    }

    /// Whether there may be any.
    #[must_use]
    pub fn has_arrived(&self) -> bool {
        !self.waiting.arrived.is_empty()
    }

    /// The next message whose time is over.
    pub fn pop_waited(&mut self, now: Tick) -> Option<Waiter> {
        let at = self.next_waited().filter(|(until, _)| *until <= now)?;
        self.waiting.take(at)
    }

    /// When the next one's time is over, and its number.
    #[must_use]
    pub fn next_waited(&self) -> Option<(Tick, u64)> {
        self.waiting.all.first_key_value().map(|(at, _)| *at)
    }

    /// Messages that wait, and their bytes.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        (self.waiting.all.len(), self.waiting.bytes)
    }
}

/// What a message that waits counts: its bytes, the name of its user, and the places it takes.
fn weight(waiter: &Waiter) -> usize {
    waiter.publication.bytes.len() + waiter.publication.target.len() + PLACE
}

const PLACE: usize = 128;
/// Messages for one user: a few thousand small ones make a client no trouble, and its queue is not filled by them.
const USER_MESSAGES_MAX: usize = 1_000;
/// Messages for all users.
const MESSAGES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{Content, Ledger, Seat};
    use crate::rng::Rng;

    const ROOM: Room = Room {
        bytes_max: 4 * 1024,
        user_bytes_max: 2 * 1024,
    };

    fn message(user: &str, text: &str) -> Waiter {
        let ledger = Ledger::default();
        let bytes = text.as_bytes().into();
        Waiter {
            publication: Publication::new(user.into(), None, Content::Text, bytes, &ledger),
            origin: Origin::Node,
        }
    }

    fn hub() -> Hub {
        Hub::new(100, 0, &mut Rng::new([1; 32]))
    }

    fn texts(mut next: impl FnMut() -> Option<Waiter>) -> Vec<String> {
        let text = |waiter: Waiter| String::from_utf8_lossy(&waiter.publication.bytes).into_owned();
        std::iter::from_fn(|| next().map(text)).collect()
    }

    #[test]
    fn what_waits_is_given_in_order_once_or_is_over() {
        let mut hub = hub();
        for (user, text, until) in [("ann", "1", 30), ("bob", "2", 20), ("ann", "3", 10)] {
            hub.wait(message(user, text), Tick(until), (ROOM, false))
                .unwrap();
        }
        assert!(hub.waiting.is_consistent() && hub.next_arrived().is_none());
        let (session, mut seat) = (
            crate::ids::SessionId::unpack(1 << 32).unwrap(),
            Seat::default(),
        );
        hub.sign_on(session, &mut seat, "ann", b"").unwrap();
        assert!(hub.has_arrived());
        assert_eq!(texts(|| hub.next_arrived()), ["1", "3"]);
        assert!(!hub.has_arrived() && hub.waiting.is_consistent());
        assert_eq!(hub.next_waited().map(|(at, _)| at), Some(Tick(20)));
        assert!(hub.pop_waited(Tick(19)).is_none());
        assert_eq!(texts(|| hub.pop_waited(Tick(20))), ["2"]);
        assert_eq!(hub.waiting(), (0, 0));
    }

    #[test]
    fn who_is_gone_again_is_waited_for_again() {
        let mut hub = hub();
        hub.wait(message("ann", "1"), Tick(30), (ROOM, false))
            .unwrap();
        let (session, mut seat) = (
            crate::ids::SessionId::unpack(1 << 32).unwrap(),
            Seat::default(),
        );
        hub.sign_on(session, &mut seat, "ann", b"").unwrap();
        hub.leave_all(&mut seat);
        assert!(hub.next_arrived().is_none() && hub.waiting().0 == 1);
        hub.sign_on(session, &mut seat, "ann", b"").unwrap();
        assert_eq!(texts(|| hub.next_arrived()), ["1"]);
    }

    #[test]
    fn the_room_is_bounded_for_each_and_for_all() {
        let mut hub = hub();
        let mut fill = |user: &str, by_client| {
            let mut waits =
                || hub.wait(message(user, &"x".repeat(352)), Tick(9), (ROOM, by_client));
            (0..100).take_while(|_| waits().is_ok()).count()
        };
        assert_eq!(
            (fill("a", true), fill("b", true), fill("b", false)),
            (4, 0, 4)
        );
        assert_eq!(fill("c", false), 0);
        assert!(hub.waiting.is_consistent());
    }
}
