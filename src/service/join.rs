//! The beginning of a plain reader: the channels it names, where it stood in them, and what it missed.
//!
//! In: channels with positions. Out: subscriptions; what was published behind each position, all of it or a gap
//! that is told. How a message is spelled is its service's business.

use super::{Cx, Hello, json};
use crate::hub::Refused;
use crate::mem::{Msg, Position, Publication, View};
use crate::session::{PACKETS_MAX, ServiceKind, Session};
use std::io::Write as _;
use std::rc::Rc;

/// How a service spells a publication.
pub type Spelling = (View, fn(&Publication) -> Vec<u8>);

/// What came of a reader's channels.
#[derive(Debug)]
pub struct Joined<'h> {
    /// In the order they were named.
    pub channels: Vec<Channel<'h>>,
    /// What was missed and is given now, in the order it was published.
    pub missed: Vec<Missed>,
}

/// A channel that is read from now on.
#[derive(Debug)]
pub struct Channel<'h> {
    name: &'h str,
    /// Where the client says it stood.
    since: Option<Position>,
    /// Where the channel stands.
    at: Position,
    /// Whether everything between the two is given.
    pub whole: bool,
}

/// A publication that was missed.
#[derive(Debug)]
pub struct Missed {
    /// Which of the channels it is in.
    pub channel: usize,
    /// What it was.
    pub publication: Rc<Publication>,
    /// How the client gets it.
    pub msg: Rc<Msg>,
}

/// Subscribes a session to the channels it begins with, and finds what it missed in them: as much as fills half of
/// its queue, since that is not to be what makes it run over.
///
/// # Errors
/// [`Refused`].
pub fn join<'h>(
    cx: &mut Cx<'_>,
    session: &mut Session,
    hello: &'h Hello<'_>,
    spelling: Spelling,
) -> Result<Joined<'h>, Refused> {
    let max = cx.config.max_subscriptions;
    let mut room = Room {
        bytes: cx.queue_max(session) / 2,
        // A feed's are of one piece.
        messages: match session.service {
            ServiceKind::Feed => PACKETS_MAX / 2,
            _ => PACKETS_MAX / 4,
        },
        each: COST + PLACE_BYTES_MAX * hello.channels.len(),
    };
    let mut joined = Joined {
        channels: Vec::with_capacity(hello.channels.len()),
        missed: Vec::new(),
    };
    for (n, (name, since)) in hello.channels.iter().enumerate() {
        let at = cx.hub.subscribe(cx.id, &mut session.seat, name, max)?;
        let missed = since.and_then(|since| {
            let recovered = cx.hub.recover(name, since, (room.messages, room.bytes));
            let missed = || recovered.missed.into_iter();
            let missed = missed().map(|publication| missing(cx, n, publication, spelling));
            let missed: Vec<_> = missed.collect();
            (recovered.whole && room.take(&missed)).then_some(missed)
        });
        joined.channels.push(Channel {
            name,
            since: *since,
            at: at.position,
            whole: missed.is_some(),
        });
        joined.missed.extend(missed.into_iter().flatten());
    }
    let number = |missed: &Missed| missed.publication.number();
    joined.missed.sort_by_key(number);
    Ok(joined)
}

fn missing(
    cx: &Cx<'_>,
    channel: usize,
    publication: Rc<Publication>,
    (view, make): Spelling,
) -> Missed {
    let msg = publication.view(view, cx.ledger, make);
    Missed {
        channel,
        publication,
        msg,
    }
}

/// What may still be given of what was missed.
struct Room {
    bytes: usize,
    messages: usize,
    /// What each costs beside its bytes.
    each: usize,
}

impl Room {
    fn take(&mut self, missed: &[Missed]) -> bool {
        let cost = |missed: &Missed| missed.msg.bytes().len() + self.each;
        let bytes = missed.iter().map(cost).sum();
        let left = (
            self.bytes.checked_sub(bytes),
            self.messages.checked_sub(missed.len()),
        );
        let (Some(bytes), Some(messages)) = left else {
            return false;
        };
        (self.bytes, self.messages) = (bytes, messages);
        true
    }
}

impl Joined<'_> {
    /// Where the client stands in each channel before it is given what it missed.
    #[must_use]
    pub fn places(&self) -> Vec<Position> {
        let place = |channel: &Channel<'_>| match channel.since.filter(|_| channel.whole) {
            Some(since) => since,
            None => channel.at,
        };
        self.channels.iter().map(place).collect()
    }
}

impl Channel<'_> {
    /// What is missing and is not given, as JSON. How many messages that are is not known where the channel was
    /// forgotten meanwhile.
    #[must_use]
    pub fn gap(&self) -> Option<Vec<u8>> {
        let Position { epoch, offset } = self.at;
        let since = self.since.filter(|_| !self.whole)?;
        let missed = (since.epoch == epoch).then(|| offset.checked_sub(since.offset));
        let mut out = b"{\"channel\":".to_vec();
        json::string(&mut out, self.name);
        // Writing to a vector cannot fail.
        let _ = write!(
            out,
            ",\"epoch\":\"{epoch:x}\",\"offset\":{offset},\"missed\":"
        );
        let _ = match missed.flatten() {
            Some(missed) => write!(out, "{missed}}}"),
            None => write!(out, "null}}"),
        };
        Some(out)
    }
}

/// What a message costs beside its bytes: its place in the queue, and the line in front that says where its reader stands.
const COST: usize = 128;
/// Bytes of one position in that line.
const PLACE_BYTES_MAX: usize = 38;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_counted_where_that_is_known() {
        let gap = |epoch, offset, whole| {
            let at = Position {
                epoch: 31,
                offset: 7,
            };
            let since = Some(Position { epoch, offset });
            let channel = Channel {
                name: "c",
                since,
                at,
                whole,
            };
            channel.gap().map(|gap| String::from_utf8(gap).unwrap())
        };
        let told = |missed| {
            Some(format!(
                r#"{{"channel":"c","epoch":"1f","offset":7,"missed":{missed}}}"#
            ))
        };
        assert_eq!(gap(31, 4, true), None);
        assert_eq!(gap(31, 4, false), told("3"));
        assert_eq!(gap(31, 8, false), told("null"));
        assert_eq!(gap(30, 4, false), told("null"));
    }
}
