//! Takes requests from a stream of bytes, one at a time.
//!
//! Data in: what was read from a socket, in pieces of any size. Data out: [`Step`]s, or a [`Refusal`] that closes the connection.
//! It must not know sockets, timeouts or answers. A request that lies whole in the input is parsed in place, without allocating; of any other
//! what has come is kept in a [`Partial`], which exists only as long as a request is incomplete. Pipelining: one request is taken, the
//! rest stays in the input, so that nothing is read ahead of what is answered.

use super::body::Chunked;
use super::head::{self, Framing, Parsed};
use super::refusal::Refusal;
use super::request::Request;
use super::scan::Scan;

/// Bounds on one request, in bytes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The request line without its CRLF; beyond it 414. At least 32 KiB, since script-tag clients send in the target.
    pub line_bytes_max: usize,
    /// All header lines with the empty one, less its CRLF; beyond it 431.
    pub head_bytes_max: usize,
    /// The decoded body; beyond it 413, for a declared length at once.
    pub body_bytes_max: usize,
}

/// Header lines in one request; beyond it 431. Browsers send about 20, proxies add a few; their look-up is linear.
pub const HEADERS_MAX: usize = 64;

/// What a call of [`next`] came to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "on one stack; a box allocates")]
pub enum Step<'a> {
    /// All input was taken; what is there of a request is in `partial`.
    More,
    /// The head is whole, the body is missing, and the peer waits for `100 Continue` (RFC 9110 section 10.1.1): write it, then call again
    /// with the rest of the input. Given at most once for a request.
    Continue,
    /// A whole request. Serve it, set `partial` to none, call again with the rest of the input.
    Ready(Request<'a>),
}

/// What has come of a request that is not whole yet.
#[derive(Debug)]
pub struct Partial {
    /// The head with any empty lines before it, then the body, decoded.
    bytes: Vec<u8>,
    stage: Stage,
}

/// How far a [`Partial`] is.
#[derive(Debug)]
enum Stage {
    /// The head is not whole. Next: `Body`.
    Head(Scan),
    /// The head is whole, the body is not. Next: `Done`.
    Body(Body),
    /// The request was handed out, whose head starts and ends there. Next: nothing; [`next`] drops it.
    Done((usize, usize)),
}

/// A body on its way.
#[derive(Debug)]
struct Body {
    /// Where in the bytes the head starts and ends.
    head: (usize, usize),
    rest: Rest,
    /// Whether the peer may still wait for `100 Continue`.
    expects: bool,
}

#[derive(Debug)]
enum Rest {
    /// So many bytes are missing.
    Known(usize),
    Chunked(Chunked),
}

impl Partial {
    /// Heap memory held, the struct itself included.
    pub fn heap_bytes(&self) -> usize {
        size_of::<Partial>() + self.bytes.capacity()
    }

    /// Whether the head is whole, so that the time limit for heads no longer applies.
    pub fn head_complete(&self) -> bool {
        !matches!(self.stage, Stage::Head(_))
    }

    fn feed<'a>(&'a mut self, input: &mut &[u8], limits: &Limits) -> Result<Step<'a>, Refusal> {
        if let Stage::Head(scan) = &mut self.stage {
            let Some(end) = feed_head(&mut self.bytes, scan, input, limits)? else {
                return Ok(Step::More);
            };
            let head = (scan.start, end);
            let parsed = head::parse(slice(&self.bytes, head), limits)?;
            self.stage = Stage::Body(Body::new(head, &parsed));
        }
        let Stage::Body(body) = &mut self.stage else {
            return Ok(Step::More);
        };
        if let Some(step) = body.feed(&mut self.bytes, input, limits)? {
            return Ok(step);
        }
        let head = body.head;
        self.stage = Stage::Done(head);
        Ok(Step::Ready(whole(&self.bytes, head, limits)?))
    }
}

impl Body {
    fn new(head: (usize, usize), parsed: &Parsed<'_>) -> Body {
        let rest = match parsed.framing {
            Framing::Known(len) => Rest::Known(len),
            Framing::Chunked => Rest::Chunked(Chunked::default()),
        };
        Body {
            head,
            rest,
            expects: parsed.expects,
        }
    }

    /// None when the body is whole.
    fn feed(
        &mut self,
        bytes: &mut Vec<u8>,
        input: &mut &[u8],
        limits: &Limits,
    ) -> Result<Option<Step<'static>>, Refusal> {
        // A peer whose body has begun does not wait (RFC 9110 section 10.1.1).
        let waits = std::mem::take(&mut self.expects) && input.is_empty();
        let whole = match &mut self.rest {
            Rest::Known(left) => {
                append(bytes, left, input);
                *left == 0
            }
            Rest::Chunked(chunked) => chunked.feed(input, bytes, limits.body_bytes_max)?,
        };
        Ok(match (whole, waits) {
            (true, _) => None,
            (false, true) => Some(Step::Continue),
            (false, false) => Some(Step::More),
        })
    }
}

