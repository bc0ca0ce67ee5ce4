//! Publications, pipelined on one connection so that they keep their order.
//!
//! In: where to POST, messages; the bytes of answers. Out: the bytes of requests. It keeps what is not answered, for
//! a server that ends a connection after so many requests. It reads and writes no socket.

use crate::proto::http::{self, Body, Event};
use crate::trouble::Fault;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Requests on their way.
#[derive(Debug)]
pub struct Pipeline {
    head: String,
    unanswered: VecDeque<Vec<u8>>,
    body: Body,
    unread: Vec<u8>,
    /// An answer came on this connection.
    answered: bool,
    /// Messages that the server did not take.
    pub refused: u32,
}

impl Pipeline {
    /// To this path of that server.
    #[must_use]
    pub fn new(to: SocketAddr, path: &str) -> Self {
        Self {
            head: format!("POST {path} HTTP/1.1\r\nHost: {to}\r\nContent-Type: text/plain\r\n"),
            unanswered: VecDeque::new(),
            body: Body::Head,
            unread: Vec::new(),
            answered: false,
            refused: 0,
        }
    }

    /// Adds the request that publishes `message` to what is to be written.
    pub fn publish(&mut self, message: &[u8], out: &mut Vec<u8>) {
        let length = message.len();
        let mut request = format!("{}Content-Length: {length}\r\n\r\n", self.head).into_bytes();
        request.extend_from_slice(message);
        out.extend_from_slice(&request);
        self.unanswered.push_back(request);
    }

    /// Whether every request is answered.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.unanswered.is_empty()
    }

    /// Takes bytes of answers.
    ///
    /// # Errors
    /// What is no HTTP: the connection is to be ended.
    pub fn answers(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.unread.extend_from_slice(bytes);
        let mut rest = &self.unread[..];
        loop {
            match http::next(&mut self.body, &mut rest)? {
                Event::More => break,
                Event::Head(200..=299) | Event::Data(_) => {}
                Event::Head(_) => self.refused += 1,
                Event::End => {
                    self.answered = true;
                    self.unanswered.pop_front();
                }
            }
        }
        self.unread = rest.to_vec();
        Ok(())
    }

    /// The connection ended: what is to be written to the next one, since a server answers all that it takes.
    /// `None` when this one brought no answer, for then the next would not either.
    pub fn again(&mut self) -> Option<Vec<u8>> {
        self.body = Body::Head;
        self.unread.clear();
        let requests = self.unanswered.iter().flatten().copied();
        std::mem::take(&mut self.answered).then(|| requests.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(messages: &[&[u8]]) -> (Pipeline, Vec<u8>) {
        let mut pipeline = Pipeline::new(SocketAddr::from(([127, 0, 0, 1], 1)), "/p");
        let mut out = Vec::new();
        messages.iter().for_each(|m| pipeline.publish(m, &mut out));
        (pipeline, out)
    }

    #[test]
    fn answers_are_counted_however_they_are_cut() {
        let answers = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok\
            HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
        for step in 1..answers.len() {
            let (mut pipeline, _) = pipeline(&[b"one", b"two"]);
            for part in answers.chunks(step) {
                assert!(!pipeline.is_answered());
                pipeline.answers(part).unwrap();
            }
            assert!(pipeline.is_answered());
            assert_eq!(pipeline.refused, 1);
        }
    }

    #[test]
    fn what_was_not_answered_goes_over_the_next_connection() {
        let (mut pipeline, out) = pipeline(&[b"one", b"two", b"three"]);
        assert!(out.ends_with(b"Content-Length: 5\r\n\r\nthree"));
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\nHTT";
        pipeline.answers(answer).unwrap();
        let again = pipeline.again().unwrap();
        assert_eq!(Some(&again[..]), out.get(out.len() - again.len()..));
        assert_eq!(again.windows(4).filter(|w| w == b"POST").count(), 2);
        // The second connection ends without an answer.
        assert_eq!(pipeline.again(), None);
    }

    #[test]
    fn what_is_no_answer_is_a_fault() {
        let (mut pipeline, _) = pipeline(&[b"one"]);
        assert_eq!(pipeline.answers(b"what?\r\n\r\n"), Err(Fault::Response));
    }
}
