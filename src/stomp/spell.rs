//! Frames of a server, to bytes.
//!
//! In: a command, headers as they are meant, a body. Out: the frame, escaped as its version says. What a version cannot say
//! is said as near as it can: in 1.0 a line end becomes a blank, in 1.1 a CR stands as it is.

use super::Version;

/// Appends a header line. `None` for a frame that is never escaped.
pub fn header(out: &mut Vec<u8>, version: Option<Version>, name: &str, value: &str) {
    escape(out, version, name, true);
    out.push(b':');
    escape(out, version, value, false);
    out.push(b'\n');
}

fn escape(out: &mut Vec<u8>, version: Option<Version>, text: &str, is_name: bool) {
    let special = |byte: &u8| matches!(byte, b'\\' | b':' | b'\n' | b'\r');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(special) {
        let (plain, behind) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, behind)) = behind.split_first() else {
            return;
        };
        rest = behind;
        match (byte, version) {
            (b'\n', None | Some(Version::V10)) | (b'\r', None | Some(Version::V10)) => {
                out.push(b' ');
            }
            // The first colon ends the name.
            (b':', None | Some(Version::V10)) if is_name => out.push(b'_'),
            (_, None | Some(Version::V10)) | (b'\r', Some(Version::V11)) => out.push(*byte),
            (b'\n', _) => out.extend_from_slice(b"\\n"),
            (b'\r', _) => out.extend_from_slice(b"\\r"),
            (b':', _) => out.extend_from_slice(b"\\c"),
            (_, _) => out.extend_from_slice(b"\\\\"),
        }
    }
    out.extend_from_slice(rest);
}

/// A whole frame; its body's length and type are said where there is one.
#[must_use]
pub fn frame(
    version: Option<Version>,
    command: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Vec<u8> {
    framed(version, command, headers, ("text/plain", body.as_bytes()))
}

/// The same, whose body is of the type `kind`.
#[must_use]
pub fn framed(
    version: Option<Version>,
    command: &str,
    headers: &[(&str, &str)],
    (kind, body): (&str, &[u8]),
) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + body.len());
    out.extend_from_slice(command.as_bytes());
    out.push(b'\n');
    for (name, value) in headers {
        header(&mut out, version, name, value);
    }
    if !body.is_empty() {
        header(&mut out, None, "content-type", kind);
        header(&mut out, None, "content-length", &body.len().to_string());
    }
    out.push(b'\n');
    out.extend_from_slice(body);
    out.push(0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(version: Option<Version>, name: &str, value: &str) -> String {
        let mut out = Vec::new();
        header(&mut out, version, name, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_header_says_what_its_version_can() {
        let (name, value) = ("a:b", "c:d\\e\nf\rg");
        let v12 = line(Some(Version::V12), name, value);
        assert_eq!(v12, "a\\cb:c\\cd\\\\e\\nf\\rg\n");
        let v11 = line(Some(Version::V11), name, value);
        assert_eq!(v11, "a\\cb:c\\cd\\\\e\\nf\rg\n");
        let v10 = line(Some(Version::V10), name, value);
        assert_eq!(v10, "a_b:c:d\\e f g\n");
        assert_eq!(line(None, "k", "1:2"), "k:1:2\n");
    }

    #[test]
    fn a_body_has_its_length_and_an_empty_one_none() {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert_eq!(
            text(frame(
                Some(Version::V12),
                "ERROR",
                &[("message", "no")],
                "é"
            )),
            "ERROR\nmessage:no\ncontent-type:text/plain\ncontent-length:2\n\né\0"
        );
        assert_eq!(text(frame(None, "RECEIPT", &[], "")), "RECEIPT\n\n\0");
    }
}
