//! The commands that ask a running node something, by its internal address.
//!
//! Data in: what stands behind `publish`, `sessions`, `channels` or `kick`, and the settings beside it. Data out: a `Call`. It
//! must not know how a node is asked: `client` does that.

use std::ffi::{OsStr, OsString};

use lexopt::{Arg, Parser};

use super::error::Error;
use super::flag::Flag;
use super::table::FLAGS;
use super::{Command, Settings};

/// What a running node is asked, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Of these, where the node is and the key that it wants.
    pub settings: Settings,
    /// What it is asked.
    pub ask: Ask,
}

/// What a running node is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// To publish to a channel.
    Publish {
        /// The channel.
        channel: String,
        /// The message; `None` is standard input.
        data: Option<String>,
        /// Its type.
        json: bool,
        /// What makes it the same as another.
        id: Option<String>,
    },
    /// For all sessions, or a user's.
    Sessions {
        /// The user.
        user: Option<String>,
    },
    /// For all channels, or those whose names begin so.
    Channels {
        /// How they begin.
        prefix: Option<String>,
    },
    /// To end the sessions of a user.
    KickUser(String),
    /// To end one session.
    KickSession(String),
    /// To take no token of a user any more, and to end the user's sessions.
    RevokeUser(String),
    /// The same for the token of this name, which ends then, where that is known.
    RevokeToken(String, Option<String>),
    /// No node is asked: to make a token.
    MakeToken(Box<MakeToken>),
    /// No node is asked: to say what is in a token, and whether a node of these settings takes it; `None` is standard input.
    CheckToken(Option<String>),
}

/// What a token is to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MakeToken {
    /// Whose it is.
    pub user: Option<String>,
    /// How long it lives, as it was typed.
    pub ttl: Option<String>,
    /// What may be read with it.
    pub subscribe: Vec<String>,
    /// What may be published to with it.
    pub publish: Vec<String>,
    /// Whom it is meant for.
    pub audience: Option<String>,
    /// Who has made it.
    pub issuer: Option<String>,
    /// Its name.
    pub id: Option<String>,
}

/// One of these commands.
#[derive(Debug, PartialEq, Eq)]
pub struct Verb {
    /// Its name.
    pub name: &'static str,
    /// Flags of its own that have a value.
    values: &'static [&'static str],
    /// Flags of its own that have none.
    switches: &'static [&'static str],
    /// Flags of the node that it has too.
    common: &'static [&'static str],
    /// What else stands behind it, at most.
    words_max: usize,
    /// The text of its `--help`, before the flags that all of them have.
    usage: &'static str,
}

impl Verb {
    /// The command of this name.
    pub fn find(name: &str) -> Option<&'static Verb> {
        VERBS.iter().find(|verb| verb.name == name)
    }

    /// The text of its `--help`.
    pub fn help(&self) -> String {
        let common = match self.asks_a_node() {
            true => COMMON,
            false => COMMON_OF_TOKENS,
        };
        format!("{}{common}", self.usage)
    }

    /// A flag of the node that this command has too: where it is, or what it wants to be shown.
    pub fn common(&self, name: &str) -> Option<(usize, &'static Flag)> {
        let at = FLAGS.iter().position(|flag| flag.name == name)?;
        let its = self.common.contains(&name);
        FLAGS.get(at).filter(|_| its).map(|flag| (at, flag))
    }

    fn asks_a_node(&self) -> bool {
        self.common == COMMON_FLAGS
    }
}

/// What was typed behind a command.
#[derive(Debug, Default)]
struct Typed {
    words: Vec<String>,
    flags: Vec<(&'static str, String)>,
}

impl Typed {
    fn flag(&self, name: &str) -> Option<String> {
        let found = self.flags.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value.clone())
    }

    fn all(&self, name: &str) -> Vec<String> {
        let its = self.flags.iter().filter(|(other, _)| *other == name);
        its.map(|(_, value)| value.clone()).collect()
    }

