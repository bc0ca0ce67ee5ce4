//! The flags of callbacks, and of whoever speaks by them: rows of the table beside it.
//!
//! In: a flag's texts. Out: fields of `Config`, or the `Fault`.

use super::error::Fault;
use super::fields::{every, joined, list, several};
use super::flag::{Flag, Group, Kind, Misfit, Number};
use super::value;
use crate::config::callback::{CALLBACK_FORM, CALLBACKS_MAX};
use crate::config::decider::{DECIDER_FORM, MATTERS};
use crate::config::secret::API_KEY_FORM;
use crate::config::units::Misread;
use crate::config::{Callback, Config, Decider};

/// Where events go.
pub const URL: Flag = Flag {
    name: "callback",
    group: Group::Callbacks,
    kind: Kind::Words {
        placeholder: "URL",
        form: CALLBACK_FORM,
        between: ';',
        read: |config| match config.callbacks.is_empty() {
            true => NO_CALLBACKS.to_owned(),
            false => joined(&config.callbacks, "; "),
        },
        write: set_callbacks,
    },
    help: "A URL of the application to which events are posted, with what it wants: events=signoff as=json|form batch=100. A variable has ; between them.",
};

/// Who is asked.
pub const DECIDE: Flag = Flag {
    name: "decide",
    group: Group::Callbacks,
    kind: Kind::Words {
        placeholder: "URL",
        form: DECIDER_FORM,
        between: ';',
        read: |config| match config.deciders.is_empty() {
            true => NO_CALLBACKS.to_owned(),
            false => joined(&config.deciders, "; "),
        },
        write: |config, values| {
            let none = values.len() == 1 && values.iter().all(|text| text == NO_CALLBACKS);
            config.deciders = match none {
                true => Vec::new(),
                false => every(values, MATTERS.len(), Decider::parse)?,
            };
            Ok(())
        },
    },
    help: "A URL of the application that is asked before a session begins or takes a name (signon), reads (subscribe) or publishes to (publish) a channel of subscribe=ask, publish=ask, and for the answer to a call: events=signon,call as=json|form fail=closed|open lanes=8. A variable has ; between them.",
};

/// What signs them.
pub const KEY: Flag = Flag {
    name: "callback-key",
    group: Group::Callbacks,
    kind: Kind::Words {
        placeholder: "KEY|@FILE",
        form: API_KEY_FORM,
        between: ',',
        read: |config| list(&config.callback_keys),
        write: |config, values| {
            config.callback_keys = several(values, value::api_key)?;
            Ok(())
        },
    },
    help: "A key that signs what is posted (Orbited-Signature); of several, each. A file has one on each line.",
};

/// How many wait.
pub const QUEUE: Flag = Flag {
    name: "callback-queue",
    group: Group::Callbacks,
    kind: Kind::Size(Number {
        min: 64 << 10,
        max: 1 << 30,
        read: |config| config.callback_queue as u64,
        write: |config, n| n.try_into().map(|n| config.callback_queue = n).is_ok(),
    }),
    help: "Bytes of events waiting for one URL; beyond it the oldest go, and the next request says how many.",
};

/// How long an answer may take.
pub const TIMEOUT: Flag = Flag {
    name: "callback-timeout",
    group: Group::Callbacks,
    kind: Kind::Time(Number {
        min: 100,
        max: 600_000,
        read: |config| config.callback_timeout_ms,
        write: |config, n| {
            config.callback_timeout_ms = n;
            true
        },
    }),
    help: "How long a URL may take to be connected to and to answer.",
};

fn set_callbacks(config: &mut Config, values: &[String]) -> Result<(), Misfit> {
    let none = values.len() == 1 && values.iter().all(|text| text == NO_CALLBACKS);
    config.callbacks = match none {
        true => Vec::new(),
        false => every(values, CALLBACKS_MAX, Callback::parse)?,
    };
    Ok(())
}

const NO_CALLBACKS: &str = "none";

/// Who speaks.
pub const NODE: Flag = Flag {
    name: "node-name",
    group: Group::Callbacks,
    kind: Kind::Word {
        placeholder: "NAME",
        form: NODE_FORM,
        read: |config| match config.node_name.as_str() {
            "" => HOST.to_owned(),
            name => name.to_owned(),
        },
        write: set_node_name,
    },
    help: "What events call this node, where several tell one application; host is the host's name.",
};

/// The word for the host's name is no name yet.
fn set_node_name(config: &mut Config, text: &str) -> Result<(), Fault> {
    let is_word = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > NODE_NAME_MAX || !is_word {
        let (form, near) = (NODE_FORM, None);
        return Err(Misread::Malformed { form, near }.into());
    }
    config.node_name = match text {
        HOST => String::new(),
        name => name.to_owned(),
    };
    Ok(())
}

const NODE_FORM: &str = "up to 64 ASCII letters, digits and signs";
const HOST: &str = "host";
const NODE_NAME_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_called_by_a_word_or_as_its_host_is() {
        let mut config = Config::default();
        let long = "x".repeat(NODE_NAME_MAX + 1);
        for text in ["", "two words", "n\u{e9}", "a\n", &long] {
            assert!(set_node_name(&mut config, text).is_err(), "{text:?}");
        }
        assert!(set_node_name(&mut config, "web-1.example").is_ok());
        assert_eq!(config.node_name, "web-1.example");
        assert!(set_node_name(&mut config, HOST).is_ok());
        assert_eq!(config.node_name, "");
    }
}
