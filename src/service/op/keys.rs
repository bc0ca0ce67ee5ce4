//! Whom a key names.
//!
//! In: what the application calls a recipient. Out: whom a message goes to, and the commands that bring it there or end it. A
//! key is a user's name, `session:KEY` for one session, or `channel:NAME`; of 1.0 it has three parts.

use crate::cmd::{Cmd, Origin};
use crate::hub::{Hub, names, places};
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

    /// Whom the key of 1.0 names that was written as `recipient`: the page at that place, or the session whose key is the second
    /// part. Of a user who has pages at no location it is every session, wherever it connected.
    #[must_use]
    pub fn of_parts(hub: &Hub, recipient: &str) -> Self {
        let Some([user, session, location]) = events::parts(recipient) else {
            return Self::User(recipient.into());
        };
        if SessionKey::parse(session.as_bytes()).is_some() {
            return Self::Session(format!("{SESSION}{session}").into());
        }
        let below = location.strip_prefix(MOUNTED);
        let location = below.filter(|it| it.starts_with('/')).unwrap_or(location);
        let key = places::key(user, session, location);
        match key.and_then(|key| hub.at(&key)) {
            Some(name) => Self::Session(name.clone()),
            // It is not there.
            None if hub.is_anywhere(user) => Self::Session(recipient.into()),
            None => Self::User(user.into()),
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
/// Below it every location is served.
const MOUNTED: &str = "/_/orbit";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SessionId;
    use crate::rng::Rng;

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
    fn three_parts_name_who_is_there_else_the_user() {
        let mut hub = Hub::new(10, 0, &mut Rng::new([1; 32]));
        assert_eq!(
            Target::of_parts(&hub, "user, 0, /chat"),
            Target::User("user".into())
        );
        let (place, name): (_, Rc<str>) = (places::key("user", "0", "/chat"), "session:k".into());
        hub.come(
            place.unwrap(),
            SessionId::new(0, std::num::NonZeroU32::MIN),
            name.clone(),
        );
        for there in ["user, 0, /chat", "user, 0, /_/orbit/chat"] {
            assert_eq!(Target::of_parts(&hub, there), Target::Session(name.clone()));
        }
        for elsewhere in ["user, 1, /chat", "user, 0, /other", "user, 0, /_/orbitchat"] {
            assert_eq!(
                Target::of_parts(&hub, elsewhere),
                Target::Session(elsewhere.into())
            );
        }
        assert_eq!(
            Target::of_parts(&hub, "use, 0, /chat"),
            Target::User("use".into())
        );
        let key = "AAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(
            Target::of_parts(&hub, &format!("user, {key}, /chat")),
            Target::Session(format!("session:{key}").into())
        );
    }
}
