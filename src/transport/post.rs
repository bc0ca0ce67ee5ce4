//! Events as a request to a URL of the application.
//!
//! In: events with their numbers, where they go, keys. Out: one POST with its body and its signature. Each event says its
//! number (`seq`), of which run of the node (`run`), and the first of a request how many are missing in front of it
//! (`skipped`).

use crate::config::{ApiKey, Callback};
use crate::mem::Msg;
use aws_lc_rs::hmac;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::rc::Rc;

/// What the events of one request have in common.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Where it goes.
    pub to: &'a Callback,
    /// The run of the node, whose numbers they have.
    pub run: u64,
    /// How many were let go in front of the first.
    pub skipped: u64,
    /// Events at most.
    pub events_max: usize,
    /// Seconds since 1970.
    pub unix_s: u64,
    /// What it is signed with.
    pub keys: &'a [ApiKey],
}

/// Appends a request with as many events as it may have; gives back the number of the last.
pub fn request<'e>(
    out: &mut Vec<u8>,
    batch: &Batch<'_>,
    events: impl Iterator<Item = (u64, &'e Rc<Msg>)>,
) -> Option<u64> {
    let mut body = Vec::new();
    let (mut last, mut count) = (None, 0);
    for (seq, event) in events.take(batch.events_max) {
        if count > 0 && body.len() + event.bytes().len() > BODY_BYTES {
            break;
        }
        body.extend_from_slice(if count == 0 { b"[" } else { b"," });
        let skipped = if count == 0 { batch.skipped } else { 0 };
        number(&mut body, event.bytes(), (batch.run, seq, skipped));
        (last, count) = (Some(seq), count + 1);
    }
    body.push(b']');
    // One event a request is no list.
    let body = match (batch.to.batch, batch.to.form) {
        (1, _) | (_, true) => body.get(1..body.len() - 1).unwrap_or_default(),
        _ => &body,
    };
    let form = batch.to.form.then(|| form(body));
    let body = form.as_deref().unwrap_or(body);
    last.inspect(|_| head(out, batch.to, (batch.keys, batch.unix_s), body))
}

/// Appends a request with one question, a JSON object, which says its id in front: of which run of the node, and its number.
pub fn question(
    out: &mut Vec<u8>,
    to: &Callback,
    signed: (&[ApiKey], u64),
    (run, number, question): (u64, u64, &[u8]),
) {
    let mut body = Vec::new();
    // Writing to a vector cannot fail.
    let _ = write!(body, "{{\"id\":\"{run:x}.{number}\"");
    fields_of(&mut body, question);
    let form = to.form.then(|| form(&body));
    head(out, to, signed, form.as_deref().unwrap_or(&body));
}

/// An event, which is a JSON object, with its number in front.
fn number(out: &mut Vec<u8>, event: &[u8], (run, seq, skipped): (u64, u64, u64)) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{{\"run\":\"{run:x}\",\"seq\":{seq}");
    if skipped > 0 {
        let _ = write!(out, ",\"skipped\":{skipped}");
    }
    fields_of(out, event);
}

/// The fields of an object behind those of another, and its end.
fn fields_of(out: &mut Vec<u8>, object: &[u8]) {
    let fields = object.strip_prefix(b"{").unwrap_or(b"}");
    if fields != b"}" {
        out.push(b',');
    }
    out.extend_from_slice(fields);
}

/// The fields of an object as those of a form: a string as it is, null as nothing, anything else as JSON.
fn form(object: &[u8]) -> Vec<u8> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(object).unwrap_or_default();
    let mut text = String::new();
    for (name, value) in fields {
        let value = value.get();
        let value = match value.as_bytes().first() {
            Some(b'"') => serde_json::from_str(value).unwrap_or_default(),
            Some(b'n') => String::new(),
            _ => value.to_owned(),
        };
        let between = if text.is_empty() { "" } else { "&" };
        let [name, value] = [&name, &value].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC));
        // Nor can writing to a string.
        let _ = write!(text, "{between}{name}={value}");
    }
    text.into_bytes()
}

