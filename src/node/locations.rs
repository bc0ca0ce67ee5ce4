//! Locations, as Orbited 0.3 had them: a page is one response, and what the application sends to its key is written there.
//!
//! In: a request that says who is where, and by which transport. Out: a session of its own that ends with its connection, or
//! with the next one of the same key.

use super::Node;
use super::csp::{ORIGIN, not_admitted, variable_fault};
use super::params::Params;
use super::respond::Answer;
use crate::http::cookies::cookie;
use crate::http::fault::Fault;
use crate::http::request::{Method, Request};
use crate::http::{forms, url};
use crate::hub::places;
use crate::ids::ConnId;
use crate::service::Hello;
use crate::service::admit::{self, Admitted};
use crate::service::refusal::Refusal;
use crate::session::{Place, ServiceKind};
use crate::transport::location::{STYLES, Style};
use crate::transport::{Profile, VariableError};
use serde_json::Value;

impl Node {
    pub(super) fn serve_location(&mut self, id: ConnId, request: &Request<'_>, location: &str) {
        if !self.origins.admits(request) {
            return self.fault(id, request, &ORIGIN);
        }
        let Some(user) = asked(request, "user").filter(|user| !user.is_empty()) else {
            self.refused("no-user");
            return self.hang_up_with(id, Answer::new(500, "text/html", NO_USER));
        };
        let admitted = match self.who(request, &user) {
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

    /// Who asks, by what it shows in the query or in a form.
    fn who(&mut self, request: &Request<'_>, user: &str) -> Result<Admitted, Fault> {
        let (name, kind) = (Value::from(user), ServiceKind::Location);
        let proof = asked(request, "token").map(Value::from);
        let admitted = match self.shown(request)? {
            Some(claims) => admit::by_token(Some(user), claims),
            None => self.admit(Some(&name), proof.as_ref()),
        };
        let refuse = |refusal: Refusal| not_admitted(&refusal);
        let admitted = admitted.map_err(refuse)?;
        let let_in = self.let_in(Some(request), (kind, proof.as_ref()), admitted);
        let_in.map_err(refuse)
    }

    fn open_location(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        (place, style): (Place, &Style),
        mut admitted: Admitted,
    ) {
        let hello = Hello {
            place: Some(place),
            ..admitted.hello()
        };
        let reader = (ServiceKind::Location, Profile::of(&style.row));
        if let Some(session) = self.open_events(id, request, reader, hello) {
            self.seat_all(session, &admitted.subscribe);
        }
    }
}

/// Where a page is, and by which transport it reads.
fn place(
    request: &Request<'_>,
    user: &str,
    location: &str,
) -> Result<(Place, &'static Style), Fault> {
    let [first, ..] = &STYLES;
    let style = match asked(request, "transport") {
        None => Some(first),
        Some(name) => STYLES.iter().find(|style| style.row.name == name),
    };
    let style = style.ok_or_else(|| variable_fault(VariableError::UnknownTransport))?;
    let location = url::decode_path(location).ok_or(BAD_PLACE)?;
    let session = asked(request, "session")
        .or_else(|| cookie(&request.headers, "session").map(str::to_owned))
        .unwrap_or_else(|| DEFAULT_SESSION.to_owned());
    let key = places::key(user, &session, &location).ok_or(BAD_PLACE)?;
    let spelling = style.spelling;
    Ok((Place { key, spelling }, style))
}

/// A variable of the query, else of a form.
fn asked(request: &Request<'_>, name: &str) -> Option<String> {
    let in_query = Params::other(request, name).pop();
    in_query.or_else(|| {
        let body = (request.method == Method::Post).then_some(request.body)?;
        let mut found = forms::pairs(body).filter(|(its, _)| **its == *name.as_bytes());
        found
            .next()
            .map(|(_, value)| String::from_utf8_lossy(&value).into_owned())
    })
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
