//! Answers of one piece: statuses, refusals, JSON.
//!
//! In: what to say. Out: bytes in the connection's output queue, and what becomes of the connection after.

use super::Node;
use super::conn::{Door, Inbox, Stage};
use crate::http::fault::{self, Fault};
use crate::http::reader;
use crate::http::refusal::Refusal;
use crate::http::request::{Method, Request};
use crate::http::response::{Cache, Head, Length};
use crate::ids::ConnId;
use crate::mem::OutQueue;
use crate::transport::http::Exchange;

/// An answer of one piece.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// The body's type.
    pub content_type: &'a str,
    /// The body; left out for HEAD.
    pub body: &'a [u8],
    /// What caches may do.
    pub cache: Cache<'a>,
    /// Whether pages of other origins may read it.
    pub cors: bool,
    /// Further fields.
    pub extra: &'a [(&'a str, &'a str)],
}

impl<'a> Answer<'a> {
    /// An answer that nobody keeps and every page may read.
    #[must_use]
    pub fn new(status: u16, content_type: &'a str, body: &'a [u8]) -> Self {
        Self {
            status,
            content_type,
            body,
            cache: Cache::NoStore,
            cors: true,
            extra: &[],
        }
    }
}

impl Node {
    /// The connection's output queue; what is appended is written at the end of the turn.
    pub(super) fn out(&mut self, id: ConnId) -> Option<&mut OutQueue> {
        self.mark_dirty(id);
        let conn = self.conns.get_mut(id)?;
        let fresh = || Box::new(OutQueue::new(&self.ledger));
        Some(
            conn.out
                .get_or_insert_with(|| self.pool.pop().unwrap_or_else(fresh)),
        )
    }

    /// What a writer needs to know of the request at hand.
    pub(super) fn exchange(&self, id: ConnId, head_only: bool) -> Option<Exchange> {
        let conn = self.conns.get(id)?;
        Some(Exchange {
            version: conn.version,
            keep_alive: conn.keep_alive && !self.stopping && !conn.half_closed,
            head_only,
            date: self.date,
            legacy_html: self.config.legacy_html,
        })
    }

    /// Answers the request at hand and goes on to the next.
    pub(super) fn answer(&mut self, id: ConnId, request: &Request<'_>, answer: Answer<'_>) {
        self.write_answer(id, answer, request.method == Method::Head);
        self.response_over(id);
    }

    pub(super) fn write_answer(&mut self, id: ConnId, answer: Answer<'_>, head_only: bool) {
        let Some(Exchange {
            version,
            keep_alive,
            ..
        }) = self.exchange(id, head_only)
        else {
            return;
        };
        let public = self
            .conns
            .get(id)
            .is_some_and(|conn| conn.door == Door::Public);
        let date = self.date;
        let head = Head {
            status: answer.status,
            content_type: answer.content_type,
            length: Length::Known(answer.body.len() as u64),
            keep_alive,
            version,
            cache: answer.cache,
            // Nothing of the internal port is for pages of other origins.
            cors: answer.cors && public,
            date: &date,
            extra: answer.extra,
        };
        if let Some(out) = self.out(id) {
            head.write(out.tail());
            let body = if head_only || answer.status == 304 {
                &[]
            } else {
                answer.body
            };
            out.tail().extend_from_slice(body);
        }
    }

    /// Answers a request that cannot be served, and counts it. The connection stays usable.
    pub(super) fn fault(&mut self, id: ConnId, request: &Request<'_>, fault: &Fault) {
        self.refused(fault.code);
        let body = fault.body_json();
        let answer = Answer::new(fault.status, fault::CONTENT_TYPE, body.as_bytes());
        self.answer(
            id,
            request,
            Answer {
                extra: fault.headers,
                ..answer
            },
        );
    }

    /// Answers bytes that are no request, and closes: what follows them cannot be told apart from them.
    pub(super) fn refuse(&mut self, id: ConnId, refusal: Refusal) {
        self.refused(refusal.code());
        let body = refusal.body_json();
        let answer = Answer::new(refusal.status(), fault::CONTENT_TYPE, body.as_bytes());
        self.hang_up_with(
            id,
            Answer {
                extra: refusal.headers(),
                ..answer
            },
        );
    }

    /// Writes an answer to whatever came, and closes.
    pub(super) fn hang_up_with(&mut self, id: ConnId, answer: Answer<'_>) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.keep_alive = false;
        }
        self.write_answer(id, answer, false);
        self.response_over(id);
    }

    /// The response is complete: the connection reads the next request, or closes.
    pub(super) fn response_over(&mut self, id: ConnId) {
        let keep_alive_ms = self.config.keepalive_timeout_ms;
        let now = self.now();
        let stopping = self.stopping;
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.session = None;
        if !conn.keep_alive || conn.half_closed || stopping {
            conn.stage = Stage::Closing;
            self.set_inbox(id, Inbox::Empty);
            self.mark_dirty(id);
            self.conn_timers.set(id.index(), now + WRITE_TIMEOUT_MS);
        } else {
            conn.stage = Stage::Open;
            self.conn_timers.set(id.index(), now + keep_alive_ms);
        }
        self.read_again(id);
    }

    /// Replaces what has come and is not served, and its account.
    pub(super) fn set_inbox(&mut self, id: ConnId, inbox: Inbox) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let bytes = inbox.heap_bytes();
        self.ledger.change(conn.inbox_bytes as usize, bytes);
        conn.inbox_bytes = bytes as u32;
        conn.inbox = inbox;
    }

    /// Takes what has come and is not served.
    pub(super) fn take_inbox(&mut self, id: ConnId) -> Inbox {
        let taken = self
            .conns
            .get_mut(id)
            .map(|conn| std::mem::take(&mut conn.inbox));
        self.set_inbox(id, Inbox::Empty);
        taken.unwrap_or_default()
    }

    /// Whether the node holds as much as it may.
    pub(super) fn is_full(&self) -> bool {
        self.cmds.is_full() || self.queued_bytes() >= self.config.max_queue_total as u64
    }

    /// The bounds of requests.
    pub(super) fn limits(&self) -> reader::Limits {
        self.limits.clone()
    }
}

/// A peer that takes nothing for this long has gone; what waits for it is let go.
pub const WRITE_TIMEOUT_MS: u64 = 30_000;
