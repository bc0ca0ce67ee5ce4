//! Bayeux: messages over HTTP and WebSocket, by bayeux.md.
//!
//! In: a request below `/_/bayeux`, `/bayeux` or `/cometd`, or a message of a WebSocket that was opened there. Out: one
//! answer with every reply, or a connect that waits. What concerns one session's channels is the service's; this folder
//! has what begins, holds and ends a session: `shake` and `connect`; `answer` and `stream` write.

pub(super) mod answer;
mod connect;
mod shake;
mod stream;

use super::Node;
use super::conn::{Stage, WriteSide};
use super::csp::ORIGIN;
use crate::cmd::Cause;
use crate::codes::CloseCode;
use crate::http::fault::Fault;
use crate::http::request::{Method, Request};
use crate::http::{cookies, cors, forms, url};
use crate::ids::{ConnId, SessionId};
use crate::service::bayeux::messages::{self, Bad, Message};
use crate::service::bayeux::replies::{self, Reply};
use crate::service::bayeux::timesync;
use crate::session::{Carriage, Held, ServiceKind, Session, SessionKey};
use crate::transport::is_callback;
use answer::Answers;
use std::borrow::Cow;
use std::hash::BuildHasher as _;

/// What a message came by.
#[derive(Debug, Clone, Copy)]
struct Via<'a> {
    conn: ConnId,
    socket: bool,
    /// The page of another origin that asks.
    origin: &'a str,
    /// The function that a script tag asks for.
    callback: &'a str,
    /// The browser, by its cookie.
    browser: Option<u64>,
}

impl Via<'_> {
    /// A connect that came by this way.
    fn held(&self, message: &Message<'_>, advise: bool, now_ms: u64) -> Held {
        Held {
            sync: timesync::asked(message, now_ms).map(Box::new),
            id: message.id.into(),
            origin: self.origin.into(),
            callback: self.callback.into(),
            advise,
            reconnect: message.channel == RECONNECT,
        }
    }
}

impl Node {
    pub(super) fn serve_bayeux(&mut self, id: ConnId, request: &Request<'_>) {
        if !self.origins.admits(request) {
            return self.fault(id, request, &ORIGIN);
        }
        if request.method == Method::Head {
            // An answer without its messages would have lost them.
            return self.fault(id, request, &NOT_HEAD);
        }
        if request.method == Method::Get && request.headers.has_token("upgrade", "websocket") {
            return self.bayeux_socket(id, request);
        }
        let asks =
            |name: &str| url::Query::new(request.query).any(|(key, _)| *key == *name.as_bytes());
        if request.method == Method::Get && !asks("message") {
            if asks("tunnelInit") {
                return self.tunnel(id, request);
            }
            if wants_events(request) {
                let via = self.via(id, request, "");
                return self.event_source(&via, request);
            }
        }
        let texts = texts(request);
        let callback = match callback(request) {
            Ok(callback) => callback,
            Err(fault) => return self.fault(id, request, &fault),
        };
        if texts.is_empty() {
            return self.fault(id, request, &NO_MESSAGE);
        }
        let batch = match messages::parse_all(&texts, self.config.max_batch) {
            Ok(batch) => batch,
            Err(bad) => return self.fault(id, request, &bad_fault(bad)),
        };
        let via = self.via(id, request, &callback);
        self.answer_messages(&via, Some(request), &batch);
    }

    fn via<'a>(&self, conn: ConnId, request: &Request<'a>, callback: &'a str) -> Via<'a> {
        let origin = request.headers.first("origin");
        // It is kept as long as the connect waits. One that is longer than any is answered as a page without cookies is.
        let origin = origin.filter(|text| text.len() <= ORIGIN_BYTES_MAX);
        let origin = origin.and_then(|text| str::from_utf8(text).ok());
        let cookie = cookies::cookie(&request.headers, COOKIE);
        Via {
            conn,
            socket: false,
            origin: origin.unwrap_or(""),
            callback,
            browser: cookie.map(|text| self.browsers.hasher().hash_one(text)),
        }
    }

    /// The answer to a browser that asks whether a page may send its messages here, cookies and all.
    pub(super) fn bayeux_preflight(&mut self, id: ConnId, request: &Request<'_>) {
        let origin = request.headers.first("origin");
        if !self.origins.allows(origin) {
            return self.fault(id, request, &ORIGIN);
        }
        let date = self.date;
        let keep_alive = self.conns.get(id).is_some_and(|conn| conn.keep_alive);
        if let Some(out) = self.out(id) {
            cors::with_credentials(request, keep_alive, &date, out.tail());
        }
        self.response_over(id);
    }

