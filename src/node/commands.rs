//! What crosses from one session to another, after the call that asked for it has returned.
//!
//! In: the queue of commands. Out: publications on backlogs, sessions ended, outcomes told. A publication to
//! a million sessions takes many turns: it goes on where it stopped, and no other command runs before it is
//! through, so that everybody sees the same order.

use super::Node;
use super::conn::WriteSide;
use crate::cmd::{Cause, Cmd, Fate, OnceKey, Origin, Outcome, Whose};
use crate::config::policy::Who;
use crate::hub::{Answered, Change, Turn};
use crate::ids::{ChannelId, SessionId};
use crate::mem::{Asker, PresenceEvent, Publication};
use crate::session::Session;
use std::ops::Range;
use std::rc::Rc;

/// What is on its way to many sessions.
#[derive(Debug)]
pub enum FanOut {
    /// A publication, to its subscribers or its user's sessions.
    Message(Delivery),
    /// Who came or went, to those of a channel's subscribers who watch.
    Presence(PresenceEvent, ChannelId),
    /// A message to everybody: the slots of the sessions that it has still to reach.
    Everybody(Delivery, Range<u32>),
    /// The end, to every session of a user, and how many it has reached.
    Kick(Origin, usize),
    /// The end, to every session that has a token of somebody: the slots that are left, and how many it has reached.
    Revoke(Whose, Origin, Range<u32>, usize),
    /// A subscription by the application, to every session of a user.
    Seat(Seating),
}

/// A subscription by the application on its way.
#[derive(Debug)]
pub struct Seating {
    topic: Rc<str>,
    on: bool,
    origin: Origin,
    sessions: usize,
    refused: usize,
}

/// A publication on its way.
#[derive(Debug)]
pub struct Delivery {
    publication: Rc<Publication>,
    origin: Origin,
    once: Option<OnceKey>,
    to_user: bool,
    /// What each of its readers must be or have.
    needs: Who,
    /// How many its channel held back since it last went out, of which it is the newest, for who reads it by its name.
    taken: u64,
    reached: usize,
}

impl Delivery {
    pub(super) fn new(publication: Rc<Publication>, origin: Origin) -> Self {
        publication.spread(true);
        Self {
            publication,
            origin,
            once: None,
            to_user: false,
            needs: Who::Anyone,
            taken: 1,
            reached: 0,
        }
    }

    pub(super) fn to_user(publication: Rc<Publication>, origin: Origin) -> Self {
        let mut delivery = Self::new(publication, origin);
        delivery.to_user = true;
        delivery
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.publication.spread(false);
    }
}

impl Node {
    /// Runs commands, about [`DELIVERIES_PER_TURN`] deliveries of them, or until a reader of events has so many that they
    /// are to be written first. True when some are left.
    pub fn run_commands(&mut self) -> bool {
        self.run_some(true)
    }

    /// Runs all of them, whoever is full.
    pub(super) fn run_out(&mut self) {
        while self.run_some(false) {}
    }

