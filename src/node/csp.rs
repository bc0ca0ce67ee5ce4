//! The endpoints of CSP over HTTP, by csp.md section 1.
//!
//! In: a request to `BASE/ENDPOINT`. Out: a session begun, acknowledged, heard, closed; the result, or a held
//! connection. The order of work for one request is that of 1.6.

use super::Node;
use super::conn::Stage;
use super::params::Params;
use super::requests::{QUEUES_FULL, RETRY};
use super::respond::Answer;
use super::sessions::{Applicant, NoSession};
use crate::cmd::Cause;
use crate::http::fault::Fault;
use crate::http::request::{Method, Request};
use crate::http::routes::Endpoint;
use crate::hub::Refused;
use crate::ids::{ConnId, SessionId};
use crate::metrics::Kind;
use crate::service::admit::BAD_NAME;
use crate::service::refusal::Refusal;
use crate::session::{BatchError, Carriage, Encoding, Received, ServiceKind, packets};
use crate::transport::{Profile, VariableError, http};
use serde_json::Value;

impl Node {
    pub(super) fn serve_csp(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        service: ServiceKind,
        endpoint: Endpoint,
    ) {
        if !self.origins.admits(request) {
            return self.fault(id, request, &ORIGIN);
        }
        if request.method == Method::Head {
            return self.answer(id, request, Answer::new(200, "text/html", b""));
        }
        let params = Params::of(request);
        match endpoint {
            Endpoint::Handshake => self.handshake(id, request, service, &params),
            Endpoint::Streamtest => self.streamtest(id, request, &params),
            Endpoint::Socket => self.csp_socket(id, request, service, &params),
            Endpoint::Script => self.fault(id, request, &super::public::NOT_FOUND),
            _ => self.with_session(id, request, service, &params, endpoint),
        }
    }

