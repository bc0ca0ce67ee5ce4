//! Channels, users, and who is subscribed to what.
//!
//! In: subscriptions of sessions, publications. Out: the sessions a publication goes to, a slice at a time,
//! in the order of the list. It knows sessions by name only, and no protocol.

pub mod book;
mod callers;
mod channels;
mod history;
mod index;
mod listing;
mod members;
pub mod names;
mod once;
mod pace;
pub mod places;
mod presence;
mod reach;
mod subs;
mod turnout;
mod waiting;

pub use channels::{Asked, Page, Published, Recovered};
pub use listing::Listed;
pub use members::Members;
pub use once::{Answered, Once};
pub use pace::{Released, Turn};
pub use presence::Change;
pub use turnout::Turnout;
pub use waiting::{Crowded, Room, Waiter};

use crate::cmd::OnceKey;
use crate::ids::{ChannelId, ChannelTag, PolicyId, SessionId};
use crate::mem::{Full, Position, Publication, Seat, Slots};
use crate::rng::Rng;
use book::Book;
use callers::Callers;
use history::Archive;
use index::Index;
use pace::Paces;
use places::Places;
use presence::{Presence, What};
use reach::Reach;
use std::rc::Rc;
use subs::{NIL, Subscriptions};
use turnout::Turnouts;
use waiting::Waiting;

/// Every channel and user of this node.
#[derive(Debug)]
pub struct Hub {
    channels: Slots<ChannelTag, Channel>,
    by_name: Index,
    links: Subscriptions,
    /// The fan-out under way.
    reach: Reach,
    archive: Archive,
    paces: Paces,
    /// Rows that are patterns.
    patterns: usize,
    /// Rows that are the node's own.
    own: usize,
    /// Events of which others than subscribers read.
    heard: u8,
    /// Rows that there may be beside these.
    channels_max: usize,
    /// Publications that are promised a place.
    promised: usize,
    book: Book,
    presence: Presence,
    turnouts: Turnouts,
    callers: Callers,
    places: Places,
    waiting: Waiting,
    epoch: u64,
}

/// A channel's row. A user is a row too: what is sent to the user goes to its subscribers, the user's sessions. And so
/// is a pattern: what is published to a channel that it matches goes to its subscribers too.
#[derive(Debug)]
pub struct Channel {
    name: Box<str>,
    first: u32,
    subscribers: u32,
    kind: Kind,
}

/// What is remembered of each.
#[derive(Debug)]
enum Kind {
    /// Where the channel stands, what holds for it, and how many publications to it are promised a place: the last two
    /// are in the bytes that alignment leaves.
    Channel(Position, PolicyId, u32),
    /// A pattern stands nowhere: each channel it matches does.
    Pattern,
    /// The hash of the credentials a user's name was taken with.
    User(u64),
}

/// Whose name it is: `alice` the user is not `alice` the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    Channel,
    User,
}

/// What came of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribed {
    /// Where the channel stands; the default for a pattern.
    pub position: Position,
    /// The session was subscribed before: what came meanwhile was sent to it.
    pub again: bool,
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
            Kind::Channel(..) | Kind::Pattern => Scope::Channel,
            Kind::User(_) => Scope::User,
        }
    }

    fn full_name(&self) -> (Scope, &str) {
        (self.scope(), &self.name)
    }
}

impl Hub {
    /// A hub of at most `channels_max` channels and users together, whose histories hold at most `history_max` bytes.
    #[must_use]
    pub fn new(channels_max: usize, history_max: usize, rng: &mut Rng) -> Self {
        Self {
            // Its own come on top.
            channels: Slots::new(channels_max.saturating_add(names::EVENTS.len())),
            channels_max,
            by_name: Index::new(rng.keyed()),
            links: Subscriptions::default(),
            reach: Reach::new(rng.keyed()),
            archive: Archive::new(history_max),
            paces: Paces::default(),
            patterns: 0,
            own: 0,
            heard: 0,
            promised: 0,
            book: Book::default(),
            presence: Presence::default(),
            turnouts: Turnouts::default(),
            callers: Callers::new(),
            places: Places::new(),
            waiting: Waiting::default(),
            epoch: rng.next_u64() >> 12,
        }
    }

