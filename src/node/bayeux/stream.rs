//! Streams: responses that stay open and bring what comes, each looking as its row says.
//!
//! In: an event source that asks for its session, a connect of 2006 whose answer is a stream. Out: the response, arrays of
//! messages in it, what breaks its silence, its end.

use super::super::Node;
use super::super::conn::Stage;
use super::super::respond::Answer;
use super::Via;
use super::answer::Answers;
use crate::http::fault::Fault;
use crate::http::request::Request;
use crate::http::url::Query;
use crate::ids::{ConnId, SessionId};
use crate::service::bayeux::messages::Message;
use crate::session::{Carriage, Held};
use crate::transport::bayeux::{self, Array};
use crate::transport::{BAYEUX, Profile, Way, http};

/// The way of a connection type over HTTP.
pub(super) fn way_of(name: &str) -> Option<&'static Way> {
    BAYEUX.iter().find(|way| way.row.name == name)
}

impl Node {
    /// `GET BASE/CLIENTID` of an event source: it brings what comes, and the client's connects show that it lives.
    pub(super) fn event_source(&mut self, via: &Via<'_>, request: &Request<'_>) {
        let key = request.path.rsplit('/').next().unwrap_or_default();
        let asker = Message {
            client: Some(key.into()),
            ..Message::default()
        };
        let [way, ..] = &BAYEUX;
        let Some(session) = self.client(via, &asker) else {
            return self.fault(via.conn, request, &UNKNOWN);
        };
        if self.sessions.get(session).is_some_and(|row| row.acks()) {
            return self.fault(via.conn, request, &ACKS);
        }
        self.note_arrived(via, session, None);
        self.answer_connect(session, false);
        self.open_stream(via.conn, session, way);
    }

    /// The page of a frame in which a client of 2006 begins: it tells its parent that it is there. `domain` is the one that
    /// both pages are to be of.
    pub(super) fn tunnel(&mut self, id: ConnId, request: &Request<'_>) {
        let of = |wanted: &[u8]| Query::new(request.query).find(|(name, _)| **name == *wanted);
        let domain = of(b"domain").map(|(_, domain)| domain.into_owned());
        let domain = String::from_utf8(domain.unwrap_or_default()).unwrap_or_default();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        if domain.len() > DOMAIN_BYTES_MAX || !domain.bytes().all(is_name) {
            return self.fault(id, request, &NO_DOMAIN);
        }
        let set = match domain.is_empty() {
            true => String::new(),
            false => format!("document.domain=\"{domain}\";"),
        };
        let page = format!(
            "<html><head><script>{set}onload=function(){{window.parent.cometd.tunnelInit(location.href,\"{domain}\")}}</script></head><body></body></html>"
        );
        let answer = Answer::new(200, "text/html", page.as_bytes());
        self.answer(id, request, answer);
    }

    /// A connect whose answer is a stream: its reply is the first that the stream brings.
    pub(super) fn connect_stream(
        &mut self,
        via: &Via<'_>,
        session: SessionId,
        held: &Held,
        (way, answers): (&'static Way, &mut Answers),
    ) {
        self.open_stream(via.conn, session, way);
        let reply = self.connect_reply(session, held, None);
        self.write_piece(via.conn, session, way, &reply);
        answers.held = true;
    }

    fn open_stream(&mut self, id: ConnId, session: SessionId, way: &'static Way) {
        let profile = Profile::of(&way.row);
        if !self.open_plain(id, &profile) {
            return;
        }
        if let Some(row) = self.sessions.get_mut(session) {
            row.link_mut().way = Some(way);
        }
        self.attach(session, id, profile.kind(), Stage::Streaming);
    }

    /// What waits for the session of a stream, in one array, and a reply behind it.
    pub(super) fn write_piece(
        &mut self,
        id: ConnId,
        session: SessionId,
        way: &'static Way,
        reply: &[u8],
    ) {
        let mut scratch = self.take_scratch();
        let mut array = Array::piece(&mut scratch, way);
        self.put_messages(session, &mut array);
        array.text(reply);
        array.close();
        self.put_chunk(id, &mut scratch);
        self.scratch = scratch;
    }

    /// Breaks the silence of a session's stream.
    pub(in super::super) fn keep_alive(&mut self, session: SessionId, id: ConnId) {
        if let Some(way) = self.way_on(session, id) {
            let mut scratch = self.take_scratch();
            bayeux::keepalive(&mut scratch, way);
            self.put_chunk(id, &mut scratch);
            self.scratch = scratch;
        }
    }

    /// The way of the stream that a connection is for its session.
    pub(super) fn way_on(&self, session: SessionId, id: ConnId) -> Option<&'static Way> {
        self.conns
            .get(id)
            .filter(|conn| conn.stage == Stage::Streaming)?;
        self.sessions.get(session)?.link()?.way
    }

    /// A connection carries its session no more: a stream ends, a WebSocket is free for another session.
    pub(in super::super) fn leave(&mut self, id: ConnId) {
        let stage = self.conns.get(id).map(|conn| conn.stage);
        match stage {
            Some(Stage::Streaming) => self.end_stream(id, &Profile::default(), Carriage::Bayeux),
            _ => self.let_go(id),
        }
    }

    /// The same of a session that is over, if the connection is a stream: it is told so.
    pub(super) fn sign_off(&mut self, id: ConnId, way: Option<&'static Way>) {
        let mut scratch = self.take_scratch();
        if let Some(way) = way.filter(|way| !way.sign_off.is_empty()) {
            bayeux::sign_off(&mut scratch, way);
            self.put_chunk(id, &mut scratch);
        }
        self.scratch = scratch;
        self.leave(id);
    }

    fn put_chunk(&mut self, id: ConnId, body: &mut crate::mem::OutQueue) {
        let chunked = self.conns.get(id).is_some_and(|conn| conn.chunked);
        if let Some(out) = self.out(id) {
            http::raw(out, body, chunked);
        }
    }
}

const UNKNOWN: Fault = Fault::new(
    404,
    "session-not-found",
    "The path names no session.",
    "Shake hands first, and ask for the clientId that you were given.",
);
const ACKS: Fault = Fault::new(
    400,
    "no-acks",
    "A stream takes no acknowledgements, and the session was begun with them.",
    "Connect by websocket or long-polling.",
);
const NO_DOMAIN: Fault = Fault::new(
    400,
    "no-domain",
    "domain= is a name of letters, digits, dots and dashes.",
    "Use such a name, or none.",
);
/// The longest name of a host.
const DOMAIN_BYTES_MAX: usize = 253;
