//! The transports of Orbited 0.3, by which a page reads what the application sends it (csp-transcripts.md section 15).
//!
//! In: the name of one, a message. Out: its row, what breaks its silence, and the message as it is spelled there. There are no
//! chunks, and no length: only the end of its connection ends such a response, as clients of the time wait for it.

use super::profile::ContentType;
use super::rows::{Endless, LONG_POLL, Row};
use crate::mem::{Msg, OutQueue, lines, script};
use serde::de::IgnoredAny;

/// Browsers of the time showed a script nothing before so many bytes.
macro_rules! dots {
    () => {
        "................................................................"
    };
}
/// The same for frames.
macro_rules! spans {
    () => {
        "<span></span><span></span><span></span><span></span><span></span>\
         <span></span><span></span><span></span><span></span><span></span>"
    };
}

/// How a message is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spelling {
    /// As it is.
    Plain,
    /// A value in a script.
    Script,
    /// With its length in front.
    Part,
    /// Lines of data.
    Event,
}

impl Spelling {
    /// Appends a message, unless it is to be written as it is: then it gives back false.
    pub fn spell(self, out: &mut OutQueue, msg: &Msg) -> bool {
        let (out, bytes) = (out.tail(), msg.bytes());
        match self {
            Self::Plain => return false,
            Self::Script => in_script(out, bytes),
            Self::Part => {
                let head = format!("Content-length: {}\r\n\r\n", bytes.len());
                out.extend_from_slice(head.as_bytes());
                out.extend_from_slice(bytes);
            }
            Self::Event => lines::data(out, bytes),
        }
        true
    }
}

/// What is no JSON is text there.
fn in_script(out: &mut Vec<u8>, bytes: &[u8]) {
    match serde_json::from_slice::<IgnoredAny>(bytes) {
        Ok(_) => script::in_page(out, bytes),
        Err(_) => {
            let text = String::from_utf8_lossy(bytes);
            // A string cannot fail here.
            let text = serde_json::to_string(&text).unwrap_or_default();
            script::in_page(out, text.as_bytes());
        }
    }
}

/// All of them; the first is what a request gets that names none.
pub const LOCATION: [Row; 7] = [
    Row {
        name: "xhr_stream",
        content_type: ContentType::OrbitedStream,
        preamble: concat!(dots!(), dots!(), dots!(), dots!(), "\r\n\r\n"),
        batch_suffix: "\r\n|O|\r\n",
        endless: Some(Endless {
            ping: "\r\n|O|\r\nping\r\n|O|\r\n",
            ..ENDLESS
        }),
        ..STREAM
    },
    Row {
        name: "iframe",
        content_type: ContentType::TextHtml,
        preamble: FRAME_HEAD,
        batch_prefix: Some("<script>e("),
        batch_suffix: ");</script>",
        endless: Some(Endless {
            ping: "<script>p();</script>\n",
            head: true,
            spelling: Spelling::Script,
        }),
        ..STREAM
    },
    Row {
        name: "server_sent_events",
        content_type: ContentType::DomEventStream,
        batch_prefix: Some("Event: orbited\n"),
        endless: Some(Endless {
            ping: "Event: ping\ndata: \n\n",
            head: true,
            spelling: Spelling::Event,
        }),
        ..STREAM
    },
    Row {
        name: "xhr_multipart",
        content_type: ContentType::OrbitedParts,
        batch_prefix: Some("Content-type: application/json\r\n"),
        batch_suffix: "\r\n--orbited--\r\n",
        endless: Some(Endless {
            spelling: Spelling::Part,
            ..ENDLESS
        }),
        ..STREAM
    },
    // Not even HTTP is spoken: for programs that read their socket themselves.
    Row {
        name: "raw",
        endless: Some(Endless {
            head: false,
            ..ENDLESS
        }),
        ..STREAM
    },
    Row {
        name: "basic",
        content_type: ContentType::TextHtml,
        batch_prefix: Some("<b>"),
        batch_suffix: "</b><br>\r\n",
        ..STREAM
    },
    Row {
        name: "stream",
        content_type: ContentType::TextHtml,
        ..STREAM
    },
];

const STREAM: Row = Row {
    name: "",
    streaming: true,
    endless: Some(ENDLESS),
    ..LONG_POLL
};

const ENDLESS: Endless = Endless {
    ping: "",
    head: true,
    spelling: Spelling::Plain,
};

const FRAME_HEAD: &str = concat!(
    "<html>\r\n<head>\r\n  <script src=\"/_/iframe.js\" charset=\"utf-8\"></script>\r\n</head>\r\n",
    "<body onLoad=\"reload();\">",
    spans!(),
    spans!(),
    spans!(),
    spans!(),
    spans!(),
    spans!(),
    spans!(),
    spans!(),
    spans!(),
    spans!(),
);
