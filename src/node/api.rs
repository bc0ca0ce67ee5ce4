//! The internal port: publishing, health, metrics. For the application and the operator.
//!
//! In: a request that came through the internal listener. Out: a command whose outcome is the answer, or
//! text.

use super::Node;
use super::conn::Stage;
use super::csp::CHANNELS_FULL;
use super::events::BAD_CHANNEL;
use super::requests::QUEUES_FULL;
use super::respond::Answer;
use crate::admin;
use crate::cmd::{Cmd, Origin, Outcome};
use crate::http::fault::Fault;
use crate::http::request::{Method, Request};
use crate::http::routes::{self, Internal};
use crate::hub::names;
use crate::ids::ConnId;
use crate::mem::{Content, Publication};
use serde::de::IgnoredAny;

impl Node {
    pub(super) fn serve_internal(&mut self, id: ConnId, request: &Request<'_>) {
        if !admin::is_local_host(request.host) || !admin::is_own_origin(request) {
            return self.fault(id, request, &FOREIGN);
        }
        if request.method == Method::Options {
            let answer = Answer::new(204, "", b"");
            let extra = &[("Allow", "GET, HEAD, POST, OPTIONS")];
            return self.answer(id, request, Answer { extra, ..answer });
        }
        match routes::internal(request.path) {
            Internal::Publish(name) => self.publish(id, request, &name),
            Internal::Kick(user) => self.kick_user(id, request, &user),
            Internal::Signoffs => self.serve_signoffs(id, request),
            Internal::Healthz | Internal::Livez | Internal::Readyz => {
                let ready = !self.stopping;
                let body: &[u8] = if ready {
                    b"{\"status\":\"ok\"}\n"
                } else {
                    b"{\"status\":\"stopping\"}\n"
                };
                let status = if ready { 200 } else { 503 };
                self.answer(id, request, Answer::new(status, "application/json", body));
            }
            Internal::Metrics => {
                let text = admin::prometheus(&self.facts(), &self.metrics);
                let answer = Answer::new(
                    200,
                    "text/plain; version=0.0.4; charset=utf-8",
                    text.as_bytes(),
                );
                self.answer(id, request, answer);
            }
            Internal::Root => self.answer(id, request, Answer::new(200, "text/plain", ROOT)),
            Internal::Unknown => self.fault(id, request, &NOT_FOUND),
        }
    }

    fn publish(&mut self, id: ConnId, request: &Request<'_>, name: &str) {
        if request.method != Method::Post {
            return self.fault(id, request, &POST_ONLY);
        }
        let name = match names::channel(name) {
            Ok(name) => name,
            Err(error) => {
                return self.fault(
                    id,
                    request,
                    &BAD_CHANNEL.with_reason(error.reason().to_owned()),
                );
            }
        };
        if request.body.len() > self.config.max_message {
            return self.fault(id, request, &TOO_BIG);
        }
        if self.is_full() {
            return self.fault(id, request, &QUEUES_FULL);
        }
        let content = match content(request) {
            Ok(content) => content,
            Err(fault) => return self.fault(id, request, &fault),
        };
        let latest_of = request.headers.first("orbited-key");
        let latest_of = latest_of.map(String::from_utf8_lossy);
        if latest_of
            .as_ref()
            .is_some_and(|key| key.len() > KEY_BYTES_MAX)
        {
            return self.fault(id, request, &LONG_KEY);
        }
        let latest_of = latest_of.map(|key| Box::from(&*key));
        self.metrics.messages_in += 1;
        let publication = Publication::keyed(
            name.into(),
            None,
            content,
            request.body.into(),
            latest_of,
            &self.ledger,
        );
        let key = request.headers.first("idempotency-key");
        let key = key.map(|key| {
            let text = String::from_utf8_lossy(key);
            self.hub.once_key(&publication, APPLICATION, &text)
        });
        self.ask(id, Cmd::Publish(publication, Origin::Api(id), key));
    }

    fn kick_user(&mut self, id: ConnId, request: &Request<'_>, user: &str) {
        if request.method != Method::Post {
            return self.fault(id, request, &POST_ONLY);
        }
        match names::user(user) {
            Ok(user) => self.ask(id, Cmd::Kick(user.into(), Origin::Api(id))),
            Err(error) => {
                self.fault(
                    id,
                    request,
                    &BAD_USER.with_reason(error.reason().to_owned()),
                );
            }
        }
    }

