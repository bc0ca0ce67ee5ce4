//! The flags of authentication, of which any that is set ends demo mode.
//!
//! Data in: a flag's texts. Data out: fields of `Config`, or the `Fault`; and, once all are read, what a node that is not in
//! demo mode keeps closed.

use super::error::Fault;
use super::fields::{list, several};
use super::flag::{Flag, Group, Kind, Number};
use super::table::FLAGS;
use super::{Settings, value};
use crate::config::secret::API_KEY_FORM;
use crate::config::token::TOKEN_KEY_FORM;
use crate::config::units::Misread;
use crate::config::{Config, Material, Names, Peer, Policies, TokenKey};

/// `--api-key`.
pub const API_KEY: Flag = Flag {
    name: "api-key",
    group: Group::Auth,
    kind: Kind::Words {
        placeholder: "KEY|@FILE",
        form: API_KEY_FORM,
        between: ',',
        read: |config| list(&config.api_keys),
        write: |config, values| {
            config.api_keys = several(values, value::api_key)?;
            Ok(())
        },
    },
    help: "A key that every call of /api/ must show, as Authorization: Bearer or X-API-Key; of several, any. A file has one on each line.",
};

/// `--token-key`.
pub const TOKEN_KEY: Flag = Flag {
    name: "token-key",
    group: Group::Auth,
    kind: Kind::Words {
        placeholder: "[ID=]ALG:KEY|@FILE",
        form: TOKEN_KEY_FORM,
        between: ',',
        read: |config| list(&config.token_keys),
        write: |config, values| {
            let read = |text: &str| TokenKey::parse(text).ok_or(Fault::NotATokenKey);
            config.token_keys = several(values, read)?;
            Ok(())
        },
    },
    help: "A key by which tokens are checked: HS256 and its secret, or RS256, ES256, EdDSA and a public key in PEM. ID is what kid of a token names.",
};

/// `--token-jwks`.
pub const TOKEN_JWKS: Flag = Flag {
    name: "token-jwks",
    group: Group::Auth,
    kind: Kind::Words {
        placeholder: "FILE",
        form: "a file that has a JWK set",
        between: ',',
        read: |config| list(&config.token_jwks),
        write: |config, values| {
            config.token_jwks = several(values, |text: &str| {
                Material::parse(&format!("@{}", text.trim_start_matches('@')))
                    .ok_or(malformed("a file that has a JWK set"))
            })?;
            Ok(())
        },
    },
    help: "A file with a set of such keys as JSON, {\"keys\":[…]}; it is read at the start.",
};

/// `--token-audience`.
pub const TOKEN_AUDIENCE: Flag = Flag {
    name: "token-audience",
    group: Group::Auth,
    kind: Kind::Words {
        placeholder: "TEXT",
        form: "a text",
        between: ',',
        read: |config| list(&config.token_audience),
        write: |config, values| {
            config.token_audience = several(values, text)?;
            Ok(())
        },
    },
    help: "Whom tokens are meant for (aud): one of these must be named; without, a token that names any is refused.",
};

/// `--token-issuer`.
pub const TOKEN_ISSUER: Flag = Flag {
    name: "token-issuer",
    group: Group::Auth,
    kind: Kind::Words {
        placeholder: "TEXT",
        form: "a text",
        between: ',',
        read: |config| list(&config.token_issuer),
        write: |config, values| {
            config.token_issuer = several(values, text)?;
            Ok(())
        },
    },
    help: "Who may have made a token (iss); without, anybody who has the key.",
};

/// `--token-leeway`.
pub const TOKEN_LEEWAY: Flag = Flag {
    name: "token-leeway",
    group: Group::Auth,
    kind: Kind::Time(Number {
        min: 0,
        max: 600_000,
        read: |config| config.token_leeway_ms,
        write: |config, n| {
            config.token_leeway_ms = n;
            true
        },
    }),
    help: "How far the clock of who makes tokens may be off.",
};

/// `--token-life`.
pub const TOKEN_LIFE: Flag = Flag {
    name: "token-life",
    group: Group::Auth,
    kind: Kind::Time(Number {
        min: 60_000,
        max: 365 * 24 * 3_600_000,
        read: |config| config.token_life_ms,
        write: |config, n| {
            config.token_life_ms = n;
            true
        },
    }),
    help: "How long a token may have to live at most; so long a revocation is remembered.",
};

/// `--names`.
pub const NAMES: Flag = Flag {
    name: "names",
    group: Group::Auth,
    kind: Kind::Word {
        placeholder: "token|anyone",
        form: NAMES_FORM,
        read: |config| match config.names {
            Names::Token => "token".to_owned(),
            Names::Anyone => "anyone".to_owned(),
        },
        write: |config, text| {
            config.names = match text {
                "token" => Names::Token,
                "anyone" => Names::Anyone,
                _ => return Err(malformed(NAMES_FORM)),
            };
            Ok(())
        },
    },
    help: "Who may have a user's name, outside demo mode: whom a token names, or whoever asks for it.",
};

/// Ends demo mode where a flag of authentication has another value than its default: what no rule opens is for who has the
/// right in a token, and messages to users are for who has a user's name, unless `--peer` says otherwise.
pub fn close(settings: &mut Settings) {
    let default = Config::default();
    let set = |flag: &&Flag| flag.show(&settings.config) != flag.show(&default);
    let mut of_auth = FLAGS.iter().filter(|flag| flag.group == Group::Auth);
    if !of_auth.any(|flag| set(&flag)) {
        return;
    }
    if settings.is_default("peer") {
        settings.config.peer = Peer::User;
    }
    settings.config.demo = false;
    let policies: Policies = std::mem::take(&mut settings.config.policies);
    settings.config.policies = policies.closed();
}

fn text(text: &str) -> Result<String, Fault> {
    match text.is_empty() {
        true => Err(malformed("a text")),
        false => Ok(text.to_owned()),
    }
}

fn malformed(form: &'static str) -> Fault {
    Misread::Malformed { form, near: None }.into()
}

const NAMES_FORM: &str = "token or anyone";
