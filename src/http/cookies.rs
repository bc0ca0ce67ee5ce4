//! Reads one cookie (RFC 6265 section 5.4).
//!
//! Data in: the header fields of a request. Data out: the cookie's value as sent, quotes included.
//! It must not know what the cookie is for.

use super::field::trim;
use super::request::Headers;
use super::url::cut;

/// The value of the first cookie called `name`, over all `Cookie` fields; names differ by case. None also when it is not UTF-8.
pub fn cookie<'a>(headers: &Headers<'a>, name: &str) -> Option<&'a str> {
    let pairs = headers
        .all("cookie")
        .flat_map(|field| field.split(|b| *b == b';'));
    let mut values = pairs
        .map(|pair| cut(pair, b'='))
        .filter(|(found, _)| trim(found) == name.as_bytes());
    values
        .next()
        .and_then(|(_, value)| str::from_utf8(trim(value)).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_exact_name_in_any_field() {
        let block = b"Cookie: a=1; session=x=y;b=2\r\nCookie: session=later;  c = 3 \r\n\r\n";
        let headers = Headers::parse(block).unwrap();
        assert_eq!(cookie(&headers, "session"), Some("x=y"));
        assert_eq!(cookie(&headers, "c"), Some("3"));
        assert_eq!(cookie(&headers, "b"), Some("2"));
        assert_eq!(cookie(&headers, "Session"), None);
        assert_eq!(cookie(&headers, "sess"), None);
        assert_eq!(cookie(&Headers::EMPTY, "a"), None);
    }

    #[test]
    fn a_cookie_that_is_not_utf_8_is_none() {
        let headers = Headers::parse(b"Cookie: a=\xff\r\n\r\n").unwrap();
        assert_eq!(cookie(&headers, "a"), None);
    }
}
