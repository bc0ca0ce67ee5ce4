//! An application that takes events: one listener, one connection at a time, answers as a test says.
//!
//! In: where to listen. Out: requests, as they were sent.

use crate::node::PATIENCE;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

/// The application.
pub struct Application {
    listener: TcpListener,
    open: Option<BufReader<TcpStream>>,
    /// Connections it took.
    pub connections: usize,
}

/// A request.
pub struct Post {
    /// Its head.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Application {
    /// On a free port.
    pub fn start() -> Self {
        Self::at("127.0.0.1:0")
    }

    /// At an address where one was before.
    pub fn at(address: &str) -> Self {
        Self {
            listener: TcpListener::bind(address).unwrap(),
            open: None,
            connections: 0,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/orbited", self.address())
    }

    /// The next request; a connection that its peer closed is followed by the next.
    pub fn post(&mut self) -> Post {
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < PATIENCE, "no request came");
            if let Some(post) = self.connection().and_then(read) {
                return post;
            }
            self.open = None;
        }
    }

    /// The next request, taken.
    pub fn events(&mut self) -> Vec<Value> {
        let post = self.post();
        self.answer("204 No Content", "");
        serde_json::from_str(&post.body).unwrap()
    }

    /// Answers the last request.
    pub fn answer(&mut self, status: &str, fields: &str) {
        self.answer_with(status, fields, "");
    }

    /// The same, with a body.
    pub fn answer_with(&mut self, status: &str, fields: &str, body: &str) {
        let length = body.len();
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{fields}\r\n{body}");
        let open = self.connection().unwrap();
        open.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next question, answered with `verdict`.
    pub fn decide(&mut self, verdict: &str) -> Value {
        let post = self.post();
        self.answer_with("200 OK", "", verdict);
        serde_json::from_str(&post.body).unwrap()
    }

    /// Ends the connection without an answer.
    pub fn hang_up(&mut self) {
        self.open = None;
    }

    /// Whether the node ends the connection, and says nothing more.
    pub fn is_left(&mut self) -> bool {
        self.connection().and_then(read).is_none()
    }

    fn connection(&mut self) -> Option<&mut BufReader<TcpStream>> {
        if self.open.is_none() {
            let (stream, _) = self.listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            self.connections += 1;
            self.open = Some(BufReader::new(stream));
        }
        self.open.as_mut()
    }
}

fn read(from: &mut BufReader<TcpStream>) -> Option<Post> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.split("Content-Length: ").nth(1)?;
    let length: usize = length.split("\r\n").next()?.parse().unwrap();
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    Some(Post { head, body })
}
