//! A session: the CSP state machine, and the only file that moves it from one state to another.
//!
//! In: payloads from a service, packets and acknowledgements from a client, moments. Out: the packets that
//! are due on the downstream, and what a moment means. It holds no buffer while idle and never does I/O;
//! which connection carries it is a name, and how its packets look is the transport's business.

pub mod backlog;
mod call;
mod check;
pub mod desk;
mod due;
pub mod extra;
pub mod keys;
mod kind;
mod link;
mod look;
pub mod loose;
pub mod op;
pub mod packets;
mod pass;
mod place;
pub mod profiles;
pub mod rates;
mod sieve;
pub mod stomp;
pub mod unacked;
mod up;
mod window;

pub use due::{Due, Times};
pub use keys::{Secret, SessionKey};
pub use kind::ServiceKind;
pub use link::{Advised, Held, Link, Timesync};
pub use loose::Terms;
pub use op::Op;
pub use packets::{BatchError, Encoding, Up};
pub use profiles::{ProfileId, Profiles};
pub use stomp::{Ack, Stomp, Sub};
pub use up::Received;

use crate::cmd::Cause;
use crate::ids::{ConnId, SessionId};
use crate::mem::{Ledger, Msg, Publication, Seat};
use crate::metrics::Kind;
use crate::time::{ShortTick, Tick};
use crate::transport::Packet;
use backlog::Backlog;
use extra::Extra;
use std::rc::Rc;

/// One client's reliable stream.
#[derive(Debug)]
pub struct Session {
    backlog: Backlog,
    /// The id of the last packet the client acknowledged.
    acked: u64,
    conn: Option<ConnId>,
    extra: Option<Box<Extra>>,
    secret: Secret,
    /// The session's place in the hub; the hub's to write.
    pub seat: Seat,
    /// Settings for the HTTP writer.
    pub profile: ProfileId,
    /// The last upstream id taken. A client that sends 2^32 packets has its session ended as one that left
    /// a gap: at a thousand a second that is after seven weeks.
    taken: u32,
    /// Bytes in the backlog, counted as if nobody shared them.
    queued: u32,
    /// When the downstream began or ended, or the session was closed.
    since: ShortTick,
    /// When something was last written.
    spoke: ShortTick,
    /// Packets from the front that are written on this downstream.
    sent: u16,
    /// Packets from the front that were written on any.
    tried: u16,
    /// Who talks to the client.
    pub service: ServiceKind,
    carriage: Carriage,
    /// What the downstream is; while there is none, what the last one was, or what the first is to be.
    last: Kind,
    encoding: Encoding,
    state: State,
    owes_ack: bool,
    heard_out: bool,
}

/// How a session reaches its client, for its whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    /// CSP: numbered, acknowledged, moving between connections.
    Csp,
    /// A bare WebSocket, event stream or TCP stream: what is written is gone, and so is the session with its connection, unless
    /// its service's [return](ServiceKind::returns).
    Bare,
    /// Bayeux: it moves between connections as CSP does, and what its client is known to have is told by the connects
    /// that the client sends, not by the number of a packet.
    Bayeux,
    /// Requests of the node's own: what was written is acknowledged by the answer, and the session needs no client to live.
    Callback,
}

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// All verbs. Next: `Closing` by [`Session::close`].
    Open,
    /// The close packet is queued behind all data: no pushing, no receiving. Next: `Over` by
    /// [`Session::ack`]; the node removes the row when lingering is over.
    Closing(Cause),
    /// The close packet is acknowledged: the row is to be removed.
    Over(Cause),
    /// The backlog ran over: nothing more is taken, and the node was told to remove the row.
    Overflowed,
}

