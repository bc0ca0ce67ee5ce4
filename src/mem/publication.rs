//! One message published to a channel or sent to a user, with the payload each kind of client is given.
//!
//! In: who published what where. Out: per client protocol one shared [`Msg`], made on the first subscriber
//! that speaks it, which leads back here: so a session that ends knows what its client never got. How it looks is the
//! service's business: it hands in the function that makes it.

use super::ledger::{Charge, Ledger};
use super::msg::Msg;
use crate::config::policy::Slow;
use crate::ids::SessionId;
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};

/// What kind of bytes a publication holds; it decides how it reaches clients of the other kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One JSON text, passed on byte for byte.
    Json,
    /// UTF-8 text.
    Text,
    /// Anything else, with its media type.
    Bytes(Box<str>),
}

/// What the allocator and the counts of owners take of each of its four pieces.
const HEADS: usize = 4 * 16;

impl Content {
    /// Its media type.
    #[must_use]
    pub fn media_type(&self) -> &str {
        match self {
            Content::Json => "application/json",
            Content::Text => "text/plain; charset=utf-8",
            Content::Bytes(kind) => kind,
        }
    }
}

/// A place in a channel: what comes later has a higher offset.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Changes when a channel's past is forgotten.
    pub epoch: u64,
    /// From 1; 0 before the first publication.
    pub offset: u64,
}

/// Which payload of a publication is meant: one per client protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// A line of the Revolved protocol.
    Revolved,
    /// An event of `text/event-stream`, with its id.
    Event,
    /// A JSON object.
    Object,
    /// A message of Bayeux.
    Bayeux,
    /// An event without an id, for who reads several channels: of them all the id is who reads them's own.
    EventOfMany,
    /// A message of Bayeux with its number.
    BayeuxReplay,
    /// The payload as it is.
    Raw,
    /// An event of Revolved as Orbited 0.3 had it.
    RevolvedOfOld,
    /// What a MESSAGE of STOMP 1.2 has behind the headers that are its reader's own.
    Stomp12,
    /// The same of 1.1.
    Stomp11,
    /// The same of 1.0.
    Stomp10,
}

/// Who wants to know what becomes of a message at each recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A session, by the number of its call.
    Session(SessionId, u64),
    /// The application, which reads of what arrived, and of the rest when its sessions end.
    Application,
    /// The same, which does not read of what arrived.
    Failures,
}

/// The first of them that few clients read.
const RARE: usize = View::EventOfMany as usize;

/// A message on its way through the hub.
pub struct Publication {
    /// The channel, or the user it is sent to.
    pub target: Rc<str>,
    /// The user who published; `None` for the application and for users without a name.
    pub sender: Option<Box<str>>,
    /// What `bytes` are.
    pub content: Content,
    /// The payload as published.
    pub bytes: Box<[u8]>,
    number: Cell<u64>,
    report_to: Cell<Option<(SessionId, u64)>>,
    place: Cell<Option<Position>>,
    /// Of what may be dropped, has a key or more beside the payload, or is read by few.
    slack: OnceCell<Box<Slack>>,
    /// While somebody holds them: a view holds its publication.
    views: [RefCell<Weak<Msg>>; RARE],
    /// While it is on its way to many: the views made so far, so that none is made twice.
    held: RefCell<Option<Vec<Rc<Msg>>>>,
    charge: RefCell<Charge>,
}

/// What the application wants to know.
#[derive(Debug, Default, Clone, Copy)]
enum Tells {
    #[default]
    Nothing,
    Failures,
    All,
    /// For the session that sent it it is enough that it was written.
    Written,
}

/// What few publications need.
#[derive(Debug, Default)]
struct Slack {
    /// What becomes of it where too much waits; its channel's policy, said by the hub.
    slow: Cell<Slow>,
    /// Milliseconds that it may wait for others; 0 for none. The same.
    lazy_ms: Cell<u32>,
    key: Option<Box<str>>,
    /// What its publisher sent beside the payload.
    beside: OnceCell<Beside>,
    /// What its publisher calls it.
    name: OnceCell<Box<str>>,
    /// What the application wants to know of whom it reaches.
    tells: Cell<Tells>,
    /// Of its channel, right before it, which nobody was sent.
    skipped: Cell<u64>,
    /// Of these, what was published to the channel as it is now.
    skipped_here: Cell<u64>,
    /// Of a notice: how many messages of its channel one reader was not sent.
    missed: u64,
    /// Views that few clients read, as those of all publications.
    rare: [RefCell<Weak<Msg>>; 7],
}

/// What a publisher sends beside the payload, which only clients of the same protocol get.
#[derive(Debug)]
enum Beside {
    /// By Bayeux: an object.
    Ext(Box<str>),
    /// By STOMP: headers, each a line of 1.2.
    Headers(Box<str>),
    /// By the calls of Orbited 0.3: from which of its user's pages.
    Resource(Box<str>),
}

