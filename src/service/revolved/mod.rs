//! Revolved: channels and peer messages, one JSON array per line each way.
//!
//! In: a session's byte stream, publications. Out: answers and events on the session; publications and
//! peer messages as commands. Every call is answered exactly once, by its number.

pub mod calls;
pub mod frames;
mod options;
mod past;

use super::decide::{self, Verdict};
use super::refusal::Refusal;
use super::{Cx, Service};
use super::{admit, gate};
use crate::cmd::{Cause, Cmd, Fate, Origin, Outcome};
use crate::hub::Refused;
use crate::hub::names::{self, NameError};
use crate::mem::{Asker, Content, Msg, PresenceEvent, Publication, View};
use crate::session::Session;
use crate::token::{Giver, TICKET_MS};
use frames::Call;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::rc::Rc;

/// The service; it remembers nothing.
#[derive(Debug)]
pub struct Revolved;

impl Service for Revolved {
    fn message(&self, cx: &mut Cx<'_>, session: &mut Session, bytes: &[u8], _: bool) {
        let mut line = session.take_line();
        let mut rest = bytes;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let (head, tail) = rest.split_at(at);
            rest = tail.get(1..).unwrap_or(&[]);
            line.extend_from_slice(head);
            if line.len() > cx.config.max_message + LINE_OVERHEAD {
                break;
            }
            self.line(cx, session, &line);
            if cx.asking.is_open() {
                line.push(b'\n');
                line.extend_from_slice(rest);
                return cx.asking.keep(line);
            }
            cx.asking.settle();
            line.clear();
            if !session.listens() {
                return;
            }
        }
        line.extend_from_slice(rest);
        if line.len() > cx.config.max_message + LINE_OVERHEAD {
            self.err(
                cx,
                session,
                0,
                ("a line is longer than a message may be", "too-big"),
            );
            return cx.end(session, Cause::TooBig);
        }
        session.put_line(line, cx.ledger);
    }

    fn deliver(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        publication: &Rc<Publication>,
        to_user: bool,
    ) {
        let make = if to_user {
            frames::sent
        } else {
            frames::published
        };
        let msg = publication.view(View::Revolved, cx.ledger, make);
        cx.push(session, msg);
    }

    fn answered(&self, cx: &mut Cx<'_>, session: &mut Session, call: u64, outcome: Outcome) {
        match outcome {
            Outcome::Published { offset, .. } => {
                self.ok(cx, session, call, &format!("{{\"offset\":{offset}}}"))
            }
            Outcome::Sent { sessions } => {
                self.ok(cx, session, call, &format!("{{\"sessions\":{sessions}}}"))
            }
            Outcome::Absent | Outcome::Waits | Outcome::Expired | Outcome::Crowded => self.err(
                cx,
                session,
                call,
                ("that user has no session", "not-connected"),
            ),
            Outcome::NoRoom => {
                self.err(cx, session, call, Refused::TooManyChannels);
            }
            // Only the application kicks and subscribes others.
            Outcome::Kicked { .. } | Outcome::Seated { .. } => {}
        }
    }

    fn noticed(&self, cx: &mut Cx<'_>, session: &mut Session, event: &PresenceEvent) {
        let line = event.line(|event| Msg::new(frames::presence(event), cx.ledger));
        cx.push(session, line);
    }

    fn seated(&self, cx: &mut Cx<'_>, session: &mut Session, topic: &str, on: bool) -> bool {
        let changed = seat(cx, session, topic, on);
        if changed == Some(true) {
            cx.push(session, Msg::new(frames::seated(topic, on), cx.ledger));
        }
        changed.is_some()
    }

    fn called(&self, cx: &mut Cx<'_>, session: &mut Session, call: u64, verdict: Verdict) {
        match decide::result(verdict) {
            Ok(result) => self.ok(cx, session, call, &result),
            Err(refusal) => {
                cx.metrics.refuse(refusal.code);
                self.err(cx, session, call, refusal);
            }
        }
    }

    fn reported(&self, cx: &mut Cx<'_>, session: &mut Session, call: u64, fate: Fate) {
        cx.push(session, Msg::new(frames::delivery(call, fate), cx.ledger));
    }

    fn farewell(&self, cx: &mut Cx<'_>, session: &mut Session, cause: Cause) {
        let (text, after_ms) = match cause {
            Cause::Shutdown => ("the server stops", Some(RECONNECT_AFTER_MS)),
            Cause::Kicked => ("the application ended the session", None),
            Cause::Expired => ("the token has expired", None),
            Cause::Revoked => ("the token was revoked", None),
            cause => (cause.word(), Some(RECONNECT_AFTER_MS)),
        };
        let line = frames::bye(cause.code().number(), text, after_ms);
        cx.push(session, Msg::new(line, cx.ledger));
    }
}