fn head(out: &mut Vec<u8>, to: &Callback, (keys, unix_s): (&[ApiKey], u64), body: &[u8]) {
    let (target, host) = (&to.target, &to.host);
    let kind = match to.form {
        true => "application/x-www-form-urlencoded",
        false => "application/json",
    };
    let _ = write!(
        out,
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: orbited/{}\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n",
        env!("CARGO_PKG_VERSION"),
        body.len()
    );
    if !keys.is_empty() {
        let signature = signature(keys, unix_s, body);
        let _ = write!(out, "Orbited-Signature: {signature}\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

/// `t=SECONDS`, and for each key `v1=` and the HMAC-SHA256 of `SECONDS.BODY` in hex: so that a key can be replaced
/// while both are in use.
fn signature(keys: &[ApiKey], unix_s: u64, body: &[u8]) -> String {
    let mut text = format!("t={unix_s}");
    for key in keys {
        let ApiKey::Text(key) = key else { continue };
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{unix_s}.").as_bytes());
        context.update(body);
        text.push_str(",v1=");
        for byte in context.sign().as_ref() {
            let _ = write!(text, "{byte:02x}");
        }
    }
    text
}

/// Bytes after which a request takes no further event.
const BODY_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::Ledger;

    fn posted(to: &str, keys: &[&str], events: &[&str]) -> (String, Option<u64>) {
        let ledger = Ledger::default();
        let to = Callback::parse(to).unwrap();
        let keys: Vec<_> = keys.iter().filter_map(|key| ApiKey::parse(key)).collect();
        let batch = Batch {
            to: &to,
            run: 0xab,
            skipped: 3,
            events_max: to.batch,
            unix_s: 1_700_000_000,
            keys: &keys,
        };
        let made: Vec<_> = events
            .iter()
            .map(|text| Msg::new(text.as_bytes(), &ledger))
            .collect();
        let mut out = Vec::new();
        let wrote = request(&mut out, &batch, (7..).zip(&made));
        (String::from_utf8(out).unwrap(), wrote)
    }

    #[test]
    fn events_are_a_list_of_numbered_objects() {
        let (text, wrote) = posted("http://a.b:1/x?y", &[], &["{\"event\":\"signoff\"}", "{}"]);
        let body = "[{\"run\":\"ab\",\"seq\":7,\"skipped\":3,\"event\":\"signoff\"},{\"run\":\"ab\",\"seq\":8}]";
        let (version, length) = (env!("CARGO_PKG_VERSION"), body.len());
        assert_eq!(
            text,
            format!(
                "POST /x?y HTTP/1.1\r\nHost: a.b:1\r\nUser-Agent: orbited/{version}\r\n\
                 Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            )
        );
        assert_eq!(wrote, Some(8));
    }

    #[test]
    fn one_event_a_request_is_an_object_or_a_form() {
        let event = "{\"event\":\"signoff\",\"user\":null,\"reason\":\"a &ü\",\"undelivered\":[{}],\"time\":5}";
        let (text, wrote) = posted("http://a batch=1", &[], &[event, "{}"]);
        assert!(text.ends_with("\r\n\r\n{\"run\":\"ab\",\"seq\":7,\"skipped\":3,\"event\":\"signoff\",\"user\":null,\
            \"reason\":\"a &ü\",\"undelivered\":[{}],\"time\":5}"), "{text}");
        assert_eq!(wrote, Some(7));
        let (text, wrote) = posted("http://a as=form", &[], &[event]);
        let body = "event=signoff&reason=a%20%26%C3%BC&run=ab&seq=7&skipped=3&time=5&undelivered=%5B%7B%7D%5D&user=";
        assert!(text.ends_with(&format!("\r\n\r\n{body}")), "{text}");
        assert!(text.contains(&format!(
            "form-urlencoded\r\nContent-Length: {}\r\n",
            body.len()
        )));
        assert_eq!(wrote, Some(7));
    }

    #[test]
    fn a_request_has_so_many_events_and_about_so_many_bytes() {
        let large = format!("{{\"x\":\"{}\"}}", "y".repeat(BODY_BYTES / 2 - 100));
        let many = [&*large; 5];
        assert_eq!(posted("http://a", &[], &many).1, Some(8));
        let huge = format!("{{\"x\":\"{}\"}}", "y".repeat(2 * BODY_BYTES));
        assert_eq!(posted("http://a", &[], &[&huge, "{}"]).1, Some(7));
        assert_eq!(posted("http://a batch=3", &[], &["{}"; 9]).1, Some(9));
        assert_eq!(posted("http://a", &[], &[]).1, None);
    }

    #[test]
    fn a_question_says_its_id_in_front() {
        for (to, body) in [
            ("http://a", "{\"id\":\"ab.12\",\"event\":\"call\"}"),
            ("http://a as=form", "event=call&id=ab%2E12"),
        ] {
            let (mut out, to) = (Vec::new(), Callback::parse(to).unwrap());
            question(&mut out, &to, (&[], 0), (0xab, 12, b"{\"event\":\"call\"}"));
            let text = String::from_utf8(out).unwrap();
            assert!(text.ends_with(&format!("\r\n\r\n{body}")), "{text}");
        }
    }

    /// The values are those of Python: `hmac.new(key, b'1700000000.' + body, 'sha256').hexdigest()`.
    #[test]
    fn what_is_sent_is_signed_with_every_key() {
        let (text, _) = posted(
            "http://a batch=1",
            &["0123456789abcdef", "fedcba9876543210"],
            &["{}"],
        );
        let line = "Orbited-Signature: t=1700000000,v1=10a7c6cac4922856d305894de46b03f48dac85a0fc5f44742633f5414d350a8c,v1=b4ab2a0b201798c1323911e391652328d4b2020c9bf12e30d308ba51de4a27a8\r\n";
        assert!(text.contains(line), "{text}");
    }
}
