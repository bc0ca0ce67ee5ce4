//! Bytes to requests: the read side of an HTTP connection.
//!
//! In: bytes as they came. Out: one request after another to its route, in order; what is not whole yet
//! stays in the connection's inbox, and what comes behind a request that is being answered waits there too.

use super::Node;
use super::conn::{Conn, Door, Inbox, Stage, Timed};
use super::respond::Answer;
use crate::http::fault::Fault;
use crate::http::reader::{self, Kept, Step};
use crate::http::request::{Method, Request};
use crate::http::routes::{self, Route};
use crate::http::{cors, fault};
use crate::ids::ConnId;

impl Node {
    /// Bytes came. They may be changed in place.
    pub fn receive(&mut self, id: ConnId, bytes: &mut [u8]) {
        let Some(stage) = self.conns.get(id).map(|conn| conn.stage) else {
            return;
        };
        self.metrics.bytes_in += bytes.len() as u64;
        match stage {
            Stage::Open if self.is_parked(id) => self.park(id, bytes),
            Stage::Open if self.may_open(id, bytes) => self.receive_opening(id, bytes),
            Stage::Open => self.receive_requests(id, bytes),
            Stage::Raw => self.receive_raw(id, bytes),
            Stage::Socket if self.is_parked(id) => self.park(id, bytes),
            Stage::Socket => {
                self.hear(id);
                self.receive_frames(id, bytes);
            }
            Stage::Waiting | Stage::Held | Stage::Streaming | Stage::Testing => {
                self.park(id, bytes)
            }
            Stage::Calling => self.receive_answer(id, bytes),
            Stage::Closing | Stage::Lingering | Stage::Dead => {}
        }
    }

    /// Serves what was parked behind a response that is over now.
    pub fn resume(&mut self, id: ConnId) {
        let goes_on = |conn: &Conn| conn.stage == Stage::Socket && !conn.paused;
        let socket = self.conns.get(id).is_some_and(goes_on);
        if !socket && !self.serves_more(id) {
            return;
        }
        match self.take_inbox(id) {
            Inbox::Parked(mut bytes) if socket => self.receive_frames(id, &mut bytes),
            Inbox::Parked(mut bytes) => self.receive_requests(id, &mut bytes),
            other => self.set_inbox(id, other),
        }
    }

