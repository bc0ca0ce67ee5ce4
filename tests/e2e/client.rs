//! An HTTP client that is simple enough to be right: one blocking socket, answers read to their last byte.
//!
//! In: an address as the ready line spells it. Out: responses.

use crate::node::PATIENCE;
use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A connection.
pub struct Client {
    socket: Socket,
    /// What was read and not used.
    buffer: Vec<u8>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The head as it came.
    pub head: String,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects to `ADDR:PORT` or `unix:PATH`.
    pub fn connect(address: &str) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("{address}: {error}"))
    }

    /// The same, where failing is expected.
    pub fn try_connect(address: &str) -> io::Result<Self> {
        let socket = match address.strip_prefix("unix:") {
            Some(path) => Socket::Unix(UnixStream::connect(path)?),
            None => Socket::Tcp(TcpStream::connect(address)?),
        };
        let client = Self {
            socket,
            buffer: Vec::new(),
        };
        if let Socket::Tcp(stream) = &client.socket {
            stream.set_nodelay(true)?;
        }
        client.set_patience(PATIENCE);
        Ok(client)
    }

    /// How long one read or write may take.
    pub fn set_patience(&self, time: Duration) {
        let time = Some(time);
        let set = match &self.socket {
            Socket::Tcp(stream) => stream
                .set_read_timeout(time)
                .and(stream.set_write_timeout(time)),
            Socket::Unix(stream) => stream
                .set_read_timeout(time)
                .and(stream.set_write_timeout(time)),
        };
        set.unwrap();
    }

    /// Writes bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    /// The same, where failing is expected.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(stream) => stream.write_all(bytes),
            Socket::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Sends nothing more, and goes on reading.
    pub fn shut_sending(&self) {
        match &self.socket {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write).unwrap(),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write).unwrap(),
        }
    }

    /// Ends the connection as a host does that went away: what is on its way is lost, and the peer is told so.
    pub fn reset(self) {
        let socket = match &self.socket {
            Socket::Tcp(stream) => SockRef::from(stream),
            Socket::Unix(stream) => SockRef::from(stream),
        };
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Sends a request without waiting for its answer.
    pub fn ask(&mut self, method: &str, path: &str, fields: &str, body: &[u8]) {
        let length = match (method, body) {
            ("POST", body) => format!("Content-Length: {}\r\n", body.len()),
            _ => String::new(),
        };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}{length}\r\n");
        self.send(&[head.as_bytes(), body].concat());
    }

    /// GET, and the answer.
    pub fn get(&mut self, path: &str) -> Response {
        self.ask("GET", path, "", b"");
        self.response()
    }

    /// POST, and the answer.
    pub fn post(&mut self, path: &str, body: &[u8]) -> Response {
        self.ask("POST", path, "", body);
        self.response()
    }

    /// Publishes text through the internal port; how many sessions it went to.
    pub fn publish(&mut self, channel: &str, text: &[u8]) -> u64 {
        let fields = "Content-Type: text/plain\r\n";
        self.ask("POST", &format!("/api/publish/{channel}"), fields, text);
        let answer = self.response();
        assert!(matches!(answer.status, 201 | 202), "{answer:?}");
        let text = answer.text();
        let count = text.strip_prefix("{\"subscribers\":").unwrap();
        count.split(',').next().unwrap().parse().unwrap()
    }

    /// The next answer, whole.
    pub fn response(&mut self) -> Response {
        let mut response = self.response_head();
        let head = &response.head;
        let ended = matches!(response.status, 101 | 204 | 304);
        response.body = if ended {
            Vec::new()
        } else if let Some(length) = field(head, "content-length") {
            self.take(length.parse().unwrap())
        } else if field(head, "transfer-encoding") == Some("chunked") {
            std::iter::from_fn(|| self.chunk())
                .collect::<Vec<_>>()
                .concat()
        } else {
            self.rest()
        };
        response
    }

    /// The next answer's head, its body left to be read.
    pub fn response_head(&mut self) -> Response {
        let head = String::from_utf8(self.through(b"\r\n\r\n")).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response {
            status,
            head,
            body: Vec::new(),
        }
    }

    /// The next chunk of a chunked body; `None` for the last.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = String::from_utf8(self.through(b"\r\n")).unwrap();
        let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let mut chunk = self.take(size + 2);
        assert_eq!(chunk.split_off(size), b"\r\n");
        (size > 0).then_some(chunk)
    }

    /// Everything up to `mark`, with it.
    pub fn through(&mut self, mark: &[u8]) -> Vec<u8> {
        let mut from = 0;
        loop {
            let found = self.buffer[from..]
                .windows(mark.len())
                .position(|w| w == mark);
            if let Some(at) = found {
                return self.take(from + at + mark.len());
            }
            from = self.buffer.len().saturating_sub(mark.len());
            self.fill();
        }
    }

    /// So many bytes.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            self.fill();
        }
        self.buffer.drain(..count).collect()
    }

    /// Everything until the server closes, cleanly or not.
    pub fn rest(&mut self) -> Vec<u8> {
        while matches!(self.read_some(), Ok(1..)) {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether the server has closed, and nothing came before that.
    pub fn is_closed(&mut self) -> bool {
        self.rest().is_empty()
    }

    fn fill(&mut self) {
        let so_far = self.buffer.escape_ascii().to_string();
        match self.read_some() {
            Ok(0) => panic!("closed after {so_far:?}"),
            Ok(_) => {}
            Err(error) => panic!("{error} after {so_far:?}"),
        }
    }

    /// One read, kept for whoever takes it.
    pub fn read_some(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 16 * 1024];
        let count = loop {
            let read = match &mut self.socket {
                Socket::Tcp(stream) => stream.read(&mut bytes),
                Socket::Unix(stream) => stream.read(&mut bytes),
            };
            // A process that was stopped and goes on is told so where a read has a timeout.
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.buffer.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

impl Response {
    /// A header's value.
    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    fields
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}