/// Who a new session is for.
#[derive(Debug)]
pub struct Opening {
    /// The secret half of its key.
    pub secret: Secret,
    /// Who talks to the client.
    pub service: ServiceKind,
    /// How it reaches its client.
    pub carriage: Carriage,
    /// What its downstream will be, if that is known.
    pub kind: Kind,
    /// What the client reads.
    pub encoding: Encoding,
    /// Its settings.
    pub profile: ProfileId,
    /// Now.
    pub now: Tick,
}

/// The backlog is full; the session must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;

impl Session {
    /// A session without downstream.
    #[must_use]
    pub fn new(opening: Opening) -> Self {
        Self {
            backlog: Backlog::Empty,
            acked: 0,
            conn: None,
            extra: None,
            secret: opening.secret,
            seat: Seat::default(),
            profile: opening.profile,
            taken: 0,
            queued: 0,
            since: opening.now.short(),
            spoke: opening.now.short(),
            sent: 0,
            tried: 0,
            service: opening.service,
            carriage: opening.carriage,
            last: opening.kind,
            encoding: opening.encoding,
            state: State::Open,
            owes_ack: false,
            heard_out: false,
        }
    }

    /// Whether `key` is this session's.
    #[must_use]
    pub fn opens(&self, key: &SessionKey) -> bool {
        key.opens(&self.secret)
    }

    /// The key a client shows, given this session's row.
    #[must_use]
    pub fn key(&self, id: SessionId) -> SessionKey {
        SessionKey::new(id, self.secret)
    }

    /// The connection of the downstream.
    #[must_use]
    pub fn conn(&self) -> Option<ConnId> {
        self.conn
    }

    /// What the downstream is.
    #[must_use]
    pub fn down(&self) -> Kind {
        match self.conn.is_some() || self.carriage == Carriage::Callback {
            true => self.last,
            false => Kind::None,
        }
    }

