//! What only a session of the application by STOMP has: its name for a group, and the receipts that wait for outcomes.
//!
//! In: frames that were done or begun, outcomes of what they asked for. Out: receipts in the order of their frames, since each
//! says that all before it is done too.

use super::Session;
use super::stomp::Busy;
use crate::mem::{Ledger, Publication};
use std::collections::VecDeque;
use std::rc::Rc;

/// Of an application.
#[derive(Debug)]
pub struct Desk {
    /// The group of a subscription that names none.
    pub login: Box<str>,
    /// The frame at hand.
    frame: u64,
    /// Whether the frame at hand is to be answered.
    wants: bool,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    silent: bool,
}

/// A frame of which something is still to come, or that is behind such a one.
#[derive(Debug)]
struct Waiting {
    frame: u64,
    receipt: Option<Box<str>>,
    /// What was sent and is not settled, in order, and its bytes; what nobody wants to know more of is not kept.
    sent: VecDeque<(Option<Sent>, usize)>,
    said: Said,
}

/// What something that was asked for is to end with besides.
#[derive(Debug)]
pub enum Sent {
    /// A message to a user or a session, of which its sender wants to know when nobody gets it.
    Message(Rc<Publication>),
    /// A call, whose answer goes to this destination with this `correlation-id`.
    Call(Box<str>, Option<Box<str>>),
}

