//! A user who joined a channel or left it, on the way to those who watch.
//!
//! In: who and where. Out: the line that a client's protocol has for it, made once for all of them.

use super::Msg;
use std::cell::OnceCell;
use std::rc::Rc;

/// A user is new in a channel, or gone from it.
#[derive(Debug)]
pub struct PresenceEvent {
    /// The channel.
    pub channel: Rc<str>,
    /// The user.
    pub user: Rc<str>,
    /// New; else gone.
    pub joined: bool,
    line: OnceCell<Rc<Msg>>,
}

impl PresenceEvent {
    /// An event that nobody was told yet.
    #[must_use]
    pub fn new(channel: Rc<str>, user: Rc<str>, joined: bool) -> Self {
        Self {
            channel,
            user,
            joined,
            line: OnceCell::new(),
        }
    }

    /// The line for it, made by `make` for the first who is told.
    pub fn line(&self, make: impl FnOnce(&Self) -> Rc<Msg>) -> Rc<Msg> {
        self.line.get_or_init(|| make(self)).clone()
    }
}
