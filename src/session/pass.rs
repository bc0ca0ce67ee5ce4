//! What a session may do by the tokens that it gave, and until when.
//!
//! In: claims that were checked. Out: yes or no, and a moment. Whoever gave none holds nothing for it.

use super::Session;
use crate::mem::Ledger;
use crate::time::Tick;
use crate::token::{Claims, Do, Pass};

impl Session {
    /// Takes the session's own token, in place of the one before.
    pub fn set_token(&mut self, claims: Claims, until: Tick, ledger: &Ledger) {
        self.extra().change_pass(ledger, |pass| {
            pass.set(claims, until);
            true
        });
    }

    /// Takes a token for some channels more; false when there are as many as there may be.
    pub fn add_token(&mut self, claims: Claims, until: Tick, ledger: &Ledger) -> bool {
        self.extra()
            .change_pass(ledger, |pass| pass.add(claims, until))
    }

    /// Forgets tokens for single channels that have ended.
    pub fn expire_tokens(&mut self, now: Tick, ledger: &Ledger) {
        if let Some(extra) = self.extra.as_mut().filter(|extra| extra.pass().is_some()) {
            extra.change_pass(ledger, |pass| {
                pass.expire(now);
                true
            });
        }
        self.drop_empty_extra();
    }

    /// Its client gave a token that was refused, or one that was not. True at the last of those that may be refused in a row:
    /// to look at one costs the node far more than its client.
    pub fn tried_token(&mut self, refused: bool, ledger: &Ledger) -> bool {
        if !refused && self.extra.is_none() {
            return false;
        }
        let tried = self.extra().tried_token(refused, ledger);
        self.drop_empty_extra();
        tried >= BAD_TOKENS_MAX
    }

    /// What it holds of the tokens that it gave.
    #[must_use]
    pub fn pass(&self) -> Option<&Pass> {
        self.extra.as_ref()?.pass()
    }

    /// Whether a token lets it do this with a channel or pattern.
    #[must_use]
    pub fn has_right(&self, what: Do, topic: &str) -> bool {
        self.pass().is_some_and(|pass| pass.lets(what, topic))
    }
}

/// Tokens in a row that are refused before a session ends.
const BAD_TOKENS_MAX: u8 = 3;
