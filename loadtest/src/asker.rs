//! Requests whose answers are waited for, many at a time on one connection.
//!
//! In: requests. Out: the bodies of their answers, in their order.

use crate::proto::http::{self, Body, Event};
use crate::trouble::Trouble;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The connection, opened anew when it has served its share.
#[derive(Debug)]
pub struct Asker {
    to: SocketAddr,
    stream: TcpStream,
    left: usize,
}

impl Asker {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn new(to: SocketAddr) -> Result<Self, Trouble> {
        let stream = TcpStream::connect_timeout(&to, ANSWER_MAX);
        let stream = stream.map_err(Trouble::io("connecting to ask"))?;
        let ready = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(ANSWER_MAX)))
            .and_then(|()| stream.set_write_timeout(Some(ANSWER_MAX)));
        ready.map_err(Trouble::io("connecting to ask"))?;
        Ok(Self {
            to,
            stream,
            left: REQUESTS_MAX,
        })
    }

    /// Sends these requests at once; the answers' bodies.
    ///
    /// # Errors
    /// A connection that ends or is silent, an answer that is none or not of success.
    pub fn ask(&mut self, requests: &[String]) -> Result<Vec<Vec<u8>>, Trouble> {
        if self.left < requests.len() {
            *self = Self::new(self.to)?;
        }
        self.left = self.left.saturating_sub(requests.len());
        let sent = self.stream.write_all(requests.concat().as_bytes());
        sent.map_err(Trouble::io("asking"))?;
        let (mut answers, mut unread) = (Answers::default(), Vec::new());
        let mut buffer = [0; 16 * 1024];
        while answers.done.len() < requests.len() {
            let got = match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                got => got.map_err(Trouble::io("waiting for an answer"))?,
            };
            if got == 0 {
                return Err(Trouble::Server("ends a connection unasked".into()));
            }
            unread.extend_from_slice(buffer.get(..got).unwrap_or_default());
            let taken = answers.take(&unread)?;
            unread.drain(..taken);
        }
        Ok(answers.done)
    }
}

/// What has come of answers.
#[derive(Debug, Default)]
struct Answers {
    done: Vec<Vec<u8>>,
    body: Body,
    data: Vec<u8>,
}

impl Answers {
    /// Gives back how many of the bytes were taken.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Trouble> {
        let mut rest = bytes;
        loop {
            let event = http::next(&mut self.body, &mut rest);
            match event.map_err(|_| Trouble::Server("answers what is no HTTP".into()))? {
                Event::More => return Ok(bytes.len() - rest.len()),
                Event::Head(100..=299) => {}
                Event::Head(status) => {
                    return Err(Trouble::Server(format!("answers with status {status}")));
                }
                Event::Data(data) => self.data.extend_from_slice(data),
                Event::End => self.done.push(std::mem::take(&mut self.data)),
            }
        }
    }
}

/// A request without a body, or with one.
#[must_use]
pub fn request(method: &str, target: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// Requests on one connection: servers bound them, the node at 10,000.
const REQUESTS_MAX: usize = 5000;
const ANSWER_MAX: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_however_they_come() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none\
            HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nt\r\n2\r\nwo\r\n0\r\n\r\n";
        for step in 1..text.len() {
            let (mut answers, mut unread) = (Answers::default(), Vec::new());
            for part in text.chunks(step) {
                unread.extend_from_slice(part);
                let taken = answers.take(&unread).unwrap();
                unread.drain(..taken);
            }
            assert_eq!(answers.done, [b"one", b"two"], "{step}");
        }
    }

    #[test]
    fn a_refusal_is_no_answer() {
        let refused = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
        assert!(Answers::default().take(refused).is_err());
    }
}
