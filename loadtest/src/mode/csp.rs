//! What every CSP transport shares: shaking hands, subscribing, counting packets, acknowledging.
//!
//! In: answers on the one connection a client has. Out: its next request. A session is a Revolved byte stream,
//! as `wire.md` has it under `/_/revolved/csp`.

use super::{Ack, Cx, Peer, post, refusals};
use crate::held::Held;
use crate::part::{Word, lines};
use crate::proto::csp::{packets, session_key};
use crate::proto::http::{self, Event};
use crate::proto::ws;
use crate::trouble::Fault;

const BASE: &str = "/_/revolved/csp";

/// Steps of [`Peer::step`].
const HANDSHAKE: u8 = 0;
/// An answer is waited for, and then the downstream is opened.
const ASKED: u8 = 1;
/// The session is there; the rest is the transport's, and so are steps behind it.
pub const OPEN: u8 = 2;

/// The first request.
pub fn handshake(cx: &mut Cx<'_>, peer: &mut Peer) {
    peer.step = HANDSHAKE;
    // A session on a WebSocket asks for nothing later.
    let hold = held(cx, "?");
    let target = format!("{BASE}/handshake{hold}");
    post(cx.out, cx.host, &target, "{\"encodings\":[0,1,2]}");
}

/// Sets the session up to SUBSCRIBE's answer that all came. True from when the downstream is to be opened, or is.
///
/// # Errors
/// An answer that is not 200 or says no session.
pub fn set_up(cx: &mut Cx<'_>, peer: &mut Peer, rest: &mut &[u8]) -> Result<Setup, Fault> {
    if peer.step >= OPEN {
        return Ok(Setup::Open);
    }
    let Some(answer) = http::whole(&mut peer.body, rest)? else {
        return Ok(Setup::More);
    };
    match peer.step {
        HANDSHAKE => {
            let key = session_key(answer).ok_or(Fault::Response)?;
            let target = format!("{BASE}/send?s={key}");
            peer.key = Some(key);
            if cx.is_set_up(peer) {
                peer.step = OPEN;
                return Ok(Setup::Opens);
            }
            peer.step = ASKED;
            let hello = upstream(peer, &cx.hello(peer));
            post(cx.out, cx.host, &target, &hello);
            Ok(Setup::More)
        }
        _ => {
            peer.step = OPEN;
            Ok(Setup::Opens)
        }
    }
}

/// How far setting up is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// An answer is waited for.
    More,
    /// Just now: the transport opens its downstream.
    Opens,
    /// Since before: what came is the downstream's.
    Open,
}

/// Asks for the downstream of a session that is there.
pub fn resume(cx: &mut Cx<'_>, peer: &mut Peer, transport: &str) {
    peer.step = OPEN;
    comet(cx, peer, transport);
}

/// The same where a downstream does not answer until it has something to say: an empty send before it does.
pub fn resume_asking(cx: &mut Cx<'_>, peer: &mut Peer) {
    peer.step = ASKED;
    peer.acknowledged();
    post(cx.out, cx.host, &target(peer, "send", ""), "[]");
}

/// Where an upgraded connection takes the session over.
pub fn resume_upgraded(cx: &mut Cx<'_>, peer: &mut Peer) {
    peer.step = OPEN;
    peer.acknowledged();
    upgrade(cx, peer);
}

/// Asks for the session's WebSocket.
pub fn upgrade(cx: &mut Cx<'_>, peer: &Peer) {
    ws::upgrade(cx.out, cx.host, &target(peer, "websocket", ""));
    cx.out.extend_from_slice(b"\r\n");
}

/// `path?s=KEY&a=N` and more behind it.
pub fn target(peer: &Peer, endpoint: &str, more: &str) -> String {
    let key = peer.key.as_deref().unwrap_or_default();
    format!("{BASE}/{endpoint}?s={key}&a={}{more}", peer.got)
}

/// Asks for a downstream on the connection itself; everything that came is thereby acknowledged.
pub fn comet(cx: &mut Cx<'_>, peer: &mut Peer, transport: &str) {
    // A stream says something after `i` seconds, a poll after `du`.
    let interval = match (cx.interval_s, transport) {
        (0, _) => String::new(),
        (seconds, "longpoll") => format!("&du={seconds}"),
        (seconds, _) => format!("&i={seconds}"),
    };
    let hold = held(cx, "&");
    let more = format!("&transport={transport}{interval}{hold}");
    let target = target(peer, "comet", &more);
    peer.acknowledged();
    cx.get(&target, "");
}

/// How long a response is to be held, behind `sign`. A transport has a time of its own, so it is said with each.
fn held(cx: &Cx<'_>, sign: &str) -> String {
    match cx.hold_s {
        0 => String::new(),
        seconds => format!("{sign}du={seconds}"),
    }
}

