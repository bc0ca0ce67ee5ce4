//! HTTP/1.1 responses, bit by bit: heads, and bodies by length, by chunks or to the end.
//!
//! In: bytes as they came, and where the connection stood (8 bytes). Out: events that borrow from them. What
//! is not taken is to be given again with more behind it.

use crate::trouble::Fault;
use memchr::memmem;

/// Where a connection stands in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Body {
    /// Before or in a head.
    #[default]
    Head,
    /// So many bytes of a body are left.
    Length(u32),
    /// Before or in a chunk's size.
    ChunkSize,
    /// So many bytes of a chunk are left, with its line end.
    Chunk(u32),
    /// Behind the last chunk: trailers, until an empty line.
    Trailer,
    /// A body that ends with its connection.
    UntilClose,
    /// Another protocol from here on.
    Upgraded,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Nothing more in these bytes.
    More,
    /// A head with this status.
    Head(u16),
    /// A piece of the body.
    Data(&'a [u8]),
    /// The end of the response.
    End,
}

/// Reads the next event off the front of `input`.
///
/// # Errors
/// [`Fault::Response`] where HTTP is broken, [`Fault::TooMuch`] for a head over [`HEAD_BYTES_MAX`].
pub fn next<'a>(body: &mut Body, input: &mut &'a [u8]) -> Result<Event<'a>, Fault> {
    loop {
        match *body {
            Body::Head => return head(body, input),
            Body::Length(0) => {
                *body = Body::Head;
                return Ok(Event::End);
            }
            Body::Length(left) => {
                let (data, left) = take(input, left);
                *body = Body::Length(left);
                return Ok(piece(data));
            }
            Body::ChunkSize => match line(input)? {
                None => return Ok(Event::More),
                Some(line) => *body = chunk(line)?,
            },
            // The line end behind a chunk is its last two bytes.
            Body::Chunk(left @ ..=2) => match input.len() as u64 >= u64::from(left) {
                false => return Ok(Event::More),
                true => {
                    take(input, left);
                    *body = Body::ChunkSize;
                }
            },
            Body::Chunk(left) => {
                let (data, left) = take(input, left - 2);
                *body = Body::Chunk(left + 2);
                return Ok(piece(data));
            }
            Body::Trailer => match line(input)? {
                None => return Ok(Event::More),
                Some([]) => *body = Body::Length(0),
                Some(_) => {}
            },
            Body::UntilClose | Body::Upgraded => {
                let data = std::mem::take(input);
                return Ok(piece(data));
            }
        }
    }
}

/// A body of an answer that should be short, read to its end: `None` until it is all there.
///
/// # Errors
/// As [`next`], and any status but 200.
pub fn whole<'a>(body: &mut Body, input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Fault> {
    let (mut at, mut rest) = (*body, *input);
    let mut data: &[u8] = &[];
    loop {
        match next(&mut at, &mut rest)? {
            Event::More => return Ok(None),
            Event::Head(200) => {}
            Event::Head(_) => return Err(Fault::Response),
            Event::Data(piece) if data.is_empty() => data = piece,
            // Over several chunks: no answer that is waited for in one piece comes so.
            Event::Data(_) => return Err(Fault::TooMuch),
            Event::End => {
                (*body, *input) = (at, rest);
                return Ok(Some(data));
            }
        }
        if let Body::Length(left @ 1..) = at
            && u64::from(left) > rest.len() as u64
        {
            return Ok(None);
        }
    }
}

fn piece(data: &[u8]) -> Event<'_> {
    match data {
        [] => Event::More,
        data => Event::Data(data),
    }
}

fn take<'a>(input: &mut &'a [u8], most: u32) -> (&'a [u8], u32) {
    let here = input.len().min(most as usize);
    let (data, rest) = input.split_at(here);
    *input = rest;
    // `here` is at most `most`, which is 32 bits.
    (data, most - here as u32)
}

fn line<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Fault> {
    let Some(end) = memchr::memchr(b'\n', input) else {
        return match input.len() {
            0..LINE_BYTES_MAX => Ok(None),
            _ => Err(Fault::TooMuch),
        };
    };
    let line = input.get(..end).unwrap_or_default();
    *input = input.get(end + 1..).unwrap_or_default();
    Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
}

fn chunk(line: &[u8]) -> Result<Body, Fault> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = std::str::from_utf8(digits).map_err(|_| Fault::Response)?;
    let size = u32::from_str_radix(digits.trim(), 16).map_err(|_| Fault::Response)?;
    match size {
        0 => Ok(Body::Trailer),
        1..CHUNK_BYTES_MAX => Ok(Body::Chunk(size + 2)),
        _ => Err(Fault::TooMuch),
    }
}

