//! CSP batches, `([[ID,ENCODING,"DATA"], …])` or without the parentheses, read for their ids and data.
//!
//! In: a whole batch. Out: packets that borrow from it. Data is left as it is spelled: marks survive every
//! spelling but base64, which our handshake does not ask for.

use crate::trouble::Fault;
use memchr::memchr2;

/// A packet from the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its number; 1, 2, 3 … in a session.
    pub id: u32,
    /// Its JSON string without the quotes; `None` closes the session.
    pub data: Option<&'a [u8]>,
}

/// The packets of a batch, in turn.
#[derive(Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

/// Reads a batch.
///
/// # Errors
/// [`Fault::Batch`] for what is none.
pub fn packets(batch: &[u8]) -> Result<Packets<'_>, Fault> {
    let batch = batch.trim_ascii();
    let inner = batch.strip_prefix(b"(").and_then(|b| b.strip_suffix(b")"));
    let array = inner.unwrap_or(batch);
    let array = array.strip_prefix(b"[").and_then(|b| b.strip_suffix(b"]"));
    Ok(Packets {
        rest: array.ok_or(Fault::Batch)?,
    })
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.trim_ascii_start().is_empty() {
            return None;
        }
        let packet = self.packet().ok_or(Fault::Batch);
        if packet.is_err() {
            self.rest = &[];
        }
        Some(packet)
    }
}

impl<'a> Packets<'a> {
    fn packet(&mut self) -> Option<Packet<'a>> {
        self.token(b'[')?;
        let id = self.number()?;
        self.token(b',')?;
        self.number()?;
        self.token(b',')?;
        let data = self.string_or_null()?;
        self.token(b']')?;
        // A comma, but for the last.
        if !self.rest.trim_ascii_start().is_empty() {
            self.token(b',')?;
        }
        Some(Packet { id, data })
    }

    fn token(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.rest.trim_ascii_start().split_first()?;
        self.rest = rest;
        (*first == byte).then_some(())
    }

    fn number(&mut self) -> Option<u32> {
        let text = self.rest.trim_ascii_start();
        let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
        let (digits, rest) = text.split_at_checked(end)?;
        self.rest = rest;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    fn string_or_null(&mut self) -> Option<Option<&'a [u8]>> {
        let text = self.rest.trim_ascii_start();
        if let Some(rest) = text.strip_prefix(b"null") {
            self.rest = rest;
            return Some(None);
        }
        let text = text.strip_prefix(b"\"")?;
        let mut at = 0;
        loop {
            at += memchr2(b'"', b'\\', text.get(at..)?)?;
            if text.get(at) == Some(&b'"') {
                break;
            }
            at += 2;
        }
        self.rest = text.get(at + 1..)?;
        Some(text.get(..at))
    }
}

/// The session's key out of a handshake's answer, `({"session":"KEY"})`.
#[must_use]
pub fn session_key(answer: &[u8]) -> Option<Box<str>> {
    let object = answer.trim_ascii();
    let inner = object.strip_prefix(b"(").and_then(|b| b.strip_suffix(b")"));
    let object: serde_json::Value = serde_json::from_slice(inner.unwrap_or(object)).ok()?;
    Some(object.get("session")?.as_str()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(batch: &str) -> Result<Vec<(u32, Option<String>)>, Fault> {
        let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
        packets(batch.as_bytes())?
            .map(|packet| packet.map(|p| (p.id, p.data.map(text))))
            .collect()
    }

    #[test]
    fn packets_are_read_with_and_without_parentheses() {
        let expected = vec![(1, Some(r#"a\"],[\\"#.to_owned())), (22, None)];
        for batch in [
            r#"([[1,0,"a\"],[\\"],[22,1,null]])"#,
            r#" [ [1, 0, "a\"],[\\"] , [22, 1, null] ] "#,
        ] {
            assert_eq!(read(batch), Ok(expected.clone()), "{batch}");
        }
        assert_eq!(read("([])"), Ok(vec![]));
        assert_eq!(read("[]"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_batch_is_a_fault() {
        for bad in [
            "",
            "()",
            "([)",
            "[1]",
            "[[1,0]]",
            "[[1,0,\"x]]",
            "[[1,0,\"\\\"]]",
            "[[a,0,null]]",
        ] {
            assert_eq!(read(bad), Err(Fault::Batch), "{bad}");
        }
    }

    #[test]
    fn the_key_is_read_out_of_the_handshakes_answer() {
        assert_eq!(
            session_key(br#"({"session":"abc"})"#).as_deref(),
            Some("abc")
        );
        assert_eq!(session_key(br#"({"session":1})"#), None);
        assert_eq!(session_key(b"nope"), None);
    }
}
