//! A body of many messages.
//!
//! In: `{"messages":[{"channels":[…]|"channel":…, "data":JSON|"text":…|"base64":…, "type":…, "id":…, "key":…}]}`. Out: all
//! of it checked, or the first thing that is wrong and the message it is in.

use super::checked_channel;
use super::fields::{Few, Fields, Object, nothing_else, start};
use super::publish::content;
use crate::http::fault::Fault;
use crate::mem::Content;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::rc::Rc;

/// One message and the channels it goes to, at least one.
#[derive(Debug)]
pub struct Message {
    /// Where it goes, in this order.
    pub channels: Vec<Rc<str>>,
    /// What `bytes` are.
    pub content: Content,
    /// The payload.
    pub bytes: Box<[u8]>,
    /// What makes it the same as another.
    pub id: Option<String>,
    /// What it is the latest of.
    pub key: Option<Box<str>>,
}

/// Reads a body, whose messages may have so many bytes each.
///
/// # Errors
/// Anything that is wrong anywhere in it.
pub fn parse(body: &[u8], message_max: usize) -> Result<Vec<Message>, Fault> {
    let object: Fields<'_> = serde_json::from_slice(body).map_err(|_| bad(NO_OBJECT))?;
    let mut object = object.once().map_err(|error| bad(&error))?;
    let list = object.remove("messages").map(|list| list.get());
    nothing_else(&object).map_err(|error| bad(&error))?;
    let list: Option<Few<&RawValue>> = list.and_then(|list| serde_json::from_str(list).ok());
    let list = list.ok_or_else(|| bad(NO_OBJECT))?.all().ok_or(TOO_MANY)?;
    let mut messages = Vec::new();
    let mut publications = 0;
    for (n, raw) in list.into_iter().enumerate() {
        let message = message(raw, message_max).map_err(|wrong| match wrong {
            Wrong::Named(error) => bad(&format!("messages[{n}]: {error}")),
            Wrong::TooMany => TOO_MANY,
        })?;
        publications += message.channels.len();
        if publications > PUBLICATIONS_MAX {
            return Err(TOO_MANY);
        }
        messages.push(message);
    }
    match publications {
        0 => Err(bad("messages is empty")),
        _ => Ok(messages),
    }
}

/// What is wrong with a message.
enum Wrong {
    Named(String),
    TooMany,
}

impl<T: Into<String>> From<T> for Wrong {
    fn from(error: T) -> Self {
        Self::Named(error.into())
    }
}

fn message(raw: &RawValue, message_max: usize) -> Result<Message, Wrong> {
    let fields: Fields<'_> = serde_json::from_str(raw.get()).map_err(|_| "is no object")?;
    let mut fields = fields.once()?;
    let channels = channels(&mut fields)?;
    let kind = text(&mut fields, "type")?;
    let (content, bytes) = payload(&mut fields, kind.as_deref())?;
    let (id, key) = (text(&mut fields, "id")?, text(&mut fields, "key")?);
    nothing_else(&fields)?;
    if bytes.len() > message_max {
        return Err("is larger than --max-message".into());
    }
    Ok(Message {
        channels,
        content,
        bytes,
        id,
        key: key.map(String::into_boxed_str),
    })
}

fn channels(fields: &mut Object<'_>) -> Result<Vec<Rc<str>>, Wrong> {
    let (one, many) = (fields.remove("channel"), fields.remove("channels"));
    let names: Option<Few<String>> = match (one, many) {
        (Some(one), None) => serde_json::from_str(one.get()).ok().map(Few::one),
        (None, Some(many)) => serde_json::from_str(many.get()).ok(),
        _ => None,
    };
    let names = names.filter(|names| !names.is_empty());
    let names = names.ok_or("needs channel, a name, or channels, a list of names")?;
    let names = names.all().ok_or(Wrong::TooMany)?;
    let mut channels: Vec<Rc<str>> = Vec::with_capacity(names.len());
    let mut seen = BTreeSet::new();
    for name in &names {
        checked_channel(name).map_err(|fault| fault.reason.into_owned())?;
        if !seen.insert(name) {
            return Err(format!("names {} twice", start(name)).into());
        }
        channels.push(Rc::from(name.as_str()));
    }
    Ok(channels)
}

fn payload(fields: &mut Object<'_>, kind: Option<&str>) -> Result<(Content, Box<[u8]>), String> {
    let data = fields.remove("data");
    let (plain, base64) = (text_of(fields, "text")?, text_of(fields, "base64")?);
    if kind.is_some() && base64.is_none() {
        return Err("type goes with base64; data is JSON, and text is text".into());
    }
    match (data, plain, base64) {
        (Some(data), None, None) => Ok((Content::Json, data.get().as_bytes().into())),
        (None, Some(plain), None) => Ok((Content::Text, plain.into_bytes().into())),
        (None, None, Some(base64)) => {
            let bytes = STANDARD.decode(base64).map_err(|_| "base64 is none")?;
            let kind = kind.unwrap_or("application/octet-stream");
            let content = content(kind, &bytes).map_err(|fault| fault.reason.into_owned())?;
            Ok((content, bytes.into()))
        }
        _ => Err("needs one of data, text and base64".into()),
    }
}

