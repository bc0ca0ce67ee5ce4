//! What the application decides before it is so: that a session begins or takes a name, reads a channel, publishes to one;
//! and what a call comes to.
//!
//! In: what a session asks for. Out: a question, or what was decided about it. Who asks is not answered meanwhile: what it
//! said is kept by the node ([`Asking::keep`]) and said again when the verdict is known, which is found here then. So a
//! service does everything in one place, in the order in which it was said.

use super::refusal::Refusal;
use super::{Cx, json};
use crate::mem::Content;
use crate::session::Session;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::io::Write as _;

/// About what, as `decider::MATTERS` spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// A session begins, or takes a name.
    Signon,
    /// A channel is read.
    Subscribe,
    /// A channel is published to.
    Publish,
    /// A call is answered.
    Call,
}

/// What the application is asked.
#[derive(Debug)]
pub struct Question {
    /// About what.
    pub matter: Matter,
    /// The channel, or what is called.
    pub about: Box<str>,
    /// The question, a JSON object.
    pub body: Vec<u8>,
}

/// What the application wants to be otherwise.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Whose the session is.
    pub user: Option<Box<str>>,
    /// What is published instead, or what a call comes to.
    pub payload: Option<Box<RawValue>>,
    /// Channels and patterns that the session reads from now on.
    pub subscribe: Vec<Box<str>>,
}

/// What the application said.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It is so, with these changes.
    Allowed(Changes),
    /// It is not; why, in its words.
    Denied(Box<str>),
    /// It said nothing that could be understood, in time.
    Unanswered,
    /// It was not asked: as many questions of this session as may be are under way.
    TooMany,
}

/// A question and what was said to it.
#[derive(Debug)]
struct Known {
    matter: Matter,
    about: Box<str>,
    verdict: Verdict,
}

/// What was decided of what a client says now, and what is to be decided first. Empty between two calls.
#[derive(Debug, Default)]
pub struct Asking {
    known: VecDeque<Known>,
    /// Those that were looked at since the client said it: they are to be found again when it is said once more.
    used: Vec<Known>,
    open: Option<Question>,
    kept: Vec<u8>,
    /// Calls that go on beside what is said behind them.
    calls: Vec<(u64, Question)>,
}

/// What was decided so far of something that is to be said again.
#[derive(Debug, Default)]
pub struct Decided(VecDeque<Known>);

impl Decided {
    /// One more question was answered.
    pub fn add(&mut self, matter: Matter, about: Box<str>, verdict: Verdict) {
        self.0.push_back(Known {
            matter,
            about,
            verdict,
        });
    }
}

impl Asking {
    /// Something is said again, of which so much is decided.
    pub fn begin(&mut self, decided: Decided) {
        self.known = decided.0;
    }

    /// Whether something is to be decided first.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// What was said is to be said again, with what is behind it.
    pub fn keep(&mut self, bytes: Vec<u8>) {
        self.kept = bytes;
    }

    /// What was said is done: what was decided of it is of no more use.
    pub fn settle(&mut self) {
        if !self.known.is_empty() || !self.used.is_empty() {
            (self.known, self.used) = Default::default();
        }
    }

    /// The question, what was decided before it, and what is to be said again.
    pub fn take(&mut self) -> Option<(Question, Decided, Vec<u8>)> {
        let question = self.open.take()?;
        // What was decided and is not what is asked now would stand before it for ever.
        self.known.clear();
        let decided = std::mem::take(&mut self.used).into();
        Some((question, Decided(decided), std::mem::take(&mut self.kept)))
    }

    /// The calls, with the numbers the client gave them, in their order.
    pub fn take_calls(&mut self) -> Vec<(u64, Question)> {
        std::mem::take(&mut self.calls)
    }

    /// A call, which nothing waits for.
    pub fn call(&mut self, number: u64, question: Question) {
        self.calls.push((number, question));
    }

    /// Whether the question is still to be asked.
    #[must_use]
    pub fn is_unknown(&self, (matter, about): (Matter, &str)) -> bool {
        let next = self.known.front();
        !next.is_some_and(|known| known.matter == matter && *known.about == *about)
    }

    /// What was decided.
    fn about(&mut self, matter: Matter, about: &str) -> Option<Verdict> {
        if self.is_unknown((matter, about)) {
            return None;
        }
        let known = self.known.pop_front()?;
        let verdict = known.verdict.clone();
        self.used.push(known);
        Some(verdict)
    }
}

impl Matter {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Matter::Signon => "signon",
            Matter::Subscribe => "subscribe",
            Matter::Publish => "publish",
            Matter::Call => "call",
        }
    }
}

