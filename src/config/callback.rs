//! Where the application wants events by HTTP, as text, both ways.
//!
//! In: `http://127.0.0.1:5000/orbited events=signoff batch=50`. Out: a [`Callback`], or what is wrong with the text and
//! the cure. What is sent there, and when, is the node's business.

use super::near::nearest;
use super::units::{self, Misread};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// A URL that events are posted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// As it was written.
    url: String,
    /// Whom to connect to.
    pub address: Address,
    /// The `Host` of requests.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// Which events, each once, of [`EVENTS`].
    pub events: Vec<&'static str>,
    /// A form instead of JSON; it has one event.
    pub form: bool,
    /// Events of one request at most.
    pub batch: usize,
}

/// Whom to connect to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// TCP, to this address.
    Ip(SocketAddr),
    /// TCP, to the addresses of this name.
    Name(Box<str>, u16),
    /// A Unix stream socket at this path.
    Unix(PathBuf),
}

/// Why a text is no callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadCallback {
    /// The URL is none that a request can be sent to.
    Url,
    /// It asks for TLS.
    Tls,
    /// It holds a user name or a password.
    Credentials,
    /// No such event; with the nearest one there is.
    Event {
        /// As typed.
        word: String,
        /// The nearest name.
        near: Option<&'static str>,
        /// The names there are.
        all: String,
    },
    /// No such key; with the nearest one there is.
    UnknownKey {
        /// As typed.
        key: String,
        /// The nearest name.
        near: Option<&'static str>,
    },
    /// A key twice.
    Repeated {
        /// Its name.
        key: &'static str,
    },
    /// A value that is none.
    Value {
        /// The key with its value, as typed.
        text: String,
        /// How it misses its form.
        misread: Misread,
    },
    /// A form of several events.
    FormOfMany,
    /// Several questions in one request.
    BatchOfQuestions,
}

impl Callback {
    /// Reads a URL and its settings, with blanks between them.
    ///
    /// # Errors
    /// [`BadCallback`], of the first word that is wrong.
    pub fn parse(text: &str) -> Result<Self, BadCallback> {
        let callback = Self::parse_for(text, EVENTS)?;
        let batch = match (callback.form, callback.batch) {
            (true, 0 | 1) => 1,
            (true, _) => return Err(BadCallback::FormOfMany),
            (false, 0) => BATCH,
            (false, batch) => batch,
        };
        Ok(Self { batch, ..callback })
    }

    /// The same of other events; how many of them a request has is 0 where nothing is said.
    pub(super) fn parse_for(text: &str, all: &[&'static str]) -> Result<Self, BadCallback> {
        let mut words = text.split_ascii_whitespace();
        let url = words.next().ok_or(BadCallback::Url)?;
        let (address, host, target) = parse_url(url)?;
        let mut callback = Self {
            url: url.to_owned(),
            address,
            host,
            target,
            events: Vec::new(),
            form: false,
            batch: 0,
        };
        let mut seen = Vec::new();
        for word in words {
            let key = callback.set(word, all)?;
            if seen.contains(&key) {
                return Err(BadCallback::Repeated { key });
            }
            seen.push(key);
        }
        if callback.events.is_empty() {
            callback.events = all.to_vec();
        }
        Ok(callback)
    }

    /// As it was written.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn set(&mut self, word: &str, all: &[&'static str]) -> Result<&'static str, BadCallback> {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let wrong = |misread| BadCallback::Value {
            text: word.to_owned(),
            misread,
        };
        let known = KEYS.iter().find(|known| **known == key);
        let known = *known.ok_or_else(|| BadCallback::UnknownKey {
            key: key.to_owned(),
            near: nearest(key, KEYS.into_iter()),
        })?;
        match known {
            "events" => self.events = events(value, all)?,
            "batch" => {
                let batch = units::count(value, 1, BATCH_MAX).map_err(wrong)?;
                self.batch = batch as usize;
            }
            _ => {
                self.form = match value {
                    "json" => false,
                    "form" => true,
                    _ => return Err(wrong(malformed("json or form"))),
                };
            }
        }
        Ok(known)
    }
}

pub(super) fn malformed(form: &'static str) -> Misread {
    Misread::Malformed { form, near: None }
}