/// A short text, if it is there.
fn text(fields: &mut Object<'_>, name: &str) -> Result<Option<String>, String> {
    let text = text_of(fields, name)?;
    match text {
        Some(text) if text.len() > KEY_BYTES_MAX => {
            Err(format!("{name} is longer than {KEY_BYTES_MAX} bytes"))
        }
        text => Ok(text),
    }
}

fn text_of(fields: &mut Object<'_>, name: &str) -> Result<Option<String>, String> {
    let text = fields
        .remove(name)
        .map(|raw| serde_json::from_str(raw.get()));
    text.transpose().map_err(|_| format!("{name} is no text"))
}

fn bad(what: &str) -> Fault {
    BAD_BATCH.with_reason(format!("{what}; nothing was published."))
}

/// Longest `id`, `key` and `type`; what a message is the latest of stays with it as long as it waits.
pub const KEY_BYTES_MAX: usize = 255;
/// Publications of one body, each channel of a message counted: a fraction of a turn's deliveries.
pub const PUBLICATIONS_MAX: usize = 1_000;
const NO_OBJECT: &str = "the body is no JSON object with a list of messages";
const BAD_BATCH: Fault = Fault::new(
    400,
    "bad-batch",
    "",
    "As in {\"messages\":[{\"channels\":[\"a\",\"b\"],\"data\":{\"n\":1}},{\"channel\":\"a\",\"text\":\"hi\"}]}.",
);
const TOO_MANY: Fault = Fault::new(
    413,
    "too-many",
    "More than 1,000 publications, each channel of a message counted; nothing was published.",
    "Send them in several requests.",
);

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(body: &str) -> String {
        parse(body.as_bytes(), 10).unwrap_err().reason.into_owned()
    }

    #[test]
    fn messages_of_every_kind_are_read() {
        let body = br#"{"messages":[{"channels":["a","b/c"],"data":{"n" : 1},"id":"7"},
            {"channel":"a","text":"hi","key":"k"},{"channel":"a","base64":"/wA=","type":"image/png"}]}"#;
        let messages = parse(body, 100).unwrap();
        let kinds: Vec<_> = messages.iter().map(|m| m.content.media_type()).collect();
        assert_eq!(
            kinds,
            ["application/json", "text/plain; charset=utf-8", "image/png"]
        );
        assert_eq!(&*messages[0].bytes, b"{\"n\" : 1}");
        assert_eq!(messages[0].channels, [Rc::from("a"), Rc::from("b/c")]);
        assert_eq!(
            (messages[0].id.as_deref(), messages[1].key.as_deref()),
            (Some("7"), Some("k"))
        );
        assert_eq!(&*messages[2].bytes, [0xff, 0]);
    }

    #[test]
    fn whatever_is_wrong_anywhere_is_named() {
        for (body, part) in [
            ("", "no JSON object"),
            ("[]", "no JSON object"),
            ("{\"messages\":1}", "no JSON object"),
            ("{\"messages\":[],\"x\":1}", "x is not known"),
            ("{\"messages\":[]}", "messages is empty"),
            ("{\"messages\":[],\"messages\":[]}", "messages stands twice"),
            ("{\"messages\":[1]}", "messages[0]: is no object"),
            ("{\"messages\":[{\"text\":\"\"}]}", "needs channel"),
        ] {
            assert!(reason(body).contains(part), "{body}: {}", reason(body));
        }
        for (message, part) in [
            (r#""channel":"a""#, "needs one of data"),
            (r#""channel":"a","text":"x","data":1"#, "needs one of data"),
            (
                r#""channel":"a","channels":["b"],"data":1"#,
                "needs channel",
            ),
            (r#""channels":[],"data":1"#, "needs channel"),
            (r#""channels":["b","a","b"],"data":1"#, "names b twice"),
            (r#""channel":"a/*","data":1"#, "name one channel"),
            (r#""channel":"a","text":1"#, "text is no text"),
            (r#""channel":"a","text":"x","type":"text/css""#, "type goes"),
            (r#""channel":"a","base64":"?""#, "base64 is none"),
            (
                r#""channel":"a","base64":"ew==","type":"application/json""#,
                "and is not",
            ),
            (r#""channel":"a","text":"12345678901""#, "larger than"),
            (r#""channel":"a","data":1,"ttl":2"#, "ttl is not known"),
            (r#""channel":"a","data":1,"data":2"#, "data stands twice"),
        ] {
            let body = format!(r#"{{"messages":[{{"channel":"ok","data":0}},{{{message}}}]}}"#);
            let reason = reason(&body);
            let named = reason.contains("messages[1]: ") && reason.contains(part);
            assert!(named, "{message}: {reason}");
        }
        let long = "k".repeat(256);
        let body = format!(r#"{{"messages":[{{"channel":"a","data":0,"id":"{long}"}}]}}"#);
        assert!(reason(&body).contains("id is longer than 255 bytes"));
    }

    #[test]
    fn a_body_holds_a_thousand_publications() {
        let body = |many| {
            let names: Vec<_> = (0..many).map(|n| format!("\"{n}\"")).collect();
            let names = names.join(",");
            format!(r#"{{"messages":[{{"channels":[{names}],"data":0}}]}}"#)
        };
        assert!(parse(body(1_000).as_bytes(), 10).is_ok());
        assert_eq!(parse(body(1_001).as_bytes(), 10).unwrap_err(), TOO_MANY);
    }
}
