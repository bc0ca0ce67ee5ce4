//! Frames of 0.4 for an application, to bytes.
//!
//! In: an action, headers, a body. Out: the frame, which ends as the application's own do. What users chose goes through here:
//! nothing of it is taken for the end of a header or of a frame.

use super::Terminator;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How one application is written to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// What ends a frame.
    pub terminator: Terminator,
    /// Whether it knows `length`, since it wrote one itself.
    pub lengths: bool,
}

impl Style {
    /// A whole frame. A body that holds what ends a frame is written as base64, and says so, where the application knows no
    /// `length`.
    #[must_use]
    pub fn frame(self, action: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + body.len());
        out.extend_from_slice(action.as_bytes());
        out.extend_from_slice(b"\r\n");
        for (name, value) in headers {
            self.header(&mut out, name, value);
        }
        let end = self.terminator.bytes();
        let hidden = !self.lengths && memchr::memmem::find(body, end).is_some();
        if hidden {
            self.header(&mut out, "encoding", "base64");
        }
        if self.lengths && !body.is_empty() {
            self.header(&mut out, "length", &body.len().to_string());
        }
        out.extend_from_slice(b"\r\n");
        match hidden {
            true => out.extend_from_slice(STANDARD.encode(body).as_bytes()),
            false => out.extend_from_slice(body),
        }
        out.extend_from_slice(end);
        out
    }

    fn header(self, out: &mut Vec<u8>, name: &str, value: &str) {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        let plain = |byte: u8| match byte {
            b'\r' | b'\n' | 0 => b' ',
            byte => byte,
        };
        out.extend(value.bytes().map(plain));
        // With its line's end it would be the frame's; blanks at the end of a value are nobody's.
        if value.ends_with("^@") {
            out.push(b' ');
        }
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(style: Style, headers: &[(&str, &str)], body: &[u8]) -> String {
        String::from_utf8(style.frame("A", headers, body)).unwrap()
    }

    #[test]
    fn nothing_that_is_told_ends_a_frame_early() {
        let nul = Style::default();
        let typed = Style {
            terminator: Terminator::Typed,
            lengths: false,
        };
        assert_eq!(
            spelled(nul, &[("k", "a\r\nb\0c")], b""),
            "A\r\nk:a  b c\r\n\r\n\0"
        );
        assert_eq!(
            spelled(typed, &[("k", "a^@")], b""),
            "A\r\nk:a^@ \r\n\r\n^@\r\n"
        );
        assert_eq!(
            spelled(nul, &[], b"x\0y"),
            "A\r\nencoding:base64\r\n\r\neAB5\0"
        );
        assert_eq!(spelled(typed, &[], b"x\0y"), "A\r\n\r\nx\0y^@\r\n");
        assert_eq!(
            spelled(typed, &[], b"x^@\r\ny"),
            "A\r\nencoding:base64\r\n\r\neF5ADQp5^@\r\n"
        );
        let long = Style {
            lengths: true,
            ..nul
        };
        assert_eq!(spelled(long, &[], b"x\0y"), "A\r\nlength:3\r\n\r\nx\0y\0");
    }
}
