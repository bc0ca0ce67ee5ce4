//! Rules as they are typed, and what they come to for a name.

use super::*;
use crate::config::policy::{History, Policies, Policy, Presence, RULES_MAX, Rate, Slow, Who};
use crate::rng::Rng;

fn policies(rules: &[&str]) -> Policies {
    Policies::new(
        rules
            .iter()
            .map(|text| Rule::parse(text).unwrap())
            .collect(),
    )
}

fn said(text: &str) -> String {
    Rule::parse(text)
        .err()
        .map(|bad| bad.to_string())
        .unwrap_or_default()
}

/// The settings of a rule as they are shown.
fn shown(text: &str) -> String {
    let rule = Rule::parse(text).unwrap();
    let shown = rule.settings().iter();
    let shown: Vec<_> = shown.map(|s| format!("{}={s}", s.key().name)).collect();
    shown.join(" ")
}

#[test]
fn every_value_of_every_key_is_read_and_shown() {
    for (typed, meant) in [
        ("subscribe=anyone publish=user", ""),
        ("subscribe=app publish=token", ""),
        ("history=100", "history=100,1h,1MiB"),
        ("history=100,30s", "history=100,30s,1MiB"),
        ("history=100,64KiB", "history=100,1h,64KiB"),
        ("history=1_000,2MiB,30m", "history=1000,30m,2MiB"),
        ("history=off", ""),
        ("presence", "presence=list"),
        ("lazy", "lazy=5s"),
        ("lazy=30s", ""),
        ("lazy=off", ""),
        ("presence=list", ""),
        ("presence=count", ""),
        ("presence=off", ""),
        ("message=4096B", "message=4KiB"),
        ("message=max", ""),
        ("rate=10/s", ""),
        ("rate=10/s,64KiB/s", ""),
        ("rate=off", ""),
        ("slow=close", ""),
        ("slow=drop-oldest", ""),
        ("slow=latest", ""),
        ("slow=every=2000ms", "slow=every=2s"),
    ] {
        let meant = if meant.is_empty() { typed } else { meant };
        assert_eq!(shown(&format!("a {typed}")), meant);
        assert_eq!(shown(&format!("a {meant}")), meant);
    }
}

#[test]
fn blanks_between_words_are_any_and_one_is_shown() {
    let rule = Rule::parse(" \t chat/**   presence\n publish=app ").unwrap();
    assert_eq!(rule.to_string(), "chat/** presence publish=app");
}

#[test]
fn the_table_of_keys_says_the_defaults() {
    for setting in Policy::default().settings() {
        assert_eq!(setting.to_string(), setting.key().default);
        let typed = format!("a {}={setting}", setting.key().name);
        assert_eq!(Rule::parse(&typed).unwrap().settings(), [setting]);
    }
}

#[test]
fn a_rule_that_is_none_is_refused_with_the_cause_and_the_cure() {
    let form = "must be PATTERN KEY=VALUE …, like 'chat/** history=100,1h presence publish=user'";
    assert_eq!(said(""), form);
    assert_eq!(said("  "), form);
    assert_eq!(said("chat/**"), form);
    assert_eq!(
        said("history=100 chat/**"),
        format!("the channels stand first: it {form}")
    );
    assert_eq!(
        said("/chat/** presence"),
        "/chat/** is no channel or pattern: a channel is segments joined by single slashes, as in chat/room1 \
         (did you mean chat/**?)"
    );
    assert_eq!(
        said("a/*/b presence"),
        "a/*/b is no channel or pattern: * and ** stand only as the last segment (did you mean a/**?)"
    );
    assert_eq!(
        said("a* presence"),
        "a* is no channel or pattern: an asterisk stands alone as the last segment, as in chat/* or chat/**"
    );
    assert_eq!(
        said("a histroy=100"),
        "no key histroy (did you mean history?)"
    );
    assert_eq!(
        said("a chat/b presence"),
        "no key chat/b (there are subscribe, publish, history, presence, message, rate, slow, lazy)"
    );
    assert_eq!(
        said("a publish=app publish=app"),
        "publish: given twice in one rule"
    );
    assert_eq!(
        said("a presence presence=off"),
        "presence: given twice in one rule"
    );
    assert_eq!(
        said("a publish"),
        "publish needs a value: publish=anyone|user|app|token|ask"
    );
    assert_eq!(
        said("a publish=users"),
        "publish=users: must be anyone, user, app or token (did you mean user?)"
    );
}