impl Revolved {
    fn line(&self, cx: &mut Cx<'_>, session: &mut Session, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        match frames::parse(line) {
            Ok(call) => self.call(cx, session, &call),
            Err(id) => self.err(
                cx,
                session,
                id,
                ("a line is [id, \"VERB\", [args]]", "bad-frame"),
            ),
        }
    }

    fn call(&self, cx: &mut Cx<'_>, session: &mut Session, call: &Call<'_>) {
        let answer = match &*call.verb {
            "AUTH" => auth(cx, session, &call.args).map(Some),
            "SUBSCRIBE" => past::subscribe(cx, session, &call.args).map(Some),
            "UNSUBSCRIBE" => unsubscribe(cx, session, &call.args).map(Some),
            "PUBLISH" => publish(cx, session, call).map(|()| None),
            "SEND" => send(cx, session, call).map(|()| None),
            "TICKET" => ticket(cx, session).map(Some),
            "DISCONNECT" => Ok(Some("null".to_owned())),
            "HISTORY" => past::history(cx, session, &call.args).map(Some),
            "PRESENCE" => past::presence(cx, session, &call.args).map(Some),
            "CALL" => ask(cx, session, call).map(|()| None),
            _ => Err(Refusal::new("no such verb", "unknown-verb")),
        };
        match answer {
            Ok(Some(result)) => self.ok(cx, session, call.id, &result),
            // Answered when the command is run.
            Ok(None) => {}
            // It comes again.
            Err(refusal) if refusal.is_pending() => {}
            Err(refusal) => self.err(cx, session, call.id, refusal),
        }
        if call.verb == "DISCONNECT" {
            cx.end(session, Cause::Clean);
        }
    }

    fn ok(&self, cx: &mut Cx<'_>, session: &mut Session, id: u64, result: &str) {
        cx.push(session, Msg::new(frames::ok(id, result), cx.ledger));
    }

    fn err(&self, cx: &mut Cx<'_>, session: &mut Session, id: u64, why: impl Into<Refusal>) {
        let Refusal { text, code } = why.into();
        cx.push(session, Msg::new(frames::err(id, &text, code), cx.ledger));
    }
}

/// Subscribes or unsubscribes as the application wants it. Whether that changes anything; none where it cannot be.
fn seat(cx: &mut Cx<'_>, session: &mut Session, topic: &str, on: bool) -> Option<bool> {
    match on {
        true if cx.hub.is_busy() => None,
        true => {
            let max = cx.config.max_subscriptions;
            let subscribed = cx.hub.subscribe(cx.id, &mut session.seat, topic, max);
            subscribed.ok().map(|subscribed| !subscribed.again)
        }
        false => Some(cx.hub.unsubscribe(&mut session.seat, topic)),
    }
}

/// A user's name and what proves it; where tokens are checked the name may be null, since the token says it.
fn auth(cx: &mut Cx<'_>, session: &mut Session, args: &[&RawValue]) -> Result<String, Refusal> {
    let name = match args.first().map(|arg| (arg.get(), frames::text(arg))) {
        Some((_, Some(name))) => Some(name),
        Some(("null", None)) if args.len() > 1 => None,
        _ => return Err(("AUTH needs a user name", "bad-args").into()),
    };
    if cx.hub.is_busy() {
        return Err(past::BUSY);
    }
    // As the handshake has it: the same value, whatever its blanks.
    let proof = args
        .get(1)
        .and_then(|arg| serde_json::from_str::<Value>(arg.get()).ok());
    let user = admit::sign_on(cx, session, (name.as_deref(), proof.as_ref()))?;
    let mut out = Vec::new();
    super::json::string_or_null(&mut out, user.as_deref());
    Ok(String::from_utf8(out).unwrap_or_default())
}

/// What stands once for the session's token, for an event source of the same page.
fn ticket(cx: &mut Cx<'_>, session: &Session) -> Result<String, Refusal> {
    let own = session.pass().and_then(|pass| pass.own());
    let (claims, _) = own.ok_or((
        "a ticket stands for a token; AUTH with one first",
        "forbidden",
    ))?;
    let ticket = cx
        .tokens
        .tickets
        .give(claims.clone(), cx.unix_ms, Giver::Session);
    let ticket = ticket.ok_or((TICKETS_FULL, "full"))?;
    Ok(format!(
        "{{\"ticket\":\"{ticket}\",\"seconds\":{}}}",
        TICKET_MS / 1000
    ))
}

