//! The internal port: the application's API, health, metrics. For the application and the operator.
//!
//! In: a request that came through the internal listener. Out: a command whose outcome is the answer, or
//! text. `publish` and `batch` are messages to channels, `peers` what is done to sessions, `lists` what may be looked
//! at, `query` and `fields` the form of queries and bodies.

mod batch;
mod control;
mod fields;
mod lists;
mod peers;
mod publish;
mod query;
mod tokens;

pub use publish::Batch;

use super::Node;
use super::conn::Stage;
use super::csp::CHANNELS_FULL;
use super::events::BAD_CHANNEL;
use super::requests::QUEUES_FULL;
use super::respond::Answer;
use crate::admin;
use crate::cmd::{Caller, Cmd, Outcome};
use crate::http::fault::Fault;
use crate::http::request::{Method, Request};
use crate::http::routes::{self, Internal};
use crate::hub::names;
use crate::ids::ConnId;

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
        // What is not there is nobody's business either.
        if request.path.starts_with("/api/") && !admin::has_key(request, &self.config.api_keys) {
            return self.fault(id, request, &NO_KEY);
        }
        let route = routes::internal(request.path);
        if let Err(fault) = asks_well(request, &route) {
            return self.fault(id, request, &fault);
        }
        match route {
            Internal::Events(named) => match self.serve_feed(id, request, &named) {
                Ok(()) => {}
                Err(fault) => self.fault(id, request, &fault),
            },
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
            route => self.serve_call(id, request, &route),
        }
    }

    /// A call of the API: what is only looked at is answered at once, what is done when its command was run.
    fn serve_call(&mut self, id: ConnId, request: &Request<'_>, call: &Internal<'_>) {
        let looked = match call {
            Internal::Presence(_)
            | Internal::History(_)
            | Internal::Channels
            | Internal::Sessions
            | Internal::Description => Some(self.look(request, call)),
            _ => None,
        };
        let done = match looked {
            Some(Ok(body)) => {
                let answer = Answer::new(200, "application/json", body.as_bytes());
                return self.answer(id, request, answer);
            }
            Some(Err(fault)) => Err(fault),
            None => self.act(id, request, call),
        };
        if let Err(fault) = done {
            self.fault(id, request, &fault);
        }
    }

    fn look(&mut self, request: &Request<'_>, call: &Internal<'_>) -> Result<String, Fault> {
        match call {
            Internal::Presence(channel) => self.presence(request, channel),
            Internal::History(channel) => self.history(request, channel),
            Internal::Channels => self.channels(request),
            Internal::Sessions => self.sessions(request),
            Internal::Description => Ok(admin::OPENAPI.to_owned()),
            _ => Err(NOT_FOUND),
        }
    }

    fn act(&mut self, id: ConnId, request: &Request<'_>, call: &Internal<'_>) -> Result<(), Fault> {
        // What ends sessions is let in even so.
        let ends = matches!(
            call,
            Internal::Kick(_) | Internal::KickOne | Internal::Revoke
        );
        if self.cmds.is_full() && !ends {
            return Err(QUEUES_FULL);
        }
        let caller = Caller::Http(id);
        match call {
            Internal::Publish(channel) => self.publish(caller, request, channel),
            Internal::PublishMany => self.publish_many(caller, request),
            Internal::Send(user) => self.send_to_user(caller, request, user),
            Internal::SendOne => self.send_to_session(caller, request),
            Internal::Broadcast => self.send_to_all(caller, request),
            Internal::Kick(user) => self.kick_user(caller, request, user),
            Internal::KickOne => self.kick_one(caller, request),
            Internal::Revoke => self.revoke_tokens(caller, request),
            Internal::Ticket => self.give_ticket(id, request),
            Internal::Subscribe => self.seat_user(caller, request, true),
            Internal::Unsubscribe => self.seat_user(caller, request, false),
            _ => Err(NOT_FOUND),
        }
    }

    /// The caller waits for a command's outcome.
    fn ask(&mut self, caller: Caller, cmd: Cmd) {
        self.wait(caller);
        self.give_all(caller, vec![cmd]);
    }

    /// Gives commands. A call by STOMP is a command itself, which is being run: what it is made of comes before what was said
    /// behind it, so that answers come in the order of the calls.
    fn give_all(&mut self, caller: Caller, cmds: Vec<Cmd>) {
        match caller {
            Caller::Http(_) => cmds.into_iter().for_each(|cmd| self.cmds.push(cmd)),
            Caller::Stomp(..) => self.cmds.push_first(cmds),
        }
    }

    fn wait(&mut self, caller: Caller) {
        if let Caller::Http(id) = caller
            && let Some(conn) = self.conns.get_mut(id)
        {
            conn.stage = Stage::Waiting;
        }
    }

    /// A command was run: 201 when a publication reached someone, 202 when not.
    pub(super) fn answer_api(&mut self, id: Caller, outcome: Outcome) {
        let (status, body) = match outcome {
            Outcome::Published {
                offset,
                subscribers,
            } => {
                let status = if subscribers > 0 { 201 } else { 202 };
                let body = format!("{{\"subscribers\":{subscribers},\"offset\":{offset}}}\n");
                (status, body)
            }
            Outcome::NoRoom => return self.refuse_waiting(id, &CHANNELS_FULL),
            Outcome::Absent | Outcome::Expired => {
                return self.refuse_waiting(id, &peers::NOT_CONNECTED);
            }
            Outcome::Crowded => return self.refuse_waiting(id, &peers::CROWDED),
            Outcome::Waits => (202, "{\"sessions\":0,\"waits\":true}\n".to_owned()),
            Outcome::Kicked { sessions } | Outcome::Sent { sessions } => {
                (200, format!("{{\"sessions\":{sessions}}}\n"))
            }
            Outcome::Seated { sessions, refused } => {
                let body = format!("{{\"sessions\":{sessions},\"refused\":{refused}}}\n");
                (200, body)
            }
        };
        self.answer_waiting(id, Answer::new(status, "application/json", body.as_bytes()));
    }

    fn refuse_waiting(&mut self, id: Caller, fault: &Fault) {
        self.refused(fault.code);
        let body = fault.body_json();
        let answer = Answer::new(fault.status, "application/json", body.as_bytes());
        self.answer_waiting(id, answer);
    }

    /// Answers the call whose command was run, if its caller is still there.
    fn answer_waiting(&mut self, caller: Caller, answer: Answer<'_>) {
        let id = match caller {
            Caller::Http(id) => id,
            Caller::Stomp(id, call) => return self.reply(id, call, answer.status, answer.body),
        };
        let conn = self.conns.get(id);
        if conn.is_none_or(|conn| conn.stage != Stage::Waiting) {
            return;
        }
        self.write_answer(id, answer, false);
        self.response_over(id);
    }

    fn facts(&self) -> admin::Facts {
        admin::Facts {
            connections: self.conns.len(),
            channels: self.hub.len(),
            subscriptions: self.hub.subscriptions(),
            queue_bytes: self.queued_bytes(),
            history: self.hub.kept(),
            waiting: self.hub.waiting(),
            profiles: self.profiles.len(),
            callback_waiting: self.callbacks_waiting() + self.groups.waiting(),
            callbacks_open: self.callbacks_open(),
        }
    }
}

