//! WebSockets opened: a CSP session's downstream, or a service's bare stream.
//!
//! In: an upgrade request. Out: the 101 and a connection that carries a session, or a refusal.

use super::Node;
use super::conn::Stage;
use super::csp::{ORIGIN, no_session_fault, not_admitted, variable_fault};
use super::params::Params;
use super::sessions::Applicant;
use crate::codes::CloseCode;
use crate::http::fault::Fault;
use crate::http::request::{Headers, Method, Request, Version};
use crate::ids::{ConnId, SessionId};
use crate::metrics::Kind;
use crate::service::Hello;
use crate::service::admit::{self, Admitted};
use crate::session::{Carriage, Encoding, ServiceKind};
use crate::transport::Profile;
use crate::ws::handshake::{self, Accept, Fields};

/// Lends a request's header fields to the WebSocket handshake.
struct Lookup<'r, 'a>(&'r Headers<'a>);

impl Fields for Lookup<'_, '_> {
    fn first(&self, name: &str) -> Option<&[u8]> {
        self.0.first(name)
    }
    fn count(&self, name: &str) -> usize {
        self.0.count(name)
    }
    fn has_token(&self, name: &str, token: &str) -> bool {
        self.0.has_token(name, token)
    }
}

impl Node {
    /// `BASE/websocket?s=KEY&a=N`: the same session, carried by WebSocket. An unknown session is told by a
    /// close code, since a page cannot see the status of a refused upgrade.
    pub(super) fn csp_socket(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        service: ServiceKind,
        params: &Params<'_>,
    ) {
        let Some(accept) = self.upgrade(id, request) else {
            return;
        };
        let session = self.find_session(service, params);
        if let Some(Err(error)) = session.map(|session| self.apply_settings(session, params)) {
            return self.fault(id, request, &variable_fault(error));
        }
        self.switch_protocols(id, &accept, None);
        let Some(session) = session else {
            self.refused("session-not-found");
            return self.close_socket(id, CloseCode::UNKNOWN_SESSION.number());
        };
        if self.acknowledge(session, params.ack) {
            self.finish_session(session);
            return self.close_socket(id, CloseCode::UNKNOWN_SESSION.number());
        }
        self.attach(session, id, Kind::WebSocket, Stage::Socket);
    }

    /// `/_/SERVICE/ws`: a session of its own, one message per write, for as long as the connection lasts.
    pub(super) fn service_socket(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        service: ServiceKind,
    ) {
        if !self.origins.admits(request) {
            return self.fault(id, request, &ORIGIN);
        }
        // What is no upgrade is nothing to ask the application about.
        let Some(accept) = self.upgrade(id, request) else {
            return;
        };
        let admitted = match self.shown(request) {
            Ok(None) => Ok(Admitted::default()),
            Ok(Some(claims)) => admit::by_token(None, claims).map_err(|no| not_admitted(&no)),
            Err(fault) => Err(fault),
        };
        let admitted = admitted.and_then(|who| {
            let who = self.let_in(Some(request), (service, None), who);
            who.map_err(|no| not_admitted(&no))
        });
        let mut admitted = match admitted {
            Ok(admitted) => admitted,
            Err(_) if self.asking.is_open() => return,
            Err(fault) => return self.fault(id, request, &fault),
        };
        let seats = std::mem::take(&mut admitted.subscribe);
        if let Some(session) = self.bare_socket(id, (request, &accept), service, admitted.hello()) {
            self.seat_all(session, &seats);
        }
    }

    /// `/_/stomp`: STOMP on a WebSocket. Whichever of its names the client offers first is granted; which version is spoken is
    /// said by CONNECT.
    pub(super) fn stomp_socket(&mut self, id: ConnId, request: &Request<'_>) {
        self.service_socket(id, request, ServiceKind::StompGuest);
    }

    /// A WebSocket whose session is its own, and begins with what `hello` says.
    pub(super) fn bare_socket(
        &mut self,
        id: ConnId,
        (request, accept): (&Request<'_>, &Accept),
        service: ServiceKind,
        hello: Hello<'_>,
    ) -> Option<SessionId> {
        let opened = self.open_session(Applicant {
            service,
            carriage: Carriage::Bare,
            kind: Kind::WebSocket,
            encoding: Encoding::Plain,
            profile: Profile::default(),
            hello,
        });
        match opened {
            Ok(session) => {
                self.use_ticket(request);
                let granted = match service {
                    ServiceKind::StompGuest => stomp_protocol(&request.headers),
                    _ => None,
                };
                self.switch_protocols(id, accept, granted);
                self.attach(session, id, Kind::WebSocket, Stage::Socket);
                Some(session)
            }
            Err(why) => {
                self.fault(id, request, &no_session_fault(why));
                None
            }
        }
    }

    /// A WebSocket on which Bayeux is spoken: which session it carries is told by the connects that come on it.
    pub(super) fn bayeux_socket(&mut self, id: ConnId, request: &Request<'_>) {
        let Some(accept) = self.upgrade(id, request) else {
            return;
        };
        self.switch_protocols(id, &accept, None);
        if let Some(conn) = self.conns.get_mut(id) {
            conn.bayeux = true;
        }
    }

    /// Checks the upgrade, and refuses what is none.
    pub(super) fn upgrade(&mut self, id: ConnId, request: &Request<'_>) -> Option<Accept> {
        let get = request.method == Method::Get;
        let http11 = request.version == Version::Http11;
        match handshake::accept(get, http11, &Lookup(&request.headers)) {
            Ok(accept) => Some(accept),
            Err(no) => {
                let fault = Fault::new(no.status(), no.code(), no.reason(), no.hint());
                self.fault(id, request, &fault.with_headers(no.fields()));
                None
            }
        }
    }

    fn switch_protocols(&mut self, id: ConnId, accept: &Accept, protocol: Option<&str>) {
        let date = self.date;
        if let Some(out) = self.out(id) {
            accept.write_head(out.tail(), protocol, &date);
        }
        if let Some(conn) = self.conns.get_mut(id) {
            conn.stage = Stage::Socket;
        }
    }
}

/// The first of the protocols that the client offers which is one of STOMP's.
fn stomp_protocol(headers: &Headers<'_>) -> Option<&'static str> {
    const KNOWN: [&str; 3] = ["v12.stomp", "v11.stomp", "v10.stomp"];
    let lookup = Lookup(headers);
    let mut offered = handshake::protocols(&lookup);
    offered.find_map(|offer| KNOWN.into_iter().find(|known| *known == offer))
}
