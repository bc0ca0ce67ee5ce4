//! What is in a token and whether it would be taken, for people.
//!
//! In: a token, keys, the moment. Out: lines, and the verdict. What nobody has signed is shown too, and said to be so.

use super::{Bad, Keys, TOKEN_BYTES_MAX, object};
use std::fmt::Write as _;

impl Keys {
    /// Lines about a token, and whether it is taken at `unix_ms`.
    #[must_use]
    pub fn report(&self, text: &str, unix_ms: u64) -> (String, bool) {
        let mut out = String::new();
        let parts = text.split('.').zip(["header", "claims"]);
        for (part, name) in parts.filter(|_| text.len() <= TOKEN_BYTES_MAX) {
            // What is printed is JSON again: its control characters are escaped.
            if let Ok(fields) = object(part) {
                let fields = serde_json::Value::Object(fields);
                let _ = writeln!(out, "{name}  {fields}");
            }
        }
        let signed = self.read(text);
        let verdict = self.check(text, unix_ms);
        let _ = match (&signed, &verdict) {
            (_, Ok(claims)) => {
                let left_s = claims.exp.saturating_sub(unix_ms / 1000);
                writeln!(out, "taken: it ends in {left_s} s")
            }
            (Ok(_), Err(bad)) => writeln!(out, "refused: {}: {bad}", bad.code()),
            (Err(_), Err(bad)) => writeln!(out, "refused: {}: {bad}{}", bad.code(), doubt(*bad)),
        };
        (out, verdict.is_ok())
    }
}

/// What was shown above is then what anybody may have written.
fn doubt(bad: Bad) -> &'static str {
    match bad {
        Bad::Claim(_) | Bad::Form | Bad::TooLong => "",
        _ => "; nobody has signed what it says",
    }
}