fn events(list: &str, all: &[&'static str]) -> Result<Vec<&'static str>, BadCallback> {
    let mut events = Vec::new();
    for word in list.split(',') {
        let event = all.iter().find(|event| **event == word);
        let event = *event.ok_or_else(|| BadCallback::Event {
            word: word.to_owned(),
            near: nearest(word, all.iter().copied()),
            all: all.join(", "),
        })?;
        if !events.contains(&event) {
            events.push(event);
        }
    }
    Ok(events)
}

/// Whom to connect to, the host to name, and what to ask for: `http://HOST[:PORT][/PATH]`, or
/// `http://unix:SOCKET:/PATH` as nginx spells it.
fn parse_url(url: &str) -> Result<(Address, String, String), BadCallback> {
    let starts = |scheme: &str| {
        let front = url.get(..scheme.len());
        front.is_some_and(|front| front.eq_ignore_ascii_case(scheme))
    };
    if starts("https://") {
        return Err(BadCallback::Tls);
    }
    let is_plain = url.len() <= URL_BYTES_MAX && url.bytes().all(|byte| byte.is_ascii_graphic());
    let rest = url.get(7..).filter(|_| is_plain && starts("http://"));
    let rest = rest.ok_or(BadCallback::Url)?;
    if rest.contains('#') {
        return Err(BadCallback::Url);
    }
    if let Some(socket) = rest.strip_prefix("unix:") {
        let (path, target) = socket.split_once(':').unwrap_or((socket, "/"));
        let fits = path.starts_with('/') && path.len() <= UNIX_PATH_MAX && target.starts_with('/');
        let address = fits.then(|| Address::Unix(path.into()));
        let address = address.ok_or(BadCallback::Url)?;
        return Ok((address, "localhost".to_owned(), target.to_owned()));
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(end);
    if host.contains('@') {
        return Err(BadCallback::Credentials);
    }
    let address = parse_host(host).ok_or(BadCallback::Url)?;
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok((address, host.to_owned(), format!("{slash}{target}")))
}

fn parse_host(host: &str) -> Option<Address> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None if port.is_empty() => 80,
        None => return None,
    };
    if host.starts_with('[') {
        let ip: Ipv6Addr = name.parse().ok()?;
        return Some(Address::Ip(SocketAddr::new(ip.into(), port)));
    }
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Some(Address::Ip(SocketAddr::new(ip, port)));
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let fits = !name.is_empty() && name.len() <= 253 && name.bytes().all(is_name);
    // 127.1 and 0x7f000001 are addresses to some resolvers.
    let last = name.rsplit('.').find(|part| !part.is_empty());
    let fits = fits && last.is_some_and(|last| !last.starts_with(|c: char| c.is_ascii_digit()));
    fits.then(|| Address::Name(name.into(), port))
}

/// The text that is read back as the same.
impl fmt::Display for Callback {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, form) = (
            self.events.join(","),
            if self.form { "form" } else { "json" },
        );
        let (url, batch) = (&self.url, self.batch);
        write!(out, "{url} events={events} as={form} batch={batch}")
    }
}

impl fmt::Display for BadCallback {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = |near: &Option<&str>| {
            near.map_or(String::new(), |near| format!(" (did you mean {near}?)"))
        };
        match self {
            Self::Url => write!(out, "must begin with {CALLBACK_FORM}"),
            Self::Tls => out.write_str(
                "https is not in this version; name an http address of this machine or its network, or one of a proxy \
                 that speaks TLS for it",
            ),
            Self::Credentials => out.write_str(
                "a URL has no user name here; --callback-key signs what is sent, and the URL may have a query",
            ),
            Self::Event { word, near, all } => {
                write!(out, "{word:?} is no event{}; there are {all}", hint(near))
            }
            Self::UnknownKey { key, near } => {
                let all = KEYS.join(", ");
                write!(out, "{key:?} is no key{}; there are {all}", hint(near))
            }
            Self::Repeated { key } => write!(out, "{key} may be there once"),
            Self::Value { text, misread } => write!(out, "{text:?}: {misread}"),
            Self::BatchOfQuestions => {
                out.write_str("a request has one question; lanes=N says how many may be under way")
            }
            Self::FormOfMany => out.write_str("as=form has one event a request; leave batch out"),
        }
    }
}

