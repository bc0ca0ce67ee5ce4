//! What an operator sees: the metrics text, the description of the API, and who may ask for them.
//!
//! In: counters and facts about tables. Out: text. It changes nothing.

mod prometheus;

pub use prometheus::{Facts, prometheus, stats};

use crate::config::ApiKey;
use crate::http::request::Request;
use std::net::IpAddr;

/// What the internal port offers, for programs: OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Whether `host` (with its port, as sent) is this machine by a name no outsider can give it: an address, or
/// `localhost`. A page whose name resolves here (DNS rebinding) sends its own name.
#[must_use]
pub fn is_local_host(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    bare.is_empty() || bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// Whether the request comes from no page, or from one of this very port.
#[must_use]
pub fn is_own_origin(request: &Request<'_>) -> bool {
    let Some(origin) = request.headers.first("origin") else {
        return true;
    };
    origin.strip_prefix(b"http://") == Some(request.host.as_bytes())
}

/// Whether the request shows one of the keys, where there are any: as `Authorization: Bearer` or `X-API-Key`.
#[must_use]
pub fn has_key(request: &Request<'_>, keys: &[ApiKey]) -> bool {
    let bearer = request.headers.first("authorization").and_then(|value| {
        let (scheme, token) = value.split_at_checked(BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then_some(token)
    });
    let shown = bearer.into_iter().chain(request.headers.first("x-api-key"));
    let known = shown.map(|shown| ApiKey::is_any(keys, shown));
    keys.is_empty() || known.fold(false, |any, one| any | one)
}

const BEARER: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::is_local_host;

    #[test]
    fn only_addresses_and_localhost_are_this_machine() {
        for host in [
            "127.0.0.1:8001",
            "[::1]:8001",
            "localhost:8001",
            "LOCALHOST",
            "",
        ] {
            assert!(is_local_host(host), "{host}");
        }
        for host in [
            "evil.test:8001",
            "127.0.0.1.evil.test",
            "localhost.evil.test",
        ] {
            assert!(!is_local_host(host), "{host}");
        }
    }
}
