//! Reads the sources and fails on what the conventions forbid. Each finding names the file, the line and the rule.
//!
//! The rules are at the top, the reading of Rust (enough of it for them) below, and samples that the rules must
//! find at the end.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a module of the crate may import, besides itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("main", &["net", "node", "cli", "client", "token", "config"]),
    (
        "net",
        &["node", "config", "metrics", "mem", "ids", "time", "cmd"],
    ),
    (
        "node",
        &[
            "admin",
            "service",
            "session",
            "transport",
            "token",
            "hub",
            "http",
            "op",
            "stomp",
            "ws",
            "BASE",
        ],
    ),
    ("admin", &["http", "metrics", "config"]),
    (
        "service",
        &["hub", "session", "op", "stomp", "token", "cmd", "BASE"],
    ),
    ("session", &["transport", "op", "stomp", "token", "BASE"]),
    ("transport", &["http", "ws", "BASE"]),
    ("http", &["mem"]),
    ("op", &[]),
    ("stomp", &[]),
    ("ws", &["mem", "codes"]),
    ("hub", &["BASE"]),
    ("token", &["BASE"]),
    ("cli", &["config"]),
    ("client", &["cli", "config"]),
];

/// The modules that everyone named with BASE may import, and which may import each other.
const BASE: &[&str] = &[
    "mem", "ids", "time", "rng", "metrics", "cmd", "codes", "config",
];

/// Of those names, what `src/client/` may use too: it runs in place of a node, and waits for its one socket, for a time.
const CLIENT_IO: &[&str] = &["TcpStream", "UnixStream", "socket2", "Instant::now"];

/// Names that only `src/net/` may use: sockets, clocks, files, threads, entropy, signals.
const IO: &[&str] = &[
    "mio",
    "socket2",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "std::fs",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "getrandom",
    "RandomState",
    "libc",
    "signal_hook",
];

/// Lines before a file's tests, lines with them, lines of a function.
const LINES_MAX: (usize, usize, usize) = (500, 800, 70);

#[test]
fn a_module_imports_only_what_the_table_lets_it() {
    report(sources().iter().flat_map(imports));
}

#[test]
fn only_net_names_sockets_clocks_files_threads_and_entropy() {
    let outside = |source: &&Source| source.module != "net";
    report(sources().iter().filter(outside).flat_map(|source| {
        let own = match &*source.module {
            "client" => CLIENT_IO,
            _ => &[],
        };
        let foreign: Vec<&str> = IO
            .iter()
            .filter(|name| !own.contains(name))
            .copied()
            .collect();
        named(source, &foreign, "only src/net/ does I/O")
    }));
}

#[test]
fn only_net_is_unsafe() {
    let outside = |source: &&Source| source.module != "net";
    report(
        sources()
            .iter()
            .filter(outside)
            .flat_map(|source| named(source, &["unsafe"], "only src/net/ may")),
    );
}

#[test]
fn nothing_is_imported_by_a_glob() {
    report(
        sources()
            .iter()
            .flat_map(|source| source.rule(&["::", "*", ";"], "a glob import")),
    );
}

#[test]
fn nothing_panics_by_unwrap_or_expect() {
    report(sources().iter().flat_map(|source| {
        let unwrap = source.rule(&[".", "unwrap", "("], "unwrap() outside tests");
        unwrap
            .into_iter()
            .chain(source.rule(&[".", "expect", "("], "expect() outside tests"))
    }));
}

#[test]
fn files_and_functions_have_a_size_that_can_be_read() {
    report(sources().iter().flat_map(sizes));
}

#[test]
fn every_file_starts_by_saying_what_it_is_for() {
    let silent = sources()
        .into_iter()
        .filter(|source| !source.text.starts_with("//! "));
    report(silent.map(|source| source.finding(1, "must start with `//! ` and its duty")));
}

// The rules.

