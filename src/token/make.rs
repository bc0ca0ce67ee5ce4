//! Makes tokens, for who tries them out: an application makes its own by any library of JWT.
//!
//! In: a key, and what the token is to say. Out: its text.

use super::Alg;
use super::key::{BadKey, RSA_OID, library, pem};
use crate::config::token::{Material, SECRET_BYTES_MIN, TokenKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, crypto};
use serde_json::{Map, Value, json};

/// A key that signs.
pub struct Signer {
    id: Option<Box<str>>,
    alg: Alg,
    key: EncodingKey,
}

/// What a token is to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// `sub`.
    pub user: Option<String>,
    /// Channels and patterns that may be read.
    pub subscribe: Vec<String>,
    /// Channels and patterns that may be published to.
    pub publish: Vec<String>,
    /// `aud`.
    pub audience: Option<String>,
    /// `iss`.
    pub issuer: Option<String>,
    /// `jti`.
    pub id: Option<String>,
}

impl Signer {
    /// Reads the key of a setting, whose file was read: the secret, or the private key as PEM.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn new(setting: &TokenKey) -> Result<Self, BadKey> {
        let Material::Text(text) = &setting.key else {
            return Err(BadKey::Unread(setting.key.to_string()));
        };
        let alg = setting.alg;
        let bad = || BadKey::Pem("PRIVATE KEY", alg);
        let der = || pem(text, "PRIVATE KEY").ok_or_else(bad);
        let key = match alg {
            Alg::Hs256 if text.len() < SECRET_BYTES_MIN => return Err(BadKey::Short),
            Alg::Hs256 => EncodingKey::from_secret(text.as_bytes()),
            Alg::Rs256 => EncodingKey::from_rsa_der(rsa_key(&der()?).ok_or_else(bad)?),
            Alg::Es256 => EncodingKey::from_ec_der(&der()?),
            Alg::EdDsa => EncodingKey::from_ed_der(&der()?),
        };
        let id = setting.id.clone();
        Ok(Self { id, alg, key })
    }

    /// A token that ends `life_s` seconds behind `unix_s`.
    ///
    /// # Errors
    /// [`BadKey::Refused`].
    pub fn make(&self, wanted: &Wanted, unix_s: u64, life_s: u64) -> Result<String, BadKey> {
        let mut claims = Map::new();
        let mut put = |name: &str, value: &Option<String>| {
            let given = value
                .clone()
                .map(|text| claims.insert(name.into(), text.into()));
            drop(given);
        };
        put("sub", &wanted.user);
        put("aud", &wanted.audience);
        put("iss", &wanted.issuer);
        put("jti", &wanted.id);
        claims.insert("iat".into(), unix_s.into());
        claims.insert("exp".into(), unix_s.saturating_add(life_s).into());
        let channels = wanted.channels();
        if !channels.is_empty() {
            claims.insert("channels".into(), Value::Object(channels));
        }
        self.sign(&Value::Object(claims))
    }

    /// A token of any claims.
    ///
    /// # Errors
    /// [`BadKey::Refused`].
    pub fn sign(&self, claims: &Value) -> Result<String, BadKey> {
        let mut header = json!({"alg": self.alg.word(), "typ": "JWT"});
        if let (Some(id), Some(fields)) = (&self.id, header.as_object_mut()) {
            fields.insert("kid".into(), Value::from(&**id));
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = crypto::sign(signed.as_bytes(), &self.key, library(self.alg));
        let signature = signature.map_err(|_| BadKey::Refused(self.alg))?;
        Ok(format!("{signed}.{signature}"))
    }
}

impl Wanted {
    fn channels(&self) -> Map<String, Value> {
        let mut channels = Map::new();
        let names = self.subscribe.iter().chain(&self.publish);
        for name in names {
            let verbs = [("subscribe", &self.subscribe), ("publish", &self.publish)];
            let verbs = verbs.into_iter().filter(|(_, list)| list.contains(name));
            let verbs: Vec<&str> = verbs.map(|(verb, _)| verb).collect();
            channels.insert(name.clone(), verbs.into());
        }
        channels
    }
}

/// The key itself within the structure around it (RFC 5958): the last of its members, an octet string.
fn rsa_key(der: &[u8]) -> Option<&[u8]> {
    let at = der
        .windows(RSA_OID.len())
        .position(|part| part == RSA_OID)?;
    // Behind the name stand no parameters (NULL), then the octets with a length of two bytes.
    let rest = der
        .get(at + RSA_OID.len()..)?
        .strip_prefix(b"\x05\x00\x04\x82")?;
    let (length, key) = rest.split_first_chunk::<2>()?;
    key.get(..usize::from(u16::from_be_bytes(*length)))
}
