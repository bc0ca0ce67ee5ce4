//! Turns a client's bytes into messages and control events, holding nothing between complete messages.
//!
//! Data in: the loop's shared read buffer, as many bytes as came. Data out: one [`Event`] a call, or a [`Fault`] that ends the
//! connection. It must not know sockets, what is answered to an event, or what a message says.
//!
//! A frame that lies whole in the buffer is unmasked there and handed out without a copy. Anything else gathers in a
//! [`Partial`], which exists only from the first byte that cannot be handed out to the last of its message. Fragments append
//! to one buffer, so that their number costs nothing (RFC 6455 section 5.4 sets no bound on it).

use std::mem;
use std::ops::Deref;

use super::frames::Opcode;
use super::header::{self, Expect, Frame, HeadBytes};
use super::message::{Message, whole};
use crate::codes::{CloseCode, may_be_received};

/// What a connection accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most payload bytes of a message, over all its fragments.
    pub message_bytes_max: usize,
}

/// What has come of a frame or of a fragmented message; boxed by the connection only while there is one.
///
/// It is one of, or the last together with one of the others: a head that is not whole, a frame whose payload is not whole
/// (with what has come of it, if it is a control frame), a message.
#[derive(Debug, Default)]
pub struct Partial {
    head: HeadBytes,
    /// The frame in progress; its `rest` is never zero here.
    frame: Option<Frame>,
    /// The front of the control frame in progress: apart from the message, between whose fragments it may come.
    control: Vec<u8>,
    message: Option<Message>,
}

impl Partial {
    /// Bytes this holds on the heap, itself included: at most twice what has arrived, and a constant.
    pub fn heap_bytes(&self) -> usize {
        let message = self.message.as_ref().map_or(0, Message::capacity);
        size_of::<Self>() + self.control.capacity() + message
    }

    fn is_idle(&self) -> bool {
        self.head.len() == 0 && self.frame.is_none() && self.message.is_none()
    }
}

/// What the front of the input was.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// All input was taken and no event is complete.
    More,
    /// A text message; its bytes are UTF-8.
    Text(Payload<'a>),
    /// A binary message.
    Binary(Payload<'a>),
    /// A ping, to be answered with a pong of the same bytes. A caller that cannot write yet keeps only the latest one
    /// (RFC 6455 section 5.5.3), so that a flood of pings queues nothing.
    Ping(Payload<'a>),
    /// A pong: the peer lives.
    Pong,
    /// The peer closes, with this code if it gave one. Nothing may be read after it (section 5.5.1).
    Close(Option<u16>),
}

/// The bytes of an event: still in the read buffer, or gathered over several reads or fragments.
#[derive(Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// A part of the input.
    Borrowed(&'a [u8]),
    /// The event's own buffer.
    Owned(Vec<u8>),
}

impl Deref for Payload<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// How a peer broke the protocol. The caller sends a Close of [`Fault::close_code`] and reads no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A frame that RFC 6455 does not allow here: 1002.
    Protocol,
    /// Text or a close reason that is not UTF-8: 1007.
    BadUtf8,
    /// A message over the limit, seen from the lengths declared: 1009.
    TooBig,
}

impl Fault {
    /// The code to close with, ready for [`super::frames::close_frame`].
    pub const fn close_code(self) -> u16 {
        let code = match self {
            Self::Protocol => CloseCode::PROTOCOL_ERROR,
            Self::BadUtf8 => CloseCode::INVALID_PAYLOAD,
            Self::TooBig => CloseCode::TOO_BIG,
        };
        code.number()
    }
}

/// Takes one event from the front of `input`, advancing it; what it takes is unmasked where it lies.
///
/// To be called until it answers `More`, and again with the next bytes read. `partial` is what lasts between calls, and is
/// `None` whenever no message or frame is under way. After a fault or a Close it is `None` too, and this connection's input
/// is not to be passed in again.
pub fn next<'a>(
    partial: &mut Option<Box<Partial>>,
    input: &mut &'a mut [u8],
    limits: &Limits,
) -> Result<Event<'a>, Fault> {
    let found = find(partial, input, limits);
    let over = matches!(found, Err(_) | Ok(Event::Close(_)));
    if over || partial.as_ref().is_some_and(|kept| kept.is_idle()) {
        *partial = None;
    }
    found
}

