//! Revolved as Orbited 0.3 had it: a session that is asked for, calls for it, and a stream of its events.
//!
//! In: requests. Out: a session that waits for its stream, and again when that is over; answers in the words of the time, which
//! are refusals too: its client looks at no status. Only what is asked before there is a session, or of the stream, is refused as
//! elsewhere.

use super::Node;
use super::csp::{ORIGIN, no_session_fault};
use super::locations::transport;
use super::params::Params;
use super::respond::Answer;
use super::sessions::Applicant;
use crate::http::request::{Method, Request};
use crate::http::routes::Call;
use crate::hub::names;
use crate::ids::{ConnId, SessionId};
use crate::metrics::Kind;
use crate::service::refusal::Refusal;
use crate::service::revolved::calls;
use crate::service::{Hello, json};
use crate::session::{Carriage, Encoding, ServiceKind, Session, SessionKey};
use crate::transport::Profile;

/// What a call came to; none where the application is asked first.
type Done = Option<Result<(), Refusal>>;

impl Node {
    pub(super) fn serve_revolved(&mut self, id: ConnId, request: &Request<'_>, call: Call) {
        if !self.origins.admits(request) {
            return self.fault(id, request, &ORIGIN);
        }
        if request.method == Method::Head {
            return self.answer(id, request, Answer::new(200, TEXT, b""));
        }
        match call {
            Call::Connect => match self.connect_page(request) {
                Some(Ok(text)) => self.say_json(id, request, &text),
                Some(Err(text)) => self.say_json(id, request, &failure(&text)),
                None => {}
            },
            Call::Event => self.open_page(id, request),
            Call::Authenticate => match self.authenticate_page(request) {
                Some(Ok(())) => self.say_json(id, request, "\"success\""),
                Some(Err(refusal)) => self.say_json(id, request, &failure(&refusal.text)),
                None => {}
            },
            Call::Subscribe | Call::Unsubscribe | Call::Publish => {
                match self.call_for_page(request, call) {
                    Some(Ok(())) => self.answer(id, request, Answer::new(200, TEXT, b"success")),
                    Some(Err(refusal)) => {
                        let answer = Answer::new(200, TEXT, refusal.text.as_bytes());
                        self.answer(id, request, answer);
                    }
                    None => {}
                }
            }
        }
    }

    /// A new session, which is nobody's unless the request shows whose it is.
    fn connect_page(&mut self, request: &Request<'_>) -> Option<Result<String, String>> {
        let resource = match Params::asked(request, "resource") {
            Some(resource) => resource,
            None => return Some(Err(self.lacks("Specify resource").text.into())),
        };
        if let Err(error) = names::user(&resource) {
            self.refused("bad-name");
            return Some(Err(error.reason().to_owned()));
        }
        let user = Params::asked(request, "user");
        let kind = ServiceKind::RevolvedOfOld;
        let mut admitted = match self.who(request, user.as_deref(), kind) {
            Ok(admitted) => admitted,
            Err(_) if self.asking.is_open() => return None,
            Err(fault) => {
                self.refused(fault.code);
                return Some(Err(fault.reason.into()));
            }
        };
        let user = admitted.user.clone();
        let opened = self.open_session(Applicant {
            service: kind,
            carriage: Carriage::Bare,
            kind: Kind::None,
            encoding: Encoding::Plain,
            profile: Profile::default(),
            hello: Hello {
                resource: Some(&resource),
                ..admitted.hello()
            },
        });
        let session = match opened {
            Ok(session) => session,
            Err(why) => {
                let fault = no_session_fault(why);
                self.refused(fault.code);
                return Some(Err(fault.reason.into()));
            }
        };
        self.use_ticket(request);
        self.seat_all(session, &admitted.subscribe);
        let key = self.sessions.get(session)?.key(session).text();
        let user = user.map_or_else(|| "null".to_owned(), |user| json::text(&user));
        Some(Ok(format!("[\"success\", \"{key}\", {user}]")))
    }

    /// The stream of a session: it takes the place of the one before. Whose it is is known by its key, so `user`, which may have
    /// been renamed since, is passed over.
    fn open_page(&mut self, id: ConnId, request: &Request<'_>) {
        let session = match self.page(request) {
            Ok(session) => session,
            Err(refusal) => {
                let answer = Answer::new(404, TEXT, refusal.text.as_bytes());
                return self.answer(id, request, answer);
            }
        };
        match transport(request) {
            Ok(row) => self.carry(id, session, row),
            Err(fault) => self.fault(id, request, &fault),
        }
    }

    fn authenticate_page(&mut self, request: &Request<'_>) -> Done {
        let Some(user) = Params::asked(request, "userid") else {
            return Some(Err(self.lacks("Specify userid")));
        };
        let token = Params::asked(request, "token");
        let session = match self.page(request) {
            Ok(session) => session,
            Err(refusal) => return Some(Err(refusal)),
        };
        let done = self.with_service(session, |_, cx, own| {
            calls::authenticate(cx, own, &user, token.as_deref())
        });
        settled(done)
    }

    fn call_for_page(&mut self, request: &Request<'_>, call: Call) -> Done {
        let Some(channel) = Params::asked(request, "channel") else {
            return Some(Err(self.lacks("Specify channel")));
        };
        let session = match self.page(request) {
            Ok(session) => session,
            Err(refusal) => return Some(Err(refusal)),
        };
        let done = match call {
            Call::Publish => {
                let Some(payload) = Params::asked(request, "payload") else {
                    return Some(Err(self.lacks("Specify payload")));
                };
                self.with_service(session, |_, cx, own| {
                    calls::publish(cx, own, &channel, &payload)
                })
            }
            Call::Unsubscribe => {
                self.with_service(session, |_, cx, own| calls::unsubscribe(cx, own, &channel))
            }
            _ => {
                let token = Params::asked(request, "token");
                self.with_service(session, |_, cx, own| {
                    calls::subscribe(cx, own, &channel, token.as_deref())
                })
            }
        };
        settled(done)
    }

    /// The session that a request names, which shows by it that it lives.
    fn page(&mut self, request: &Request<'_>) -> Result<SessionId, Refusal> {
        let Some(text) = Params::asked(request, "session") else {
            return Err(self.lacks("Specify session"));
        };
        let key = SessionKey::parse(text.as_bytes());
        let found = key.filter(|key| {
            let opens = |own: &Session| {
                own.opens(key) && own.service == ServiceKind::RevolvedOfOld && own.listens()
            };
            self.sessions.get(key.id).is_some_and(opens)
        });
        match found {
            Some(key) => {
                self.touch(key.id);
                Ok(key.id)
            }
            None => {
                self.refused(NOT_FOUND.code);
                Err(NOT_FOUND)
            }
        }
    }

    fn lacks(&mut self, what: &'static str) -> Refusal {
        self.refused("bad-args");
        Refusal::new(what, "bad-args")
    }

    fn say_json(&mut self, id: ConnId, request: &Request<'_>, text: &str) {
        self.answer(id, request, Answer::new(200, JSON, text.as_bytes()));
    }
}

fn settled(done: Done) -> Done {
    let done = done.unwrap_or(Err(NOT_FOUND));
    let pending = done.as_ref().is_err_and(Refusal::is_pending);
    (!pending).then_some(done)
}

fn failure(text: &str) -> String {
    format!("[\"failure\", {}]", json::text(text))
}

const TEXT: &str = "text/plain";
const JSON: &str = "application/json";
const NOT_FOUND: Refusal = Refusal::new("Connection not found", "session-not-found");
