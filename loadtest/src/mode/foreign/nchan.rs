//! Nchan's long-polls: each request says by `If-Modified-Since` and `If-None-Match` which message came last.
//! <https://nchan.io/#long-polling>
//!
//! A parked request is answered by nothing, so a connection counts as ready as soon as it has asked.

use crate::mode::{Cx, Mode, Peer};
use crate::proto::http::{self, Body};
use crate::trouble::Fault;
use memchr::memmem;

/// The mode.
#[derive(Debug)]
pub struct Poll {
    path: String,
}

impl Poll {
    /// A channel at this path.
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    fn ask(&self, cx: &mut Cx<'_>, peer: &Peer) {
        cx.get(&self.path, peer.key.as_deref().unwrap_or_default());
    }
}

impl Mode for Poll {
    fn opened(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        self.ask(cx, peer);
        peer.ready = true;
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        loop {
            if peer.body == Body::Head
                && let Some(end) = memmem::find(rest, b"\r\n\r\n")
            {
                let head = rest.get(..end + 4).unwrap_or_default();
                peer.key = Some(condition(head)?.into());
            }
            let Some(message) = http::whole(&mut peer.body, &mut rest)? else {
                return Ok(input.len() - rest.len());
            };
            cx.arrived(peer, message);
            self.ask(cx, peer);
        }
    }
}

/// The fields of the next request.
fn condition(head: &[u8]) -> Result<String, Fault> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    response.parse(head).map_err(|_| Fault::Response)?;
    let field = |name: &str| {
        let mut fields = response.headers.iter();
        let field = fields.find(|field| field.name.eq_ignore_ascii_case(name));
        field.and_then(|field| std::str::from_utf8(field.value).ok())
    };
    let (since, tag) = (field("last-modified"), field("etag"));
    let (since, tag) = (since.ok_or(Fault::Response)?, tag.ok_or(Fault::Response)?);
    Ok(format!(
        "If-Modified-Since: {since}\r\nIf-None-Match: {tag}\r\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::client::{Client, message, play};

    #[test]
    fn each_request_says_what_came_last() {
        let mode = Box::leak(Box::new(Poll::new("/poll")));
        let answer = |seq, tag| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 60\r\nLast-Modified: Sun, 22 Nov 2026 07:00:00 GMT\r\nEtag: {tag}\r\n\r\n"
            );
            [head.as_bytes(), &message(seq)].concat()
        };
        let server = [answer(0, 0), answer(1, 7)].concat();
        let (said, arrived, ready) = play(|| Client::open(mode), &server);
        let said = String::from_utf8(said).unwrap();
        let since = "If-Modified-Since: Sun, 22 Nov 2026 07:00:00 GMT";
        let get = "GET /poll HTTP/1.1\r\nHost: host\r\n";
        assert_eq!(
            said,
            format!(
                "{get}\r\n{get}{since}\r\nIf-None-Match: 0\r\n\r\n{get}{since}\r\nIf-None-Match: 7\r\n\r\n"
            )
        );
        assert_eq!((arrived, ready), (2, true));
    }

    #[test]
    fn an_answer_that_does_not_say_which_message_it_is_is_a_fault() {
        let mode = Box::leak(Box::new(Poll::new("/poll")));
        for bad in [
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nLast-Modified: x\r\nEtag: 1\r\n\r\n",
            "nonsense\r\n\r\n",
        ] {
            assert_eq!(
                Client::open(mode).hears(bad.as_bytes()),
                Err(Fault::Response),
                "{bad}"
            );
        }
    }
}
