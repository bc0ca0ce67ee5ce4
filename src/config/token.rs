//! Keys by which tokens are checked, and what a token must say to be taken.
//!
//! In: what an operator wrote: a key, or the file that has it. Out: typed settings, of which no key is ever printed.
//! Nothing is checked here: that is `token`'s.

use std::fmt;
use std::path::PathBuf;

/// How a token is signed (RFC 7518 section 3, RFC 8037). A key is for one of them and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alg {
    /// HMAC with SHA-256: a secret that the application shares.
    Hs256,
    /// RSA, PKCS#1 v1.5, with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Alg {
    /// Its name in a token's header and on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The one of this name, spelled exactly so.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];
        all.into_iter().find(|alg| alg.word() == word)
    }
}

/// A key, or a set of them: itself, or the file that has it.
#[derive(Clone, PartialEq, Eq)]
pub enum Material {
    /// The key.
    Text(Box<str>),
    /// `@PATH`. Nothing is checked by it until the file was read.
    File(PathBuf),
}

impl Material {
    /// Reads a key, or the name of its file; `None` for what can be neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let whole = |text: &str| !text.is_empty() && !text.contains('\0');
        match text.strip_prefix('@') {
            Some(path) => whole(path).then(|| Self::File(path.into())),
            None => whole(text).then(|| Self::Text(text.into())),
        }
    }
}

/// The file's name, or that there is a key.
impl fmt::Display for Material {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => out.write_str("(hidden)"),
            Self::File(path) => write!(out, "@{}", path.display()),
        }
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// `[ID=]ALG:KEY|@FILE`: a key by which tokens are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKey {
    /// What a token's `kid` calls it; a key without is tried for every token of its algorithm.
    pub id: Option<Box<str>>,
    /// What it is for.
    pub alg: Alg,
    /// The secret of HS256, the public key of the others as PEM.
    pub key: Material,
}

impl TokenKey {
    /// Reads a key; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (front, key) = text.split_once(':')?;
        let (id, alg) = match front.split_once('=') {
            Some((id, alg)) => (Some(id), alg),
            None => (None, front),
        };
        let named = |id: &str| !id.is_empty() && id.chars().all(|char| char.is_ascii_graphic());
        if id.is_some_and(|id| !named(id)) {
            return None;
        }
        let alg = Alg::parse(alg)?;
        let key = Material::parse(key)?;
        let short = |text: &str| alg == Alg::Hs256 && text.len() < SECRET_BYTES_MIN;
        if matches!(&key, Material::Text(text) if short(text)) {
            return None;
        }
        let id = id.map(Box::from);
        Some(Self { id, alg, key })
    }
}

/// As it is read, its key hidden.
impl fmt::Display for TokenKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = &self.id {
            write!(out, "{id}=")?;
        }
        write!(out, "{}:{}", self.alg.word(), self.key)
    }
}

/// Who may have a user's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// In demo mode whoever asks for it, else whom a token names.
    #[default]
    Token,
    /// Whoever asks for it, while nobody else has it.
    Anyone,
}

/// What a key must look like.
pub const TOKEN_KEY_FORM: &str = "[ID=]ALG:KEY or [ID=]ALG:@FILE, where ALG is HS256 with a secret of at least 32 bytes, or RS256, ES256, EdDSA with a public key as PEM";
/// Bytes of the shortest secret: those of the hash (RFC 7518 section 3.2).
pub const SECRET_BYTES_MIN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_and_never_printed() {
        let secret = "x".repeat(32);
        let key = TokenKey::parse(&format!("HS256:{secret}")).unwrap();
        assert_eq!((key.alg, &key.id), (Alg::Hs256, &None));
        assert_eq!(key.to_string(), "HS256:(hidden)");
        assert!(!format!("{key:?}").contains("xxx"));
        let key = TokenKey::parse("2026=RS256:@/run/key.pem").unwrap();
        assert_eq!(key.to_string(), "2026=RS256:@/run/key.pem");
    }

    #[test]
    fn what_names_no_algorithm_or_is_short_is_none() {
        let long = "x".repeat(40);
        for text in [
            "",
            "HS256",
            "HS256:",
            "HS256:short",
            "ES256:@",
            &format!("none:{long}"),
            &format!("hs256:{long}"),
            &format!("HS512:{long}"),
            &format!("=HS256:{long}"),
            &format!("a b=HS256:{long}"),
            &long,
        ] {
            assert_eq!(TokenKey::parse(text), None, "{text}");
        }
    }
}
