//! What crosses from one session to another, after the call that asked for it has returned.
//!
//! In: the queue of commands. Out: publications on backlogs, sessions ended, outcomes told. A publication to
//! a million sessions takes many turns: it goes on where it stopped, and no other command runs before it is
//! through, so that everybody sees the same order.

use super::Node;
use crate::cmd::{Cause, Cmd, Fate, OnceKey, Origin, Outcome};
use crate::hub::{Answered, Change};
use crate::ids::{ChannelId, SessionId};
use crate::mem::{PresenceEvent, Publication};
use std::rc::Rc;

/// What is on its way to many sessions.
#[derive(Debug)]
pub enum FanOut {
    /// A publication, to its subscribers or its user's sessions.
    Message(Delivery),
    /// Who came or went, to those of a channel's subscribers who watch.
    Presence(PresenceEvent, ChannelId),
}

/// A publication on its way.
#[derive(Debug)]
pub struct Delivery {
    publication: Rc<Publication>,
    origin: Origin,
    once: Option<OnceKey>,
    to_user: bool,
    /// Only sessions with a user's name may have it.
    users_only: bool,
    reached: usize,
}

impl Node {
    /// Runs commands, about [`DELIVERIES_PER_TURN`] deliveries of them. True when some are left.
    pub fn run_commands(&mut self) -> bool {
        let mut budget = DELIVERIES_PER_TURN;
        while budget > 0 {
            if let Some(fan_out) = self.fan_out.take() {
                self.go_on(fan_out, &mut budget);
                continue;
            }
            budget -= 1;
            if let Some(change) = self.hub.next_change() {
                self.begin_presence(&change);
                continue;
            }
            match self.cmds.pop() {
                Some(Cmd::Publish(publication, origin, once)) => {
                    self.begin_publish(publication, origin, once);
                }
                Some(Cmd::Send(publication, origin)) => self.begin_send(publication, origin),
                Some(Cmd::End(session, cause)) => self.end_session(session, cause),
                Some(Cmd::Report(publication, fate)) => self.report(&publication, fate),
                Some(Cmd::Kick(user, origin)) => self.kick(&user, origin),
                None => return false,
            }
        }
        self.has_commands()
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
        let Ok(published) = self.hub.publish(&publication, now) else {
            return self.tell(origin, Outcome::NoRoom);
        };
        self.fan_out = Some(FanOut::Message(Delivery {
            publication,
            origin,
            once,
            to_user: false,
            users_only: published.users_only,
            reached: 0,
        }));
    }

    fn begin_send(&mut self, publication: Rc<Publication>, origin: Origin) {
        self.number(&publication);
        if self.hub.begin_user(&publication.target) {
            self.fan_out = Some(FanOut::Message(Delivery {
                publication,
                origin,
                once: None,
                to_user: true,
                users_only: false,
                reached: 0,
            }));
        } else {
            self.tell(origin, Outcome::Absent);
        }
    }

    fn number(&mut self, publication: &Publication) {
        self.published += 1;
        publication.take(self.published);
    }

    /// Ends the sessions of a user, each with a goodbye.
    fn kick(&mut self, user: &str, origin: Origin) {
        self.hub.begin_user(user);
        let ids: Vec<SessionId> = std::iter::from_fn(|| self.hub.next_subscriber()).collect();
        let sessions = ids.len();
        for id in ids {
            self.with_service(id, |service, cx, session| {
                service.farewell(cx, session, Cause::Kicked);
            });
            self.end_session(id, Cause::Kicked);
        }
        self.tell(origin, Outcome::Kicked { sessions });
    }

    /// Who came is listed from now on, who went is not any more, and those who watch are told.
    fn begin_presence(&mut self, change: &Change) {
        if let Some((channel, joined)) = self.hub.begin_change(change, self.clock.tick) {
            let event = PresenceEvent::new(channel, change.user.clone(), joined);
            self.fan_out = Some(FanOut::Presence(event, change.channel));
        }
    }

    fn go_on(&mut self, mut fan_out: FanOut, budget: &mut usize) {
        while *budget > 0 {
            let Some(session) = self.hub.next_subscriber() else {
                return self.through(&fan_out);
            };
            *budget -= 1;
            match &mut fan_out {
                FanOut::Message(delivery) if delivery.users_only && !self.has_user(session) => {}
                FanOut::Message(delivery) => {
                    delivery.reached += 1;
                    self.deliver(session, delivery);
                }
                FanOut::Presence(event, channel) => self.tell_presence(session, event, *channel),
            }
        }
        self.fan_out = Some(fan_out);
    }

    fn tell_presence(&mut self, session: SessionId, event: &PresenceEvent, channel: ChannelId) {
        self.with_service(session, |service, cx, row| {
            if cx.hub.is_watching(&row.seat, channel) {
                service.noticed(cx, row, event);
            }
        });
    }

    fn has_user(&self, session: SessionId) -> bool {
        let row = self.sessions.get(session);
        row.is_some_and(|row| self.hub.user_name(&row.seat).is_some())
    }

    fn deliver(&mut self, session: SessionId, delivery: &Delivery) {
        let (publication, to_user) = (&delivery.publication, delivery.to_user);
        self.with_service(session, |service, cx, row| {
            service.deliver(cx, row, publication, to_user)
        });
    }

    fn through(&mut self, fan_out: &FanOut) {
        let FanOut::Message(delivery) = fan_out else {
            return;
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
        if let Some((session, call)) = publication.report_to() {
            self.with_service(session, |service, cx, row| {
                service.reported(cx, row, call, fate)
            });
        }
    }

    fn tell(&mut self, origin: Origin, outcome: Outcome) {
        match origin {
            Origin::Session(id, call) => {
                self.with_service(id, |service, cx, session| {
                    service.answered(cx, session, call, outcome)
                });
            }
            Origin::Api(id) => self.answer_api(id, outcome),
            Origin::Node => {}
        }
    }
}

fn published(answered: Answered) -> Outcome {
    Outcome::Published {
        offset: answered.offset,
        subscribers: answered.subscribers,
    }
}

/// Deliveries after which the loop looks at its sockets again: below a millisecond of work.
pub const DELIVERIES_PER_TURN: usize = 8_192;
