//! Reads the answer to a request of ours, however it is cut (RFC 9112 sections 4 and 6).
//!
//! Data in: bytes of the peer, and their end. Data out: an [`Answer`] when it is whole, or how it is none. Heads of 1xx are
//! passed over. What an answer may hold is bounded here, how long it may take is not known here. It must not know what was
//! asked: an answer that never has a body by its request's method (HEAD, CONNECT) is not for it.

use super::body::Chunked;
use super::head::{self, Framing};
use super::reader::Limits;
use super::refusal::Refusal;
use super::request::{Headers, Version};

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status, from 200 on.
    pub status: u16,
    /// Whether the peer takes another request on the connection.
    pub keep_alive: bool,
    /// Its body, decoded.
    pub body: Vec<u8>,
}

/// Why what came is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// Not HTTP/1.1 or 1.0, or of a length that two readers could see differently.
    Malformed,
    /// Heads of more than [`HEADS_BYTES_MAX`], or a body of more than [`BODY_BYTES_MAX`].
    TooBig,
}

/// An answer on its way.
#[derive(Debug, Default)]
pub struct Partial {
    /// The head as far as it came; then the body.
    bytes: Vec<u8>,
    /// Bytes of heads that were passed over.
    passed: usize,
    stage: Stage,
}

#[derive(Debug, Default)]
enum Stage {
    /// The head comes. Next: itself behind 1xx, `Body`.
    #[default]
    Head,
    /// The body comes, of an answer with this status on a connection that lives on, or not.
    Body(u16, bool, Rest),
}

/// How the end of a body is told.
#[derive(Debug)]
enum Rest {
    /// So many bytes are missing.
    Known(usize),
    Chunked(Box<Chunked>),
    /// By the end of the connection.
    UntilEnd,
}

impl Partial {
    /// Takes what belongs to the answer from the front of `input`; the answer when it is whole, else `input` is empty.
    ///
    /// # Errors
    /// [`NoAnswer`]; the connection is of no more use.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Answer>, NoAnswer> {
        while matches!(self.stage, Stage::Head) {
            if !self.feed_head(input)? {
                return Ok(None);
            }
        }
        let Stage::Body(_, _, rest) = &mut self.stage else {
            return Ok(None);
        };
        let whole = match rest {
            Rest::Known(left) => {
                let (data, behind) = input.split_at(input.len().min(*left));
                self.bytes.extend_from_slice(data);
                *left -= data.len();
                *input = behind;
                *left == 0
            }
            Rest::Chunked(chunked) => {
                let fed = chunked.feed(input, &mut self.bytes, BODY_BYTES_MAX);
                fed.map_err(of_refusal)?
            }
            Rest::UntilEnd => {
                if self.bytes.len() + input.len() > BODY_BYTES_MAX {
                    return Err(NoAnswer::TooBig);
                }
                self.bytes.extend_from_slice(std::mem::take(input));
                false
            }
        };
        Ok(whole.then(|| std::mem::take(self).take()).flatten())
    }

    /// The peer sends nothing more: the answer, if that is how its end is told.
    #[must_use]
    pub fn end(self) -> Option<Answer> {
        match self.stage {
            Stage::Body(_, _, Rest::UntilEnd) => self.take(),
            _ => None,
        }
    }

    /// Bytes held on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

    fn take(self) -> Option<Answer> {
        let Stage::Body(status, keep_alive, _) = self.stage else {
            return None;
        };
        Some(Answer {
            status,
            keep_alive,
            body: self.bytes,
        })
    }

    /// True when a head is whole, and its body is next, or the next head.
    fn feed_head(&mut self, input: &mut &[u8]) -> Result<bool, NoAnswer> {
        let before = self.bytes.len();
        let room = (HEADS_BYTES_MAX + 1).saturating_sub(self.passed + before);
        let (taken, _) = input.split_at(input.len().min(room));
        self.bytes.extend_from_slice(taken);
        if !STATUS_LINE.starts_with(self.bytes.get(..STATUS_LINE.len()).unwrap_or(&self.bytes)) {
            return Err(NoAnswer::Malformed);
        }
        // The end may have begun in what came before.
        let from = before.saturating_sub(HEAD_END.len() - 1);
        let found = memchr::memmem::find(self.bytes.get(from..).unwrap_or_default(), HEAD_END);
        let Some(at) = found else {
            *input = &[];
            return match self.passed + self.bytes.len() > HEADS_BYTES_MAX {
                true => Err(NoAnswer::TooBig),
                false => Ok(false),
            };
        };
        let end = from + at + HEAD_END.len();
        *input = input.get(end - before..).unwrap_or_default();
        self.bytes.truncate(end);
        self.passed += end;
        self.stage = stage(&self.bytes).ok_or(NoAnswer::Malformed)??;
        self.bytes = Vec::new();
        Ok(true)
    }
}