#[test]
fn a_value_that_is_none_is_refused_with_the_cause_and_the_cure() {
    for (typed, cause) in [
        ("subscribe=", "must be anyone, user, app or token"),
        (
            "publish=none",
            "must be anyone, user, app or token (did you mean app?)",
        ),
        ("presence=yes", "must be list, count or off"),
        (
            "presence=lists",
            "must be list, count or off (did you mean list?)",
        ),
        ("history=", "must be a whole number, like 1000 or 1_000"),
        ("history=0", "too small, the least is 1"),
        ("history=2000000", "too large, the most is 1000000"),
        ("history=100,5", "needs a unit (did you mean 5s?)"),
        ("history=100,721h", "too large, the most is 720h"),
        (
            "history=100,1KB",
            "must be a whole number with a unit, like 64KiB (B, KiB, MiB, GiB, TiB) (did you mean 1KiB?)",
        ),
        (
            "history=100,1h,2h",
            "must be N[,TIME][,SIZE] like 100,1h,1MiB, or off",
        ),
        (
            "history=100,1h,1KiB,1KiB",
            "must be N[,TIME][,SIZE] like 100,1h,1MiB, or off",
        ),
        (
            "history=100,",
            "must be a whole number with a unit, like 30s (ms, s, m, h)",
        ),
        ("message=64", "needs a unit (did you mean 64B?)"),
        ("message=1GiB", "too large, the most is 64MiB"),
        ("message=0B", "too small, the least is 1B"),
        (
            "rate=10",
            "must be N/s[,SIZE/s] like 10/s or 10/s,64KiB/s, or off (did you mean 10/s?)",
        ),
        (
            "rate=10/m",
            "must be N/s[,SIZE/s] like 10/s or 10/s,64KiB/s, or off",
        ),
        ("rate=0/s", "too small, the least is 1"),
        ("rate=10/s,64/s", "needs a unit (did you mean 64B?)"),
        (
            "rate=10/s,64KiB",
            "must be N/s[,SIZE/s] like 10/s or 10/s,64KiB/s, or off",
        ),
        (
            "rate=10/s,1KiB/s,1KiB/s",
            "must be a whole number with a unit, like 64KiB (B, KiB, MiB, GiB, TiB) (did you mean 1KiB?)",
        ),
        (
            "slow=drop",
            "must be close, drop-oldest, latest or every=TIME",
        ),
        (
            "slow=lates",
            "must be close, drop-oldest, latest or every=TIME (did you mean latest?)",
        ),
        ("slow=every=2", "needs a unit (did you mean 2s?)"),
        (
            "slow=every=",
            "must be a whole number with a unit, like 30s (ms, s, m, h)",
        ),
        ("slow=every=1ms", "too small, the least is 10ms"),
    ] {
        assert_eq!(said(&format!("a {typed}")), format!("{typed}: {cause}"));
    }
}

#[test]
fn the_last_rule_that_matches_decides_key_by_key() {
    let policies = policies(&[
        "** publish=user history=10",
        "chat/** presence=list history=100,1h",
        "chat/* slow=latest",
        "chat/news publish=app presence=off history=off",
        "chat/** rate=5/s",
    ]);
    let history = |messages| {
        Some(History {
            messages,
            bytes: 1 << 20,
            ttl_ms: 3_600_000,
        })
    };
    let rate = Some(Rate {
        messages: 5,
        bytes: None,
    });
    let plain = Policy {
        publish: Who::User,
        history: history(10),
        ..Policy::default()
    };
    let chat = Policy {
        presence: Presence::List,
        history: history(100),
        rate,
        ..plain.clone()
    };
    let room = Policy {
        slow: Slow::Latest,
        ..chat.clone()
    };
    let news = Policy {
        publish: Who::App,
        history: None,
        presence: Presence::Off,
        ..room.clone()
    };
    assert_eq!(policies.of("other"), plain);
    assert_eq!(policies.of("chat"), plain);
    assert_eq!(policies.of("chat/a/b"), chat);
    assert_eq!(policies.of("chat/a"), room);
    assert_eq!(policies.of("chat/news"), news);
    assert_eq!(policies.of("/orbit/signoff"), Policy::default());
}

