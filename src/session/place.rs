//! What a session keeps of a page that came as to Orbited 0.3, and whether it goes on while the page is away.
//!
//! In: the page's key: a user, a session by its client's own name, and a location. Out: the same, by which the application names the
//! page. There are no two of a key.

use super::{Carriage, Session};
use std::rc::Rc;

impl Session {
    /// Whether the session goes on without a downstream.
    #[must_use]
    pub fn outlives_downstream(&self) -> bool {
        match self.carriage {
            Carriage::Bare => self.service.returns() && self.is_open(),
            Carriage::Csp | Carriage::Bayeux | Carriage::Callback => true,
        }
    }

    /// The key of a session of a location.
    #[must_use]
    pub fn place(&self) -> Option<&Rc<str>> {
        self.extra.as_ref().and_then(|extra| extra.place())
    }

    /// Keeps it.
    pub fn put_place(&mut self, place: Rc<str>) {
        self.extra().put_place(place);
    }
}
