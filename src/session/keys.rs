//! Session keys that locate themselves.
//!
//! In: a session's id and its 128 secret bits. Out: 32 URL-safe characters, and back. Look-up is an index
//! and a constant-time comparison, so a key can be neither guessed nor felt out.

use crate::ids::SessionId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::rc::Rc;
use subtle::ConstantTimeEq as _;

/// The secret half of a key.
pub type Secret = [u8; 16];

/// What a client shows for its session: where to look, and the secret to compare.
#[derive(Debug, Clone, Copy)]
pub struct SessionKey {
    /// The row.
    pub id: SessionId,
    secret: Secret,
}

impl SessionKey {
    /// The key of session `id` with `secret`.
    #[must_use]
    pub fn new(id: SessionId, secret: Secret) -> Self {
        Self { id, secret }
    }

    /// Reads a key; `None` for text that no key is written as.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut bytes = [0_u8; 24];
        if text.len() != TEXT_LEN || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()? != 24 {
            return None;
        }
        let (id, secret) = bytes.split_at(8);
        let id = SessionId::unpack(u64::from_be_bytes(id.try_into().ok()?))?;
        Some(Self {
            id,
            secret: secret.try_into().ok()?,
        })
    }

    /// The row and the secret.
    #[must_use]
    pub fn parts(&self) -> (SessionId, Secret) {
        (self.id, self.secret)
    }

    /// The session's name in the lists of what was not delivered.
    #[must_use]
    pub fn target(&self) -> Rc<str> {
        format!("session:{}", self.text()).into()
    }

    /// The key as text: only `A-Z a-z 0-9 - _`, since old clients paste it unescaped.
    #[must_use]
    pub fn text(&self) -> String {
        let mut bytes = [0_u8; 24];
        let (id, secret) = bytes.split_at_mut(8);
        id.copy_from_slice(&self.id.pack().to_be_bytes());
        secret.copy_from_slice(&self.secret);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether the secret is `secret`, in a time that tells nothing.
    #[must_use]
    pub fn opens(&self, secret: &Secret) -> bool {
        self.secret.ct_eq(secret).into()
    }
}

const TEXT_LEN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn a_key_is_read_back_and_nothing_else_is() {
        let id = SessionId::new(77, NonZeroU32::new(3).unwrap());
        let text = SessionKey::new(id, [9; 16]).text();
        assert_eq!(text.len(), 32);
        let key = SessionKey::parse(text.as_bytes()).unwrap();
        assert!(key.id == id && key.opens(&[9; 16]) && !key.opens(&[8; 16]));
        for bad in ["", "nope", &text[1..], &"=".repeat(32), &"A".repeat(32)] {
            assert!(SessionKey::parse(bad.as_bytes()).is_none());
        }
    }
}
