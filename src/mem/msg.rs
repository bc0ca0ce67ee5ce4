//! One immutable payload, shared by everyone it goes to, with each of its spellings made at most once.
//!
//! In: bytes. Out: the same bytes, pieces of them, and whatever text a protocol spells them as. How a
//! spelling looks is the protocol's business: it hands in the function that makes it.

use super::ledger::{Charge, Ledger};
use super::publication::Publication;
use crate::config::policy::Slow;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

/// Which spelling of a payload is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The bytes themselves.
    Raw,
    /// A CSP packet's tail with encoding 0 or 1, whichever the bytes allow.
    Plain,
    /// A CSP packet's tail with encoding 2 (or 1 where the bytes are not UTF-8).
    Utf8,
}

/// An immutable payload.
#[derive(Debug)]
pub struct Msg {
    bytes: Box<[u8]>,
    binary: bool,
    /// Whether it may be dropped where too much waits.
    loose: bool,
    /// It is a piece, and not the first.
    rest: bool,
    /// What it is a view of, or of a piece of; none for what a service says of its own.
    source: Option<Rc<Publication>>,
    plain: OnceCell<Box<[u8]>>,
    utf8: OnceCell<Box<[u8]>>,
    pieces: OnceCell<Box<[Rc<Msg>]>>,
    charge: RefCell<Charge>,
    /// What whoever was sent this was sent behind it, if that was the same for all.
    next: OnceCell<Rc<Msg>>,
    /// Bytes that may still come behind it.
    room: Cell<usize>,
}

impl Msg {
    /// Text, or bytes that a text transport may look at as text.
    #[must_use]
    pub fn new(bytes: impl Into<Box<[u8]>>, ledger: &Ledger) -> Rc<Self> {
        let bytes = bytes.into();
        let binary = std::str::from_utf8(&bytes).is_err();
        Self::build(bytes, binary, None, ledger).into()
    }

    /// Bytes that came as a binary message and go out as one.
    #[must_use]
    pub fn binary(bytes: impl Into<Box<[u8]>>, ledger: &Ledger) -> Rc<Self> {
        Self::build(bytes.into(), true, None, ledger).into()
    }

    /// How one kind of client gets `source`.
    #[must_use]
    pub fn view(source: &Rc<Publication>, bytes: Box<[u8]>, ledger: &Ledger) -> Rc<Self> {
        let binary = std::str::from_utf8(&bytes).is_err();
        Self::build(bytes, binary, Some(source.clone()), ledger).into()
    }

    fn build(
        bytes: Box<[u8]>,
        binary: bool,
        source: Option<Rc<Publication>>,
        ledger: &Ledger,
    ) -> Self {
        let charge = ledger.charge(bytes.len() + size_of::<Self>());
        let behind = source.as_ref().map_or(0, |source| source.weight());
        let room = CHAIN_WEIGHTS * (bytes.len() + size_of::<Self>() + behind);
        let loose = source
            .as_ref()
            .is_some_and(|source| source.slow() != Slow::Close);
        Self {
            bytes,
            binary,
            loose,
            rest: false,
            source,
            plain: OnceCell::new(),
            utf8: OnceCell::new(),
            pieces: OnceCell::new(),
            charge: RefCell::new(charge),
            next: OnceCell::new(),
            room: Cell::new(room),
        }
    }

    /// The payload.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was published, where this is a view of it or a piece of one.
    #[must_use]
    pub fn source(&self) -> Option<&Rc<Publication>> {
        self.source.as_ref()
    }

    /// Whether it may be dropped where too much waits.
    #[must_use]
    pub fn is_loose(&self) -> bool {
        self.loose
    }

    /// Whether it is a piece, and not the first.
    #[must_use]
    pub fn is_rest(&self) -> bool {
        self.rest
    }