    /// The connection waits for a command's outcome.
    fn ask(&mut self, id: ConnId, cmd: Cmd) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.stage = Stage::Waiting;
        }
        self.cmds.push(cmd);
    }

    /// A command was run: 201 when a publication reached someone, 202 when not.
    pub(super) fn answer_api(&mut self, id: ConnId, outcome: Outcome) {
        let conn = self.conns.get(id);
        if conn.is_none_or(|conn| conn.stage != Stage::Waiting) {
            return;
        }
        let (status, body) = match outcome {
            Outcome::Published {
                offset,
                subscribers,
            } => {
                let status = if subscribers > 0 { 201 } else { 202 };
                let body = format!("{{\"subscribers\":{subscribers},\"offset\":{offset}}}\n");
                (status, body)
            }
            Outcome::NoRoom => {
                self.refused(CHANNELS_FULL.code);
                (CHANNELS_FULL.status, CHANNELS_FULL.body_json())
            }
            Outcome::Kicked { sessions } => (200, format!("{{\"sessions\":{sessions}}}\n")),
            // Only sessions send.
            Outcome::Sent { .. } | Outcome::Absent => return,
        };
        self.write_answer(
            id,
            Answer::new(status, "application/json", body.as_bytes()),
            false,
        );
        self.response_over(id);
    }

    fn facts(&self) -> admin::Facts {
        admin::Facts {
            connections: self.conns.len(),
            channels: self.hub.len(),
            subscriptions: self.hub.subscriptions(),
            queue_bytes: self.queued_bytes(),
            history: self.hub.kept(),
            profiles: self.profiles.len(),
        }
    }
}

/// What the body is, by its type. A form, which is what `curl -d` says it sends, and no type at all count as
/// text where the bytes are text.
fn content(request: &Request<'_>) -> Result<Content, Fault> {
    let kind = request.headers.first("content-type").unwrap_or_default();
    let kind = String::from_utf8_lossy(kind).trim().to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let is_text = std::str::from_utf8(request.body).is_ok();
    match essence {
        "application/json" => {
            match std::str::from_utf8(request.body).map(serde_json::from_str::<IgnoredAny>) {
                Ok(Ok(_)) => Ok(Content::Json),
                _ => Err(NOT_JSON),
            }
        }
        "" | "application/x-www-form-urlencoded" if is_text => Ok(Content::Text),
        "" | "application/x-www-form-urlencoded" => {
            Ok(Content::Bytes("application/octet-stream".into()))
        }
        text if text.starts_with("text/") && is_text => Ok(Content::Text),
        other => Ok(Content::Bytes(other.into())),
    }
}

const LONG_KEY: Fault = Fault::new(
    400,
    "bad-key",
    "The key is longer than 255 bytes.",
    "Orbited-Key names what a message is the latest of, as in EURUSD.",
);
/// Longest `Orbited-Key`; what a message is the latest of stays with it as long as it waits.
const KEY_BYTES_MAX: usize = 255;
const ROOT: &[u8] = b"orbited, internal port\n\
    POST /api/publish/CHANNEL  publish the body\n\
    POST /api/kick/USER        end the sessions of a user\n\
    GET  /api/events/signoff   an event stream: sessions that ended, and what they never got\n\
    GET  /metrics              Prometheus text\n\
    GET  /healthz              200 while it serves\n";
const NOT_FOUND: Fault = Fault::new(
    404,
    "not-found",
    "There is nothing here.",
    "GET / lists what the internal port serves.",
);
const FOREIGN: Fault = Fault::new(
    403,
    "foreign-page",
    "The internal port answers this machine's programs, not pages of other origins or other names for it.",
    "Use its address, as in http://127.0.0.1:8001/.",
);
/// Whose ids the application's are: no user's name holds a control character.
const APPLICATION: &str = "\0";
const BAD_USER: Fault = Fault::new(
    400,
    "bad-user",
    "",
    "A user is a name without control characters, percent-encoded in the path.",
);
const POST_ONLY: Fault = Fault::new(
    405,
    "method-not-allowed",
    "Publishing and kicking are POSTs.",
    "Use POST.",
)
.with_headers(&[("Allow", "POST, OPTIONS")]);
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
