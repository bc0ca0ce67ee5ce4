//! Locations, as Orbited 0.3 had them: a page is one response, and what the application sends to its key is written there.
//!
//! In: a request that says who is where, and by which transport. Out: a session of its own, which waits a few seconds for the
//! next request of the same key when its response is over; one that comes before takes the response's place.

use super::Node;
use super::conn::Stage;
use super::csp::{ORIGIN, no_session_fault, variable_fault};
use super::params::Params;
use super::respond::Answer;
use super::sessions::NoSession;
use crate::http::cookies::cookie;
use crate::http::fault::Fault;
use crate::http::request::{Method, Request};
use crate::http::url;
use crate::hub::places;
use crate::ids::{ConnId, SessionId};
use crate::service::admit::Admitted;
use crate::service::{self, Cx, Hello, Service};
use crate::session::{ServiceKind, Session};
use crate::transport::location::LOCATION;
use crate::transport::{Profile, Row, VariableError};
use std::rc::Rc;

impl Node {
    pub(super) fn serve_location(&mut self, id: ConnId, request: &Request<'_>, location: &str) {
        if !self.origins.admits(request) {
            return self.fault(id, request, &ORIGIN);
        }
        let Some(user) = Params::asked(request, "user").filter(|user| !user.is_empty()) else {
            self.refused("no-user");
            return self.hang_up_with(id, Answer::new(500, "text/html", NO_USER));
        };
        let admitted = match self.who(request, Some(&user), ServiceKind::Location) {
            Ok(admitted) => admitted,
            Err(_) if self.asking.is_open() => return,
            Err(fault) => return self.fault(id, request, &fault),
        };
        // Whom the application renamed is where it says.
        let name = admitted.user.as_deref().unwrap_or(&user);
        match place(request, name, location) {
            Ok(found) => self.open_location(id, request, found, admitted),
            Err(fault) => self.fault(id, request, &fault),
        }
    }

    /// The page's session, which may wait for it since it was here; else a new one.
    fn open_location(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        (place, row): (Rc<str>, &Row),
        mut admitted: Admitted,
    ) {
        let waits = self.hub.who_is_at(&place);
        if let Some(session) = waits.filter(|id| self.goes_on(*id)) {
            return self.come_back(id, request, (session, row), admitted);
        }
        let hello = Hello {
            place: Some(place),
            ..admitted.hello()
        };
        let reader = (ServiceKind::Location, Profile::of(row));
        if let Some(session) = self.open_events(id, request, reader, hello) {
            self.seat_all(session, &admitted.subscribe);
        }
    }

    fn goes_on(&self, id: SessionId) -> bool {
        self.sessions.get(id).is_some_and(Session::is_open)
    }

    fn come_back(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        (session, row): (SessionId, &Row),
        admitted: Admitted,
    ) {
        if request.method == Method::Head {
            let answer = Answer::new(200, row.content_type.name(), b"");
            return self.answer(id, request, answer);
        }
        let again = |_: &dyn Service, cx: &mut Cx<'_>, own: &mut Session| {
            service::admit::again(cx, own, admitted)
        };
        if let Some(Err(refused)) = self.with_service(session, again) {
            return self.fault(id, request, &no_session_fault(NoSession::Refused(refused)));
        }
        self.use_ticket(request);
        self.carry(id, session, row);
    }

    /// A session that goes on without its stream has this one from now on, in place of the one before.
    pub(super) fn carry(&mut self, id: ConnId, session: SessionId, row: &Row) {
        // Whose client left while the application was asked takes nobody's place.
        if self.conns.get(id).is_none_or(|conn| conn.half_closed) {
            return self.kill(id);
        }
        let profile = Profile::of(row);
        self.set_profile(session, profile.clone());
        if self.open_plain(id, &profile) {
            self.attach(session, id, profile.kind(), Stage::Streaming);
        }
    }
}

/// Where a page is, and by which transport it reads.
fn place(
    request: &Request<'_>,
    user: &str,
    location: &str,
) -> Result<(Rc<str>, &'static Row), Fault> {
    let row = transport(request)?;
    let location = url::decode_path(location).ok_or(BAD_PLACE)?;
    let session = Params::asked(request, "session")
        .or_else(|| cookie(&request.headers, "session").map(str::to_owned))
        .unwrap_or_else(|| DEFAULT_SESSION.to_owned());
    let key = places::key(user, &session, &location).ok_or(BAD_PLACE)?;
    Ok((key, row))
}

/// The transport that a request names.
pub(super) fn transport(request: &Request<'_>) -> Result<&'static Row, Fault> {
    let [first, ..] = &LOCATION;
    let row = match Params::asked(request, "transport") {
        None => Some(first),
        Some(name) => LOCATION.iter().find(|row| row.name == name),
    };
    row.ok_or_else(|| variable_fault(VariableError::UnknownTransport))
}

/// The page of the time.
const NO_USER: &[u8] = b"user ID must be specified in the GET or POST request";
const DEFAULT_SESSION: &str = "0";
const BAD_PLACE: Fault = Fault::new(
    400,
    "bad-place",
    "A session and a location are text of at most 255 bytes, without commas.",
    "The application names them as USER, SESSION, /LOCATION.",
);
