//! Channels, users, and who is subscribed to what.
//!
//! In: subscriptions of sessions, publications. Out: the sessions a publication goes to, a slice at a time,
//! in the order of the list. It knows sessions by name only, and no protocol.

pub mod names;
mod subs;

use crate::ids::{ChannelId, ChannelTag, SessionId};
use crate::mem::{Seat, Slots};
use crate::rng::{Keyed, Rng};
use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::rc::Rc;
use subs::{Links, NIL};

/// Every channel and user of this node.
#[derive(Debug)]
pub struct Hub {
    channels: Slots<ChannelTag, Channel>,
    by_name: [HashMap<Rc<str>, ChannelId, Keyed>; 2],
    links: Links,
    /// Who comes next in the fan-out under way.
    next: u32,
    keyed: Keyed,
    epoch: u64,
}

/// A channel's row. A user is a row too: what is sent to the user goes to its subscribers, the user's sessions.
#[derive(Debug)]
pub struct Channel {
    name: Rc<str>,
    scope: Scope,
    first: u32,
    subscribers: u32,
    offset: u64,
    epoch: u64,
    /// Hash of the credentials a user's name was taken with.
    proof: u64,
}

/// Which table a name is in: `alice` the user is not `alice` the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    Channel,
    User,
}

/// Why a subscription or sign-on was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The session has as many subscriptions as it may.
    TooManySubscriptions,
    /// The node has as many channels and users as it may.
    TooManyChannels,
    /// Somebody else, with other credentials, has the name.
    NameTaken,
}

/// Where a subscriber stands: what comes later has a higher offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Changes when a channel's past is forgotten.
    pub epoch: u64,
    /// Of the last publication; 0 before the first.
    pub offset: u64,
}

impl Hub {
    /// A hub of at most `channels_max` channels and users together.
    #[must_use]
    pub fn new(channels_max: usize, rng: &mut Rng) -> Self {
        Self {
            channels: Slots::new(channels_max),
            by_name: [
                HashMap::with_hasher(rng.keyed()),
                HashMap::with_hasher(rng.keyed()),
            ],
            links: Links::default(),
            next: NIL,
            keyed: rng.keyed(),
            epoch: rng.next_u64() >> 12,
        }
    }

