//! The options of calls: objects behind a channel's name.
//!
//! In: JSON. Out: typed options, or what is wrong with them. A name that is not known is refused: what a client asks
//! for and does not get would be a silent loss.

use crate::hub::Asked;
use crate::mem::Position;
use crate::service::refusal::Refusal;
use crate::service::since;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What SUBSCRIBE may ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Subscribe {
    /// Everything behind this position.
    pub since: Option<Position>,
    /// Else this many of the last messages.
    pub history: usize,
    /// Who is there, and from now on who comes and goes.
    pub presence: bool,
    /// A token that opens the channel.
    pub token: Option<String>,
}

impl Subscribe {
    /// `{"since":{"epoch","offset"},"history":n,"presence":bool,"token":text}`.
    ///
    /// # Errors
    /// What cannot be meant.
    pub fn parse(options: Option<&&RawValue>) -> Result<Self, Refusal> {
        let mut parsed = Self::default();
        for (name, value) in &object(options)? {
            match name.as_str() {
                "since" => parsed.since = since(value)?,
                "history" => parsed.history = count(value)?,
                "presence" => parsed.presence = value.as_bool().ok_or(BAD)?,
                "token" if value.is_null() => {}
                "token" => parsed.token = Some(value.as_str().ok_or(BAD)?.to_owned()),
                _ => return Err(UNKNOWN),
            }
        }
        Ok(parsed)
    }
}

/// `{"since":{"epoch","offset"}|"before":offset,"limit":n,"reverse":bool}` of HISTORY: what page is asked for, of at most
/// `bytes`. The epoch of `since` is given back too: a page of another past would not join.
///
/// # Errors
/// What cannot be meant.
pub fn page(options: Option<&&RawValue>, bytes: usize) -> Result<(Asked, Option<u64>), Refusal> {
    let mut asked = Asked {
        from: None,
        backwards: false,
        messages: PAGE_MAX,
        bytes,
    };
    let mut epoch = None;
    for (name, value) in &object(options)? {
        match name.as_str() {
            "since" => {
                let position = since(value)?;
                epoch = position.map(|position| position.epoch);
                asked.from = position.map(|position| position.offset);
            }
            "before" => (asked.from, asked.backwards) = (Some(offset(value)?), true),
            "limit" => asked.messages = count(value)?.clamp(1, PAGE_MAX),
            "reverse" => asked.backwards |= value.as_bool().ok_or(BAD)?,
            _ => return Err(UNKNOWN),
        }
    }
    if asked.backwards && epoch.is_some() {
        return Err(BAD);
    }
    Ok((asked, epoch))
}

/// `{"after":user,"limit":n}` of PRESENCE: behind whom the page begins, and how long it is.
///
/// # Errors
/// What cannot be meant.
pub fn presence(options: Option<&&RawValue>) -> Result<(Option<String>, usize), Refusal> {
    let (mut after, mut limit) = (None, PAGE_MAX);
    for (name, value) in object(options)? {
        match (name.as_str(), value) {
            ("after", Value::String(user)) => after = Some(user),
            ("limit", value) => limit = count(&value)?.max(1),
            ("after", _) => return Err(BAD),
            _ => return Err(UNKNOWN),
        }
    }
    Ok((after, limit))
}

/// `{"id":"…","key":"…"}` of PUBLISH: what makes it the same as another, and what it is the latest of.
///
/// # Errors
/// What cannot be meant.
pub fn publish(options: Option<&&RawValue>) -> Result<(Option<String>, Option<Box<str>>), Refusal> {
    let (mut id, mut key) = (None, None);
    for (name, value) in object(options)? {
        match (name.as_str(), value) {
            ("id", Value::String(text)) if text.len() <= ID_BYTES_MAX => id = Some(text),
            ("key", Value::String(text)) if text.len() <= ID_BYTES_MAX => key = Some(text.into()),
            ("id" | "key", _) => return Err(BAD_ID),
            _ => return Err(UNKNOWN),
        }
    }
    Ok((id, key))
}

/// `{"report":true}` of SEND: whether its sender wants to know what becomes of it.
///
/// # Errors
/// What cannot be meant.
pub fn send(options: Option<&&RawValue>) -> Result<bool, Refusal> {
    let mut report = false;
    for (name, value) in &object(options)? {
        match name.as_str() {
            "report" => report = value.as_bool().ok_or(BAD)?,
            _ => return Err(UNKNOWN),
        }
    }
    Ok(report)
}

fn object(options: Option<&&RawValue>) -> Result<Map<String, Value>, Refusal> {
    match options.map(|options| serde_json::from_str(options.get())) {
        None | Some(Ok(Value::Null)) => Ok(Map::new()),
        Some(Ok(Value::Object(object))) => Ok(object),
        _ => Err(BAD),
    }
}

fn since(value: &Value) -> Result<Option<Position>, Refusal> {
    if value.is_null() {
        return Ok(None);
    }
    let epoch = value.get("epoch").and_then(Value::as_str).ok_or(BAD)?;
    // An epoch that this server never gave is nobody's: nothing is recovered.
    let epoch = since::number(epoch.as_bytes(), 16).unwrap_or(0);
    let offset = offset(value.get("offset").ok_or(BAD)?)?;
    Ok(Some(Position { epoch, offset }))
}

fn offset(value: &Value) -> Result<u64, Refusal> {
    value.as_u64().ok_or(BAD)
}

fn count(value: &Value) -> Result<usize, Refusal> {
    let count = value.as_u64().ok_or(BAD)?;
    Ok(usize::try_from(count).unwrap_or(PAGE_MAX).min(PAGE_MAX))
}

const BAD: Refusal = Refusal::new(
    "the options are an object, its numbers whole and not negative, as in {\"since\":{\"epoch\":\"1f\",\"offset\":7}}",
    "bad-args",
);
const BAD_ID: Refusal = Refusal::new("an id and a key are text of at most 255 bytes", "bad-args");
/// Longest id, and longest key, of a publication.
const ID_BYTES_MAX: usize = 255;
const UNKNOWN: Refusal = Refusal::new("an option is not known by this version", "not-offered");
/// Messages in one answer.
pub const PAGE_MAX: usize = 1_000;
