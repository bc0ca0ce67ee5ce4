//! A connection's row: what the node remembers of one socket.
//!
//! An idle connection holds no buffer: what has come of a request is boxed while there is some, what waits
//! to be written is boxed while there is some.

use crate::http::answer::Partial as Answer;
use crate::http::reader::Partial as HttpPartial;
use crate::http::request::Version;
use crate::ids::SessionId;
use crate::mem::OutQueue;
use crate::ws::decoder::Partial as WsPartial;

/// Which listener a connection came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Browsers.
    Public,
    /// The application and the operator.
    Internal,
    /// None: the node made it, to a URL of the application.
    Application,
    /// STOMP without HTTP in front.
    Stomp,
    /// The application, by OP.
    Op,
}

/// One connection.
#[derive(Debug)]
pub struct Conn {
    /// What has come and is not served.
    pub inbox: Inbox,
    /// What waits to be written.
    pub out: Option<Box<OutQueue>>,
    /// The session whose downstream this is.
    pub session: Option<SessionId>,
    /// Requests served.
    pub requests: u32,
    /// Bytes of `inbox`, as accounted.
    pub inbox_bytes: u32,
    /// Where it is in its life.
    pub stage: Stage,
    /// Its write side.
    pub write: WriteSide,
    /// Where it came in.
    pub door: Door,
    /// Of the request being answered.
    pub version: Version,
    /// Whether the connection lives on after this response.
    pub keep_alive: bool,
    /// Whether the response is chunked.
    pub chunked: bool,
    /// Whether the peer will send nothing more.
    pub half_closed: bool,
    /// Whether an edge of the socket was passed over while nobody would have looked at its bytes.
    pub passed_over: bool,
    /// What the deadline stands for while a request comes in.
    pub timed: Timed,
    /// Whether what came waits for the application's word, so that nothing more is read.
    pub paused: bool,
    /// Of a WebSocket: whether anything came since it was last pinged.
    pub heard: bool,
    /// Of a WebSocket: whether Bayeux is spoken on it, with whichever session.
    pub bayeux: bool,
}

/// What the deadline of an open connection stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timed {
    /// The next request may begin.
    Idle,
    /// The head must be whole.
    Head,
    /// The body must be whole.
    Body,
}

/// What has come and is not served.
#[derive(Debug, Default)]
pub enum Inbox {
    /// Nothing.
    #[default]
    Empty,
    /// The beginning of a request.
    Request(Box<HttpPartial>),
    /// Bytes behind a request that is being answered.
    Parked(Box<Vec<u8>>),
    /// The beginning of a WebSocket message.
    Frames(Box<WsPartial>),
    /// A few bytes that may begin a request, or something else that shares the port.
    Opening(Box<Vec<u8>>),
    /// Bytes behind a `streamtest`, and the second half of its answer.
    Testing(Box<(Vec<u8>, Vec<u8>)>),
    /// The beginning of an answer to a request of ours.
    Answer(Box<Answer>),
}

/// Where a connection is in its life. One response at a time: requests behind it wait in the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Requests are read. Next: any.
    Open,
    /// A command decides the answer. Next: `Open`, `Closing`.
    Waiting,
    /// A comet request is held. Next: `Open`, `Closing`.
    Held,
    /// A response is open over many batches. Next: `Open`, `Closing`.
    Streaming,
    /// The second half of a `streamtest` answer waits for its time. Next: `Open`, `Closing`.
    Testing,
    /// A WebSocket. Next: `Closing`.
    Socket,
    /// A connection of ours, to a URL of the application (`outgoing`). Next: `Dead`.
    Calling,
    /// The bytes of a session both ways, without HTTP. Next: `Closing`.
    Raw,
    /// What is queued is written, then the sending side is shut. Next: `Lingering`.
    Closing,
    /// The sending side is shut; input is thrown away until the peer closes too, since closing a socket with
    /// unread input would destroy the answer on its way (RFC 9112 section 9.6). Next: `Dead`.
    Lingering,
    /// To be swept at the end of the turn.
    Dead,
}

/// The write side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteSide {
    /// Nothing to write.
    Idle,
    /// In the dirty list.
    Dirty,
    /// The socket takes nothing; it will say when it does.
    Blocked,
}

impl Conn {
    /// A fresh connection.
    #[must_use]
    pub fn new(door: Door) -> Self {
        Self {
            inbox: Inbox::Empty,
            out: None,
            session: None,
            requests: 0,
            inbox_bytes: 0,
            stage: Stage::Open,
            write: WriteSide::Idle,
            door,
            version: Version::Http11,
            keep_alive: true,
            chunked: false,
            half_closed: false,
            passed_over: false,
            timed: Timed::Idle,
            paused: false,
            heard: true,
            bayeux: false,
        }
    }
}

impl Conn {
    /// Whether so much waits to be written that no further request is served.
    #[must_use]
    pub fn is_backed_up(&self) -> bool {
        let waiting = self.out.as_ref().map_or(0, |out| out.len());
        self.write == WriteSide::Blocked || waiting > OUT_BYTES_MAX
    }

    /// Whether bytes of the socket would be looked at now. A connection whose request is being answered, or
    /// which does not take its answers, leaves what comes to the kernel, but for one read.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        match (self.stage, &self.inbox) {
            (Stage::Socket | Stage::Raw, _) if self.paused => false,
            (Stage::Dead | Stage::Testing, _) => false,
            // What is parked is served first.
            (Stage::Open | Stage::Socket, Inbox::Parked(_)) => false,
            (Stage::Open, _) => !self.is_backed_up(),
            (Stage::Held | Stage::Streaming | Stage::Waiting, inbox) => {
                matches!(inbox, Inbox::Empty)
            }
            (
                Stage::Socket | Stage::Calling | Stage::Raw | Stage::Closing | Stage::Lingering,
                _,
            ) => true,
        }
    }
}

impl Inbox {
    /// Bytes held on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Inbox::Empty => 0,
            Inbox::Request(partial) => partial.heap_bytes(),
            Inbox::Parked(bytes) | Inbox::Opening(bytes) => bytes.capacity(),
            Inbox::Testing(both) => both.0.capacity() + both.1.capacity(),
            Inbox::Frames(partial) => partial.heap_bytes(),
            Inbox::Answer(partial) => partial.heap_bytes(),
        }
    }
}

/// Bytes of answers that may wait before requests behind them do: one large file, or some hundred results.
const OUT_BYTES_MAX: usize = 64 * 1024;
