//! One message published to a channel or sent to a user, with the payload each kind of client is given.
//!
//! In: who published what where. Out: per client protocol one shared [`Msg`], made on the first subscriber
//! that speaks it. How it looks is the service's business: it hands in the function that makes it.

use super::ledger::{Charge, Ledger};
use super::msg::Msg;
use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

/// What kind of bytes a publication holds; it decides how it reaches clients of the other kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One JSON text, passed on byte for byte.
    Json,
    /// UTF-8 text.
    Text,
    /// Anything else, with its media type.
    Bytes(Box<str>),
}

/// Which payload of a publication is meant: one per client protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// A line of the Revolved protocol.
    Revolved,
    /// An event of `text/event-stream`.
    Event,
}

/// A message on its way through the hub.
pub struct Publication {
    /// The channel, or the user it is sent to.
    pub target: Rc<str>,
    /// The user who published; `None` for the application and for users without a name.
    pub sender: Option<Box<str>>,
    /// What `bytes` are.
    pub content: Content,
    /// The payload as published.
    pub bytes: Box<[u8]>,
    offset: OnceCell<u64>,
    views: [OnceCell<Rc<Msg>>; 2],
    _charge: Charge,
}

/// Names and sizes, never the payload: this goes into traces.
impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Publication");
        text.field("target", &self.target)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Publication {
    /// A publication that is not in the hub yet.
    #[must_use]
    pub fn new(
        target: Rc<str>,
        sender: Option<Box<str>>,
        content: Content,
        bytes: Box<[u8]>,
        ledger: &Ledger,
    ) -> Rc<Self> {
        let _charge = ledger.charge(size_of::<Self>() + bytes.len());
        let (offset, views) = (OnceCell::new(), Default::default());
        Rc::new(Self {
            target,
            sender,
            content,
            bytes,
            offset,
            views,
            _charge,
        })
    }

    /// Its place in its channel, from 1; `None` until the hub has taken it, and for messages to users.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.offset.get().copied()
    }

    /// Gives it its place; the first call counts.
    pub fn place(&self, offset: u64) {
        let _ = self.offset.set(offset);
    }

    /// The payload for one kind of client, made by `make` if no client of that kind had it before.
    pub fn view(
        &self,
        view: View,
        ledger: &Ledger,
        make: impl FnOnce(&Self) -> Vec<u8>,
    ) -> &Rc<Msg> {
        let [revolved, event] = &self.views;
        let cell = match view {
            View::Revolved => revolved,
            View::Event => event,
        };
        cell.get_or_init(|| Msg::new(make(self), ledger))
    }
}
