//! What the README and the client library repeat of the code's tables is what the tables say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use orbited::codes;
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
