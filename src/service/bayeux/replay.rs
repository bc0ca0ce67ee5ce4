//! The replay extension, as clients of Salesforce speak it: who subscribes says up to where it has a channel, and is given
//! what was kept behind that (bayeux.md section 5).
//!
//! In: `"ext":{"replay":{"/channel":N}}` of a subscription: -1 for new messages only, -2 for all that is kept, else the
//! number of the last message that the client has. Out: messages on the session, or why not; and the number of each
//! message. Such a number is a channel's offset with some bits of its epoch in front, so that one of a past that is
//! forgotten is told from a later one, and all of it is exact in a double.

use super::messages::{Message, members};
use super::replies;
use crate::hub::Asked;
use crate::mem::{Content, Msg, Position, Publication, View};
use crate::service::{Cx, json};
use crate::session::{PACKETS_MAX, Session};
use std::rc::Rc;

/// What a client wants of a channel's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All that is kept.
    Kept,
    /// All behind the message of this number.
    Behind(i64),
}

/// What `message` wants of the channel called `name`; `None` for nothing.
#[must_use]
pub fn wanted(message: &Message<'_>, name: &str) -> Option<Wanted> {
    let asked = members(message.extension("replay")?.get())?;
    let number = asked.get(&format!("/{name}"))?.get();
    match serde_json::from_str::<i64>(number).ok()? {
        -1 => None,
        -2 => Some(Wanted::Kept),
        number => Some(Wanted::Behind(number)),
    }
}

/// Gives a session that has just subscribed to a channel, which stands at `at`, what it wants of the past.
///
/// # Errors
/// Not all of it can be given, in the words of Salesforce: the client then asks for what there is.
pub fn give(
    cx: &mut Cx<'_>,
    session: &mut Session,
    (name, at): (&str, Position),
    wanted: Wanted,
) -> Result<(), String> {
    match wanted {
        Wanted::Kept => give_kept(cx, session, name),
        Wanted::Behind(number) => {
            let behind = behind(cx, session, (name, at), number).ok_or_else(|| {
                format!(
                    "400::The replayId {{{number}}} you provided was invalid. Please provide a valid ID, -2 to replay all \
                     events, or -1 to replay only new events."
                )
            })?;
            recall(cx, session, behind);
        }
    }
    Ok(())
}

/// All behind a number, if all of it is there and fits.
fn behind(
    cx: &mut Cx<'_>,
    session: &Session,
    (name, at): (&str, Position),
    number: i64,
) -> Option<Vec<Rc<Msg>>> {
    let number = u64::try_from(number).ok()?;
    let since = Position {
        epoch: at.epoch,
        offset: number & OFFSET_MAX,
    };
    if number >> OFFSET_BITS != at.epoch & EPOCH_MAX {
        return None;
    }
    let room = room(cx, session);
    let recovered = cx.hub.recover(name, since, (PACKETS_MAX / 4, room));
    let spelled = newest(cx, recovered.missed.iter().rev(), room);
    (recovered.whole && spelled.len() == recovered.missed.len()).then_some(spelled)
}

/// The newest of what is kept, as many as fit; how many do not is told in front of them.
fn give_kept(cx: &mut Cx<'_>, session: &mut Session, name: &str) {
    let room = room(cx, session);
    let asked = Asked {
        from: None,
        backwards: true,
        messages: PACKETS_MAX / 4,
        bytes: room,
    };
    let page = cx.hub.page(name, asked);
    let spelled = newest(cx, page.messages.iter(), room);
    let oldest = cx.hub.page(
        name,
        Asked {
            backwards: false,
            messages: 1,
            ..asked
        },
    );
    let first = oldest.messages.first().and_then(|first| first.place());
    let kept = first.map_or(0, |first| page.position.offset + 1 - first.offset);
    let missed = kept.saturating_sub(spelled.len() as u64);
    if missed > 0 {
        cx.remark(session, Msg::new(replies::gap(name, missed), cx.ledger));
    }
    recall(cx, session, spelled);
}

/// What a client asked for is given whole, whatever its channel's rule drops.
fn recall(cx: &mut Cx<'_>, session: &mut Session, messages: Vec<Rc<Msg>>) {
    cx.metrics.messages_out += messages.len() as u64;
    for msg in messages {
        cx.remark(session, msg);
    }
}

