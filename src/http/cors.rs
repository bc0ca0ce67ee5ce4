//! Which pages may talk to this node: preflight answers, and the operator's list of origins.
//!
//! Data in: an OPTIONS request; the `Origin` of any request. Data out: an answer; yes or no.
//! It must not know routes. CSP is open to pages of any origin by design (the session key is the only identity, no cookies), so
//! preflights are always granted; [`Origins`] guards what has more authority than that.

use super::field::is_token;
use super::host::Host;
use super::refusal::ALLOW;
use super::request::{Request, tokens};
use super::response::{Cache, Date, Head, Length};

/// Appends the answer to an OPTIONS request: a preflight is granted (WHATWG Fetch section 4.8), any other is told the methods. The
/// connection is kept when the request and `keep_alive` agree.
pub fn options(request: &Request<'_>, keep_alive: bool, date: &Date, out: &mut Vec<u8>) {
    write(request, keep_alive, date, None, out);
}

/// The same where a page sends its cookies: it is named, since `*` would not do (section 4.9).
pub fn with_credentials(request: &Request<'_>, keep_alive: bool, date: &Date, out: &mut Vec<u8>) {
    let origin = request.headers.first("origin");
    let origin = origin.and_then(|origin| str::from_utf8(origin).ok());
    write(request, keep_alive, date, origin, out);
}

fn write(
    request: &Request<'_>,
    keep_alive: bool,
    date: &Date,
    origin: Option<&str>,
    out: &mut Vec<u8>,
) {
    let requested = request.headers.first("access-control-request-headers");
    let preflight = [
        ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
        (
            "Access-Control-Allow-Headers",
            requested.and_then(echo).unwrap_or(REQUEST_HEADERS),
        ),
        ("Access-Control-Max-Age", MAX_AGE_S),
    ];
    let is_preflight = request
        .headers
        .first("access-control-request-method")
        .is_some();
    let mut extra = match is_preflight {
        true => preflight.to_vec(),
        false => vec![("Allow", ALLOW)],
    };
    if let Some(origin) = origin {
        extra.extend(credentials(origin));
    }
    let head = Head {
        status: 204,
        content_type: "",
        length: Length::Known(0),
        keep_alive: keep_alive && request.keep_alive,
        version: request.version,
        cache: Cache::Unsaid,
        cors: origin.is_none(),
        date,
        extra: &extra,
    };
    head.write(out);
}

/// The fields by which a page of `origin` may read an answer, and send its cookies.
#[must_use]
pub fn credentials(origin: &str) -> [(&str, &str); 3] {
    [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
    ]
}

/// A list of header names worth repeating to the browser: names only, and not longer than any page's.
fn echo(requested: &[u8]) -> Option<&str> {
    let names = requested.len() <= ECHO_BYTES_MAX
        && tokens(requested).all(is_token)
        && tokens(requested).next().is_some();
    names.then(|| str::from_utf8(requested).ok()).flatten()
}

/// A day: Firefox's cap, and the largest any browser honours (Chromium cuts it to two hours).
const MAX_AGE_S: &str = "86400";

/// What pages are granted that do not say what they want, or say it badly.
const REQUEST_HEADERS: &str = "Authorization, Content-Type, Last-Event-ID";

/// Bytes of `Access-Control-Request-Headers` repeated.
const ECHO_BYTES_MAX: usize = 1024;

/// The origins whose pages are served: any, or exactly those listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origins {
    /// None for any.
    listed: Option<Vec<Origin<String>>>,
}

/// An item of a list that is no origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadOrigin(pub String);

/// `scheme://host[:port]`, the default port of the scheme filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Origin<T> {
    scheme: T,
    host: T,
    port: Option<u16>,
}

impl Origins {
    /// Every origin, `null` too.
    pub const fn any() -> Origins {
        Origins { listed: None }
    }