/// A request that was handed out, to be served once more.
#[derive(Debug)]
pub struct Kept {
    bytes: Vec<u8>,
    head: (usize, usize),
}

impl Kept {
    /// The request that `partial` held, or, without one, that `raw` is.
    pub fn of(partial: Option<Box<Partial>>, raw: &[u8], limits: &Limits) -> Option<Self> {
        match partial.map(|partial| *partial) {
            Some(Partial {
                bytes,
                stage: Stage::Done(head),
            }) => Some(Self { bytes, head }),
            Some(_) => None,
            None => {
                let mut scan = Scan::default();
                let end = scan.head_end(raw, limits).ok()??;
                Some(Self {
                    bytes: raw.to_vec(),
                    head: (scan.start, end),
                })
            }
        }
    }

    /// The request.
    pub fn request(&self, limits: &Limits) -> Option<Request<'_>> {
        whole(&self.bytes, self.head, limits).ok()
    }

    /// Heap memory held.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

/// A request whose head is there and whose body, decoded, is all behind it.
fn whole<'a>(
    bytes: &'a [u8],
    head: (usize, usize),
    limits: &Limits,
) -> Result<Request<'a>, Refusal> {
    let mut request = head::parse(slice(bytes, head), limits)?.request;
    request.body = slice(bytes, (head.1, bytes.len()));
    Ok(request)
}

/// Takes one request from the front of `input`, advancing it, or stores what is there of one in `partial`. After a refusal the
/// input is empty and the connection must be closed: no byte behind a refused request is ever looked at.
pub fn next<'a, 'i: 'a>(
    partial: &'a mut Option<Box<Partial>>,
    input: &mut &'i [u8],
    limits: &Limits,
) -> Result<Step<'a>, Refusal> {
    let step = take(partial, input, limits);
    if step.is_err() {
        *input = &[];
    }
    step
}

fn take<'a, 'i: 'a>(
    partial: &'a mut Option<Box<Partial>>,
    input: &mut &'i [u8],
    limits: &Limits,
) -> Result<Step<'a>, Refusal> {
    if partial
        .as_ref()
        .is_some_and(|p| matches!(p.stage, Stage::Done(_)))
    {
        *partial = None;
    }
    if partial.is_none() {
        match begin(input, limits)? {
            Begun::Nothing => return Ok(Step::More),
            Begun::Whole(request) => return Ok(Step::Ready(request)),
            Begun::Part(begun) => *partial = Some(begun),
        }
    }
    match partial.as_deref_mut() {
        Some(part) => part.feed(input, limits),
        None => Ok(Step::More),
    }
}

/// What the front of fresh input is.
#[expect(clippy::large_enum_variant, reason = "as for Step")]
enum Begun<'i> {
    Nothing,
    Whole(Request<'i>),
    Part(Box<Partial>),
}

fn begin<'i>(input: &mut &'i [u8], limits: &Limits) -> Result<Begun<'i>, Refusal> {
    if input.is_empty() {
        return Ok(Begun::Nothing);
    }
    let mut scan = Scan::default();
    let Some(end) = scan.head_end(input, limits)? else {
        let bytes = std::mem::take(input).to_vec();
        return Ok(Begun::Part(Box::new(Partial {
            bytes,
            stage: Stage::Head(scan),
        })));
    };
    let bytes = *input;
    let mut parsed = head::parse(slice(bytes, (scan.start, end)), limits)?;
    let rest = slice(bytes, (end, bytes.len()));
    if let Framing::Known(len) = parsed.framing
        && let Some((body, behind)) = rest.split_at_checked(len)
    {
        *input = behind;
        parsed.request.body = body;
        return Ok(Begun::Whole(parsed.request));
    }
    *input = rest;
    let bytes = slice(bytes, (scan.start, end)).to_vec();
    let stage = Stage::Body(Body::new((0, bytes.len()), &parsed));
    Ok(Begun::Part(Box::new(Partial { bytes, stage })))
}

/// Appends input to a head; its end when that is among it, with what is behind given back.
fn feed_head(
    bytes: &mut Vec<u8>,
    scan: &mut Scan,
    input: &mut &[u8],
    limits: &Limits,
) -> Result<Option<usize>, Refusal> {
    let before = bytes.len();
    bytes.extend_from_slice(input);
    let end = scan.head_end(bytes, limits)?;
    let taken = end.map_or(input.len(), |end| end.saturating_sub(before));
    *input = slice(input, (taken, input.len()));
    bytes.truncate(end.unwrap_or(bytes.len()));
    Ok(end)
}

