//! What a session holds of the tokens that it gave.
//!
//! In: claims that were checked, moments. Out: what they let it do, and when the first of them ends.

use super::{Claims, Do};
use crate::time::Tick;
use std::rc::Rc;

/// The token of a session, if it gave one, and those that it gave for single channels.
#[derive(Debug, Clone, Default)]
pub struct Pass {
    own: Option<Held>,
    more: Vec<Held>,
}

#[derive(Debug, Clone)]
struct Held {
    claims: Rc<Claims>,
    until: Tick,
}

impl Pass {
    /// The token of a session from now on, in place of the one before. What is another user's does not stay beside it.
    pub fn set(&mut self, claims: Claims, until: Tick) {
        let whose = |held: &Held| held.claims.user.is_none() || held.claims.user == claims.user;
        self.more.retain(whose);
        let before = self.own.take().map(|own| own.claims);
        let same = before.filter(|before| **before == claims);
        let claims = same.unwrap_or_else(|| Rc::new(claims));
        self.own = Some(Held { claims, until });
    }

    /// A token for some channels more; false when there are as many as there may be.
    pub fn add(&mut self, claims: Claims, until: Tick) -> bool {
        self.more.retain(|held| *held.claims != claims);
        let fits = self.more.len() < MORE_MAX;
        if fits {
            let claims = Rc::new(claims);
            self.more.push(Held { claims, until });
        }
        fits
    }

    /// Whether one of its tokens lets its session do this with a channel or pattern.
    #[must_use]
    pub fn lets(&self, what: Do, topic: &str) -> bool {
        self.all().any(|held| held.claims.let_do(what, topic))
    }

    /// When the first of its tokens ends.
    #[must_use]
    pub fn ends(&self) -> Option<Tick> {
        self.all().map(|held| held.until).min()
    }

    /// Whether the session's own token has ended.
    #[must_use]
    pub fn is_over(&self, now: Tick) -> bool {
        self.own.as_ref().is_some_and(|own| own.until <= now)
    }

    /// Forgets tokens for single channels that have ended.
    pub fn expire(&mut self, now: Tick) {
        self.more.retain(|held| held.until > now);
    }

    /// The session's own token.
    #[must_use]
    pub fn own(&self) -> Option<(&Rc<Claims>, Tick)> {
        self.own.as_ref().map(|own| (&own.claims, own.until))
    }

    /// Whether one of its tokens has this name.
    #[must_use]
    pub fn has_id(&self, id: &str) -> bool {
        self.all().any(|held| held.claims.id.as_deref() == Some(id))
    }

    /// Whether one of its tokens is of this user.
    #[must_use]
    pub fn has_user(&self, user: &str) -> bool {
        self.all()
            .any(|held| held.claims.user.as_deref() == Some(user))
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let right = size_of::<super::Right>() + RIGHT_BYTES;
        let each = |held: &Held| size_of::<Held>() + held.claims.rights.len() * right;
        size_of::<Self>() + self.all().map(each).sum::<usize>()
    }

    fn all(&self) -> impl Iterator<Item = &Held> {
        self.own.iter().chain(&self.more)
    }
}

/// Tokens for single channels that one session may hold at once.
const MORE_MAX: usize = 32;
/// What a channel's name takes in the account.
const RIGHT_BYTES: usize = 32;