    /// Subscribes `session` to the channel or pattern called `name` (checked by [`names::topic`]). Twice is once.
    /// Gives back where a channel stands; what was published up to there is not sent to it.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn subscribe(
        &mut self,
        session: SessionId,
        seat: &mut Seat,
        name: &str,
        subscriptions_max: usize,
    ) -> Result<Subscribed, Refused> {
        if let Some(channel) = self.find(Scope::Channel, name)
            && self.links.find(seat.first, channel).is_some()
        {
            let position = self.position(channel);
            return Ok(Subscribed {
                position,
                again: true,
            });
        }
        let users = usize::from(seat.user != NIL);
        let channels = self.links.count(seat.first) - users;
        if channels >= subscriptions_max {
            return Err(Refused::TooManySubscriptions);
        }
        let channel = self.find_or_make(Scope::Channel, name)?;
        self.join(session, seat, channel);
        let user = self.told_name(seat, channel);
        self.note(channel, user.as_ref(), What::Came);
        let position = self.position(channel);
        Ok(Subscribed {
            position,
            again: false,
        })
    }

    /// Ends a subscription; false when there was none.
    pub fn unsubscribe(&mut self, seat: &mut Seat, name: &str) -> bool {
        let Some(channel) = self.find(Scope::Channel, name) else {
            return false;
        };
        let Some(link) = self.links.find(seat.first, channel) else {
            return false;
        };
        let user = self.told_name(seat, channel);
        self.leave(seat, link, user.as_ref());
        true
    }

    /// Ends every subscription of a session, its user's too.
    pub fn leave_all(&mut self, seat: &mut Seat) {
        let user = self.told_anywhere(seat);
        while seat.first != NIL {
            self.leave(seat, seat.first, user.as_ref());
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
        let before = self.told_anywhere(seat);
        let old = self.channels.id_at(seat.user);
        if let Some(old) = old.and_then(|old| self.links.find(seat.first, old)) {
            self.leave(seat, old, None);
        }
        self.join(session, seat, user);
        seat.user = user.index();
        self.arrive(name);
        if let Some(after) = self.told_anywhere(seat) {
            self.note_rename(seat, before.as_ref(), &after);
        }
        Ok(())
    }

    /// What makes two publications the same: the channel, the publisher, the name that it gave them, and the payload. Two
    /// that differ are two, whatever their publisher calls them.
    #[must_use]
    pub fn once_key(&self, publication: &Publication, publisher: &str, id: &str) -> OnceKey {
        let (channel, payload) = (&*publication.target, &*publication.bytes);
        let what = (publication.content.media_type(), publication.key());
        let half = |n: u8| {
            u128::from(
                self.by_name
                    .hash((n, channel, publisher, id, payload, what)),
            )
        };
        OnceKey(half(0) << 64 | half(1))
    }

    /// The name of a session's user.
    #[must_use]
    pub fn user_name(&self, seat: &Seat) -> Option<&str> {
        let user = self.channels.id_at(seat.user)?;
        self.channels.get(user).map(|user| &*user.name)
    }

    /// Where each channel of a session stands for its readers, in the order it subscribed to them.
    #[must_use]
    pub fn standing(&self, seat: &Seat) -> Vec<(&str, Position)> {
        let place = |row| match self.row_at(row).map(|row| (row, &row.kind)) {
            Some((row, Kind::Channel(position, ..))) => {
                Some((&*row.name, self.shown(&row.name, *position)))
            }
            _ => None,
        };
        let mut all: Vec<_> = self.links.channels(seat.first).filter_map(place).collect();
        all.reverse();
        all
    }

    /// Whether a session is subscribed to one channel and nothing else.
    #[must_use]
    pub fn reads_one(&self, seat: &Seat) -> bool {
        self.links.channels(seat.first).take(2).count() == 1
    }

    /// Begins the fan-out of a message to the user called `name`; false when the user has no session.
    pub fn begin_user(&mut self, name: &str) -> bool {
        let user = self
            .find(Scope::User, name)
            .and_then(|id| self.channels.get(id));
        let list = user.map(|user| (user.first, user.subscribers));
        self.reach.begin(&mut Vec::from_iter(list));
        list.is_some()
    }

    /// The next session of the fan-out under way. Sessions that subscribe meanwhile are not reached by it;
    /// those that leave are passed over.
    pub fn next_subscriber(&mut self) -> Option<SessionId> {
        self.reach.next(&self.links)
    }

    /// How many sessions are subscribed to the channel called `name`.
    #[must_use]
    pub fn subscribers(&self, name: &str) -> usize {
        let channel = self
            .find(Scope::Channel, name)
            .and_then(|id| self.channels.get(id));
        channel.map_or(0, |channel| channel.subscribers as usize)
    }

    /// Whether the lists agree with their counts; for tests and the simulation.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let counted: u64 = self
            .channels
            .iter()
            .map(|(_, channel)| u64::from(channel.subscribers))
            .sum();
        let walked = |(id, channel): (ChannelId, &Channel)| {
            self.links.walk(channel.first) == channel.subscribers as usize
                && (channel.subscribers > 0 || self.archive.of(id).is_some() || self.stays(channel))
        };
        let patterns = |(_, channel): &(ChannelId, &Channel)| matches!(channel.kind, Kind::Pattern);
        let own = |(_, channel): &(ChannelId, &Channel)| {
            channel.scope() == Scope::Channel && names::is_own(&channel.name)
        };
        let promised = |(_, channel): (ChannelId, &Channel)| match channel.kind {
            Kind::Channel(_, _, promised) => promised as usize,
            Kind::Pattern | Kind::User(_) => 0,
        };
        counted == self.links.len() as u64
            && self.channels.iter().map(promised).sum::<usize>() == self.promised
            && self.channels.iter().filter(patterns).count() == self.patterns
            && self.channels.iter().filter(own).count() == self.own
            && self.is_archive_consistent()
            && self.waiting.is_consistent()
            && self
                .presence
                .is_within(|id| self.channels.get(id).is_some())
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
            Scope::Channel if names::is_pattern(name) => Kind::Pattern,
            Scope::Channel => {
                let start = Position {
                    epoch: self.epoch,
                    offset: 0,
                };
                Kind::Channel(start, self.book.id_of(name), 0)
            }
        };
        let is_pattern = matches!(kind, Kind::Pattern);
        let row = Channel {
            name: name.into(),
            first: NIL,
            subscribers: 0,
            kind,
        };
        let is_own = scope == Scope::Channel && names::is_own(name);
        let mut made = match is_own || !self.is_full() {
            true => self.channels.insert(row),
            false => Err(Full(row)),
        };
        if let Err(Full(row)) = made {
            // A channel that only remembers makes way for one that somebody uses now.
            made = match self.forget_one() {
                true => self.channels.insert(row),
                false => Err(Full(row)),
            };
        }
        let id = made.map_err(|_| Refused::TooManyChannels)?;
        self.patterns += usize::from(is_pattern);
        self.own += usize::from(is_own);
        let channels = &self.channels;
        let name_of = |row| Some(channels.get(channels.id_at(row)?)?.full_name());
        self.by_name.insert((scope, name), id.index(), name_of);
        Ok(id)
    }

    fn position(&self, channel: ChannelId) -> Position {
        match self.channels.get(channel).map(|row| (row, &row.kind)) {
            Some((row, Kind::Channel(position, ..))) => self.shown(&row.name, *position),
            _ => Position::default(),
        }
    }

    fn is_full(&self) -> bool {
        self.channels.len() - self.own >= self.channels_max
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
        if row.subscribers == 1 {
            self.turn_out(channel, true);
        }
    }

    /// Takes `link` out of both its lists, and the channel away with its last subscriber.
    fn leave(&mut self, seat: &mut Seat, link: u32, user: Option<&Rc<str>>) {
        let Some(gone) = self.links.remove(link, &mut seat.first) else {
            return;
        };
        self.reach.left(link, gone.next);
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
        if row.subscribers == 0 {
            self.turn_out(id, false);
        }
        if gone.watched {
            self.presence.watch(id, false);
        }
        self.note(id, user, What::Went);
        self.prune(id);
    }

    /// Takes a row away that nobody is subscribed to and that has kept nothing.
    fn prune(&mut self, id: ChannelId) {
        let row = self.channels.get(id);
        if row.is_none_or(|row| row.subscribers > 0 || self.stays(row))
            || self.archive.of(id).is_some()
        {
            return;
        }
        if let Some(row) = self.channels.remove(id) {
            self.patterns -= usize::from(matches!(row.kind, Kind::Pattern));
            self.own -= usize::from(row.scope() == Scope::Channel && names::is_own(&row.name));
            self.by_name.remove(row.full_name(), id.index());
            self.presence.forget(id);
        }
    }
}

#[cfg(test)]
mod tests;
