//! Transactions: frames that happen together when it is said, or not at all.
//!
//! In: frames that name a transaction, BEGIN, COMMIT, ABORT. Out: the same frames, done in their order when it is committed.
//! Nothing of others comes between: commands are run one behind the other. They are kept as they came, within bounds, and
//! are gone with their session. Whether each is allowed is asked when it is committed: it stops at the first that is refused,
//! and what came before that has happened.

use super::destinations::Destination;
use super::{BAD_FRAME, Done, TOO_BIG, act, is_app, limits, needed};
use crate::config::policy::Who;
use crate::service::Cx;
use crate::service::refusal::Refusal;
use crate::session::Session;
use crate::session::stomp::{Busy, Transaction};
use crate::stomp::{Command, Frame, next};

/// Does what a frame asks, or keeps it for its transaction.
///
/// # Errors
/// As [`act`]; a transaction that is none, or is full.
pub fn take(cx: &mut Cx<'_>, session: &mut Session, frame: &Frame<'_>) -> Done {
    let named = frame.header("transaction");
    let kept = matches!(frame.command, Command::Send | Command::Ack | Command::Nack);
    let Some(id) = named.filter(|_| kept) else {
        return act(cx, session, frame);
    };
    if !is_app(session) && asks(cx, frame) {
        return Err(ASKS);
    }
    if cx.is_full() {
        cx.metrics.refuse(super::FULL.code);
        return Err(super::FULL);
    }
    let kept = session.with_busy(cx.ledger, |busy| keep(busy, id, frame.raw));
    if let Err(refusal) = &kept
        && refusal.code == TOO_BIG
    {
        cx.metrics.refuse(TOO_BIG);
    }
    kept.map(|()| Vec::new())
}

/// Whether the application is asked about it: that would be in the middle of what happens together.
fn asks(cx: &mut Cx<'_>, frame: &Frame<'_>) -> bool {
    let named = frame.header("destination").map(Destination::parse);
    match named {
        Some(Ok(Destination::Topic(name))) => cx.hub.policy(&name).publish == Who::Ask,
        _ => false,
    }
}

fn keep(busy: &mut Busy, id: &str, raw: &[u8]) -> Result<(), Refusal> {
    let (frames, bytes) = busy.transacted();
    let at = find(busy, id).ok_or(NONE)?;
    if frames >= FRAMES_MAX || bytes + raw.len() > BYTES_MAX {
        return Err(FULL);
    }
    if let Some(transaction) = busy.transactions.get_mut(at) {
        transaction.frames.push(raw.into());
        transaction.bytes += raw.len() + size_of::<Box<[u8]>>();
    }
    Ok(())
}

fn find(busy: &Busy, id: &str) -> Option<usize> {
    busy.transactions.iter().position(|one| &*one.id == id)
}

/// Begins a transaction, or ends one.
///
/// # Errors
/// One of this name is there already, or none is; what one of its frames came to.
pub fn control(cx: &mut Cx<'_>, session: &mut Session, frame: &Frame<'_>) -> Done {
    let id = needed(frame, "transaction")?;
    let at = session.busy().and_then(|busy| find(busy, id));
    match (frame.command, at) {
        (Command::Begin, Some(_)) => Err(TWICE),
        (Command::Begin, None) => begin(cx, session, id),
        (_, None) => Err(NONE),
        (command, Some(at)) => {
            let ended = session.with_busy(cx.ledger, |busy| busy.transactions.remove(at));
            match command {
                Command::Commit => commit(cx, session, &ended),
                _ => Ok(Vec::new()),
            }
        }
    }
}

fn begin(cx: &mut Cx<'_>, session: &mut Session, id: &str) -> Done {
    let many = session.busy().map_or(0, |busy| busy.transactions.len());
    if many >= TRANSACTIONS_MAX {
        return Err(TOO_MANY);
    }
    let transaction = Transaction {
        id: id.into(),
        frames: Vec::new(),
        bytes: 0,
    };
    session.with_busy(cx.ledger, |busy| busy.transactions.push(transaction));
    Ok(Vec::new())
}

/// One that cannot be done is the last.
fn commit(cx: &mut Cx<'_>, session: &mut Session, transaction: &Transaction) -> Done {
    let (limits, version) = (limits(cx), super::version_of(session));
    for raw in &transaction.frames {
        let (mut partial, mut input) = (None, &**raw);
        // It was read before, by the same rules.
        if let Ok(Some(frame)) = next(&mut partial, &mut input, version, &limits) {
            act(cx, session, &frame)?;
        }
    }
    Ok(Vec::new())
}

const ASKS: Refusal = Refusal::new(
    "the application decides on each message to this channel: it cannot be of a transaction",
    "forbidden",
);
const NONE: Refusal = Refusal::new("there is no such transaction", BAD_FRAME);
const TWICE: Refusal = Refusal::new("there is a transaction of this name already", BAD_FRAME);
const TOO_MANY: Refusal = Refusal::new("more than 16 transactions at once", "too-many");
const FULL: Refusal = Refusal::new("the transactions hold 1,000 frames or 1 MiB", TOO_BIG);
/// Transactions of a connection.
const TRANSACTIONS_MAX: usize = 16;
/// Frames of all of them.
const FRAMES_MAX: usize = 1_000;
/// Bytes of all of them.
const BYTES_MAX: usize = 1024 * 1024;