    /// Whether a WebSocket carries it in a binary message.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.binary
    }

    /// The spelling `form`, made by `make` if nobody asked for it before.
    pub fn spelled(&self, form: Form, make: impl FnOnce(&[u8]) -> Vec<u8>) -> &[u8] {
        let cell = match form {
            Form::Raw => return &self.bytes,
            Form::Plain => &self.plain,
            Form::Utf8 => &self.utf8,
        };
        if cell.get().is_none() {
            let text = make(&self.bytes).into_boxed_slice();
            self.charge.borrow_mut().grow(text.len());
            let _ = cell.set(text);
        }
        cell.get().map_or(&[], |text| text)
    }

    /// A spelling that was made before; empty when it was not.
    #[must_use]
    pub fn made(&self, form: Form) -> &[u8] {
        let cell = match form {
            Form::Raw => return &self.bytes,
            Form::Plain => &self.plain,
            Form::Utf8 => &self.utf8,
        };
        debug_assert!(
            cell.get().is_some(),
            "a spelling is made before it is queued"
        );
        cell.get().map_or(&[], |text| text)
    }

    /// What follows in the chain.
    #[must_use]
    pub fn next(&self) -> Option<&Rc<Msg>> {
        self.next.get()
    }

    /// Whether `after` follows this in the chain; it does from now on if nothing does and the chain may go on. A
    /// payload keeps those behind it alive, for whoever keeps it alone too: so at most `CHAIN_WEIGHTS` times its own
    /// weight. What leads on already is never put behind, or there would be rings.
    pub fn leads_to(self: &Rc<Self>, after: &Rc<Self>) -> bool {
        if let Some(next) = self.next.get() {
            return Rc::ptr_eq(next, after);
        }
        let fresh = after.next.get().is_none() && !Rc::ptr_eq(self, after);
        let Some(left) = self
            .room
            .get()
            .checked_sub(after.weight())
            .filter(|_| fresh)
        else {
            return false;
        };
        after.room.set(after.room.get().min(left));
        self.next.set(after.clone()).is_ok()
    }

    /// Bytes that it holds, without its spellings; what it is a view of among them.
    fn weight(&self) -> usize {
        let behind = self.source.as_ref().map_or(0, |source| source.weight());
        self.bytes.len() + size_of::<Self>() + behind
    }

    /// The payload in pieces of at most `max` bytes, cut between characters where it is text. `max` must be
    /// the same on every call (it is a protocol's constant).
    pub fn pieces(&self, max: usize, ledger: &Ledger) -> &[Rc<Msg>] {
        self.pieces.get_or_init(|| {
            let piece = |(n, piece): (usize, &[u8])| {
                let binary = std::str::from_utf8(piece).is_err();
                let mut piece = Self::build(piece.into(), binary, self.source.clone(), ledger);
                piece.rest = n > 0;
                Rc::new(piece)
            };
            cut(&self.bytes, max).enumerate().map(piece).collect()
        })
    }
}

/// How much more than itself a payload may keep alive: eight others like it.
const CHAIN_WEIGHTS: usize = 8;

/// Cuts `bytes` into runs of at most `max`, not inside a UTF-8 sequence if that can be helped.
fn cut(bytes: &[u8], max: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut at = max.min(rest.len());
        let inside = |at: usize| rest.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
        let back = (0..4)
            .find(|back| !inside(at.saturating_sub(*back)))
            .unwrap_or(0);
        at = at.saturating_sub(back).max(1);
        let (piece, after) = rest.split_at(at);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spelling_is_made_once_and_accounted_for() {
        let ledger = Ledger::default();
        let msg = Msg::new(&b"abc"[..], &ledger);
        let before = ledger.used();
        assert_eq!(msg.spelled(Form::Plain, |b| [b, b"!"].concat()), b"abc!");
        assert_eq!(msg.spelled(Form::Plain, |_| unreachable!()), b"abc!");
        assert_eq!(ledger.used(), before + 4);
        drop(msg);
        assert_eq!(ledger.used(), 0);
    }

    #[test]
    fn pieces_join_to_the_whole_and_do_not_split_characters() {
        let ledger = Ledger::default();
        let text = "aé€😀".repeat(50);
        let msg = Msg::new(text.as_bytes(), &ledger);
        let pieces = msg.pieces(7, &ledger);
        assert!(
            pieces
                .iter()
                .all(|p| p.bytes().len() <= 7 && !p.is_binary())
        );
        assert_eq!(
            pieces
                .iter()
                .flat_map(|p| p.bytes().to_vec())
                .collect::<Vec<_>>(),
            text.as_bytes()
        );
        let noise = Msg::new(vec![0x80; 100], &ledger);
        assert_eq!(
            noise
                .pieces(7, &ledger)
                .iter()
                .map(|p| p.bytes().len())
                .sum::<usize>(),
            100
        );
    }
}
