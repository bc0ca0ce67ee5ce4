//! A client's transports: the variables it sends for each, and how a body must look with them.
//!
//! In: a transport and chance. Out: query text, and the text around batches by CSP 1.5.

use super::chance::Chance;
use orbited::transport::{ContentType, ROWS};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

/// How a session is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    LongPoll,
    Stream,
    Sse,
    SseLongPoll,
    Jsonp,
    Poll,
    /// One of the server's rows, by its index.
    Row(usize),
    WebSocket,
}

/// The variables of a comet request; all of them are sent with each, so that each is the last word.
#[derive(Debug, Clone)]
pub struct Settings {
    pub transport: Transport,
    pub duration_s: u64,
    pub streaming: bool,
    pub interval_s: u64,
    pub sse: bool,
    prebuffer: usize,
    content_type: &'static str,
    preamble: String,
    batch_prefix: String,
    batch_suffix: String,
}

impl Transport {
    /// Some transport.
    pub fn any(chance: &mut Chance) -> Transport {
        match chance.below(10) {
            0 | 1 => Transport::LongPoll,
            2 | 3 => Transport::Stream,
            4 => Transport::Sse,
            5 => Transport::SseLongPoll,
            6 => Transport::Jsonp,
            7 if chance.one_in(2) => Transport::Poll,
            7 => Transport::Row(chance.below(ROWS.len())),
            _ => Transport::WebSocket,
        }
    }
}

impl Transport {
    /// Its name in what a run counts.
    pub fn name(self) -> &'static str {
        match self {
            Transport::LongPoll => "long-poll",
            Transport::Stream => "stream",
            Transport::Sse => "event source",
            Transport::SseLongPoll => "event source that long-polls",
            Transport::Jsonp => "script tags",
            Transport::Poll => "poll",
            Transport::Row(row) => ROWS[row].name,
            Transport::WebSocket => "websocket",
        }
    }
}

impl Settings {
    /// The settings of `transport`, some of them by chance.
    pub fn new(chance: &mut Chance, transport: Transport) -> Settings {
        let plain = Settings {
            transport,
            duration_s: chance.pick(&[1, 5, 30, 30, 60]),
            streaming: false,
            interval_s: chance.pick(&[0, 0, 2, 7]),
            sse: false,
            prebuffer: chance.pick(&[0, 0, 0, 256]),
            content_type: chance.pick(&["text/html", "text/plain", "application/javascript"]),
            preamble: String::new(),
            batch_prefix: String::new(),
            batch_suffix: String::new(),
        };
        match transport {
            Transport::LongPoll => plain,
            Transport::WebSocket => plain,
            Transport::Poll => Settings {
                duration_s: 0,
                ..plain
            },
            Transport::Stream => Settings {
                streaming: true,
                content_type: "text/plain",
                preamble: chance.pick(&["", "<pre>"]).to_owned(),
                batch_suffix: "\n".to_owned(),
                ..plain
            },
            Transport::Jsonp => Settings {
                content_type: "application/javascript",
                batch_prefix: format!("cb{}", chance.below(100)),
                batch_suffix: ";".to_owned(),
                ..plain
            },
            Transport::Sse | Transport::SseLongPoll => Settings {
                streaming: transport == Transport::Sse,
                sse: true,
                content_type: "text/event-stream",
                batch_prefix: "data: ".to_owned(),
                batch_suffix: "\r\n".to_owned(),
                ..plain
            },
            Transport::Row(row) => Settings::of_row(chance, row, plain),
        }
    }

    fn of_row(chance: &mut Chance, row: usize, plain: Settings) -> Settings {
        let row = &ROWS[row];
        let own = || format!("row{}", chance.below(100));
        Settings {
            duration_s: row.duration_s.into(),
            streaming: row.streaming,
            sse: row.sse,
            prebuffer: row.prebuffer as usize,
            content_type: row.content_type.name(),
            preamble: row.preamble.to_owned(),
            batch_prefix: row.batch_prefix.map_or_else(own, str::to_owned),
            batch_suffix: row.batch_suffix.to_owned(),
            ..plain
        }
    }

    /// The variables as pairs.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let number = |on: bool| String::from(if on { "1" } else { "0" });
        if let Transport::Row(row) = self.transport {
            let mut pairs = vec![
                ("transport", ROWS[row].name.to_owned()),
                ("i", self.interval_s.to_string()),
            ];
            if ROWS[row].batch_prefix.is_none() {
                pairs.push(("bp", self.batch_prefix.clone()));
            }
            return pairs;
        }
        vec![
            ("du", self.duration_s.to_string()),
            ("is", number(self.streaming)),
            ("i", self.interval_s.to_string()),
            ("ps", self.prebuffer.to_string()),
            ("se", number(self.sse)),
            ("ct", self.content_type.to_owned()),
            ("p", self.preamble.clone()),
            ("bp", self.batch_prefix.clone()),
            ("bs", self.batch_suffix.clone()),
        ]
    }

    /// The type the response must have: client's text is not sent as HTML.
    pub fn type_of_response(&self) -> &str {
        let own = matches!(self.transport, Transport::Row(_));
        let text = !(self.preamble.is_empty()
            && self.batch_prefix.is_empty()
            && self.batch_suffix.is_empty());
        if self.content_type == "text/html" && text && !own {
            "text/plain"
        } else {
            self.content_type
        }
    }

    /// Whether the response stays open over many batches.
    pub fn streams(&self) -> bool {
        self.streaming && self.duration_s > 0
    }

    /// What stands in front of the first batch.
    pub fn front(&self) -> Vec<u8> {
        let mut text = vec![b' '; self.prebuffer];
        text.extend_from_slice(self.preamble.as_bytes());
        text
    }

    /// What stands in front of each batch's parenthesis.
    pub fn before_batch(&self) -> Vec<u8> {
        let script = [
            ContentType::ApplicationJavascript,
            ContentType::TextJavascript,
        ];
        let guarded = script.iter().any(|kind| kind.name() == self.content_type)
            && !self.batch_prefix.is_empty();
        format!("{}{}", if guarded { "/**/" } else { "" }, self.batch_prefix).into_bytes()
    }

    /// What stands behind a batch's array.
    pub fn behind(&self, last: Option<u64>) -> Vec<u8> {
        let events = match (self.sse, last) {
            (false, _) => String::new(),
            (true, None) => "\r\n".to_owned(),
            (true, Some(id)) => format!("id: {id}\r\n\r\n"),
        };
        format!("){}{events}", self.batch_suffix).into_bytes()
    }
}

/// Pairs as a query or a form.
pub fn encode(pairs: &[(&str, String)]) -> String {
    let encode = |text: &str| percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
    let pair = |(name, value): &(&str, String)| format!("{name}={}", encode(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}
