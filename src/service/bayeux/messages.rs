//! Bayeux messages as clients send them: one array of objects, or one object (bayeux.md sections 1 and 2).
//!
//! In: text. Out: typed messages whose payloads are the bytes that came. What a field means is for others; what is not
//! known is passed over.

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// One message. Fields that were not given, or given as null, are `None`.
#[derive(Debug, Default)]
pub struct Message<'a> {
    /// Where it goes; empty where it names none.
    pub channel: Cow<'a, str>,
    /// What its reply repeats, as it was written: a string or a number; empty for none.
    pub id: &'a str,
    /// The session it belongs to.
    pub client: Option<Cow<'a, str>>,
    /// What is published; `null` is something.
    pub data: Option<&'a str>,
    /// Extensions: an object.
    pub ext: Option<&'a str>,
    /// What the client asks of the server.
    pub advice: Option<&'a RawValue>,
    /// What is subscribed to: a string or an array of them.
    pub subscription: Option<&'a RawValue>,
    /// The oldest version that the client can do with.
    pub minimum_version: Option<&'a RawValue>,
    /// What the client can be reached by.
    pub types: Option<&'a RawValue>,
    /// What this connect came by.
    pub connection_type: Option<&'a RawValue>,
}

/// Why a body is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// Neither an array of objects nor an object.
    Syntax,
    /// More messages than one batch may have.
    TooMany,
    /// Nested deeper than [`DEPTH_MAX`].
    TooDeep,
}

/// Reads a batch of at most `messages_max` messages.
///
/// # Errors
/// [`Bad`]; nothing of a bad batch is taken.
pub fn parse(bytes: &[u8], messages_max: usize) -> Result<Vec<Message<'_>>, Bad> {
    let text = std::str::from_utf8(bytes).map_err(|_| Bad::Syntax)?;
    if is_deeper_than(bytes, DEPTH_MAX) {
        return Err(Bad::TooDeep);
    }
    if text.trim_ascii_start().starts_with('{') {
        if messages_max == 0 {
            return Err(Bad::TooMany);
        }
        let one = serde_json::from_str(text);
        return one.map(|one| vec![one]).map_err(|_| Bad::Syntax);
    }
    let mut too_many = false;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let batch = Batch {
        messages_max,
        too_many: &mut too_many,
    };
    let read = batch.deserialize(&mut deserializer);
    let read = read.and_then(|read| deserializer.end().map(|()| read));
    read.map_err(|_| match too_many {
        true => Bad::TooMany,
        false => Bad::Syntax,
    })
}

/// Reads the batches of one request, of at most `messages_max` messages together.
///
/// # Errors
/// [`Bad`]; nothing of any of them is taken.
pub fn parse_all<T: AsRef<[u8]>>(
    texts: &[T],
    messages_max: usize,
) -> Result<Vec<Message<'_>>, Bad> {
    let mut all = Vec::new();
    for text in texts {
        all.extend(parse(
            text.as_ref(),
            messages_max.saturating_sub(all.len()),
        )?);
    }
    Ok(all)
}

/// Whether brackets outside strings nest deeper than `max`: readers by recursion fail on what a publisher nests.
fn is_deeper_than(bytes: &[u8], max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return true;
        }
    }
    false
}

/// A JSON string's text.
#[must_use]
pub fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    // A string without escapes is borrowed; the rest is decoded.
    if let Ok(text) = serde_json::from_str::<&str>(value.get()) {
        return Some(Cow::Borrowed(text));
    }
    let decoded = serde_json::from_str::<String>(value.get());
    decoded.ok().map(Cow::Owned)
}

/// The texts of a string or of an array of strings; `None` for anything else.
///
/// # Errors
/// More than `max`.
pub fn texts(value: &RawValue, max: usize) -> Result<Option<Vec<Cow<'_, str>>>, Bad> {
    if let Some(text) = text(value) {
        return Ok(Some(vec![text]));
    }
    let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else {
        return Ok(None);
    };
    match list.len() <= max {
        true => Ok(list.into_iter().map(text).collect()),
        false => Err(Bad::TooMany),
    }
}