    fn handshake(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        service: ServiceKind,
        params: &Params<'_>,
    ) {
        let Some(hello) = handshake_object(request.method, params) else {
            return self.fault(id, request, &BAD_HANDSHAKE);
        };
        let profile = match params.apply(&Profile::default()) {
            Ok(profile) => profile,
            Err(error) => return self.fault(id, request, &variable_fault(error)),
        };
        let proof = hello.get("token");
        let admitted = self.admit(hello.get("user"), proof);
        let admitted = admitted.and_then(|who| self.let_in(Some(request), (service, proof), who));
        let mut admitted = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) if refusal.is_pending() => return,
            Err(refusal) if refusal.code == BAD_NAME => {
                return self.fault(id, request, &BAD_HANDSHAKE);
            }
            Err(refusal) => return self.fault(id, request, &not_admitted(&refusal)),
        };
        let two = |list: &Vec<Value>| list.iter().any(|encoding| encoding == 2);
        let utf8 = hello
            .get("encodings")
            .and_then(Value::as_array)
            .is_some_and(two);
        let opened = self.open_session(Applicant {
            service,
            carriage: Carriage::Csp,
            kind: Kind::None,
            encoding: if utf8 {
                Encoding::Utf8
            } else {
                Encoding::Plain
            },
            profile: profile.clone(),
            hello: admitted.hello(),
        });
        let session = match opened {
            Ok(session) => session,
            Err(why) => return self.fault(id, request, &no_session_fault(why)),
        };
        self.seat_all(session, &admitted.subscribe);
        let Some(key) = self
            .sessions
            .get(session)
            .map(|row| row.key(session).text())
        else {
            return;
        };
        let agreed = if utf8 { ",\"encoding\":2" } else { "" };
        self.result(
            id,
            &profile,
            format!("{{\"session\":\"{key}\"{agreed}}}").as_bytes(),
        );
    }

    /// What needs a session: find it, apply the settings, restart its idle time, take the acknowledgement.
    fn with_session(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        service: ServiceKind,
        params: &Params<'_>,
        endpoint: Endpoint,
    ) {
        let Some(session) = self.find_session(service, params) else {
            return self.unknown_session(id, request);
        };
        if let Err(error) = self.apply_settings(session, params) {
            return self.fault(id, request, &variable_fault(error));
        }
        let now = self.now();
        if let Some(row) = self.sessions.get_mut(session) {
            row.touch(now);
        }
        let over = self.acknowledge(session, params.ack);
        match endpoint {
            Endpoint::Comet if over => {
                self.finish_session(session);
                return self.unknown_session(id, request);
            }
            Endpoint::Comet => return self.comet(id, session),
            Endpoint::Send => self.send(id, request, session, params),
            Endpoint::Close => {
                self.ok(id, session);
                self.end_session(session, Cause::Clean);
            }
            _ => self.reflect(id, request, session, params),
        }
        if over {
            self.finish_session(session);
        } else {
            self.arm(session);
        }
    }

    /// The session of a request, if it is one of this service's.
    pub(super) fn find_session(
        &self,
        service: ServiceKind,
        params: &Params<'_>,
    ) -> Option<SessionId> {
        let key = params.key?;
        let session = self.sessions.get(key.id)?;
        let csp = session.carriage() == Carriage::Csp;
        (session.opens(&key) && session.service.word() == service.word() && csp).then_some(key.id)
    }

    pub(super) fn apply_settings(
        &mut self,
        id: SessionId,
        params: &Params<'_>,
    ) -> Result<(), VariableError> {
        if !params.has_settings() {
            return Ok(());
        }
        let Some(session) = self.sessions.get(id) else {
            return Ok(());
        };
        let before = self.profiles.get(session.profile);
        let after = params.apply(&before)?;
        if after == *before {
            return Ok(());
        }
        if self.must_end_response(id, &before, &after) {
            self.end_hold(id);
        }
        self.set_profile(id, after);
        Ok(())
    }

    /// Whether an open response cannot go on under changed settings: it keeps the coding it began with
    /// (1.2, g), and its type was chosen for the texts it began with.
    fn must_end_response(&self, id: SessionId, before: &Profile, after: &Profile) -> bool {
        let conn = self.sessions.get(id).and_then(|session| session.conn());
        let stage = conn
            .and_then(|conn| self.conns.get(conn))
            .map(|conn| conn.stage);
        let html = self.config.legacy_html;
        let kind = (before.own, before.comet_type(html)) != (after.own, after.comet_type(html));
        matches!(stage, Some(Stage::Held | Stage::Streaming)) && (kind || before.gzip != after.gzip)
    }

    fn comet(&mut self, id: ConnId, session: SessionId) {
        let Some(row) = self.sessions.get(session) else {
            return;
        };
        let profile = self.profiles.get(row.profile);
        if !profile.streams() {
            return self.attach(session, id, profile.kind(), Stage::Held);
        }
        let Some(exchange) = self.exchange(id, false) else {
            return;
        };
        let chunked = self
            .out(id)
            .is_some_and(|out| http::open(out, exchange, &profile));
        if let Some(conn) = self.conns.get_mut(id) {
            conn.chunked = chunked;
        }
        self.attach(session, id, profile.kind(), Stage::Streaming);
    }

    fn send(&mut self, id: ConnId, request: &Request<'_>, session: SessionId, params: &Params<'_>) {
        let data = params.data.as_deref().unwrap_or_default();
        match self.take_batch(session, data) {
            Ok(()) => self.ok(id, session),
            Err(fault) => {
                self.fault(id, request, &fault);
                // A client of the draft would repeat the batch for ever (1.10).
                self.remove_session(session, Cause::Protocol);
            }
        }
    }

    /// Takes an upstream batch in.
    pub(super) fn take_batch(&mut self, id: SessionId, batch: &[u8]) -> Result<(), Fault> {
        let Some(encoding) = self.sessions.get(id).map(|session| session.encoding()) else {
            return Ok(());
        };
        let ups = packets::parse(batch, self.config.max_batch, encoding).map_err(batch_fault)?;
        for up in ups {
            let Some(session) = self.sessions.get_mut(id) else {
                return Ok(());
            };
            let mut next = Some(session.receive(up, &self.ledger));
            while let Some(received) = next {
                self.take_received(id, received)?;
                next = self
                    .sessions
                    .get_mut(id)
                    .and_then(|session| session.next_early());
            }
        }
        Ok(())
    }

    fn take_received(&mut self, id: SessionId, received: Received<'_>) -> Result<(), Fault> {
        match received {
            Received::Bytes(bytes) => {
                self.metrics.messages_in += 1;
                self.hear_session(id, &bytes, false);
            }
            Received::Eof if self.ends_later(id, Cause::Clean) => {}
            Received::Eof => self.end_session(id, Cause::Clean),
            Received::Nothing => {}
            Received::TooFarAhead => return Err(GAP),
        }
        Ok(())
    }

    fn reflect(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        session: SessionId,
        params: &Params<'_>,
    ) {
        if !self.config.legacy_html {
            return self.fault(id, request, &REFLECT_OFF);
        }
        let Some(row) = self.sessions.get(session) else {
            return;
        };
        let kind = self.profiles.get(row.profile).content_type.name();
        let data = params.data.as_deref().unwrap_or_default();
        let answer = Answer::new(200, kind, data);
        self.answer(
            id,
            request,
            Answer {
                extra: &[http::SANDBOX],
                ..answer
            },
        );
    }

    fn ok(&mut self, id: ConnId, session: SessionId) {
        let profile = self
            .sessions
            .get(session)
            .map(|row| self.profiles.get(row.profile));
        self.result(id, &profile.unwrap_or_default(), b"\"OK\"");
    }

    fn result(&mut self, id: ConnId, profile: &Profile, json: &[u8]) {
        let Some(exchange) = self.exchange(id, false) else {
            return;
        };
        if let Some(out) = self.out(id) {
            http::result(out, exchange, profile, json);
        }
        self.response_over(id);
    }

    /// In quotes, since the client of 2010 evaluates the body and compares; only this stops it (T11).
    fn unknown_session(&mut self, id: ConnId, request: &Request<'_>) {
        self.refused("session-not-found");
        self.answer(
            id,
            request,
            Answer::new(404, "text/plain", b"'Session not found'"),
        );
    }
}

