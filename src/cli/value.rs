//! The text forms of values that are no numbers: switches, addresses, origins.
//!
//! Data in: text of an operator. Data out: typed values, or how the text misses them. It must not know
//! flags or `Config`.

use std::net::SocketAddr;

use super::error::Fault;
use crate::config::Listen;
use crate::config::secret::ApiKey;
use crate::config::units::Misread;

/// What a switch must look like.
pub const SWITCH_FORM: &str = "true or false";
/// What an address must look like.
pub const LISTEN_FORM: &str = "ADDR:PORT with a numeric address, like 127.0.0.1:8000, or unix:PATH";
/// What an origin must look like.
pub const ORIGIN_FORM: &str =
    "SCHEME://HOST or SCHEME://HOST:PORT, without a path, or * alone for any";

/// The form of a location.
pub const LOCATION_FORM: &str =
    "/PATH without commas, blanks or escapes, and not below /_/; or none alone";

/// A location, as it is spelled in a path.
///
/// # Errors
/// [`Misread::Malformed`].
pub fn location(text: &str) -> Result<String, Misread> {
    let fit = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'%' | b'?' | b'#');
    let name = text.strip_prefix('/').filter(|name| {
        !name.is_empty() && name.len() < 255 && !text.starts_with("/_/") && name.bytes().all(fit)
    });
    let near = || {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric())
            .then(|| format!("/{text}"))
    };
    name.map(|_| text.to_owned())
        .ok_or_else(|| Misread::Malformed {
            form: LOCATION_FORM,
            near: near().filter(|near| near.len() > 1),
        })
}

/// A switch's state.
pub fn switch(text: &str) -> Result<bool, Misread> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Misread::Malformed {
            form: SWITCH_FORM,
            near: None,
        }),
    }
}

/// An address to listen on. Names are not looked up: what they mean may change while the node runs.
pub fn listen(text: &str) -> Result<Listen, Misread> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path);
    }
    text.parse().map(Listen::Tcp).map_err(|_| {
        let port = text
            .strip_prefix("localhost:")
            .or(text.strip_prefix(':'))
            .unwrap_or(text);
        let near = port.parse().map(|port: u16| format!("127.0.0.1:{port}"));
        Misread::Malformed {
            form: LISTEN_FORM,
            near: near.ok(),
        }
    })
}

fn unix(path: &str) -> Result<Listen, Misread> {
    if path.is_empty() || path.contains('\0') {
        return Err(Misread::Malformed {
            form: LISTEN_FORM,
            near: None,
        });
    }
    if path.len() > UNIX_PATH_MAX {
        return Err(Misread::TooLarge {
            max: format!("a path of {UNIX_PATH_MAX} bytes"),
        });
    }
    Ok(Listen::Unix(path.into()))
}

/// The loopback address of the same port, for the cure in an error.
pub fn on_loopback(address: &Listen) -> String {
    match address {
        Listen::Tcp(SocketAddr::V4(v4)) => format!("127.0.0.1:{}", v4.port()),
        Listen::Tcp(SocketAddr::V6(v6)) => format!("[::1]:{}", v6.port()),
        Listen::Unix(_) => address.to_string(),
    }
}

/// A key of the application, or its file.
pub fn api_key(text: &str) -> Result<ApiKey, Fault> {
    ApiKey::parse(text).ok_or(Fault::NotAKey)
}

/// An origin as browsers spell it (RFC 6454 6.2): lower case, no default port, no path. `null` is
/// one too.
pub fn origin(text: &str) -> Result<String, Misread> {
    let lower = text.to_ascii_lowercase();
    if lower == "null" {
        return Ok(lower);
    }
    let malformed = |near| Misread::Malformed {
        form: ORIGIN_FORM,
        near,
    };
    let Some((scheme, rest)) = lower.split_once("://") else {
        let bare_host = is_host(&lower).then(|| format!("https://{lower}"));
        return Err(malformed(bare_host));
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !is_scheme(scheme) || !is_host(host) {
        return Err(malformed(None));
    }
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let spelled = format!(
        "{scheme}://{}",
        host.strip_suffix(default_port).unwrap_or(host)
    );
    if host.len() < rest.len() {
        Err(malformed(Some(spelled)))
    } else {
        Ok(spelled)
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// A host with or without a port: letters, digits, and an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    let end = if text.starts_with('[') {
        text.find(']').map_or(0, |at| at + 1)
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, port) = text.split_at(end);
    let name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let host_good = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(name),
    };
    host_good
        && (port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|p| p.parse::<u16>().is_ok()))
}

/// `sun_path` of `struct sockaddr_un` is 108 bytes on Linux, the last of them zero.
const UNIX_PATH_MAX: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    fn fault<T>(result: Result<T, Misread>) -> String {
        result
            .err()
            .map(|fault| fault.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn an_address_is_numeric_or_a_unix_path() {
        for text in ["127.0.0.1:8000", "[::1]:0", "unix:/run/orbited.sock"] {
            assert_eq!(listen(text).map(|a| a.to_string()), Ok(text.to_owned()));
        }
        for text in ["8000", ":8000", "localhost:8000"] {
            assert!(
                fault(listen(text)).ends_with("(did you mean 127.0.0.1:8000?)"),
                "{text}"
            );
        }
        for text in [
            "",
            "unix:",
            "127.0.0.1",
            "example.org:80",
            "127.0.0.1:99999",
            "unix:a\0b",
        ] {
            assert!(listen(text).is_err(), "{text}");
        }
        assert!(listen(&format!("unix:/{}", "a".repeat(106))).is_ok());
        assert!(listen(&format!("unix:/{}", "a".repeat(107))).is_err());
    }

    #[test]
    fn an_origin_is_spelt_as_browsers_do() {
        let spelt = |text| origin(text).unwrap_or_default();
        assert_eq!(spelt("https://Example.org:443"), "https://example.org");
        assert_eq!(spelt("http://example.org:80"), "http://example.org");
        assert_eq!(spelt("http://localhost:3000"), "http://localhost:3000");
        assert_eq!(spelt("http://[::1]:8000"), "http://[::1]:8000");
        assert_eq!(spelt("null"), "null");
        for text in [
            "",
            "https://",
            "://a",
            "https://a b",
            "https://*.a",
            "https://u@h",
            "http://[x]:1",
            "http://a:x",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
        assert!(fault(origin("example.org")).ends_with("(did you mean https://example.org?)"));
        assert!(
            fault(origin("https://example.org/")).ends_with("(did you mean https://example.org?)")
        );
    }
}
