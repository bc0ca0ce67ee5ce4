//! What the application does about tokens: revokes them, and gives tickets in their place.
//!
//! In: requests that name a user or a token, or say what a ticket is to stand for. Out: a command whose outcome is the
//! answer, or a ticket.

use super::super::Node;
use super::super::respond::Answer;
use super::query::{Query, bad, checked_user};
use crate::cmd::{Caller, Cmd, Origin, Whose};
use crate::http::fault::Fault;
use crate::http::request::Request;
use crate::ids::ConnId;
use crate::token::{Claims, Giver, TICKET_MS};
use serde_json::{Map, Value};

impl Node {
    /// Takes the tokens of a user no more, or the one of this name, and ends the sessions that have one.
    pub(super) fn revoke_tokens(&mut self, id: Caller, request: &Request<'_>) -> Result<(), Fault> {
        let query = Query::of(request, &["user", "jti", "exp"])?;
        let whose = match (query.text("user"), query.text("jti")) {
            (Some(user), None) => Whose::User(checked_user(user)?),
            (None, Some(name)) if !name.is_empty() => Whose::Token(name.into()),
            _ => return Err(NOT_ONE),
        };
        let lasting = self
            .tokens
            .keys
            .life_ms()
            .saturating_add(self.tokens.keys.leeway_ms());
        let longest_ms = self.clock.unix_ms.saturating_add(lasting);
        let until_ms = match (query.number("exp")?, &whose) {
            (Some(_), Whose::User(_)) => {
                return Err(bad("exp", "is that of one token, not of a user"));
            }
            (Some(exp), Whose::Token(_)) => exp
                .saturating_mul(1000)
                .saturating_add(self.tokens.keys.leeway_ms())
                .min(longest_ms),
            (None, _) => longest_ms,
        };
        if self.revoke(&whose, until_ms).is_err() {
            return Err(REVOCATIONS_FULL);
        }
        self.ask(id, Cmd::Revoke(whose, Origin::Api(id)));
        Ok(())
    }

    /// A ticket for who has the claims in the body, which are those of a token.
    pub(super) fn give_ticket(&mut self, id: ConnId, request: &Request<'_>) -> Result<(), Fault> {
        Query::of(request, &[])?;
        let now_s = self.clock.unix_s();
        let mut fields: Map<String, Value> = match request.body.trim_ascii() {
            b"" => Map::new(),
            body => serde_json::from_slice(body)
                .map_err(|_| BAD_CLAIMS.with_reason(NO_OBJECT.to_owned()))?,
        };
        let end = || (now_s + TICKET_LIFE_S).into();
        fields.entry("exp").or_insert_with(end);
        // What is made in the second of a revocation is made after it.
        let made_s = || self.clock.unix_ms.div_ceil(1000).into();
        fields.entry("iat").or_insert_with(made_s);
        let claims = Claims::of(fields).map_err(|bad| BAD_CLAIMS.with_reason(format!("{bad}.")))?;
        if claims.exp <= now_s {
            return Err(BAD_CLAIMS.with_reason("exp is over already.".to_owned()));
        }
        let now_ms = self.clock.unix_ms;
        let given = self
            .tokens
            .tickets
            .give(claims.into(), now_ms, Giver::Application);
        let ticket = given.ok_or(TICKETS_FULL)?;
        let body = format!(
            "{{\"ticket\":\"{ticket}\",\"seconds\":{}}}\n",
            TICKET_MS / 1000
        );
        self.answer(
            id,
            request,
            Answer::new(201, "application/json", body.as_bytes()),
        );
        Ok(())
    }
}

/// Seconds after which what a ticket opened ends, unless its claims say otherwise.
const TICKET_LIFE_S: u64 = 3_600;
const NO_OBJECT: &str = "The body is no JSON object.";
const NOT_ONE: Fault = Fault::new(
    400,
    "bad-query",
    "Either user or jti is needed, and not both.",
    "As in /api/revoke?user=ann, or /api/revoke?jti=ID&exp=SECONDS.",
);
const BAD_CLAIMS: Fault = Fault::new(
    400,
    "bad-claims",
    "",
    "The body is what a token would say, as in {\"sub\":\"ann\",\"channels\":[\"chat/*\"]}.",
);
const REVOCATIONS_FULL: Fault = Fault::new(
    503,
    "revocations-full",
    "As many revocations are remembered as may be, and none is forgotten before its tokens have expired.",
    "Change the key of the tokens, or give them a shorter life and set --token-life.",
);
const TICKETS_FULL: Fault = Fault::new(
    503,
    "tickets-full",
    "As many tickets were given within their time as may be.",
    "Try again in a moment.",
);
