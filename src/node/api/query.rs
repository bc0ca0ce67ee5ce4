//! The query of a call: `name=value` pairs, each known and given once.
//!
//! In: a request and the names its call knows. Out: typed values, or the fault that names the pair. What a caller asks for
//! and does not get would be a silent loss, so a name that is not known is refused.

use crate::config::units;
use crate::http::fault::Fault;
use crate::http::request::Request;
use crate::http::url::Query as Pairs;
use crate::hub::names;
use crate::mem::{Asker, Position, Publication};
use crate::service::since;
use crate::session::SessionKey;
use std::rc::Rc;

/// A call's query.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of a request to a call that knows these names.
    ///
    /// # Errors
    /// A name that is not known, or comes twice; a value that is no text.
    pub fn of(request: &Request<'_>, known: &[&str]) -> Result<Self, Fault> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in Pairs::new(request.query) {
            let name = String::from_utf8_lossy(&name).into_owned();
            if !known.contains(&&*name) {
                let known = known.join(", ");
                return Err(bad(&name, &format!("is not known here, but: {known}")));
            }
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(bad(&name, "is given twice"));
            }
            match String::from_utf8(value.into_owned()) {
                Ok(value) => pairs.push((name, value)),
                Err(_) => return Err(bad(&name, "is no UTF-8 text")),
            }
        }
        Ok(Self(pairs))
    }

    /// A value as it is.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(other, _)| other == name);
        pair.map(|(_, value)| value.as_str())
    }

    /// A value that the call cannot do without.
    ///
    /// # Errors
    /// It is missing.
    pub fn needed(&self, name: &str) -> Result<&str, Fault> {
        self.text(name).ok_or_else(|| bad(name, "is missing"))
    }

    /// A whole number.
    ///
    /// # Errors
    /// A value that is none.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let number = |text: &str| {
            since::number(text.as_bytes(), 10).ok_or_else(|| bad(name, "is no whole number"))
        };
        self.text(name).map(number).transpose()
    }

    /// `limit`: rows of an answer, 100 unless told, 1 to 1,000.
    ///
    /// # Errors
    /// A value that is no number.
    pub fn limit(&self) -> Result<usize, Fault> {
        let limit = self.number("limit")?.unwrap_or(LIMIT);
        Ok(limit.clamp(1, LIMIT_MAX) as usize)
    }

    /// `after`: the slot with which a page of a table begins.
    ///
    /// # Errors
    /// A value that no page ended with.
    pub fn slot(&self) -> Result<u32, Fault> {
        let after = self.number("after")?.unwrap_or(0);
        u32::try_from(after).map_err(|_| bad("after", "is not what a page ended with"))
    }

    /// True or false; false unless told.
    ///
    /// # Errors
    /// Any other value.
    pub fn switch(&self, name: &str) -> Result<bool, Fault> {
        match self.text(name) {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(_) => Err(bad(name, "is true or false")),
        }
    }

    /// `since`: a place in one channel, as `epoch:offset`.
    ///
    /// # Errors
    /// A value that is none.
    pub fn since(&self) -> Result<Option<Position>, Fault> {
        let Some(text) = self.text("since") else {
            return Ok(None);
        };
        let positions = since::parse(text.as_bytes(), 1);
        match positions.and_then(|positions| positions.into_iter().next()) {
            Some(Some(position)) => Ok(Some(position)),
            _ => Err(bad("since", "is no place, as in 229c60b9d:17")),
        }
    }

    /// `session`: a session's key, as the client and the lists have it.
    ///
    /// # Errors
    /// It is missing, or no key.
    pub fn session(&self) -> Result<SessionKey, Fault> {
        let key = SessionKey::parse(self.needed("session")?.as_bytes());
        key.ok_or_else(|| bad("session", "is no session's key"))
    }

    /// `id`: what the application calls a message, and `report`: whether it wants to know of each recipient whom it reaches.
    ///
    /// # Errors
    /// A value that is none.
    pub fn name(&self, publication: &Publication) -> Result<(), Fault> {
        match self.text("id") {
            Some(id) if !(1..=Publication::NAME_BYTES_MAX).contains(&id.len()) => {
                return Err(bad("id", "has 1 to 128 bytes"));
            }
            Some(id) => publication.call(id.into()),
            None => {}
        }
        if self.switch("report")? {
            publication.ask_report(Asker::Application);
        }
        Ok(())
    }

    /// `ttl`: how long a message may wait for its user, as in `30s`; in milliseconds.
    ///
    /// # Errors
    /// A value that is no time, or more than a day.
    pub fn ttl_ms(&self) -> Result<Option<u64>, Fault> {
        let time = |text| units::time(text, 1, TTL_MS_MAX);
        let ttl = self.text("ttl").map(time).transpose();
        ttl.map_err(|_| {
            bad(
                "ttl",
                "is a time with its unit, as in 30s, of a day at most",
            )
        })
    }

    /// `user`, checked.
    ///
    /// # Errors
    /// It is missing, or no user's name.
    pub fn user(&self) -> Result<Rc<str>, Fault> {
        checked_user(self.needed("user")?)
    }
}