impl<'a> Message<'a> {
    /// A member of `ext`.
    #[must_use]
    pub fn extension(&self, name: &str) -> Option<&'a RawValue> {
        members(self.ext?)?.get(name).copied()
    }

    /// Milliseconds that this connect may be held, where it says so (`advice.timeout`).
    #[must_use]
    pub fn timeout_ms(&self) -> Option<u32> {
        let advice = members(self.advice?.get())?;
        let ms: f64 = serde_json::from_str(advice.get("timeout")?.get()).ok()?;
        // Beyond what fits it is cut, and a caller has a bound of its own.
        (ms >= 0.0).then_some(ms as u32)
    }

    /// What was published with `ext`, but for what proves who published it: others are not to read that.
    #[must_use]
    pub fn forwarded_ext(&self) -> Option<Box<str>> {
        let ext = self.ext?;
        let members = members(ext)?;
        if !PRIVATE.iter().any(|name| members.contains_key(*name)) {
            return (!members.is_empty()).then(|| ext.into());
        }
        let kept = members.iter();
        let kept: Vec<String> = kept
            .filter(|(name, _)| !PRIVATE.contains(&name.as_str()))
            .map(|(name, value)| format!("{}:{}", super::json::text(name), value.get()))
            .collect();
        (!kept.is_empty()).then(|| format!("{{{}}}", kept.join(",")).into())
    }

    fn take(&mut self, field: Field, value: &'a RawValue) {
        let given = Some(value).filter(|value| value.get() != "null");
        match field {
            Field::Channel => self.channel = text(value).unwrap_or_default(),
            Field::Id => self.id = id(value.get()),
            Field::Client => self.client = given.and_then(text),
            Field::Data => self.data = Some(value.get()),
            Field::Ext => self.ext = given.map(RawValue::get).filter(|ext| ext.starts_with('{')),
            Field::Advice => self.advice = given,
            Field::Subscription => self.subscription = given,
            Field::MinimumVersion => self.minimum_version = given,
            Field::Types => self.types = given,
            Field::ConnectionType => self.connection_type = given,
            Field::Other => {}
        }
    }
}

/// The members of an object.
#[must_use]
pub fn members(object: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(object).ok()
}

/// An id that may be repeated: a string or a number, not longer than anybody's.
fn id(raw: &str) -> &str {
    let fits = raw.len() <= ID_BYTES_MAX;
    match raw.as_bytes().first() {
        Some(b'"' | b'-' | b'0'..=b'9') if fits => raw,
        _ => "",
    }
}

/// The fields that are read.
#[derive(Clone, Copy)]
enum Field {
    Channel,
    Id,
    Client,
    Data,
    Ext,
    Advice,
    Subscription,
    MinimumVersion,
    Types,
    ConnectionType,
    Other,
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Field;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }
            fn visit_str<E>(self, name: &str) -> Result<Field, E> {
                Ok(match name {
                    "channel" => Field::Channel,
                    "id" => Field::Id,
                    "clientId" => Field::Client,
                    "data" => Field::Data,
                    "ext" => Field::Ext,
                    "advice" => Field::Advice,
                    "subscription" => Field::Subscription,
                    "minimumVersion" => Field::MinimumVersion,
                    "supportedConnectionTypes" => Field::Types,
                    "connectionType" => Field::ConnectionType,
                    _ => Field::Other,
                })
            }
        }
        deserializer.deserialize_identifier(Name)
    }
}

impl<'de> Deserialize<'de> for Message<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Message<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message<'de>, A::Error> {
                let mut message = Message::default();
                while let Some(field) = map.next_key::<Field>()? {
                    match field {
                        Field::Other => drop(map.next_value::<IgnoredAny>()?),
                        field => message.take(field, map.next_value()?),
                    }
                }
                Ok(message)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Reads an array of messages, no longer than it may be.
struct Batch<'a> {
    messages_max: usize,
    too_many: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for Batch<'_> {
    type Value = Vec<Message<'de>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Batch<'_> {
    type Value = Vec<Message<'de>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut messages = Vec::new();
        while let Some(message) = seq.next_element()? {
            if messages.len() >= self.messages_max {
                *self.too_many = true;
                return Err(A::Error::custom("too many messages"));
            }
            messages.push(message);
        }
        Ok(messages)
    }
}

