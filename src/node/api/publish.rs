//! Publishing by the application: the body as one message, or many messages to many channels in one body.
//!
//! In: requests. Out: commands, whose outcomes are the answer. A body of many is checked as a whole before the first of it
//! is published.

use super::Node;
use super::batch::{self, Message};
use super::{QUEUES_FULL, checked_channel, peers::NAMED, query::Query};
use crate::cmd::{Caller, Cmd, Origin, Outcome};
use crate::http::fault::Fault;
use crate::http::request::Request;
use crate::mem::{Content, Publication};
use crate::node::csp::CHANNELS_FULL;
use crate::node::respond::Answer;
use crate::service::json;
use std::rc::Rc;

/// Publications of one request, of which some are not answered yet. They are answered in their order.
#[derive(Debug)]
pub struct Batch {
    channels: std::vec::IntoIter<Rc<str>>,
    results: Vec<String>,
    reached: bool,
    refused: bool,
}

impl Node {
    pub(super) fn publish(
        &mut self,
        id: Caller,
        request: &Request<'_>,
        name: &str,
    ) -> Result<(), Fault> {
        let query = Query::of(request, NAMED)?;
        let name = checked_channel(name)?;
        let content = self.message(request)?;
        let latest_of = request.headers.first("orbited-key");
        let latest_of = latest_of.map(String::from_utf8_lossy);
        if latest_of
            .as_ref()
            .is_some_and(|key| key.len() > batch::KEY_BYTES_MAX)
        {
            return Err(LONG_KEY);
        }
        let latest_of = latest_of.map(|key| Box::from(&*key));
        let publication = Publication::keyed(
            name.into(),
            None,
            content,
            request.body.into(),
            latest_of,
            &self.ledger,
        );
        query.name(&publication)?;
        self.metrics.messages_in += 1;
        let key = request.headers.first("idempotency-key");
        let key = key.map(|key| {
            let text = String::from_utf8_lossy(key);
            self.hub.once_key(&publication, APPLICATION, &text)
        });
        self.ask(id, Cmd::Publish(publication, Origin::Api(id), key));
        Ok(())
    }

    /// What the body is, if it may be a message, and there is room for it.
    pub(super) fn message(&self, request: &Request<'_>) -> Result<Content, Fault> {
        if request.body.len() > self.config.max_message {
            return Err(TOO_BIG);
        }
        if self.is_full() {
            return Err(QUEUES_FULL);
        }
        let kind = request.headers.first("content-type").unwrap_or_default();
        content(&String::from_utf8_lossy(kind), request.body)
    }

    /// Publishes every message of the body to every channel that it names.
    pub(super) fn publish_many(&mut self, id: Caller, request: &Request<'_>) -> Result<(), Fault> {
        Query::of(request, &[])?;
        let messages = batch::parse(request.body, self.config.max_message)?;
        let weight = |message: &Message| message.bytes.len() * message.channels.len();
        let bytes: usize = messages.iter().map(weight).sum();
        if bytes > BATCH_BYTES_MAX {
            return Err(TOO_MUCH);
        }
        let room = self.config.max_queue_total as u64;
        if self.is_full() || self.queued_bytes() + bytes as u64 > room {
            return Err(QUEUES_FULL);
        }
        let channels = messages.iter().flat_map(|message| message.channels.clone());
        let channels: Vec<Rc<str>> = channels.collect();
        self.metrics.messages_in += channels.len() as u64;
        let batch = Batch {
            results: Vec::with_capacity(channels.len()),
            channels: channels.into_iter(),
            reached: false,
            refused: false,
        };
        self.batches.insert(id, batch);
        self.wait(id);
        let mut cmds = Vec::new();
        for message in messages {
            self.publish_to_all(id, &message, &mut cmds);
        }
        self.give_all(id, cmds);
        Ok(())
    }

    fn publish_to_all(&self, id: Caller, message: &Message, cmds: &mut Vec<Cmd>) {
        for channel in &message.channels {
            let publication = Publication::keyed(
                channel.clone(),
                None,
                message.content.clone(),
                message.bytes.clone(),
                message.key.clone(),
                &self.ledger,
            );
            let once = message.id.as_ref();
            let once = once.map(|id| self.hub.once_key(&publication, APPLICATION, id));
            cmds.push(Cmd::Publish(publication, Origin::Batch(id), once));
        }
    }

    /// The next publication of a request of many was run. The last answers it: 201 when any reached someone, 202 when
    /// none did, 207 when any was refused.
    pub(in crate::node) fn answer_batch(&mut self, id: Caller, outcome: Outcome) {
        let Some(batch) = self.batches.get_mut(&id) else {
            return;
        };
        let channel = batch.channels.next().unwrap_or_default();
        let channel = json::text(&channel);
        let result = match outcome {
            Outcome::Published {
                offset,
                subscribers,
            } => {
                batch.reached |= subscribers > 0;
                format!("\"subscribers\":{subscribers},\"offset\":{offset}")
            }
            _ => {
                batch.refused = true;
                let (code, reason) = (CHANNELS_FULL.code, json::text(&CHANNELS_FULL.reason));
                format!("\"code\":\"{code}\",\"reason\":{reason}")
            }
        };
        batch
            .results
            .push(format!("{{\"channel\":{channel},{result}}}"));
        if batch.channels.len() > 0 {
            return;
        }
        let Some(batch) = self.batches.remove(&id) else {
            return;
        };
        let status = match (batch.refused, batch.reached) {
            (true, _) => 207,
            (false, true) => 201,
            (false, false) => 202,
        };
        if batch.refused {
            self.refused(CHANNELS_FULL.code);
        }
        let body = format!("{{\"results\":[{}]}}\n", batch.results.join(","));
        let answer = Answer::new(status, "application/json", body.as_bytes());
        self.answer_waiting(id, answer);
    }
}

/// What `bytes` are, by their type.
///
/// # Errors
/// They are said to be JSON and are not.
pub fn content(kind: &str, bytes: &[u8]) -> Result<Content, Fault> {
    json::content(kind, bytes).ok_or(NOT_JSON)
}

/// Bytes of all publications of one body: what one turn may copy.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
const TOO_MUCH: Fault = Fault::new(
    413,
    "too-many",
    "More than 8 MiB, each message counted for each of its channels; nothing was published.",
    "Send them in several requests.",
);
/// Whose ids the application's are: no user's name holds a control character.
const APPLICATION: &str = "\0";
const LONG_KEY: Fault = Fault::new(
    400,
    "bad-key",
    "The key is longer than 255 bytes.",
    "Orbited-Key names what a message is the latest of, as in EURUSD.",
);
const TOO_BIG: Fault = Fault::new(
    413,
    "message-too-big",
    "The message is larger than one may be.",
    "Send less; the operator's bound is --max-message.",
);
const NOT_JSON: Fault = Fault::new(
    400,
    "not-json",
    "The body is said to be JSON and is not.",
    "Mend it, or publish it as text/plain.",
);
