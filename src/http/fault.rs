//! What a route answers when it cannot serve: the error beside [`Refusal`](super::refusal::Refusal) that leaves the connection usable.
//!
//! Data in: status, code, texts; the reason may hold what a peer sent. Data out: the JSON body `{"code","reason","hint"}`.
//! It must not know which routes there are.

use crate::mem::script;
use std::borrow::Cow;

/// One error answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The HTTP status.
    pub status: u16,
    /// The stable kebab-case name.
    pub code: &'static str,
    /// What is wrong, in a sentence.
    pub reason: Cow<'static, str>,
    /// What to do about it, in a sentence.
    pub hint: &'static str,
    /// Header fields the answer owes (`Allow`, `Retry-After`).
    pub headers: &'static [(&'static str, &'static str)],
}

impl Fault {
    /// A fault with fixed texts and no header of its own.
    pub const fn new(
        status: u16,
        code: &'static str,
        reason: &'static str,
        hint: &'static str,
    ) -> Fault {
        Fault {
            status,
            code,
            reason: Cow::Borrowed(reason),
            hint,
            headers: &[],
        }
    }

    /// The same with a reason made on the spot.
    pub fn with_reason(self, reason: String) -> Fault {
        Fault {
            reason: Cow::Owned(reason),
            ..self
        }
    }

    /// The same with header fields.
    pub const fn with_headers(mut self, headers: &'static [(&'static str, &'static str)]) -> Fault {
        self.headers = headers;
        self
    }

    /// The answer's body: `{"code":…,"reason":…,"hint":…}`.
    pub fn body_json(&self) -> String {
        body_json(self.code, &self.reason, self.hint)
    }
}

/// Content type of the bodies made here.
pub const CONTENT_TYPE: &str = "application/json";

/// The three texts as a JSON object, each escaped.
pub(super) fn body_json(code: &str, reason: &str, hint: &str) -> String {
    let mut out = String::with_capacity(40 + code.len() + reason.len() + hint.len());
    for (key, text) in [
        ("{\"code\":\"", code),
        ("\",\"reason\":\"", reason),
        ("\",\"hint\":\"", hint),
    ] {
        out.push_str(key);
        escape(text, &mut out);
    }
    out.push_str("\"}");
    out
}

/// Escapes what RFC 8259 section 7 demands, and `<` so that the text is inert where somebody renders it as HTML after all.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '<' | '\u{7f}' => escape_unit(c, out),
            c if c < ' ' => escape_unit(c, out),
            c => match script::line_end(c.encode_utf8(&mut [0; 4]).as_bytes()) {
                Some(escape) => out.push_str(escape),
                None => out.push(c),
            },
        }
    }
}

fn escape_unit(c: char, out: &mut String) {
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        let digit = (u32::from(c) >> shift) & 0xf;
        out.push(char::from_digit(digit, 16).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_with_quotes_controls_and_markup_stays_one_json_string() {
        let fault = Fault::new(404, "not-found", "", "Look.")
            .with_reason("a\"b\\c\r\n\0<é\u{2028}".to_owned());
        let expected = r#"{"code":"not-found","reason":"a\"b\\c\u000d\u000a\u0000\u003cé\u2028","hint":"Look."}"#;
        assert_eq!(fault.body_json(), expected);
    }
}