    fn run_some(&mut self, heeds: bool) -> bool {
        let mut budget = DELIVERIES_PER_TURN;
        while budget > 0 && self.has_commands() {
            if heeds && self.is_feed_full() {
                return true;
            }
            // First of all, so that nothing more is given to who is to end.
            if let Some((session, cause)) = self.cmds.pop_end() {
                self.end_session(session, cause);
                continue;
            }
            if let Some(fan_out) = self.fan_out.take() {
                self.go_on(fan_out, &mut budget);
                continue;
            }
            budget -= 1;
            // Comings and goings take turns with commands: neither waits for all of the others.
            self.changes_next = !self.changes_next;
            let change = self.changes_next.then(|| self.hub.next_change()).flatten();
            if let Some(change) = change {
                self.begin_presence(&change);
                continue;
            }
            let turnout = self.changes_next.then(|| self.hub.next_turnout()).flatten();
            if let Some(turnout) = turnout {
                let told = self.told_turnout(&turnout);
                self.begin_publish(told, Origin::Node, None);
                continue;
            }
            // In front of all that was sent since.
            if let Some(waiter) = self.hub.next_arrived() {
                self.begin_send(waiter.publication, waiter.origin);
                continue;
            }
            match self.cmds.pop() {
                Some(Cmd::Publish(publication, origin, once)) => {
                    self.begin_publish(publication, origin, once);
                }
                Some(Cmd::Send(publication, origin)) => self.begin_send(publication, origin),
                Some(Cmd::SendWithin(publication, origin, ms)) => {
                    self.send_within(publication, origin, ms);
                }
                Some(Cmd::SendByKey(publication, origin)) => self.send_by_key(publication, origin),
                Some(Cmd::Broadcast(publication, origin)) => {
                    self.begin_broadcast(publication, origin);
                }
                Some(Cmd::Release(channel)) => self.begin_release(&channel),
                Some(Cmd::Control(id, call, control)) => self.control(id, call, &control),
                Some(Cmd::Share) => self.share_out(&mut budget),
                Some(Cmd::Arm(session)) => self.arm(session),
                Some(Cmd::End(session, cause)) => self.end_session(session, cause),
                Some(Cmd::Report(publication, fate)) => self.report(&publication, fate),
                Some(Cmd::Revoke(whose, origin)) => self.begin_revoke(whose, origin),
                Some(Cmd::Kick(user, origin)) => self.begin_kick(&user, origin),
                Some(Cmd::Welcome(key, welcome)) => self.welcome(&key, welcome),
                Some(Cmd::KickByKey(key)) => self.kick_by_key(&key),
                Some(Cmd::KickOne(session, origin)) => self.kick_session(session, origin),
                Some(Cmd::Seat {
                    user,
                    topic,
                    on,
                    origin,
                }) => self.begin_seat(&user, topic, on, origin),
                None => {}
            }
        }
        self.has_commands()
    }

    /// Whether a reader of events that takes what it is given has a queue that another round might make run over. One that
    /// takes nothing is not waited for.
    pub(super) fn is_feed_full(&self) -> bool {
        let full = |id: &SessionId| {
            let session = self.sessions.get(*id)?;
            let conn = self.conns.get(session.conn()?)?;
            Some(self.is_behind(*id) && conn.write != WriteSide::Blocked)
        };
        self.feeds.iter().any(|id| full(id).unwrap_or(false))
    }

    /// The publication to a channel that some of its subscribers have and others have not, and for how many it stands.
    pub(super) fn under_way(&self) -> Option<(&Rc<Publication>, u64)> {
        match self.fan_out.as_ref() {
            Some(FanOut::Message(delivery)) if !delivery.to_user => {
                Some((&delivery.publication, delivery.taken))
            }
            _ => None,
        }
    }

    fn begin_publish(
        &mut self,
        publication: Rc<Publication>,
        origin: Origin,
        once: Option<OnceKey>,
    ) {
        let before = once.and_then(|key| self.once.find(key, self.clock.tick));
        if let Some(answered) = before {
            return self.tell(origin, published(answered));
        }
        self.number(&publication);
        let now = self.now();
        let published = self.hub.publish(&publication, now);
        if origin == Origin::Promised {
            self.hub.redeem(&publication.target);
        }
        let Ok(published) = published else {
            return self.tell(origin, Outcome::NoRoom);
        };
        let mut delivery = Delivery::new(publication, origin);
        (delivery.once, delivery.needs) = (once, published.needs);
        match published.turn {
            Turn::Now => self.fan_out = Some(FanOut::Message(delivery)),
            Turn::Held { instead } => {
                let slow = delivery.publication.slow();
                self.metrics.dropped.count(slow, u64::from(instead));
                self.through(&FanOut::Message(delivery));
            }
        }
    }

    fn begin_release(&mut self, channel: &str) {
        let now = self.now();
        if let Some(released) = self.hub.release(channel, now) {
            let mut delivery = Delivery::new(released.publication.clone(), Origin::Node);
            (delivery.needs, delivery.taken) = (released.needs, released.here);
            let (taken, here) = (released.taken - 1, released.here - 1);
            delivery.publication.skip(taken, here);
            self.fan_out = Some(FanOut::Message(delivery));
        }
    }

    pub(super) fn begin_send(&mut self, publication: Rc<Publication>, origin: Origin) {
        self.number(&publication);
        if self.hub.begin_user(&publication.target) {
            let delivery = Delivery::to_user(publication, origin);
            self.fan_out = Some(FanOut::Message(delivery));
        } else {
            self.tell(origin, Outcome::Absent);
        }
    }

