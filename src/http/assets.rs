//! The files inside the program: client libraries and demo pages.
//!
//! Data in: a name. Data out: type, bytes and entity tag; whether a client's copy is fresh.
//! It must not know paths ([`super::routes`]) nor files outside the program.

use super::request::{Headers, tokens};

/// One embedded file.
#[derive(PartialEq, Eq, Debug)]
pub struct Asset {
    /// Its name under `static/`.
    pub name: &'static str,
    /// Its type.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: &'static [u8],
}

/// The asset called `name`, in exactly this spelling.
pub fn find(name: &str) -> Option<&'static Asset> {
    FILES.iter().find(|asset| asset.name == name)
}

/// The entity tags of all assets, computed once.
#[derive(Debug)]
pub struct Assets {
    /// In the order of the table.
    etags: Vec<String>,
}

impl Assets {
    /// Hashes every asset.
    pub fn new() -> Assets {
        Assets {
            etags: FILES.iter().map(|asset| etag(asset.body)).collect(),
        }
    }

    /// The asset called `name` with its entity tag, quotes included.
    pub fn find(&self, name: &str) -> Option<(&'static Asset, &str)> {
        let mut all = FILES.iter().zip(&self.etags);
        all.find(|(asset, _)| asset.name == name)
            .map(|(asset, etag)| (asset, etag.as_str()))
    }
}

impl Default for Assets {
    fn default() -> Assets {
        Assets::new()
    }
}

/// A strong entity tag for `body`: 80 bits of its SHA-1, quoted. It tells versions of a file apart, it secures nothing.
pub fn etag(body: &[u8]) -> String {
    let mut hex = sha1_smol::Sha1::from(body).digest().to_string();
    hex.truncate(20);
    format!("\"{hex}\"")
}

/// Whether `If-None-Match` names `etag` or `*`, so that 304 is the answer (RFC 9110 section 13.1.2: weak comparison). Tags of ours hold no
/// comma, so one that a foreign tag holds can only hide a foreign tag.
pub fn is_fresh(headers: &Headers<'_>, etag: &str) -> bool {
    let strip =
        |tag: &'_ [u8]| tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes() || tag == b"*";
    headers.all("if-none-match").flat_map(tokens).any(strip)
}

/// Scripts are UTF-8, and `nosniff` browsers run only this type.
const SCRIPT: &str = "text/javascript; charset=utf-8";
/// Type declarations are for people and compilers.
const TEXT: &str = "text/plain; charset=utf-8";

static FILES: [Asset; 16] = [
    Asset {
        name: "CSP.js",
        content_type: SCRIPT,
        body: include_bytes!("../../static/CSP.js"),
    },
    Asset {
        name: "CSP.min.js",
        content_type: SCRIPT,
        body: include_bytes!("../../static/CSP.min.js"),
    },
    Asset {
        name: "CSP.d.ts",
        content_type: TEXT,
        body: include_bytes!("../../static/CSP.d.ts"),
    },
    Asset {
        name: "Revolved.js",
        content_type: SCRIPT,
        body: include_bytes!("../../static/Revolved.js"),
    },
    Asset {
        name: "Revolved.d.ts",
        content_type: TEXT,
        body: include_bytes!("../../static/Revolved.d.ts"),
    },
    Asset {
        name: "Orbited.js",
        content_type: SCRIPT,
        body: include_bytes!("../../static/Orbited.js"),
    },
    Asset {
        name: "Orbited.d.ts",
        content_type: TEXT,
        body: include_bytes!("../../static/Orbited.d.ts"),
    },
    Asset {
        name: "iframe.js",
        content_type: SCRIPT,
        body: include_bytes!("../../static/iframe.js"),
    },
    Asset {
        name: "index.html",
        content_type: "text/html; charset=utf-8",
        body: include_bytes!("../../static/index.html"),
    },
    Asset {
        name: "whiteboard.js",
        content_type: SCRIPT,
        body: include_bytes!("../../static/whiteboard.js"),
    },
    Asset {
        name: "demos/cometd.html",
        content_type: "text/html; charset=utf-8",
        body: include_bytes!("../../static/demos/cometd.html"),
    },
    Asset {
        name: "demos/cometd.js",
        content_type: SCRIPT,
        body: include_bytes!("../../static/demos/cometd.js"),
    },
    Asset {
        name: "demos/signoff.html",
        content_type: "text/html; charset=utf-8",
        body: include_bytes!("../../static/demos/signoff.html"),
    },
    Asset {
        name: "demos/signoff.js",
        content_type: SCRIPT,
        body: include_bytes!("../../static/demos/signoff.js"),
    },
    Asset {
        name: "style.css",
        content_type: "text/css; charset=utf-8",
        body: include_bytes!("../../static/style.css"),
    },
    Asset {
        name: "favicon.svg",
        content_type: "image/svg+xml",
        body: include_bytes!("../../static/favicon.svg"),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_is_found_by_its_name_and_only_by_it() {
        let assets = Assets::new();
        for asset in &FILES {
            let (found, tag) = assets.find(asset.name).unwrap();
            assert_eq!(found, find(asset.name).unwrap());
            assert!(!found.body.is_empty());
            assert_eq!((tag.len(), tag), (22, etag(found.body).as_str()));
        }
        for name in ["", "csp.js", "/CSP.js", "../Cargo.toml", "CSP.js/", "CSP"] {
            assert!(
                find(name).is_none() && assets.find(name).is_none(),
                "{name}"
            );
        }
    }

    #[test]
    fn a_copy_is_fresh_when_its_tag_is_named_strong_weak_or_by_star() {
        let tag = etag(b"x");
        let asked = |value: &str| {
            let block = format!("If-None-Match: {value}\r\n\r\n");
            is_fresh(&Headers::parse(block.as_bytes()).unwrap(), &tag)
        };
        assert!(asked(&tag) && asked(&format!("\"a\", W/{tag}")) && asked("*"));
        assert!(
            !asked("\"a\"")
                && !asked("")
                && !asked(tag.trim_matches('"'))
                && !asked(&format!("w/{tag}"))
        );
        assert!(!is_fresh(&Headers::EMPTY, &tag));
    }
}