    fn token(mut self) -> Option<Ask> {
        match self.word()?.as_str() {
            "make" if self.words.is_empty() => Some(Ask::MakeToken(Box::new(MakeToken {
                user: self.flag("user"),
                ttl: self.flag("ttl"),
                subscribe: self.all("subscribe"),
                publish: self.all("publish"),
                audience: self.flag("audience"),
                issuer: self.flag("issuer"),
                id: self.flag("jti"),
            }))),
            "check" => Some(Ask::CheckToken(self.word().filter(|token| token != "-"))),
            _ => None,
        }
    }

    fn word(&mut self) -> Option<String> {
        (!self.words.is_empty()).then(|| self.words.remove(0))
    }

    /// What is meant; `None` where something is missing, or too much.
    fn ask(mut self, verb: &Verb) -> Option<Ask> {
        let ask = match verb.name {
            "publish" => Ask::Publish {
                channel: self.word()?,
                data: self.word().filter(|data| data != "-"),
                json: self.flag("json").is_some(),
                id: self.flag("id"),
            },
            "sessions" => Ask::Sessions {
                user: self.flag("user"),
            },
            "channels" => Ask::Channels {
                prefix: self.flag("prefix"),
            },
            "token" => return self.token(),
            "revoke" => match (self.word(), self.flag("jti")) {
                (Some(user), None) => Ask::RevokeUser(user),
                (None, Some(id)) => Ask::RevokeToken(id, self.flag("exp")),
                _ => return None,
            },
            _ => match (self.word(), self.flag("session")) {
                (Some(user), None) => Ask::KickUser(user),
                (None, Some(key)) => Ask::KickSession(key),
                _ => return None,
            },
        };
        Some(ask)
    }
}

/// Reads the rest of a command line behind `verb`. `set` takes the value of one of the common flags; `settle` makes
/// settings of them all.
pub fn parse(
    mut parser: Parser,
    verb: &'static Verb,
    mut set: impl FnMut(&mut Parser, usize, &'static Flag) -> Result<(), Error>,
) -> Result<Result<Ask, Command>, Error> {
    let mut typed = Typed::default();
    while let Some(arg) = parser.next().map_err(|error| stray(&error, verb))? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Err(Command::HelpOf(verb))),
            Arg::Short(letter) => return Err(unexpected(OsStr::new(&format!("-{letter}")), verb)),
            Arg::Long(name) => {
                let own = |list: &'static [&'static str]| list.iter().find(|own| **own == name);
                if let Some(own) = own(verb.values) {
                    typed.flags.push((own, value(&mut parser, own)?));
                } else if let Some(own) = own(verb.switches) {
                    typed.flags.push((own, String::new()));
                } else if let Some((at, flag)) = verb.common(name) {
                    set(&mut parser, at, flag)?;
                } else {
                    return Err(unexpected(OsStr::new(&format!("--{name}")), verb));
                }
            }
            Arg::Value(word) if typed.words.len() < verb.words_max => typed.words.push(text(word)),
            Arg::Value(word) => return Err(unexpected(&word, verb)),
        }
    }
    let ask = typed.ask(verb);
    ask.map(Ok).ok_or(Error::Incomplete { command: verb.name })
}

fn value(parser: &mut Parser, flag: &'static str) -> Result<String, Error> {
    let form = "a text";
    let value = parser.value().map_err(|_| Error::NoValue { flag, form })?;
    Ok(text(value))
}

/// What is not UTF-8 is sent as near to it as can be: names are checked by the node.
fn text(word: OsString) -> String {
    word.to_string_lossy().into_owned()
}

fn unexpected(word: &OsStr, verb: &Verb) -> Error {
    Error::Unexpected {
        word: word.to_string_lossy().into_owned(),
        command: verb.name,
    }
}

fn stray(error: &lexopt::Error, verb: &Verb) -> Error {
    unexpected(OsStr::new(&error.to_string()), verb)
}

/// Flags of the node that these commands have too.
const COMMON_FLAGS: &[&str] = &["internal", "api-key"];
/// Flags of the node by which tokens are checked.
const TOKEN_FLAGS: &[&str] = &[
    "token-key",
    "token-jwks",
    "token-audience",
    "token-issuer",
    "token-leeway",
    "token-life",
];

