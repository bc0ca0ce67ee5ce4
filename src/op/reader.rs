//! Bytes to frames and events, incremental: what has come is looked at once, whatever pieces it comes in.
//!
//! In: bytes of a connection. Out: one frame or event after another, or the fault that ends the connection. Of what is not
//! whole no more is held than may come to be.

use super::events::OPENINGS;
use super::frames::{Frame, length};
use super::{Dialect, Event, Style, Terminator};
use memchr::{memchr2, memmem};

/// How large a frame or event may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes up to the blank line.
    pub head_bytes_max: usize,
    /// Bytes of the body.
    pub body_bytes_max: usize,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// A frame of 0.4.
    Frame(Frame),
    /// What ends as a frame of 0.4 does and is none; those behind it can be read.
    Unparsable,
    /// An event of 1.0.
    Event(Event),
}

/// Why nothing more can be read; the connection ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// More than there may be of a frame.
    TooBig,
    /// What ends a frame is not behind as many bytes as `length` says.
    NoEnd,
    /// What should be an event of 1.0 is none.
    NoEvent,
}

impl Fault {
    /// What is wrong, for people.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooBig => "the frame is larger than one may be",
            Self::NoEnd => "what ends the frame is not where its length says",
            Self::NoEvent => "an event begins with the lines Orbit 1.0 and Event",
        }
    }
}

/// What has come of a connection and was not given yet.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
    /// Bytes at the front that were given.
    given: usize,
    /// Bytes behind these that need not be looked at again.
    seen: usize,
    /// Where the line begins that is not whole.
    line: usize,
    /// Of what is not whole: bytes up to the blank line, that one among them.
    head: Option<usize>,
    dialect: Option<Dialect>,
    lengths: bool,
}

