//! Autobahn group 6: UTF-8, good and bad, in one frame, in fragments, and refused while the frame is still arriving.
//!
//! Data in: byte sequences. Data out: verdicts. It must not know the decoder's insides.

use super::{
    BINARY, END, Fault, MIDDLE, PING, Reader, Seen, TEXT, TEXT_BEGIN, case, frame, read_in, run,
};

const BAD: Seen = Seen::Bad(Fault::BadUtf8);

/// Sequences with their group in the suite, which takes most of them from Markus Kuhn's stress test.
const GOOD: [(&str, &[u8]); 31] = [
    ("6.2", "Hello-µ@ßöäüàá-UTF-8!!".as_bytes()),
    ("6.5", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"),
    ("6.6.2", b"\xce\xba"),
    ("6.6.5", b"\xce\xba\xe1\xbd\xb9"),
    ("6.6.7", b"\xce\xba\xe1\xbd\xb9\xcf\x83"),
    ("6.6.9", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc"),
    ("6.7.1", b"\x00"),
    ("6.7.2", b"\xc2\x80"),
    ("6.7.3", b"\xe0\xa0\x80"),
    ("6.7.4", b"\xf0\x90\x80\x80"),
    ("6.9.1", b"\x7f"),
    ("6.9.2", b"\xdf\xbf"),
    ("6.9.3", b"\xef\xbf\xbf"),
    ("6.9.4", b"\xf4\x8f\xbf\xbf"),
    ("6.11.1", b"\xed\x9f\xbf"),
    ("6.11.2", b"\xee\x80\x80"),
    ("6.11.3", b"\xef\xbf\xbd"),
    ("6.11.4", b"\xf4\x8f\xbf\xbf"),
    ("6.22.1", b"\xef\xbf\xbe"),
    ("6.22.2", b"\xef\xbf\xbf"),
    ("6.22.3", b"\xf0\x9f\xbf\xbe"),
    ("6.22.5", b"\xf0\xaf\xbf\xbe"),
    ("6.22.10", b"\xf0\xbf\xbf\xbf"),
    ("6.22.20", b"\xf2\x9f\xbf\xbf"),
    ("6.22.34", b"\xf4\x8f\xbf\xbf"),
    ("6.23.1", b"\xef\xbf\xb9"),
    ("6.23.2", b"\xef\xbf\xba"),
    ("6.23.3", b"\xef\xbf\xbb"),
    ("6.23.4", b"\xef\xbf\xbc"),
    ("6.23.5", b"\xef\xbf\xbd"),
    ("6.23.7", b"\xef\xbf\xbf"),
];

/// Each with the length of its shortest front that no continuation can save; the whole length and one more where only
/// the end of the message shows the fault.
const SPOILT: [(&str, &[u8], usize); 61] = [
    (
        "6.3",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
        13,
    ),
    ("6.6.1", b"\xce", 2),
    ("6.6.3", b"\xce\xba\xe1", 4),
    ("6.6.4", b"\xce\xba\xe1\xbd", 5),
    ("6.6.6", b"\xce\xba\xe1\xbd\xb9\xcf", 7),
    ("6.8.1", b"\xf8\x88\x80\x80\x80", 1),
    ("6.8.2", b"\xfc\x84\x80\x80\x80\x80", 1),
    ("6.10.1", b"\xf7\xbf\xbf\xbf", 1),
    ("6.10.2", b"\xfb\xbf\xbf\xbf\xbf", 1),
    ("6.10.3", b"\xfd\xbf\xbf\xbf\xbf\xbf", 1),
    ("6.11.5", b"\xf4\x90\x80\x80", 2),
    ("6.12.1", b"\x80", 1),
    ("6.12.2", b"\xbf", 1),
    ("6.12.3", b"\x80\xbf", 1),
    ("6.12.4", b"\x80\xbf\x80", 1),
    ("6.12.8", b"\x80\xbf\x80\xbf\x80\xbf", 1),
    ("6.13.1", b"\xc0 \xc1 \xc2 ", 1),
    ("6.13.1 c2", b"\xc2 \xc3 \xc4 ", 2),
    ("6.13.2", b"\xe0 \xe1 \xe2 ", 2),
    ("6.13.3", b"\xf0 \xf1 \xf2 ", 2),
    ("6.13.4", b"\xf8 \xf9 ", 1),
    ("6.13.5", b"\xfc \xfd ", 1),
    ("6.14.1", b"\xc0", 1),
    ("6.14.2", b"\xe0\x80", 2),
    ("6.14.3", b"\xf0\x80\x80", 2),
    ("6.14.4", b"\xf8\x80\x80\x80", 1),
    ("6.14.5", b"\xfc\x80\x80\x80\x80", 1),
    ("6.14.6", b"\xdf", 2),
    ("6.14.7", b"\xef\xbf", 3),
    ("6.14.8", b"\xf7\xbf\xbf", 1),
    ("6.14.9", b"\xfb\xbf\xbf\xbf", 1),
    ("6.14.10", b"\xfd\xbf\xbf\xbf\xbf", 1),
    ("6.14 of four", b"\xf1\xbf\xbf", 4),
    ("6.15.1", b"\xdf\xef\xbf\xf7\xbf\xbf", 2),
    ("6.16.1", b"\xfe", 1),
    ("6.16.2", b"\xff", 1),
    ("6.16.3", b"\xfe\xfe\xff\xff", 1),
    ("6.17.1", b"\xc0\xaf", 1),
    ("6.17.2", b"\xe0\x80\xaf", 2),
    ("6.17.3", b"\xf0\x80\x80\xaf", 2),
    ("6.17.4", b"\xf8\x80\x80\x80\xaf", 1),
    ("6.17.5", b"\xfc\x80\x80\x80\x80\xaf", 1),
    ("6.18.1", b"\xc1\xbf", 1),
    ("6.18.2", b"\xe0\x9f\xbf", 2),
    ("6.18.3", b"\xf0\x8f\xbf\xbf", 2),
    ("6.18.4", b"\xf8\x87\xbf\xbf\xbf", 1),
    ("6.18.5", b"\xfc\x83\xbf\xbf\xbf\xbf", 1),
    ("6.19.1", b"\xc0\x80", 1),
    ("6.19.2", b"\xe0\x80\x80", 2),
    ("6.19.3", b"\xf0\x80\x80\x80", 2),
    ("6.20.1", b"\xed\xa0\x80", 2),
    ("6.20.2", b"\xed\xad\xbf", 2),
    ("6.20.3", b"\xed\xae\x80", 2),
    ("6.20.4", b"\xed\xaf\xbf", 2),
    ("6.20.5", b"\xed\xb0\x80", 2),
    ("6.20.6", b"\xed\xbe\x80", 2),
    ("6.20.7", b"\xed\xbf\xbf", 2),
    ("6.21.1", b"\xed\xa0\x80\xed\xb0\x80", 2),
    ("6.21.2", b"\xed\xa0\x80\xed\xbf\xbf", 2),
    ("6.21.8", b"\xed\xaf\xbf\xed\xbf\xbf", 2),
    ("latin 1", b"caf\xe9!", 5),
];

/// `bytes` in fragments of `size` bytes, with an empty one at either end.
fn fragments(bytes: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut frames = vec![frame(TEXT_BEGIN, b"")];
    frames.extend(bytes.chunks(size).map(|chunk| frame(MIDDLE, chunk)));
    frames.push(frame(END, b""));
    frames
}

#[test]
fn empty_messages_and_fragments_are_good() {
    let empties = [frame(TEXT_BEGIN, b""), frame(MIDDLE, b""), frame(END, b"")];
    let middle = [
        frame(TEXT_BEGIN, b""),
        frame(MIDDLE, b"middle"),
        frame(END, b""),
    ];
    run(&[
        case("6.1.1", &[frame(TEXT, b"")], &[Seen::Text(vec![])]),
        case("6.1.2", &empties, &[Seen::Text(vec![])]),
        case("6.1.3", &middle, &[Seen::Text(b"middle".to_vec())]),
    ]);
}

#[test]
fn good_text_is_taken_however_it_is_fragmented() {
    for (id, bytes) in GOOD {
        let seen = [Seen::Text(bytes.to_vec())];
        run(&[
            case(id, &[frame(TEXT, bytes)], &seen),
            case(id, &fragments(bytes, 1), &seen),
            case(id, &fragments(bytes, 2), &seen),
        ]);
    }
}

#[test]
fn bad_text_is_refused_however_it_is_fragmented() {
    for (id, bytes, _) in SPOILT {
        run(&[
            case(id, &[frame(TEXT, bytes)], &[BAD]),
            case(id, &fragments(bytes, 1), &[BAD]),
            case(id, &fragments(bytes, 2), &[BAD]),
        ]);
    }
}

#[test]
fn a_character_may_end_in_a_later_fragment_with_a_ping_between() {
    let frames = [
        frame(TEXT_BEGIN, b"\xf0\x9f"),
        frame(PING, b"\xff"),
        frame(END, b"\x98\x80"),
    ];
    let seen = [Seen::Ping(vec![0xff]), Seen::Text("😀".into())];
    run(&[case("6.2.3", &frames, &seen)]);
}

#[test]
fn text_of_one_message_does_not_complete_a_character_of_the_one_before() {
    run(&[case(
        "cut",
        &[frame(TEXT, b"\xce"), frame(TEXT, b"\xba")],
        &[BAD],
    )]);
}

#[test]
fn binary_messages_may_hold_any_bytes() {
    for (id, bytes, _) in SPOILT {
        run(&[case(
            id,
            &[frame(BINARY, bytes)],
            &[Seen::Binary(bytes.to_vec())],
        )]);
    }
}

#[test]
fn text_is_refused_at_its_first_bad_byte_while_its_frame_is_still_arriving() {
    for (id, bytes, at) in SPOILT {
        // 6.4: the frame goes on behind the bad byte, and is never sent to its end.
        let longer = frame(TEXT, &[bytes, &[b'*'; 40]].concat());
        let head = longer.len() - bytes.len() - 40;
        let mut reader = Reader::new(1000);
        for (sent, byte) in longer.iter().enumerate().take(head + bytes.len() + 1) {
            let is_bad = sent >= head + at;
            assert_eq!(reader.is_over(), is_bad, "{id} after {sent} bytes");
            reader.read(&[*byte]);
        }
        assert_eq!(reader.seen, [BAD], "{id}");
    }
}

#[test]
fn text_is_refused_at_the_fragment_that_spoils_it_and_not_at_the_end_of_the_message() {
    let begin = frame(
        TEXT_BEGIN,
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4",
    );
    let spoilt = frame(MIDDLE, b"\x90");
    assert_eq!(read_in([begin.as_slice()]), []);
    assert_eq!(read_in([begin.as_slice(), &spoilt]), [BAD]);
}
