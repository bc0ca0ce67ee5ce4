//! SUBSCRIBE and UNSUBSCRIBE.
//!
//! In: their frames. Out: subscriptions, and of the past what the reader says it missed (`orbit-since`, the
//! `orbit-position` of the last message that it has). Two subscriptions of a connection may read the same channel: the hub
//! has one of them, and each message is given to both.

use super::destinations::{Destination, NOT_APP};
use super::{BAD_FRAME, BUSY, Done, acks, events, give, is_app, needed, replies};
use crate::hub::{Refused, names};
use crate::mem::{Msg, Position, Publication};
use crate::service::join::{self, Joined};
use crate::service::refusal::Refusal;
use crate::service::{Cx, Hello, gate, groups, since};
use crate::session::{Ack, Session, Stomp, Sub};
use crate::stomp::{Frame, Version};
use std::rc::Rc;

/// Subscribes.
///
/// # Errors
/// What the rules, the bounds or the headers do not allow.
pub fn subscribe(cx: &mut Cx<'_>, session: &mut Session, frame: &Frame<'_>) -> Done {
    let destination = needed(frame, "destination")?;
    let id = id(session, frame)?.to_owned();
    let named = Destination::parse(destination)?;
    let topic = match &named {
        Destination::Topic(name) => name,
        _ => destination,
    };
    let known = session.stomp().into_iter().flat_map(Stomp::subs);
    let (mut count, mut taken) = (0, false);
    for sub in known {
        count += 1;
        taken |= sub.id == id && (!id.is_empty() || sub.topic == topic);
    }
    if taken {
        return Err(TWICE);
    }
    if count >= cx.config.max_subscriptions {
        return Err(TOO_MANY);
    }
    let ack = ack(frame)?;
    let slot = session.free_slot();
    let put = |session: &mut Session, private, topic: &str| {
        let sub = Sub {
            slot,
            ack,
            private,
            id: &id,
            topic,
        };
        session.put_sub(&sub);
    };
    match named {
        Destination::Orbit(_) if !is_app(session) => Err(NOT_APP),
        Destination::Orbit(event) => {
            let wants = events::named(event)?;
            events::join(cx, session, (slot, wants, ack), frame)?;
            put(session, false, destination);
            Ok(Vec::new())
        }
        Destination::Own if !is_app(session) && destination.len() <= names::NAME_BYTES_MAX => {
            put(session, true, destination);
            Ok(Vec::new())
        }
        Destination::Topic(name) => {
            let name =
                names::topic(&name).map_err(|error| Refusal::new(error.reason(), "bad-name"))?;
            if !is_app(session) {
                gate::subscribe(cx, session, name)?;
            }
            if cx.hub.is_busy() {
                return Err(BUSY);
            }
            let since = since(session, name, frame)?;
            let joined = join(cx, session, name, since)?;
            put(session, false, name);
            tell(cx, session, slot, &joined)
        }
        _ if is_app(session) => Err(NOT_THERE),
        _ => Err(NOT_YOURS),
    }
}

/// What the client calls the subscription. In 1.0 it need not.
fn id<'f>(session: &Session, frame: &'f Frame<'_>) -> Result<&'f str, Refusal> {
    let old = super::version_of(session) == Some(Version::V10);
    let id = match frame.header("id") {
        None if old => "",
        _ => needed(frame, "id")?,
    };
    match id.len() <= ID_BYTES_MAX {
        true => Ok(id),
        false => Err(LONG_ID),
    }
}

fn ack(frame: &Frame<'_>) -> Result<Ack, Refusal> {
    match frame.header("ack") {
        None | Some("auto") => Ok(Ack::Auto),
        Some("client") => Ok(Ack::Client),
        Some("client-individual") => Ok(Ack::Individual),
        Some(_) => Err(BAD_ACK),
    }
}

/// Where the reader says it stands. A channel that the session reads already is being given to it: what is under way would
/// come twice.
fn since(session: &Session, name: &str, frame: &Frame<'_>) -> Result<Option<Position>, Refusal> {
    let Some(text) = frame.header("orbit-since") else {
        return Ok(None);
    };
    let again = is_read(session, name);
    if again || names::is_pattern(name) {
        return Err(NO_SINCE);
    }
    let positions = since::parse(text.as_bytes(), 1).ok_or(BAD_SINCE)?;
    Ok(positions.into_iter().next().flatten())
}

fn is_read(session: &Session, name: &str) -> bool {
    let mut subs = session.stomp().into_iter().flat_map(Stomp::subs);
    subs.any(|sub| !sub.private && sub.topic == name)
}

/// What became of a reader's past: what it missed, where the channel stood for it, what is told where that is not all.
struct Past {
    missed: Vec<Rc<Publication>>,
    position: Option<Position>,
    recovered: Option<bool>,
    gap: Option<Vec<u8>>,
}

fn join(
    cx: &mut Cx<'_>,
    session: &mut Session,
    name: &str,
    since: Option<Position>,
) -> Result<Past, Refusal> {
    let hello = Hello {
        channels: vec![(name.to_owned(), since)],
        ..Hello::default()
    };
    let version = super::version_of(session).unwrap_or(Version::V12);
    let joined: Joined<'_> = join::join(cx, session, &hello, replies::rest(version))
        .map_err(|refused| refusal(cx, refused))?;
    let channel = joined.channels.first();
    let gap = channel.and_then(join::Channel::gap);
    Ok(Past {
        position: joined.places().first().copied(),
        recovered: since.map(|_| gap.is_none()),
        gap,
        missed: joined
            .missed
            .into_iter()
            .map(|one| one.publication)
            .collect(),
    })
}