/// A stream of batches that `cut` finds in its body; asked for again when it has been held for its time.
///
/// # Errors
/// As [`batch`], and any status but 200.
pub fn stream(
    cx: &mut Cx<'_>,
    peer: &mut Peer,
    input: &[u8],
    transport: &str,
    mut data: impl FnMut(&mut Cx<'_>, &mut Peer, &[u8]) -> Result<(), Fault>,
) -> Result<usize, Fault> {
    let mut rest = input;
    match set_up(cx, peer, &mut rest)? {
        Setup::More => return Ok(input.len() - rest.len()),
        Setup::Opens => comet(cx, peer, transport),
        Setup::Open => {}
    }
    loop {
        match http::next(&mut peer.body, &mut rest)? {
            Event::More => return Ok(input.len() - rest.len()),
            // Of a session that was resumed; another is ready with its first packets.
            Event::Head(200) => peer.ready = peer.ready || cx.is_set_up(peer),
            Event::Head(_) => return Err(Fault::Response),
            Event::Data(bytes) => data(cx, peer, bytes)?,
            Event::End if peer.leaving => return Err(Fault::Response),
            Event::End => {
                peer.text = Held::default();
                comet(cx, peer, transport);
            }
        }
    }
}

/// Takes a batch in. What came before is dropped, as CSP lets a server send again what was not acknowledged.
///
/// # Errors
/// [`Fault::Batch`]: no batch, a hole before it, or the session's end.
pub fn batch(cx: &mut Cx<'_>, peer: &mut Peer, batch: &[u8]) -> Result<(), Fault> {
    let mut landed = false;
    for packet in packets(batch)? {
        let packet = packet?;
        if packet.id <= peer.got {
            continue;
        }
        let data = match packet.data {
            // The answer to a goodbye. It is acknowledged as anything is, and then the session is over.
            None if peer.leaving => Some(&b""[..]),
            data => data,
        };
        let data = data.filter(|_| packet.id == peer.got + 1);
        let data = data.ok_or(Fault::Batch)?;
        peer.got = packet.id;
        peer.unacked = peer.unacked.saturating_add(data.len() as u32);
        // The first packets are the answers to what was said first.
        if !peer.ready {
            if refusals(data) > 0 {
                return Err(Fault::Response);
            }
            peer.ready = cx.is_set_up(peer);
        }
        landed |= cx.landed(peer, data);
    }
    cx.marks.tally.responses += u64::from(landed);
    Ok(())
}

/// The batch with the next packet upstream.
pub fn upstream(peer: &mut Peer, lines: &str) -> String {
    peer.sent += 1;
    let (id, data) = (peer.sent, serde_json::Value::from(lines));
    format!("[[{id},0,{data}]]")
}

/// The batch that ends the session.
pub fn last_words(peer: &mut Peer) -> String {
    peer.sent += 1;
    peer.leaving = true;
    format!("[[{},0,null]]", peer.sent)
}

/// Sends it over a shared connection, where a browser sends it too.
pub fn goodbye(cx: &mut Cx<'_>, peer: &mut Peer) {
    let batch = last_words(peer);
    send(cx, peer, &batch);
}

/// Sends messages over a shared connection, as [`send_ack`] does, and acknowledges by the way.
pub fn say(cx: &mut Cx<'_>, peer: &mut Peer, words: &[Word]) {
    let batch = upstream(peer, &lines(words));
    send(cx, peer, &batch);
}

/// At once for so many packets or [`ACK_BYTES`], else after so long, as CSP.js does it.
pub fn ack_after(peer: &Peer, most: u32, wait_ms: u64) -> Ack {
    match peer.got - peer.acked {
        0 => Ack::None,
        due if due >= most || peer.unacked >= ACK_BYTES => Ack::Now,
        _ => Ack::After(wait_ms * 1_000_000),
    }
}

/// What is acknowledged at once: the server holds it until then.
const ACK_BYTES: u32 = 65_536;

/// On a stream: an empty send, after 64 packets or a second.
pub fn stream_ack(peer: &Peer) -> Ack {
    ack_after(peer, 64, 1000)
}

/// The empty send. It goes over a shared connection: a second socket for each client would double what is
/// measured, and a browser keeps one for all.
pub fn send_ack(cx: &mut Cx<'_>, peer: &mut Peer) {
    send(cx, peer, "[]");
}

fn send(cx: &mut Cx<'_>, peer: &mut Peer, batch: &str) {
    peer.acknowledged();
    let target = target(peer, "send", "");
    post(cx.side, cx.host, &target, batch);
}
