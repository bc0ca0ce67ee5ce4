//! CSP packets as text, both ways (1.4).
//!
//! In: a batch a client sent; a payload to spell. Out: numbered bytes; the tail of a packet, `,ENC,"DATA"]`,
//! that is the same for every session and so is made once. It knows no session.

use crate::mem::{Form, Msg, script};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor,
};
use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;

/// What a client can read, as agreed at the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Encodings 0 and 1, as the draft says.
    Plain,
    /// Encoding 2 as well: UTF-8 text as it is.
    Utf8,
    /// No packets of CSP: payloads as their service spelled them.
    Raw,
}

/// A packet from a client.
#[derive(Debug, PartialEq, Eq)]
pub struct Up<'a> {
    /// Its number; 1, 2, 3 ... over the whole session.
    pub id: u64,
    /// Its bytes; `None` is the close packet.
    pub data: Option<Cow<'a, [u8]>>,
}

/// Why a batch was refused. An old client would repeat it for ever, so its session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchError {
    /// Not an array of `[id, encoding, data]`.
    Syntax,
    /// More packets than the cap.
    TooMany,
    /// An encoding that is not 0, 1 or 2.
    UnknownEncoding,
    /// Encoding 1 with text that is not base64.
    BadBase64,
}

/// Makes sure `msg` is spelled for clients that read `encoding`, and says which spelling that is.
pub fn spell(msg: &Msg, encoding: Encoding) -> Form {
    let form = match encoding {
        Encoding::Plain => Form::Plain,
        Encoding::Utf8 => Form::Utf8,
        Encoding::Raw => Form::Raw,
    };
    msg.spelled(form, |bytes| tail(bytes, encoding));
    form
}

/// Reads a batch of at most `packets_max` packets.
///
/// # Errors
/// [`BatchError`]; nothing of a bad batch is taken.
pub fn parse(
    batch: &[u8],
    packets_max: usize,
    agreed: Encoding,
) -> Result<Vec<Up<'_>>, BatchError> {
    let mut too_many = false;
    let mut deserializer = serde_json::Deserializer::from_slice(batch);
    let packets = Packets {
        packets_max,
        too_many: &mut too_many,
    };
    let raw = packets.deserialize(&mut deserializer);
    let raw = raw.and_then(|raw| deserializer.end().map(|()| raw));
    let raw = raw.map_err(|_| {
        if too_many {
            BatchError::TooMany
        } else {
            BatchError::Syntax
        }
    })?;
    raw.into_iter()
        .map(|packet| decode(packet, agreed))
        .collect()
}

fn decode(Raw { id, encoding, data }: Raw<'_>, agreed: Encoding) -> Result<Up<'_>, BatchError> {
    if encoding == 2 && agreed == Encoding::Plain {
        return Err(BatchError::UnknownEncoding);
    }
    let data = match (encoding, data) {
        (_, None) => None,
        (0 | 2, Some(Cow::Borrowed(text))) => Some(Cow::Borrowed(text.as_bytes())),
        (0 | 2, Some(Cow::Owned(text))) => Some(Cow::Owned(text.into_bytes())),
        (1, Some(text)) => Some(Cow::Owned(base64_bytes(&text)?)),
        _ => return Err(BatchError::UnknownEncoding),
    };
    Ok(Up { id, data })
}

/// Both alphabets, padding or none, line ends passed over. A blank was a plus before a form was decoded.
fn base64_bytes(text: &str) -> Result<Vec<u8>, BatchError> {
    let symbol = |byte: u8| match byte {
        b'-' | b' ' => Some(b'+'),
        b'_' => Some(b'/'),
        b'\r' | b'\n' | b'\t' | b'=' => None,
        other => Some(other),
    };
    let clean: Vec<u8> = text.bytes().filter_map(symbol).collect();
    LENIENT.decode(clean).map_err(|_| BatchError::BadBase64)
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// `,0,"text"]`, `,1,"base64"]` or `,2,"text"]`. Clients of the draft die of encoding 0 with anything but
/// printable ASCII (1.4), and the acceptance suite fails a server that encodes always.
fn tail(bytes: &[u8], encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    let printable = bytes.iter().all(|byte| (32..=126).contains(byte));
    match std::str::from_utf8(bytes) {
        Ok(text) if printable => quote(&mut out, b",0,\"", text),
        Ok(text) if encoding == Encoding::Utf8 => quote(&mut out, b",2,\"", text),
        _ => {
            out.extend_from_slice(b",1,\"");
            out.extend_from_slice(URL_SAFE.encode(bytes).as_bytes());
        }
    }
    out.extend_from_slice(b"\"]");
    out
}

/// A JSON string that may also stand in a script and in a script element: no line end of JavaScript's,
/// no end tag, no comment.
fn quote(out: &mut Vec<u8>, head: &[u8], text: &str) {
    out.extend_from_slice(head);
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let after = bytes.get(at + 1..).unwrap_or(&[]);
        let (escape, len): (&[u8], usize) = match (byte, after) {
            (b'"', _) => (b"\\\"", 1),
            (b'\\', _) => (b"\\\\", 1),
            (b'<', [b'/' | b'!' | b's' | b'S', ..]) => (b"\\u003c", 1),
            (0xE2, _) => match script::line_end(bytes.get(at..).unwrap_or(&[])) {
                Some(escape) => (escape.as_bytes(), script::LINE_END_BYTES),
                None => continue,
            },
            (0..0x20, _) => (b"", 1),
            _ => continue,
        };
        out.extend_from_slice(bytes.get(copied..at).unwrap_or(&[]));
        out.extend_from_slice(escape);
        if escape.is_empty() {
            // Writing to a vector cannot fail.
            let _ = write!(out, "\\u{byte:04x}");
        }
        copied = at + len;
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or(&[]));
}

/// Reads an array of packets, no longer than it may be.
struct Packets<'a> {
    packets_max: usize,
    too_many: &'a mut bool,
}