fn imports(source: &Source) -> Vec<String> {
    if source.module == "lib" {
        return Vec::new();
    }
    let row = MAY_IMPORT
        .iter()
        .find(|(module, _)| *module == source.module);
    let base = BASE.contains(&&*source.module);
    let Some(allowed) = row
        .map(|(_, allowed)| *allowed)
        .or(base.then_some(&["BASE"][..]))
    else {
        return vec![source.finding(1, "a module that the table in tests/tidy.rs does not have")];
    };
    let may = |to: &str, in_test: bool| {
        to == source.module
            || allowed.contains(&to)
            || (BASE.contains(&to) && (in_test || allowed.contains(&"BASE")))
    };
    let targets = source.targets().into_iter();
    let wrong = targets.filter(|(token, to)| !may(to, token.in_test));
    wrong
        .map(|(token, to)| {
            source.finding(
                token.line,
                &format!("{} may not import {to}", source.module),
            )
        })
        .collect()
}

/// Findings for each of these names, `a::b` being a path.
fn named(source: &Source, names: &[&str], why: &str) -> Vec<String> {
    let mut found = Vec::new();
    for name in names {
        let words: Vec<&str> = name.split("::").collect();
        let path: Vec<&str> = match words[..] {
            [first, second] => vec![first, "::", second],
            _ => words.clone(),
        };
        found.extend(source.rule(&path, &format!("names {name}: {why}")));
        if let [first @ "std", second] = words[..] {
            let grouped = source
                .group_members(first)
                .into_iter()
                .filter(|(_, member)| member == second);
            found.extend(
                grouped.map(|(line, _)| source.finding(line, &format!("names {name}: {why}"))),
            );
        }
    }
    found
}

fn sizes(source: &Source) -> Vec<String> {
    let (before_max, whole_max, function_max) = LINES_MAX;
    let lines = source.text.lines().count();
    let before = source
        .text
        .lines()
        .position(|line| line.starts_with("#[cfg(test)]"))
        .unwrap_or(lines);
    let mut found = Vec::new();
    if before > before_max && !source.test_only {
        found.push(source.finding(
            before,
            &format!("{before} lines before its tests, at most {before_max}"),
        ));
    }
    if lines > whole_max {
        found.push(source.finding(lines, &format!("{lines} lines, at most {whole_max}")));
    }
    for (name, first, last) in source.functions() {
        let length = last - first + 1;
        if length > function_max {
            found.push(source.finding(
                first,
                &format!("{name} has {length} lines, at most {function_max}"),
            ));
        }
    }
    found
}

fn report(findings: impl Iterator<Item = String>) {
    let findings: BTreeSet<String> = findings.collect();
    let all: Vec<String> = findings.into_iter().collect();
    assert!(all.is_empty(), "\n{}\n", all.join("\n"));
}

// Sources.

/// One file of `src/`.
struct Source {
    /// Relative to the project, like `src/http/url.rs`.
    path: String,
    /// The first part of its module path: `http`; for the roots `lib` and `main`.
    module: String,
    /// How many parts that path has.
    depth: usize,
    text: String,
    tokens: Vec<Token>,
    /// The whole file is compiled for tests only.
    test_only: bool,
}