/// What the application decides about `matter` and `about`; `body` spells the question where it is asked.
///
/// # Errors
/// That it is asked now ([`Refusal::is_pending`]); `denied`, `no-answer`.
pub fn decide(
    asking: &mut Asking,
    (matter, about): (Matter, &str),
    body: impl FnOnce() -> Vec<u8>,
) -> Result<Changes, Refusal> {
    if let Some(verdict) = asking.about(matter, about) {
        return verdict.changes();
    }
    asking.open = Some(Question {
        matter,
        about: about.into(),
        body: body(),
    });
    Err(PENDING)
}

impl Verdict {
    fn changes(self) -> Result<Changes, Refusal> {
        match self {
            Self::Allowed(changes) => Ok(changes),
            Self::Denied(why) if why.is_empty() => Err(DENIED),
            Self::Denied(why) => Err(Refusal {
                text: String::from(why).into(),
                code: DENIED.code,
            }),
            Self::Unanswered => Err(UNANSWERED),
            Self::TooMany => Err(TOO_MANY),
        }
    }
}

/// What a call came to, as JSON: null where the application said nothing.
///
/// # Errors
/// `denied`, `no-answer`.
pub fn result(verdict: Verdict) -> Result<String, Refusal> {
    let changes = verdict.changes()?;
    let result = changes.payload.map(|raw| raw.get().to_owned());
    Ok(result.unwrap_or_else(|| "null".to_owned()))
}

/// What a question about a session says first that is none yet, and has no user.
#[must_use]
pub fn of_nobody(matter: Matter, service: &str, unix_ms: u64) -> Vec<u8> {
    of(matter, None, service, unix_ms)
}

/// The same of one that is to take a name.
#[must_use]
pub fn signon(session: &str, service: &str, unix_ms: u64) -> Vec<u8> {
    of(Matter::Signon, Some(session), service, unix_ms)
}

fn of(matter: Matter, session: Option<&str>, service: &str, unix_ms: u64) -> Vec<u8> {
    let mut out = format!("{{\"event\":\"{}\"", matter.word()).into_bytes();
    field(&mut out, "session", session);
    let time = unix_ms / 1000;
    // A vector cannot fail.
    let _ = write!(out, ",\"service\":\"{service}\",\"time\":{time}");
    out
}

/// A field that is JSON already.
pub fn json_field(out: &mut Vec<u8>, name: &str, json: &str) {
    let _ = write!(out, ",\"{name}\":{json}");
}

/// What a question of a session says first, without the end of the object.
#[must_use]
pub fn facts(cx: &Cx<'_>, session: &Session, matter: Matter) -> Vec<u8> {
    super::notice::facts(cx, session, matter.word())
}

/// The fields of a message in a question.
pub fn message(out: &mut Vec<u8>, channel: &str, content: &Content, bytes: &[u8]) {
    out.extend_from_slice(b",\"channel\":");
    json::string(out, channel);
    out.push(b',');
    super::notice::body(out, content, bytes);
    out.push(b'}');
}

/// A field of text, or null.
pub fn field(out: &mut Vec<u8>, name: &str, text: Option<&str>) {
    // A vector cannot fail.
    let _ = write!(out, ",\"{name}\":");
    json::string_or_null(out, text);
}

/// What an answer of the application says. No body, or an empty object, allows it; `{"allow":false,"reason":"…"}` does not, nor do 401
/// and 403.
#[must_use]
pub fn verdict(matter: Matter, status: u16, body: &[u8]) -> Verdict {
    #[derive(Deserialize, Default)]
    struct Said<'a> {
        allow: Option<bool>,
        reason: Option<String>,
        user: Option<Box<str>>,
        #[serde(borrow)]
        payload: Option<&'a RawValue>,
        #[serde(borrow)]
        result: Option<&'a RawValue>,
        #[serde(default)]
        subscribe: Vec<Box<str>>,
    }
    let said = match body.trim_ascii() {
        b"" => Ok(Said::default()),
        text => serde_json::from_slice::<Said<'_>>(text),
    };
    match (status, said) {
        (401 | 403, said) => {
            let reason = said.ok().and_then(|said| said.reason);
            Verdict::Denied(reason.unwrap_or_default().into())
        }
        (200..=299, Ok(said)) if said.allow == Some(false) => {
            Verdict::Denied(said.reason.unwrap_or_default().into())
        }
        (200..=299, Ok(said)) => {
            let payload = match matter {
                Matter::Call => said.result,
                _ => said.payload,
            };
            Verdict::Allowed(Changes {
                user: said.user,
                payload: payload.map(one_line),
                subscribe: said.subscribe,
            })
        }
        _ => Verdict::Unanswered,
    }
}

