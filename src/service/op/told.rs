//! What happens to sessions, as CALLBACK frames.
//!
//! In: an event of the hub, which is a JSON object of the node's own making. Out: the frame that says the same. A user's name is
//! the key, and `session:KEY` that of a session without one.

use crate::mem::Publication;
use crate::op::Style;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::borrow::Cow;

/// The frame of an event, before which so many of a group were let go; `json` for undelivered messages as a JSON array.
pub fn event(style: Style, json: bool, (event, missed): (&Publication, u64)) -> Vec<u8> {
    let event: Value = serde_json::from_slice(&event.bytes).unwrap_or_default();
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    let function = text("event");
    let session = text("session");
    let key = match text("user") {
        "" => Cow::Owned(format!("session:{session}")),
        user => Cow::Borrowed(user),
    };
    let mut headers = vec![("function", function), ("key", &*key)];
    let missed = missed.to_string();
    if missed != "0" {
        headers.push(("missed", &missed));
    }
    let beside = [("session", session), ("service", text("service"))];
    match function {
        "signoff" => {
            let reason = text("reason");
            let undelivered = event.get("undelivered").and_then(Value::as_array);
            let undelivered = undelivered.map(Vec::as_slice).unwrap_or_default();
            let cut = event.get("cut").and_then(Value::as_u64).unwrap_or(0);
            let failed = (undelivered.len() as u64 + cut).to_string();
            let cut = cut.to_string();
            headers.push(("type", kind(reason)));
            headers.extend(beside);
            headers.extend([("reason", reason), ("failed", &failed)]);
            if cut != "0" {
                headers.push(("cut", &cut));
            }
            style.frame("CALLBACK", &headers, &list(undelivered, json))
        }
        "message" => {
            let (body, said) = said(&event);
            if let Some(said) = said {
                headers.push(("msg", said));
            }
            headers.extend(beside);
            if !text("channel").is_empty() {
                headers.push(("channel", text("channel")));
            }
            headers.push(("content-type", text("content_type")));
            style.frame("CALLBACK", &headers, &body)
        }
        _ => {
            headers.extend(beside);
            headers.push(("transport", text("transport")));
            style.frame("CALLBACK", &headers, b"")
        }
    }
}

/// The frame of a question: who would sign on, and waits for a word about `key`.
pub fn pending(style: Style, (key, number): (&str, u64), question: &[u8]) -> Vec<u8> {
    let question: Value = serde_json::from_slice(question).unwrap_or_default();
    let service = question.get("service").and_then(Value::as_str);
    let number = number.to_string();
    let headers = [
        ("function", "signon"),
        ("key", key),
        ("pending", &number),
        ("service", service.unwrap_or_default()),
    ];
    style.frame("CALLBACK", &headers, b"")
}

/// The words that the protocol has for why a session ended.
fn kind(reason: &str) -> &'static str {
    match reason {
        "timeout" | "gone" | "overflow" => "timeout",
        "kicked" | "expired" | "revoked" | "protocol" | "too-big" => "unwelcome",
        "shutdown" => "shutdown",
        _ => "clean",
    }
}

/// What a client said: its bytes, and the same as one line where it is one, which a header can hold.
fn said(event: &Value) -> (Vec<u8>, Option<&str>) {
    let body = event.get("body").and_then(Value::as_str);
    let fits = |text: &&str| {
        text.len() <= LINE_BYTES_MAX && text.trim() == *text && !text.contains(char::is_control)
    };
    (bytes(event), body.filter(fits))
}

/// The bytes of a message, as an event has them.
fn bytes(message: &Value) -> Vec<u8> {
    let of = |name: &str| message.get(name).and_then(Value::as_str);
    match (of("body"), of("base64")) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(base64)) => STANDARD.decode(base64).unwrap_or_default(),
        (None, None) => Vec::new(),
    }
}

/// What was not delivered: `id:payload|id:payload`, or an array of pairs; of what is no text the second is
/// base64, and a third says so.
fn list(undelivered: &[Value], json: bool) -> Vec<u8> {
    let id = |one: &Value| {
        let id = one.get("id").and_then(Value::as_str).unwrap_or_default();
        id.to_owned()
    };
    if json {
        let pair = |one: &Value| {
            let of = |name: &str| one.get(name).and_then(Value::as_str);
            let (text, base64) = (of("body"), of("base64"));
            let mut pair = vec![id(one), text.or(base64).unwrap_or_default().to_owned()];
            pair.extend(text.is_none().then(|| "base64".to_owned()));
            Value::from(pair)
        };
        let pairs: Vec<Value> = undelivered.iter().map(pair).collect();
        return Value::from(pairs).to_string().into_bytes();
    }
    let mut out = Vec::new();
    for (n, one) in undelivered.iter().enumerate() {
        if n > 0 {
            out.push(b'|');
        }
        escape(&mut out, id(one).as_bytes());
        out.push(b':');
        escape(&mut out, &bytes(one));
    }
    out
}

fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        if matches!(byte, b'|' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
}

/// Longest message that stands in a header too.
const LINE_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{Content, Ledger};
    use serde_json::json;

    fn told(event_of: &Value, json: bool) -> String {
        let ledger = Ledger::default();
        let bytes = event_of.to_string().into_bytes().into();
        let publication = Publication::new("/orbit/x".into(), None, Content::Json, bytes, &ledger);
        String::from_utf8(event(Style::default(), json, (&publication, 0))).unwrap()
    }

    #[test]
    fn what_was_not_delivered_is_listed_in_order_and_escaped() {
        let event = json!({"event": "signoff", "session": "K", "user": "ann", "service": "orbit", "reason": "gone", "undelivered": [
            {"id": "1", "user": "ann", "content_type": "x", "body": "a|b\\"},
            {"id": "2", "user": "ann", "content_type": "x", "base64": "/w=="},
        ], "cut": 3});
        let head = "CALLBACK\r\nfunction:signoff\r\nkey:ann\r\ntype:timeout\r\nsession:K\r\nservice:orbit\r\nreason:gone\r\nfailed:5\r\ncut:3\r\n\r\n";
        let listed = told(&event, true);
        assert_eq!(
            listed,
            format!("{head}[[\"1\",\"a|b\\\\\"],[\"2\",\"/w==\",\"base64\"]]\0")
        );
    }

    #[test]
    fn a_message_of_one_line_stands_in_a_header_too() {
        let event = |body: &str| json!({"event": "message", "session": "K", "user": null, "service": "orbit", "content_type": "text/plain", "body": body});
        assert_eq!(
            told(&event("hi"), false),
            "CALLBACK\r\nfunction:message\r\nkey:session:K\r\nmsg:hi\r\nsession:K\r\nservice:orbit\r\ncontent-type:text/plain\r\n\r\nhi\0"
        );
        let two = told(&event("a\r\nfunction:signon"), false);
        assert!(two.contains("\r\n\r\na\r\nfunction:signon\0") && !two.contains("msg:"));
        assert!(told(&event("x\0CALLBACK"), false).contains("encoding:base64"));
    }
}
