//! Bytes to frames, incremental: what has come is looked at once, whatever pieces it comes in.
//!
//! In: bytes, and what came before of a frame that is not whole. Out: one frame after another, with its headers unescaped as
//! its version says, or the fault that ends the connection. Nothing is copied of a frame that comes in one piece.
//!
//! `COMMAND EOL *(name ":" value EOL) EOL body NUL *EOL`. Real clients send what the text forbids: colons stand in values as
//! they are, and what is in front of a command may be any line ends; both are taken.

use super::{Command, Version};
use std::borrow::Cow;

/// How large a frame may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one header line, without its end.
    pub line_bytes_max: usize,
    /// Bytes from the command to the blank line.
    pub head_bytes_max: usize,
    /// Header lines.
    pub lines_max: usize,
    /// Bytes of the body.
    pub body_bytes_max: usize,
}

/// A frame of a client.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it asks for.
    pub command: Command,
    /// Its headers, unescaped, in the order they came; of those with one name the first counts.
    pub headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Its body, without the NUL.
    pub body: &'a [u8],
    /// All of it as it came, to be read again.
    pub raw: &'a [u8],
}

impl Frame<'_> {
    /// The header called `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut of_name = self.headers.iter().filter(|(its, _)| its == name);
        of_name.next().map(|(_, value)| &**value)
    }
}

/// Why bytes are no frame; the connection ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The first line is no command.
    UnknownCommand,
    /// A header line is too long.
    LineTooLong,
    /// The command and its headers are too long.
    HeadTooBig,
    /// More header lines than there may be.
    TooManyLines,
    /// A header line without colon, or without a name.
    NoColon,
    /// A NUL before the blank line.
    NulInHead,
    /// A backslash that begins no escape of the version.
    BadEscape,
    /// Headers that are not UTF-8.
    NotUtf8,
    /// `content-length` is no number.
    BadLength,
    /// The body is too large, by its `content-length` or as it came.
    BodyTooBig,
    /// A body where there can be none.
    NoBodyHere,
    /// No NUL behind as many bytes as `content-length` says.
    NoNul,
}

impl Fault {
    /// What is wrong, for people.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::UnknownCommand => "no such command",
            Self::LineTooLong => "a header line is too long",
            Self::HeadTooBig => "the headers are too large",
            Self::TooManyLines => "too many headers",
            Self::NoColon => "a header line is name:value",
            Self::NulInHead => "a NUL stands in the headers",
            Self::BadEscape => "a header holds an escape that this version does not have",
            Self::NotUtf8 => "headers are UTF-8",
            Self::BadLength => "content-length is no number",
            Self::BodyTooBig => "the body is larger than a message may be",
            Self::NoBodyHere => "only SEND has a body",
            Self::NoNul => "no NUL stands behind the body",
        }
    }

    /// Whether a bound is broken, not the grammar.
    #[must_use]
    pub const fn is_size(self) -> bool {
        matches!(
            self,
            Self::LineTooLong | Self::HeadTooBig | Self::TooManyLines | Self::BodyTooBig
        )
    }
}

/// What has come of a frame that is not whole.
#[derive(Debug, Default)]
pub struct Partial {
    bytes: Vec<u8>,
    scan: Scan,
    /// It was given, and is to be forgotten.
    given: bool,
}

impl Partial {
    /// Bytes held on the heap, itself among them.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }
}

/// How far a frame was looked at.
#[derive(Debug, Default, Clone, Copy)]
struct Scan {
    /// Bytes that need not be looked at again.
    at: usize,
    /// Where the line begins that is not whole.
    line: usize,
    /// Lines that are whole.
    lines: usize,
    head: Option<Head>,
}

/// The part of a frame before its body.
#[derive(Debug, Clone, Copy)]
struct Head {
    command: Command,
    /// Its bytes, the blank line among them.
    len: usize,
    /// Of the body, if that is said.
    body: Option<usize>,
}

/// By what a frame is read.
#[derive(Debug, Clone, Copy)]
struct Rules<'a> {
    /// `None` before it is agreed.
    version: Option<Version>,
    limits: &'a Limits,
}

