//! The flags of callbacks: rows of the table beside it.
//!
//! In: a flag's texts. Out: fields of `Config`, or the `Fault`.

use super::fields::{every, joined, list, several};
use super::flag::{Flag, Group, Kind, Misfit, Number};
use super::value;
use crate::config::callback::{CALLBACK_FORM, CALLBACKS_MAX};
use crate::config::decider::{DECIDER_FORM, MATTERS};
use crate::config::secret::API_KEY_FORM;
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