    /// Parses a list of origins separated by commas or blanks; `*` among them is any, an empty list is none.
    pub fn parse(text: &str) -> Result<Origins, BadOrigin> {
        let items = || text.split([',', ' ', '\t']).filter(|item| !item.is_empty());
        if items().any(|item| item == "*") {
            return Ok(Origins::any());
        }
        let owned = |item: &str| {
            Origin::parse(item.as_bytes())
                .map(|o| o.lowered())
                .ok_or_else(|| BadOrigin(item.to_owned()))
        };
        items()
            .map(owned)
            .collect::<Result<Vec<_>, _>>()
            .map(|listed| Origins {
                listed: Some(listed),
            })
    }

    /// Whether a request is served. A page's script tags, frames and images send no `Origin`: what browsers say of where such
    /// a request is from decides then, and else the page that is named as the one that refers here.
    pub fn admits(&self, request: &Request<'_>) -> bool {
        let headers = &request.headers;
        if let Some(origin) = headers.first("origin") {
            return self.allows(Some(origin)) || is_own(origin, request.host);
        }
        if self.listed.is_none() {
            return true;
        }
        let site = headers.first("sec-fetch-site");
        let referrer = headers.first("referer").and_then(origin_of);
        match (site, referrer) {
            (Some(b"same-origin" | b"none"), _) | (None, None) => true,
            (Some(_), None) => false,
            (site, Some(page)) => {
                let own = page.split(|byte| *byte == b'/').next_back();
                let same = own.is_some_and(|own| own.eq_ignore_ascii_case(request.host.as_bytes()));
                (site.is_none() && same) || self.allows(Some(page))
            }
        }
    }

    /// Whether a request with this `Origin` is served. Without one it is no page's: not a browser, or a plain GET of the same origin.
    /// Parsed origins are compared whole, never text by its end (Phoenix CVE-2022-42975).
    pub fn allows(&self, origin: Option<&[u8]>) -> bool {
        let (Some(listed), Some(origin)) = (&self.listed, origin) else {
            return true;
        };
        Origin::parse(origin).is_some_and(|origin| listed.iter().any(|item| origin.is(item)))
    }
}

/// Whether a page of this origin is of the host that was asked: the node's own. Where the request says no port, it is that of
/// the page's scheme: whoever ends TLS in front of the node passes the host on.
fn is_own(origin: &[u8], host: &str) -> bool {
    let page = Origin::parse(origin);
    let asked = Host::parse(host.as_bytes());
    page.zip(asked).is_some_and(|(page, asked)| {
        let port = asked.port.or_else(|| default_port(page.scheme));
        page.port == port && page.host.eq_ignore_ascii_case(asked.name)
    })
}

/// The origin of an address: what stands before its path.
fn origin_of(address: &[u8]) -> Option<&[u8]> {
    let mut slashes = memchr::memchr_iter(b'/', address).skip(2);
    address.get(..slashes.next().unwrap_or(address.len()))
}

