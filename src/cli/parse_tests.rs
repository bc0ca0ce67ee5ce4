//! Command lines as they are typed, and what comes of them.

use super::*;
use crate::cli::flag::env_name;
use crate::cli::help;
use crate::config::Listen;

fn command(args: &[&str], env: &[(&str, &str)]) -> Result<Command, Error> {
    let args = args.iter().map(OsString::from);
    parse(
        args,
        env.iter().map(|(name, value)| (name.into(), value.into())),
    )
}

/// The settings of a run with these arguments and variables.
pub(in crate::cli) fn run(args: &[&str], env: &[(&str, &str)]) -> Result<Settings, Error> {
    match command(args, env)? {
        Command::Run(settings) | Command::Check(settings, _) => Ok(settings),
        other => Err(Error::Unexpected {
            word: format!("{other:?}"),
            command: "run",
        }),
    }
}

/// The text of the error that these arguments and variables end in; empty when there is none.
pub(in crate::cli) fn refusal(args: &[&str], env: &[(&str, &str)]) -> String {
    command(args, env)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

fn timeout_ms(args: &[&str], env: &[(&str, &str)]) -> Option<u64> {
    run(args, env)
        .ok()
        .map(|settings| settings.config.session_timeout_ms)
}

fn origin(settings: &Settings, name: &str) -> Option<Origin> {
    table::find(name)
        .and_then(|(at, _)| settings.origins.get(at))
        .copied()
}

#[test]
fn nothing_given_is_a_run_with_the_defaults() {
    let Ok(settings) = run(&[], &[("PATH", "/bin"), ("HOME", "")]) else {
        panic!("refused")
    };
    assert_eq!(settings.config, Config::default());
    assert_eq!(settings.origins, vec![Origin::Default; FLAGS.len()]);
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_default() {
    let env = [("ORBITED_SESSION_TIMEOUT", "2m")];
    let flag = ["--session-timeout", "3m"];
    assert_eq!(timeout_ms(&[], &[]), Some(60_000));
    assert_eq!(timeout_ms(&[], &env), Some(120_000));
    assert_eq!(timeout_ms(&flag, &[]), Some(180_000));
    assert_eq!(timeout_ms(&flag, &env), Some(180_000));
    let origins = [(&[][..], Origin::Env), (&flag[..], Origin::Flag)];
    for (args, expected) in origins {
        let from = run(args, &env)
            .ok()
            .and_then(|s| origin(&s, "session-timeout"));
        assert_eq!(from, Some(expected));
    }
}

#[test]
fn a_variable_is_not_looked_at_when_its_flag_is_given() {
    assert_eq!(
        timeout_ms(
            &["--session-timeout=3m"],
            &[("ORBITED_SESSION_TIMEOUT", "x")]
        ),
        Some(180_000)
    );
}

#[test]
fn every_flag_and_every_variable_takes_its_own_default() {
    let config = Config::default();
    for flag in FLAGS {
        let text = flag.show(&config);
        let args = [&*format!("--{}={text}", flag.name)];
        for (args, env) in [
            (&args[..], None),
            (&[][..], Some((env_name(flag.name), text))),
        ] {
            let env: Vec<_> = env.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
            assert_eq!(
                run(args, &env).map(|s| s.config),
                Ok(config.clone()),
                "{args:?} {env:?}"
            );
        }
    }
}

#[test]
fn the_env_listing_is_read_back_as_the_defaults() {
    let listing = help::settings(ConfigFormat::Env);
    let lines = listing
        .lines()
        .filter_map(|line| line.strip_prefix("#ORBITED_"));
    let pairs: Vec<_> = lines.filter_map(|line| line.split_once('=')).collect();
    assert_eq!(pairs.len(), FLAGS.len());
    let env = pairs
        .iter()
        .map(|(n, v)| (format!("ORBITED_{n}").into(), OsString::from(v)));
    let Ok(Command::Run(settings)) = parse([].into_iter(), env) else {
        panic!("refused")
    };
    assert_eq!(settings.config, Config::default());
    assert_eq!(settings.origins, vec![Origin::Env; FLAGS.len()]);
}

#[test]
fn commands_are_told_apart() {
    let format = |args: &[&str]| match command(args, &[("ORBITED_BOGUS", "1")]) {
        Ok(Command::Config(format)) => Some(format),
        _ => None,
    };
    assert!(matches!(
        command(&["check", "--linger", "0s"], &[]),
        Ok(Command::Check(..))
    ));
    assert!(matches!(
        command(&["--linger", "0s", "check"], &[]),
        Ok(Command::Check(..))
    ));
    assert_eq!(format(&["config"]), Some(ConfigFormat::Text));
    assert_eq!(
        format(&["config", "--markdown"]),
        Some(ConfigFormat::Markdown)
    );
    assert_eq!(format(&["config", "--env"]), Some(ConfigFormat::Env));
    for args in [
        &["version"][..],
        &["--version"],
        &["-V"],
        &["check", "--version"],
    ] {
        assert_eq!(
            command(args, &[("ORBITED_BOGUS", "1")]),
            Ok(Command::Version)
        );
    }
    for args in [
        &["--help"][..],
        &["-h"],
        &["check", "-h"],
        &["config", "--help"],
        &["--op", "x", "-h"],
    ] {
        assert_eq!(command(args, &[("ORBITED_BOGUS", "1")]), Ok(Command::Help));
    }
}

#[test]
fn a_misplaced_argument_is_refused() {
    assert_eq!(
        refusal(&["config", "--toml"], &[]),
        "unexpected argument --toml for config (see --help)"
    );
    assert!(refusal(&["config", "--env", "--markdown"], &[]).contains("--markdown for config"));
    assert!(refusal(&["config", "--env=x"], &[]).contains("--env=x for config"));
    assert!(refusal(&["--backlog", "9", "config"], &[]).contains("--backlog for config"));
    assert!(refusal(&["version", "now"], &[]).contains("now for version"));
    assert_eq!(
        refusal(&["chek"], &[]),
        "unknown command chek (did you mean check?)"
    );
    assert_eq!(
        refusal(&["serve"], &[]),
        "unknown command serve (there are check, config, version, publish, sessions, channels and kick)"
    );
}

#[test]
fn a_key_that_is_none_is_not_repeated() {
    let said = refusal(&["--api-key", "hunter2"], &[]);
    assert!(
        said.starts_with("--api-key: a key is at least 16"),
        "{said}"
    );
    let said = refusal(&[], &[("ORBITED_API_KEY", "hunter2")]);
    assert!(
        said.starts_with("ORBITED_API_KEY: a key is at least 16"),
        "{said}"
    );
    let none = run(&["--api-key", "none"], &[]).map(|settings| settings.config.api_keys);
    assert_eq!(none, Ok(Vec::new()));
}

#[test]
fn check_takes_names_of_channels_and_nothing_else() {
    let names = |args: &[&str]| match command(args, &[]) {
        Ok(Command::Check(_, names)) => names,
        other => panic!("{other:?}"),
    };
    assert_eq!(names(&["check"]), [] as [&str; 0]);
    let args = ["check", "chat/a", "--linger", "0s", "b*", "a b"];
    assert_eq!(names(&args), ["chat/a", "b*", "a b"]);
    assert_eq!(
        refusal(&["check", "chat/*"], &[]),
        "check chat/*: a pattern stands for many channels, name one of them"
    );
    assert_eq!(
        refusal(&["check", "/orbit/signoff"], &[]),
        "check /orbit/signoff: a channel is segments joined by single slashes, as in chat/room1"
    );
    let long = "x".repeat(256);
    assert!(refusal(&["check", &long], &[]).ends_with("at most 255 bytes"));
}

#[test]
fn rules_for_channels_are_kept_in_their_order() {
    let shown = |args: &[&str], env: &[(&str, &str)]| {
        let settings = run(args, env)?;
        let rules = settings.config.policies.rules().iter();
        Ok::<_, Error>(rules.map(ToString::to_string).collect::<Vec<_>>())
    };
    let both = ["** publish=user", "chat/** history=100,1h presence"];
    let flags = ["--channel", both[0], "--channel", both[1]];
    let variable = [(
        "ORBITED_CHANNEL",
        "** publish=user; chat/** history=100,1h presence",
    )];
    assert_eq!(shown(&flags, &[]), Ok(both.map(str::to_owned).to_vec()));
    assert_eq!(shown(&[], &variable), Ok(both.map(str::to_owned).to_vec()));
    assert_eq!(shown(&["--channel", "none"], &variable), Ok(Vec::new()));
}

#[test]
fn a_rule_that_is_wrong_is_named_with_its_cure() {
    assert_eq!(
        refusal(&["--channel", "chat/** publish=usr"], &[]),
        "--channel chat/** publish=usr: publish=usr: must be anyone, user, app or token (did you mean user?)"
    );
    assert_eq!(
        refusal(&["--channel", "a presence", "--channel", "a \u{7}=1"], &[]),
        "--channel a \\u{7}=1: no key \\u{7} (there are subscribe, publish, history, presence, message, rate, slow, lazy)"
    );
    assert_eq!(
        refusal(&[], &[("ORBITED_CHANNEL", "a presence; b")]),
        "ORBITED_CHANNEL= b: must be PATTERN KEY=VALUE …, like 'chat/** history=100,1h presence publish=user'"
    );
    assert_eq!(
        refusal(&["--channel", "a message=256KiB"], &[]),
        "--channel a message=256KiB: larger than --max-message 128KiB; lower the one or raise the other"
    );
    assert_eq!(
        refusal(&["--peer", "none"], &[]),
        "--peer none: must be anyone, user or off"
    );
    let many: Vec<String> = (0..10_000).map(|n| format!("c{n} presence")).collect();
    let args: Vec<&str> = many.iter().flat_map(|rule| ["--channel", rule]).collect();
    assert_eq!(
        refusal(&args, &[]),
        "--channel c1000 presence: too many, at most 1000 values"
    );
    assert!(run(&args[..2_000], &[]).is_ok());
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_one() {
    assert_eq!(
        refusal(&["--sesion-timeout", "5s"], &[]),
        "unknown flag --sesion-timeout (did you mean --session-timeout?)"
    );
    assert_eq!(
        refusal(&["--hlep"], &[]),
        "unknown flag --hlep (did you mean --help?)"
    );
    assert_eq!(
        refusal(&["--tls-certificate", "x"], &[]),
        "unknown flag --tls-certificate (see --help)"
    );
    assert_eq!(refusal(&["-p"], &[]), "unknown flag -p (see --help)");
    assert_eq!(
        refusal(&[], &[("ORBITED_MAX_SESSION", "5")]),
        "unknown environment variable ORBITED_MAX_SESSION (did you mean ORBITED_MAX_SESSIONS?)"
    );
    let two = [("ORBITED_ZZZZZZ", ""), ("ORBITED_QQQQQQ", "")];
    assert_eq!(
        refusal(&[], &two),
        "unknown environment variable ORBITED_QQQQQQ (see orbited config --env)"
    );
}

#[test]
fn a_wrong_value_is_named_with_its_flag_and_the_cure() {
    let bare = ["--session-timeout", "5"];
    assert_eq!(
        refusal(&bare, &[]),
        "--session-timeout 5: needs a unit (did you mean 5s?)"
    );
    assert_eq!(
        refusal(&[], &[("ORBITED_SESSION_TIMEOUT", "5")]),
        "ORBITED_SESSION_TIMEOUT=5: needs a unit (did you mean 5s?)"
    );
    assert_eq!(
        refusal(&["--backlog=0"], &[]),
        "--backlog 0: too small, the least is 1"
    );
    assert_eq!(
        refusal(&["--max-queue", "2TiB"], &[]),
        "--max-queue 2TiB: too large, the most is 1GiB"
    );
    assert_eq!(
        refusal(&["--max-head", "64KB"], &[]),
        "--max-head 64KB: must be a whole number with a unit, like 64KiB (B, KiB, MiB, GiB, TiB) \
         (did you mean 64KiB?)"
    );
    assert!(refusal(&["--log", "inof"], &[]).ends_with("(did you mean info?)"));
}

#[test]
fn a_flag_of_one_value_is_not_given_twice() {
    let twice = ["--linger", "1s", "--linger", "1s"];
    assert_eq!(
        refusal(&twice, &[]),
        "--linger: given twice, takes one value"
    );
    assert_eq!(
        refusal(&["--reuse-port", "--reuse-port"], &[]),
        "--reuse-port: given twice, takes one value"
    );
}

#[test]
fn a_flag_without_its_value_is_refused_with_the_form() {
    let expected = "--linger: needs a value: a whole number with a unit, like 30s (ms, s, m, h)";
    assert_eq!(refusal(&["--linger"], &[]), expected);
}

#[test]
fn a_switch_is_on_when_named_and_off_when_said() {
    let reuse = |args: &[&str], env: &[(&str, &str)]| run(args, env).map(|s| s.config.reuse_port);
    let on = [("ORBITED_REUSE_PORT", "true")];
    assert_eq!(reuse(&["--reuse-port"], &[]), Ok(true));
    assert_eq!(reuse(&[], &on), Ok(true));
    assert_eq!(reuse(&["--reuse-port=false"], &on), Ok(false));
    assert_eq!(
        refusal(&["--reuse-port=yes"], &[]),
        "--reuse-port yes: must be true or false"
    );
    assert!(refusal(&["--reuse-port", "true"], &[]).starts_with("unknown command true"));
}

#[test]
fn a_repeated_flag_keeps_every_value_and_a_variable_splits_at_commas() {
    let both = vec![
        Listen::Tcp(([127, 0, 0, 1], 0).into()),
        Listen::Unix("/run/o".into()),
    ];
    let flags = run(&["--listen", "127.0.0.1:0", "--listen=unix:/run/o"], &[]);
    assert_eq!(flags.map(|s| s.config.listen), Ok(both.clone()));
    let variable = run(&[], &[("ORBITED_LISTEN", "127.0.0.1:0,unix:/run/o")]);
    assert_eq!(variable.map(|s| s.config.listen), Ok(both));
    let wrong = refusal(&[], &[("ORBITED_LISTEN", "127.0.0.1:0,nowhere")]);
    assert!(
        wrong.starts_with("ORBITED_LISTEN=nowhere: must be ADDR:PORT"),
        "{wrong}"
    );
}

#[cfg(unix)]
#[test]
fn values_that_are_not_text_are_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let args = [
        OsString::from("--log"),
        OsStr::from_bytes(b"a\xff").to_owned(),
    ];
    let text = parse(args.into_iter(), [].into_iter())
        .err()
        .map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("--log a\u{fffd}: not UTF-8"));
}
