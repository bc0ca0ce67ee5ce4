//! One request and its answer, over a connection of its own.
//!
//! In: a request. Out: the answer's status and body, or why there is none, with the cure.

use super::Node;
use crate::config::{ApiKey, Listen};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A request.
#[derive(Debug)]
pub struct Request<'a> {
    method: &'static str,
    target: &'a str,
    body: &'a [u8],
    /// The body's type.
    pub content_type: &'static str,
    /// `Idempotency-Key`.
    pub id: Option<&'a str>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl<'a> Request<'a> {
    /// A GET of a target, percent-encoded.
    #[must_use]
    pub fn get(target: &'a str) -> Self {
        Self {
            method: "GET",
            target,
            body: b"",
            content_type: "",
            id: None,
        }
    }

    /// A POST of text to a target, percent-encoded.
    #[must_use]
    pub fn post(target: &'a str, body: &'a [u8]) -> Self {
        Self {
            method: "POST",
            body,
            content_type: "text/plain",
            ..Self::get(target)
        }
    }

    fn head(&self, key: Option<&ApiKey>) -> Result<String, String> {
        let (method, target) = (self.method, self.target);
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        if self.method == "POST" {
            let (kind, length) = (self.content_type, self.body.len());
            head += &format!("Content-Type: {kind}\r\nContent-Length: {length}\r\n");
        }
        if let Some(ApiKey::Text(key)) = key {
            head += &format!("X-API-Key: {key}\r\n");
        }
        if let Some(id) = self.id {
            if id.chars().any(char::is_control) {
                return Err("--id: an id has no control characters".to_owned());
            }
            head += &format!("Idempotency-Key: {id}\r\n");
        }
        Ok(head + "\r\n")
    }
}

/// Asks a node.
///
/// # Errors
/// Nobody listens there, or what answers is no HTTP.
pub fn ask(node: &Node<'_>, request: &Request<'_>) -> Result<Answer, String> {
    let head = request.head(node.key)?;
    let address = node.address;
    let until = Instant::now() + PATIENCE;
    let exchanged = match address {
        Listen::Tcp(to) => TcpStream::connect_timeout(to, PATIENCE)
            .and_then(|stream| exchange(stream, (&head, request.body), until)),
        Listen::Unix(path) => {
            connect(path).and_then(|stream| exchange(stream, (&head, request.body), until))
        }
    };
    let bytes = exchanged.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => format!(
            "nobody listens on {address} ({error}); start orbited, or say where it is by --internal"
        ),
        _ => format!("{address}: {error}"),
    })?;
    answer(&bytes).ok_or_else(|| format!("{address}: {}", super::NO_NODE))
}

/// A socket that does not wait for ever.
trait Wire: Read + Write {
    fn wait_for(&self, time: Duration) -> io::Result<()>;
}

impl Wire for TcpStream {
    fn wait_for(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

impl Wire for UnixStream {
    fn wait_for(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.connect_timeout(&SockAddr::unix(path)?, PATIENCE)?;
    Ok(socket.into())
}

/// A node may refuse a body before it has all of it: then writing fails, and its answer is there all the same.
fn exchange(
    mut stream: impl Wire,
    (head, body): (&str, &[u8]),
    until: Instant,
) -> io::Result<Vec<u8>> {
    let wrote =
        write(&mut stream, head.as_bytes(), until).and_then(|()| write(&mut stream, body, until));
    let mut bytes = Vec::new();
    let read = read(&mut stream, &mut bytes, until);
    match bytes.is_empty() {
        true => wrote.and(read).map(|()| bytes),
        false => Ok(bytes),
    }
}

fn write(stream: &mut impl Wire, bytes: &[u8], until: Instant) -> io::Result<()> {
    for piece in bytes.chunks(PIECE) {
        wait(stream, until)?;
        stream.write_all(piece)?;
    }
    Ok(())
}

fn read(stream: &mut impl Wire, bytes: &mut Vec<u8>, until: Instant) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    while bytes.len() < ANSWER_MAX {
        wait(stream, until)?;
        let many = stream.read(&mut piece)?;
        if many == 0 {
            break;
        }
        bytes.extend_from_slice(piece.get(..many).unwrap_or_default());
    }
    Ok(())
}

/// The next call waits for what is left of the time.
fn wait(stream: &impl Wire, until: Instant) -> io::Result<()> {
    let left = until.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::ErrorKind::TimedOut.into()),
        false => stream.wait_for(left),
    }
}

fn answer(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut words = head.strip_prefix("HTTP/1.")?.split(' ');
    let status = words.nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    });
    let body = body.to_owned();
    // One that broke off is none.
    let is_whole = length.is_some_and(|length| length == body.len());
    is_whole.then_some(Answer { status, body })
}

/// How long a node may take, from the first byte to the last.
const PATIENCE: Duration = Duration::from_secs(30);
/// No page is as long.
const ANSWER_MAX: usize = 64 << 20;
/// Bytes that are written and read at once.
const PIECE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_if_it_is_whole() {
        let whole = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
        let body = "{}".to_owned();
        assert_eq!(answer(whole), Some(Answer { status: 201, body }));
        for broken in [
            &whole[..whole.len() - 1],
            b"HTTP/1.1 201 Created\r\n",
            b"SSH-2.0-x\r\n\r\n",
            b"HTTP/1.1 x\r\nContent-Length: 0\r\n\r\n",
            b"",
        ] {
            assert_eq!(answer(broken), None, "{}", broken.escape_ascii());
        }
    }

    #[test]
    fn a_head_says_what_is_asked_and_no_more_than_one_request() {
        let key = ApiKey::parse("0123456789abcdef");
        let mut request = Request::post("/api/publish/a", b"hi");
        request.id = Some("7");
        assert_eq!(
            request.head(key.as_ref()).as_deref(),
            Ok(
                "POST /api/publish/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: text/plain\r\nContent-Length: 2\r\nX-API-Key: 0123456789abcdef\r\n\
                Idempotency-Key: 7\r\n\r\n"
            )
        );
        request.id = Some("7\r\nX: y");
        assert!(request.head(None).is_err());
    }
}