impl Reader {
    /// Bytes came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether something came that is not whole.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.bytes.len() > self.given
    }

    /// Bytes held on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// What is spoken, once the first bytes told.
    #[must_use]
    pub fn dialect(&self) -> Option<Dialect> {
        self.dialect
    }

    /// How frames are to be written.
    #[must_use]
    pub fn style(&self) -> Style {
        Style {
            terminator: match self.dialect {
                Some(Dialect::Frames(terminator)) => terminator,
                _ => Terminator::default(),
            },
            lengths: self.lengths,
        }
    }

    /// The next that is whole.
    ///
    /// # Errors
    /// [`Fault`]: nothing behind it can be told apart.
    pub fn next(&mut self, limits: &Limits) -> Result<Option<Item>, Fault> {
        self.skip_line_ends();
        let item = match self.dialect {
            Some(Dialect::Events) => self.event(limits),
            Some(Dialect::Frames(terminator)) => self.frame(Some(terminator), limits),
            None => match opening(self.rest()) {
                Some(true) => {
                    self.dialect = Some(Dialect::Events);
                    self.event(limits)
                }
                Some(false) => self.frame(None, limits),
                None => Ok(None),
            },
        };
        if matches!(item, Ok(None)) {
            self.bytes.drain(..self.given);
            self.given = 0;
            self.bytes.shrink_to(self.bytes.len() * 2);
        }
        item
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.given..).unwrap_or_default()
    }

    fn skip_line_ends(&mut self) {
        if self.head.is_none() && self.seen == 0 {
            let blank = |byte: &&u8| matches!(byte, b'\r' | b'\n');
            self.given += self.rest().iter().take_while(blank).count();
        }
    }

    /// `len` bytes are done with.
    fn give(&mut self, len: usize) {
        self.given += len;
        (self.seen, self.line, self.head) = (0, 0, None);
    }

    fn event(&mut self, limits: &Limits) -> Result<Option<Item>, Fault> {
        let head = match self.head {
            Some(head) => head,
            None => match self.find_head(None, limits)? {
                Some(End::Blank(head)) => head,
                _ => return Ok(None),
            },
        };
        self.head = Some(head);
        let lines = self.rest().get(..head).unwrap_or_default();
        let body = length(lines).unwrap_or(0);
        if body > limits.body_bytes_max {
            return Err(Fault::TooBig);
        }
        let Some(whole) = self.rest().get(..head + body) else {
            return Ok(None);
        };
        let (lines, body) = whole.split_at(head);
        let event = Event::parse(lines, body).ok_or(Fault::NoEvent)?;
        self.give(head + event.body.len());
        Ok(Some(Item::Event(event)))
    }

    fn frame(&mut self, end: Option<Terminator>, limits: &Limits) -> Result<Option<Item>, Fault> {
        let head = match self.head {
            Some(head) => head,
            None => match self.find_head(Some(end), limits)? {
                Some(End::Blank(head)) => head,
                Some(End::Frame(len, terminator)) => {
                    self.dialect = Some(Dialect::Frames(terminator));
                    self.give(len);
                    return Ok(Some(Item::Unparsable));
                }
                None => return Ok(None),
            },
        };
        self.head = Some(head);
        self.seen = self.seen.max(head);
        let lines = self.rest().get(..head).unwrap_or_default();
        let said = length(lines);
        let found = match said {
            Some(len) if len > limits.body_bytes_max => return Err(Fault::TooBig),
            Some(len) => end_at(self.rest().get(head + len..), end)?.map(|end| (head + len, end)),
            None => self.find_end(end, head + limits.body_bytes_max)?,
        };
        let Some((at, terminator)) = found else {
            return Ok(None);
        };
        let whole = self.rest().get(..at).unwrap_or_default();
        let (lines, body) = whole.split_at_checked(head).unwrap_or_default();
        let frame = Frame::parse(lines, body);
        let lengths = said.is_some() && frame.is_some();
        self.lengths |= lengths;
        self.dialect = Some(Dialect::Frames(terminator));
        self.give(at + terminator.bytes().len());
        Ok(Some(frame.map_or(Item::Unparsable, Item::Frame)))
    }

    /// Where the head ends that begins the rest. `ends` is what may end a frame, where frames are read: any, or the one.
    fn find_head(
        &mut self,
        ends: Option<Option<Terminator>>,
        limits: &Limits,
    ) -> Result<Option<End>, Fault> {
        let max = limits.head_bytes_max;
        let may_end = |with| ends.is_some_and(|end| end.is_none_or(|end| end == with));
        loop {
            let (line, rest) = (self.line, self.rest());
            let behind = rest.get(self.seen..).unwrap_or_default();
            let Some(at) = memchr2(b'\n', 0, behind).map(|at| self.seen + at) else {
                self.seen = rest.len();
                return if self.seen > max {
                    Err(Fault::TooBig)
                } else {
                    Ok(None)
                };
            };
            let to = at + 1;
            let typed = rest.get(..to).is_some_and(|all| all.ends_with(TYPED));
            let end = match rest.get(at) {
                Some(0) if may_end(Terminator::Nul) => Some(End::Frame(to, Terminator::Nul)),
                Some(0) => None,
                _ if typed && may_end(Terminator::Typed) => Some(End::Frame(to, Terminator::Typed)),
                _ if matches!(rest.get(line..at), Some([] | [b'\r'])) => Some(End::Blank(to)),
                _ => None,
            };
            let ends_line = rest.get(at) == Some(&b'\n');
            if to > max {
                return Err(Fault::TooBig);
            }
            self.seen = to;
            if ends_line {
                self.line = to;
            }
            if end.is_some() {
                return Ok(end);
            }
        }
    }

    /// Where the body ends, which is at `max` at the latest.
    fn find_end(
        &mut self,
        end: Option<Terminator>,
        max: usize,
    ) -> Result<Option<(usize, Terminator)>, Fault> {
        let rest = self.rest();
        let behind = rest.get(self.seen..).unwrap_or_default();
        let find = |terminator: Terminator| {
            let may = end.is_none_or(|end| end == terminator);
            let at = may.then(|| memmem::find(behind, terminator.bytes()));
            at.flatten().map(|at| (self.seen + at, terminator))
        };
        let both = [Terminator::Nul, Terminator::Typed].map(find);
        let found = both.into_iter().flatten().min_by_key(|(at, _)| *at);
        // What may be the beginning of the end is looked at again.
        let sure = rest.len().saturating_sub(TYPED.len() - 1);
        let body = found.map_or(sure, |(at, _)| at);
        if body > max {
            return Err(Fault::TooBig);
        }
        self.seen = self.seen.max(sure.min(rest.len()));
        Ok(found)
    }
}

/// What ends a head.
enum End {
    /// The blank line, at the end of so many bytes.
    Blank(usize),
    /// No blank line came, but the end of the frame, so many bytes from its beginning.
    Frame(usize, Terminator),
}

/// The end of a frame that stands at the beginning of `bytes`, if it is whole.
fn end_at(bytes: Option<&[u8]>, end: Option<Terminator>) -> Result<Option<Terminator>, Fault> {
    let bytes = bytes.unwrap_or_default();
    let mut begun = false;
    for terminator in [Terminator::Nul, Terminator::Typed] {
        let whole = terminator.bytes();
        if end.is_some_and(|end| end != terminator) {
            continue;
        }
        if bytes.starts_with(whole) {
            return Ok(Some(terminator));
        }
        begun |= whole.starts_with(bytes);
    }
    if begun { Ok(None) } else { Err(Fault::NoEnd) }
}

/// Whether a connection that begins with `bytes` speaks 1.0; `None` while that cannot be known.
fn opening(bytes: &[u8]) -> Option<bool> {
    let mut both = OPENINGS.iter().map(|opening| opening.as_bytes());
    if both.clone().any(|opening| bytes.starts_with(opening)) {
        return Some(true);
    }
    let begun = both.any(|opening| opening.starts_with(bytes));
    (!begun).then_some(false)
}

const TYPED: &[u8] = Terminator::Typed.bytes();

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
