//! The fuzz targets without a fuzzer: every committed seed, then mutations of them, the same ones in every run.
//!
//! `ORB_LONG=1` runs fifty times as many. The targets run under libFuzzer too: see `tests/fuzz/Cargo.toml`.

use std::path::Path;
use std::{env, fs, panic};

#[path = "fuzz/targets/pieces.rs"]
mod pieces;

/// A test that runs the target of its name.
macro_rules! target {
    ($test:ident, $name:ident, $path:literal) => {
        #[path = $path]
        mod $name;

        #[test]
        fn $test() {
            smoke(stringify!($name), $name::run);
        }
    };
}

target!(
    requests_are_the_same_whole_and_in_pieces,
    http_request,
    "fuzz/targets/http_request.rs"
);
target!(
    chunked_bodies_are_the_same_whole_and_in_pieces,
    http_body,
    "fuzz/targets/http_body.rs"
);
target!(
    answers_are_the_same_whole_and_in_pieces,
    http_answer,
    "fuzz/targets/http_answer.rs"
);
target!(
    websocket_messages_are_the_same_whole_and_in_pieces,
    ws_frames,
    "fuzz/targets/ws_frames.rs"
);
target!(
    batches_are_read_as_a_json_reader_reads_them,
    csp_batch,
    "fuzz/targets/csp_batch.rs"
);
target!(
    bayeux_messages_are_read_as_a_json_reader_reads_them,
    bayeux_batch,
    "fuzz/targets/bayeux_batch.rs"
);
target!(
    forms_are_split_and_decoded_as_the_slow_way_does,
    csp_form,
    "fuzz/targets/csp_form.rs"
);
target!(
    positions_are_read_as_the_slow_way_does,
    since,
    "fuzz/targets/since.rs"
);
target!(
    no_text_is_taken_for_a_token_that_nobody_signed,
    token,
    "fuzz/targets/token.rs"
);
target!(
    stomp_frames_are_the_same_whole_and_in_pieces,
    stomp_frames,
    "fuzz/targets/stomp_frames.rs"
);
target!(
    frames_and_events_of_op_are_the_same_whole_and_in_pieces,
    op_frames,
    "fuzz/targets/op_frames.rs"
);
target!(
    a_body_of_many_messages_is_published_whole_or_not_at_all,
    api_batch,
    "fuzz/targets/api_batch.rs"
);

const ROUNDS: usize = 60_000;

/// What separates things in these grammars, and what stands at their limits.
const TOKENS: [&[u8]; 16] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b" ",
    b":",
    b";",
    b"&",
    b"=",
    b"%",
    b"\"",
    b"\0",
    b"\xff",
    b"[[1,0,\"",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"0\r\n\r\n",
];

fn smoke(name: &str, run: fn(&[u8])) {
    let seeds = seeds(name);
    seeds.iter().for_each(|seed| guarded(run, seed));
    let rounds = if env::var_os("ORB_LONG").is_some() {
        50 * ROUNDS
    } else {
        ROUNDS
    };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        let mut data = seeds[round % seeds.len()].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut data, &seeds, &mut random);
        }
        guarded(run, &data);
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/seeds")
        .join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no seeds in {}", folder.display());
    paths
        .iter()
        .filter_map(|path| fs::read(path).ok())
        .collect()
}

/// Runs the target, and says on what it failed.
fn guarded(run: fn(&[u8]), data: &[u8]) {
    if let Err(cause) = panic::catch_unwind(|| run(data)) {
        eprintln!("failed on b\"{}\"", data.escape_ascii());
        panic::resume_unwind(cause);
    }
}

fn mutate(data: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(data.len() + 1);
    let end = at + random.below(data.len() + 1 - at).min(16);
    match random.below(8) {
        0 | 1 if at < data.len() => data[at] = random.next() as u8,
        2 if at < data.len() => data[at] ^= 1 << random.below(8),
        3 => data.insert(at, random.next() as u8),
        4 => drop(data.drain(at..end)),
        5 => {
            let copy = data[at..end].to_vec();
            data.splice(at..at, copy);
        }
        6 => {
            let other = &seeds[random.below(seeds.len())];
            data.truncate(at);
            data.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        _ => drop(data.splice(at..at, TOKENS[random.below(TOKENS.len())].iter().copied())),
    }
}

/// xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}
