//! Reads responses off a connection, as strictly as a proxy would.
//!
//! In: bytes. Out: heads, pieces of bodies, ends. What is not HTTP/1.1 as RFC 9112 has it is a panic.

/// A response's head.
#[derive(Debug, Clone)]
pub struct Head {
    pub status: u16,
    fields: Vec<(String, String)>,
}

/// A piece of a response.
#[derive(Debug)]
pub enum Piece {
    Head(Head),
    Body(Vec<u8>),
    End,
    /// Everything behind a 101.
    Raw(Vec<u8>),
}

/// Reads one response after another.
#[derive(Debug, Default)]
pub struct Responses {
    buffer: Vec<u8>,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// So many bytes of the body are missing.
    Known(usize),
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    LastLine,
    UntilClose,
    Over,
    Raw,
}

impl Head {
    /// A field's value; it must not be there twice.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut found = self
            .fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let first = found.next();
        assert!(found.next().is_none(), "{name} is there twice: {self:?}");
        first.map(|(_, value)| value.as_str())
    }

    /// Whether the connection ends behind this response.
    pub fn closes(&self) -> bool {
        let said = |(name, value): &(String, String)| {
            name.eq_ignore_ascii_case("connection") && value == "close"
        };
        self.fields.iter().any(said)
    }

    fn parse(text: &str) -> Head {
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap();
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok());
        let field = |line: &str| {
            let (name, value) = line
                .split_once(": ")
                .unwrap_or_else(|| panic!("no field: {line:?}"));
            assert!(
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
                "{line:?}"
            );
            (name.to_owned(), value.to_owned())
        };
        Head {
            status: status.unwrap_or_else(|| panic!("no status line: {first:?}")),
            fields: lines.map(field).collect(),
        }
    }
}

impl Responses {
    /// Bytes came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a response is begun and not whole, or bytes of one are there.
    pub fn is_inside(&self) -> bool {
        self.state != State::Head || !self.buffer.is_empty()
    }

    /// Whether the end of the connection is the end of the response.
    pub fn ends_with_connection(&self) -> bool {
        self.state == State::UntilClose
    }

    /// The next piece; `head_only` says whether the response at hand is to a HEAD.
    pub fn next(&mut self, head_only: bool) -> Option<Piece> {
        loop {
            match self.state {
                State::Head => return self.head(head_only),
                State::Over => {
                    self.state = State::Head;
                    return Some(Piece::End);
                }
                State::ChunkSize => {
                    let line = self.line()?;
                    let digits = !line.is_empty() && line.bytes().all(|b| b.is_ascii_hexdigit());
                    assert!(digits, "a chunk's size is {line:?}");
                    let size = usize::from_str_radix(&line, 16).unwrap();
                    self.state = if size == 0 {
                        State::LastLine
                    } else {
                        State::Chunk(size)
                    };
                }
                State::ChunkEnd => {
                    assert_eq!(self.line()?, "", "behind a chunk");
                    self.state = State::ChunkSize;
                }
                State::LastLine => {
                    assert_eq!(self.line()?, "", "behind the last chunk");
                    self.state = State::Over;
                }
                State::Known(0) => self.state = State::Over,
                State::Known(missing) => return self.body(missing, State::Known),
                State::Chunk(0) => self.state = State::ChunkEnd,
                State::Chunk(missing) => return self.body(missing, State::Chunk),
                State::UntilClose => return self.body(usize::MAX, |_| State::UntilClose),
                State::Raw if self.buffer.is_empty() => return None,
                State::Raw => return Some(Piece::Raw(std::mem::take(&mut self.buffer))),
            }
        }
    }

    fn head(&mut self, head_only: bool) -> Option<Piece> {
        let at = self
            .buffer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")?;
        let text = String::from_utf8(self.buffer.drain(..at + 4).take(at).collect()).unwrap();
        let head = Head::parse(&text);
        let length = head
            .field("content-length")
            .map(|text| text.parse::<usize>().unwrap());
        let chunked = head.field("transfer-encoding").is_some();
        assert!(!chunked || length.is_none(), "two lengths: {text}");
        self.state = match (head.status, length) {
            (101, _) => State::Raw,
            (100, _) => State::Head,
            (204 | 304, _) => State::Over,
            _ if head_only => State::Over,
            (_, Some(length)) => State::Known(length),
            _ if chunked => State::ChunkSize,
            _ => State::UntilClose,
        };
        assert!(
            self.state != State::UntilClose || head.closes(),
            "a body without an end: {text}"
        );
        Some(Piece::Head(head))
    }

    fn body(&mut self, missing: usize, state: fn(usize) -> State) -> Option<Piece> {
        if self.buffer.is_empty() {
            return None;
        }
        let count = self.buffer.len().min(missing);
        self.state = state(missing - count);
        Some(Piece::Body(self.buffer.drain(..count).collect()))
    }

    fn line(&mut self) -> Option<String> {
        let at = self.buffer.windows(2).position(|two| two == b"\r\n")?;
        assert!(at < 100, "a chunk's line is endless");
        let line = String::from_utf8(self.buffer.drain(..at + 2).take(at).collect()).unwrap();
        Some(line)
    }
}
