//! Channels, users, and who is subscribed to what.
//!
//! In: subscriptions of sessions, publications. Out: the sessions a publication goes to, a slice at a time,
//! in the order of the list. It knows sessions by name only, and no protocol.

mod index;
pub mod names;
mod subs;

use crate::ids::{ChannelId, ChannelTag, SessionId};
use crate::mem::{Position, Seat, Slots};
use crate::rng::Rng;
use index::Index;
use subs::{Links, NIL};

/// Every channel and user of this node.
#[derive(Debug)]
pub struct Hub {
    channels: Slots<ChannelTag, Channel>,
    by_name: Index,
    links: Links,
    /// Who comes next in the fan-out under way.
    next: u32,
    epoch: u64,
}

/// A channel's row. A user is a row too: what is sent to the user goes to its subscribers, the user's sessions.
#[derive(Debug)]
pub struct Channel {
    name: Box<str>,
    first: u32,
    subscribers: u32,
    kind: Kind,
}

/// What is remembered of either.
#[derive(Debug)]
enum Kind {
    /// Where the channel stands.
    Channel(Position),
    /// The hash of the credentials a user's name was taken with.
    User(u64),
}

/// Whose name it is: `alice` the user is not `alice` the channel.
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

impl Channel {
    fn scope(&self) -> Scope {
        match self.kind {
            Kind::Channel(_) => Scope::Channel,
            Kind::User(_) => Scope::User,
        }
    }

    fn full_name(&self) -> (Scope, &str) {
        (self.scope(), &self.name)
    }
}

impl Hub {
    /// A hub of at most `channels_max` channels and users together.
    #[must_use]
    pub fn new(channels_max: usize, rng: &mut Rng) -> Self {
        Self {
            channels: Slots::new(channels_max),
            by_name: Index::new(rng.keyed()),
            links: Links::default(),
            next: NIL,
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
        let proof = self.by_name.hash(credentials);
        let held = self.find(Scope::User, name);
        let row = held.and_then(|user| self.channels.get(user));
        if row.is_some_and(|user| !matches!(user.kind, Kind::User(its) if its == proof)) {
            return Err(Refused::NameTaken);
        }
        if held.is_some_and(|user| user.index() == seat.user) {
            return Ok(());
        }
        let user = self.find_or_make(Scope::User, name)?;
        if let Some(row) = self.channels.get_mut(user) {
            row.kind = Kind::User(proof);
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
    pub fn user_name(&self, seat: &Seat) -> Option<&str> {
        let user = self.channels.id_at(seat.user)?;
        self.channels.get(user).map(|user| &*user.name)
    }

    /// Takes a publication into the channel called `name`, and begins its fan-out: [`Hub::next_subscriber`]
    /// gives the subscribers. One fan-out ends before the next begins. Gives back the publication's place; a
    /// channel without subscribers does not exist, so its first and last publication has offset 1.
    pub fn begin(&mut self, name: &str) -> Position {
        let found = self
            .find(Scope::Channel, name)
            .and_then(|id| self.channels.get_mut(id));
        self.next = found.as_ref().map_or(NIL, |channel| channel.first);
        match found.map(|channel| &mut channel.kind) {
            Some(Kind::Channel(position)) => {
                position.offset += 1;
                *position
            }
            _ => Position {
                epoch: 0,
                offset: 1,
            },
        }
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
            && self.by_name.len() == self.channels.len()
            && self.channels.iter().all(walked)
    }

    fn find(&self, scope: Scope, name: &str) -> Option<ChannelId> {
        let is = |row: u32| self.row_at(row).map(Channel::full_name) == Some((scope, name));
        let row = self.by_name.find((scope, name), is)?;
        self.channels.id_at(row)
    }

    fn row_at(&self, index: u32) -> Option<&Channel> {
        self.channels.get(self.channels.id_at(index)?)
    }

    fn find_or_make(&mut self, scope: Scope, name: &str) -> Result<ChannelId, Refused> {
        if let Some(found) = self.find(scope, name) {
            return Ok(found);
        }
        self.epoch += 1;
        let kind = match scope {
            Scope::User => Kind::User(0),
            Scope::Channel => Kind::Channel(Position {
                epoch: self.epoch,
                offset: 0,
            }),
        };
        let row = Channel {
            name: name.into(),
            first: NIL,
            subscribers: 0,
            kind,
        };
        let made = self.channels.insert(row);
        let id = made.map_err(|_| Refused::TooManyChannels)?;
        let channels = &self.channels;
        let name_of = |row| Some(channels.get(channels.id_at(row)?)?.full_name());
        self.by_name.insert((scope, name), id.index(), name_of);
        Ok(id)
    }

    fn position(&self, channel: ChannelId) -> Position {
        match self.channels.get(channel).map(|channel| &channel.kind) {
            Some(Kind::Channel(position)) => *position,
            _ => Position::default(),
        }
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
            self.by_name.remove(row.full_name(), id.index());
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
        assert_eq!(hub.begin("a").offset, 1);
        assert_eq!(reached(&mut hub), [2, 1, 0]);
        assert_eq!(hub.begin("a").offset, 2);
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
        assert_eq!(hub.user_name(&seats[1]), Some("eve"));
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