fn head<'a>(body: &mut Body, input: &mut &'a [u8]) -> Result<Event<'a>, Fault> {
    let Some(end) = memmem::find(input, b"\r\n\r\n") else {
        return match input.len() {
            0..HEAD_BYTES_MAX => Ok(Event::More),
            _ => Err(Fault::TooMuch),
        };
    };
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    response.parse(input).map_err(|_| Fault::Response)?;
    let status = response.code.unwrap_or_default();
    *body = after(status, response.headers)?;
    *input = input.get(end + 4..).unwrap_or_default();
    Ok(Event::Head(status))
}

fn after(status: u16, fields: &[httparse::Header<'_>]) -> Result<Body, Fault> {
    match status {
        101 => return Ok(Body::Upgraded),
        // Another head follows.
        100..=199 => return Ok(Body::Head),
        204 | 304 => return Ok(Body::Length(0)),
        _ => {}
    }
    let field = |name: &str| {
        let found = fields.iter().find(|f| f.name.eq_ignore_ascii_case(name));
        found.and_then(|f| std::str::from_utf8(f.value).ok())
    };
    if field("transfer-encoding").is_some_and(|value| value.trim().eq_ignore_ascii_case("chunked"))
    {
        return Ok(Body::ChunkSize);
    }
    match field("content-length") {
        None => Ok(Body::UntilClose),
        Some(length) => length
            .trim()
            .parse()
            .map(Body::Length)
            .map_err(|_| Fault::Response),
    }
}

/// Most bytes of a head that is waited for.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
const LINE_BYTES_MAX: usize = 1024;
const CHUNK_BYTES_MAX: u32 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of the bytes, given `step` at a time.
    fn read(text: &[u8], step: usize) -> Result<(String, Body), Fault> {
        let (mut body, mut said, mut held) = (Body::default(), String::new(), Vec::new());
        for part in text.chunks(step) {
            held.extend_from_slice(part);
            let mut input = &held[..];
            loop {
                match next(&mut body, &mut input)? {
                    Event::More => break,
                    Event::Head(status) => said += &format!("<{status}>"),
                    Event::Data(data) => said += std::str::from_utf8(data).unwrap(),
                    Event::End => said += "|",
                }
            }
            held = input.to_vec();
        }
        Ok((said, body))
    }

    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n\
        5;x=y\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n\
        HTTP/1.1 404 Not Found\r\nCONTENT-LENGTH:2\r\n\r\nno\
        HTTP/1.1 204 No Content\r\n\r\n\
        HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the end";

    #[test]
    fn responses_are_read_however_they_are_cut() {
        let expected = "<200>hello 0123456789|<404>no|<204>|<100><200>to the end";
        for step in 1..CHUNKED.len() {
            let (said, body) = read(CHUNKED, step).unwrap();
            assert_eq!((&*said, body), (expected, Body::UntilClose), "{step}");
        }
    }

    #[test]
    fn behind_an_upgrade_everything_is_data() {
        let (said, body) = read(b"HTTP/1.1 101 Switching Protocols\r\n\r\nabc", 7).unwrap();
        assert_eq!((&*said, body), ("<101>abc", Body::Upgraded));
    }

    #[test]
    fn what_is_no_response_is_a_fault() {
        for bad in [
            "SMTP\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert_eq!(read(bad.as_bytes(), 1000), Err(Fault::Response), "{bad}");
        }
        let endless = [b'a'; HEAD_BYTES_MAX + 1];
        assert_eq!(read(&endless, HEAD_BYTES_MAX + 1), Err(Fault::TooMuch));
    }

    #[test]
    fn a_short_answer_is_waited_for_in_one_piece() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP";
        for cut in 0..text.len() - 4 {
            let (mut body, mut input) = (Body::default(), &text[..cut]);
            assert_eq!(whole(&mut body, &mut input), Ok(None), "{cut}");
            assert_eq!((body, input.len()), (Body::Head, cut));
        }
        let (mut body, mut input) = (Body::default(), &text[..]);
        assert_eq!(whole(&mut body, &mut input), Ok(Some(&b"abc"[..])));
        assert_eq!(input, b"HTTP");
        let mut refused = &b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"[..];
        assert_eq!(whole(&mut body, &mut refused), Err(Fault::Response));
    }
}
