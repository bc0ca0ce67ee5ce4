//! Fields that are no numbers: from a flag's texts, and back.
//!
//! Data in: the texts of one flag. Data out: a field of `Config`, or the `Fault`. This file must not know which flag it is.

use super::error::Fault;
use super::flag::Misfit;
use super::value;
use crate::config::policy::RULES_MAX;
use crate::config::rule::Rule;
use crate::config::units::Misread;
use crate::config::{Config, Cookie, Listen, Peer, Policies};

/// Where browsers connect.
///
/// # Errors
/// What is wrong with the text.
pub fn set_listen(config: &mut Config, values: &[String]) -> Result<(), Misfit> {
    config.listen = every(values, VALUES_MAX, value::listen)?;
    Ok(())
}

/// An address, or off.
pub fn listen_or_off(at: &Option<Listen>) -> String {
    at.as_ref().map_or("off".to_owned(), Listen::to_string)
}

/// The same from its text.
///
/// # Errors
/// What is wrong with the text.
pub fn read_listen(text: &str) -> Result<Option<Listen>, Fault> {
    match text {
        "off" => Ok(None),
        text => Ok(Some(value::listen(text)?)),
    }
}

/// Bayeux's cookie, or off.
///
/// # Errors
/// What is wrong with the text.
pub fn set_cookie(config: &mut Config, text: &str) -> Result<(), Fault> {
    config.bayeux_cookie = match text {
        "off" => None,
        text => Some(Cookie::parse(text)?),
    };
    Ok(())
}

/// Which pages may connect; any alone is all.
///
/// # Errors
/// What is wrong with the text.
pub fn set_origins(config: &mut Config, values: &[String]) -> Result<(), Misfit> {
    let any = values.len() == 1 && values.iter().all(|text| text == ANY);
    config.allow_origin = if any {
        Vec::new()
    } else {
        every(values, VALUES_MAX, value::origin)?
    };
    Ok(())
}

/// The rules of channels; none alone is no rule.
///
/// # Errors
/// What is wrong with the text.
pub fn set_channels(config: &mut Config, values: &[String]) -> Result<(), Misfit> {
    let none = values.len() == 1 && values.iter().all(|text| text == NO_RULES);
    let rules = match none {
        true => Vec::new(),
        false => every(values, RULES_MAX, Rule::parse)?,
    };
    config.policies = Policies::new(rules);
    Ok(())
}

/// Who may send to users.
///
/// # Errors
/// What is wrong with the text.
pub fn set_peer(config: &mut Config, text: &str) -> Result<(), Fault> {
    let row = PEERS.iter().find(|(word, _)| *word == text);
    let (_, peer) = row.ok_or(Misread::Malformed {
        form: PEER_FORM,
        near: None,
    })?;
    config.peer = *peer;
    Ok(())
}

/// The word for that.
pub fn peer_word(peer: Peer) -> &'static str {
    let row = PEERS.iter().find(|(_, meant)| *meant == peer);
    row.map_or("", |(word, _)| word)
}

/// The folder of pages, or those that are built in.
///
/// # Errors
/// What is wrong with the text.
pub fn set_static_dir(config: &mut Config, text: &str) -> Result<(), Fault> {
    if text.is_empty() || text.contains('\0') {
        return Err(Misread::Malformed {
            form: "a folder, or built-in",
            near: None,
        }
        .into());
    }
    config.static_dir = (text != BUILT_IN).then(|| text.into());
    Ok(())
}

/// All values of a flag, each read.
///
/// # Errors
/// What is wrong with the text.
pub fn every<T, E: Into<Fault>>(
    values: &[String],
    values_max: usize,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, Misfit> {
    if values.len() > values_max {
        return Err(Misfit {
            at: values_max,
            fault: Fault::TooMany { max: values_max },
        });
    }
    let one = |(at, text): (usize, &String)| {
        let wrong = |error: E| Misfit {
            at,
            fault: error.into(),
        };
        read(text).map_err(wrong)
    };
    values.iter().enumerate().map(one).collect()
}

/// Values as one text.
pub fn joined<T: ToString>(values: &[T], between: &str) -> String {
    let texts: Vec<_> = values.iter().map(T::to_string).collect();
    texts.join(between)
}

/// Values as one text, with a word for none.
pub fn list<T: ToString>(values: &[T]) -> String {
    match values {
        [] => NONE.to_owned(),
        values => joined(values, ","),
    }
}

/// All of them; the word for none stands alone.
///
/// # Errors
/// The one that is wrong.
pub fn several<T, E: Into<Fault>>(
    values: &[String],
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, Misfit> {
    match values {
        [none] if none == NONE => Ok(Vec::new()),
        values => every(values, VALUES_MAX, read),
    }
}

/// All origins.
pub const ANY: &str = "*";
/// No folder.
pub const BUILT_IN: &str = "built-in";
/// No rule.
pub const NO_RULES: &str = "none";
/// What says who may send to users.
pub const PEER_FORM: &str = "anyone, user or off";
const PEERS: [(&str, Peer); 3] = [
    ("anyone", Peer::Anyone),
    ("user", Peer::User),
    ("off", Peer::Off),
];

/// Values of one repeating flag; each listener is a descriptor, each origin is compared per
/// request.
pub const VALUES_MAX: usize = 64;
/// No value of several.
pub const NONE: &str = "none";
