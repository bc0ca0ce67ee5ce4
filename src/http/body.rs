//! Decodes a chunked body (RFC 9112 section 7.1), however it is cut.
//!
//! Data in: bytes behind a head, and how many the body may have. Data out: the body appended to a buffer, or a [`Refusal`].
//! It must not know heads. Extensions and trailers are checked and dropped. Only CRLF ends a line: a decoder that takes LF alone
//! (Go's CVE-2025-22871) disagrees with the proxy before it, and that is how requests are smuggled.

use super::field::{is_tchar, is_value_byte};
use super::refusal::Refusal;

/// A chunked body on its way.
#[derive(Debug, Default)]
pub struct Chunked {
    state: State,
    /// The size being read, then the data bytes of the chunk still missing.
    left: usize,
    /// Hex digits of the size read.
    digits: u8,
    /// Data bytes decoded.
    body: usize,
    /// Bytes that were not data.
    overhead: usize,
    /// Bytes of extensions.
    extension: usize,
    /// Bytes of the trailer section.
    trailer: usize,
}

/// Where in the grammar the next byte stands. One byte moves it on; `Data` takes many.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Hex digits; then `Blank`, `Extension`, or `SizeLf`.
    #[default]
    Size,
    /// Blanks behind the size: a semicolon must follow.
    Blank,
    /// Behind a semicolon, up to CR.
    Extension,
    /// The LF of a size line; then `Data`, or for the last chunk `TrailerStart`.
    SizeLf,
    /// Data; then `DataCr`.
    Data,
    /// The CR behind the data.
    DataCr,
    /// The LF behind the data; then `Size`.
    DataLf,
    /// The first byte of a trailer line, or the CR of the last line.
    TrailerStart,
    /// A trailer's name, up to the colon.
    TrailerName,
    /// A trailer's value, up to CR.
    TrailerValue,
    /// The LF of a trailer line; then `TrailerStart`.
    TrailerLf,
    /// The LF of the last line; then `Done`.
    EndLf,
    /// Nothing more belongs to this body.
    Done,
}

impl Chunked {
    /// Takes what belongs to the body from the front of `input` and appends its data to `out`; true when the body is whole, else `input` is
    /// empty. No memory is reserved for a size that is only announced. `body_bytes_max` is the same at every call.
    pub fn feed(
        &mut self,
        input: &mut &[u8],
        out: &mut Vec<u8>,
        body_bytes_max: usize,
    ) -> Result<bool, Refusal> {
        while self.state != State::Done {
            if self.state == State::Data {
                self.copy(input, out);
            }
            let Some((byte, rest)) = input.split_first() else {
                return Ok(false);
            };
            *input = rest;
            self.overhead += 1;
            if self.overhead
                > OVERHEAD_BYTES_FREE.saturating_add(self.body.saturating_mul(OVERHEAD_PER_BYTE))
            {
                return Err(Refusal::ChunkOverhead);
            }
            self.state = self.step(*byte, body_bytes_max)?;
        }
        Ok(true)
    }

    fn copy(&mut self, input: &mut &[u8], out: &mut Vec<u8>) {
        let take = self.left.min(input.len());
        let Some((data, rest)) = input.split_at_checked(take) else {
            return;
        };
        out.extend_from_slice(data);
        *input = rest;
        self.left -= take;
        self.body += take;
        if self.left == 0 {
            self.state = State::DataCr;
        }
    }

    /// The state behind `byte`.
    fn step(&mut self, byte: u8, body_bytes_max: usize) -> Result<State, Refusal> {
        match (self.state, byte) {
            (State::Size, _) => self.size_byte(byte, body_bytes_max),
            (State::Blank | State::Extension, _) => self.extension_byte(byte),
            (State::SizeLf, b'\n') if self.left == 0 => Ok(State::TrailerStart),
            (State::SizeLf, b'\n') => {
                self.digits = 0;
                Ok(State::Data)
            }
            (State::SizeLf, _) => Err(Refusal::ChunkLine),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size),
            (State::Data | State::DataCr | State::DataLf, _) => Err(Refusal::ChunkEnd),
            (State::EndLf, b'\n') => Ok(State::Done),
            _ => self.trailer_byte(byte),
        }
    }

    /// `chunk-size = 1*HEXDIG`: at most 16, each step checked (RUSTSEC-2021-0079 was an overflow here).
    fn size_byte(&mut self, byte: u8, body_bytes_max: usize) -> Result<State, Refusal> {
        let Some(digit) = char::from(byte).to_digit(16) else {
            return self.end_size(byte);
        };
        self.digits += 1;
        if self.digits > SIZE_DIGITS_MAX {
            return Err(Refusal::ChunkSize);
        }
        let size = self
            .left
            .checked_mul(16)
            .and_then(|left| left.checked_add(digit as usize));
        let room = body_bytes_max.saturating_sub(self.body);
        self.left = size
            .filter(|size| *size <= room)
            .ok_or(Refusal::BodyTooBig)?;
        Ok(State::Size)
    }

    fn end_size(&self, byte: u8) -> Result<State, Refusal> {
        match byte {
            _ if self.digits == 0 => Err(Refusal::ChunkSize),
            b'\r' => Ok(State::SizeLf),
            b';' => Ok(State::Extension),
            b' ' | b'\t' => Ok(State::Blank),
            b'\n' | 0 => Err(Refusal::ChunkLine),
            _ => Err(Refusal::ChunkSize),
        }
    }

    fn extension_byte(&mut self, byte: u8) -> Result<State, Refusal> {
        self.extension += 1;
        if self.extension > EXTENSION_BYTES_MAX {
            return Err(Refusal::ChunkOverhead);
        }
        match (self.state, byte) {
            (State::Blank, b' ' | b'\t') => Ok(State::Blank),
            (State::Blank, b';') => Ok(State::Extension),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, _) if is_value_byte(byte) => Ok(State::Extension),
            _ => Err(Refusal::ChunkLine),
        }
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<State, Refusal> {
        self.trailer += 1;
        if self.trailer > TRAILER_BYTES_MAX {
            return Err(Refusal::Trailer);
        }
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::TrailerStart | State::TrailerName, _) if is_tchar(byte) => {
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, _) if is_value_byte(byte) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            _ => Err(Refusal::Trailer),
        }
    }
}