    /// A message of a WebSocket.
    pub(super) fn bayeux_message(&mut self, id: ConnId, bytes: &[u8], binary: bool) {
        if binary {
            let code = CloseCode::UNSUPPORTED_DATA;
            return self.drop_socket(id, code.number(), Cause::Gone);
        }
        let Ok(batch) = messages::parse(bytes, self.config.max_batch) else {
            self.refused("bad-batch");
            return self.drop_socket(id, CloseCode::POLICY.number(), Cause::Gone);
        };
        let via = Via {
            conn: id,
            socket: true,
            origin: "",
            callback: "",
            browser: None,
        };
        self.answer_messages(&via, None, &batch);
        if self.asking.is_open() {
            return self.hold_message(id, bytes);
        }
        let waiting = self.conns.get(id).and_then(|conn| conn.out.as_ref());
        if waiting.is_some_and(|out| out.len() > self.config.max_queue) {
            // It asks and asks, and does not read what it is answered.
            self.refused("overflow");
            self.drop_socket(id, CloseCode::OVERFLOW.number(), Cause::Gone);
        }
    }

    /// Does what is asked, from where the application was asked the last time; where it is to be asked again, the rest waits.
    fn answer_messages(
        &mut self,
        via: &Via<'_>,
        request: Option<&Request<'_>>,
        batch: &[Message<'_>],
    ) {
        let (from, mut answers) = self.holds.go_on(via.conn);
        let done = self.take_messages((via, request), batch, from, &mut answers);
        match self.asking.is_open() {
            true => self.holds.put_off(via.conn, done, answers),
            false => self.give(via, &answers),
        }
    }

    /// Gives back how many are done.
    fn take_messages(
        &mut self,
        (via, request): (&Via<'_>, Option<&Request<'_>>),
        batch: &[Message<'_>],
        from: usize,
        answers: &mut Answers,
    ) -> usize {
        // Whatever comes with a handshake cannot know the session that it makes.
        if let Some(message) = batch.iter().find(|message| message.channel == HANDSHAKE) {
            self.shake((via, request), message, answers);
            return 0;
        }
        for (n, message) in batch.iter().enumerate().skip(from) {
            match &*message.channel {
                CONNECT | RECONNECT => {
                    self.connect(via, message, batch.len() == 1, answers);
                }
                DISCONNECT => self.disconnect(via, message, answers),
                "" => answers.add(&Reply::to(message).failed("400::channel_missing")),
                _ => self.serve_client(via, message, answers),
            }
            if self.asking.is_open() {
                return n;
            }
            self.asking.settle();
        }
        batch.len()
    }

    /// What the session's service answers.
    fn serve_client(&mut self, via: &Via<'_>, message: &Message<'_>, answers: &mut Answers) {
        let Some(session) = self.client(via, message) else {
            return self.unknown_client(message, answers);
        };
        self.touch(session);
        let reply = self.with_service(session, |_, cx, row| {
            row.act(cx.now);
            crate::service::bayeux::answer(cx, row, message)
        });
        if !self.asking.is_open() {
            answers.add(&reply.unwrap_or_default());
        }
    }

    fn disconnect(&mut self, via: &Via<'_>, message: &Message<'_>, answers: &mut Answers) {
        let Some(session) = self.client(via, message) else {
            return self.unknown_client(message, answers);
        };
        self.note_arrived(via, session, None);
        self.remove_session(session, Cause::Clean);
        let sync = timesync::answer_now(message, self.clock.unix_ms);
        let reply = Reply::to(message).extended(&[("timesync", sync)]);
        answers.add(&reply.done());
    }

    fn unknown_client(&mut self, message: &Message<'_>, answers: &mut Answers) {
        self.refused("session-not-found");
        let reply = Reply::to(message);
        // What else is late may be of a session before: only its connects are to begin anew for that.
        let reply = match &*message.channel {
            CONNECT | RECONNECT => reply.with("advice", replies::HANDSHAKE),
            _ => reply,
        };
        answers.add(&reply.failed(replies::UNKNOWN));
    }

    /// The session of a message, if it is known and the asker's.
    fn client(&self, via: &Via<'_>, message: &Message<'_>) -> Option<SessionId> {
        let key = SessionKey::parse(message.client.as_ref()?.as_bytes())?;
        let session = self.sessions.get(key.id)?;
        let known = session.service == ServiceKind::Bayeux && session.opens(&key);
        let its = session.link().map_or(0, |link| link.browser);
        let same = its == 0 || via.browser.is_none_or(|browser| browser == its);
        (known && same && session.listens()).then_some(key.id)
    }

    /// What waits for a client has waited long enough for more.
    pub(super) fn hurry(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.hurry();
        }
        // Marks what is due now.
        self.with_service(id, |_, _, _| {});
        self.arm(id);
    }

    /// A WebSocket carries its session no more; it stays open for another one, or for a while.
    pub(super) fn let_go(&mut self, id: ConnId) {
        let due = self.now() + self.config.keepalive_timeout_ms;
        if let Some(conn) = self
            .conns
            .get_mut(id)
            .filter(|conn| conn.stage == Stage::Socket)
        {
            conn.session = None;
            // The time in which a ping is to be answered runs on, and that in which the peer is to read.
            if conn.heard && conn.write != WriteSide::Blocked {
                self.conn_timers.set(id.index(), due);
            }
        }
    }

    /// Whether `id` is a WebSocket on which Bayeux is spoken.
    pub(super) fn speaks_bayeux(&self, id: ConnId) -> bool {
        self.conns.get(id).is_some_and(|conn| conn.bayeux)
    }

    /// What was written to a connection did not all arrive: the session's answer on it is due again.
    pub(super) fn undo_answer(&mut self, id: ConnId) {
        let session = self.conns.get(id).and_then(|conn| conn.session);
        let row = session.and_then(|session| self.sessions.get_mut(session));
        let its = |row: &Session| [row.answered_on(), row.conn()].contains(&Some(id));
        let bayeux = |row: &Session| row.carriage() == Carriage::Bayeux;
        if let Some(row) = row.filter(|row| bayeux(row) && its(row)) {
            row.link_mut().answered_on = None;
            row.rewind();
        }
    }

    /// A client that asks more on a connection has read what it was answered on it before.
    pub(super) fn answer_arrived(&mut self, id: ConnId, session: SessionId) {
        let row = self.sessions.get_mut(session);
        if let Some(row) = row.filter(|row| row.answered_on() == Some(id)) {
            row.link_mut().answered_on = None;
        }
    }

    /// Whether the session is one of Bayeux.
    pub(super) fn is_bayeux(&self, id: SessionId) -> bool {
        let service = self
            .sessions
            .get(id)
            .map(|session: &Session| session.service);
        service == Some(ServiceKind::Bayeux)
    }
}

/// Whether it is an event source that asks.
fn wants_events(request: &Request<'_>) -> bool {
    let mut accepted = request.headers.items("accept");
    accepted.any(|item| item.starts_with(b"text/event-stream"))
}

/// The batches of a request: its body, or every `message` of its form or query.
fn texts<'a>(request: &Request<'a>) -> Vec<Cow<'a, [u8]>> {
    let messages = |pairs: url::Query<'a>| {
        let pairs = pairs.filter(|(name, _)| **name == *b"message");
        pairs.map(|(_, text)| text).collect()
    };
    match request.method {
        Method::Post if forms::is_form(request.body, &["message"]) => {
            messages(forms::pairs(request.body))
        }
        Method::Post if request.body.trim_ascii().is_empty() => Vec::new(),
        Method::Post => vec![Cow::Borrowed(request.body)],
        _ => messages(url::Query::new(request.query)),
    }
}