impl<'a> Origin<&'a str> {
    fn parse(bytes: &'a [u8]) -> Option<Origin<&'a str>> {
        let (scheme, rest) = str::from_utf8(bytes).ok()?.split_once("://")?;
        let is_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        let host = Host::parse(rest.as_bytes()).filter(|host| !host.name.is_empty())?;
        let known =
            scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(is_scheme);
        known.then_some(Origin {
            scheme,
            host: host.name,
            port: host.port.or_else(|| default_port(scheme)),
        })
    }

    fn lowered(&self) -> Origin<String> {
        Origin {
            scheme: self.scheme.to_ascii_lowercase(),
            host: self.host.to_ascii_lowercase(),
            port: self.port,
        }
    }

    fn is(&self, item: &Origin<String>) -> bool {
        self.port == item.port
            && self.scheme.eq_ignore_ascii_case(&item.scheme)
            && self.host.eq_ignore_ascii_case(&item.host)
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    match () {
        () if is("http") || is("ws") => Some(80),
        () if is("https") || is("wss") => Some(443),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::{Limits, Step, next};
    use super::*;

    fn answer(fields: &str) -> String {
        let head = format!("OPTIONS /_/echo/csp/send HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let limits = Limits {
            line_bytes_max: 32768,
            head_bytes_max: 16384,
            body_bytes_max: 0,
        };
        let (mut partial, mut out) = (None, Vec::new());
        let Ok(Step::Ready(request)) = next(&mut partial, &mut head.as_bytes(), &limits) else {
            panic!()
        };
        options(&request, true, b"Sun, 06 Nov 1994 08:49:37 GMT", &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_preflight_is_granted_with_the_headers_it_asks_for() {
        let text = answer(
            "Origin: http://a\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type, x-y\r\n",
        );
        assert!(text.starts_with("HTTP/1.1 204 No Content\r\n"));
        for line in [
            "Access-Control-Allow-Origin: *",
            "Access-Control-Allow-Methods: GET, POST, OPTIONS",
            "Access-Control-Allow-Headers: content-type, x-y",
            "Access-Control-Max-Age: 86400",
        ] {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{text}");
        }
        assert!(!text.contains("Content-Length"));
    }

    #[test]
    fn header_lists_that_are_too_long_or_no_names_are_not_echoed() {
        for list in [
            String::new(),
            ",".into(),
            "a b".into(),
            "a, <b>".into(),
            "é".into(),
            "a,".repeat(600),
        ] {
            let text = answer(&format!(
                "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: {list}\r\n"
            ));
            assert!(
                text.contains(
                    "Access-Control-Allow-Headers: Authorization, Content-Type, Last-Event-ID\r\n"
                ),
                "{list}"
            );
        }
    }

    #[test]
    fn options_that_is_no_preflight_is_told_the_methods() {
        let text = answer("");
        assert!(
            text.contains("\r\nAllow: GET, HEAD, POST, OPTIONS\r\n") && !text.contains("Max-Age")
        );
    }

    #[test]
    fn listed_origins_are_compared_parsed_and_whole() {
        let origins = Origins::parse("https://Example.com, http://a:8000  http://[::1]").unwrap();
        for origin in [
            "https://example.com",
            "HTTPS://EXAMPLE.COM:443",
            "http://a:8000",
            "http://[::1]:80",
        ] {
            assert!(origins.allows(Some(origin.as_bytes())), "{origin}");
        }
        for origin in [
            "http://example.com",
            "https://example.com:8443",
            "https://evilexample.com",
            "https://a.example.com",
            "https://example.com.evil",
            "https://example.com/",
            "https://example.com@evil",
            "http://a",
            "null",
            "",
            "example.com",
            "https://example.com, http://a:8000",
        ] {
            assert!(!origins.allows(Some(origin.as_bytes())), "{origin}");
        }
        assert!(!origins.allows(Some(b"\xff")));
        assert!(origins.allows(None));
    }

    #[test]
    fn a_page_of_the_host_that_was_asked_is_its_own() {
        for (origin, host, own) in [
            ("http://h", "h", true),
            ("https://H", "h", true),
            ("http://h:8000", "H:8000", true),
            ("https://h", "h:443", true),
            ("http://h:8000", "h", false),
            ("http://h", "h:8000", false),
            ("http://evil.h", "h", false),
            ("null", "null", false),
            ("ftp://h", "h:1", false),
        ] {
            assert_eq!(is_own(origin.as_bytes(), host), own, "{origin} {host}");
        }
    }

    #[test]
    fn any_origin_is_any_and_an_empty_list_is_none() {
        for text in [b"null".as_slice(), b"http://x", b"nonsense"] {
            assert!(Origins::any().allows(Some(text)));
            assert!(!Origins::parse("").unwrap().allows(Some(text)));
        }
        assert_eq!(Origins::parse("http://a, *"), Ok(Origins::any()));
    }

    #[test]
    fn an_item_that_is_no_origin_is_named() {
        for item in [
            "example.com",
            "http://",
            "http://a/",
            "null",
            "://a",
            "1http://a",
        ] {
            assert_eq!(
                Origins::parse(&format!("http://x {item}")),
                Err(BadOrigin(item.to_owned()))
            );
        }
    }
}