/// Digits of a 64-bit size; more could only be zeros or too much.
const SIZE_DIGITS_MAX: u8 = 16;

/// Bytes of chunk extensions over a whole body: nobody uses them, and CVE-2023-39326 was a gigabyte of them.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;

/// Bytes of the trailer section: trailers are dropped, so this only bounds the patience.
const TRAILER_BYTES_MAX: usize = 4 * 1024;

/// Framing bytes allowed for each data byte. A body of one-byte chunks, as a terminal in the browser may send, needs 5 (`1 CR LF x CR LF`
/// less the data).
const OVERHEAD_PER_BYTE: usize = 8;

/// Framing bytes allowed beside those: the largest extensions and trailers, and the size line of a chunk whose data has not come yet.
const OVERHEAD_BYTES_FREE: usize = EXTENSION_BYTES_MAX + TRAILER_BYTES_MAX + 64;

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 100_000;

    /// The data and how much input is left.
    fn whole(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
        let (mut input, mut out) = (bytes, Vec::new());
        let done = Chunked::default().feed(&mut input, &mut out, MAX)?;
        Ok(done.then_some((out, input.len())))
    }

    fn split(bytes: &[u8], at: usize) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
        let (mut decoder, mut out) = (Chunked::default(), Vec::new());
        let (mut first, mut second) = bytes.split_at(at);
        if decoder.feed(&mut first, &mut out, MAX)? {
            return Ok(Some((out, first.len() + second.len())));
        }
        assert!(first.is_empty());
        let done = decoder.feed(&mut second, &mut out, MAX)?;
        Ok(done.then_some((out, second.len())))
    }

    /// The obvious way: strings and searches over the whole body; none when anything is amiss or missing.
    fn slow(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
        let (mut rest, mut out) = (bytes, Vec::new());
        loop {
            let (line, tail) = cut_line(rest)?;
            let (size, extension) = line.split_once(';').map_or((line, None), |(size, ext)| {
                (size.trim_end_matches([' ', '\t']), Some(ext))
            });
            let digits =
                !size.is_empty() && size.len() <= 16 && size.bytes().all(|b| b.is_ascii_hexdigit());
            if !digits || extension.is_some_and(|ext| ext.bytes().any(|b| !is_value_byte(b))) {
                return None;
            }
            let size = usize::from_str_radix(size, 16).ok()?;
            rest = tail;
            if size == 0 {
                break;
            }
            out.extend_from_slice(rest.get(..size)?);
            rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
        }
        loop {
            let (line, tail) = cut_line(rest)?;
            rest = tail;
            if line.is_empty() {
                return Some((out, rest.len()));
            }
            super::super::field::check_line(line.as_bytes()).ok()?;
        }
    }

    fn cut_line(bytes: &[u8]) -> Option<(&str, &[u8])> {
        let end = bytes.windows(2).position(|w| w == b"\r\n")?;
        let line = str::from_utf8(&bytes[..end]).ok()?;
        Some((line, &bytes[end + 2..]))
    }

    const GOOD: [&str; 5] = [
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\nGET /",
        "1\r\na\r\n00A;n=\"v\";x\r\n0123456789\r\n0;e\r\nX-T: v\r\nY:\r\n\r\nrest",
        "3 \t;x\r\n\r\n\0\r\n0000000000000000\r\n\r\n",
        "a\r\n\r\n0\r\n\r\n..\r\r\n0\r\n\r\n",
    ];

    #[test]
    fn bodies_split_at_every_byte_decode_as_the_slow_twin_decodes_them() {
        for body in GOOD {
            let expected = slow(body.as_bytes());
            assert!(expected.is_some(), "{body:?}");
            assert_eq!(whole(body.as_bytes()), Ok(expected.clone()), "{body:?}");
            for at in 0..=body.len() {
                assert_eq!(
                    split(body.as_bytes(), at),
                    Ok(expected.clone()),
                    "{body:?} at {at}"
                );
            }
        }
    }

    #[test]
    fn mutated_bodies_are_taken_or_not_as_the_slow_twin_does_whole_and_split() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        for round in 0..60_000 {
            let mut body = GOOD[round % GOOD.len()].as_bytes().to_vec();
            for _ in 0..=xorshift(&mut seed) % 2 {
                mutate(&mut body, &mut seed);
            }
            let shown = body.escape_ascii().to_string();
            let answer = whole(&body);
            assert_eq!(answer.clone().ok().flatten(), slow(&body), "{shown}");
            let at = (xorshift(&mut seed) % (body.len() as u64 + 1)) as usize;
            assert_eq!(split(&body, at), answer, "{shown} at {at}");
        }
    }

    fn mutate(body: &mut Vec<u8>, seed: &mut u64) {
        let alphabet = b"\r\n;: 0159afgX+-\0\"";
        let at = (xorshift(seed) % body.len() as u64) as usize;
        let byte = alphabet[(xorshift(seed) % alphabet.len() as u64) as usize];
        match xorshift(seed) % 3 {
            0 => body[at] = byte,
            1 => body.insert(at, byte),
            _ => drop(body.remove(at)),
        }
        if body.is_empty() {
            body.push(b'0');
        }
    }

    fn xorshift(seed: &mut u64) -> u64 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    }

    #[test]
    fn lines_that_end_in_lf_alone_and_other_bad_framing_are_refused() {
        for (body, refusal) in [
            ("5\nhello\r\n0\r\n\r\n", Refusal::ChunkLine),
            ("5;a\nhello\r\n0\r\n\r\n", Refusal::ChunkLine),
            ("5;\0\r\nhello\r\n", Refusal::ChunkLine),
            ("5\rhello", Refusal::ChunkLine),
            ("5 \r\nhello", Refusal::ChunkLine),
            ("5\r\nhello\n0\r\n\r\n", Refusal::ChunkEnd),
            ("5\r\nhelloo\r\n", Refusal::ChunkEnd),
            ("+5\r\nhello", Refusal::ChunkSize),
            ("0x5\r\nhello", Refusal::ChunkSize),
            ("\r\n", Refusal::ChunkSize),
            (";a\r\n", Refusal::ChunkSize),
            ("00000000000000005\r\nhello", Refusal::ChunkSize),
            ("ffffffffffffffff\r\n", Refusal::BodyTooBig),
            ("0\r\nbad trailer\r\n\r\n", Refusal::Trailer),
            ("0\r\n: v\r\n\r\n", Refusal::Trailer),
            ("0\r\n fold\r\n\r\n", Refusal::Trailer),
            ("0\r\na: \0\r\n\r\n", Refusal::Trailer),
            ("0\r\na: b\n\r\n", Refusal::Trailer),
            ("0\r\n\n", Refusal::Trailer),
            ("0\r\n\r\r", Refusal::Trailer),
        ] {
            assert_eq!(whole(body.as_bytes()), Err(refusal), "{body:?}");
        }
    }

    #[test]
    fn a_chunk_extension_without_end_is_cut_at_16_kib() {
        let body = format!("5;{}", "x".repeat(EXTENSION_BYTES_MAX));
        assert_eq!(whole(body.as_bytes()), Ok(None));
        assert_eq!(
            whole(format!("{body}x").as_bytes()),
            Err(Refusal::ChunkOverhead)
        );
    }

    #[test]
    fn many_small_chunks_with_long_extensions_or_sizes_are_cut_and_plain_one_byte_chunks_are_not() {
        let extended = format!("1;{}\r\nx\r\n", "e".repeat(4096)).repeat(400);
        assert_eq!(whole(extended.as_bytes()), Err(Refusal::ChunkOverhead));
        let padded = "0000000000000001\r\nx\r\n".repeat(50_000);
        assert_eq!(whole(padded.as_bytes()), Err(Refusal::ChunkOverhead));
        let plain = format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(50_000));
        assert_eq!(whole(plain.as_bytes()).unwrap().unwrap().0.len(), 50_000);
    }

    #[test]
    fn trailers_are_bounded() {
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(1000));
        assert_eq!(whole(trailers.as_bytes()), Err(Refusal::Trailer));
    }

    #[test]
    fn the_limit_counts_all_chunks_and_a_size_beyond_it_is_refused_before_its_data() {
        let mut out = Vec::new();
        assert_eq!(
            Chunked::default().feed(&mut &b"5\r\nhello\r\n6"[..], &mut out, 10),
            Err(Refusal::BodyTooBig)
        );
        let mut out = Vec::new();
        assert_eq!(
            Chunked::default().feed(
                &mut &b"5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n"[..],
                &mut out,
                10
            ),
            Ok(true)
        );
        assert_eq!(out, b"hellohello");
    }

    #[test]
    fn an_announced_size_reserves_nothing() {
        let mut out = Vec::new();
        assert_eq!(
            Chunked::default().feed(&mut &b"fffff0\r\nx"[..], &mut out, usize::MAX),
            Ok(false)
        );
        assert!(out.capacity() < 64);
    }
}