#[test]
fn what_decides_each_key_is_explained() {
    let policies = policies(&[
        "** publish=user history=10",
        "chat/** presence publish=token",
        "chat/news history=off",
        "other/** publish=app",
    ]);
    let explained = policies.explain("chat/news");
    let lines: Vec<_> = explained
        .iter()
        .map(|part| {
            let by = part.rule.map_or("default".to_owned(), Rule::to_string);
            format!("{}={} {by}", part.key.name, part.setting)
        })
        .collect();
    assert_eq!(
        lines,
        [
            "subscribe=anyone default",
            "publish=token chat/** presence publish=token",
            "history=off chat/news history=off",
            "presence=list chat/** presence publish=token",
            "message=max default",
            "rate=off default",
            "slow=close default",
            "lazy=off default",
        ]
    );
}

/// The slow twin of `of`: for each key, walk the rules backwards.
#[test]
fn a_thousand_rules_come_to_no_more_policies_than_there_are_rules() {
    let mut rng = Rng::new([7; 32]);
    let mut below = |n: u64| (rng.next_u64() % n) as usize;
    let mut name = |wild: &[&str]| {
        let depth = below(4) + 1;
        let mut segments: Vec<&str> = (0..depth).map(|_| ["a", "b", "c"][below(3)]).collect();
        if !wild.is_empty() {
            segments.push(wild[below(wild.len() as u64)]);
        }
        (segments.join("/"), below(1_000_000))
    };
    let rules: Vec<Rule> = (0..RULES_MAX)
        .map(|n| {
            let (pattern, history) = name([&["*", "**"][..], &[], &["a"]][n % 3]);
            let key = ["rate", "history"][n % 2];
            let unit = ["/s", ""][n % 2];
            Rule::parse(&format!("{pattern} {key}={}{unit}", history + 1)).unwrap()
        })
        .collect();
    let policies = Policies::new(rules);
    let mut distinct: Vec<Policy> = Vec::new();
    for _ in 0..20_000 {
        let (name, _) = name(&[]);
        let policy = policies.of(&name);
        let last = |key: &str| {
            let rules = policies
                .rules()
                .iter()
                .rev()
                .filter(|rule| rule.matches(&name));
            let mut settings = rules.flat_map(Rule::settings);
            settings.find(|setting| setting.key().name == key).copied()
        };
        let history = last("history").unwrap_or(Setting::History(None));
        let rate = last("rate").unwrap_or(Setting::Rate(None));
        assert_eq!(Setting::History(policy.history), history);
        assert_eq!(Setting::Rate(policy.rate), rate);
        if !distinct.contains(&policy) {
            distinct.push(policy);
        }
    }
    assert!(distinct.len() > 20, "{}", distinct.len());
    assert!(distinct.len() <= RULES_MAX + 1, "{}", distinct.len());
}

#[test]
fn text_that_nobody_would_type_is_refused_and_nothing_else() {
    let mut rng = Rng::new([9; 32]);
    let pieces = [
        "a",
        "/",
        "*",
        "**",
        "=",
        ",",
        " ",
        "history",
        "publish",
        "rate",
        "slow",
        "every",
        "presence",
        "9",
        "99999999999999999999",
        "/s",
        "KiB",
        "h",
        "é",
        "\0",
        "\u{2028}",
        "user",
        "off",
        "-",
        "_",
    ];
    for _ in 0..50_000 {
        let count = rng.next_u64() % 12;
        let text: String = (0..count)
            .map(|_| pieces[(rng.next_u64() % pieces.len() as u64) as usize])
            .collect();
        // What is read is read again from how it is shown.
        if let Ok(rule) = Rule::parse(&text) {
            assert_eq!(Rule::parse(&rule.to_string()), Ok(rule));
        }
    }
}

#[test]
fn without_the_operators_rules_the_demo_page_has_a_past_and_nobody_else() {
    let policies = Policies::of_the_demo();
    assert!(policies.is_open());
    let demo = policies.of("demo/board");
    assert_eq!(demo.history.map(|kept| kept.messages), Some(5_000));
    assert_eq!(demo.presence, Presence::List);
    for other in ["demo", "demo/board/cursors", "chat", "room/demo/x"] {
        assert_eq!(policies.of(other), Policy::default(), "{other}");
    }
}

#[test]
fn rules_about_who_may_do_something_are_told_from_others() {
    for (rule, open) in [
        ("** history=5 rate=1/s", true),
        ("a publish=user", false),
        ("a subscribe=app", false),
    ] {
        assert_eq!(policies(&[rule]).is_open(), open, "{rule}");
    }
}