/// What a receipt says besides.
pub type Said = Vec<(&'static str, String)>;

/// More waits than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowded;

impl Desk {
    /// Of an application that calls itself `login`.
    #[must_use]
    pub fn new(login: &str) -> Self {
        Self {
            login: login.into(),
            frame: 0,
            wants: false,
            waiting: VecDeque::new(),
            bytes: 0,
            silent: false,
        }
    }

    /// A frame is at hand, which is to be answered or not.
    pub fn begin(&mut self, wants: bool) {
        self.frame += 1;
        self.wants = wants;
    }

    /// Whether the frame at hand is to be answered.
    #[must_use]
    pub fn wants(&self) -> bool {
        self.wants
    }

    /// Something that the frame at hand asks for will be told of; `sent` of those of which that it is absent is news, and the
    /// bytes that it takes until then, if nobody else counts them. Gives back the number to tell it by.
    ///
    /// # Errors
    /// [`Crowded`].
    pub fn foresee(&mut self, (sent, bytes): (Option<Sent>, usize)) -> Result<u64, Crowded> {
        if self.bytes > BYTES_MAX {
            return Err(Crowded);
        }
        self.bytes += COST + bytes;
        self.last().sent.push_back((sent, bytes));
        Ok(self.frame)
    }

    /// The frame at hand is done but for what it waits for. Gives back what its receipt is to say now; none where others are
    /// before it.
    pub fn done(&mut self, receipt: Option<&str>, said: Said) -> Option<(Box<str>, Said)> {
        let waits = self
            .waiting
            .back()
            .is_some_and(|one| one.frame == self.frame);
        let receipt: Option<Box<str>> = receipt.map(Box::from);
        if !waits && (receipt.is_none() || self.waiting.is_empty()) {
            return receipt.map(|receipt| (receipt, said));
        }
        self.bytes += receipt.as_ref().map_or(0, |receipt| COST + receipt.len());
        let last = self.last();
        last.receipt = receipt;
        last.said.extend(said);
        None
    }

    /// What the next of a frame's messages came to. Gives back the message, if that nobody gets it is news.
    pub fn settle(&mut self, frame: u64, recipients: usize, offset: Option<u64>) -> Option<Sent> {
        self.settle_with(frame, |waiting| waiting.count(recipients, offset))
    }

    /// The status that a call of a frame is answered with. Gives back where the answer goes, if it is wanted.
    pub fn settle_call(&mut self, frame: u64, status: u16) -> Option<Sent> {
        let said = (STATUS, status.to_string());
        self.settle_with(frame, |waiting| waiting.said.push(said))
    }

    fn settle_with(&mut self, frame: u64, say: impl FnOnce(&mut Waiting)) -> Option<Sent> {
        let found = self.waiting.binary_search_by_key(&frame, |one| one.frame);
        let waiting = self.waiting.get_mut(found.ok()?)?;
        let (sent, bytes) = waiting.sent.pop_front()?;
        self.bytes = self.bytes.saturating_sub(COST + bytes);
        say(waiting);
        sent
    }

    /// The next receipt that waits for nothing more.
    pub fn next_receipt(&mut self) -> Option<(Box<str>, Said)> {
        while self.waiting.front().is_some_and(|one| one.sent.is_empty()) {
            let one = self.waiting.pop_front()?;
            let Some(receipt) = one.receipt else { continue };
            self.bytes = self.bytes.saturating_sub(COST + receipt.len());
            if !self.silent {
                return Some((receipt, one.said));
            }
        }
        None
    }

    /// Its last frame was said: no receipt comes behind that.
    pub fn hush(&mut self) {
        self.silent = true;
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.login.len() + self.bytes
    }

    fn last(&mut self) -> &mut Waiting {
        let frame = self.frame;
        if self.waiting.back().is_none_or(|one| one.frame != frame) {
            self.waiting.push_back(Waiting {
                frame,
                receipt: None,
                sent: VecDeque::new(),
                said: Vec::new(),
            });
        }
        match self.waiting.back_mut() {
            Some(last) => last,
            None => unreachable!("it was just put there"),
        }
    }
}

impl Waiting {
    /// Recipients are summed, offsets joined: of several channels each has its own.
    fn count(&mut self, recipients: usize, offset: Option<u64>) {
        let number = |text: &String| text.parse::<usize>().unwrap_or_default();
        match self.said.iter_mut().find(|(name, _)| *name == RECIPIENTS) {
            Some((_, text)) => *text = (number(text) + recipients).to_string(),
            None => self.said.push((RECIPIENTS, recipients.to_string())),
        }
        let Some(offset) = offset else { return };
        match self.said.iter_mut().find(|(name, _)| *name == SEQ) {
            Some((_, text)) => *text = format!("{text},{offset}"),
            None => self.said.push((SEQ, offset.to_string())),
        }
    }
}

impl Busy {
    pub(super) fn with_desk<T>(&mut self, change: impl FnOnce(&mut Desk) -> T) -> Option<T> {
        self.desk.as_deref_mut().map(change)
    }
}

impl Session {
    /// It is the application's from now on.
    pub fn put_desk(&mut self, desk: Desk, ledger: &Ledger) {
        self.with_busy(ledger, |busy| busy.desk = Some(Box::new(desk)));
    }

    /// What the application has, if it is the application's.
    #[must_use]
    pub fn desk(&self) -> Option<&Desk> {
        self.busy()?.desk.as_deref()
    }

    /// The same, to be changed.
    pub fn with_desk<T>(
        &mut self,
        ledger: &Ledger,
        change: impl FnOnce(&mut Desk) -> T,
    ) -> Option<T> {
        self.desk()?;
        self.with_busy(ledger, |busy| busy.with_desk(change))
    }
}

const STATUS: &str = "orbit-status";
const RECIPIENTS: &str = "orbit-recipients";
const SEQ: &str = "orbit-seq";
/// What a place in the lists takes, about.
const COST: usize = 96;
/// Of everything that waits: 10,000 messages, or fewer calls with what they say.
const BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn next(desk: &mut Desk) -> Option<(String, String)> {
        let (receipt, said) = desk.next_receipt()?;
        let said: Vec<_> = said
            .iter()
            .map(|(name, value)| format!("{name}:{value}"))
            .collect();
        Some((receipt.into(), said.join(" ")))
    }

    #[test]
    fn receipts_come_in_the_order_of_their_frames_and_say_what_came_of_them() {
        let mut desk = Desk::new("a");
        desk.begin(true);
        assert_eq!(desk.done(Some("0"), Vec::new()).unwrap().0, "0".into());
        desk.begin(true);
        let first = desk.foresee((None, 0)).unwrap();
        assert_eq!(desk.foresee((None, 7)), Ok(first));
        assert_eq!(desk.done(Some("1"), Vec::new()), None);
        desk.begin(true);
        assert_eq!(desk.done(Some("2"), Vec::new()), None);
        desk.begin(false);
        let third = desk.foresee((None, 0)).unwrap();
        assert_eq!(desk.done(None, Vec::new()), None);
        desk.settle(first, 2, Some(7));
        assert_eq!(next(&mut desk), None);
        desk.settle(third, 1, None);
        desk.settle(first, 3, Some(9));
        let said = "orbit-recipients:5 orbit-seq:7,9";
        assert_eq!(next(&mut desk), Some(("1".into(), said.into())));
        assert_eq!(next(&mut desk), Some(("2".into(), String::new())));
        assert_eq!(next(&mut desk), None);
        assert!(desk.waiting.is_empty() && desk.bytes == 0);
    }

    #[test]
    fn what_waits_is_bounded_and_behind_the_last_frame_nothing_is_said() {
        let mut desk = Desk::new("a");
        desk.begin(true);
        let sent = std::iter::from_fn(|| desk.foresee((None, 0)).ok())
            .take(20_000)
            .count();
        assert!((10_000..12_000).contains(&sent), "{sent}");
        desk.done(Some("r"), Vec::new());
        let mut calls = Desk::new("a");
        calls.begin(false);
        let called = std::iter::from_fn(|| calls.foresee((None, 64 * 1024)).ok());
        assert_eq!(called.take(20_000).count(), 16);
        desk.hush();
        (0..sent).for_each(|_| drop(desk.settle(1, 0, None)));
        assert_eq!(next(&mut desk), None);
    }
}
