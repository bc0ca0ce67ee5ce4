//! Settings that must agree with each other, looked at once all of them are known.
//!
//! Data in: `Settings` whose values each fit their own row. Data out: the first disagreement, as an
//! error about the setting that must change. This file must not know where values were read from.

use super::error::{Error, Fault, Setting};
use super::value::on_loopback;
use super::{Origin, Settings, table};
use crate::config::decider::MATTERS;
use crate::config::keys;
use crate::config::rule::Rule;
use crate::config::{Listen, Names};

/// Refuses settings that cannot work together, or that demo mode forbids.
pub fn agree(settings: &Settings) -> Result<(), Error> {
    addresses_are_local(settings)?;
    addresses_differ(settings)?;
    let config = &settings.config;
    rules_fit(settings)?;
    deciders_agree(settings)?;
    let checked = !config.token_keys.is_empty() || !config.token_jwks.is_empty();
    if config.names == Names::Anyone && checked {
        let name = "anyone".to_owned();
        return Err(error(settings, "names", name, Fault::NamesOfTokens));
    }
    fits(
        settings,
        ("max-message", config.max_message),
        ("max-queue", config.max_queue),
    )?;
    fits(
        settings,
        ("max-queue", config.max_queue),
        ("max-queue-total", config.max_queue_total),
    )
}

/// Without a flag of the authentication group a node is in demo mode: anyone who can connect may publish, so only this
/// machine can. With one the application's address is for others too where it asks for a key.
fn addresses_are_local(settings: &Settings) -> Result<(), Error> {
    let config = &settings.config;
    match addresses(settings).find(|(_, address)| !address.is_local()) {
        _ if !config.demo => match config.internal.as_ref().filter(|it| !it.is_local()) {
            Some(address) if config.api_keys.is_empty() => {
                let address = address.to_string();
                Err(error(settings, "internal", address, Fault::NoApiKey))
            }
            _ => Ok(()),
        },
        None => Ok(()),
        Some((flag, address)) => {
            let fault = Fault::NotLoopback {
                near: on_loopback(address),
            };
            Err(error(settings, flag, address.to_string(), fault))
        }
    }
}

fn addresses_differ(settings: &Settings) -> Result<(), Error> {
    let free = |address: &Listen| matches!(address, Listen::Tcp(tcp) if tcp.port() == 0);
    for (at, (flag, address)) in addresses(settings).enumerate() {
        let before = addresses(settings)
            .take(at)
            .find(|(_, other)| *other == address);
        if let (Some((by, _)), false) = (before, free(address)) {
            return Err(error(
                settings,
                flag,
                address.to_string(),
                Fault::Taken { by },
            ));
        }
    }
    Ok(())
}

fn addresses(settings: &Settings) -> impl Iterator<Item = (&'static str, &Listen)> {
    let config = &settings.config;
    let internal = config.internal.iter().map(|address| ("internal", address));
    let op = config.op.iter().map(|address| ("op", address));
    let stomp = config.stomp.iter().map(|address| ("stomp", address));
    settings
        .config
        .listen
        .iter()
        .map(|address| ("listen", address))
        .chain(internal)
        .chain(op)
        .chain(stomp)
}

/// A rule that allows larger messages than the node would be a promise it does not keep.
fn rules_fit(settings: &Settings) -> Result<(), Error> {
    let bound = settings.config.max_message;
    let too_much = |setting: &keys::Setting| matches!(setting, keys::Setting::Message(Some(max)) if *max > bound);
    let rules = settings.config.policies.rules().iter();
    let wrong = rules.filter(|rule| rule.settings().iter().any(too_much));
    match wrong.map(Rule::to_string).next() {
        None => Ok(()),
        Some(rule) => {
            let fault = Fault::Exceeds {
                other: "max-message",
                limit: text(settings, "max-message"),
            };
            Err(error(settings, "channel", rule, fault))
        }
    }
}

/// Each matter is decided at one URL, and what a rule asks at some.
fn deciders_agree(settings: &Settings) -> Result<(), Error> {
    let config = &settings.config;
    if config.op_welcome && config.op.is_none() {
        return Err(error(settings, "op-welcome", "true".into(), Fault::NoOp));
    }
    for matter in MATTERS {
        let mut deciders = config.deciders.iter().filter(|one| one.decides(matter));
        let (first, second) = (deciders.next(), deciders.next());
        let second = second.or(first.filter(|_| *matter == "signon" && config.op_welcome));
        if let Some(second) = second {
            let fault = Fault::TwoDecide { matter };
            return Err(error(settings, "decide", second.to_string(), fault));
        }
        let asks = |setting: &keys::Setting| setting.asks() == Some(*matter);
        let mut rules = config.policies.rules().iter();
        let asking = rules.find(|rule| rule.settings().iter().any(asks));
        if let (None, Some(rule)) = (first, asking) {
            let fault = Fault::NobodyDecides { matter };
            return Err(error(settings, "channel", rule.to_string(), fault));
        }
    }
    Ok(())
}