impl Rules<'_> {
    /// CR LF ends a line in 1.2 only; who has yet to say its version may be of that one.
    fn line<'b>(&self, line: &'b [u8]) -> &'b [u8] {
        match self.version {
            None | Some(Version::V12) => line.strip_suffix(b"\r").unwrap_or(line),
            Some(_) => line,
        }
    }
}

/// Takes the next frame from the front of `input`, or all of it where that is no whole frame: then `partial` has it. Line
/// ends before a frame are heart-beats and passed over. `version` is what was agreed; none before CONNECT.
///
/// # Errors
/// [`Fault`]: nothing behind it can be told apart.
pub fn next<'f, 'i: 'f>(
    partial: &'f mut Option<Box<Partial>>,
    input: &mut &'i [u8],
    version: Option<Version>,
    limits: &Limits,
) -> Result<Option<Frame<'f>>, Fault> {
    let rules = Rules { version, limits };
    if partial.as_ref().is_some_and(|partial| partial.given) {
        *partial = None;
    }
    if partial.is_none() {
        let blank = |byte: &&u8| matches!(byte, b'\n' | b'\r');
        let begin = input.iter().take_while(blank).count();
        *input = input.get(begin..).unwrap_or_default();
        let bytes = *input;
        let mut scan = Scan::default();
        if let Some((head, len)) = scan.on(bytes, rules)? {
            let (raw, rest) = bytes.split_at(len);
            *input = rest;
            return frame(raw, head, rules).map(Some);
        }
        *input = &[];
        if !bytes.is_empty() {
            let bytes = bytes.to_vec();
            *partial = Some(Box::new(Partial {
                bytes,
                scan,
                given: false,
            }));
        }
        return Ok(None);
    }
    let Some(partial) = partial else {
        return Ok(None);
    };
    partial.bytes.extend_from_slice(input);
    let Some((head, len)) = partial.scan.on(&partial.bytes, rules)? else {
        *input = &[];
        return Ok(None);
    };
    // What is behind the frame came with this piece.
    let behind = partial.bytes.len() - len;
    *input = input.get(input.len() - behind..).unwrap_or_default();
    partial.bytes.truncate(len);
    partial.given = true;
    frame(&partial.bytes, head, rules).map(Some)
}

impl Scan {
    /// Goes on through `bytes`, which begin with the frame. Gives back its head and its length when it is whole.
    fn on(&mut self, bytes: &[u8], rules: Rules<'_>) -> Result<Option<(Head, usize)>, Fault> {
        while self.head.is_none() {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'\n', 0, rest) else {
                self.at = bytes.len();
                self.within(self.at, rules.limits)?;
                return Ok(None);
            };
            let end = self.at + found;
            self.within(end, rules.limits)?;
            if bytes.get(end) == Some(&0) {
                return Err(Fault::NulInHead);
            }
            self.line_ends(bytes, end, rules)?;
        }
        match self.head {
            Some(head) => self.body(bytes, head, rules.limits),
            None => Ok(None),
        }
    }

    /// Whether a line that begins at `line` and goes on up to `end` is within bounds; the one that is met first says.
    fn within(&self, end: usize, limits: &Limits) -> Result<(), Fault> {
        let line_end = self.line + limits.line_bytes_max;
        match (end > line_end, end > limits.head_bytes_max) {
            (true, _) if line_end <= limits.head_bytes_max => Err(Fault::LineTooLong),
            (_, true) => Err(Fault::HeadTooBig),
            _ => Ok(()),
        }
    }

    fn line_ends(&mut self, bytes: &[u8], end: usize, rules: Rules<'_>) -> Result<(), Fault> {
        let line = rules.line(bytes.get(self.line..end).unwrap_or_default());
        if self.lines == 0 {
            Command::parse(line).ok_or(Fault::UnknownCommand)?;
        } else if line.is_empty() {
            let head = bytes.get(..self.line).unwrap_or_default();
            self.head = Some(Head::of(head, end + 1, rules)?);
        }
        self.lines += 1;
        if self.lines > rules.limits.lines_max + 1 && self.head.is_none() {
            return Err(Fault::TooManyLines);
        }
        (self.at, self.line) = (end + 1, end + 1);
        Ok(())
    }

    fn body(
        &mut self,
        bytes: &[u8],
        head: Head,
        limits: &Limits,
    ) -> Result<Option<(Head, usize)>, Fault> {
        if let Some(body) = head.body {
            let end = head.len + body;
            return match bytes.get(end) {
                Some(0) => Ok(Some((head, end + 1))),
                Some(_) => Err(Fault::NoNul),
                None => Ok(None),
            };
        }
        let rest = bytes.get(self.at..).unwrap_or_default();
        let found = memchr::memchr(0, rest).map(|found| self.at + found);
        let end = found.unwrap_or(bytes.len());
        let (max, fault) = match head.command {
            Command::Send => (limits.body_bytes_max, Fault::BodyTooBig),
            _ => (0, Fault::NoBodyHere),
        };
        if end - head.len > max {
            return Err(fault);
        }
        self.at = end;
        Ok(found.map(|end| (head, end + 1)))
    }
}