    /// Whether services may still talk with the client.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// What the client reads and writes.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Whether what the client sends still reaches its service.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.is_open() && !self.heard_out
    }

    /// The service has asked for the session's end: it hears nothing more until that comes.
    pub fn hear_no_more(&mut self) {
        self.heard_out = true;
    }

    /// Bytes that wait for the client.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued as usize
    }

    /// The highest packet id the client acknowledged.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// Appends a payload, cut to what one packet may carry. The one that is too much is kept too: it is among the
    /// [undelivered](Session::undelivered).
    ///
    /// # Errors
    /// [`Overflow`] when more than `queue_max` bytes or [`PACKETS_MAX`] packets would wait.
    // Almost all of its calls are of one place, and a call of its own is a tenth of a delivery.
    #[inline(always)]
    pub fn push(
        &mut self,
        msg: Rc<Msg>,
        queue_max: usize,
        ledger: &Ledger,
    ) -> Result<(), Overflow> {
        let pushed = self.push_unseen(msg, queue_max, ledger);
        if self.is_behind() {
            self.widen();
        }
        pushed
    }

    /// The same, for whoever widens the window afterwards.
    #[inline(always)]
    fn push_unseen(
        &mut self,
        msg: Rc<Msg>,
        queue_max: usize,
        ledger: &Ledger,
    ) -> Result<(), Overflow> {
        if !self.is_open() || (msg.bytes().is_empty() && self.carriage == Carriage::Csp) {
            return Ok(());
        }
        if self.carriage == Carriage::Csp && msg.bytes().len() > PACKET_BYTES_MAX {
            return self.push_pieces(&msg, queue_max, ledger);
        }
        self.push_packet(msg, queue_max, ledger)
    }

    /// All of them, whatever comes of it: room may be made for the whole.
    #[cold]
    fn push_pieces(
        &mut self,
        msg: &Msg,
        queue_max: usize,
        ledger: &Ledger,
    ) -> Result<(), Overflow> {
        let mut pushed = Ok(());
        for piece in msg.pieces(PACKET_BYTES_MAX, ledger) {
            pushed = self
                .push_packet(piece.clone(), queue_max, ledger)
                .and(pushed);
        }
        pushed
    }

    fn push_packet(
        &mut self,
        msg: Rc<Msg>,
        queue_max: usize,
        ledger: &Ledger,
    ) -> Result<(), Overflow> {
        let queued = self.queued as usize + cost(&msg);
        let fits = queued <= queue_max && self.backlog.len() < PACKETS_MAX;
        self.queued = queued as u32;
        self.backlog.push(msg, ledger);
        if fits || self.has_more_room(queue_max) {
            return Ok(());
        }
        self.state = State::Overflowed;
        Err(Overflow)
    }

    /// The client has every packet up to `id`. One beyond what was ever written counts as that (1.6). Gives back the
    /// messages that it has now and whose senders want to know.
    #[inline]
    pub fn ack(&mut self, id: u64) -> Vec<Rc<Publication>> {
        let reached = self.acked + u64::from(self.tried);
        let mut reports = Vec::new();
        while self.acked < id.min(reached) {
            reports.extend(self.ack_next());
        }
        reports
    }

    /// The client has one packet more, which was written before.
    fn ack_next(&mut self) -> Option<Rc<Publication>> {
        debug_assert!(self.tried > 0, "what was not written is not there");
        self.acked += 1;
        self.sent = self.sent.saturating_sub(1);
        self.tried = self.tried.saturating_sub(1);
        let Some(msg) = self.backlog.pop() else {
            self.state = State::Over(self.end_cause());
            return None;
        };
        self.queued = self.queued.saturating_sub(cost(&msg) as u32);
        if self.extra.is_some() {
            self.released(&msg);
        }
        self.report_of(&msg)
    }

    /// What `msg`, which just left the backlog, is the last piece of, if anybody wants to know of it.
    fn report_of(&self, msg: &Msg) -> Option<Rc<Publication>> {
        let source = msg.source().filter(|source| source.report_to().is_some())?;
        let next = self.backlog.first().and_then(|next| next.source());
        let is_last = next.is_none_or(|next| !Rc::ptr_eq(next, source));
        is_last.then(|| source.clone())
    }

    /// Whether the close packet is acknowledged: the session is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    /// Why the session ends, once it was closed.
    #[must_use]
    pub fn end_cause(&self) -> Cause {
        match self.state {
            State::Closing(cause) | State::Over(cause) => cause,
            State::Overflowed => Cause::Overflow,
            State::Open => Cause::Clean,
        }
    }

    /// `conn` carries the downstream from now on. What the one before may not have delivered is due again.
    /// Gives back the connection it replaces.
    pub fn attach(&mut self, conn: ConnId, down: Kind, now: Tick) -> Option<ConnId> {
        self.sent = 0;
        self.last = down;
        if self.state == State::Open {
            self.since = now.short();
        }
        self.spoke = now.short();
        self.conn.replace(conn).filter(|old| *old != conn)
    }

    /// The downstream is over, by the end of its response or of its connection.
    pub fn detach(&mut self, now: Tick) {
        self.take_held();
        self.conn = None;
        if self.state == State::Open {
            self.since = now.short();
        }
    }

    /// Any request of the client shows that it lives; it counts while there is no downstream.
    pub fn touch(&mut self, now: Tick) {
        if self.conn.is_none() && self.state == State::Open {
            self.since = now.short();
        }
    }

    /// Whether something is due on the downstream.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        if self.carriage == Carriage::Bayeux && !self.may_say() {
            return false;
        }
        let owes_ack = self.owes_ack && self.down() == Kind::WebSocket;
        owes_ack
            || match self.extra {
                None => usize::from(self.sent) < self.packets(),
                Some(_) => self.has_more(),
            }
    }

    /// The packets due on the downstream, oldest first, about [`BATCH_BYTES_MAX`] bytes of them.
    pub fn pending(&self) -> impl Iterator<Item = Packet<'_>> {
        let from = usize::from(self.sent);
        let encoding = self.encoding;
        let mut room = BATCH_BYTES_MAX;
        let first = self.acked + 1 + from as u64;
        let data = self
            .backlog
            .iter_from(from)
            .take(self.writable().saturating_sub(from))
            .zip(first..)
            .map(move |(msg, id)| (id, Some(msg)));
        let close_id = self.acked + self.packets() as u64;
        let close = (self.is_closing() && from < self.packets()).then_some((close_id, None));
        data.chain(close).map_while(move |(id, msg)| {
            let go_on = room > 0;
            room = room.saturating_sub(msg.map_or(1, |msg| cost(msg)));
            let body = msg.map(|msg| (msg, packets::spell(msg, encoding)));
            go_on.then_some(Packet { id, body })
        })
    }

    /// The payload next to be written on a bare stream.
    #[must_use]
    pub fn next_bare(&self) -> Option<&Rc<Msg>> {
        self.backlog.first()
    }

    /// Whether `publication` is among what waits for the client.
    #[must_use]
    pub fn awaits(&self, publication: &Rc<Publication>) -> bool {
        let mut sources = self.backlog.iter_from(0).filter_map(|msg| msg.source());
        sources.any(|source| Rc::ptr_eq(source, publication))
    }

    /// Everything up to packet `id` is written on the downstream. Gives back how many of the packets had
    /// been written on an earlier one.
    pub fn wrote(&mut self, id: u64, now: Tick) -> u64 {
        let before = self.sent;
        self.sent = id.saturating_sub(self.acked).min(self.packets() as u64) as u16;
        let again = self.sent.min(self.tried).saturating_sub(before);
        self.tried = self.tried.max(self.sent);
        self.spoke = now.short();
        u64::from(again)
    }

    /// The payload next on a bare stream is written, and gone. Gives it back if its sender wants to know.
    pub fn wrote_bare(&mut self, now: Tick) -> Option<Rc<Publication>> {
        self.wrote(self.acked + 1, now);
        self.ack_next()
    }

    /// Something that is no packet was written on the downstream.
    pub fn spoke(&mut self, now: Tick) {
        self.spoke = now.short();
    }

    /// Queues the close packet behind all data; the session lingers until it is acknowledged. False when it
    /// was closed before.
    pub fn close(&mut self, now: Tick, cause: Cause) -> bool {
        if self.state != State::Open {
            return false;
        }
        self.state = State::Closing(cause);
        self.since = now.short();
        self.keep_unacked();
        true
    }

    /// What was published and waits, each once, in the order it was sent. Of a payload cut over packets one piece is enough.
    /// Notices are not among them.
    pub fn unwritten(&self) -> impl Iterator<Item = &Rc<Publication>> {
        let mut last = None;
        let sources = self.backlog.iter_from(0).filter_map(|msg| msg.source());
        let sources = sources.filter(|source| source.missed().is_none());
        sources.filter(move |source| last.replace(Rc::as_ptr(source)) != Some(Rc::as_ptr(source)))
    }

    /// Packets that wait, the close packet among them.
    fn packets(&self) -> usize {
        let close = self.is_closing() && self.carriage == Carriage::Csp;
        self.backlog.len() + usize::from(close)
    }

    fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing(_))
    }
}

/// What a waiting payload counts: its bytes, and the place it takes.
fn cost(msg: &Msg) -> usize {
    msg.bytes().len() + COST
}

/// The place that a payload takes.
const COST: usize = 32;

/// Most data of one packet: the 2010 client decodes a packet in one call and fails above that.
pub const PACKET_BYTES_MAX: usize = 32 * 1024;
/// Most packets that wait for a client, whatever their size: each costs a place.
pub const PACKETS_MAX: usize = 16 * 1024;
/// Data after which a batch takes no further packet, so that what a blocked socket keeps is bounded.
pub const BATCH_BYTES_MAX: usize = 48 * 1024;

#[cfg(test)]
mod tests;