/// What a head says; `None` where it is none.
fn stage(head: &[u8]) -> Option<Result<Stage, NoAnswer>> {
    let (line, block) = head.split_at_checked(memchr::memchr(b'\n', head)? + 1)?;
    let rest = line.strip_prefix(STATUS_LINE)?;
    let (version, rest) = match rest {
        [b'1', b' ', rest @ ..] => (Version::Http11, rest),
        [b'0', b' ', rest @ ..] => (Version::Http10, rest),
        _ => return None,
    };
    let [
        a @ b'1'..=b'9',
        b @ b'0'..=b'9',
        c @ b'0'..=b'9',
        b' ' | b'\r',
        ..,
    ] = rest
    else {
        return None;
    };
    let [a, b, c] = [a, b, c].map(|digit| u16::from(digit - b'0'));
    let status = 100 * a + 10 * b + c;
    let headers = Headers::parse(block)?;
    match status {
        // Nobody asked for another protocol.
        101 => return None,
        100..=199 => return Some(Ok(Stage::Head)),
        _ => {}
    }
    let keep_alive = head::keep_alive(&headers, version);
    let told = headers.count("content-length") + headers.count("transfer-encoding") > 0;
    let rest = match status {
        204 | 304 => Ok(Rest::Known(0)),
        _ if !told => Ok(Rest::UntilEnd),
        _ => head::framing(&headers, version, &LIMITS).map_or_else(
            |refusal| Err(of_refusal(refusal)),
            |framing| match framing {
                Framing::Known(length) => Ok(Rest::Known(length)),
                Framing::Chunked => Ok(Rest::Chunked(Box::default())),
            },
        ),
    };
    Some(rest.map(|rest| {
        let keep_alive = keep_alive && !matches!(rest, Rest::UntilEnd);
        Stage::Body(status, keep_alive, rest)
    }))
}

fn of_refusal(refusal: Refusal) -> NoAnswer {
    match refusal {
        Refusal::BodyTooBig | Refusal::ChunkOverhead => NoAnswer::TooBig,
        _ => NoAnswer::Malformed,
    }
}

