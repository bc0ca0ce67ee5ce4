//! Channels for clients without a library: `/_/events`, the unreliable transport layer, and the application's feeds.
//!
//! In: a request naming channels, a transport, and where the client stands. Out: a session of its own that ends with
//! its connection, or with the answer to the request where that is all its transport has.

use super::Node;
use super::admission::about_request;
use super::conn::Stage;
use super::csp::{ORIGIN, no_session_fault, not_admitted, variable_fault};
use super::params::Params;
use super::respond::Answer;
use super::sessions::Applicant;
use crate::config::policy::Who;
use crate::http::fault::Fault;
use crate::http::request::{Method, Request};
use crate::hub::names;
use crate::ids::{ConnId, SessionId};
use crate::mem::Position;
use crate::service::decide::{self, Matter};
use crate::service::refusal::Refusal;
use crate::service::{Hello, since};
use crate::session::{Carriage, Encoding, ServiceKind};
use crate::token::{Claims, Do};
use crate::transport::plain::{self, Standing};
use crate::transport::{PLAIN, Profile, Row, VariableError};

/// By what a request wants to be answered.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Http(&'static Row),
    Socket,
}

/// Channels, and where a client stands in them.
type Channels = Vec<(String, Option<Position>)>;

impl Node {
    pub(super) fn serve_events(&mut self, id: ConnId, request: &Request<'_>) {
        if !self.origins.admits(request) {
            return self.fault(id, request, &ORIGIN);
        }
        let wanted = match wanted(request) {
            Ok(wanted) => wanted,
            Err(error) => return self.fault(id, request, &variable_fault(error)),
        };
        let channels = match channels(request, self.config.max_subscriptions) {
            Ok(channels) => channels,
            Err(fault) => return self.fault(id, request, &fault),
        };
        let claims = match self.shown(request) {
            Ok(claims) => claims,
            Err(fault) => return self.fault(id, request, &fault),
        };
        let mut names = channels.iter().map(|(name, _)| name);
        if let Some(reason) = names.find_map(|name| self.unreadable(name, claims.as_ref())) {
            return self.fault(id, request, &FORBIDDEN.with_reason(reason));
        }
        let accept = match wanted {
            Wanted::Http(_) => None,
            Wanted::Socket => match self.upgrade(id, request) {
                Some(accept) => Some(accept),
                None => return,
            },
        };
        let names = channels.iter().map(|(name, _)| &**name);
        match self.ask_to_read(request, names, claims.as_ref()) {
            Ok(()) => {}
            Err(refusal) if refusal.is_pending() => return,
            Err(refusal) => {
                return self.fault(id, request, &not_admitted(&refusal));
            }
        }
        let row = match (wanted, &accept) {
            (Wanted::Http(row), _) => row,
            (Wanted::Socket, None) => return,
            (Wanted::Socket, Some(accept)) => {
                let hello = Hello {
                    claims,
                    ..hello(channels)
                };
                self.bare_socket(id, (request, accept), ServiceKind::Objects, hello);
                return;
            }
        };
        let service = match (row.sse, row.streaming) {
            (true, _) => ServiceKind::Events,
            (false, true) => ServiceKind::Objects,
            (false, false) => ServiceKind::Poll,
        };
        match profile(request, row) {
            Ok(profile) => {
                let hello = Hello {
                    claims,
                    ..hello(channels)
                };
                self.open_events(id, request, (service, profile), hello);
            }
            Err(fault) => self.fault(id, request, &fault),
        }
    }

    /// Why a reader with these claims, if any, may not read the channel called `name`, if that is so.
    fn unreadable(&mut self, name: &str, claims: Option<&Claims>) -> Option<String> {
        let user = claims.is_some_and(|claims| claims.user.is_some());
        let named = claims.is_some_and(|claims| claims.let_do(Do::Subscribe, name));
        let needed = match self.hub.policy(name).subscribe {
            Who::User if !user => "is for users, and no token=, or ticket=, names one.",
            Who::App => "is read by the application only.",
            Who::Token if !named => "needs a token=, or ticket=, that names it.",
            _ => return None,
        };
        Some(format!("The channel {name} {needed}"))
    }