/// Moves up to `left` bytes of input. Memory grows with what has come, doubling, but never beyond what is still missing.
fn append(bytes: &mut Vec<u8>, left: &mut usize, input: &mut &[u8]) {
    let Some((data, rest)) = input.split_at_checked(input.len().min(*left)) else {
        return;
    };
    if bytes.capacity() - bytes.len() < data.len() {
        bytes.reserve_exact(bytes.len().max(data.len()).min(*left));
    }
    bytes.extend_from_slice(data);
    *left -= data.len();
    *input = rest;
}

/// `bytes[range]`, empty where that would panic.
fn slice(bytes: &[u8], (start, end): (usize, usize)) -> &[u8] {
    debug_assert!(start <= end && end <= bytes.len());
    bytes.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        line_bytes_max: 32 * 1024,
        head_bytes_max: 16 * 1024,
        body_bytes_max: 64 * 1024,
    };

    /// What a connection would see, owned: one line for each step but `More`.
    fn run(pieces: &[&[u8]]) -> Vec<String> {
        let (mut partial, mut seen) = (None, Vec::new());
        for piece in pieces {
            let mut input = *piece;
            loop {
                match next(&mut partial, &mut input, &LIMITS) {
                    Ok(Step::More) => break,
                    Ok(Step::Continue) => seen.push("continue".to_owned()),
                    Ok(Step::Ready(request)) => {
                        seen.push(show(&request));
                        partial = None;
                    }
                    Err(refusal) => {
                        assert!(input.is_empty());
                        seen.push(refusal.code().to_owned());
                        return seen;
                    }
                }
            }
            assert!(input.is_empty());
        }
        seen
    }

    fn show(r: &Request<'_>) -> String {
        let query = r.query.escape_ascii();
        let (body, x) = (r.body.escape_ascii(), r.headers.count("x"));
        format!(
            "{:?} {:?} {} {query} {} {} {x} {body}",
            r.method, r.version, r.path, r.host, r.keep_alive
        )
    }

    const STREAMS: [&str; 9] = [
        "GET /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n",
        "\r\nGET / HTTP/1.0\r\n\r\nGET /2 HTTP/1.1\r\nhost:h:1\r\n\r\n",
        "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /q HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: v\r\n\r\nHEAD /q HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /body HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nGET / HTTPOPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: h\r\n\r\n\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\nBREW / HTTP/1.1\r\nHost: h\r\n\r\nGET /c HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n bad\r\n\r\n",
        "GET /\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    ];

    #[test]
    fn streams_split_at_every_byte_and_dribbled_give_the_steps_of_the_whole() {
        for stream in STREAMS {
            let bytes = stream.as_bytes();
            let expected = run(&[bytes]);
            assert!(!expected.is_empty());
            for at in 0..=bytes.len() {
                assert_eq!(
                    run(&[&bytes[..at], &bytes[at..]]),
                    expected,
                    "{stream:?} at {at}"
                );
            }
            assert_eq!(
                run(&bytes.chunks(1).collect::<Vec<_>>()),
                expected,
                "{stream:?}"
            );
        }
    }

    #[test]
    fn mutated_streams_in_random_pieces_give_the_steps_of_the_whole() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let alphabet = b"\r\n :/?#;,0159aAGH\0\x7f\xe9\"";
        for round in 0..40_000 {
            let mut bytes = STREAMS[round % STREAMS.len()].as_bytes().to_vec();
            for _ in 0..random(&mut seed, 3) {
                let at = random(&mut seed, bytes.len());
                bytes[at] = alphabet[random(&mut seed, alphabet.len())];
            }
            let expected = run(&[&bytes]);
            let (mut pieces, mut rest) = (Vec::new(), &bytes[..]);
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(1 + random(&mut seed, rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            assert_eq!(run(&pieces), expected, "{}", bytes.escape_ascii());
        }
    }

    fn random(seed: &mut u64, below: usize) -> usize {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        (*seed % below as u64) as usize
    }

    #[test]
    fn pipelined_requests_are_taken_one_at_a_time_and_the_rest_stays_in_the_input() {
        let bytes = b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3";
        let (mut partial, mut input) = (None, &bytes[..]);
        assert!(
            matches!(next(&mut partial, &mut input, &LIMITS), Ok(Step::Ready(r)) if r.path == "/1")
        );
        assert!(input.starts_with(b"GET /2"));
        assert!(
            matches!(next(&mut partial, &mut input, &LIMITS), Ok(Step::Ready(r)) if r.path == "/2")
        );
        assert_eq!(input, b"GET /3");
        assert!(partial.is_none());
        assert!(matches!(
            next(&mut partial, &mut input, &LIMITS),
            Ok(Step::More)
        ));
        assert!(input.is_empty() && partial.is_some());
    }

    #[test]
    fn a_request_that_is_whole_is_read_in_place() {
        let bytes = b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok";
        let (mut partial, mut input) = (None, &bytes[..]);
        let Ok(Step::Ready(request)) = next(&mut partial, &mut input, &LIMITS) else {
            panic!()
        };
        assert!(bytes.as_ptr_range().contains(&request.body.as_ptr()));
        assert!(bytes.as_ptr_range().contains(&request.path.as_ptr()));
    }

    #[test]
    fn no_input_stores_nothing_and_a_partial_handed_out_is_forgotten_by_itself() {
        let mut partial = None;
        assert!(matches!(
            next(&mut partial, &mut &b""[..], &LIMITS),
            Ok(Step::More)
        ));
        assert!(partial.is_none());
        assert!(matches!(
            next(&mut partial, &mut &b"GET /a HTTP/1.0\r\n"[..], &LIMITS),
            Ok(Step::More)
        ));
        assert!(matches!(
            next(&mut partial, &mut &b"\r\n"[..], &LIMITS),
            Ok(Step::Ready(_))
        ));
        assert!(matches!(
            next(&mut partial, &mut &b""[..], &LIMITS),
            Ok(Step::More)
        ));
        assert!(partial.is_none());
    }

    #[test]
    fn a_partial_tells_when_its_head_is_complete() {
        let mut partial = None;
        let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n";
        for (piece, complete) in [
            (&head[..20], false),
            (&head[20..], true),
            (&b"ab"[..], true),
        ] {
            assert!(matches!(
                next(&mut partial, &mut &*piece, &LIMITS),
                Ok(Step::More)
            ));
            assert_eq!(partial.as_ref().unwrap().head_complete(), complete);
        }
    }

    #[test]
    fn a_peer_that_waits_is_told_to_continue_once_and_one_that_does_not_is_not() {
        let head =
            "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n";
        let ready = "Post Http11 /  h true 0 abc";
        assert_eq!(
            run(&[head.as_bytes(), b"", b"a", b"bc"]),
            ["continue", ready]
        );
        assert_eq!(
            run(&[&head.as_bytes()[..30], &head.as_bytes()[30..], b"abc"]),
            ["continue", ready]
        );
        assert_eq!(run(&[format!("{head}a").as_bytes(), b"bc"]), [ready]);
        assert_eq!(run(&[format!("{head}abc").as_bytes()]), [ready]);
        let old = head.replace("HTTP/1.1", "HTTP/1.0");
        assert_eq!(
            run(&[old.as_bytes(), b"abc"]),
            ["Post Http10 /  h false 0 abc"]
        );
        let chunked = head.replace("Content-Length: 3", "Transfer-Encoding: chunked");
        assert_eq!(
            run(&[chunked.as_bytes(), b"3\r\nabc\r\n0\r\n\r\n"]),
            ["continue", ready]
        );
        let big = head.replace("Content-Length: 3", "Content-Length: 99999");
        assert_eq!(run(&[big.as_bytes()]), ["body-too-big"]);
    }

    #[test]
    fn memory_for_a_body_grows_with_what_has_come_and_never_beyond_what_was_declared() {
        let mut partial = None;
        let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n";
        assert!(matches!(
            next(&mut partial, &mut head.as_bytes(), &LIMITS),
            Ok(Step::More)
        ));
        assert!(partial.as_ref().unwrap().heap_bytes() < 512);
        let mut sent = 0;
        while sent < 59_900 {
            assert!(matches!(
                next(&mut partial, &mut &[b'x'; 100][..], &LIMITS),
                Ok(Step::More)
            ));
            sent += 100;
            let held = partial.as_ref().unwrap().heap_bytes();
            assert!(
                held <= 2 * sent + 512 && held <= 60_000 + 512,
                "{sent} {held}"
            );
        }
        assert!(
            matches!(next(&mut partial, &mut &[b'x'; 101][..], &LIMITS), Ok(Step::Ready(r)) if r.body.len() == 60_000)
        );
    }

    #[test]
    fn a_head_dribbled_byte_by_byte_holds_little_more_than_its_bytes() {
        let mut partial = None;
        for byte in b"GET /some/path HTTP/1.1\r\nHost: example.com\r\nX: " {
            assert!(matches!(
                next(&mut partial, &mut &[*byte][..], &LIMITS),
                Ok(Step::More)
            ));
        }
        assert!(partial.unwrap().heap_bytes() <= 256);
    }
}