/// Gives a reader its past, or says what of it is missing; then where it stands.
fn tell(cx: &mut Cx<'_>, session: &mut Session, slot: u16, past: &Past) -> Done {
    let Some(kept) = Kept::of(session, slot) else {
        return Ok(Vec::new());
    };
    let (version, sub) = (kept.version, kept.sub());
    if let Some(gap) = &past.gap {
        let notice = replies::notice(Some((version, sub.id)), sub.topic, gap);
        cx.remark(session, Msg::new(notice, cx.ledger));
    }
    for publication in &past.missed {
        let head = replies::head(version, &sub, publication);
        match sub.ack {
            Ack::Auto => give(cx, session, (version, head), publication),
            ack => acks::give(cx, session, (version, (slot, ack), head), publication),
        }
    }
    let mut said = Vec::new();
    if let Some(recovered) = past.recovered {
        said.push(("orbit-recovered", recovered.to_string()));
    }
    if let Some(position) = past.position.filter(|_| !names::is_pattern(sub.topic)) {
        let mut text = Vec::new();
        since::spell(&mut text, std::iter::once(position));
        said.push((
            "orbit-position",
            String::from_utf8_lossy(&text).into_owned(),
        ));
    }
    Ok(said)
}

/// A subscription with texts of its own, so that its session may change meanwhile.
#[derive(Debug)]
pub struct Kept {
    slot: u16,
    private: bool,
    id: Box<str>,
    topic: Box<str>,
    /// What its session speaks.
    pub version: Version,
    /// How it is acknowledged.
    pub ack: Ack,
}

impl Kept {
    /// The one of a session by its slot.
    pub fn of(session: &Session, slot: u16) -> Option<Self> {
        let stomp = session.stomp()?;
        let sub = stomp.subs().find(|sub| sub.slot == slot)?;
        Some(Self {
            slot,
            private: sub.private,
            id: sub.id.into(),
            topic: sub.topic.into(),
            version: stomp.version,
            ack: sub.ack,
        })
    }

    /// As it was.
    pub fn sub(&self) -> Sub<'_> {
        Sub {
            slot: self.slot,
            ack: self.ack,
            private: self.private,
            id: &self.id,
            topic: &self.topic,
        }
    }
}

/// Ends a subscription, named by its id or in 1.0 by its destination. What was sent of it may be acknowledged yet.
///
/// # Errors
/// There is no such subscription.
pub fn unsubscribe(cx: &mut Cx<'_>, session: &mut Session, frame: &Frame<'_>) -> Done {
    let by_id = frame.header("id").map(str::to_owned);
    let by_name = match frame.header("destination").map(Destination::parse) {
        Some(Ok(Destination::Topic(name))) => Some(name.into_owned()),
        _ => frame.header("destination").map(str::to_owned),
    };
    let is_it = |sub: &Sub<'_>| match (&by_id, &by_name) {
        (Some(id), _) => sub.id == id,
        (None, Some(name)) => sub.id.is_empty() && sub.topic == name,
        (None, None) => false,
    };
    let slot = {
        let mut subs = session.stomp().into_iter().flat_map(Stomp::subs);
        subs.find(is_it).map(|sub| sub.slot)
    };
    let kept = slot.and_then(|slot| Kept::of(session, slot));
    let Kept {
        slot,
        private,
        topic,
        ..
    } = kept.ok_or(NOT_SUBSCRIBED)?;
    session.remove_sub(slot);
    if is_app(session) {
        groups::leave(cx, Some(slot));
    }
    if !private && !is_read(session, &topic) {
        cx.hub.unsubscribe(&mut session.seat, &topic);
    }
    Ok(Vec::new())
}

fn refusal(cx: &mut Cx<'_>, refused: Refused) -> Refusal {
    match refused {
        Refused::TooManySubscriptions => TOO_MANY,
        Refused::TooManyChannels | Refused::NameTaken => {
            cx.metrics.refuse("full");
            Refusal::new("more channels than --max-channels", "full")
        }
    }
}

const TWICE: Refusal = Refusal::new("there is a subscription of this name already", BAD_FRAME);
const TOO_MANY: Refusal = Refusal::new("more subscriptions than --max-subscriptions", "too-many");
const NOT_YOURS: Refusal = Refusal::new(
    "of private messages only your own can be read: /user/self or /session/self",
    "bad-destination",
);
const NOT_THERE: Refusal = Refusal::new(
    "the application reads /topic/CHANNEL and /orbit/EVENT; nobody sends to it",
    "bad-destination",
);
const NOT_SUBSCRIBED: Refusal = Refusal::new("there is no such subscription", BAD_FRAME);
const LONG_ID: Refusal = Refusal::new("a subscription's id has at most 255 bytes", BAD_FRAME);
const BAD_ACK: Refusal = Refusal::new("ack is auto, client or client-individual", BAD_FRAME);
const BAD_SINCE: Refusal =
    Refusal::new("orbit-since is the orbit-position of a message", BAD_FRAME);
const NO_SINCE: Refusal = Refusal::new(
    "orbit-since is for a channel, and for one that this connection does not read yet",
    BAD_FRAME,
);
/// Of a subscription's id: its length is one byte.
const ID_BYTES_MAX: usize = 255;