    /// Whether the application lets a reader with these claims, if any, read those of the channels of which it is asked.
    fn ask_to_read<'n>(
        &mut self,
        request: &Request<'_>,
        names: impl Iterator<Item = &'n str>,
        claims: Option<&Claims>,
    ) -> Result<(), Refusal> {
        let matter = Matter::Subscribe;
        let user = claims.and_then(|claims| claims.user.as_deref());
        for name in names {
            if self.hub.policy(name).subscribe != Who::Ask {
                continue;
            }
            let unix_ms = self.clock.unix_ms;
            let decided = decide::decide(&mut self.asking, (matter, name), || {
                let mut question = decide::of_nobody(matter, "events", unix_ms);
                decide::field(&mut question, "user", user);
                decide::field(&mut question, "channel", Some(name));
                about_request(&mut question, Some(request));
                question.push(b'}');
                question
            });
            decided?;
        }
        Ok(())
    }

    /// What happens, for the application: the events that it names, with commas in between, or all of them.
    pub(super) fn serve_feed(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        named: &str,
    ) -> Result<(), Fault> {
        let named: Vec<&str> = match named {
            "*" => names::EVENTS.to_vec(),
            named => named
                .split(',')
                .map(|name| names::of_event(name).ok_or(NO_EVENT))
                .collect::<Result<_, _>>()?,
        };
        let named = names::EVENTS.iter().filter(|name| named.contains(name));
        let named: Vec<String> = named.map(|name| (*name).to_owned()).collect();
        let channels = placed(request, named)?;
        let [events, ..] = &PLAIN;
        let reader = (ServiceKind::Feed, Profile::of(events));
        self.open_events(id, request, reader, hello(channels));
        Ok(())
    }

    pub(super) fn open_events(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        (service, profile): (ServiceKind, Profile),
        hello: Hello<'_>,
    ) -> Option<SessionId> {
        if request.method == Method::Head {
            let answer = Answer::new(200, profile.content_type.name(), b"");
            self.answer(id, request, answer);
            return None;
        }
        let opened = self.open_session(Applicant {
            service,
            carriage: Carriage::Bare,
            kind: profile.kind(),
            encoding: Encoding::Plain,
            profile: profile.clone(),
            hello,
        });
        let session = match opened {
            Ok(session) => session,
            Err(why) => {
                self.fault(id, request, &no_session_fault(why));
                return None;
            }
        };
        self.use_ticket(request);
        if !profile.streams() {
            self.attach(session, id, profile.kind(), Stage::Held);
        } else if self.open_plain(id, &profile) {
            self.attach(session, id, profile.kind(), Stage::Streaming);
        }
        Some(session)
    }

    /// Writes the head of a stream of plain messages; false where there is no request to answer.
    pub(super) fn open_plain(&mut self, id: ConnId, profile: &Profile) -> bool {
        let Some(exchange) = self.exchange(id, false) else {
            return false;
        };
        let chunked = self
            .out(id)
            .is_some_and(|out| plain::open(out, exchange, profile));
        if let Some(conn) = self.conns.get_mut(id) {
            conn.chunked = chunked;
        }
        true
    }

    /// Where a reader stands when it has all that waits for it: where its channels stand, but for a publication that
    /// is still on its way to it.
    pub(super) fn standing(&self, id: SessionId) -> Option<Standing> {
        let session = self.sessions.get(id)?;
        let coming = self
            .under_way()
            .filter(|(publication, _)| !session.awaits(publication));
        let mut all = self.hub.standing(&session.seat);
        for (channel, at) in &mut all {
            let here = coming.filter(|(coming, _)| *coming.target == **channel);
            if let Some((_, taken)) = here.filter(|(coming, _)| coming.place() == Some(*at)) {
                at.offset = at.offset.saturating_sub(taken);
            }
        }
        let mut text = Vec::new();
        since::spell(&mut text, all.into_iter().map(|(_, at)| at));
        Some(Standing {
            since: String::from_utf8(text).unwrap_or_default(),
            recovered: !session.is_unmet(),
        })
    }
}

fn hello(channels: Channels) -> Hello<'static> {
    Hello {
        channels,
        ..Hello::default()
    }
}

/// `transport=` decides; else an upgrade, a callback, or the first type in `Accept` that a transport answers with.
fn wanted(request: &Request<'_>) -> Result<Wanted, VariableError> {
    if let Some(name) = Params::other(request, "transport").pop() {
        let row = PLAIN.iter().find(|row| row.name == name);
        return match row {
            Some(row) => Ok(Wanted::Http(row)),
            None if name == "websocket" => Ok(Wanted::Socket),
            None => Err(VariableError::UnknownTransport),
        };
    }
    if request.headers.has_token("upgrade", "websocket") {
        return Ok(Wanted::Socket);
    }
    let script = !Params::other(request, "callback").is_empty();
    let called = PLAIN
        .iter()
        .find(|row| script && row.content_type.is_script());
    let mut accepted = request.headers.items("accept");
    let [first, ..] = &PLAIN;
    let row = called.or_else(|| accepted.find_map(answering));
    Ok(Wanted::Http(row.unwrap_or(first)))
}

