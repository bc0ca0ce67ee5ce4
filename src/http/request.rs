//! A whole request, as the layers above read it.
//!
//! Data in: slices of the bytes received, checked by `super::head`. Data out: typed fields and header look-ups.
//! It must not know routes. Nothing is copied: a request lives as long as the buffer it came in.

use super::field::trim;
use super::reader::HEADERS_MAX;

/// The methods served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD: as GET, without the body.
    Head,
    /// POST.
    Post,
    /// OPTIONS: CORS preflights.
    Options,
}

/// The versions served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// HTTP/1.0: no chunks, closes unless asked not to.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// One request, whole and checked.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What to do.
    pub method: Method,
    /// What the peer understands.
    pub version: Version,
    /// The path: begins with `/` (or is `*`, with OPTIONS), ASCII, still percent-encoded, without query, of an absolute target its path.
    pub path: &'a str,
    /// The query without its `?`, as raw bytes: script-tag clients paste `{ } [ ] " ;` and non-ASCII unescaped.
    pub query: &'a [u8],
    /// The host with its port as sent: of an absolute target its authority (RFC 9112 section 3.2.2), else of `Host`; empty when there is none.
    pub host: &'a str,
    /// Whether the peer wants to use the connection again (RFC 9112 section 9.3).
    pub keep_alive: bool,
    /// The header fields.
    pub headers: Headers<'a>,
    /// The body, decoded; empty when there is none. Any method may have one: it is consumed so that it cannot be taken for a request.
    pub body: &'a [u8],
}

/// The header fields of a request, in order. Values are without blanks at their ends and without control characters but HTAB.
#[derive(Clone)]
pub struct Headers<'a> {
    list: [httparse::Header<'a>; HEADERS_MAX],
    len: usize,
}

impl<'a> Headers<'a> {
    /// No fields.
    pub const EMPTY: Headers<'a> = Headers {
        list: [httparse::EMPTY_HEADER; HEADERS_MAX],
        len: 0,
    };

    /// Parses a header block that ends with its empty line; the caller names the cause of an error.
    pub(super) fn parse(block: &'a [u8]) -> Option<Headers<'a>> {
        let mut headers = Headers::EMPTY;
        match httparse::parse_headers(block, &mut headers.list) {
            Ok(httparse::Status::Complete((end, list))) if end == block.len() => {
                headers.len = list.len()
            }
            _ => return None,
        }
        Some(headers)
    }

    /// The value of the first field called `name`, in any case.
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The values of all fields called `name`, in order.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        let named = move |field: &&httparse::Header<'a>| field.name.eq_ignore_ascii_case(name);
        self.list
            .iter()
            .take(self.len)
            .filter(named)
            .map(|field| field.value)
    }

    /// Whether one of the fields called `name`, each a comma list, holds `token`, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.items(name)
            .any(|item| item.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The items of the comma lists in the fields called `name`, trimmed, without empty ones.
    pub fn items<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.all(name).flat_map(tokens)
    }

    /// How many fields are called `name`.
    pub fn count(&self, name: &str) -> usize {
        self.all(name).count()
    }
}

impl std::fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.list.iter().take(self.len))
            .finish()
    }
}

/// The items of a comma list, trimmed, without empty ones (RFC 9110 section 5.6.1.2).
pub(super) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|b| *b == b',')
        .map(trim)
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(block: &str) -> Headers<'_> {
        Headers::parse(block.as_bytes()).unwrap()
    }

    #[test]
    fn names_are_found_in_any_case_and_repeats_in_order() {
        let h = headers("Accept: a\r\nX-Y:  b \r\nACCEPT:c\r\nEmpty:\r\n\r\n");
        assert_eq!(h.first("accept"), Some(&b"a"[..]));
        assert_eq!(h.all("Accept").collect::<Vec<_>>(), [b"a", b"c"]);
        assert_eq!(h.first("x-y"), Some(&b"b"[..]));
        assert_eq!(h.first("empty"), Some(&b""[..]));
        assert_eq!((h.count("accept"), h.count("x")), (2, 0));
        assert_eq!(h.first("accep"), None);
    }

    #[test]
    fn a_token_is_found_in_lists_and_over_repeated_fields_but_not_inside_another() {
        let h = headers("Connection: keep-alive , Upgrade\r\nConnection: ,x,\r\n\r\n");
        for token in ["upgrade", "Keep-Alive", "X"] {
            assert!(h.has_token("connection", token), "{token}");
        }
        for token in ["keep", "alive", "", "keep-alive , upgrade"] {
            assert!(!h.has_token("connection", token), "{token}");
        }
    }

    #[test]
    fn sixty_four_fields_fit_and_one_more_does_not() {
        let block = |n: usize| format!("{}\r\n", "a:b\r\n".repeat(n));
        assert_eq!(headers(&block(64)).count("a"), 64);
        assert!(Headers::parse(block(65).as_bytes()).is_none());
        assert_eq!(headers("\r\n").count("a"), 0);
    }
}