/// The events there are, each published in the hub to the channel of `/orbit/` and its name.
pub const EVENTS: &[&str] = &[
    "signon",
    "signoff",
    "message",
    "delivered",
    "failed",
    "occupied",
    "vacated",
];
/// What a callback must look like.
pub const CALLBACK_FORM: &str = "http://HOST[:PORT]/PATH or http://unix:SOCKET:/PATH, and behind it events=LIST as=json|form batch=N";
/// Callbacks at most: each may hold `--callback-queue`.
pub const CALLBACKS_MAX: usize = 16;
const KEYS: [&str; 3] = ["events", "as", "batch"];
/// Events of one request where nothing is said: some 20 KiB of ends of sessions that lost nothing.
const BATCH: usize = 100;
const BATCH_MAX: u64 = 1_000;
const URL_BYTES_MAX: usize = 2_000;
/// As for `--listen`.
const UNIX_PATH_MAX: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Callback {
        Callback::parse(text).unwrap()
    }

    #[test]
    fn a_url_says_whom_to_connect_to_and_what_to_ask_for() {
        let ip = |text: &str| Address::Ip(text.parse().unwrap());
        let name = |name: &str, port| Address::Name(name.into(), port);
        for (url, address, host, target) in [
            (
                "http://127.0.0.1:5000/a",
                ip("127.0.0.1:5000"),
                "127.0.0.1:5000",
                "/a",
            ),
            ("HTTP://[::1]:1", ip("[::1]:1"), "[::1]:1", "/"),
            (
                "http://10.0.0.7?k=1",
                ip("10.0.0.7:80"),
                "10.0.0.7",
                "/?k=1",
            ),
            (
                "http://app.local/a?b",
                name("app.local", 80),
                "app.local",
                "/a?b",
            ),
            ("http://a_1:65535", name("a_1", 65535), "a_1:65535", "/"),
            (
                "http://unix:/run/a.sock:/x",
                Address::Unix("/run/a.sock".into()),
                "localhost",
                "/x",
            ),
            (
                "http://unix:/run/a.sock",
                Address::Unix("/run/a.sock".into()),
                "localhost",
                "/",
            ),
        ] {
            let callback = read(url);
            assert_eq!(
                (&callback.address, &*callback.host),
                (&address, host),
                "{url}"
            );
            assert_eq!(callback.target, target, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_of_ours_is_refused() {
        for url in [
            "",
            "http://",
            "http:///a",
            "ftp://a",
            "//a",
            "a:80",
            "http://a:0",
            "http://a:70000",
            "http://a:x",
            "http://a b",
            "http://[::1",
            "http://[a]",
            "http://a#b",
            "http://ä",
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://a..1./",
            "http://unix:a.sock",
            "http://unix:/a:b",
            "http://[::1]x:1",
        ] {
            assert!(Callback::parse(url).is_err(), "{url}");
        }
        assert_eq!(Callback::parse("https://a/"), Err(BadCallback::Tls));
        assert_eq!(
            Callback::parse("http://u:p@a/"),
            Err(BadCallback::Credentials)
        );
    }

    #[test]
    fn settings_have_their_defaults_and_are_read_back() {
        let callback = read("http://a/x");
        assert_eq!(callback.events, EVENTS);
        assert_eq!((callback.form, callback.batch), (false, BATCH));
        let form = read("http://a as=form");
        assert_eq!((form.form, form.batch), (true, 1));
        for text in [
            "http://a/x",
            "http://a events=signoff batch=7",
            "http://a as=form batch=1",
        ] {
            let callback = read(text);
            assert_eq!(read(&callback.to_string()), callback);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_cure() {
        let said = |text: &str| Callback::parse(text).unwrap_err().to_string();
        assert!(said("http://a events=signof").contains("(did you mean signoff?)"));
        assert!(said("http://a event=signoff").contains("(did you mean events?)"));
        assert!(said("http://a batch=0").contains("too small"));
        assert!(said("http://a as=xml").contains("json or form"));
        assert!(said("http://a as=form batch=2").contains("leave batch out"));
        assert!(said("http://a batch=2 batch=3").contains("once"));
        assert!(said("https://a").contains("https is not in this version"));
    }
}