    /// Subscribes `session` to the channel called `name` (checked by [`names::channel`]). Twice is once.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn subscribe(
        &mut self,
        session: SessionId,
        seat: &mut Seat,
        name: &str,
        subscriptions_max: usize,
    ) -> Result<Position, Refused> {
        if let Some(channel) = self.find(Scope::Channel, name)
            && self.links.find(seat.first, channel).is_some()
        {
            return Ok(self.position(channel));
        }
        let users = usize::from(seat.user != NIL);
        let channels = self.links.count(seat.first) - users;
        if channels >= subscriptions_max {
            return Err(Refused::TooManySubscriptions);
        }
        let channel = self.find_or_make(Scope::Channel, name)?;
        self.join(session, seat, channel);
        Ok(self.position(channel))
    }

    /// Ends a subscription; false when there was none.
    pub fn unsubscribe(&mut self, seat: &mut Seat, name: &str) -> bool {
        let Some(channel) = self.find(Scope::Channel, name) else {
            return false;
        };
        let Some(link) = self.links.find(seat.first, channel) else {
            return false;
        };
        self.leave(seat, link);
        true
    }

    /// Ends every subscription of a session, its user's too.
    pub fn leave_all(&mut self, seat: &mut Seat) {
        while seat.first != NIL {
            self.leave(seat, seat.first);
        }
        seat.user = NIL;
    }

    /// Makes `session` one of `name`'s sessions, in place of whoever it was. A name is free while nobody has
    /// it, or whoever has it took it with the same credentials.
    ///
    /// # Errors
    /// [`Refused`]; the session keeps the user it had.
    pub fn sign_on(
        &mut self,
        session: SessionId,
        seat: &mut Seat,
        name: &str,
        credentials: &[u8],
    ) -> Result<(), Refused> {
        let proof = self.keyed.hash_one(credentials);
        let held = self.find(Scope::User, name);
        if held
            .and_then(|user| self.channels.get(user))
            .is_some_and(|user| user.proof != proof)
        {
            return Err(Refused::NameTaken);
        }
        if held.is_some_and(|user| user.index() == seat.user) {
            return Ok(());
        }
        let user = self.find_or_make(Scope::User, name)?;
        if let Some(row) = self.channels.get_mut(user) {
            row.proof = proof;
        }
        let old = self.channels.id_at(seat.user);
        if let Some(old) = old.and_then(|old| self.links.find(seat.first, old)) {
            self.leave(seat, old);
        }
        self.join(session, seat, user);
        seat.user = user.index();
        Ok(())
    }

    /// The name of a session's user.
    #[must_use]
    pub fn user_name(&self, seat: &Seat) -> Option<Rc<str>> {
        let user = self.channels.id_at(seat.user)?;
        self.channels.get(user).map(|user| user.name.clone())
    }

    /// Takes a publication into the channel called `name`, and begins its fan-out: [`Hub::next_subscriber`]
    /// gives the subscribers. One fan-out ends before the next begins. Gives back the publication's offset; a
    /// channel without subscribers does not exist, so its first and last publication has offset 1.
    pub fn begin(&mut self, name: &str) -> u64 {
        let found = self
            .find(Scope::Channel, name)
            .and_then(|id| self.channels.get_mut(id));
        let Some(channel) = found else {
            self.next = NIL;
            return 1;
        };
        channel.offset += 1;
        self.next = channel.first;
        channel.offset
    }

    /// Begins the fan-out of a message to the user called `name`; false when the user has no session.
    pub fn begin_user(&mut self, name: &str) -> bool {
        let user = self
            .find(Scope::User, name)
            .and_then(|id| self.channels.get(id));
        self.next = user.map_or(NIL, |user| user.first);
        user.is_some()
    }

    /// The next session of the fan-out under way. Sessions that subscribe meanwhile are not reached by it;
    /// those that leave are passed over.
    pub fn next_subscriber(&mut self) -> Option<SessionId> {
        let (session, next) = self.links.session_and_next(self.next)?;
        self.next = next;
        Some(session)
    }

    /// How many sessions are subscribed to the channel called `name`.
    #[must_use]
    pub fn subscribers(&self, name: &str) -> usize {
        let channel = self
            .find(Scope::Channel, name)
            .and_then(|id| self.channels.get(id));
        channel.map_or(0, |channel| channel.subscribers as usize)
    }

    /// Channels and users with a session.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether nobody is subscribed to anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// Subscriptions, users' among them.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.links.len()
    }

    /// Whether the lists agree with their counts; for tests and the simulation.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let counted: u64 = self
            .channels
            .iter()
            .map(|(_, channel)| u64::from(channel.subscribers))
            .sum();
        let walked = |(_, channel): (ChannelId, &Channel)| {
            self.links.walk(channel.first) == channel.subscribers as usize
                && channel.subscribers > 0
        };
        counted == self.links.len() as u64
            && self.by_name.iter().map(HashMap::len).sum::<usize>() == self.channels.len()
            && self.channels.iter().all(walked)
    }

    fn find(&self, scope: Scope, name: &str) -> Option<ChannelId> {
        self.by_name[scope as usize].get(name).copied()
    }

    fn find_or_make(&mut self, scope: Scope, name: &str) -> Result<ChannelId, Refused> {
        if let Some(found) = self.find(scope, name) {
            return Ok(found);
        }
        let name: Rc<str> = name.into();
        self.epoch += 1;
        let row = Channel {
            name: name.clone(),
            scope,
            first: NIL,
            subscribers: 0,
            offset: 0,
            epoch: self.epoch,
            proof: 0,
        };
        let id = self
            .channels
            .insert(row)
            .map_err(|_| Refused::TooManyChannels)?;
        self.by_name[scope as usize].insert(name, id);
        Ok(id)
    }

    fn position(&self, channel: ChannelId) -> Position {
        let channel = self.channels.get(channel);
        channel.map_or(
            Position {
                epoch: 0,
                offset: 0,
            },
            |c| Position {
                epoch: c.epoch,
                offset: c.offset,
            },
        )
    }

    /// Puts the newcomer in front, so that a fan-out under way does not reach it.
    fn join(&mut self, session: SessionId, seat: &mut Seat, channel: ChannelId) {
        let Some(row) = self.channels.get_mut(channel) else {
            return;
        };
        let link = self
            .links
            .insert(session, channel.index(), row.first, seat.first);
        row.first = link;
        row.subscribers += 1;
        seat.first = link;
    }

    /// Takes `link` out of both its lists, and the channel away with its last subscriber.
    fn leave(&mut self, seat: &mut Seat, link: u32) {
        let Some(gone) = self.links.remove(link, &mut seat.first) else {
            return;
        };
        if self.next == link {
            self.next = gone.next;
        }
        let Some(id) = self.channels.id_at(gone.channel) else {
            return;
        };
        let Some(row) = self.channels.get_mut(id) else {
            return;
        };
        row.subscribers -= 1;
        if row.first == link {
            row.first = gone.next;
        }
        if row.subscribers == 0
            && let Some(row) = self.channels.remove(id)
        {
            self.by_name[row.scope as usize].remove(&row.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn session(index: u32) -> SessionId {
        SessionId::new(index, NonZeroU32::MIN)
    }

    fn hub() -> Hub {
        Hub::new(100, &mut Rng::new([1; 32]))
    }

    fn reached(hub: &mut Hub) -> Vec<u32> {
        std::iter::from_fn(|| hub.next_subscriber())
            .map(|s| s.index())
            .collect()
    }

    #[test]
    fn a_publication_reaches_every_subscriber_once() {
        let mut hub = hub();
        let mut seats: Vec<Seat> = (0..3).map(|_| Seat::default()).collect();
        for (n, seat) in seats.iter_mut().enumerate() {
            hub.subscribe(session(n as u32), seat, "a", 9).unwrap();
            hub.subscribe(session(n as u32), seat, "a", 9).unwrap();
        }
        assert_eq!(hub.begin("a"), 1);
        assert_eq!(reached(&mut hub), [2, 1, 0]);
        assert_eq!(hub.begin("a"), 2);
        assert!(hub.is_consistent());
    }

    #[test]
    fn who_leaves_during_a_fan_out_is_passed_over_and_who_comes_is_not_reached() {
        let mut hub = hub();
        let mut seats: Vec<Seat> = (0..4).map(|_| Seat::default()).collect();
        for n in 0..3 {
            hub.subscribe(session(n), &mut seats[n as usize], "a", 9)
                .unwrap();
        }
        hub.begin("a");
        assert_eq!(hub.next_subscriber().map(|s| s.index()), Some(2));
        hub.leave_all(&mut seats[1]);
        hub.subscribe(session(3), &mut seats[3], "a", 9).unwrap();
        assert_eq!(reached(&mut hub), [0]);
    }

    #[test]
    fn a_channel_goes_with_its_last_subscriber_and_comes_back_under_a_new_epoch() {
        let mut hub = hub();
        let mut seat = Seat::default();
        let first = hub.subscribe(session(0), &mut seat, "a", 9).unwrap();
        hub.begin("a");
        assert!(hub.unsubscribe(&mut seat, "a") && !hub.unsubscribe(&mut seat, "a"));
        assert!(hub.is_empty() && hub.subscriptions() == 0);
        let second = hub.subscribe(session(0), &mut seat, "a", 9).unwrap();
        assert!(first.epoch != second.epoch && second.offset == 0);
    }

    #[test]
    fn a_users_name_is_shared_with_the_same_credentials_only() {
        let mut hub = hub();
        let mut seats: Vec<Seat> = (0..3).map(|_| Seat::default()).collect();
        hub.sign_on(session(0), &mut seats[0], "ann", b"pw")
            .unwrap();
        hub.sign_on(session(1), &mut seats[1], "ann", b"pw")
            .unwrap();
        assert_eq!(
            hub.sign_on(session(2), &mut seats[2], "ann", b""),
            Err(Refused::NameTaken)
        );
        assert!(hub.begin_user("ann"));
        assert_eq!(reached(&mut hub).len(), 2);
        hub.sign_on(session(1), &mut seats[1], "eve", b"").unwrap();
        assert_eq!(hub.user_name(&seats[1]).as_deref(), Some("eve"));
        hub.leave_all(&mut seats[0]);
        assert!(!hub.begin_user("ann") && hub.is_consistent());
    }

    #[test]
    fn the_bounds_refuse() {
        let mut hub = Hub::new(2, &mut Rng::new([1; 32]));
        let mut seat = Seat::default();
        hub.subscribe(session(0), &mut seat, "a", 1).unwrap();
        assert_eq!(
            hub.subscribe(session(0), &mut seat, "b", 1),
            Err(Refused::TooManySubscriptions)
        );
        hub.subscribe(session(0), &mut seat, "b", 9).unwrap();
        assert_eq!(
            hub.subscribe(session(0), &mut seat, "c", 9),
            Err(Refused::TooManyChannels)
        );
    }
}
