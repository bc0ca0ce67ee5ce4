//! Handshakes: versions, ways to connect, who it is.
//!
//! In: a handshake. Out: a session and its clientId, or why there is none.

use super::super::Node;
use super::super::sessions::{Applicant, NoSession};
use super::Via;
use super::answer::Answers;
use super::connect::HOLD_MS;
use super::stream::way_of;
use crate::http::request::Request;
use crate::hub::Refused;
use crate::metrics::Kind;
use crate::service::admit::BAD_NAME;
use crate::service::bayeux::messages::Message;
use crate::service::bayeux::replies::{self, Reply};
use crate::service::bayeux::timesync;
use crate::service::bayeux::{self, messages};
use crate::service::refusal::Refusal;
use crate::session::{Carriage, Encoding, ServiceKind};
use crate::transport::{BAYEUX, Profile};
use serde_json::Value;
use std::borrow::Cow;

impl Node {
    pub(super) fn shake(
        &mut self,
        (via, request): (&Via<'_>, Option<&Request<'_>>),
        message: &Message<'_>,
        answers: &mut Answers,
    ) {
        let reply = Reply::to(message).with("version", VERSION);
        let fails =
            |error: &str, advice: &str| Reply::to(message).with("advice", advice).failed(error);
        if message
            .minimum_version
            .is_some_and(|version| is_newer(version.get()))
        {
            return answers.add(&fails("300::version_unsupported", replies::NONE));
        }
        let listed = message
            .types
            .map(|types| messages::texts(types, TYPES_LISTED_MAX).ok().flatten());
        if listed.is_some_and(|types| !has_common(&types.unwrap_or_default())) {
            return answers.add(&fails("301::connection_types_unsupported", replies::NONE));
        }
        let asks = |name: &str| {
            let value = message.extension(name).map(|value| value.get());
            value == Some("true")
        };
        let (acks, replays) = (asks("ack"), asks("replay"));
        let session = match self.open_client((via, request), message) {
            Ok(session) => session,
            Err(_) if self.asking.is_open() => return,
            Err(error) => {
                let advice = match &*error {
                    FULL | bayeux::ABSENT => self.later(),
                    _ => replies::NONE.to_owned(),
                };
                self.refused("bayeux-handshake");
                return answers.add(&fails(&error, &advice));
            }
        };
        let browser = match via.browser {
            None if !via.socket && self.config.bayeux_cookie.is_some() => self.new_browser(answers),
            known => known.unwrap_or(0),
        };
        let Some(row) = self.sessions.get_mut(session) else {
            return;
        };
        row.act(self.clock.tick);
        let link = row.link_mut();
        (link.acks, link.replays, link.browser) = (acks, replays, browser);
        let key = format!("\"{}\"", row.key(session).text());
        self.arm(session);
        let reply = reply
            .with("supportedConnectionTypes", &types(acks))
            .with("minimumVersion", VERSION)
            .with("clientId", &key)
            .with("authSuccessful", "true")
            .with("advice", &replies::retry(HOLD_MS));
        let now = self.clock.unix_ms;
        let reply = reply.extended(&[
            ("ack", acks.then(|| "true".to_owned())),
            ("replay", replays.then(|| "true".to_owned())),
            ("timesync", timesync::answer_now(message, now)),
        ]);
        answers.add(&reply.done());
    }

    fn open_client(
        &mut self,
        (via, request): (&Via<'_>, Option<&Request<'_>>),
        message: &Message<'_>,
    ) -> Result<crate::ids::SessionId, Cow<'static, str>> {
        let shown = message.extension("authentication");
        let shown: Option<Value> = shown.and_then(|shown| serde_json::from_str(shown.get()).ok());
        let shown = shown.filter(|shown| !shown.is_null());
        // What names nobody is not taken for somebody who gave no name.
        if shown.as_ref().is_some_and(|shown| !shown.is_object()) {
            return Err(DENIED.into());
        }
        let member = |name: &str| shown.as_ref().and_then(|shown| shown.get(name));
        let proof = member("token").or(member("credentials"));
        let service = ServiceKind::Bayeux;
        let mut admitted = self
            .admit(member("user"), proof)
            .and_then(|who| self.let_in(request, (service, proof), who))
            .map_err(|refusal| denied(&refusal))?;
        let kind = match via.socket {
            true => Kind::WebSocket,
            false => Kind::None,
        };
        let opened = self.open_session(Applicant {
            service,
            carriage: Carriage::Bayeux,
            kind,
            encoding: Encoding::Raw,
            profile: Profile::default(),
            hello: admitted.hello(),
        });
        if let Ok(session) = &opened {
            self.seat_all(*session, &admitted.subscribe);
        }
        opened.map_err(|why| match why {
            NoSession::Refused(Refused::NameTaken) => DENIED.into(),
            _ => FULL.into(),
        })
    }

    /// A browser that is not known gets a cookie.
    fn new_browser(&mut self, answers: &mut Answers) -> u64 {
        use std::hash::BuildHasher as _;
        let cookie = format!("{:016x}", self.rng.next_u64());
        let browser = self.browsers.hasher().hash_one(cookie.as_str());
        answers.cookie = Some(cookie);
        browser
    }

    /// To come back in a while, not all together.
    fn later(&mut self) -> String {
        replies::later("handshake", LATER_MS + self.rng.below(LATER_MS))
    }
}

/// Why somebody is not taken for who it says it is, in the form of the protocol: the code is an argument.
fn denied(refusal: &Refusal) -> Cow<'static, str> {
    match refusal.code {
        BAD_NAME => DENIED.into(),
        _ => bayeux::not_admitted(refusal),
    }
}

/// Whether a client that can do with nothing older than `minimum` cannot do with us. 2006 had numbers for versions.
fn is_newer(minimum: &str) -> bool {
    let parts = minimum.trim_matches('"').split('.');
    let parts = parts.map(|part| part.parse::<u32>().unwrap_or(0));
    parts.gt([1, 0])
}

fn has_common<T: AsRef<str>>(listed: &[T]) -> bool {
    listed.iter().any(|kind| is_type(kind.as_ref()))
}

/// Whether a client can be reached by what it calls so.
pub(super) fn is_type(name: &str) -> bool {
    name == WEBSOCKET || way_of(name).is_some()
}

/// Everything that a client can be reached by, of which it takes the first of its own list. Streams take no
/// acknowledgements.
fn types(acks: bool) -> String {
    let ways = BAYEUX.iter().filter(|way| !acks || !way.row.streaming);
    let ways = ways.map(|way| format!(",\"{}\"", way.row.name));
    format!("[\"{WEBSOCKET}\"{}]", ways.collect::<String>())
}

const VERSION: &str = "\"1.0\"";
const WEBSOCKET: &str = "websocket";
/// Names that a client may list.
const TYPES_LISTED_MAX: usize = 64;
const DENIED: &str = "403::handshake_denied";
const FULL: &str = "503::server_full";
/// Milliseconds after which a client is to come back that found no room, and as many more by chance.
const LATER_MS: u64 = 5_000;
