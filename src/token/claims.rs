//! What a token says: who it is for, until when, and which channels it opens.
//!
//! In: a JSON object whose signature was checked. Out: typed claims. A claim that is known and malformed is an error; one
//! that is not known is somebody else's.

use super::Bad;
use crate::config::pattern::Pattern;
use serde_json::{Map, Value};

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Claims {
    /// `sub`: the user.
    pub user: Option<Box<str>>,
    /// `exp`: seconds since 1970 at which it ends.
    pub exp: u64,
    /// `nbf`: when it begins.
    pub nbf: Option<u64>,
    /// `iat`: when it was made.
    pub iat: Option<u64>,
    /// `jti`: its own name, by which it may be revoked.
    pub id: Option<Box<str>>,
    /// `aud`: whom it is meant for.
    pub audience: Option<Vec<String>>,
    /// `iss`: who has made it.
    pub issuer: Option<String>,
    /// `channels`: what it opens.
    pub rights: Vec<Right>,
}

/// What a token lets its bearer do with some channels.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Right {
    /// Which channels.
    pub channels: Pattern,
    /// To read them.
    pub subscribe: bool,
    /// To publish to them.
    pub publish: bool,
}

/// What somebody wants to do with a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Do {
    /// To read it.
    Subscribe,
    /// To publish to it.
    Publish,
}

impl Right {
    /// Whether it lets do this with a channel, or with all that a pattern matches.
    #[must_use]
    pub fn lets(&self, what: Do, topic: &str) -> bool {
        let may = match what {
            Do::Subscribe => self.subscribe,
            Do::Publish => self.publish,
        };
        // As a name `a/**` would be one segment below `a/`.
        let deep = matches!(topic.rsplit('/').next(), Some("**"));
        may && self.channels.matches(topic)
            && !(deep && matches!(self.channels, Pattern::Children(_)))
    }
}

impl Claims {
    /// Reads claims.
    ///
    /// # Errors
    /// [`Bad::Claim`].
    pub fn of(fields: Map<String, Value>) -> Result<Self, Bad> {
        let mut claims = Self::default();
        let mut ends = false;
        for (name, value) in fields {
            match name.as_str() {
                "sub" => claims.user = Some(user(&value).ok_or(Bad::Claim("sub"))?),
                "exp" => {
                    claims.exp = moment(&value).ok_or(Bad::Claim("exp"))?;
                    ends = true;
                }
                "nbf" => claims.nbf = Some(moment(&value).ok_or(Bad::Claim("nbf"))?),
                "iat" => claims.iat = Some(moment(&value).ok_or(Bad::Claim("iat"))?),
                "jti" => claims.id = Some(id(&value).ok_or(Bad::Claim("jti"))?),
                "aud" => claims.audience = Some(names(value).ok_or(Bad::Claim("aud"))?),
                "iss" => {
                    let issuer = value.as_str().ok_or(Bad::Claim("iss"))?;
                    claims.issuer = Some(issuer.to_owned());
                }
                "channels" => claims.rights = rights(&value).ok_or(Bad::Claim("channels"))?,
                _ => {}
            }
        }
        match ends {
            true => Ok(claims),
            // What never ends could not be revoked for good.
            false => Err(Bad::Claim("exp")),
        }
    }

    /// Whether it lets do this with a channel, or with all that a pattern matches.
    #[must_use]
    pub fn let_do(&self, what: Do, topic: &str) -> bool {
        self.rights.iter().any(|right| right.lets(what, topic))
    }
}

/// Seconds since 1970, perhaps with a fraction (RFC 7519 section 2), which is passed over.
fn moment(value: &Value) -> Option<u64> {
    let fraction = || value.as_f64().filter(|seconds| *seconds >= 0.0);
    value
        .as_u64()
        .or_else(|| fraction().map(|seconds| seconds as u64))
}

/// A user's name as every protocol takes it.
fn user(value: &Value) -> Option<Box<str>> {
    let name = value.as_str()?;
    let fits =
        !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    fits.then(|| name.into())
}

fn id(value: &Value) -> Option<Box<str>> {
    let id = value.as_str()?;
    (!id.is_empty() && id.len() <= NAME_BYTES_MAX).then(|| id.into())
}

fn names(value: Value) -> Option<Vec<String>> {
    match value {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => names
            .into_iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

/// A list of what may be read, or an object of what may be done: `{"chat/*":["subscribe","publish"]}`.
fn rights(value: &Value) -> Option<Vec<Right>> {
    let all: Option<Vec<Right>> = match value {
        Value::Array(list) => list
            .iter()
            .map(|name| right(name.as_str()?, (true, false)))
            .collect(),
        Value::Object(list) => list
            .iter()
            .map(|(name, what)| right(name, verbs(what)?))
            .collect(),
        _ => None,
    };
    all.filter(|all| all.len() <= RIGHTS_MAX)
}

fn right(name: &str, (subscribe, publish): (bool, bool)) -> Option<Right> {
    let channels = Pattern::parse(name).ok()?;
    Some(Right {
        channels,
        subscribe,
        publish,
    })
}

/// Whether to subscribe, and whether to publish. A word that is not known is not passed over: it may be a misspelt one.
fn verbs(value: &Value) -> Option<(bool, bool)> {
    let (mut subscribe, mut publish) = (false, false);
    for verb in value.as_array()? {
        match verb.as_str()? {
            "subscribe" => subscribe = true,
            "publish" => publish = true,
            _ => return None,
        }
    }
    Some((subscribe, publish))
}

/// Bytes of the longest user's name and of the longest `jti`.
const NAME_BYTES_MAX: usize = 255;
/// Channels and patterns of one token: each is compared with a name where a rule asks for a right.
pub const RIGHTS_MAX: usize = 256;
