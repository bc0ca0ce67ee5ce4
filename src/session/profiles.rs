//! Equal settings stored once: a million sessions have a handful of profiles.
//!
//! In: a session's changed settings. Out: a four-byte name for them, given back when the session changes
//! again or ends. A script-tag client's callback changes with every request, so entries come and go.

use crate::mem::{Charge, Ledger};
use crate::rng::Keyed;
use crate::transport::Profile;
use slab::Slab;
use std::collections::HashMap;
use std::rc::Rc;

/// The interned settings of all sessions.
#[derive(Debug)]
pub struct Profiles {
    rows: Slab<Row>,
    ledger: Ledger,
    by_value: HashMap<Rc<Profile>, u32, Keyed>,
}

/// Interned settings, how many use them, and their account: a hostile client has settings of its own.
#[derive(Debug)]
struct Row {
    profile: Rc<Profile>,
    uses: u32,
    _charge: Charge,
}

/// A name for interned settings. It counts as one use from [`Profiles::intern`] to [`Profiles::release`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileId(u32);

impl Profiles {
    /// An empty table.
    #[must_use]
    pub fn new(keyed: Keyed, ledger: &Ledger) -> Self {
        Self {
            rows: Slab::new(),
            by_value: HashMap::with_hasher(keyed),
            ledger: ledger.clone(),
        }
    }

    /// The name of settings equal to `profile`; one use more.
    pub fn intern(&mut self, profile: Profile) -> ProfileId {
        if let Some(index) = self.by_value.get(&profile).copied() {
            if let Some(row) = self.rows.get_mut(index as usize) {
                row.uses += 1;
            }
            return ProfileId(index);
        }
        let _charge = self.ledger.charge(profile.heap_bytes());
        let profile = Rc::new(profile);
        let index = self.rows.insert(Row {
            profile: profile.clone(),
            uses: 1,
            _charge,
        }) as u32;
        self.by_value.insert(profile, index);
        ProfileId(index)
    }

    /// The settings.
    #[must_use]
    pub fn get(&self, id: ProfileId) -> Rc<Profile> {
        self.rows
            .get(id.0 as usize)
            .map(|row| row.profile.clone())
            .unwrap_or_default()
    }

    /// One use less; settings that nobody uses are forgotten.
    pub fn release(&mut self, id: ProfileId) {
        let Some(row) = self.rows.get_mut(id.0 as usize) else {
            return;
        };
        row.uses -= 1;
        if row.uses == 0 {
            let row = self.rows.remove(id.0 as usize);
            self.by_value.remove(&row.profile);
        }
    }

    /// How many different settings are in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Uses of all settings together: as many as there are sessions.
    #[must_use]
    pub fn uses(&self) -> usize {
        self.rows.iter().map(|(_, row)| row.uses as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn equal_settings_share_a_row_until_the_last_use_ends() {
        let mut profiles = Profiles::new(Rng::new([0; 32]).keyed(), &Ledger::default());
        let a = profiles.intern(Profile::default());
        let b = profiles.intern(Profile::default());
        let c = profiles.intern(Profile {
            duration_s: 5,
            ..Profile::default()
        });
        assert!(a == b && a != c && profiles.len() == 2 && profiles.uses() == 3);
        for id in [a, b, c] {
            profiles.release(id);
        }
        assert!(profiles.is_empty());
    }
}