    pub(super) fn receive_requests(&mut self, id: ConnId, bytes: &mut [u8]) {
        let whole = bytes.len();
        let mut input: &[u8] = bytes;
        let limits = self.limits();
        while self.serves_more(id) {
            let mut partial = match self.take_inbox(id) {
                Inbox::Request(partial) => Some(partial),
                _ => None,
            };
            let before = input;
            match reader::next(&mut partial, &mut input, &limits) {
                Ok(Step::Ready(request)) => {
                    self.serve(id, &request);
                    if self.asking.is_open() {
                        let raw = before.get(..before.len() - input.len());
                        let kept = Kept::of(partial, raw.unwrap_or_default(), &limits);
                        self.hold_request(id, kept);
                    }
                }
                Ok(Step::Continue) => {
                    self.keep(id, partial);
                    self.say_continue(id);
                }
                Ok(Step::More) => return self.keep(id, partial),
                Err(refusal) => return self.refuse(id, refusal),
            }
            if input.is_empty() && !self.has_request(id) {
                return;
            }
        }
        let at = whole - input.len();
        let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) else {
            return;
        };
        match self.conns.get(id).map(|conn| conn.stage) {
            Some(Stage::Socket) => self.receive_frames(id, rest),
            Some(Stage::Closing | Stage::Lingering | Stage::Dead) | None => {}
            Some(_) => self.park(id, rest),
        }
    }

    /// Whether the next request may be looked at: the last one is answered, and the answers are taken.
    fn serves_more(&self, id: ConnId) -> bool {
        let free = |conn: &Conn| conn.stage == Stage::Open && !conn.is_backed_up();
        self.conns.get(id).is_some_and(free)
    }

    fn is_parked(&self, id: ConnId) -> bool {
        let parked = |conn: &Conn| matches!(conn.inbox, Inbox::Parked(_));
        self.conns.get(id).is_some_and(parked)
    }

    fn has_request(&self, id: ConnId) -> bool {
        self.conns
            .get(id)
            .is_some_and(|conn| matches!(conn.inbox, Inbox::Request(_)))
    }

    /// Keeps what has come of a request. Its time runs from its first byte, and once more from the end of
    /// its head; not from each byte, or a slow peer would hold it for ever.
    fn keep(&mut self, id: ConnId, partial: Option<Box<reader::Partial>>) {
        let Some(partial) = partial else { return };
        if self.is_full() && partial.heap_bytes() > FULL_PARTIAL_MAX {
            return self.hang_up_full(id);
        }
        let due = self.now();
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let (timed, wait_ms) = match partial.head_complete() {
            false => (Timed::Head, self.config.header_timeout_ms),
            true => (Timed::Body, BODY_TIMEOUT_MS),
        };
        if conn.timed != timed {
            conn.timed = timed;
            self.conn_timers.set(id.index(), due + wait_ms);
        }
        self.set_inbox(id, Inbox::Request(partial));
    }

    fn hang_up_full(&mut self, id: ConnId) {
        let body = QUEUES_FULL.body_json();
        self.refused(QUEUES_FULL.code);
        let answer = Answer::new(503, fault::CONTENT_TYPE, body.as_bytes());
        self.hang_up_with(
            id,
            Answer {
                extra: QUEUES_FULL.headers,
                ..answer
            },
        );
    }

    fn say_continue(&mut self, id: ConnId) {
        if self.has_request(id)
            && let Some(out) = self.out(id)
        {
            out.tail()
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    /// Keeps bytes behind a request that is being answered. At most one read of them: then the socket is not
    /// read again until the answer is out.
    pub(super) fn park(&mut self, id: ConnId, bytes: &[u8]) {
        let mut parked = match self.take_inbox(id) {
            Inbox::Parked(parked) => parked,
            Inbox::Testing(mut both) => {
                both.0.extend_from_slice(bytes);
                return self.set_inbox(id, Inbox::Testing(both));
            }
            _ => Box::default(),
        };
        parked.extend_from_slice(bytes);
        self.set_inbox(id, Inbox::Parked(parked));
    }

    fn serve(&mut self, id: ConnId, request: &Request<'_>) {
        let (max_requests, stopping) = (self.config.max_requests, self.stopping);
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.requests += 1;
        conn.version = request.version;
        conn.keep_alive =
            !stopping && request.keep_alive && (max_requests == 0 || conn.requests < max_requests);
        conn.timed = Timed::Idle;
        let answered = conn.session.take();
        if let Some(session) = answered {
            self.answer_arrived(id, session);
        }
        self.metrics.requests += 1;
        self.conn_timers.clear(id.index());
        self.route(id, request);
    }

    /// Serves a request, once more if something was to be decided first.
    pub(super) fn route(&mut self, id: ConnId, request: &Request<'_>) {
        let Some(door) = self.conns.get(id).map(|conn| conn.door) else {
            return;
        };
        match door {
            Door::Public if request.method == Method::Options => {
                match routes::public(request.path) {
                    Route::Bayeux => self.bayeux_preflight(id, request),
                    _ => self.preflight(id, request),
                }
            }
            Door::Public | Door::Stomp | Door::Op => self.serve_public(id, request),
            Door::Internal => self.serve_internal(id, request),
            Door::Application => {}
        }
    }

    fn preflight(&mut self, id: ConnId, request: &Request<'_>) {
        let date = self.date;
        let keep_alive = self.conns.get(id).is_some_and(|conn| conn.keep_alive);
        if let Some(out) = self.out(id) {
            cors::options(request, keep_alive, &date, out.tail());
        }
        self.response_over(id);
    }
}

/// The answer to work that would need more memory than the operator allows.
pub const QUEUES_FULL: Fault = Fault::new(
    503,
    "queues-full",
    "The server's queues hold as much as they may.",
    "Try again later; the operator's bound is --max-queue-total.",
)
.with_headers(RETRY);
/// Bytes that a request may have come to while the queues are full: enough for the acknowledgements that
/// empty them, which may come in pieces.
pub const FULL_PARTIAL_MAX: usize = 8 * 1024;
/// When to come back.
pub const RETRY: &[(&str, &str)] = &[
    ("Retry-After", "2"),
    // Or a page of another origin could not read it.
    ("Access-Control-Expose-Headers", "Retry-After"),
];
/// Milliseconds for a request's body after its head: half a minute for 1 MiB is 280 kbit/s.
pub(super) const BODY_TIMEOUT_MS: u64 = 30_000;
