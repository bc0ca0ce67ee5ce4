//! Where a page is that came as to Orbited 0.3: its key is a user, a session by its client's own name, and a location.
//!
//! In: these three as they were asked for. Out: the key, by which the application names the page. There are no two of a key.

use super::Session;
use std::rc::Rc;

pub use crate::transport::location::Spelling;

/// A page's place.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its key.
    pub key: Rc<str>,
    /// How messages are spelled for it.
    pub spelling: Spelling,
}

impl Session {
    /// The place of a session of a location.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.extra.as_ref().and_then(|extra| extra.place())
    }

    /// Keeps it.
    pub fn put_place(&mut self, place: Place) {
        self.extra().put_place(place);
    }
}
