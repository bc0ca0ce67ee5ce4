//! Tokens: who somebody is and what they may do, signed by the application (RFC 7519).
//!
//! In: the text of a token, keys, the moment. Out: its claims, or the cause for which it is not taken. This is the one
//! place where a token is checked. It is pure: keys come as text, time is an argument; and it never repeats what it was
//! shown, nor says anything of a key. `key` reads keys, `claims` what a token says, `make` signs one.

mod bad;
mod claims;
mod key;
mod make;
mod pass;
mod report;
mod revoked;
mod tickets;

pub use bad::Bad;
pub use claims::{Claims, Do, Right};
pub use key::BadKey;
pub use make::{Signer, Wanted};
pub use pass::Pass;
pub use revoked::{Full, Revoked};
pub use tickets::{Giver, TICKET_MS, Tickets};

use crate::config::Config;
use crate::config::token::Alg;
use crate::rng::Rng;
use crate::time::Tick;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use key::Key;
use serde_json::{Map, Value};

/// Everything a node knows of tokens.
#[derive(Debug)]
pub struct Tokens {
    /// By what they are checked.
    pub keys: Keys,
    /// Those that are not taken any more.
    pub revoked: Revoked,
    /// What stands for a token once.
    pub tickets: Tickets,
}

impl Tokens {
    /// These keys; nothing is revoked. `rng` is what tickets are made of.
    #[must_use]
    pub fn new(keys: Keys, rng: &mut Rng) -> Self {
        Self {
            keys,
            revoked: Revoked::default(),
            tickets: Tickets::new(rng),
        }
    }

    /// What a token says, if it is taken at `unix_ms`.
    ///
    /// # Errors
    /// [`Bad`].
    pub fn check(&self, text: &str, unix_ms: u64) -> Result<Claims, Bad> {
        let claims = self.keys.check(text, unix_ms)?;
        match self.revoked.has(&claims, unix_ms) {
            true => Err(Bad::Revoked),
            false => Ok(claims),
        }
    }

    /// What a ticket stands for that is not used yet.
    ///
    /// # Errors
    /// [`Bad`].
    pub fn redeem(&self, ticket: &str, unix_ms: u64) -> Result<Claims, Bad> {
        let claims = self.tickets.look(ticket, unix_ms).ok_or(Bad::Ticket)?;
        match claims.exp.saturating_mul(1000) {
            end_ms if end_ms.saturating_add(self.keys.leeway_ms) <= unix_ms => Err(Bad::Expired),
            _ if self.revoked.has(claims, unix_ms) => Err(Bad::Revoked),
            _ => Ok(Claims::clone(claims)),
        }
    }

    /// When a session ends whose token says this.
    #[must_use]
    pub fn end_of(&self, claims: &Claims, unix_ms: u64, now: Tick) -> Tick {
        let end_ms = claims.exp.saturating_mul(1000);
        now + end_ms
            .saturating_add(self.keys.leeway_ms)
            .saturating_sub(unix_ms)
    }
}

/// By what tokens are checked.
#[derive(Debug, Default)]
pub struct Keys {
    keys: Vec<Key>,
    audience: Vec<String>,
    issuer: Vec<String>,
    leeway_ms: u64,
    life_ms: u64,
}

/// What a token's header says that matters.
struct Header {
    alg: Option<Alg>,
    id: Option<String>,
}

