//! Text of a transcript: literal bytes with names and gaps in between.
//!
//! In: a line as written, with escapes. Out: bytes to send, or the answer whether bytes that came are these.

use std::collections::HashMap;

/// What placeholders stand for; filled in as answers come.
pub type Names = HashMap<String, Vec<u8>>;

/// A text with placeholders.
#[derive(Debug, Clone, Default)]
pub struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Literal(Vec<u8>),
    /// `{name}`: what came there first is what must come, or is sent, from then on.
    Name(String),
    /// `{...}`: anything.
    Gap,
}

impl Pattern {
    /// Reads `text`: `\r \n \t \0 \\ \s \xHH` are bytes, `{name}` and `{...}` placeholders, `{ab*3}` is `ababab`.
    pub fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            let close = from.find('}').unwrap_or(from.len());
            let inner = from.get(1..close).unwrap_or_default();
            let (piece, used) = match placeholder(inner) {
                Some(piece) => (piece, close + 1),
                None => (Piece::Literal(b"{".to_vec()), 1),
            };
            pieces.push(Piece::Literal(unescape(before)));
            pieces.push(piece);
            rest = &from[used..];
        }
        pieces.push(Piece::Literal(unescape(rest)));
        pieces.retain(|piece| *piece != Piece::Literal(Vec::new()));
        Self(pieces)
    }

    /// Puts `more` at the end.
    pub fn append(&mut self, more: Pattern) {
        self.0.extend(more.0);
    }

    /// Whether its literal beginning is `text`.
    pub fn starts_with(&self, text: &str) -> bool {
        matches!(self.0.first(), Some(Piece::Literal(bytes)) if bytes.starts_with(text.as_bytes()))
    }

    /// The bytes, given what the names stand for.
    pub fn bytes(&self, names: &Names) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Name(name) => out.extend_from_slice(
                    names
                        .get(name)
                        .ok_or(format!("{{{name}}} is not known yet"))?,
                ),
                Piece::Gap => return Err("{...} cannot be sent".into()),
            }
        }
        Ok(out)
    }

    /// Whether `came` is this text, whole. Names not known yet are learnt.
    pub fn is(&self, came: &[u8], names: &mut Names) -> bool {
        matches(&self.0, came, names)
    }

    /// Whether `came` begins with this text, and how long it is there. Without gaps.
    pub fn begins(&self, came: &[u8], names: &Names) -> Option<usize> {
        let bytes = self.bytes(names).ok()?;
        came.starts_with(&bytes).then_some(bytes.len())
    }
}

fn matches(pieces: &[Piece], came: &[u8], names: &mut Names) -> bool {
    let Some((first, rest)) = pieces.split_first() else {
        return came.is_empty();
    };
    match first {
        Piece::Literal(bytes) => came
            .strip_prefix(&bytes[..])
            .is_some_and(|after| matches(rest, after, names)),
        Piece::Gap => (0..=came.len()).any(|skip| matches(rest, &came[skip..], names)),
        Piece::Name(name) => {
            if let Some(known) = names.get(name).cloned() {
                return came
                    .strip_prefix(&known[..])
                    .is_some_and(|after| matches(rest, after, names));
            }
            let is_end = |byte: &u8| !byte.is_ascii_alphanumeric() && !b"-_".contains(byte);
            let len = came.iter().position(is_end).unwrap_or(came.len());
            names.insert(name.clone(), came[..len].to_vec());
            len > 0 && matches(rest, &came[len..], names)
        }
    }
}

fn placeholder(inner: &str) -> Option<Piece> {
    if inner == "..." {
        return Some(Piece::Gap);
    }
    if let Some((text, count)) = inner.rsplit_once('*')
        && let Ok(count) = count.parse()
    {
        return Some(Piece::Literal(unescape(text).repeat(count)));
    }
    let is_name = inner.starts_with(|c: char| c.is_ascii_lowercase())
        && inner
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    is_name.then(|| Piece::Name(inner.to_owned()))
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b's') => b' ',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let hex: String = bytes.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&hex, 16).unwrap_or_else(|_| panic!("\\x{hex} in {text:?}"))
            }
            other => panic!("no such escape: \\{:?} in {text:?}", other.map(char::from)),
        });
    }
    out
}
