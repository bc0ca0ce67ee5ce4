//! A batch of Bayeux messages is read as a plain JSON reader reads it, and what goes on of it is JSON again.

use orbited::http::forms;
use orbited::service::bayeux::messages::{Bad, DEPTH_MAX, ID_BYTES_MAX, Message, parse, parse_all};
use orbited::service::bayeux::names::Name;
use orbited::service::bayeux::replies::Reply;
use serde_json::Value;

const MESSAGES_MAX: usize = 8;

/// Panics where the parser and the plain reader disagree.
pub fn run(data: &[u8]) {
    together(data);
    let plain = serde_json::from_slice::<Value>(data).ok();
    match parse(data, MESSAGES_MAX) {
        Ok(messages) => {
            // A plain reader is stricter within what is passed on unread: a half of a surrogate pair, a number too large.
            if let Some(plain) = plain {
                let listed = plain.as_array().cloned().unwrap_or_else(|| vec![plain]);
                assert!(messages.len() == listed.len() && messages.len() <= MESSAGES_MAX);
                messages.iter().zip(&listed).for_each(|(message, plain)| compare(message, plain));
            }
            messages.iter().for_each(check);
        }
        Err(Bad::Syntax) => {
            let object = |value: &Value| value.is_object();
            let batch = |plain: Value| object(&plain) || plain.as_array().is_some_and(|list| list.iter().all(object));
            assert!(!plain.is_some_and(batch));
        }
        Err(Bad::TooMany) => assert!(data.iter().filter(|byte| **byte == b'{').count() > MESSAGES_MAX),
        Err(Bad::TooDeep) => {
            assert!(data.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > DEPTH_MAX);
        }
    }
}

/// The batches of a form: as many messages as each of them has alone, and no more than one may have.
fn together(data: &[u8]) {
    let texts: Vec<_> = forms::pairs(data).map(|(_, text)| text).collect();
    let alone: Result<Vec<_>, _> = texts.iter().map(|text| parse(text, usize::MAX)).collect();
    let counted = alone.map(|batches| batches.iter().map(Vec::len).sum::<usize>());
    match (parse_all(&texts, MESSAGES_MAX), counted) {
        (Ok(all), counted) => assert!(all.len() <= MESSAGES_MAX && counted == Ok(all.len())),
        (Err(Bad::TooMany), counted) => assert!(counted.map_or(true, |many| many > MESSAGES_MAX)),
        (Err(bad), counted) => assert_eq!(counted, Err(bad)),
    }
}

fn compare(message: &Message<'_>, plain: &Value) {
    let channel = plain.get("channel").and_then(Value::as_str);
    assert_eq!(&*message.channel, channel.unwrap_or_default());
    assert_eq!(message.client.as_deref(), plain.get("clientId").and_then(Value::as_str));
    let read = |raw: &str| serde_json::from_str::<Value>(raw).ok();
    assert_eq!(message.data.and_then(read).as_ref(), plain.get("data"));
    let timeout = plain.get("advice").and_then(|advice| advice.get("timeout")?.as_f64());
    assert_eq!(message.timeout_ms().is_some(), timeout.is_some_and(|ms| ms >= 0.0));
    if let Some(ext) = message.forwarded_ext() {
        let ext = read(&ext).unwrap_or_default();
        assert!(ext.is_object() && ext.get("authentication").is_none() && ext.get("token").is_none());
    }
}

fn check(message: &Message<'_>) {
    assert!(message.id.len() <= ID_BYTES_MAX);
    if let Name::Topic(name) = Name::of(&message.channel) {
        assert!(!name.starts_with('/') && !name.starts_with("meta/") && !name.starts_with("service/"));
    }
    let reply = Reply::to(message).done();
    // An id is repeated as it was written, and may be what a plain reader does not take.
    let plain = serde_json::from_str::<Value>(message.id).is_ok() || message.id.is_empty();
    assert_eq!(serde_json::from_slice::<Value>(&reply).is_ok(), plain);
}
