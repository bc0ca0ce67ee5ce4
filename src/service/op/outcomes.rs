//! What became of messages, told to who sent them: of each message once, when all of it is known.
//!
//! In: how commands went, fates. Out: CALLBACK frames, or the answer of 1.0.

use super::Talk;
use crate::cmd::{Cause, Fate, Outcome};
use crate::op::{Dialect, events};
use crate::service::Cx;
use crate::session::Session;
use crate::session::op::{Confirm, Outcomes, Recipient, Sent, State};

/// Notes what became of the message of `call`; tells what its application wanted to know when that is all.
pub fn note(
    cx: &mut Cx<'_>,
    session: &mut Session,
    call: u64,
    change: impl FnOnce(Confirm, State) -> State,
) {
    if let Some(mut talk) = Talk::begin(cx, session) {
        if let Some(sent) = talk.op.sent.note(call, change) {
            decided(&mut talk, &sent);
            talk.part();
        }
        talk.finish();
    }
}

/// How the command for one recipient went.
pub fn of_outcome(outcome: Outcome) -> State {
    match outcome {
        Outcome::Sent { sessions: 0 } | Outcome::Absent => State::Failed("not connected"),
        Outcome::Sent { sessions } => State::Waiting(sessions),
        // What becomes of it is told later.
        Outcome::Waits => State::Asked,
        Outcome::Expired => State::Failed("expired"),
        Outcome::NoRoom | Outcome::Crowded => State::Failed("overflow"),
        // Of a channel nobody acknowledges anything: it is in the hub.
        Outcome::Published { .. } | Outcome::Kicked { .. } | Outcome::Seated { .. } => {
            State::Reached
        }
    }
}

/// What became of it at one session of a recipient.
pub fn of_fate(fate: Fate, confirm: Confirm, state: State) -> State {
    match (fate, confirm) {
        (Fate::Acked, _) | (Fate::Written, Confirm::Best | Confirm::Written) => State::Reached,
        (Fate::Written, Confirm::Acked) => state.without("not acknowledged"),
        (Fate::Refused, _) => state.without("refused"),
        (Fate::Failed(Cause::Timeout), _) => state.without("timeout"),
        (Fate::Failed(Cause::Overflow), _) => state.without("overflow"),
        (Fate::Failed(_), _) => state.without("closed"),
    }
}

fn decided(talk: &mut Talk<'_, '_>, sent: &Sent) {
    if talk.op.reader.dialect() == Some(Dialect::Events) {
        let failed = sent.recipients.iter().filter(|one| one.reason().is_some());
        let mut failed = failed.map(|one| &*one.key).peekable();
        let told = match failed.peek() {
            None => events::success(&sent.id),
            Some(_) => events::failure(&sent.id, NOT_REACHED, failed),
        };
        return talk.out.extend_from_slice(&told);
    }
    let both = Outcomes {
        success: true,
        failure: true,
    };
    let wanted = talk.op.outcomes.unwrap_or(both);
    let mut reasons: Vec<&str> = Vec::new();
    for reason in sent.recipients.iter().filter_map(Recipient::reason) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    if wanted.failure {
        for reason in reasons {
            tell(talk, sent, ("failure", Some(reason)));
        }
    }
    let reached = |one: &Recipient| one.reason().is_none();
    if wanted.success && sent.recipients.iter().any(reached) {
        tell(talk, sent, ("success", None));
    }
}

/// One frame for all recipients of which the same is true.
fn tell(talk: &mut Talk<'_, '_>, sent: &Sent, (function, reason): (&str, Option<&str>)) {
    let mut headers = vec![("function", function), ("id", &*sent.id)];
    headers.extend(reason.map(|reason| ("reason", reason)));
    let these = sent.recipients.iter().filter(|one| one.reason() == reason);
    headers.extend(these.map(|one| ("recipient", &*one.key)));
    talk.tell("CALLBACK", &headers, b"");
}

const NOT_REACHED: &str = "Failed to reach one or more recipients";
