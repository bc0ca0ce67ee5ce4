//! The reader of OP: what bytes are, however they come.
//!
//! In: bytes, cut in every way. Out: the frames, events and faults that they are.

use super::*;

const LIMITS: Limits = Limits {
    head_bytes_max: 64,
    body_bytes_max: 16,
};

/// What a connection would see, whole, dribbled, and split at each byte: the same.
fn read(bytes: &[u8]) -> Vec<String> {
    let whole = pieces(&[bytes]);
    assert_eq!(pieces(&bytes.chunks(1).collect::<Vec<_>>()), whole);
    for at in 0..bytes.len() {
        let (a, b) = bytes.split_at(at);
        assert_eq!(pieces(&[a, b]), whole, "split at {at}");
    }
    whole
}

fn pieces(pieces: &[&[u8]]) -> Vec<String> {
    let (mut reader, mut seen) = (Reader::default(), Vec::new());
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.next(&LIMITS) {
                Ok(Some(Item::Frame(frame))) => seen.push(told(&frame)),
                Ok(Some(Item::Event(event))) => seen.push(format!("{event:?}")),
                Ok(Some(Item::Unparsable)) => seen.push("unparsable".to_owned()),
                Ok(None) => break,
                Err(fault) => {
                    seen.push(format!("{fault:?}"));
                    return seen;
                }
            }
        }
    }
    seen
}

fn told(frame: &Frame) -> String {
    let headers = frame.headers.iter().map(|(n, v)| format!(" {n}={v}"));
    let headers: String = headers.collect();
    format!("{}{headers}|{}", frame.action, frame.body.escape_ascii())
}

#[test]
fn the_first_frame_tells_what_ends_all() {
    let nul = read(b"CONNECT\r\nid: 1\r\n\r\n\0\r\nSEND\r\nid:2\r\n\r\na^@\r\nb\0\0");
    assert_eq!(nul, ["CONNECT id=1|", "SEND id=2|a^@\\r\\nb", "unparsable"]);
    let typed = read(b"CONNECT\r\nid: 1\r\n\r\n^@\r\nSEND\r\nid:2\r\n\r\na\0b^@c^@\r\n");
    assert_eq!(typed, ["CONNECT id=1|", "SEND id=2|a\\x00b^@c"]);
    assert_eq!(read(b"(garbage)^@\r\nA\n\nb^@\r\n"), ["unparsable", "A|b"]);
    assert_eq!(read(b"(garbage)\0A\n\nb\0"), ["unparsable", "A|b"]);
}

#[test]
fn a_length_hides_what_would_end_a_frame() {
    let seen = read(b"A\nlength: 3\n\nx\0y\0B\n\n\0");
    assert_eq!(seen, ["A length=3|x\\x00y", "B|"]);
    let seen = read(b"A\nlength: 4\n\n^@\r\n^@\r\nB\n\n^@\r\n");
    assert_eq!(seen, ["A length=4|^@\\r\\n", "B|"]);
    assert_eq!(read(b"A\nlength: 1\n\nxy\0"), ["NoEnd"]);
    assert_eq!(read(b"A\n\n\0A\nlength: 1\n\nx^@\r\n"), ["A|", "NoEnd"]);
    // What is no number is no length.
    assert_eq!(read(b"A\nlength: x\n\nxy\0"), ["A length=x|xy"]);
}

#[test]
fn what_is_too_large_is_not_waited_for() {
    let endless = [b"A\n".to_vec(), b"k:v\n".repeat(30)].concat();
    assert_eq!(read(&endless), ["TooBig"]);
    assert_eq!(read(&[b'x'; 100]), ["TooBig"]);
    assert_eq!(read(b"A\nlength:99999999999999999999999\n\n"), ["TooBig"]);
    assert_eq!(read(&[b"A\n\n", &[b'x'; 30][..]].concat()), ["TooBig"]);
    let most = [b"A\n\n", &[b'x'; 16][..], b"\0"].concat();
    assert_eq!(read(&most), ["A|xxxxxxxxxxxxxxxx"]);
    assert_eq!(
        read(b"Orbit 1.0\r\nEvent\r\nlength: 17\r\n\r\n"),
        ["TooBig"]
    );
}

#[test]
fn lines_that_are_no_headers_make_no_frame() {
    for bad in ["A\nno colon\n\nx\0", "A\n: v\n\n\0", "\u{1}\n\n\0"] {
        assert_eq!(read(bad.as_bytes()), ["unparsable"], "{bad:?}");
    }
    assert_eq!(read(b"A\nk:\xff\n\n\0"), ["unparsable"]);
}

#[test]
fn events_of_1_0_come_one_behind_the_other() {
    let seen = read(
        b"Orbit 1.0\r\nEvent\r\nid: 1\r\nRecipient: a, 0, /c\r\nlength: 5\r\n\r\nx\0\r\n\nOrbit/1.0\r\nEvent\r\n\r\n",
    );
    let [first, second] = [
        Event {
            id: "1".to_owned(),
            recipients: vec!["a, 0, /c".to_owned()],
            body: b"x\0\r\n\n".to_vec(),
        },
        Event {
            id: String::new(),
            recipients: Vec::new(),
            body: Vec::new(),
        },
    ];
    assert_eq!(seen, [format!("{first:?}"), format!("{second:?}")]);
    assert_eq!(read(b"Orbit 1.0\r\nAction\r\n\r\n"), ["NoEvent"]);
    assert_eq!(read(b"Orbit 1.0\r\n\r\nSEND\r\n\r\n\0"), ["NoEvent"]);
    assert_eq!(read(b"Orbi\n\n\0"), ["Orbi|"]);
}
