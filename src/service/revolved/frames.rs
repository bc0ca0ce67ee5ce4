//! The lines of the Revolved protocol, both ways.
//!
//! In: a line from a client. Out: a typed call, or the lines a server sends. One JSON array per line.

use crate::cmd::Fate;
use crate::hub::{Members, Page, Subscribed};
use crate::mem::{Position, PresenceEvent, Publication};
use crate::service::json;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::Write as _;
use std::rc::Rc;

/// What a client asks for: `[id, VERB, args]`.
#[derive(Debug)]
pub struct Call<'a> {
    /// The number under which it is answered.
    pub id: u64,
    /// What is asked.
    pub verb: Cow<'a, str>,
    /// The arguments, not looked into.
    pub args: Vec<&'a RawValue>,
}

/// Reads a call; `Err` has the number to answer under, 0 when it could not be read.
///
/// # Errors
/// A line that is no array of a number, a name and an array.
pub fn parse(line: &[u8]) -> Result<Call<'_>, u64> {
    let parts: Vec<&RawValue> = serde_json::from_slice(line).map_err(|_| 0_u64)?;
    let [id, verb, args] = parts.as_slice() else {
        return Err(0);
    };
    let id: u64 = serde_json::from_str(id.get()).map_err(|_| 0_u64)?;
    let verb: Cow<'_, str> = text(verb).ok_or(id)?;
    let args: Vec<&RawValue> = serde_json::from_str(args.get()).map_err(|_| id)?;
    Ok(Call { id, verb, args })
}

/// A JSON string's text.
#[must_use]
pub fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    // A string without escapes is borrowed; the rest is decoded.
    if let Ok(text) = serde_json::from_str::<&str>(value.get()) {
        return Some(Cow::Borrowed(text));
    }
    serde_json::from_str::<String>(value.get())
        .ok()
        .map(Cow::Owned)
}

/// `["OK",[id,result]]`.
#[must_use]
pub fn ok(id: u64, result: &str) -> Vec<u8> {
    format!("[\"OK\",[{id},{result}]]\n").into_bytes()
}

/// `["ERR",[id,text,code]]`.
#[must_use]
pub fn err(id: u64, text: &str, code: &str) -> Vec<u8> {
    let mut out = format!("[\"ERR\",[{id},").into_bytes();
    json::string(&mut out, text);
    out.push(b',');
    json::string(&mut out, code);
    out.extend_from_slice(b"]]\n");
    out
}

/// The result of SUBSCRIBE to a pattern, which stands nowhere.
pub const SUBSCRIBED_PATTERN: &str = "{\"recovered\":false,\"messages\":[]}";

/// The result of SUBSCRIBE to a channel: where it stands, whether `messages` (spelled by [`message`]) are all that the
/// reader missed, who is there if it asked. Who was subscribed before is told so: it stands where it stood, and what it
/// was not sent yet is coming.
#[must_use]
pub fn subscribed(
    subscribed: &Subscribed,
    (recovered, messages): (bool, &[String]),
    there: Option<&Members>,
) -> String {
    let (at, messages) = (position(subscribed.position), messages.join(","));
    let again = match subscribed.again {
        true => ",\"again\":true",
        false => "",
    };
    let there = there.map_or(String::new(), |there| {
        format!(",{}", who(there, |(user, _)| json::text(user)))
    });
    format!("{{{at},\"recovered\":{recovered},\"messages\":[{messages}]{again}{there}}}")
}

/// The result of PRESENCE.
#[must_use]
pub fn members(there: &Members) -> String {
    let member = |(user, sessions): &(String, u32)| {
        format!("{{\"user\":{},\"sessions\":{sessions}}}", json::text(user))
    };
    format!("{{{}}}", who(there, member))
}

/// Who is there: the members, where they are listed, and how many.
fn who(there: &Members, member: impl Fn(&(String, u32)) -> String) -> String {
    let sessions = there.sessions;
    let Some((users, page)) = &there.users else {
        return format!("\"sessions\":{sessions}");
    };
    let page: Vec<_> = page.iter().map(member).collect();
    let (page, more) = (page.join(","), there.more);
    format!("\"members\":[{page}],\"more\":{more},\"users\":{users},\"sessions\":{sessions}")
}

/// `["JOIN",[channel,user]]`, `["LEAVE",[channel,user]]`.
#[must_use]
pub fn presence(event: &PresenceEvent) -> Vec<u8> {
    let verb = if event.joined { "JOIN" } else { "LEAVE" };
    let (channel, user) = (json::text(&event.channel), json::text(&event.user));
    format!("[\"{verb}\",[{channel},{user}]]\n").into_bytes()
}