/// All of them.
pub static VERBS: [Verb; 6] = [
    Verb {
        name: "publish",
        values: &["id"],
        switches: &["json"],
        common: COMMON_FLAGS,
        words_max: 2,
        usage: "\
Usage: orbited publish [FLAGS] CHANNEL [DATA|-]

Publishes DATA, or what comes by standard input, to a channel of a running node, and prints
how many sessions it went to and its offset.

    --json                          DATA is JSON, and reaches JSON clients as that.
    --id TEXT                       Publish it once, though the command be run twice.
",
    },
    Verb {
        name: "sessions",
        values: &["user"],
        switches: &[],
        common: COMMON_FLAGS,
        words_max: 0,
        usage: "\
Usage: orbited sessions [FLAGS]

Prints the open sessions of a running node, a line of JSON for each.

    --user USER                     Only those of this user.
",
    },
    Verb {
        name: "channels",
        values: &["prefix"],
        switches: &[],
        common: COMMON_FLAGS,
        words_max: 0,
        usage: "\
Usage: orbited channels [FLAGS]

Prints the channels of a running node, a line of JSON for each.

    --prefix TEXT                   Only those whose names begin so.
",
    },
    Verb {
        name: "kick",
        values: &["session"],
        switches: &[],
        common: COMMON_FLAGS,
        words_max: 1,
        usage: "\
Usage: orbited kick [FLAGS] USER
       orbited kick [FLAGS] --session KEY

Ends the sessions of a user of a running node, or one session, and prints how many. Their
clients are told to stay away.
",
    },
    Verb {
        name: "revoke",
        values: &["jti", "exp"],
        switches: &[],
        common: COMMON_FLAGS,
        words_max: 1,
        usage: "\
Usage: orbited revoke [FLAGS] USER
       orbited revoke [FLAGS] --jti ID [--exp SECONDS]

Ends the sessions that have a token of a user, or the token called ID, and takes no such
token any more: of a user those made up to now, of ID all. Prints how many sessions end.

    --jti ID                        The claim jti of the token.
    --exp SECONDS                   Its claim exp: behind that it need not be remembered.
",
    },
    Verb {
        name: "token",
        values: &[
            "user",
            "ttl",
            "subscribe",
            "publish",
            "audience",
            "issuer",
            "jti",
        ],
        switches: &[],
        common: TOKEN_FLAGS,
        words_max: 2,
        usage: "\
Usage: orbited token make --token-key [ID=]ALG:KEY|@FILE [FLAGS]
       orbited token check [FLAGS] [TOKEN|-]

make prints a token signed by the first key: the secret of HS256, or a private key in PEM
(PKCS#8). check prints what is in a token and whether a node of these settings takes it;
what was revoked at a running node it does not know.

    --user USER                     Whose it is (sub).
    --ttl TIME                      How long it lives (exp), 1h if not told.
    --subscribe CHANNEL|PATTERN     What may be read with it (channels). May repeat.
    --publish CHANNEL|PATTERN       What may be published to with it (channels). May repeat.
    --audience TEXT                 Whom it is meant for (aud).
    --issuer TEXT                   Who has made it (iss).
    --jti TEXT                      Its own name (jti).
",
    },
];

const COMMON_OF_TOKENS: &str = "
    --token-key [ID=]ALG:KEY|@FILE  A key, as the node is given it. May repeat.
    --token-jwks FILE               A set of keys. May repeat.
    --token-audience, --token-issuer, --token-leeway, --token-life
                                    As the node is given them.
    -h, --help                      Print this.

Exit status: 0 done, or taken; 1 refused; 2 wrong arguments.
";
const COMMON: &str = "
    --internal ADDR:PORT|unix:PATH  Where the node is (default 127.0.0.1:8001).
    --api-key KEY|@FILE             The key that it wants to be shown.
    -h, --help                      Print this.

Exit status: 0 done, 1 not done, 2 wrong arguments.
";

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