/// The function that a script tag wants called; empty for requests that are read otherwise.
fn callback(request: &Request<'_>) -> Result<String, Fault> {
    if request.method == Method::Post {
        return Ok(String::new());
    }
    let named = url::Query::new(request.query).find(|(name, _)| **name == *b"jsonp");
    let name = named.map_or(Cow::Borrowed(&b"jsonpcallback"[..]), |(_, name)| name);
    let fits = !name.is_empty() && is_callback(&name);
    match String::from_utf8(name.into_owned()) {
        Ok(name) if fits => Ok(name),
        _ => Err(NOT_A_CALLBACK),
    }
}

fn bad_fault(bad: Bad) -> Fault {
    let reason = match bad {
        Bad::Syntax => "The body is neither an array of messages nor a message.",
        Bad::TooMany => "The batch has more messages than --max-batch.",
        Bad::TooDeep => "A message nests deeper than 128 brackets.",
    };
    Fault::new(
        400,
        "bad-batch",
        reason,
        "Send JSON as in [{\"channel\":\"/meta/handshake\"}].",
    )
}

const NO_MESSAGE: Fault = Fault::new(
    400,
    "no-message",
    "Bayeux is spoken here, and the request has no message.",
    "POST an array of messages, open a WebSocket, or use a library such as cometd or faye.",
);
const NOT_HEAD: Fault = Fault::new(
    405,
    "method-not-allowed",
    "Messages are not asked for by HEAD.",
    "Use POST or GET.",
)
.with_headers(&[("Allow", "GET, POST, OPTIONS")]);
const NOT_A_CALLBACK: Fault = Fault::new(
    400,
    "not-a-callback",
    "jsonp= is the name of a function: letters, digits, _ $ and . only, at most 128 of them.",
    "Use such a name.",
);
const HANDSHAKE: &str = "/meta/handshake";
const CONNECT: &str = "/meta/connect";
/// The name of a connect in 2006.
const RECONNECT: &str = "/meta/reconnect";
const DISCONNECT: &str = "/meta/disconnect";
/// The cookie by which a browser's tabs are counted and a stolen clientId is told.
const COOKIE: &str = "BAYEUX_BROWSER";
/// Bytes of an origin: a scheme, the longest name of a host, and a port would be some more, but nobody has that.
const ORIGIN_BYTES_MAX: usize = 255;