    fn begin_broadcast(&mut self, publication: Rc<Publication>, origin: Origin) {
        self.number(&publication);
        let delivery = Delivery::to_user(publication, origin);
        self.fan_out = Some(FanOut::Everybody(delivery, 0..self.sessions.end()));
    }

    fn begin_revoke(&mut self, whose: Whose, origin: Origin) {
        let slots = 0..self.sessions.end();
        self.fan_out = Some(FanOut::Revoke(whose, origin, slots, 0));
    }

    fn begin_seat(&mut self, user: &str, topic: Rc<str>, on: bool, origin: Origin) {
        if !self.hub.begin_user(user) {
            return self.tell(origin, Outcome::Absent);
        }
        self.fan_out = Some(FanOut::Seat(Seating {
            topic,
            on,
            origin,
            sessions: 0,
            refused: 0,
        }));
    }

    fn seat(&mut self, session: SessionId, seating: &mut Seating) {
        let (topic, on) = (&seating.topic, seating.on);
        let seated = self.with_service(session, |service, cx, row| {
            service.seated(cx, row, topic, on)
        });
        match seated {
            Some(true) => seating.sessions += 1,
            _ => seating.refused += 1,
        }
    }

    pub(super) fn number(&mut self, publication: &Publication) {
        self.published += 1;
        publication.take(self.published);
    }

    fn begin_kick(&mut self, user: &str, origin: Origin) {
        self.hub.begin_user(user);
        self.fan_out = Some(FanOut::Kick(origin, 0));
    }

    /// Ends a session with a goodbye; where there is no room for that, at once. False for one that ends already.
    pub(super) fn kick(&mut self, id: SessionId, cause: Cause) -> bool {
        if !self.sessions.get(id).is_some_and(Session::is_open) || self.is_called(id) {
            return false;
        }
        self.with_service(id, |service, cx, session| {
            service.farewell(cx, session, cause);
        });
        match self.sessions.get(id).is_some_and(Session::is_open) {
            true => self.end_session(id, cause),
            false => self.remove_session(id, cause),
        }
        true
    }

    /// What it costs to walk the subscriptions of a session, in deliveries.
    pub(super) fn walk_of(&self, id: SessionId) -> usize {
        let row = self.sessions.get(id);
        row.map_or(0, |row| {
            self.hub.subscribed_to(&row.seat) / WALKED_PER_DELIVERY
        })
    }

    /// Who came is listed from now on, who went is not any more, and those who watch are told.
    fn begin_presence(&mut self, change: &Change) {
        if let Some((channel, joined)) = self.hub.begin_change(change, self.clock.tick) {
            let event = PresenceEvent::new(channel, change.user.clone(), joined);
            self.fan_out = Some(FanOut::Presence(event, change.channel));
        }
    }

    fn go_on(&mut self, mut fan_out: FanOut, budget: &mut usize) {
        let is_through = match &mut fan_out {
            FanOut::Message(delivery) if delivery.to_user => self.reach(budget, |node, session| {
                node.deliver_out_of_line(session, delivery);
                0
            }),
            FanOut::Message(delivery) => self.reach(budget, |node, session| {
                node.deliver(session, delivery);
                0
            }),
            FanOut::Presence(event, channel) => self.reach(budget, |node, session| {
                node.tell_presence(session, event, *channel);
                0
            }),
            FanOut::Everybody(delivery, slots) => self.reach_everybody(budget, delivery, slots),
            FanOut::Seat(seating) => self.reach(budget, |node, session| {
                node.seat(session, seating);
                node.walk_of(session)
            }),
            FanOut::Revoke(whose, _, slots, reached) => {
                self.revoke_some(budget, (whose, slots, reached))
            }
            FanOut::Kick(_, reached) => self.reach(budget, |node, session| {
                let walk = node.walk_of(session);
                *reached += usize::from(node.kick(session, Cause::Kicked));
                walk
            }),
        };
        match is_through {
            true => self.through(&fan_out),
            false => self.fan_out = Some(fan_out),
        }
    }

    /// Goes on to as many of the fan-out's sessions as the budget has; true when there are no more. `each` gives back what
    /// a session costs beside its delivery.
    fn reach(
        &mut self,
        budget: &mut usize,
        mut each: impl FnMut(&mut Self, SessionId) -> usize,
    ) -> bool {
        while *budget > 0 {
            let Some(session) = self.hub.next_subscriber() else {
                return true;
            };
            *budget -= 1;
            let more = each(self, session);
            *budget = budget.saturating_sub(more);
        }
        false
    }

