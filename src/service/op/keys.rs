//! Whom a key names.
//!
//! In: what the application calls a recipient. Out: whom a message goes to, and the commands that bring it there or end it. A
//! key is a user's name, `session:KEY` for one session, or `channel:NAME`; of 1.0 it has three parts.

use crate::cmd::{Cmd, Origin};
use crate::hub::names;
use crate::mem::Publication;
use crate::op::events;
use crate::session::SessionKey;
use std::rc::Rc;

/// Whom a key names.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// Every session of a user.
    User(Rc<str>),
    /// One session, by its key with `session:` in front.
    Session(Rc<str>),
    /// Whoever is subscribed to a channel.
    Channel(Rc<str>),
}

impl Target {
    /// Whom a key of 0.4 names.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        if key.starts_with(SESSION) {
            return Self::Session(key.into());
        }
        let channel = key.strip_prefix("channel:");
        match channel.and_then(|name| names::channel(name).ok()) {
            Some(name) => Self::Channel(name.into()),
            None => Self::User(key.into()),
        }
    }

    /// Whom the key of 1.0 names that was written as `recipient`: sessions are the user's here, unless the second part is the
    /// key of one. The third part, where the browser connected, is everywhere.
    #[must_use]
    pub fn of_parts(recipient: &str) -> Self {
        match events::parts(recipient) {
            Some([_, session, _]) if SessionKey::parse(session.as_bytes()).is_some() => {
                Self::Session(format!("{SESSION}{session}").into())
            }
            Some([user, _, _]) => Self::User(user.into()),
            None => Self::User(recipient.into()),
        }
    }

    /// Its name, as publications have it.
    #[must_use]
    pub fn name(&self) -> &Rc<str> {
        match self {
            Self::User(name) | Self::Session(name) | Self::Channel(name) => name,
        }
    }

    /// What brings a message there, for which a user's may wait so long.
    #[must_use]
    pub fn send(&self, publication: Rc<Publication>, origin: Origin, ttl_ms: u64) -> Cmd {
        match self {
            Self::User(_) if ttl_ms > 0 => Cmd::SendWithin(publication, origin, ttl_ms),
            Self::User(_) => Cmd::Send(publication, origin),
            Self::Session(_) => Cmd::SendByKey(publication, origin),
            Self::Channel(_) => Cmd::Publish(publication, origin, None),
        }
    }

    /// What ends the sessions that it names, if it names any.
    #[must_use]
    pub fn kick(self) -> Option<Cmd> {
        match self {
            Self::User(user) => Some(Cmd::Kick(user, Origin::Node)),
            Self::Session(key) => Some(Cmd::KickByKey(key)),
            Self::Channel(_) => None,
        }
    }
}

const SESSION: &str = "session:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_a_user_a_session_or_a_channel() {
        assert_eq!(
            Target::of_key("joe,/event"),
            Target::User("joe,/event".into())
        );
        assert_eq!(
            Target::of_key("session:x"),
            Target::Session("session:x".into())
        );
        assert_eq!(Target::of_key("channel:a/b"), Target::Channel("a/b".into()));
        assert_eq!(
            Target::of_key("channel:a//b"),
            Target::User("channel:a//b".into())
        );
    }

    #[test]
    fn of_three_parts_the_first_is_the_user() {
        assert_eq!(
            Target::of_parts("user, 0, /chat"),
            Target::User("user".into())
        );
        let key = "AAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(
            Target::of_parts(&format!("user, {key}, /chat")),
            Target::Session(format!("session:{key}").into())
        );
    }
}
