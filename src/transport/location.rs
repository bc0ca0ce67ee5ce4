//! The transports of Orbited 0.3, by which a page reads what the application sends it (csp-transcripts.md section 15).
//!
//! In: the name of one. Out: its row, what breaks its silence, and how a message is spelled for it. There are no chunks, and
//! no length: only the end of its connection ends such a response, as clients of the time wait for it.

use super::profile::ContentType;
use super::rows::{Endless, LONG_POLL, Row};

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
/// One of those transports.
#[derive(Debug)]
pub struct Style {
    /// What stands around each message.
    pub row: Row,
    /// What a message is.
    pub spelling: Spelling,
}

/// How a message is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// All of them; the first is what a request gets that names none.
pub const STYLES: [Style; 7] = [
    Style {
        row: Row {
            name: "xhr_stream",
            content_type: ContentType::OrbitedStream,
            preamble: concat!(dots!(), dots!(), dots!(), dots!(), "\r\n\r\n"),
            batch_suffix: "\r\n|O|\r\n",
            endless: Some(Endless {
                ping: "\r\n|O|\r\nping\r\n|O|\r\n",
                head: true,
            }),
            ..STREAM
        },
        spelling: Spelling::Plain,
    },
    Style {
        row: Row {
            name: "iframe",
            content_type: ContentType::TextHtml,
            preamble: FRAME_HEAD,
            batch_prefix: Some("<script>e("),
            batch_suffix: ");</script>",
            endless: Some(Endless {
                ping: "<script>p();</script>\n",
                head: true,
            }),
            ..STREAM
        },
        spelling: Spelling::Script,
    },
    Style {
        row: Row {
            name: "server_sent_events",
            content_type: ContentType::DomEventStream,
            batch_prefix: Some("Event: orbited\n"),
            endless: Some(Endless {
                ping: "Event: ping\ndata: \n\n",
                head: true,
            }),
            ..STREAM
        },
        spelling: Spelling::Event,
    },
    Style {
        row: Row {
            name: "xhr_multipart",
            content_type: ContentType::OrbitedParts,
            batch_prefix: Some("Content-type: application/json\r\n"),
            batch_suffix: "\r\n--orbited--\r\n",
            ..STREAM
        },
        spelling: Spelling::Part,
    },
    // Not even HTTP is spoken: for programs that read their socket themselves.
    Style {
        row: Row {
            name: "raw",
            endless: Some(Endless {
                ping: "",
                head: false,
            }),
            ..STREAM
        },
        spelling: Spelling::Plain,
    },
    Style {
        row: Row {
            name: "basic",
            content_type: ContentType::TextHtml,
            batch_prefix: Some("<b>"),
            batch_suffix: "</b><br>\r\n",
            ..STREAM
        },
        spelling: Spelling::Plain,
    },
    Style {
        row: Row {
            name: "stream",
            content_type: ContentType::TextHtml,
            ..STREAM
        },
        spelling: Spelling::Plain,
    },
];

const STREAM: Row = Row {
    name: "",
    streaming: true,
    endless: Some(Endless {
        ping: "",
        head: true,
    }),
    ..LONG_POLL
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
