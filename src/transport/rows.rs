//! The table of transports: each is a row of CSP's own variables, not code.
//!
//! In: the name a client gives with `transport=`, or nothing (a client may set every variable itself). Out:
//! the settings the HTTP writer interprets. Adding a transport is adding a row and its transcript.

use super::location::Spelling;
use super::profile::ContentType;

/// One transport's settings. Text here is the server's own, so it may stand where a client's may not.
#[derive(Debug)]
pub struct Row {
    /// The value of `transport=`.
    pub name: &'static str,
    /// One response over many batches, or one batch per response.
    pub streaming: bool,
    /// Seconds a request may be held; 0 answers at once.
    pub duration_s: u16,
    /// Blanks in front, for browsers which show nothing of a response before so many bytes.
    pub prebuffer: u32,
    /// Event ids after each batch, and `Last-Event-ID` on the next request.
    pub sse: bool,
    /// The response's type.
    pub content_type: ContentType,
    /// Once in front of the first batch.
    pub preamble: &'static str,
    /// Before each batch. `None` leaves it to the client, who gives a callback's name.
    pub batch_prefix: Option<&'static str>,
    /// After each batch.
    pub batch_suffix: &'static str,
    /// Of a response that only the end of its connection ends.
    pub endless: Option<Endless>,
}

/// What a response has that only the end of its connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endless {
    /// What breaks a minute's silence.
    pub ping: &'static str,
    /// Whether it has a head.
    pub head: bool,
    /// What a message is in it.
    pub spelling: Spelling,
}

/// Every transport over HTTP.
pub const ROWS: [Row; 9] = [
    Row {
        name: "polling",
        duration_s: 0,
        ..LONG_POLL
    },
    LONG_POLL,
    Row {
        name: "xhrstream",
        streaming: true,
        prebuffer: 256,
        batch_suffix: "\n",
        ..LONG_POLL
    },
    Row {
        preamble: FRAME_HEAD,
        ..FRAME
    },
    // The ActiveX "htmlfile" has no postMessage: its parent window is a script object with a function.
    Row {
        name: "htmlfile",
        preamble: HTMLFILE_HEAD,
        ..FRAME
    },
    MULTIPART,
    Row {
        name: "sse",
        streaming: true,
        ..EVENTS
    },
    EVENTS,
    JSONP,
];

/// Every transport of channels to clients without a library, over HTTP: what stands around each message (around each
/// answer, where a request is answered once), of which an event brings its own.
pub const PLAIN: [Row; 5] = [
    Row {
        name: "sse",
        streaming: true,
        sse: true,
        content_type: ContentType::EventStream,
        ..LONG_POLL
    },
    Row {
        name: "stream",
        streaming: true,
        content_type: ContentType::Ndjson,
        batch_suffix: "\n",
        ..LONG_POLL
    },
    MULTIPART,
    Row {
        content_type: ContentType::ApplicationJson,
        ..LONG_POLL
    },
    JSONP,
];

/// A way of Bayeux over HTTP: a row, by the name of its connection type, and what a stream of it has beside.
#[derive(Debug)]
pub struct Way {
    /// What stands around each array of messages.
    pub row: Row,
    /// What breaks a stream's silence; empty for an array without messages.
    pub keepalive: &'static str,
    /// The end of a stream whose session is over.
    pub sign_off: &'static str,
    /// Blanks behind whatever a stream says, for browsers which show nothing before so many bytes.
    pub padding: u16,
}

/// Every connection type of Bayeux over HTTP, in the order in which clients are told of them (bayeux.md section 3). Three of
/// them are what Cometd had in 2006.
pub const BAYEUX: [Way; 7] = [
    Way {
        row: Row {
            name: "eventsource",
            streaming: true,
            sse: true,
            content_type: ContentType::EventStream,
            batch_prefix: Some("data: "),
            batch_suffix: "\r\n\r\n",
            ..LONG_POLL
        },
        keepalive: ":\r\n\r\n",
        ..WAY
    },
    WAY,
    // Faye's, for pages of other origins: messages in a form, which is asked no permission for.
    Way {
        row: Row {
            name: "cross-origin-long-polling",
            ..WAY.row
        },
        ..WAY
    },
    Way {
        row: Row {
            name: "callback-polling",
            ..JSONP
        },
        ..WAY
    },
    Way {
        row: Row {
            prebuffer: 0,
            preamble: COMETD_HEAD,
            batch_prefix: Some("<br/><script>window.parent.cometd.deliver("),
            batch_suffix: ");</script><br/>",
            ..FRAME
        },
        keepalive: "<br>",
        sign_off: "<script>window.parent.cometd.disconnect();</script></body></html>",
        padding: 2048,
    },
    // The line ends are those of its only readers.
    Way {
        row: Row {
            name: "mime-message-block",
            batch_prefix: Some("Content-Type: text/plain\r\n\r\n\n"),
            batch_suffix: "\n\r\n\n--csp\r\n",
            ..MULTIPART
        },
        sign_off: "\n--csp--\n",
        ..WAY
    },
    Way {
        row: Row {
            name: "http-polling",
            duration_s: 0,
            ..WAY.row
        },
        ..WAY
    },
];

const WAY: Way = Way {
    row: Row {
        name: "long-polling",
        content_type: ContentType::ApplicationJson,
        ..LONG_POLL
    },
    keepalive: "",
    sign_off: "",
    padding: 0,
};

const COMETD_HEAD: &str = "<html><head><title>cometd</title></head><body onload=\"window.parent.cometd.tunnelCollapse();\">\r\n";

pub(super) const LONG_POLL: Row = Row {
    name: "longpoll",
    streaming: false,
    duration_s: 30,
    prebuffer: 0,
    sse: false,
    content_type: ContentType::TextPlain,
    preamble: "",
    batch_prefix: Some(""),
    batch_suffix: "",
    endless: None,
};

const MULTIPART: Row = Row {
    name: "multipart",
    streaming: true,
    content_type: ContentType::Multipart,
    preamble: "--csp\r\n",
    batch_prefix: Some("Content-Type: application/json\r\n\r\n"),
    batch_suffix: "\r\n--csp\r\n",
    ..LONG_POLL
};

const JSONP: Row = Row {
    name: "jsonp",
    content_type: ContentType::ApplicationJavascript,
    batch_prefix: None,
    batch_suffix: ";",
    ..LONG_POLL
};

const EVENTS: Row = Row {
    name: "sselongpoll",
    sse: true,
    content_type: ContentType::EventStream,
    batch_prefix: Some("data: "),
    batch_suffix: "\r\n",
    ..LONG_POLL
};

const FRAME: Row = Row {
    name: "iframe",
    streaming: true,
    prebuffer: 1024,
    content_type: ContentType::TextHtml,
    batch_prefix: Some("<script>b"),
    batch_suffix: ";</script>\r\n",
    ..LONG_POLL
};

const FRAME_HEAD: &str = "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><script>function b(x){\
    window.parent.postMessage(JSON.stringify({csp:x}),'*')}</script></head><body>\r\n";
const HTMLFILE_HEAD: &str = "<html><head><meta charset=\"utf-8\"><script>function b(x){window.parent.csp(x)}</script></head><body>\r\n";
