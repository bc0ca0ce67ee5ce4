//! Tokens that the application has revoked before their time was over.
//!
//! In: a user, or the name of a token (`jti`), and until when it is to be remembered. Out: whether claims are among them.
//! What would have expired anyhow is forgotten; so many are remembered and no more.

use super::Claims;
use std::collections::{BTreeMap, BTreeSet};

/// What was revoked.
#[derive(Debug, Default)]
pub struct Revoked {
    by: BTreeMap<Whose, Entry>,
    /// The same by when it is forgotten.
    ends: BTreeSet<(u64, Whose)>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    User(Box<str>),
    Id(Box<str>),
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    at_ms: u64,
    until_ms: u64,
}

/// As many are remembered as may be: what is not remembered is not revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Revoked {
    /// Every token of `user` that was made up to `at_ms`, until `until_ms`.
    ///
    /// # Errors
    /// [`Full`].
    pub fn user(&mut self, user: &str, at_ms: u64, until_ms: u64) -> Result<(), Full> {
        self.put(Whose::User(user.into()), Entry { at_ms, until_ms })
    }

    /// The token called `id`, until `until_ms`.
    ///
    /// # Errors
    /// [`Full`].
    pub fn id(&mut self, id: &str, at_ms: u64, until_ms: u64) -> Result<(), Full> {
        self.put(Whose::Id(id.into()), Entry { at_ms, until_ms })
    }

    /// Whether a token that says this is revoked. One that does not say when it was made counts as made before.
    #[must_use]
    pub fn has(&self, claims: &Claims, now_ms: u64) -> bool {
        if self.by.is_empty() {
            return false;
        }
        let entry = |whose: &Whose| self.by.get(whose).filter(|entry| entry.until_ms > now_ms);
        let user = claims.user.clone().map(Whose::User);
        let made_ms = claims.iat.map_or(0, |iat| iat.saturating_mul(1000));
        let of_user = user.and_then(|user| entry(&user));
        let id = claims.id.clone().map(Whose::Id);
        of_user.is_some_and(|entry| made_ms <= entry.at_ms)
            || id.is_some_and(|id| entry(&id).is_some())
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by.is_empty()
    }

    fn put(&mut self, whose: Whose, entry: Entry) -> Result<(), Full> {
        while let Some((end, gone)) = self.ends.pop_first() {
            if end > entry.at_ms {
                self.ends.insert((end, gone));
                break;
            }
            self.by.remove(&gone);
        }
        if self.by.len() >= REVOKED_MAX && !self.by.contains_key(&whose) {
            return Err(Full);
        }
        let until_ms = entry.until_ms;
        // Of two the one that holds longer: a revocation does not end by another.
        let before = self.by.get(&whose).map_or(0, |before| before.until_ms);
        self.ends.remove(&(before, whose.clone()));
        let until_ms = until_ms.max(before);
        let entry = Entry { until_ms, ..entry };
        self.by.insert(whose.clone(), entry);
        self.ends.insert((until_ms, whose));
        Ok(())
    }
}

/// Revocations that are remembered: some 200 bytes each.
pub const REVOKED_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(user: &str, iat: Option<u64>, id: Option<&str>) -> Claims {
        Claims {
            user: Some(user.into()),
            iat,
            id: id.map(Box::from),
            ..Claims::default()
        }
    }

    #[test]
    fn a_user_is_revoked_with_what_was_made_before_and_a_token_by_its_name() {
        let mut revoked = Revoked::default();
        revoked.user("ann", 100_500, 900_000).unwrap();
        revoked.id("t1", 100_500, 900_000).unwrap();
        let has = |user, iat, id| revoked.has(&claims(user, iat, id), 200_000);
        assert!(has("ann", None, None) && has("ann", Some(100), None));
        assert!(!has("ann", Some(101), None) && !has("bob", None, None));
        assert!(has("bob", Some(999), Some("t1")) && !has("bob", None, Some("ann")));
        assert!(!revoked.has(&claims("ann", None, Some("t1")), 900_000));
    }

    #[test]
    fn what_would_have_expired_is_forgotten_and_no_more_than_so_many_are_kept() {
        let mut revoked = Revoked::default();
        for n in 0..REVOKED_MAX {
            revoked.id(&n.to_string(), 0, 1_000).unwrap();
        }
        assert_eq!(revoked.user("ann", 0, 1_000), Err(Full));
        assert_eq!(revoked.id("1", 0, 9_000), Ok(()), "it is known already");
        assert_eq!(
            revoked.id("2", 0, 500),
            Ok(()),
            "it stays as long as it was to"
        );
        assert_eq!(revoked.user("ann", 1_000, 2_000), Ok(()));
        assert_eq!((revoked.len(), revoked.ends.len()), (2, 2));
    }
}