    /// The same, slot by slot. A session that begins meanwhile may be among them.
    fn reach_everybody(
        &mut self,
        budget: &mut usize,
        delivery: &mut Delivery,
        slots: &mut Range<u32>,
    ) -> bool {
        while *budget > 0 {
            let Some(slot) = slots.next() else {
                return true;
            };
            *budget -= 1;
            let session = self.sessions.id_at(slot);
            if let Some(session) = session.filter(|session| self.takes_messages(*session)) {
                self.deliver_out_of_line(session, delivery);
            }
        }
        false
    }

    /// Most members do not watch: for them nothing is made ready.
    fn tell_presence(&mut self, session: SessionId, event: &PresenceEvent, channel: ChannelId) {
        let row = self.sessions.get(session);
        if row.is_some_and(|row| self.hub.is_watching(&row.seat, channel)) {
            self.with_service(session, |service, cx, row| service.noticed(cx, row, event));
        }
    }

    /// For what is not the fan-out of a channel's publication.
    #[cold]
    #[inline(never)]
    pub(super) fn deliver_out_of_line(&mut self, session: SessionId, delivery: &mut Delivery) {
        self.deliver(session, delivery);
        if delivery.publication.is_done_when_written() {
            self.await_writing(session, &delivery.publication);
        }
    }

    // Almost all of its calls are of one place; as a call of its own it is four instructions more, of 254.
    #[inline(always)]
    fn deliver(&mut self, session: SessionId, delivery: &mut Delivery) {
        if delivery.needs != Who::Anyone
            && !self.may_have(session, delivery.needs, &delivery.publication)
        {
            return;
        }
        delivery.reached += 1;
        let (publication, to_user) = (&delivery.publication, delivery.to_user);
        self.with_service(session, |service, cx, row| {
            service.deliver(cx, row, publication, to_user)
        });
    }

    pub(super) fn through(&mut self, fan_out: &FanOut) {
        let delivery = match fan_out {
            FanOut::Message(delivery) | FanOut::Everybody(delivery, _) => delivery,
            FanOut::Presence(..) => return,
            FanOut::Seat(seating) => {
                let (sessions, refused) = (seating.sessions, seating.refused);
                return self.tell(seating.origin, Outcome::Seated { sessions, refused });
            }
            FanOut::Kick(origin, sessions) | FanOut::Revoke(_, origin, _, sessions) => {
                let sessions = *sessions;
                return self.tell(*origin, Outcome::Kicked { sessions });
            }
        };
        let reached = delivery.reached;
        let Some(place) = delivery.publication.place() else {
            return self.tell(delivery.origin, Outcome::Sent { sessions: reached });
        };
        let answered = Answered {
            offset: place.offset,
            subscribers: reached,
        };
        if let Some(key) = delivery.once {
            self.once.put(key, answered, self.now());
        }
        self.tell(delivery.origin, published(answered));
    }

    /// Tells whoever asked for it what became of a message at one recipient.
    fn report(&mut self, publication: &Publication, fate: Fate) {
        if let Some(Asker::Session(session, call)) = publication.report_to() {
            self.with_service(session, |service, cx, row| {
                service.reported(cx, row, call, fate)
            });
        }
    }

    pub(super) fn tell(&mut self, origin: Origin, outcome: Outcome) {
        match origin {
            Origin::Session(id, call) => {
                self.with_service(id, |service, cx, session| {
                    service.answered(cx, session, call, outcome)
                });
            }
            Origin::Api(id) => self.answer_api(id, outcome),
            Origin::Batch(id) => self.answer_batch(id, outcome),
            Origin::Node | Origin::Promised => {}
        }
    }
}

fn published(answered: Answered) -> Outcome {
    Outcome::Published {
        offset: answered.offset,
        subscribers: answered.subscribers,
    }
}

/// Subscriptions of a session that are walked in the time of a delivery.
const WALKED_PER_DELIVERY: usize = 16;
/// Deliveries after which the loop looks at its sockets again: below a millisecond of work.
pub const DELIVERIES_PER_TURN: usize = 8_192;