/// The result of HISTORY: where the channel stands, as many messages as there is room for, whether there are more. One is
/// given whatever it weighs, or a reader would ask for it for ever.
#[must_use]
pub fn page(page: &Page, room: usize) -> String {
    let mut spelled = messages(&page.messages, room);
    if let (true, Some(first)) = (spelled.is_empty(), page.messages.first()) {
        spelled.push(message(first));
    }
    let more = page.more || spelled.len() < page.messages.len();
    let (at, messages) = (position(page.position), spelled.join(","));
    format!("{{{at},\"messages\":[{messages}],\"more\":{more}}}")
}

/// Messages of the past, from the first on, as many as there is room for.
#[must_use]
pub fn messages(messages: &[Rc<Publication>], room: usize) -> Vec<String> {
    let mut left = room;
    let fits = |text: &String| {
        let rest = left.checked_sub(text.len() + 1);
        rest.map(|rest| left = rest).is_some()
    };
    let texts = messages.iter().map(|publication| message(publication));
    texts.take_while(fits).collect()
}

fn position(Position { epoch, offset }: Position) -> String {
    format!("\"epoch\":\"{epoch:x}\",\"offset\":{offset}")
}

/// `{"offset","sender","payload"}`: a message of the past.
#[must_use]
pub fn message(publication: &Publication) -> String {
    let offset = publication.place().map_or(0, |place| place.offset);
    let mut out = format!("{{\"offset\":{offset},\"sender\":").into_bytes();
    json::string_or_null(&mut out, publication.sender.as_deref());
    out.extend_from_slice(b",\"payload\":");
    json::payload(&mut out, &publication.content, &publication.bytes);
    out.push(b'}');
    json::one_line(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// `["PUBLISH",[channel,sender,payload,{"offset":n}]]`; without an offset in a channel that nobody reads by its name and
/// that keeps nothing, or that was forgotten while it held this back.
#[must_use]
pub fn published(publication: &Publication) -> Vec<u8> {
    let mut out = b"[\"PUBLISH\",[".to_vec();
    json::string(&mut out, &publication.target);
    out.push(b',');
    json::string_or_null(&mut out, publication.sender.as_deref());
    out.push(b',');
    json::payload(&mut out, &publication.content, &publication.bytes);
    match publication.place().filter(|place| place.epoch > 0) {
        Some(place) => {
            let _ = write!(out, ",{{\"offset\":{}}}]]", place.offset);
        }
        None => out.extend_from_slice(b",{}]]"),
    }
    line(out)
}

/// `["GAP",[channel,{"missed":n}]]`: so many messages of a channel were dropped here.
#[must_use]
pub fn gap(channel: &str, missed: u64) -> Vec<u8> {
    let mut out = b"[\"GAP\",[".to_vec();
    json::string(&mut out, channel);
    let _ = write!(out, ",{{\"missed\":{missed}}}]]");
    line(out)
}

/// `["DELIVERY",[id,state,reason]]`: what became of a message sent under `id` at one of its recipients.
#[must_use]
pub fn delivery(id: u64, fate: Fate) -> Vec<u8> {
    let (state, reason) = match fate {
        Fate::Acked => ("acked", None),
        Fate::Written => ("written", None),
        Fate::Failed(cause) => ("failed", Some(cause.word())),
        Fate::Refused => ("failed", Some("refused")),
    };
    let mut out = format!("[\"DELIVERY\",[{id},\"{state}\",").into_bytes();
    json::string_or_null(&mut out, reason);
    out.extend_from_slice(b"]]\n");
    out
}

/// `["SUBSCRIBED",[channel]]`, `["UNSUBSCRIBED",[channel]]`: the application did it.
#[must_use]
pub fn seated(channel: &str, on: bool) -> Vec<u8> {
    let verb = if on { "SUBSCRIBED" } else { "UNSUBSCRIBED" };
    format!("[\"{verb}\",[{}]]\n", json::text(channel)).into_bytes()
}

/// `["SEND",[sender,payload]]`.
#[must_use]
pub fn sent(publication: &Publication) -> Vec<u8> {
    let mut out = b"[\"SEND\",[".to_vec();
    json::string_or_null(&mut out, publication.sender.as_deref());
    out.push(b',');
    json::payload(&mut out, &publication.content, &publication.bytes);
    out.extend_from_slice(b"]]");
    line(out)
}

/// `["BYE",[code,text,{"reconnect":bool,"after_ms":n}]]`; without `after_ms` the client is to stay away.
#[must_use]
pub fn bye(code: u16, text: &str, after_ms: Option<u64>) -> Vec<u8> {
    let (reconnect, after_ms) = (after_ms.is_some(), after_ms.unwrap_or(0));
    format!("[\"BYE\",[{code},\"{text}\",{{\"reconnect\":{reconnect},\"after_ms\":{after_ms}}}]]\n")
        .into_bytes()
}

/// Ends a line, which has no other ends in it.
fn line(mut out: Vec<u8>) -> Vec<u8> {
    json::one_line(&mut out);
    out.push(b'\n');
    out
}
