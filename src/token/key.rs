//! Keys as tokens are checked by them: secrets, PEM, and sets of JSON (RFC 7517).
//!
//! In: text. Out: a key for one algorithm, or what is wrong with it. The cryptography is the library's.

use super::Alg;
use crate::config::token::{Material, SECRET_BYTES_MIN, TokenKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use std::fmt;

/// A key, and what it is for.
pub(super) struct Key {
    pub id: Option<Box<str>>,
    pub alg: Alg,
    key: DecodingKey,
}

/// What is wrong with a key. The key itself is never repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadKey {
    /// A file that was not read.
    Unread(String),
    /// A secret that can be guessed.
    Short,
    /// Not a PEM text of a key of this kind: `PUBLIC KEY` or `PRIVATE KEY`.
    Pem(&'static str, Alg),
    /// Not a set of keys.
    Set,
    /// A set without a key of an algorithm that is known.
    EmptySet,
    /// Two keys of one name.
    Twice(Box<str>),
    /// More keys than may be.
    TooMany,
    /// The library does not take the key.
    Refused(Alg),
}

impl fmt::Display for BadKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(file) => write!(out, "{file} was not read"),
            Self::Short => write!(
                out,
                "a secret of HS256 has at least {SECRET_BYTES_MIN} bytes"
            ),
            Self::Pem(what, alg) => {
                write!(
                    out,
                    "not a {what} of {} as PEM (-----BEGIN {what}-----)",
                    alg.word()
                )
            }
            Self::Set => write!(out, "not a JWK set, as in {{\"keys\":[…]}}"),
            Self::EmptySet => write!(out, "the set has no key for HS256, RS256, ES256 or EdDSA"),
            Self::Twice(id) => write!(out, "two keys have the id {id:?}"),
            Self::TooMany => write!(out, "there are more than {} keys", super::KEYS_MAX),
            Self::Refused(alg) => write!(out, "the key is none that {} can use", alg.word()),
        }
    }
}

impl Key {
    /// The key of a setting, whose file was read.
    pub(super) fn of(setting: &TokenKey) -> Result<Self, BadKey> {
        let Material::Text(text) = &setting.key else {
            return Err(BadKey::Unread(setting.key.to_string()));
        };
        let (id, alg) = (setting.id.clone(), setting.alg);
        let key = match alg {
            Alg::Hs256 => secret(text.as_bytes())?,
            Alg::Rs256 => DecodingKey::from_rsa_der(&public(text, alg)?),
            Alg::Es256 => DecodingKey::from_ec_der(&public(text, alg)?),
            Alg::EdDsa => DecodingKey::from_ed_der(&public(text, alg)?),
        };
        Ok(Self { id, alg, key })
    }

    /// Whether it has signed these bytes.
    pub(super) fn signed(&self, (bytes, signature): (&[u8], &str)) -> bool {
        crypto::verify(signature, bytes, &self.key, library(self.alg)).unwrap_or(false)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Key({:?} {:?})", self.alg, self.id)
    }
}

/// The keys of a set that are for signing by an algorithm that is known; the others are somebody else's.
pub(super) fn of_set(set: &Material) -> Result<Vec<Key>, BadKey> {
    let Material::Text(text) = set else {
        return Err(BadKey::Unread(set.to_string()));
    };
    let set: JwkSet = serde_json::from_str(text).map_err(|_| BadKey::Set)?;
    let mut keys = Vec::new();
    for jwk in &set.keys {
        let Some(alg) = alg_of(jwk) else { continue };
        let key = match &jwk.algorithm {
            AlgorithmParameters::OctetKey(_) => {
                let key = DecodingKey::from_jwk(jwk).map_err(|_| BadKey::Set)?;
                let bytes = key.try_get_as_bytes().map_err(|_| BadKey::Set)?;
                secret(bytes)?
            }
            _ => DecodingKey::from_jwk(jwk).map_err(|_| BadKey::Set)?,
        };
        let id = jwk.common.key_id.as_deref().map(Box::from);
        keys.push(Key { id, alg, key });
    }
    match keys.is_empty() {
        true => Err(BadKey::EmptySet),
        false => Ok(keys),
    }
}

/// What a key of a set is for: what it says, as far as its type can be used so; else what its type is used for.
fn alg_of(jwk: &Jwk) -> Option<Alg> {
    let use_ = jwk.common.public_key_use.as_ref();
    if use_.is_some_and(|use_| *use_ != PublicKeyUse::Signature) {
        return None;
    }
    let (alg, word) = match &jwk.algorithm {
        AlgorithmParameters::OctetKey(_) => (Alg::Hs256, KeyAlgorithm::HS256),
        AlgorithmParameters::RSA(_) => (Alg::Rs256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Alg::Es256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Alg::EdDsa, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let said = jwk.common.key_algorithm;
    said.is_none_or(|said| said == word).then_some(alg)
}

fn secret(bytes: &[u8]) -> Result<DecodingKey, BadKey> {
    match bytes.len() >= SECRET_BYTES_MIN {
        true => Ok(DecodingKey::from_secret(bytes)),
        false => Err(BadKey::Short),
    }
}

/// A public key as the library reads it: the whole of its structure, but of Ed25519 only the 32 bytes.
fn public(text: &str, alg: Alg) -> Result<Vec<u8>, BadKey> {
    let bad = BadKey::Pem("PUBLIC KEY", alg);
    let der = pem(text, "PUBLIC KEY").ok_or_else(|| bad.clone())?;
    let inner = |front: &[u8], bytes: usize| match der.strip_prefix(front) {
        Some(key) if key.len() == bytes => Ok(key.to_vec()),
        _ => Err(bad.clone()),
    };
    match alg {
        Alg::EdDsa => inner(ED25519_FRONT, 32),
        Alg::Es256 => inner(P256_FRONT, 65),
        _ if der.windows(RSA_OID.len()).any(|part| part == RSA_OID) => Ok(der),
        _ => Err(bad),
    }
}

/// The bytes of the first block of this label (RFC 7468).
pub(super) fn pem(text: &str, label: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let body: String = body
        .chars()
        .filter(|char| !char.is_ascii_whitespace())
        .collect();
    STANDARD.decode(body).ok().filter(|der| !der.is_empty())
}

pub(super) const fn library(alg: Alg) -> Algorithm {
    match alg {
        Alg::Hs256 => Algorithm::HS256,
        Alg::Rs256 => Algorithm::RS256,
        Alg::Es256 => Algorithm::ES256,
        Alg::EdDsa => Algorithm::EdDSA,
    }
}

/// What stands before the 32 bytes of an Ed25519 key (RFC 8410 section 4).
const ED25519_FRONT: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// What stands before the point of a P-256 key that is not compressed (RFC 5480 section 2).
const P256_FRONT: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
/// `rsaEncryption` (RFC 8017 appendix C).
pub(super) const RSA_OID: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
