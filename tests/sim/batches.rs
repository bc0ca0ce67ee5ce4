//! Takes batches out of a comet response's body, and knows how the text around them must look.
//!
//! In: a body in pieces, the settings it was asked for with. Out: the packets of each batch, and the text in
//! front of it to be compared with what CSP 1.5 prescribes.

use super::settings::Settings;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

/// A packet from the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet {
    pub id: u64,
    /// Its bytes; `None` is the close packet.
    pub data: Option<Vec<u8>>,
}

/// Reads one body.
#[derive(Debug, Default)]
pub struct Batches {
    buffer: Vec<u8>,
    /// How much of the buffer holds no beginning of an array.
    searched: usize,
    /// The last id of the batch before; `None` inside when that was empty.
    before: Option<Option<u64>>,
}

impl Batches {
    /// A piece of the body came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole batch: the text in front of its array, and the array.
    pub fn next(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let from = self.buffer.get(self.searched..)?;
        let Some(at) = from.windows(2).position(|two| two == b"([") else {
            self.searched = self.buffer.len().saturating_sub(1);
            return None;
        };
        self.searched += at;
        let len = array_len(self.buffer.get(self.searched + 1..)?)?;
        let front: Vec<u8> = self.buffer.drain(..=self.searched).collect();
        self.searched = 0;
        Some((front, self.buffer.drain(..len).collect()))
    }

    /// The text in front of the next batch's array, as it must be.
    pub fn expected_front(&self, settings: &Settings) -> Vec<u8> {
        let mut text = match self.before {
            None => settings.front(),
            Some(last) => settings.behind(last),
        };
        text.extend_from_slice(&settings.before_batch());
        text.push(b'(');
        text
    }

    /// A batch was taken whose last packet is `last`.
    pub fn took(&mut self, last: Option<u64>) {
        self.before = Some(last);
    }

    /// What is left at the end, and what must be.
    pub fn rest(&self, settings: &Settings) -> (&[u8], Vec<u8>) {
        let expected = self
            .before
            .map_or(settings.front(), |last| settings.behind(last));
        (&self.buffer, expected)
    }
}

/// The packets of an array.
pub fn packets(array: &[u8], utf8: bool) -> Vec<Packet> {
    let raw: Vec<(u64, u8, Option<String>)> = serde_json::from_slice(array)
        .unwrap_or_else(|e| panic!("no batch ({e}): {}", String::from_utf8_lossy(array)));
    raw.into_iter()
        .map(|(id, encoding, text)| Packet {
            id,
            data: decode(encoding, text, utf8),
        })
        .collect()
}

fn decode(encoding: u8, text: Option<String>, utf8: bool) -> Option<Vec<u8>> {
    let text = text?;
    match encoding {
        0 => assert!(
            text.bytes().all(|byte| (32..=126).contains(&byte)),
            "encoding 0: {text:?}"
        ),
        1 => {
            return Some(
                URL_SAFE
                    .decode(&text)
                    .unwrap_or_else(|e| panic!("base64 ({e}): {text:?}")),
            );
        }
        2 => assert!(utf8, "encoding 2 was not agreed"),
        _ => panic!("encoding {encoding}"),
    }
    Some(text.into_bytes())
}

/// How long the JSON array at the front is, if it is whole.
fn array_len(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match (quoted, escaped, byte) {
            (true, true, _) => escaped = false,
            (true, false, b'\\') => escaped = true,
            (_, false, b'"') => quoted = !quoted,
            (false, _, b'[') => depth += 1,
            (false, _, b']') => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}