/// What is published instead of something of this type: text instead of text where the application says a string.
#[must_use]
pub fn instead(content: &Content, payload: &RawValue) -> (Content, Box<[u8]>) {
    let text = || serde_json::from_str::<String>(payload.get()).ok();
    match text().filter(|_| *content == Content::Text) {
        Some(text) => (Content::Text, text.into_bytes().into()),
        None => (Content::Json, payload.get().as_bytes().into()),
    }
}

/// Without line ends, which would end a line of Revolved.
fn one_line(raw: &RawValue) -> Box<RawValue> {
    let mut text = raw.get().as_bytes().to_vec();
    json::one_line(&mut text);
    let text = String::from_utf8(text).ok();
    let again = text.and_then(|text| RawValue::from_string(text).ok());
    again.unwrap_or_else(|| raw.to_owned())
}

impl Refusal {
    /// Whether nothing is refused, but asked first.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.code == PENDING.code
    }
}

/// The application is asked; what was said is said again when it answered.
const PENDING: Refusal = Refusal::new("the application is asked first", "pending");
const DENIED: Refusal = Refusal::new("the application does not allow it", "denied");
const TOO_MANY: Refusal = Refusal::new(
    "32 calls of this session are under way; wait for one of them",
    "too-many",
);
/// The application did not answer.
pub const UNANSWERED: Refusal = Refusal::new(
    "the application, which decides about it, does not answer; try again later",
    "no-answer",
);

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> String {
        match verdict(Matter::Publish, status, body.as_bytes()) {
            Verdict::Allowed(changes) => {
                let payload = changes.payload.map(|raw| raw.get().to_owned());
                format!("{:?} {payload:?} {:?}", changes.user, changes.subscribe)
            }
            Verdict::Denied(why) => format!("no {why}"),
            Verdict::Unanswered | Verdict::TooMany => "nothing".to_owned(),
        }
    }

    #[test]
    fn an_answer_allows_changes_or_denies() {
        assert_eq!(said(204, ""), "None None []");
        assert_eq!(said(200, "{}"), "None None []");
        assert_eq!(said(200, "{\"allow\":true,\"more\":1}"), "None None []");
        assert_eq!(
            said(
                200,
                "{\"user\":\"bob\",\"payload\":{\"a\":\n1},\"subscribe\":[\"a\"]}"
            ),
            "Some(\"bob\") Some(\"{\\\"a\\\": 1}\") [\"a\"]"
        );
        assert_eq!(
            said(200, "{\"allow\":false,\"reason\":\"late\"}"),
            "no late"
        );
        assert_eq!(said(403, "<html>"), "no ");
        assert_eq!(said(401, "{\"reason\":\"who?\"}"), "no who?");
        for odd in [
            "[]",
            "true",
            "<p>",
            "{\"allow\":1}",
            "{\"subscribe\":\"a\"}",
        ] {
            assert_eq!(said(200, odd), "nothing", "{odd}");
        }
        assert_eq!(said(500, "{}"), "nothing");
        assert_eq!(said(302, ""), "nothing");
    }

    #[test]
    fn what_was_decided_is_found_in_its_order_and_again_behind_the_next_question() {
        let mut asking = Asking::default();
        let ask = |asking: &mut Asking, about| {
            decide(asking, (Matter::Publish, about), Vec::new).map(|_| ())
        };
        assert!(ask(&mut asking, "a").unwrap_err().is_pending());
        let (question, mut decided, _) = asking.take().unwrap();
        decided.add(
            question.matter,
            question.about,
            Verdict::Allowed(Changes::default()),
        );
        asking.begin(decided);
        assert!(ask(&mut asking, "a").is_ok());
        assert!(ask(&mut asking, "b").unwrap_err().is_pending());
        let (question, mut decided, _) = asking.take().unwrap();
        decided.add(question.matter, question.about, Verdict::Unanswered);
        asking.begin(decided);
        assert!(ask(&mut asking, "a").is_ok());
        assert_eq!(ask(&mut asking, "b").unwrap_err(), UNANSWERED);
        // What was decided and is not asked for this time stands before nothing.
        asking.settle();
        let mut stale = Decided::default();
        stale.add(Matter::Publish, "x".into(), Verdict::Unanswered);
        asking.begin(stale);
        assert!(ask(&mut asking, "c").unwrap_err().is_pending());
        let (question, mut decided, _) = asking.take().unwrap();
        decided.add(question.matter, question.about, Verdict::Unanswered);
        asking.begin(decided);
        assert_eq!(ask(&mut asking, "c").unwrap_err(), UNANSWERED);
        // Of what comes next nothing is known.
        asking.settle();
        assert!(ask(&mut asking, "a").unwrap_err().is_pending());
    }
}