struct Raw<'a> {
    id: u64,
    encoding: u64,
    data: Option<Cow<'a, str>>,
}

/// A JSON string, borrowed where it has no escapes, or null.
struct Text<'a>(Option<Cow<'a, str>>);

impl<'de> DeserializeSeed<'de> for Packets<'_> {
    type Value = Vec<Raw<'de>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Packets<'_> {
    type Value = Vec<Raw<'de>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of packets")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut packets = Vec::new();
        while let Some(packet) = seq.next_element()? {
            if packets.len() >= self.packets_max {
                *self.too_many = true;
                return Err(A::Error::custom("too many packets"));
            }
            packets.push(packet);
        }
        Ok(packets)
    }
}

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Triple;
        impl<'de> Visitor<'de> for Triple {
            type Value = Raw<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[id, encoding, data]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw<'de>, A::Error> {
                let id = seq
                    .next_element()?
                    .ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let encoding = seq
                    .next_element()?
                    .ok_or_else(|| A::Error::invalid_length(1, &self))?;
                let Text(data) = seq
                    .next_element()?
                    .ok_or_else(|| A::Error::invalid_length(2, &self))?;
                if seq.next_element::<IgnoredAny>()?.is_some() {
                    return Err(A::Error::invalid_length(4, &self));
                }
                Ok(Raw { id, encoding, data })
            }
        }
        deserializer.deserialize_seq(Triple)
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrNull;
        impl<'de> Visitor<'de> for StringOrNull {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or null")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }
            fn visit_unit<E>(self) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }
        }
        deserializer.deserialize_any(StringOrNull)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Vec<u8>, BatchError> {
        let packets = parse(text.as_bytes(), 10, Encoding::Utf8)?;
        Ok(packets
            .into_iter()
            .filter_map(|p| p.data)
            .flat_map(Cow::into_owned)
            .collect())
    }

    #[test]
    fn every_client_generations_base64_is_read() {
        let bytes = "hello é€".as_bytes();
        for text in ["aGVsbG8gw6nigqw", "aGVsbG8gw6nigqw=", "aGVs\\nbG8gw6nigqw"] {
            assert_eq!(one(&format!("[[1,1,\"{text}\"]]")).unwrap(), bytes);
        }
        assert_eq!(one(r#"[[1,1,"-_8="]]"#), one(r#"[[1,1,"+/8"]]"#));
        assert_eq!(one(r#"[[1,1," /8"]]"#), one(r#"[[1,1,"+/8"]]"#));
    }

    #[test]
    fn null_is_the_close_packet_whatever_its_encoding() {
        for batch in ["[[4,0,null]]", "[[4,1,null]]"] {
            assert_eq!(
                parse(batch.as_bytes(), 1, Encoding::Plain).unwrap(),
                [Up { id: 4, data: None }]
            );
        }
    }

    #[test]
    fn what_is_no_batch_is_refused_with_its_reason() {
        for bad in [
            "",
            "nope",
            "{}",
            "[1]",
            "[[1,0]]",
            "[[1,0,\"x\",1]]",
            "[[-1,0,\"x\"]]",
            "[[1,0,\"x\"]",
        ] {
            assert_eq!(one(bad), Err(BatchError::Syntax), "{bad}");
        }
        assert_eq!(one(r#"[[9,3,"x"]]"#), Err(BatchError::UnknownEncoding));
        assert_eq!(one(r#"[[9,1,"x!"]]"#), Err(BatchError::BadBase64));
        assert_eq!(
            parse(b"[[1,0,\"\"],[2,0,\"\"]]", 1, Encoding::Plain),
            Err(BatchError::TooMany)
        );
    }

    #[test]
    fn encoding_2_is_read_only_where_it_was_agreed() {
        let batch = br#"[[1,2,"x"]]"#;
        assert!(parse(batch, 1, Encoding::Utf8).is_ok());
        assert_eq!(
            parse(batch, 1, Encoding::Plain),
            Err(BatchError::UnknownEncoding)
        );
    }

    #[test]
    fn the_tail_suits_the_bytes_and_the_client() {
        let tail =
            |text: &str, encoding| String::from_utf8(tail(text.as_bytes(), encoding)).unwrap();
        assert_eq!(tail("a\"b\\", Encoding::Plain), r#",0,"a\"b\\"]"#);
        assert_eq!(tail("hé", Encoding::Plain), r#",1,"aMOp"]"#);
        assert_eq!(
            tail("hé\n\u{2028}", Encoding::Utf8),
            ",2,\"hé\\u000a\\u2028\"]"
        );
        assert_eq!(
            tail("</script><!-- <b", Encoding::Plain),
            ",0,\"\\u003c/script>\\u003c!-- <b\"]"
        );
    }

    #[test]
    fn whatever_is_spelled_is_read_back_as_it_was() {
        let mut rng = crate::rng::Rng::new([4; 32]);
        for _ in 0..2_000 {
            let odd = [
                "a",
                "\"",
                "\\",
                "é",
                "😀",
                "\u{2029}",
                "</script>",
                "\n",
                "\0",
                "<!--",
                "\u{7f}",
            ];
            let text: String = (0..rng.below(12))
                .map(|_| odd[rng.below(11) as usize])
                .collect();
            for encoding in [Encoding::Plain, Encoding::Utf8] {
                let mut batch = b"[[1".to_vec();
                batch.extend_from_slice(&tail(text.as_bytes(), encoding));
                batch.push(b']');
                assert_eq!(
                    one(std::str::from_utf8(&batch).unwrap()).unwrap(),
                    text.as_bytes()
                );
            }
        }
    }
}
