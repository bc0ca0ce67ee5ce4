//! Who may begin a session, and as whom: what a request shows is looked at by `service/admit.rs`, and by the application.
//!
//! In: a name, what is shown for it, a request. Out: who it is, or the refusal; channels that it is to read.

use super::Node;
use super::csp::not_admitted;
use super::params::Params;
use crate::http::fault::Fault;
use crate::http::request::Request;
use crate::ids::SessionId;
use crate::service;
use crate::service::admit::Admitted;
use crate::service::decide::{self, Matter};
use crate::service::refusal::Refusal;
use crate::session::ServiceKind;
use serde_json::Value;

impl Node {
    /// Who somebody is that wants to be `user` and shows `proof`.
    pub(super) fn admit(
        &self,
        user: Option<&Value>,
        proof: Option<&Value>,
    ) -> Result<Admitted, Refusal> {
        let user = service::admit::named(user)?;
        let by = (&self.tokens, &self.config);
        service::admit::admit(by, (user, proof), self.clock.unix_ms)
    }

    /// Who asks by a request of a plain kind, by what it shows in the query or in a form.
    pub(super) fn who(
        &mut self,
        request: &Request<'_>,
        user: Option<&str>,
        kind: ServiceKind,
    ) -> Result<Admitted, Fault> {
        let name = user.map(Value::from);
        let proof = Params::asked(request, "token").map(Value::from);
        let admitted = match self.shown(request)? {
            Some(claims) => service::admit::by_token(user, claims),
            None => self.admit(name.as_ref(), proof.as_ref()),
        };
        let refuse = |refusal: Refusal| not_admitted(&refusal);
        let admitted = admitted.map_err(refuse)?;
        let let_in = self.let_in(Some(request), (kind, proof.as_ref()), admitted);
        let_in.map_err(refuse)
    }

    /// Whether the application lets in who somebody is, by this request, and as whom: it is shown the request's cookies.
    pub(super) fn let_in(
        &mut self,
        request: Option<&Request<'_>>,
        (service, proof): (ServiceKind, Option<&Value>),
        admitted: Admitted,
    ) -> Result<Admitted, Refusal> {
        let unix_ms = self.clock.unix_ms;
        let question = || {
            let mut question = decide::of_nobody(Matter::Signon, service.word(), unix_ms);
            about_request(&mut question, request);
            question
        };
        let by = (&mut self.asking, &self.config);
        service::admit::by_application(by, admitted, (question, proof))
    }

    /// Has a session read what the application wants it to.
    pub(super) fn seat_all(&mut self, id: SessionId, topics: &[Box<str>]) {
        if !topics.is_empty() {
            self.with_service(id, |_, cx, session| {
                service::admit::seat_all(cx, session, topics);
            });
        }
    }
}

/// What the application is shown of a request, to know its own by.
pub(super) fn about_request(question: &mut Vec<u8>, request: Option<&Request<'_>>) {
    for (name, field) in [
        ("cookie", "cookie"),
        ("origin", "origin"),
        ("user-agent", "user_agent"),
    ] {
        let text = request.and_then(|request| request.headers.first(name));
        let text = text.map(String::from_utf8_lossy);
        decide::field(question, field, text.as_deref());
    }
}