/// The transport that answers with a type of `Accept`, its parameters left out on both sides.
fn answering(accepted: &[u8]) -> Option<&'static Row> {
    let essence = |text: &[u8]| {
        let end = text.iter().position(|byte| *byte == b';');
        let essence = text.get(..end.unwrap_or(text.len())).unwrap_or(text);
        essence.trim_ascii().to_ascii_lowercase()
    };
    let wanted = essence(accepted);
    PLAIN
        .iter()
        .find(|row| essence(row.content_type.name().as_bytes()) == wanted)
}

/// A row's settings, and what a client may choose of them: how long it is held, and the callback of a script.
fn profile(request: &Request<'_>, row: &Row) -> Result<Profile, Fault> {
    let mut profile = Profile::of(row);
    let script = row.content_type.is_script();
    let mut choose = |name: &str, variable: &[u8]| {
        let value = Params::other(request, name).pop();
        let set = value.map(|value| profile.set(variable, value.as_bytes()));
        set.unwrap_or(Ok(())).map_err(variable_fault)
    };
    if !row.streaming {
        choose("du", b"du")?;
    }
    if script {
        choose("callback", b"bp")?;
    }
    profile.check().map_err(variable_fault)?;
    match script && profile.batch_prefix.is_empty() {
        true => Err(NO_CALLBACK),
        false => Ok(profile),
    }
}

/// The channels that a request names, each once, and where its client stands in them. A header that says so comes
/// from a browser, which repeats it whatever it is told: one that cannot be read is a place that nobody knows. Of more
/// channels than may be read one too many is enough.
fn channels(request: &Request<'_>, channels_max: usize) -> Result<Channels, Fault> {
    let mut names: Vec<String> = Vec::new();
    for name in Params::other(request, "channel") {
        if let Err(error) = names::channel(&name) {
            return Err(BAD_CHANNEL.with_reason(error.reason().to_owned()));
        }
        if names.len() <= channels_max && !names.contains(&name) {
            names.push(name);
        }
    }
    match names.is_empty() {
        true => Err(NO_CHANNEL),
        false => placed(request, names),
    }
}

/// Channels, and where the client says that it stands in them.
fn placed(request: &Request<'_>, names: Vec<String>) -> Result<Channels, Fault> {
    let header = request.headers.first("last-event-id");
    let query = Params::other(request, "since").pop();
    let positions = match (header.filter(|text| !text.is_empty()), query) {
        (Some(text), _) => since::parse(text, names.len())
            .unwrap_or_else(|| vec![Some(Position::default()); names.len()]),
        (None, Some(text)) if !text.is_empty() => {
            since::parse(text.as_bytes(), names.len()).ok_or(BAD_SINCE)?
        }
        (None, _) => vec![None; names.len()],
    };
    Ok(names.into_iter().zip(positions).collect())
}

const NO_EVENT: Fault = Fault::new(
    404,
    "no-event",
    "There is no such event.",
    "The events are signon, signoff, message, delivered, failed, occupied and vacated; several with commas, or * for all.",
);
const NO_CHANNEL: Fault = Fault::new(
    400,
    "no-channel",
    "No channel is named.",
    "Ask for /_/events?channel=NAME, repeated for more.",
);
const FORBIDDEN: Fault = Fault::new(
    403,
    "forbidden",
    "",
    "Ask the application for a token, or a ticket; the operator's rule is subscribe= of --channel.",
);
const NO_CALLBACK: Fault = Fault::new(
    400,
    "not-a-callback",
    "A script needs a callback.",
    "Add callback=NAME, or ask by another transport.",
);
const BAD_SINCE: Fault = Fault::new(
    400,
    "bad-since",
    "since is epoch:offset of each channel, joined by commas, in the order the channels are named.",
    "Repeat what the last answer said; leave an item empty, or since out, to begin anew.",
);
/// The answer to a name that is none; its reason is the name's.
pub(super) const BAD_CHANNEL: Fault = Fault::new(
    400,
    "bad-channel",
    "",
    "A channel is segments joined by single slashes, as in chat/room1.",
);
