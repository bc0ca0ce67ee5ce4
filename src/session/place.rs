//! What a session keeps of a page that came as to Orbited 0.3, and whether it goes on while the page is away.
//!
//! In: of a location, the page's key: a user, a session by its client's own name, and a location; of a session by Revolved's calls,
//! which of its user's pages it says it is (its resource). Out: the same. There are no two of a key; by it the application names the page.

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

    /// From which of its user's pages a session is, of one by the calls of Revolved.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.extra.as_ref().and_then(|extra| extra.resource())
    }

    /// Keeps it.
    pub fn put_resource(&mut self, resource: Box<str>) {
        self.extra().put_resource(resource);
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