/// Goes over frames until one makes an event: a loop, not a recursion, since any number of fragments may make none.
fn find<'a>(
    partial: &mut Option<Box<Partial>>,
    input: &mut &'a mut [u8],
    limits: &Limits,
) -> Result<Event<'a>, Fault> {
    while !input.is_empty() {
        let Some(mut frame) = frame(partial, input, limits)? else {
            break;
        };
        let chunk = frame.take(input);
        let event = match frame.opcode.is_control() {
            true => control(partial, frame, chunk)?,
            false => data(partial, frame, chunk, limits)?,
        };
        if let Some(event) = event {
            return Ok(event);
        }
    }
    Ok(Event::More)
}

/// The frame in progress, or else the one whose head `input` begins or completes.
fn frame(
    partial: &mut Option<Box<Partial>>,
    input: &mut &mut [u8],
    limits: &Limits,
) -> Result<Option<Frame>, Fault> {
    if let Some(frame) = partial.as_mut().and_then(|kept| kept.frame.take()) {
        return Ok(Some(frame));
    }
    let message = partial.as_ref().and_then(|kept| kept.message.as_ref());
    let expect = Expect {
        in_message: message.is_some(),
        room: limits
            .message_bytes_max
            .saturating_sub(message.map_or(0, Message::len)),
    };
    let mut head = partial
        .as_mut()
        .map(|kept| mem::take(&mut kept.head))
        .unwrap_or_default();
    let earlier = head.len();
    head.fill(input);
    let found = header::parse(head.bytes(), &expect)?;
    // Bytes kept from earlier reads were not a whole head, so a head is always longer than they are.
    let used = found.map_or(head.len(), |(_, head_len)| head_len);
    let _head = input.split_off_mut(..used.saturating_sub(earlier));
    if found.is_none() {
        partial.get_or_insert_default().head = head;
    }
    Ok(found.map(|(frame, _)| frame))
}

/// One more piece of a control frame: an event when it is whole.
fn control<'a>(
    partial: &mut Option<Box<Partial>>,
    frame: Frame,
    chunk: &'a [u8],
) -> Result<Option<Event<'a>>, Fault> {
    let is_begun = partial
        .as_ref()
        .is_some_and(|kept| !kept.control.is_empty());
    if frame.rest == 0 && !is_begun {
        return control_event(frame.opcode, Payload::Borrowed(chunk)).map(Some);
    }
    let kept = partial.get_or_insert_default();
    kept.control.extend_from_slice(chunk);
    if frame.rest > 0 {
        kept.frame = Some(frame);
        return Ok(None);
    }
    let payload = Payload::Owned(mem::take(&mut kept.control));
    control_event(frame.opcode, payload).map(Some)
}

fn control_event(opcode: Opcode, payload: Payload<'_>) -> Result<Event<'_>, Fault> {
    match opcode {
        Opcode::Ping => Ok(Event::Ping(payload)),
        Opcode::Pong => Ok(Event::Pong),
        _ => received_code(&payload).map(Event::Close),
    }
}

/// Section 5.5.1: a Close is empty, or a code and a reason in UTF-8.
fn received_code(payload: &[u8]) -> Result<Option<u16>, Fault> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(Fault::Protocol)
        };
    };
    let code = u16::from_be_bytes(*code);
    if !may_be_received(code) {
        return Err(Fault::Protocol);
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err(Fault::BadUtf8),
    }
}

/// One more piece of a data frame: an event when it ends its message.
fn data<'a>(
    partial: &mut Option<Box<Partial>>,
    frame: Frame,
    chunk: &'a [u8],
    limits: &Limits,
) -> Result<Option<Event<'a>>, Fault> {
    let is_text = frame.opcode == Opcode::Text;
    let is_begun = partial.as_ref().is_some_and(|kept| kept.message.is_some());
    if frame.fin && frame.rest == 0 && !is_begun {
        return whole(is_text, chunk).map(Some);
    }
    let kept = partial.get_or_insert_default();
    // A frame of which only the head is here begins no message yet: its payload may still come in one piece.
    if !chunk.is_empty() || frame.rest == 0 {
        let message = kept.message.get_or_insert_with(|| Message::new(is_text));
        let whole_max = match frame.fin {
            true => message.len() + chunk.len() + frame.rest,
            false => limits.message_bytes_max,
        };
        message.append(chunk, whole_max)?;
    }
    match (frame.rest, frame.fin) {
        (0, true) => kept.message.take().map(Message::finish).transpose(),
        (0, false) => Ok(None),
        _ => {
            kept.frame = Some(frame);
            Ok(None)
        }
    }
}