impl Keys {
    /// The keys of `config`, whose files were read.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn new(config: &Config) -> Result<Self, BadKey> {
        let mut keys = Vec::new();
        for key in &config.token_keys {
            keys.push(Key::of(key)?);
        }
        for set in &config.token_jwks {
            keys.extend(key::of_set(set)?);
        }
        for (at, key) in keys.iter().enumerate() {
            let same = |other: &Key| other.id.is_some() && other.id == key.id;
            if keys.iter().take(at).any(same) {
                return Err(BadKey::Twice(key.id.clone().unwrap_or_default()));
            }
        }
        if keys.len() > KEYS_MAX {
            return Err(BadKey::TooMany);
        }
        Ok(Self {
            keys,
            audience: config.token_audience.clone(),
            issuer: config.token_issuer.clone(),
            leeway_ms: config.token_leeway_ms,
            life_ms: config.token_life_ms,
        })
    }

    /// Whether there is none: nobody has a token then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Milliseconds behind its end for which a token is still taken: clocks differ.
    #[must_use]
    pub fn leeway_ms(&self) -> u64 {
        self.leeway_ms
    }

    /// Milliseconds that a token may have to live at most.
    #[must_use]
    pub fn life_ms(&self) -> u64 {
        self.life_ms
    }

    /// What a token says, if it is taken at `unix_ms`.
    ///
    /// # Errors
    /// [`Bad`].
    pub fn check(&self, text: &str, unix_ms: u64) -> Result<Claims, Bad> {
        let claims = self.read(text)?;
        self.judge(&claims, unix_ms).map(|()| claims)
    }

    /// What a token says that one of the keys has signed, whether it is taken or not.
    ///
    /// # Errors
    /// [`Bad`], but none of those that are about its claims.
    pub fn read(&self, text: &str) -> Result<Claims, Bad> {
        if self.is_empty() {
            return Err(Bad::NoKeys);
        }
        if text.len() > TOKEN_BYTES_MAX {
            return Err(Bad::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Bad::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(Bad::Form)?;
        if payload.contains('.') || signature.is_empty() {
            return Err(Bad::Form);
        }
        let header = Header::of(&object(header)?)?;
        let signed = (signed.as_bytes(), signature);
        let candidates = self.candidates(&header)?;
        if !candidates.iter().any(|key| key.signed(signed)) {
            return Err(Bad::Signature);
        }
        Claims::of(object(payload)?)
    }

    /// The keys that may have signed a token: those of its algorithm that have its key's name, or none. A token that names
    /// no key may be of the only one of its algorithm too: it is not tried with all that there are.
    fn candidates(&self, header: &Header) -> Result<Vec<&Key>, Bad> {
        let alg = header.alg.ok_or(Bad::Alg)?;
        let its = |key: &&Key| key.id.is_none() || key.id.as_deref() == header.id.as_deref();
        let of_alg: Vec<&Key> = self.keys.iter().filter(|key| key.alg == alg).collect();
        if let (None, [only]) = (&header.id, &*of_alg) {
            return Ok(vec![only]);
        }
        let none = !self.keys.iter().any(|key| its(&key));
        let unnamed = none && (header.id.is_some() || !of_alg.is_empty());
        let candidates: Vec<&Key> = of_alg.into_iter().filter(its).collect();
        match candidates.is_empty() {
            true if unnamed => Err(Bad::UnknownKey),
            true => Err(Bad::Alg),
            false => Ok(candidates),
        }
    }

    /// Whether claims are taken at `unix_ms`.
    fn judge(&self, claims: &Claims, unix_ms: u64) -> Result<(), Bad> {
        let end_ms = claims.exp.saturating_mul(1000);
        if end_ms.saturating_add(self.leeway_ms) <= unix_ms {
            return Err(Bad::Expired);
        }
        if end_ms.saturating_sub(unix_ms) > self.life_ms.saturating_add(self.leeway_ms) {
            return Err(Bad::Lasting);
        }
        // One that says it is made later would outlast the revocations until then.
        let begins = claims.nbf.max(claims.iat).unwrap_or(0);
        if begins.saturating_mul(1000) > unix_ms.saturating_add(self.leeway_ms) {
            return Err(Bad::Early);
        }
        // Who is not named by an audience that is told is not meant (RFC 7519 section 4.1.3).
        let meant = |name: &String| self.audience.contains(name);
        let fits = match &claims.audience {
            None => self.audience.is_empty(),
            Some(names) => names.iter().any(meant),
        };
        if !fits {
            return Err(Bad::Audience);
        }
        let issued = claims.issuer.as_ref();
        let known = issued.is_some_and(|issuer| self.issuer.contains(issuer));
        match self.issuer.is_empty() || known {
            true => Ok(()),
            false => Err(Bad::Issuer),
        }
    }
}

impl Header {
    fn of(fields: &Map<String, Value>) -> Result<Self, Bad> {
        // What must be understood and is not forbids the rest (RFC 7515 section 4.1.11).
        if fields.contains_key("crit") {
            return Err(Bad::Form);
        }
        let alg = fields.get("alg").and_then(Value::as_str).ok_or(Bad::Form)?;
        let id = match fields.get("kid") {
            None => None,
            Some(id) => Some(id.as_str().ok_or(Bad::Form)?.to_owned()),
        };
        let alg = Alg::parse(alg);
        Ok(Self { alg, id })
    }
}

/// One of the JSON objects of a token.
fn object(part: &str) -> Result<Map<String, Value>, Bad> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Bad::Form)?;
    serde_json::from_slice(&bytes).map_err(|_| Bad::Form)
}

/// Bytes of the longest token: one that lists a hundred channels is some 4 KiB, and it is sent in URLs.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Keys at once, so that a token without a key's name costs little to check against all of them.
const KEYS_MAX: usize = 32;

#[cfg(test)]
mod tests;
