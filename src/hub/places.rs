//! Which pages are where: sessions by the keys of Orbited 0.3, which are a user, a session and a location.
//!
//! In: the three parts, a session's beginning and end. Out: the session that is there, by the name that the application sends
//! to. Of a key the last to come is the one. None of the parts has a control character, which is why one stands between them.

use super::Hub;
use crate::ids::SessionId;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

/// Who is where, and by which name it is sent to. As many as there are sessions, at most.
pub type Places = BTreeMap<Rc<str>, (SessionId, Rc<str>)>;

/// The key of its parts; `None` where one of the last two is empty, too long, or could not be told from another when
/// the application names it.
#[must_use]
pub fn key(user: &str, session: &str, location: &str) -> Option<Rc<str>> {
    let is_fit = |part: &str| {
        let odd = |c: char| c.is_control() || c == ',';
        !part.is_empty() && part.len() <= PART_BYTES_MAX && !part.contains(odd)
    };
    let fits = [session, location].into_iter().all(is_fit);
    fits.then(|| format!("{user}{BETWEEN}{session}{BETWEEN}{location}").into())
}

impl Hub {
    /// The session, which is sent to as `name`, is at `key` from now on.
    pub fn come(&mut self, key: Rc<str>, session: SessionId, name: Rc<str>) {
        self.places.insert(key, (session, name));
    }

    /// The sessions that are anywhere, for checks.
    pub fn at_places(&self) -> impl Iterator<Item = SessionId> {
        self.places.values().map(|(session, _)| *session)
    }

    /// The session is not there any more.
    pub fn go(&mut self, key: &str, session: SessionId) {
        if self.places.get(key).is_some_and(|(its, _)| *its == session) {
            self.places.remove(key);
        }
    }

    /// By which name the session is sent to that is at `key`.
    #[must_use]
    pub fn at(&self, key: &str) -> Option<&Rc<str>> {
        self.places.get(key).map(|(_, name)| name)
    }

    /// The session that is at `key`.
    #[must_use]
    pub fn who_is_at(&self, key: &str) -> Option<SessionId> {
        self.places.get(key).map(|(session, _)| *session)
    }

    /// Whether a user is anywhere.
    #[must_use]
    pub fn is_anywhere(&self, user: &str) -> bool {
        let begin = format!("{user}{BETWEEN}");
        let from = (Bound::Included(&*begin), Bound::Unbounded);
        let mut behind = self.places.range::<str, _>(from);
        behind
            .next()
            .is_some_and(|(key, _)| key.starts_with(&begin))
    }
}

const BETWEEN: char = '\0';
const PART_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::num::NonZeroU32;

    #[test]
    fn the_last_of_a_key_is_the_one_and_only_it_can_go() {
        let mut hub = Hub::new(10, 0, &mut Rng::new([1; 32]));
        let [one, two] = [1, 2].map(|slot| SessionId::new(slot, NonZeroU32::MIN));
        let place = key("ann", "0", "/chat").unwrap();
        hub.come(place.clone(), one, "one".into());
        hub.come(place.clone(), two, "two".into());
        hub.go(&place, one);
        assert_eq!(hub.at(&place).map(|name| &**name), Some("two"));
        assert!(hub.is_anywhere("ann") && !hub.is_anywhere("an") && !hub.is_anywhere("anna"));
        hub.go(&place, two);
        assert!(hub.at(&place).is_none() && !hub.is_anywhere("ann"));
    }

    #[test]
    fn a_part_that_could_not_be_told_from_another_is_none() {
        let long = "a".repeat(PART_BYTES_MAX + 1);
        for (session, location) in [
            ("", "/a"),
            ("a,b", "/a"),
            ("0", "/a,b"),
            ("0", "/\0"),
            (&*long, "/a"),
        ] {
            assert_eq!(key("ann", session, location), None);
        }
        assert!(key("a,b", "0", "/chat").is_some());
    }
}
