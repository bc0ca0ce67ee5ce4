//! How the cookie by which a browser is known is sent, as an operator writes it.
//!
//! In: words joined by commas, `secure,samesite=none`. Out: the attributes of a `Set-Cookie` (RFC 6265 section 4.1), and the
//! words again. When a cookie is sent is not known here.

use super::units::Misread;
use std::fmt;

/// The attributes that an operator chooses; `HttpOnly` always is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    domain: Option<String>,
    path: String,
    same_site: Option<&'static str>,
    secure: bool,
    partitioned: bool,
}

/// For the whole host, and nothing more.
impl Default for Cookie {
    fn default() -> Self {
        Self {
            domain: None,
            path: "/".to_owned(),
            same_site: None,
            secure: false,
            partitioned: false,
        }
    }
}

impl Cookie {
    /// Reads words.
    ///
    /// # Errors
    /// A word that is none, or two that browsers refuse together.
    pub fn parse(text: &str) -> Result<Self, Misread> {
        let mut cookie = Self::default();
        for word in text.split(',') {
            cookie.take(word).ok_or_else(|| malformed(None))?;
        }
        // Without it browsers drop the cookie (RFC 6265bis section 5.6).
        let needs_secure = cookie.same_site == Some("none") || cookie.partitioned;
        match needs_secure && !cookie.secure {
            true => Err(malformed(Some(format!("secure,{text}")))),
            false => Ok(cookie),
        }
    }

    fn take(&mut self, word: &str) -> Option<()> {
        match word.split_once('=') {
            None if word == "secure" => self.secure = true,
            None if word == "partitioned" => self.partitioned = true,
            Some(("samesite", name)) => {
                self.same_site = Some(SAME_SITE.into_iter().find(|known| *known == name)?);
            }
            Some(("domain", name)) if is_domain(name) => self.domain = Some(name.to_owned()),
            Some(("path", path)) if is_path(path) => self.path = path.to_owned(),
            _ => return None,
        }
        Some(())
    }

    /// What stands behind a cookie's value.
    #[must_use]
    pub fn attributes(&self) -> String {
        let mut text = format!("; Path={}; HttpOnly", self.path);
        let domain = self.domain.iter().map(|domain| ("; Domain=", &**domain));
        let same_site = self.same_site.iter().map(|name| ("; SameSite=", *name));
        for (name, value) in domain.chain(same_site) {
            text.push_str(name);
            text.push_str(value);
        }
        let words = [
            (self.secure, "; Secure"),
            (self.partitioned, "; Partitioned"),
        ];
        for (_, word) in words.into_iter().filter(|(is, _)| *is) {
            text.push_str(word);
        }
        text
    }
}

/// As [`Cookie::parse`] reads it.
impl fmt::Display for Cookie {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "path={}", self.path)?;
        if let Some(domain) = &self.domain {
            write!(out, ",domain={domain}")?;
        }
        if let Some(name) = self.same_site {
            write!(out, ",samesite={name}")?;
        }
        let words = [(self.secure, ",secure"), (self.partitioned, ",partitioned")];
        let mut words = words.into_iter().filter(|(is, _)| *is);
        words.try_for_each(|(_, word)| out.write_str(word))
    }
}

fn malformed(near: Option<String>) -> Misread {
    Misread::Malformed {
        form: COOKIE_FORM,
        near,
    }
}

fn is_domain(name: &str) -> bool {
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    !name.is_empty() && name.bytes().all(is_one)
}

fn is_path(path: &str) -> bool {
    let is_one = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b';' | b',');
    path.starts_with('/') && path.bytes().all(is_one)
}

/// What an operator may write.
pub const COOKIE_FORM: &str = "off, or of secure, samesite=lax|strict|none, domain=NAME, path=PATH and partitioned, with commas";
const SAME_SITE: [&str; 3] = ["lax", "strict", "none"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_attributes_and_words_again() {
        for (words, attributes) in [
            ("path=/", "; Path=/; HttpOnly"),
            (
                "path=/a,domain=a.example,samesite=strict",
                "; Path=/a; HttpOnly; Domain=a.example; SameSite=strict",
            ),
            (
                "path=/,samesite=none,secure,partitioned",
                "; Path=/; HttpOnly; SameSite=none; Secure; Partitioned",
            ),
        ] {
            let cookie = Cookie::parse(words).unwrap();
            assert_eq!(cookie.attributes(), attributes);
            assert_eq!(cookie.to_string(), words);
        }
        assert_eq!(
            Cookie::parse("secure").unwrap().to_string(),
            "path=/,secure"
        );
    }

    #[test]
    fn what_browsers_or_headers_do_not_take_is_refused() {
        for bad in [
            "",
            "Secure",
            "samesite",
            "samesite=all",
            "domain=",
            "domain=a;b",
            "path=a",
            "path=/;x",
            "path=/a\r\n",
            "secure,",
        ] {
            assert!(Cookie::parse(bad).is_err(), "{bad}");
        }
        for insecure in ["samesite=none", "partitioned"] {
            let near = Some(format!("secure,{insecure}"));
            assert_eq!(Cookie::parse(insecure), Err(malformed(near)));
        }
    }
}
