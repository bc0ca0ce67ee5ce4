//! Forms and queries split and decode as the obvious slow way does it.

use orbited::http::{forms, url};

const KNOWN: [&str; 4] = ["s", "a", "d", "bp"];

/// Panics where fast and slow disagree.
pub fn run(data: &[u8]) {
    let slow: Vec<_> = data
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(pair)
        .collect();
    let fast: Vec<_> = url::Query::new(data)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    assert_eq!(fast, slow);

    let form = data.trim_ascii_start();
    let named = |name: &&str| form.starts_with(format!("{name}=").as_bytes());
    assert_eq!(forms::is_form(data, &KNOWN), KNOWN.iter().any(named));
    assert_eq!(forms::pairs(data).count(), url::Query::new(form).count());

    if let Ok(path) = std::str::from_utf8(data) {
        let decoded = url::decode_path(path);
        assert!(decoded.is_none_or(|path| !path.contains('\0') && path.len() <= data.len()));
    }
}

fn pair(pair: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let equals = pair.iter().position(|byte| *byte == b'=');
    let (name, value) = pair.split_at(equals.unwrap_or(pair.len()));
    (decode(name), decode(value.get(1..).unwrap_or_default()))
}

fn decode(raw: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < raw.len() {
        let hex = |offset: usize| {
            raw.get(at + offset)
                .and_then(|byte| char::from(*byte).to_digit(16))
        };
        let (byte, length) = match (raw[at], hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => ((high * 16 + low) as u8, 3),
            (b'+', ..) => (b' ', 1),
            (byte, ..) => (byte, 1),
        };
        out.push(byte);
        at += length;
    }
    out
}