#[derive(Clone)]
struct Token {
    text: String,
    line: usize,
    in_test: bool,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root().join("src"), &mut paths);
    paths.sort();
    let read = |path: &PathBuf| {
        let shown = path
            .strip_prefix(root())
            .unwrap_or(path)
            .display()
            .to_string();
        Source::new(&shown, &fs::read_to_string(path).unwrap_or_default())
    };
    let mut sources: Vec<Source> = paths.iter().map(read).collect();
    let tests: Vec<String> = sources.iter().flat_map(Source::test_files).collect();
    for source in &mut sources {
        if tests.iter().any(|test| {
            source.path == format!("{test}.rs") || source.path.starts_with(&format!("{test}/"))
        }) {
            source.mark_test_only();
        }
    }
    assert!(
        sources.len() > 20,
        "the sources are not where this test looks for them"
    );
    sources
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => walk(&path, paths),
            false if path.extension().is_some_and(|end| end == "rs") => paths.push(path),
            false => {}
        }
    }
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        let inner = path
            .trim_start_matches("src/")
            .trim_end_matches(".rs")
            .trim_end_matches("/mod");
        let mut source = Source {
            path: path.to_owned(),
            module: inner.split('/').next().unwrap_or(inner).to_owned(),
            depth: inner.split('/').count(),
            text: text.to_owned(),
            tokens: tokens(&code(text)),
            test_only: false,
        };
        source.mark_tests();
        if path.ends_with("_tests.rs") {
            source.mark_test_only();
        }
        source
    }

    fn finding(&self, line: usize, rule: &str) -> String {
        format!("{}:{line}: {rule}", self.path)
    }

    fn mark_test_only(&mut self) {
        self.test_only = true;
        self.tokens
            .iter_mut()
            .for_each(|token| token.in_test = true);
    }

    /// Marks every item behind `#[cfg(test)]`.
    fn mark_tests(&mut self) {
        for at in self.find(&["#", "[", "cfg", "(", "test", ")", "]"]) {
            let end = self.item_end(at + 7);
            self.tokens[at..end]
                .iter_mut()
                .for_each(|token| token.in_test = true);
        }
    }

    /// Behind the item at `at`: its semicolon, or its closing brace.
    fn item_end(&self, at: usize) -> usize {
        let mut depth = 0_usize;
        for (index, token) in self.tokens.iter().enumerate().skip(at) {
            match &*token.text {
                "{" | "(" | "[" => depth += 1,
                "}" if depth == 1 => return index + 1,
                "}" | ")" | "]" => depth = depth.saturating_sub(1),
                ";" if depth == 0 => return index + 1,
                _ => {}
            }
        }
        self.tokens.len()
    }

    /// Files (less `.rs`) and folders of the modules declared for tests only.
    fn test_files(&self) -> Vec<String> {
        let folder = match self.path.strip_suffix("/mod.rs") {
            Some(folder) => folder.to_owned(),
            None if self.depth == 1 && matches!(&*self.module, "lib" | "main") => "src".to_owned(),
            None => self.path.trim_end_matches(".rs").to_owned(),
        };
        let declared = self.find(&["mod"]).into_iter().filter(|at| {
            self.tokens[*at].in_test
                && self
                    .tokens
                    .get(at + 2)
                    .is_some_and(|token| token.text == ";")
        });
        declared
            .map(|at| format!("{folder}/{}", self.tokens[at + 1].text))
            .collect()
    }

    /// Where these tokens stand in a row.
    fn find(&self, pattern: &[&str]) -> Vec<usize> {
        let windows = self.tokens.windows(pattern.len()).enumerate();
        let equal = |window: &[Token]| {
            window
                .iter()
                .zip(pattern)
                .all(|(token, text)| token.text == *text)
        };
        windows
            .filter(|(_, window)| equal(window))
            .map(|(at, _)| at)
            .collect()
    }

    /// A finding for each place outside tests where these tokens stand in a row.
    fn rule(&self, pattern: &[&str], rule: &str) -> Vec<String> {
        let places = self.find(pattern).into_iter().map(|at| &self.tokens[at]);
        places
            .filter(|token| !token.in_test)
            .map(|token| self.finding(token.line, rule))
            .collect()
    }

    /// Top-level modules of the crate that this file names, by `crate::`, `super::` or, in `main.rs`, `orbited::`.
    fn targets(&self) -> Vec<(Token, String)> {
        let start = if self.module == "main" {
            "orbited"
        } else {
            "crate"
        };
        let mut found = Vec::new();
        for at in self.find(&[start, "::"]) {
            found.extend(
                self.names_at(at + 2)
                    .into_iter()
                    .map(|(_, name)| (self.tokens[at].clone(), name)),
            );
        }
        for at in self.find(&["super", "::"]) {
            let chained = at > 0 && self.tokens[at - 1].text == "::";
            let supers = self.tokens[at..]
                .chunks(2)
                .take_while(|pair| pair[0].text == "super")
                .count();
            if !chained && !self.tokens[at].in_test && supers == self.depth {
                let names = self.names_at(at + 2 * supers);
                found.extend(
                    names
                        .into_iter()
                        .map(|(_, name)| (self.tokens[at].clone(), name)),
                );
            }
        }
        found
    }

    /// What `first::{…}` names directly, and where.
    fn group_members(&self, first: &str) -> Vec<(usize, String)> {
        let groups = self
            .find(&[first, "::", "{"])
            .into_iter()
            .filter(|at| !self.tokens[*at].in_test);
        groups.flat_map(|at| self.names_at(at + 2)).collect()
    }

    /// The name at `at`, or those of the group that begins there.
    fn names_at(&self, at: usize) -> Vec<(usize, String)> {
        let Some(first) = self.tokens.get(at) else {
            return Vec::new();
        };
        if first.text != "{" {
            return vec![(first.line, first.text.clone())];
        }
        let mut names = Vec::new();
        let mut depth = 0;
        for (before, token) in self.tokens[at..].iter().zip(&self.tokens[at + 1..]) {
            match &*before.text {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth == 1 && matches!(&*before.text, "{" | ",") && is_word(&token.text) {
                names.push((token.line, token.text.clone()));
            }
        }
        names
    }

    /// Name, first and last line of every function outside tests.
    fn functions(&self) -> Vec<(&str, usize, usize)> {
        let mut found = Vec::new();
        for at in self.find(&["fn"]) {
            let [word, name, ..] = &self.tokens[at..] else {
                continue;
            };
            if word.in_test || !is_word(&name.text) {
                continue;
            }
            let last = &self.tokens[self.item_end(at) - 1];
            found.push((&*name.text, word.line, last.line));
        }
        found
    }
}

