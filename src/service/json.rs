//! Published content as JSON, for clients that read JSON.
//!
//! In: a publication's bytes and what they are. Out: JSON text: what was JSON as it was, text as a string,
//! anything else as an object with base64.

use crate::mem::Content;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use std::io::Write as _;

/// Appends `bytes` as JSON.
pub fn payload(out: &mut Vec<u8>, content: &Content, bytes: &[u8]) {
    match (content, std::str::from_utf8(bytes)) {
        (Content::Json, _) => out.extend_from_slice(bytes),
        (Content::Text, Ok(text)) => string(out, text),
        (content, _) => {
            let kind = if let Content::Bytes(kind) = content {
                kind
            } else {
                "text/plain"
            };
            let _ = write!(out, "{{\"base64\":\"{}\",\"type\":", STANDARD.encode(bytes));
            string(out, kind);
            out.push(b'}');
        }
    }
}

/// What `bytes` are, by their type. A form, which is what `curl -d` says it sends, and no type at all count as
/// text where the bytes are text. None where they are said to be JSON and are not.
#[must_use]
pub fn content(kind: &str, bytes: &[u8]) -> Option<Content> {
    let kind = kind.trim().to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let text = std::str::from_utf8(bytes).ok();
    let unnamed = matches!(essence, "" | "application/x-www-form-urlencoded");
    match (essence, text) {
        ("application/json", text) => {
            let json = serde_json::from_str::<IgnoredAny>(text?);
            json.ok().map(|_| Content::Json)
        }
        (_, Some(_)) if unnamed || essence.starts_with("text/") => Some(Content::Text),
        (_, None) if unnamed => Some(Content::Bytes("application/octet-stream".into())),
        (other, _) => Some(Content::Bytes(other.into())),
    }
}

/// Appends `text` as a JSON string.
pub fn string(out: &mut Vec<u8>, text: &str) {
    // Neither a string nor a vector can fail here.
    let _ = serde_json::to_writer(out, text);
}

/// Makes JSON one line. Between its tokens it may hold line ends, which count as blanks.
pub fn one_line(json: &mut [u8]) {
    let ends = json.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r'));
    ends.for_each(|byte| *byte = b' ');
}

/// `text` as a JSON string.
#[must_use]
pub fn text(text: &str) -> String {
    // A string cannot fail here.
    serde_json::to_string(text).unwrap_or_default()
}

/// Appends `text` as a JSON string, or null.
pub fn string_or_null(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_content_becomes_the_json_that_was_agreed() {
        let json = |content, bytes: &[u8]| {
            let mut out = Vec::new();
            payload(&mut out, &content, bytes);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(json(Content::Json, b"{\"a\": 1}"), "{\"a\": 1}");
        assert_eq!(json(Content::Text, b"a\"b"), "\"a\\\"b\"");
        let bytes = Content::Bytes("image/x-y".into());
        assert_eq!(
            json(bytes, &[0, 255]),
            "{\"base64\":\"AP8=\",\"type\":\"image/x-y\"}"
        );
    }
}
