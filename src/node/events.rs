//! Channels as a plain event stream: `/_/events`, for clients without a library, and the application's feeds.
//!
//! In: a request naming channels. Out: a session of its own whose downstream is the response.

use super::Node;
use super::conn::Stage;
use super::csp::{ORIGIN, no_session_fault};
use super::params::Params;
use super::respond::Answer;
use super::sessions::Applicant;
use crate::config::policy::Who;
use crate::http::fault::Fault;
use crate::http::request::{Method, Request};
use crate::hub::names;
use crate::ids::ConnId;
use crate::metrics::Kind;
use crate::service::Hello;
use crate::session::{Carriage, Encoding, ServiceKind};
use crate::transport::{ContentType, Profile, http};

impl Node {
    pub(super) fn serve_events(&mut self, id: ConnId, request: &Request<'_>) {
        if !self.origins.allows(request.headers.first("origin")) {
            return self.fault(id, request, &ORIGIN);
        }
        let channels = Params::other(request, "channel");
        if channels.is_empty() {
            return self.fault(id, request, &NO_CHANNEL);
        }
        if let Some(error) = channels.iter().find_map(|name| names::channel(name).err()) {
            return self.fault(
                id,
                request,
                &BAD_CHANNEL.with_reason(error.reason().to_owned()),
            );
        }
        if let Some(reason) = channels.iter().find_map(|name| self.unreadable(name)) {
            return self.fault(id, request, &FORBIDDEN.with_reason(reason));
        }
        self.stream_events(id, request, ServiceKind::Events, channels);
    }

    /// Why nobody without a user's name may read the channel called `name`, if that is so.
    fn unreadable(&mut self, name: &str) -> Option<String> {
        let needed = match self.hub.policy(name).subscribe {
            Who::Anyone => return None,
            Who::User => "is for sessions with a user name, and an event stream has none.",
            Who::App => "is read by the application only.",
            Who::Token => "needs a right in a token, which this version cannot check.",
        };
        Some(format!("The channel {name} {needed}"))
    }

    /// What becomes of sessions, for the application.
    pub(super) fn serve_signoffs(&mut self, id: ConnId, request: &Request<'_>) {
        let channels = vec![names::SIGNOFF.to_owned()];
        self.stream_events(id, request, ServiceKind::Feed, channels);
    }

    fn stream_events(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        service: ServiceKind,
        channels: Vec<String>,
    ) {
        if request.method == Method::Head {
            return self.answer(
                id,
                request,
                Answer::new(200, ContentType::EventStream.name(), b""),
            );
        }
        let profile = Profile {
            content_type: ContentType::EventStream,
            streaming: true,
            sse: true,
            ..Profile::default()
        };
        let opened = self.open_session(Applicant {
            service,
            carriage: Carriage::Bare,
            encoding: Encoding::Plain,
            profile: profile.clone(),
            hello: Hello {
                channels,
                ..Hello::default()
            },
        });
        let session = match opened {
            Ok(session) => session,
            Err(why) => return self.fault(id, request, &no_session_fault(why)),
        };
        let Some(exchange) = self.exchange(id, false) else {
            return;
        };
        let chunked = self
            .out(id)
            .is_some_and(|out| http::open(out, exchange, &profile));
        if let Some(conn) = self.conns.get_mut(id) {
            conn.chunked = chunked;
        }
        self.attach(session, id, Kind::Sse, Stage::Streaming);
    }
}

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
    "Subscribe by Revolved with a user name where that is enough; the operator's rule is subscribe= of --channel.",
);
/// The answer to a name that is none; its reason is the name's.
pub(super) const BAD_CHANNEL: Fault = Fault::new(
    400,
    "bad-channel",
    "",
    "A channel is segments joined by single slashes, as in chat/room1.",
);
