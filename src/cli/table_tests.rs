//! What the table of flags promises about every row.

use super::*;
use crate::cli::flag::Misfit;
use crate::config::Config;

fn set(flag: &Flag, values: &[&str]) -> Result<Config, Misfit> {
    let mut config = Config::default();
    let values: Vec<String> = values.iter().map(|&text| text.to_owned()).collect();
    flag.apply(&mut config, &values).map(|()| config)
}

fn row(name: &str) -> &'static Flag {
    FLAGS
        .iter()
        .find(|flag| flag.name == name)
        .unwrap_or(&FLAGS[0])
}

#[test]
fn the_default_text_of_every_row_sets_the_default() {
    for flag in FLAGS {
        let text = flag.show(&Config::default());
        assert_eq!(
            set(flag, &[&text]),
            Ok(Config::default()),
            "--{} {text}",
            flag.name
        );
    }
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let documented = [
        ("listen", "127.0.0.1:8000"),
        ("internal", "127.0.0.1:8001"),
        ("op", "127.0.0.1:9000"),
        ("stomp", "127.0.0.1:61613"),
        ("max-connections", "1000000"),
        ("channel", "demo/* history=5000,1h presence"),
        ("peer", "anyone"),
        ("max-line", "33KiB"),
        ("max-head", "16KiB"),
        ("max-body", "1MiB"),
        ("max-batch", "1024"),
        ("max-message", "128KiB"),
        ("max-queue", "1MiB"),
        ("max-queue-total", "512MiB"),
        ("max-requests", "10000"),
        ("header-timeout", "10s"),
        ("keepalive-timeout", "15s"),
        ("session-timeout", "1m"),
        ("linger", "10s"),
        ("heartbeat", "25s"),
        ("tcp-timeout", "30s"),
        ("tcp-keepalive", "0s"),
        ("allow-origin", "*"),
        ("static-dir", "built-in"),
        ("log", "info"),
    ];
    for (name, text) in documented {
        assert_eq!(
            (row(name).name, row(name).show(&Config::default())),
            (name, text.to_owned())
        );
    }
}

#[test]
fn the_ends_of_every_range_are_allowed_and_shown_as_written() {
    for flag in FLAGS {
        let Some((min, max)) = flag.range() else {
            continue;
        };
        for end in [min, max] {
            let shown = set(flag, &[&end]).map(|config| flag.show(&config));
            assert_eq!(shown, Ok(end), "--{}", flag.name);
        }
    }
}

#[test]
fn every_default_is_within_its_range() {
    for flag in FLAGS {
        let (Kind::Size(n) | Kind::Time(n) | Kind::Count(n)) = &flag.kind else {
            continue;
        };
        let default = (n.read)(&Config::default());
        assert!(n.min <= default && default <= n.max, "--{}", flag.name);
    }
}

#[test]
fn no_two_rows_write_the_same_field() {
    for flag in FLAGS {
        let Some((min, max)) = flag.range() else {
            continue;
        };
        let other = if flag.show(&Config::default()) == min {
            max
        } else {
            min
        };
        let Ok(config) = set(flag, &[&other]) else {
            continue;
        };
        let shown = |f: &&Flag| f.show(&config) != f.show(&Config::default());
        let moved: Vec<_> = FLAGS.iter().filter(shown).map(|f| f.name).collect();
        assert_eq!(moved, [flag.name]);
    }
}

#[test]
fn environment_names_lead_back_to_their_flag() {
    assert_eq!(env_name("max-sessions"), "ORBITED_MAX_SESSIONS");
    for flag in FLAGS {
        let found = of_variable(&env_name(flag.name)).map(|(_, found)| found.name);
        assert_eq!(found, Some(flag.name));
    }
    for other in [
        "PATH",
        "ORBITED_",
        "ORBITED_log",
        "ORBITED_MAX-QUEUE",
        "LOG",
    ] {
        assert!(of_variable(other).is_none(), "{other}");
    }
}

#[test]
fn names_are_unique_and_kebab_case() {
    for (at, flag) in FLAGS.iter().enumerate() {
        assert_eq!(find(flag.name).map(|(found, _)| found), Some(at));
        assert!(
            flag.name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'-'),
            "{}",
            flag.name
        );
        assert!(flag.help.ends_with('.'), "--{}", flag.name);
    }
}

#[test]
fn rows_of_a_group_stand_together_in_the_order_of_the_groups() {
    let order = |flag: &Flag| Group::ALL.iter().position(|group| *group == flag.group);
    assert!(FLAGS.is_sorted_by_key(order));
    assert!(
        Group::ALL
            .iter()
            .all(|group| FLAGS.iter().any(|flag| flag.group == *group))
    );
}

#[test]
fn several_addresses_replace_the_default_one() {
    let config = set(row("listen"), &["[::1]:80", "unix:/run/o"]);
    assert_eq!(
        config.map(|c| row("listen").show(&c)),
        Ok("[::1]:80,unix:/run/o".to_owned())
    );
    let misfit = set(row("listen"), &["[::1]:80", "nowhere"]).err();
    assert_eq!(misfit.map(|m| m.at), Some(1));
    assert!(set(row("listen"), &["[::1]:80"; 65]).is_err());
}

#[test]
fn any_origin_stands_alone() {
    assert_eq!(set(row("allow-origin"), &["*"]), Ok(Config::default()));
    assert!(set(row("allow-origin"), &["*", "https://a"]).is_err());
    assert!(set(row("allow-origin"), &["https://a", "*"]).is_err());
}

#[test]
fn every_port_but_that_of_browsers_can_be_off() {
    assert_eq!(set(row("internal"), &["off"]).map(|c| c.internal), Ok(None));
    assert_eq!(set(row("stomp"), &["off"]).map(|c| c.stomp), Ok(None));
    assert_eq!(set(row("op"), &["off"]).map(|c| c.op), Ok(None));
}