/// A user's name, from the path or the query.
///
/// # Errors
/// It is none.
pub fn checked_user(user: &str) -> Result<Rc<str>, Fault> {
    let user = names::user(user).map(Rc::from);
    user.map_err(|error| BAD_USER.with_reason(error.reason().to_owned()))
}

/// A pair of a query that cannot be heeded.
#[must_use]
pub fn bad(name: &str, what: &str) -> Fault {
    BAD_QUERY.with_reason(format!("{name} {what}."))
}

const BAD_QUERY: Fault = Fault::new(
    400,
    "bad-query",
    "",
    "GET /api/openapi.json describes every call; names and values are percent-encoded.",
);
const BAD_USER: Fault = Fault::new(
    400,
    "bad-user",
    "",
    "A user is a name without control characters, percent-encoded in the path.",
);
/// How long a message may wait for its user: who is away for longer has another way to be told.
const TTL_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// Rows of a page unless told.
const LIMIT: u64 = 100;
/// Most rows of a page.
const LIMIT_MAX: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::{Headers, Method, Version};

    fn query(text: &str) -> Result<Query, Fault> {
        let request = Request {
            method: Method::Get,
            version: Version::Http11,
            path: "/",
            query: text.as_bytes(),
            host: "",
            keep_alive: true,
            headers: Headers::EMPTY,
            body: b"",
        };
        Query::of(&request, &["limit", "after", "user", "since", "backwards"])
    }

    fn reason(result: Result<impl std::fmt::Debug, Fault>) -> String {
        result.unwrap_err().reason.into_owned()
    }

    #[test]
    fn values_are_typed_and_bounded() {
        let asked = query("limit=5000&after=17&user=o%27x+y&since=1f:3&backwards").unwrap();
        assert_eq!((asked.limit(), asked.slot()), (Ok(1_000), Ok(17)));
        assert_eq!(asked.user().as_deref(), Ok("o'x y"));
        assert_eq!(asked.switch("backwards"), Ok(true));
        let place = Position {
            epoch: 0x1f,
            offset: 3,
        };
        assert_eq!(asked.since(), Ok(Some(place)));
        let none = query("").unwrap();
        assert_eq!((none.limit(), none.slot()), (Ok(100), Ok(0)));
        assert_eq!(query("limit=0").unwrap().limit(), Ok(1));
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        assert!(reason(query("limt=1")).starts_with("limt is not known here"));
        assert_eq!(reason(query("user=a&user=b")), "user is given twice.");
        assert_eq!(reason(query("user=%ff")), "user is no UTF-8 text.");
        let reasons = |text: &str| {
            let asked = query(text).unwrap();
            [
                reason(asked.limit()),
                reason(asked.slot()),
                reason(asked.since()),
            ]
        };
        assert_eq!(
            reasons("limit=-1&after=4294967296&since=x"),
            [
                "limit is no whole number.",
                "after is not what a page ended with.",
                "since is no place, as in 229c60b9d:17."
            ]
        );
        assert_eq!(reason(query("").unwrap().user()), "user is missing.");
    }
}