const STATUS_LINE: &[u8] = b"HTTP/1.";
const HEAD_END: &[u8] = b"\r\n\r\n";
/// Bytes of all heads of one answer: as much as `--max-head` is of a request's by default.
pub const HEADS_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a body: an error page fits, a download does not.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
const LIMITS: Limits = Limits {
    line_bytes_max: HEADS_BYTES_MAX,
    head_bytes_max: HEADS_BYTES_MAX,
    body_bytes_max: BODY_BYTES_MAX,
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, keep-alive and body of what comes in these pieces, and then ends; and what is behind it.
    fn read(pieces: &[&[u8]]) -> Result<Option<(u16, bool, String, String)>, NoAnswer> {
        let mut partial = Partial::default();
        let mut found: Option<(Answer, String)> = None;
        for piece in pieces {
            let mut input = *piece;
            if found.is_none() {
                found = partial
                    .feed(&mut input)?
                    .map(|answer| (answer, String::new()));
            }
            match &mut found {
                Some((_, behind)) => behind.push_str(&String::from_utf8_lossy(input)),
                None => assert!(input.is_empty()),
            }
            assert!(partial.heap_bytes() < 2 * (HEADS_BYTES_MAX + BODY_BYTES_MAX));
        }
        let found = found.or_else(|| partial.end().map(|answer| (answer, String::new())));
        Ok(found.map(|(answer, behind)| {
            let body = String::from_utf8(answer.body).unwrap();
            (answer.status, answer.keep_alive, body, behind)
        }))
    }

    /// Bytes, and what they are: status, keep-alive, body, and what is behind.
    const ANSWERS: [(&str, u16, bool, &str, &str); 8] = [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP",
            200,
            true,
            "ok",
            "HTTP",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, true, "", ""),
        (
            "HTTP/1.1 204\r\nContent-Length: 9\r\n\r\n",
            204,
            true,
            "",
            "",
        ),
        (
            "HTTP/1.1 500 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            500,
            false,
            "",
            "",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\
              Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\nT: v\r\n\r\n.",
            200,
            true,
            "abc",
            ".",
        ),
        (
            "HTTP/1.0 302 Found\r\nLocation: http://b/\r\n\r\nto the end",
            302,
            false,
            "to the end",
            "",
        ),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
            200,
            true,
            "x",
            "",
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\nto the end",
            200,
            false,
            "to the end",
            "",
        ),
    ];

    #[test]
    fn an_answer_is_the_same_whole_split_at_every_byte_and_dribbled() {
        for (text, status, keep_alive, body, behind) in ANSWERS {
            let whole = Ok(Some((
                status,
                keep_alive,
                body.to_owned(),
                behind.to_owned(),
            )));
            let bytes = text.as_bytes();
            assert_eq!(read(&[bytes]), whole, "{text:?}");
            for at in 0..bytes.len() {
                assert_eq!(
                    read(&[&bytes[..at], &bytes[at..]]),
                    whole,
                    "{text:?} at {at}"
                );
            }
            assert_eq!(
                read(&bytes.chunks(1).collect::<Vec<_>>()),
                whole,
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_cut_in_the_middle_is_no_answer() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "",
        ] {
            assert_eq!(read(&[text.as_bytes()]), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_http_or_could_be_read_two_ways_is_none() {
        for text in [
            "SSH-2.0-x\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.2 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000\r\n\r\n",
            "HTTP/1.1 099 x\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx",
            "HTTP/1.1 200 OK\r\n bad\r\n\r\n",
        ] {
            assert_eq!(
                read(&[text.as_bytes()]),
                Err(NoAnswer::Malformed),
                "{text:?}"
            );
        }
    }

    #[test]
    fn heads_and_bodies_are_bounded_however_they_are_told() {
        let endless = |front: &str, piece: &str| {
            let mut partial = Partial::default();
            let mut input = front.as_bytes();
            assert_eq!(partial.feed(&mut input), Ok(None));
            for _ in 0..100_000 {
                if let Err(no) = partial.feed(&mut piece.as_bytes()) {
                    return (no, partial.heap_bytes());
                }
            }
            panic!("{front:?} is endless");
        };
        let filler = "x".repeat(100);
        for (front, piece) in [
            ("HTTP/1.1 200 OK\r\nX: ", &*filler),
            ("HTTP/1.1 1", "00 Continue\r\n\r\nHTTP/1.1 1"),
            ("HTTP/1.1 200 OK\r\n\r\n", &*filler),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "1\r\nx\r\n",
            ),
        ] {
            let (no, held) = endless(front, piece);
            assert_eq!(no, NoAnswer::TooBig, "{front:?}");
            assert!(held < 3 * BODY_BYTES_MAX, "{front:?} holds {held}");
        }
        let huge = b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n";
        assert_eq!(read(&[huge]), Err(NoAnswer::TooBig));
    }
}