/// What the one setting allows must fit into the other; both in the same unit.
fn fits(
    settings: &Settings,
    (inner, inner_n): (&'static str, usize),
    (outer, outer_n): (&'static str, usize),
) -> Result<(), Error> {
    if inner_n <= outer_n {
        return Ok(());
    }
    let fault = Fault::Exceeds {
        other: outer,
        limit: text(settings, outer),
    };
    Err(error(settings, inner, text(settings, inner), fault))
}

fn text(settings: &Settings, name: &str) -> String {
    table::find(name).map_or(String::new(), |(_, flag)| flag.show(&settings.config))
}

fn error(settings: &Settings, flag: &'static str, value: String, fault: Fault) -> Error {
    let row = table::find(flag).and_then(|(at, _)| settings.origins.get(at));
    let origin = row.copied().unwrap_or(Origin::Default);
    Error::Value {
        setting: Setting {
            origin,
            flag,
            value,
        },
        fault,
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::parse::tests::{refusal, run};
    use crate::config::policy::{Peer, Who};

    #[test]
    fn other_machines_are_refused_with_the_cure() {
        assert_eq!(
            refusal(&["--listen", "0.0.0.0:8000"], &[]),
            "--listen 0.0.0.0:8000: without authentication a node listens on loopback only; use \
             127.0.0.1:8000 or unix:PATH, or say by --token-key or --names who may connect"
        );
        assert!(refusal(&["--listen", "[::]:80"], &[]).contains("use [::1]:80 or"));
        let env = [("ORBITED_INTERNAL", "10.0.0.1:8001")];
        assert!(refusal(&[], &env).starts_with("ORBITED_INTERNAL=10.0.0.1:8001: without"));
        assert!(
            refusal(&["--listen", "127.0.0.1:1", "--listen", "1.1.1.1:1"], &[])
                .contains("1.1.1.1:1: without")
        );
    }

    #[test]
    fn all_of_loopback_and_unix_sockets_are_allowed() {
        for address in [
            "127.0.0.1:0",
            "127.1.2.3:80",
            "[::1]:80",
            "unix:/run/orbited",
        ] {
            assert!(run(&["--listen", address], &[]).is_ok(), "{address}");
        }
    }

    #[test]
    fn an_address_is_taken_once_unless_its_port_is_free_to_choose() {
        assert_eq!(
            refusal(&["--internal", "127.0.0.1:8000"], &[]),
            "--internal 127.0.0.1:8000: already taken by --listen"
        );
        assert!(refusal(&["--listen", "unix:/a", "--listen", "unix:/a"], &[]).contains("taken"));
        assert!(
            run(
                &["--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0"],
                &[]
            )
            .is_ok()
        );
    }

    #[test]
    fn each_matter_has_one_that_decides_and_what_is_asked_has_some() {
        let decide = |rest: &[&'static str]| {
            let first = ["--decide", "http://app/a events=signon,publish"];
            [&first[..], rest].concat()
        };
        assert!(run(&decide(&["--channel", "a/** publish=ask"]), &[]).is_ok());
        let two = refusal(&decide(&["--decide", "http://app/b events=signon"]), &[]);
        assert!(
            two.contains("another --decide decides about signon already"),
            "{two}"
        );
        let by_op = refusal(&decide(&["--op-welcome"]), &[]);
        assert!(by_op.contains("or --op-welcome"), "{by_op}");
        let off = refusal(&["--op-welcome", "--op", "off"], &[]);
        assert!(off.contains("--op is off"), "{off}");
        let none = refusal(&decide(&["--channel", "a/** subscribe=ask"]), &[]);
        assert!(none.contains("no --decide has events=subscribe"), "{none}");
    }

    #[test]
    fn a_message_must_fit_a_queue_and_a_queue_the_total() {
        assert_eq!(
            refusal(&["--max-message", "2MiB"], &[]),
            "--max-message 2MiB: larger than --max-queue 1MiB; lower the one or raise the other"
        );
        assert!(refusal(&["--max-queue", "1GiB"], &[]).contains("--max-queue-total 512MiB"));
        assert!(run(&["--max-message", "2MiB", "--max-queue", "2MiB"], &[]).is_ok());
    }

    #[test]
    fn any_flag_of_authentication_closes_what_no_rule_opens() {
        let closed = |args: &[&str]| {
            let config = run(args, &[]).unwrap().config;
            let policy = config.policies.of("a");
            (config.demo, policy.subscribe, policy.publish, config.peer)
        };
        let open = (true, Who::Anyone, Who::Anyone, Peer::Anyone);
        let shut = (false, Who::Token, Who::Token, Peer::User);
        assert_eq!(closed(&[]), open);
        assert_eq!(closed(&["--api-key", "none", "--names", "token"]), open);
        for flags in [
            ["--api-key", "abcdefghijklmnop"],
            ["--names", "anyone"],
            ["--token-jwks", "/run/keys"],
        ] {
            assert_eq!(closed(&flags), shut, "{flags:?}");
        }
        let opened = [
            "--api-key=abcdefghijklmnop",
            "--peer=anyone",
            "--channel",
            "* subscribe=anyone",
        ];
        let some = (false, Who::Anyone, Who::Token, Peer::Anyone);
        assert_eq!(closed(&opened), some);
    }
}
