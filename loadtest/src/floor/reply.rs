//! What the floor answers: the least that each kind of client takes for an answer.
//!
//! In: bytes of requests. Out: a fixed head, what the connection becomes, and what is published.

use super::Kind;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// To be sent.
    pub head: Vec<u8>,
    /// What the connection is from here on.
    pub kind: Kind,
    /// To be sent to all that are held.
    pub body: Option<&'a [u8]>,
}

/// The bytes are no request, or too many.
#[derive(Debug, PartialEq, Eq)]
pub struct Bad;

/// Answers the request in front; `None` until it is whole. `held` is said to who publishes.
pub fn reply<'a>(input: &mut &'a [u8], held: usize) -> Option<Result<Reply<'a>, Bad>> {
    let Some(end) = memmem::find(input, b"\r\n\r\n") else {
        return (input.len() > HEAD_BYTES_MAX).then_some(Err(Bad));
    };
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    if request.parse(input).is_err() {
        return Some(Err(Bad));
    }
    let field = |name: &str| {
        let mut fields = request.headers.iter();
        let field = fields.find(|field| field.name.eq_ignore_ascii_case(name));
        field.and_then(|field| std::str::from_utf8(field.value).ok())
    };
    let length = field("content-length").map_or(Ok(0), |text| text.trim().parse::<usize>());
    let Ok(length @ 0..=BODY_BYTES_MAX) = length else {
        return Some(Err(Bad));
    };
    let body = input.get(end + 4..end + 4 + length)?;
    let key = field("sec-websocket-key").filter(|_| field("upgrade").is_some());
    let events = field("accept").is_some_and(|kinds| kinds.contains("text/event-stream"));
    let publishes = request.method == Some("POST") && request.path == Some("/publish");
    *input = input.get(end + 4 + length..).unwrap_or_default();
    let (head, kind) = match (key, events) {
        (Some(key), _) => (upgraded(key), Kind::Socket),
        (None, true) => (EVENTS.to_vec(), Kind::Events),
        (None, false) => (answer(held), Kind::Http),
    };
    let body = publishes.then_some(body);
    Some(Ok(Reply { head, kind, body }))
}

fn upgraded(key: &str) -> Vec<u8> {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key.trim().as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = STANDARD.encode(hash.digest().bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

fn answer(held: usize) -> Vec<u8> {
    let body = format!("{{\"connections\":{held}}}\n");
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
const HEAD_BYTES_MAX: usize = 16 * 1024;
const BODY_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Kind {
        reply(&mut text.as_bytes(), 0).unwrap().unwrap().kind
    }

    #[test]
    fn each_kind_of_client_is_answered_in_its_way() {
        assert_eq!(kind("GET / HTTP/1.1\r\n\r\n"), Kind::Http);
        let events = "GET / HTTP/1.1\r\naccept: text/event-stream\r\n\r\n";
        assert_eq!(kind(events), Kind::Events);
        let socket = "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let reply = reply(&mut socket.as_bytes(), 0).unwrap().unwrap();
        assert_eq!(reply.kind, Kind::Socket);
        let accept = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert!(memmem::find(&reply.head, accept).is_some());
    }

    #[test]
    fn a_publication_is_waited_for_to_its_end() {
        let text = "POST /publish HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET";
        for cut in 0..text.len() - 3 {
            assert_eq!(reply(&mut &text.as_bytes()[..cut], 0), None, "{cut}");
        }
        let mut input = text.as_bytes();
        assert_eq!(
            reply(&mut input, 9).unwrap().unwrap().body,
            Some(&b"hello"[..])
        );
        assert_eq!(input, b"GET");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert_eq!(reply(&mut &b"\0\r\n\r\n"[..], 0), Some(Err(Bad)));
        let endless = [b'a'; HEAD_BYTES_MAX + 1];
        assert_eq!(reply(&mut &endless[..], 0), Some(Err(Bad)));
        let huge = "POST /publish HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n";
        assert_eq!(reply(&mut huge.as_bytes(), 0), Some(Err(Bad)));
    }
}