/// The handshake's object; `None` where there is none. An empty POST is a retry of the 2010 clients (1.3).
fn handshake_object(method: Method, params: &Params<'_>) -> Option<serde_json::Map<String, Value>> {
    match (params.data.as_deref(), method) {
        (None | Some(b""), Method::Post) => Some(serde_json::Map::new()),
        (None, _) => None,
        (Some(data), _) => serde_json::from_slice(data).ok(),
    }
}

fn batch_fault(error: BatchError) -> Fault {
    let reason = match error {
        BatchError::Syntax => "The batch is not an array of [id, encoding, data].",
        BatchError::TooMany => "The batch has more packets than --max-batch.",
        BatchError::UnknownEncoding => {
            "A packet's encoding is not 0 or 1, nor 2 where it was agreed."
        }
        BatchError::BadBase64 => "A packet's data is not the base64 its encoding says.",
    };
    Fault::new(
        400,
        "bad-batch",
        reason,
        "The session is closed; shake hands again.",
    )
}

pub(super) fn variable_fault(error: VariableError) -> Fault {
    match error {
        VariableError::TooLong => Fault::new(
            400,
            "variable-too-long",
            "A text variable is over 1 KiB.",
            "Send a shorter one.",
        ),
        VariableError::NotACallback => Fault::new(
            400,
            "not-a-callback",
            "Under a script type a prefix is a callback of letters, digits, _ $ and ., and a suffix ends a statement.",
            "Use another ct, or a callback's name and a semicolon.",
        ),
        VariableError::UnknownTransport => Fault::new(
            400,
            "unknown-transport",
            "There is no such transport.",
            "Leave transport= out.",
        ),
    }
}

/// How a client is told that it is not taken for who it says it is.
pub(super) fn not_admitted(refusal: &Refusal) -> Fault {
    let (status, hint, headers): (_, _, &'static [_]) = match refusal.code {
        "denied" => (403, "The application knows why.", &[]),
        "no-answer" => (503, "Try again later.", RETRY),
        _ => (401, NEW_TOKEN, &[]),
    };
    let mut text = refusal.text.chars();
    let first = text.next().map(|first| first.to_ascii_uppercase());
    let mut reason: String = first.into_iter().chain(text).collect();
    if !reason.ends_with('.') {
        reason.push('.');
    }
    let fault = Fault::new(status, refusal.code, "", hint).with_headers(headers);
    fault.with_reason(reason)
}

/// How a client is told that it gets no session.
pub(super) fn no_session_fault(why: NoSession) -> Fault {
    match why {
        NoSession::TooMany => Fault::new(
            503,
            "sessions-full",
            "The server has as many sessions as it may.",
            "Try again later; the operator's bound is --max-sessions.",
        )
        .with_headers(RETRY),
        NoSession::QueuesFull => QUEUES_FULL,
        NoSession::Stopping => {
            Fault::new(503, "stopping", "The server stops.", "Try again at once.")
                .with_headers(RETRY)
        }
        NoSession::Refused(Refused::NameTaken) => Fault::new(
            403,
            "name-taken",
            "Somebody else, with other credentials, has the name.",
            "Choose another user, or send the token it was taken with.",
        ),
        NoSession::Refused(Refused::TooManySubscriptions) => Fault::new(
            400,
            "too-many-subscriptions",
            "These are more channels than one session may read.",
            "Name fewer; the operator's bound is --max-subscriptions.",
        ),
        NoSession::Refused(Refused::TooManyChannels) => CHANNELS_FULL,
    }
}

/// The answer where a new channel would be needed.
pub(super) const CHANNELS_FULL: Fault = Fault::new(
    503,
    "channels-full",
    "The server has as many channels as it may.",
    "Try again later; the operator's bound is --max-channels.",
)
.with_headers(RETRY);

const NEW_TOKEN: &str =
    "Ask the application for a new token; `orbited token check` says what is in one.";
/// The answer to a page from elsewhere.
pub(super) const ORIGIN: Fault = Fault::new(
    403,
    "origin-not-allowed",
    "Pages of this origin may not connect.",
    "The operator allows origins by --allow-origin.",
);
const BAD_HANDSHAKE: Fault = Fault::new(
    400,
    "bad-handshake",
    "A handshake needs d, a JSON object; its user, if any, is a name.",
    "Send d={} at least.",
);
const REFLECT_OFF: Fault = Fault::new(
    403,
    "reflect-off",
    "reflect would be a page of the caller's making on this origin.",
    "The operator switches it on by --legacy-html.",
);
const GAP: Fault = Fault::new(
    400,
    "gap-too-large",
    "A packet is missing, and more than 16 or 64 KiB of them would wait for it.",
    "Number packets 1, 2, 3; the session is closed, shake hands again.",
);
