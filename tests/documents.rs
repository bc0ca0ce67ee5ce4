//! What the README and the client library repeat of the code's tables is what the tables say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use orbited::http::routes;
use orbited::{admin, codes};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn the_readme_has_the_table_of_flags_that_the_binary_prints() {
    assert_eq!(
        block("flags"),
        orbited::cli::help::markdown().trim(),
        "README.md: put the output of `orbited config --markdown` between <!-- flags --> and <!-- /flags -->"
    );
}

#[test]
fn the_readme_has_the_table_of_keys_of_channel_rules() {
    let table = orbited::cli::help::keys_markdown();
    assert_eq!(
        block("keys"),
        table.trim(),
        "README.md: put this between <!-- keys --> and <!-- /keys -->:\n{table}"
    );
}

#[test]
fn the_readme_has_the_table_of_close_codes() {
    let table = codes::markdown();
    assert_eq!(
        block("codes"),
        table.trim(),
        "README.md: put this between <!-- codes --> and <!-- /codes -->:\n{table}"
    );
}

#[test]
fn the_description_of_the_api_has_every_route_and_no_other() {
    let document: Value = serde_json::from_str(admin::OPENAPI).unwrap();
    let version = document["info"]["version"].as_str();
    assert_eq!(version, Some(env!("CARGO_PKG_VERSION")));
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            described.insert((method.clone(), path.clone()));
            let names = call["parameters"].as_array().into_iter().flatten();
            let names = names.filter(|parameter| parameter["in"] == "path");
            let names: Vec<_> = names
                .map(|it| format!("{{{}}}", it["name"].as_str().unwrap()))
                .collect();
            let named = path.split('/').filter(|part| part.starts_with('{'));
            assert_eq!(names, named.collect::<Vec<_>>(), "{method} {path}");
        }
    }
    let served = routes::INTERNAL.iter();
    let served = served.map(|(method, path)| ((*method).to_owned(), (*path).to_owned()));
    assert_eq!(described, served.collect());
}

#[test]
fn csp_js_ends_by_the_codes_that_end_a_session() {
    let ends = codes::TABLE
        .iter()
        .filter_map(|row| Some(format!("{}: '{}'", row.code.number(), row.ends?)));
    let line = format!(
        "const CODES = {{ {} }};",
        ends.collect::<Vec<_>>().join(", ")
    );
    let found = file("static/CSP.js").contains(&line);
    assert!(found, "static/CSP.js must have the line: {line}");
    let types = file("static/CSP.d.ts");
    for reason in codes::TABLE.iter().filter_map(|row| row.ends) {
        assert!(
            types.contains(&format!("'{reason}'")),
            "static/CSP.d.ts does not name the reason {reason}"
        );
    }
}

fn block(name: &str) -> String {
    let readme = file("README.md");
    let inside = readme
        .split_once(&format!("<!-- {name} -->"))
        .and_then(|(_, behind)| behind.split_once(&format!("<!-- /{name} -->")));
    inside.expect(name).0.trim().to_owned()
}

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}
