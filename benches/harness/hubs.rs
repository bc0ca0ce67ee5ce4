//! Hubs without a node: channels, patterns, publications.
//!
//! In: names and numbers. Out: hubs in the state in which a bench wants to look at them.

use super::policies;
use orbited::hub::Hub;
use orbited::ids::SessionId;
use orbited::mem::{Content, Ledger, Publication, Seat};
use orbited::rng::Rng;
use std::num::NonZeroU32;
use std::rc::Rc;

/// A channel with one subscriber, and patterns that do not match it, a hundred to a session.
pub fn with_patterns(name: &str, count: usize, rules: &str) -> Hub {
    let hub = Hub::new(count + 1, 1 << 20, &mut Rng::new([1; 32]));
    let mut hub = hub.with_policies(policies(rules));
    join(&mut hub, 0, &mut Seat::default(), name);
    let mut seat = Seat::default();
    for n in 0..count {
        if n % 100 == 0 {
            seat = Seat::default();
        }
        let session = 1 + n as u32 / 100;
        join(&mut hub, session, &mut seat, &format!("other/{n}/**"));
    }
    hub
}

/// A session is subscribed from now on.
pub fn join(hub: &mut Hub, session: u32, seat: &mut Seat, name: &str) {
    let session = SessionId::new(session, NonZeroU32::MIN);
    hub.subscribe(session, seat, name, 100)
        .expect("there is room");
}

/// A text of `bytes` bytes for a channel.
pub fn publication(name: &str, bytes: usize, ledger: &Ledger) -> Rc<Publication> {
    let text = vec![b'x'; bytes].into();
    Publication::new(name.into(), None, Content::Text, text, ledger)
}
