//! Keys of the application.
//!
//! In: what an operator wrote: the key, or the file that has it. Out: whether a text that somebody shows is one. A key
//! is never printed.

use std::fmt;
use std::path::PathBuf;
use subtle::ConstantTimeEq as _;

/// A key that `/api/` wants to be shown.
#[derive(Clone, PartialEq, Eq)]
pub enum ApiKey {
    /// The key.
    Text(Box<str>),
    /// `@PATH`: a file with a key on each line. Nothing is this key until the file was read.
    File(PathBuf),
}

impl ApiKey {
    /// Reads a key, or the name of its file; `None` for what can be neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix('@') {
            let is_path = !path.is_empty() && !path.contains('\0');
            return is_path.then(|| Self::File(path.into()));
        }
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let fits = (BYTES_MIN..=BYTES_MAX).contains(&text.len());
        (fits && text.bytes().all(is_token)).then(|| Self::Text(text.into()))
    }

    /// Whether `shown` is one of the keys. Every key is compared, so that the time does not tell which is near.
    #[must_use]
    pub fn is_any(keys: &[Self], shown: &[u8]) -> bool {
        keys.iter().fold(false, |any, key| any | key.is(shown))
    }

    /// Whether `shown` is this key, in a time that tells nothing but its length.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        match self {
            Self::Text(key) => key.as_bytes().ct_eq(shown).into(),
            Self::File(_) => false,
        }
    }
}

/// The file's name, or that there is a key.
impl fmt::Display for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => out.write_str("(hidden)"),
            Self::File(path) => write!(out, "@{}", path.display()),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// What a key must look like: that of a bearer token (RFC 6750), long enough not to be tried out.
pub const API_KEY_FORM: &str = "at least 16 characters of A-Z a-z 0-9 - . _ ~ + / =, or @PATH of a file with a key on each line";
const BYTES_MIN: usize = 16;
const BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_and_never_printed() {
        let key = ApiKey::parse("abcdefghijklmno=").unwrap();
        assert!(key.is(b"abcdefghijklmno="));
        for other in [
            "",
            "abcdefghijklmno",
            "abcdefghijklmno-",
            "abcdefghijklmno==",
        ] {
            assert!(!key.is(other.as_bytes()), "{other}");
        }
        assert_eq!(format!("{key} {key:?}"), "(hidden) (hidden)");
    }

    #[test]
    fn a_file_is_named_and_nothing_is_its_key() {
        let file = ApiKey::parse("@/run/key").unwrap();
        assert_eq!(file.to_string(), "@/run/key");
        assert!(!file.is(b"@/run/key") && !file.is(b""));
    }

    #[test]
    fn what_is_short_or_cannot_be_sent_is_none() {
        for text in [
            "",
            "short",
            "@",
            "has a blank in it",
            "has,comma,in,it,",
            &"x".repeat(256),
        ] {
            assert_eq!(ApiKey::parse(text), None, "{text}");
        }
    }
}