/// Whether a request has the method of its call, and a query only where its call has one.
fn asks_well(request: &Request<'_>, route: &Internal<'_>) -> Result<(), Fault> {
    let looks = matches!(request.method, Method::Get | Method::Head);
    match route {
        Internal::Unknown => Ok(()),
        _ if route.is_looked_at() && !looks => Err(GET_ONLY),
        _ if !route.is_looked_at() && request.method != Method::Post => Err(POST_ONLY),
        Internal::Events(_) | Internal::Description => query::Query::of(request, &[]).map(drop),
        _ => Ok(()),
    }
}

fn checked_channel(name: &str) -> Result<&str, Fault> {
    names::channel(name).map_err(|error| BAD_CHANNEL.with_reason(error.reason().to_owned()))
}

const ROOT: &[u8] = b"orbited, internal port\n\
    POST /api/publish/CHANNEL  publish the body\n\
    POST /api/publish          publish many messages to many channels\n\
    POST /api/send/USER        the body to the sessions of a user\n\
    POST /api/send             ?session=KEY the body to one session\n\
    POST /api/broadcast        the body to everybody\n\
    POST /api/subscribe        ?user=&channel= subscribes the sessions of a user\n\
    POST /api/unsubscribe      ?user=&channel= ends that\n\
    POST /api/kick/USER        end the sessions of a user\n\
    POST /api/kick             ?session=KEY ends one session\n\
    POST /api/revoke           ?user= or ?jti= takes such tokens no more, and ends their sessions\n\
    POST /api/ticket           a ticket for the claims in the body\n\
    GET  /api/presence/CHANNEL who is in a channel\n\
    GET  /api/history/CHANNEL  what a channel has kept\n\
    GET  /api/channels         channels, a page at a time\n\
    GET  /api/sessions         sessions, a page at a time\n\
    GET  /api/events/signoff   an event stream: sessions that ended, and what they never got\n\
    GET  /api/events/EVENT     the same of signon, message, delivered, failed, occupied, vacated; several with commas, or *\n\
    GET  /api/openapi.json     all of this for programs\n\
    GET  /metrics              Prometheus text\n\
    GET  /healthz              200 while it serves\n";
const NOT_FOUND: Fault = Fault::new(
    404,
    "not-found",
    "There is nothing here.",
    "GET / lists what the internal port serves.",
);
const NO_KEY: Fault = Fault::new(
    401,
    "no-key",
    "The API wants a key, and none was shown, or another one.",
    "Send Authorization: Bearer KEY, or X-API-Key: KEY, with a key of --api-key.",
)
.with_headers(&[("WWW-Authenticate", "Bearer realm=\"orbited\"")]);
const FOREIGN: Fault = Fault::new(
    403,
    "foreign-page",
    "The internal port answers this machine's programs, not pages of other origins or other names for it.",
    "Use its address, as in http://127.0.0.1:8001/.",
);
const POST_ONLY: Fault = Fault::new(
    405,
    "method-not-allowed",
    "What changes something is a POST.",
    "Use POST.",
)
.with_headers(&[("Allow", "POST, OPTIONS")]);
const GET_ONLY: Fault = Fault::new(
    405,
    "method-not-allowed",
    "What is only looked at is a GET.",
    "Use GET.",
)
.with_headers(&[("Allow", "GET, HEAD, OPTIONS")]);