/// Names every channel first, so that a bad name leaves all subscriptions as they were.
fn unsubscribe(
    cx: &mut Cx<'_>,
    session: &mut Session,
    args: &[&RawValue],
) -> Result<String, Refusal> {
    let names: Vec<Rc<str>> = args
        .iter()
        .map(|arg| topic(Some(arg)))
        .collect::<Result<_, _>>()?;
    for name in names {
        cx.hub.unsubscribe(&mut session.seat, &name);
    }
    Ok("null".to_owned())
}

fn publish(cx: &mut Cx<'_>, session: &mut Session, call: &Call<'_>) -> Result<(), Refusal> {
    let name = channel(call.args.first())?;
    let (id, key) = options::publish(call.args.get(2))?;
    let payload = call.args.get(1).map(|payload| payload.get());
    let said = (&Content::Json, payload.unwrap_or_default().as_bytes(), 0);
    let instead = gate::publish(cx, session, &name, said)?;
    let payload = instead.as_deref().or(call.args.get(1).copied());
    let publication = publication(cx, session, name, payload, key)?;
    let once = id.map(|id| {
        // Without a name a session's ids are its own: others may count from 1 too.
        let publisher = publication
            .sender
            .as_deref()
            .map_or_else(|| Cow::Owned(format!("\u{1}{}", cx.id)), Cow::Borrowed);
        cx.hub.once_key(&publication, &publisher, &id)
    });
    let origin = Origin::Session(cx.id, call.id);
    cx.cmds.push(Cmd::Publish(publication, origin, once));
    Ok(())
}

fn send(cx: &mut Cx<'_>, session: &mut Session, call: &Call<'_>) -> Result<(), Refusal> {
    let user = call
        .args
        .first()
        .and_then(|arg| frames::text(arg))
        .ok_or(("SEND needs a user", "bad-args"))?;
    let user = names::user(&user).map_err(|error| (error.reason(), "bad-name"))?;
    let report = options::send(call.args.get(2))?;
    gate::send(cx, session)?;
    let payload = call.args.get(1).copied();
    let publication = publication(cx, session, user.into(), payload, None)?;
    if report {
        publication.ask_report(Asker::Session(cx.id, call.id));
    }
    cx.cmds
        .push(Cmd::Send(publication, Origin::Session(cx.id, call.id)));
    Ok(())
}

/// What the application answers; what is said behind it does not wait for that.
fn ask(cx: &mut Cx<'_>, session: &mut Session, call: &Call<'_>) -> Result<(), Refusal> {
    let name = call.args.first().and_then(|arg| frames::text(arg));
    let name = name.ok_or(("CALL needs the name of what is called", "bad-args"))?;
    let payload = call.args.get(1).map_or("null", |payload| payload.get());
    gate::call(cx, session, call.id, (&name, payload.as_bytes()))
}

fn publication(
    cx: &mut Cx<'_>,
    session: &Session,
    target: Rc<str>,
    payload: Option<&RawValue>,
    key: Option<Box<str>>,
) -> Result<Rc<Publication>, Refusal> {
    let payload = payload.ok_or(("a payload is missing", "bad-args"))?.get();
    gate::take(cx, payload.len())?;
    let sender = cx.hub.user_name(&session.seat).map(Box::from);
    Ok(Publication::keyed(
        target,
        sender,
        Content::Json,
        payload.as_bytes().into(),
        key,
        cx.ledger,
    ))
}

fn channel(arg: Option<&&RawValue>) -> Result<Rc<str>, Refusal> {
    name(arg, names::channel)
}

/// A channel or a pattern.
fn topic(arg: Option<&&RawValue>) -> Result<Rc<str>, Refusal> {
    name(arg, names::topic)
}

fn name(
    arg: Option<&&RawValue>,
    check: fn(&str) -> Result<&str, NameError>,
) -> Result<Rc<str>, Refusal> {
    let name = arg
        .and_then(|arg| frames::text(arg))
        .ok_or(("a channel's name is missing", "bad-args"))?;
    check(&name)
        .map(Rc::from)
        .map_err(|error| Refusal::new(error.reason(), "bad-name"))
}

const TICKETS_FULL: &str =
    "there are as many tickets as may be, 8 of a user; try again in a moment";
/// What a line may have beside its payload: number, verb, names, options.
pub const LINE_OVERHEAD: usize = 4096;
/// When a client told BYE should come back: a restarted server is there within this time.
const RECONNECT_AFTER_MS: u64 = 1000;