/// Names and sizes, never the payload: this goes into traces.
impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Publication");
        text.field("target", &self.target)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Publication {
    /// Bytes of what its publisher may call it.
    pub const NAME_BYTES_MAX: usize = 128;

    /// A publication that is not in the hub yet.
    #[must_use]
    pub fn new(
        target: Rc<str>,
        sender: Option<Box<str>>,
        content: Content,
        bytes: Box<[u8]>,
        ledger: &Ledger,
    ) -> Rc<Self> {
        Self::keyed(target, sender, content, bytes, None, ledger)
    }

    /// The same, of which a reader wants the latest of each `key`.
    #[must_use]
    pub fn keyed(
        target: Rc<str>,
        sender: Option<Box<str>>,
        content: Content,
        bytes: Box<[u8]>,
        key: Option<Box<str>>,
        ledger: &Ledger,
    ) -> Rc<Self> {
        let slack = OnceCell::new();
        if key.is_some() {
            let _ = slack.set(Box::new(Slack {
                key,
                ..Slack::default()
            }));
        }
        let publication = Self {
            target,
            sender,
            content,
            bytes,
            number: Cell::new(0),
            report_to: Cell::new(None),
            place: Cell::new(None),
            slack,
            views: Default::default(),
            held: RefCell::new(None),
            charge: RefCell::new(ledger.charge(0)),
        };
        publication.charge.borrow_mut().set(publication.weight());
        Rc::new(publication)
    }

    /// What tells one reader that it missed so many messages of a channel.
    #[must_use]
    pub fn notice(channel: Rc<str>, missed: u64, ledger: &Ledger) -> Rc<Self> {
        let notice = Self::new(channel, None, Content::Text, Box::default(), ledger);
        let _ = notice.slack.set(Box::new(Slack {
            missed,
            ..Slack::default()
        }));
        notice
    }

    /// Of a notice: how many messages of its channel were missed.
    #[must_use]
    pub fn missed(&self) -> Option<u64> {
        let missed = self.slack.get()?.missed;
        Some(missed).filter(|missed| *missed > 0)
    }

    /// Its number among everything this node took; 0 until it was taken.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number.get()
    }

    /// Gives it its number.
    pub fn take(&self, number: u64) {
        self.number.set(number);
    }

    /// Who wants to know what becomes of it at each recipient.
    #[must_use]
    pub fn report_to(&self) -> Option<Asker> {
        if let Some((session, call)) = self.report_to.get() {
            return Some(Asker::Session(session, call));
        }
        match self.slack.get()?.tells.get() {
            Tells::Nothing | Tells::Written => None,
            Tells::Failures => Some(Asker::Failures),
            Tells::All => Some(Asker::Application),
        }
    }

    /// Says who wants to know.
    pub fn ask_report(&self, asker: Asker) {
        match asker {
            Asker::Session(session, call) => self.report_to.set(Some((session, call))),
            Asker::Application => self.tell(Tells::All),
            Asker::Failures => self.tell(Tells::Failures),
        }
    }

    /// Says that it is enough for the session that sent it if it was written.
    pub fn be_done_when_written(&self) {
        self.tell(Tells::Written);
    }

    /// Whether that is so.
    #[must_use]
    pub fn is_done_when_written(&self) -> bool {
        let slack = self.slack.get();
        slack.is_some_and(|slack| matches!(slack.tells.get(), Tells::Written))
    }

    fn tell(&self, tells: Tells) {
        self.slack.get_or_init(Box::default).tells.set(tells);
    }

    /// What its publisher calls it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.slack.get()?.name.get().map(|name| &**name)
    }

    /// Says so, before anybody has it; the first call counts.
    pub fn call(&self, name: Box<str>) {
        let _ = self.slack.get_or_init(Box::default).name.set(name);
        self.charge.borrow_mut().set(self.weight());
    }

    /// Its place in its channel; `None` until the hub has taken it, and for messages to users.
    #[must_use]
    pub fn place(&self) -> Option<Position> {
        self.place.get()
    }

    /// Gives it its place; the first call counts.
    pub fn put(&self, place: Position) {
        self.place.set(self.place.get().or(Some(place)));
    }

    /// Its channel was forgotten: whoever reads one of that name now does not stand there.
    pub fn displace(&self) {
        let place = self.place.get();
        self.place
            .set(place.map(|place| Position { epoch: 0, ..place }));
    }

    /// It is on its way to many, or there: in between its views are kept. Whoever begins it ends it, or both stay.
    pub fn spread(&self, begins: bool) {
        self.held.replace(begins.then(Vec::new));
    }

    /// What becomes of it where too much waits.
    #[must_use]
    pub fn slow(&self) -> Slow {
        self.slack
            .get()
            .map_or(Slow::Close, |slack| slack.slow.get())
    }

    /// Says what becomes of it where too much waits; before anybody has a view of it.
    pub fn follow(&self, slow: Slow) {
        if slow != Slow::Close {
            self.slack.get_or_init(Box::default).slow.set(slow);
        }
    }

    /// Milliseconds for which it wakes no client by itself.
    #[must_use]
    pub fn lazy_ms(&self) -> Option<u32> {
        let ms = self.slack.get()?.lazy_ms.get();
        Some(ms).filter(|ms| *ms > 0)
    }

    /// Says for how long; before anybody has a view of it.
    pub fn put_off(&self, ms: u32) {
        self.slack.get_or_init(Box::default).lazy_ms.set(ms);
    }

    /// What it is the latest of, within its channel.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.slack.get()?.key.as_deref()
    }

    /// How many of its channel, right before it, nobody was sent.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.slack.get().map_or(0, |slack| slack.skipped.get())
    }

    /// How many of these were published to the channel as it is now: the rest was before it was forgotten and made anew, and
    /// nobody missed it but who reads by a pattern.
    #[must_use]
    pub fn skipped_here(&self) -> u64 {
        self.slack.get().map_or(0, |slack| slack.skipped_here.get())
    }

    /// Says how many nobody was sent, in all and `here`.
    pub fn skip(&self, messages: u64, here: u64) {
        let slack = self.slack.get_or_init(Box::default);
        slack.skipped.set(messages);
        slack.skipped_here.set(here);
    }

    /// What its publisher sent beside the payload.
    #[must_use]
    pub fn ext(&self) -> Option<&str> {
        match self.beside()? {
            Beside::Ext(ext) => Some(ext),
            _ => None,
        }
    }

    /// Puts `ext` beside the payload, before anybody has it; the first call counts.
    pub fn put_ext(&self, ext: Box<str>) {
        self.put_beside(Beside::Ext(ext));
    }

    /// Headers that its publisher sent along, each a line of STOMP 1.2.
    #[must_use]
    pub fn headers(&self) -> Option<&str> {
        match self.beside()? {
            Beside::Headers(lines) => Some(lines),
            _ => None,
        }
    }

    /// Puts such lines beside the payload, before anybody has it; the first call counts.
    pub fn put_headers(&self, lines: Box<str>) {
        self.put_beside(Beside::Headers(lines));
    }

    /// From which of its user's pages it was published, if that is known.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        match self.beside()? {
            Beside::Resource(resource) => Some(resource),
            _ => None,
        }
    }

    /// Puts that beside the payload, before anybody has it; the first call counts.
    pub fn put_resource(&self, resource: Box<str>) {
        self.put_beside(Beside::Resource(resource));
    }

    fn beside(&self) -> Option<&Beside> {
        self.slack.get()?.beside.get()
    }

    fn put_beside(&self, beside: Beside) {
        let _ = self.slack.get_or_init(Box::default).beside.set(beside);
        self.charge.borrow_mut().set(self.weight());
    }

    /// The payload for one kind of client, made by `make` unless somebody still has it.
    // Every delivery asks; as a call of its own it is 17 instructions more, of 264.
    #[inline(always)]
    pub fn view(
        self: &Rc<Self>,
        view: View,
        ledger: &Ledger,
        make: impl FnOnce(&Self) -> Vec<u8>,
    ) -> Rc<Msg> {
        let cell = match self.views.get(view as usize) {
            None => self.rare(view),
            often => often,
        };
        if let Some(made) = cell.and_then(|cell| cell.borrow().upgrade()) {
            return made;
        }
        let made = Msg::view(self, make(self).into(), ledger);
        if let Some(cell) = cell {
            cell.replace(Rc::downgrade(&made));
        }
        if let Some(held) = self.held.borrow_mut().as_mut() {
            held.push(made.clone());
        }
        made
    }

    #[cold]
    fn rare(&self, view: View) -> Option<&RefCell<Weak<Msg>>> {
        let slack = self.slack.get_or_init(Box::default);
        slack.rare.get((view as usize).checked_sub(RARE)?)
    }

    /// Bytes that it holds, without its views.
    #[must_use]
    pub fn weight(&self) -> usize {
        let names = self.target.len() + self.sender.as_ref().map_or(0, |sender| sender.len());
        let beside = self.beside().map(|beside| match beside {
            Beside::Ext(text) | Beside::Headers(text) | Beside::Resource(text) => &**text,
        });
        let beside = [self.key(), self.name(), beside];
        let beside: usize = beside.into_iter().flatten().map(str::len).sum();
        size_of::<Self>() + HEADS + names + beside + self.bytes.len()
    }
}