/// What is newest first as it is told, oldest first, as many as there is room for.
fn newest<'a>(
    cx: &Cx<'_>,
    publications: impl Iterator<Item = &'a Rc<Publication>>,
    room: usize,
) -> Vec<Rc<Msg>> {
    let mut left = room;
    let spelled = publications.map(|publication| view(cx, publication));
    let mut fitting: Vec<_> = spelled
        .take_while(|msg| {
            let rest = left.checked_sub(msg.bytes().len() + COST);
            rest.map(|rest| left = rest).is_some()
        })
        .collect();
    fitting.reverse();
    fitting
}

/// What may be given at once: it is not to be what makes the session's queue run over.
fn room(cx: &Cx<'_>, session: &Session) -> usize {
    cx.config.max_queue.saturating_sub(session.queued()) / 2
}

/// A publication as clients get it that know the extension.
#[must_use]
pub fn view(cx: &Cx<'_>, publication: &Rc<Publication>) -> Rc<Msg> {
    publication.view(View::BayeuxReplay, cx.ledger, delivery)
}

/// A delivery with its number: beside the data, and in it where there is a place for it, since that is where clients of
/// Salesforce look. They asked for it; everybody else gets what was published, byte for byte.
fn delivery(publication: &Publication) -> Vec<u8> {
    let Some(number) = publication.place().and_then(number) else {
        return replies::delivery(publication);
    };
    let data = match publication.content {
        Content::Json => with_number(&publication.bytes, number),
        _ => None,
    };
    let plain = || {
        let mut data = Vec::new();
        json::payload(&mut data, &publication.content, &publication.bytes);
        data
    };
    let data = data.unwrap_or_else(plain);
    replies::spell(publication, &data, &format!(",\"replayId\":{number}"))
}

fn with_number(object: &[u8], number: u64) -> Option<Vec<u8>> {
    let members = members(std::str::from_utf8(object).ok()?)?;
    if members.contains_key("event") {
        return None;
    }
    let end = object.iter().rposition(|byte| *byte == b'}')?;
    let comma = if members.is_empty() { "" } else { "," };
    let mut spliced = object.get(..end)?.to_vec();
    spliced.extend_from_slice(format!("{comma}\"event\":{{\"replayId\":{number}}}}}").as_bytes());
    Some(spliced)
}

/// The number of a place; `None` beyond what fits.
fn number(place: Position) -> Option<u64> {
    let fits = place.offset <= OFFSET_MAX;
    fits.then_some((place.epoch & EPOCH_MAX) << OFFSET_BITS | place.offset)
}

/// Of the 53 bits that a double is exact in: 40 number a million messages a second for twelve days, and with 13 one epoch in
/// eight thousand is taken for another.
const OFFSET_BITS: u32 = 40;
const OFFSET_MAX: u64 = (1 << OFFSET_BITS) - 1;
const EPOCH_MAX: u64 = (1 << 13) - 1;
/// What a message costs beside its bytes.
const COST: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::messages::parse;
    use super::*;

    #[test]
    fn numbers_are_exact_in_a_double_and_tell_epochs_apart() {
        let at = |epoch, offset| number(Position { epoch, offset });
        assert_eq!(at(0, 7), Some(7));
        assert_eq!(at(u64::MAX, OFFSET_MAX), Some((1 << 53) - 1));
        assert_ne!(at(1, 7), at(2, 7));
        assert_eq!(at(1, OFFSET_MAX + 1), None);
    }

    #[test]
    fn an_object_gets_its_number_and_nothing_else_does() {
        let with = |text: &str| {
            let spliced = with_number(text.as_bytes(), 7);
            spliced.map(|bytes| String::from_utf8(bytes).unwrap())
        };
        assert_eq!(
            with(r#"{"a" : 1.0 }"#).as_deref(),
            Some(r#"{"a" : 1.0 ,"event":{"replayId":7}}"#)
        );
        assert_eq!(with("{}").as_deref(), Some(r#"{"event":{"replayId":7}}"#));
        for none in [r#"{"event":1}"#, "[{}]", "\"}\"", "7", "null"] {
            assert_eq!(with(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_wanted_is_a_number_of_that_channel() {
        let of = |replay: &str| {
            let text = format!("{{\"ext\":{{\"replay\":{replay}}}}}");
            wanted(&parse(text.as_bytes(), 1).unwrap()[0], "a/b")
        };
        assert_eq!(of(r#"{"/a/b":-2}"#), Some(Wanted::Kept));
        assert_eq!(of(r#"{"/c":1,"/a/b":41}"#), Some(Wanted::Behind(41)));
        for none in [
            r#"{"/a/b":-1}"#,
            r#"{"/a":3}"#,
            "true",
            r#"{"/a/b":"x"}"#,
            r#"{"/a/b":1e99}"#,
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