// Rust, as far as needed.

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphanumeric() || first == '_')
}

fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (code, 1);
    while let Some(first) = rest.chars().next() {
        let word = rest
            .find(|char: char| !char.is_alphanumeric() && char != '_')
            .unwrap_or(rest.len());
        let length = match word {
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            word => word,
        };
        let (text, behind) = rest.split_at(length);
        if first == '\n' {
            line += 1;
        } else if !first.is_whitespace() {
            tokens.push(Token {
                text: text.to_owned(),
                line,
                in_test: false,
            });
        }
        rest = behind;
    }
    tokens
}

/// `text` without comments and without what is in literals; its lines stay.
fn code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = literal_or_comment(rest, out.chars().next_back());
        let (taken, behind) = rest.split_at(skipped.unwrap_or(first.len_utf8()));
        match skipped {
            Some(_) => out.extend(taken.chars().filter(|char| *char == '\n').chain([' '])),
            None => out.push_str(taken),
        }
        rest = behind;
    }
    out
}

/// How long the comment or literal is that `rest` begins with, behind the character `before`.
fn literal_or_comment(rest: &str, before: Option<char>) -> Option<usize> {
    let in_word = before.is_some_and(|char| char.is_alphanumeric() || char == '_');
    let prefix = rest
        .find(|char: char| !matches!(char, 'b' | 'c' | 'r'))
        .unwrap_or(0);
    let literal = &rest[prefix..];
    let hashes = literal.len() - literal.trim_start_matches('#').len();
    match literal.as_bytes().first()? {
        b'/' if rest.starts_with("//") => Some(rest.find('\n').unwrap_or(rest.len())),
        b'/' if rest.starts_with("/*") => Some(block_comment(rest)),
        b'"' | b'#'
            if rest[..prefix].contains('r') && !in_word && literal[hashes..].starts_with('"') =>
        {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = prefix + hashes + 1;
            Some(
                rest[body..]
                    .find(&end)
                    .map_or(rest.len(), |at| body + at + end.len()),
            )
        }
        b'"' if prefix == 0 || !in_word => Some(prefix + quoted(literal)),
        b'\'' if prefix == 0 || !in_word => character(literal).map(|length| prefix + length),
        _ => None,
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") || here.starts_with(b"*/") {
            depth = if here[0] == b'/' {
                depth + 1
            } else {
                depth - 1
            };
            at += 1;
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(literal: &str) -> usize {
    let mut escaped = false;
    let end = literal[1..].find(|char| match (escaped, char) {
        (false, '"') => true,
        (false, '\\') => {
            escaped = true;
            false
        }
        _ => {
            escaped = false;
            false
        }
    });
    end.map_or(literal.len(), |end| end + 2)
}

/// The length of a character literal; none for a lifetime.
fn character(literal: &str) -> Option<usize> {
    let mut chars = literal.char_indices().skip(1);
    match (chars.next()?.1, chars.next()?) {
        ('\\', (escaped, _)) => literal[escaped + 1..]
            .find('\'')
            .map(|at| escaped + 1 + at + 1),
        (_, (end, '\'')) => Some(end + 1),
        _ => None,
    }
}

// Samples.

#[test]
fn the_rules_find_what_breaks_them() {
    let text = "//! x\nuse crate::{http::url, cli};\nuse super::super::node::Node;\nfn f() { x.unwrap() }\n\
                use std::{fs, io};\nuse a::*;\nlet now = Instant::now();\n";
    let source = Source::new("src/http/sample.rs", text);
    let starts = |found: Vec<String>| {
        found
            .iter()
            .map(|text| text[..20].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        starts(imports(&source)),
        ["src/http/sample.rs:2", "src/http/sample.rs:3"]
    );
    assert_eq!(
        starts(named(&source, IO, "why")),
        ["src/http/sample.rs:5", "src/http/sample.rs:7"]
    );
    assert_eq!(
        source.rule(&[".", "unwrap", "("], "panics"),
        ["src/http/sample.rs:4: panics"]
    );
    assert_eq!(
        source.rule(&["::", "*", ";"], "glob"),
        ["src/http/sample.rs:6: glob"]
    );
}

#[test]
fn the_rules_pass_over_tests_comments_and_literals() {
    let text = "//! mio\nconst A: &str = \"std::fs \\\" mio\"; /* mio /* mio */ mio */\nconst B: &str = r#\"mio \" mio\"#;\n\
                fn f<'a>(x: &'a u8) -> char { '\"' }\nconst C: u8 = b'\\''; // mio\n\
                #[cfg(test)]\nmod tests { use super::*; use crate::rng::Rng; fn g() { x.unwrap(); } }\n\
                #[cfg(test)]\n#[path = \"x_tests.rs\"]\nmod more;\n";
    let source = Source::new("src/http/sample.rs", text);
    assert_eq!(named(&source, IO, "why"), [] as [String; 0]);
    assert_eq!(imports(&source), [] as [String; 0]);
    assert_eq!(
        source.rule(&[".", "unwrap", "("], "panics"),
        [] as [String; 0]
    );
    assert_eq!(source.functions(), [("f", 4, 4)]);
    assert_eq!(source.test_files(), ["src/http/sample/more"]);
}

#[test]
fn a_long_function_and_a_long_file_are_found() {
    let function = format!("//! x\nfn long() {{\n{}}}\n", "\n".repeat(69));
    assert_eq!(
        sizes(&Source::new("src/x.rs", &function)),
        ["src/x.rs:2: long has 71 lines, at most 70"]
    );
    let file = format!("//! x{}\n#[cfg(test)]\n", "\n".repeat(500));
    assert_eq!(
        sizes(&Source::new("src/x.rs", &file)),
        ["src/x.rs:501: 501 lines before its tests, at most 500"]
    );
}