impl Head {
    /// Of the lines in `lines`; `len` bytes with the blank one.
    fn of(lines: &[u8], len: usize, rules: Rules<'_>) -> Result<Self, Fault> {
        let mut lines = lines
            .split(|byte| *byte == b'\n')
            .map(|line| rules.line(line));
        let command = lines.next().and_then(Command::parse);
        let command = command.ok_or(Fault::UnknownCommand)?;
        let said = lines.find_map(|line| line.strip_prefix(b"content-length:"));
        let body = said.map(|said| number(said.trim_ascii()).ok_or(Fault::BadLength));
        let body = body.transpose()?;
        match (command, body) {
            (Command::Send, Some(body)) if body > rules.limits.body_bytes_max => {
                Err(Fault::BodyTooBig)
            }
            (Command::Send, _) | (_, None | Some(0)) => Ok(Self { command, len, body }),
            _ => Err(Fault::NoBodyHere),
        }
    }
}

/// Digits only; a number too large to be one is the largest, which no bound allows.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_usize, |sum, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        Some(sum.saturating_mul(10).saturating_add(digit as usize))
    })
}

/// A whole frame, taken apart.
fn frame<'a>(raw: &'a [u8], head: Head, rules: Rules<'_>) -> Result<Frame<'a>, Fault> {
    let lines = raw.get(..head.len).unwrap_or_default();
    // What opens a connection is never escaped: its version is not known yet.
    let version = rules.version.filter(|_| head.command != Command::Connect);
    let mut headers = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').skip(1) {
        let line = rules.line(line);
        if line.is_empty() {
            continue;
        }
        let line = std::str::from_utf8(line).map_err(|_| Fault::NotUtf8)?;
        let (name, value) = line.split_once(':').ok_or(Fault::NoColon)?;
        if name.is_empty() {
            return Err(Fault::NoColon);
        }
        headers.push((unescape(name, version)?, unescape(value, version)?));
    }
    Ok(Frame {
        command: head.command,
        headers,
        body: raw.get(head.len..raw.len() - 1).unwrap_or_default(),
        raw,
    })
}

/// A name or value as it was meant. In 1.0 there are no escapes, and many a client puts blanks around values, as the samples
/// of the text do.
fn unescape(text: &str, version: Option<Version>) -> Result<Cow<'_, str>, Fault> {
    let version = match version {
        None => return Ok(Cow::Borrowed(text)),
        Some(Version::V10) => return Ok(Cow::Borrowed(text.trim_matches(' '))),
        Some(version) => version,
    };
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        let meant = match (char, version) {
            ('\\', _) => match (chars.next(), version) {
                (Some('n'), _) => '\n',
                (Some('c'), _) => ':',
                (Some('\\'), _) => '\\',
                (Some('r'), Version::V12) => '\r',
                _ => return Err(Fault::BadEscape),
            },
            (plain, _) => plain,
        };
        out.push(meant);
    }
    Ok(Cow::Owned(out))
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