/// Brackets within brackets: more than people write by hand, less than a reader by recursion can do.
pub const DEPTH_MAX: usize = 128;
/// Bytes of an id as it is written.
pub const ID_BYTES_MAX: usize = 128;
/// Members of `ext` that are the publisher's own business.
const PRIVATE: [&str; 2] = ["authentication", "token"];

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Message<'_> {
        parse(text.as_bytes(), 1).unwrap().pop().unwrap()
    }

    #[test]
    fn an_array_and_a_single_object_are_read() {
        let batch = br#" [{"channel":"/a"},{"channel":"/b","x":[1,{"y":2}]}] "#;
        let channels: Vec<_> = parse(batch, 2).unwrap().into_iter().collect();
        assert!(channels[0].channel == "/a" && channels[1].channel == "/b");
        assert_eq!(one(r#"{"channel":"\/a"}"#).channel, "/a");
        assert!(parse(b"[]", 0).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        for bad in [
            "", "nope", "[1]", "[{}", "{}{}", "[[]]", "\"x\"", "null", "[{}]x",
        ] {
            assert_eq!(parse(bad.as_bytes(), 9).unwrap_err(), Bad::Syntax, "{bad}");
        }
        assert_eq!(parse(b"\xff", 9).unwrap_err(), Bad::Syntax);
        assert_eq!(parse(b"[{},{}]", 1).unwrap_err(), Bad::TooMany);
        assert_eq!(parse(b"{}", 0).unwrap_err(), Bad::TooMany);
        assert_eq!(parse_all(&["{}", "[{}]"], 2).unwrap().len(), 2);
        for more in ["{}", "[{}]"] {
            let texts = ["{}", "{}", more];
            assert_eq!(parse_all(&texts, 2).unwrap_err(), Bad::TooMany);
        }
    }

    #[test]
    fn nesting_is_bounded_and_brackets_in_strings_do_not_count() {
        let nested = |n: usize| format!("{{\"data\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(DEPTH_MAX - 1).as_bytes(), 1).is_ok());
        assert_eq!(
            parse(nested(DEPTH_MAX).as_bytes(), 1).unwrap_err(),
            Bad::TooDeep
        );
        let text = format!("{{\"data\":\"\\\"{}\"}}", "[".repeat(999));
        assert!(parse(text.as_bytes(), 1).is_ok());
    }

    #[test]
    fn payloads_are_the_bytes_that_came() {
        let message = one(r#"{"data": {"a" : 1.0e1} ,"id":"7","ext":null,"clientId":null}"#);
        assert_eq!(message.data, Some(r#"{"a" : 1.0e1}"#));
        assert_eq!((message.id, message.ext), ("\"7\"", None));
        assert!(message.client.is_none());
        assert_eq!(one(r#"{"data":null}"#).data, Some("null"));
    }

    #[test]
    fn an_id_is_a_string_or_a_number_of_some_length() {
        for (raw, kept) in [
            ("7", "7"),
            ("-1", "-1"),
            ("\"a\"", "\"a\""),
            ("[1]", ""),
            ("{}", ""),
        ] {
            assert_eq!(one(&format!("{{\"id\":{raw}}}")).id, kept);
        }
        let long = format!("{{\"id\":\"{}\"}}", "x".repeat(ID_BYTES_MAX));
        assert_eq!(one(&long).id, "");
    }

    #[test]
    fn ext_is_forwarded_but_for_what_is_private() {
        let ext = |text: &str| one(&format!("{{\"ext\":{text}}}")).forwarded_ext();
        assert_eq!(ext(r#"{"a": 1}"#).as_deref(), Some(r#"{"a": 1}"#));
        assert_eq!(
            ext(r#"{"b":[2],"authentication":{"user":"x"},"a":1}"#).as_deref(),
            Some(r#"{"a":1,"b":[2]}"#)
        );
        assert_eq!(ext(r#"{"authentication":1}"#), None);
        assert_eq!(ext("{}"), None);
        assert_eq!(ext("7"), None);
    }

    #[test]
    fn a_timeout_is_a_number_that_is_not_negative() {
        let timeout = |text: &str| one(&format!("{{\"advice\":{text}}}")).timeout_ms();
        assert_eq!(timeout(r#"{"timeout":0}"#), Some(0));
        assert_eq!(timeout(r#"{"timeout":1e3}"#), Some(1000));
        assert_eq!(timeout(r#"{"timeout":-1}"#), None);
        assert_eq!(timeout(r#"{"interval":5}"#), None);
        assert_eq!(timeout("null"), None);
    }
}
