//! `streamtest`: two batches a second apart, by which a client sees whether something between buffers
//! (csp.md 1.12).
//!
//! In: a request. Out: a response in two halves; the second waits in the inbox for its time.

use super::Node;
use super::conn::{Inbox, Stage};
use super::csp::variable_fault;
use super::params::Params;
use crate::http::request::Request;
use crate::ids::ConnId;
use crate::transport::{Profile, http};

impl Node {
    pub(super) fn streamtest(&mut self, id: ConnId, request: &Request<'_>, params: &Params<'_>) {
        let streaming = Profile {
            streaming: true,
            ..Profile::default()
        };
        let profile = match params.apply(&streaming) {
            Ok(profile) => profile,
            Err(error) => return self.fault(id, request, &variable_fault(error)),
        };
        let Some(exchange) = self.exchange(id, false) else {
            return;
        };
        let mut scratch = self.take_scratch();
        scratch
            .tail()
            .extend_from_slice(&http::test_batch(&profile, 1));
        let Some(out) = self.out(id) else { return };
        let chunked = http::open(out, exchange, &profile);
        http::raw(out, &mut scratch, chunked);
        self.scratch = scratch;
        if let Some(conn) = self.conns.get_mut(id) {
            conn.chunked = chunked;
            conn.keep_alive &= chunked;
            conn.stage = Stage::Testing;
        }
        let second = http::test_batch(&profile, 2);
        self.set_inbox(id, Inbox::Testing(Box::new((Vec::new(), second))));
    }

    /// The second has passed.
    pub(super) fn end_streamtest(&mut self, id: ConnId) {
        let Inbox::Testing(both) = self.take_inbox(id) else {
            return;
        };
        let (parked, batch) = *both;
        if !parked.is_empty() {
            self.set_inbox(id, Inbox::Parked(Box::new(parked)));
        }
        let chunked = self.conns.get(id).is_some_and(|conn| conn.chunked);
        let mut scratch = self.take_scratch();
        scratch.tail().extend_from_slice(&batch);
        if let Some(out) = self.out(id) {
            http::raw(out, &mut scratch, chunked);
            http::end(out, chunked);
        }
        self.scratch = scratch;
        self.response_over(id);
    }
}

/// Milliseconds from when the first batch was taken to the second.
pub const STREAMTEST_MS: u64 = 1_000;
