//! Autobahn groups 1 to 5 and 7: framing, pings, reserved bits, opcodes, fragmentation, closing.
//!
//! Data in: tables. Data out: verdicts. It must not know the decoder's insides.

use super::{
    BINARY, BINARY_BEGIN, CLOSE, Case, END, MIDDLE, PING, PONG, REFUSED, Seen, TEXT, TEXT_BEGIN,
    case, close, frame, run,
};

fn text(bytes: &[u8]) -> Seen {
    Seen::Text(bytes.to_vec())
}

fn ping(bytes: &[u8]) -> Seen {
    Seen::Ping(bytes.to_vec())
}

#[test]
fn messages_of_every_length_form_arrive_as_sent() {
    let lens = [0, 1, 125, 126, 127, 128, 255, 256, 1500];
    for (number, len) in lens.into_iter().enumerate() {
        let stars = vec![b'*'; len];
        let bytes = vec![0xfe; len];
        run(&[
            case(
                &format!("1.1.{}", number + 1),
                &[frame(TEXT, &stars)],
                &[text(&stars)],
            ),
            case(
                &format!("1.2.{}", number + 1),
                &[frame(BINARY, &bytes), frame(BINARY, &bytes)],
                &[Seen::Binary(bytes.clone()), Seen::Binary(bytes.clone())],
            ),
        ]);
    }
}

#[test]
fn pings_bring_their_payload_and_pongs_are_told() {
    let most = [0xfe; 125];
    let odd = [0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff];
    let ten: Vec<Vec<u8>> = (0..10)
        .map(|i| format!("payload-{i}").into_bytes())
        .collect();
    let ten_frames: Vec<Vec<u8>> = ten.iter().map(|bytes| frame(PING, bytes)).collect();
    let ten_seen: Vec<Seen> = ten.iter().map(|bytes| ping(bytes)).collect();
    run(&[
        case("2.1", &[frame(PING, b"")], &[ping(b"")]),
        case(
            "2.2",
            &[frame(PING, b"Hello, world!")],
            &[ping(b"Hello, world!")],
        ),
        case("2.3", &[frame(PING, &odd)], &[ping(&odd)]),
        case("2.4, 2.6", &[frame(PING, &most)], &[ping(&most)]),
        case("2.5", &[frame(PING, &[0xfe; 126])], &[REFUSED]),
        case("2.7", &[frame(PONG, b"")], &[Seen::Pong]),
        case("2.8", &[frame(PONG, b"unsolicited")], &[Seen::Pong]),
        case(
            "2.9",
            &[frame(PONG, b"x"), frame(PING, b"y")],
            &[Seen::Pong, ping(b"y")],
        ),
        case("2.10, 2.11", &ten_frames, &ten_seen),
    ]);
}

#[test]
fn reserved_bits_are_refused_on_every_kind_of_frame() {
    let hello = frame(TEXT, b"Hello, world!");
    for rsv in 1..8u8 {
        for first in [TEXT, BINARY, PING, PONG, CLOSE, TEXT_BEGIN] {
            let bad = frame(first | rsv << 4, b"");
            run(&[case(
                &format!("3.{rsv} {first:#x}"),
                &[hello.clone(), bad, frame(PING, b"")],
                &[text(b"Hello, world!"), REFUSED],
            )]);
        }
    }
}

#[test]
fn reserved_opcodes_are_refused_with_and_without_payload() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15u8] {
        let group = if opcode < 8 { 1 } else { 2 };
        let hello = frame(TEXT, b"Hello");
        let seen = [text(b"Hello"), REFUSED];
        let id = format!("4.{group} opcode {opcode}");
        let empty = frame(0x80 | opcode, b"");
        let full = frame(0x80 | opcode, b"reserved opcode payload");
        run(&[
            case(&id, &[hello.clone(), empty, frame(PING, b"")], &seen),
            case(&id, &[hello, full, frame(PING, b"")], &seen),
        ]);
    }
}

#[test]
fn fragments_make_one_message() {
    let (begin, end) = (frame(TEXT_BEGIN, b"frag1"), frame(END, b"frag2"));
    let whole = text(b"frag1frag2");
    let binary = [frame(BINARY_BEGIN, &[0xff]), frame(END, &[0xfe, 0xc0])];
    run(&[
        case("5.3 to 5.5", &[begin, end], &[whole]),
        case("5 binary", &binary, &[Seen::Binary(vec![0xff, 0xfe, 0xc0])]),
    ]);
}

#[test]
fn control_frames_come_between_fragments_and_are_never_fragments_themselves() {
    let (begin, end) = (frame(TEXT_BEGIN, b"frag1"), frame(END, b"frag2"));
    let seen = [ping(b"ping"), text(b"frag1frag2")];
    let five = [
        frame(TEXT_BEGIN, b"a"),
        frame(MIDDLE, b"b"),
        frame(PING, b"one"),
        frame(MIDDLE, b"c"),
        frame(MIDDLE, b"d"),
        frame(PONG, b""),
        frame(PING, b"two"),
        frame(END, b"e"),
    ];
    let five_seen = [ping(b"one"), Seen::Pong, ping(b"two"), text(b"abcde")];
    run(&[
        case("5.6 to 5.8", &[begin, frame(PING, b"ping"), end], &seen),
        case("5.19, 5.20", &five, &five_seen),
    ]);
    for (id, first) in [("5.1", PING), ("5.2", PONG), ("5 close", CLOSE)] {
        let halves = [frame(first & 0x7f, b"fragment1"), frame(END, b"fragment2")];
        run(&[case(id, &halves, &[REFUSED])]);
    }
}

#[test]
fn fragments_out_of_order_are_refused() {
    let hello = frame(TEXT, b"Hello");
    let (begin, end) = (frame(TEXT_BEGIN, b"frag1"), frame(END, b"frag2"));
    let late = [
        begin.clone(),
        end.clone(),
        frame(MIDDLE, b"frag3"),
        hello.clone(),
    ];
    let binary_inside = [begin.clone(), frame(BINARY, b""), end.clone()];
    let begun_twice = [begin.clone(), begin.clone(), end.clone()];
    let empty_begun = [frame(TEXT_BEGIN, b""), hello.clone()];
    run(&[
        case(
            "5.9 to 5.11",
            &[frame(END, b"none"), hello.clone()],
            &[REFUSED],
        ),
        case(
            "5.12 to 5.14",
            &[frame(MIDDLE, b"none"), hello.clone()],
            &[REFUSED],
        ),
        case("5.15", &late, &[text(b"frag1frag2"), REFUSED]),
        case(
            "5.16",
            &[frame(MIDDLE, b""), begin.clone(), end.clone()],
            &[REFUSED],
        ),
        case("5.17", &[frame(END, b""), begin.clone(), end], &[REFUSED]),
        case("5.18", &[begin, hello], &[REFUSED]),
        case("5.18 binary", &binary_inside, &[REFUSED]),
        case("5.18 begun twice", &begun_twice, &[REFUSED]),
        case("5.18 empty", &empty_begun, &[REFUSED]),
    ]);
}

#[test]
fn frames_that_are_not_masked_or_not_in_the_shortest_form_are_refused() {
    let raw = |id: &str, bytes: &[u8]| case(id, &[bytes.to_vec()], &[REFUSED]);
    run(&[
        raw("unmasked text", b"\x81\x05Hello"),
        raw("unmasked, empty", b"\x81\x00"),
        raw("unmasked ping", b"\x89\x00"),
        raw("16 bits for 5", b"\x81\xfe\x00\x05abcd....."),
        raw("64 bits for 5", b"\x81\xff\0\0\0\0\0\0\0\x05abcd....."),
        raw("64 bits for 65535", b"\x81\xff\0\0\0\0\0\0\xff\xffabcd"),
        raw("top bit", b"\x82\xff\x80\0\0\0\0\0\0\0abcd"),
        raw("ping with 16 bits", b"\x89\xfe\x00\x05abcd"),
    ]);
}

#[test]
fn a_close_ends_everything() {
    let hello = frame(TEXT, b"Hello World!");
    let normal = close(1000, b"");
    let done = Seen::Close(Some(1000));
    let begin = frame(TEXT_BEGIN, b"frag");
    run(&[
        case(
            "7.1.1",
            &[hello.clone(), normal.clone()],
            &[text(b"Hello World!"), done.clone()],
        ),
        case(
            "7.1.2",
            &[normal.clone(), normal.clone()],
            std::slice::from_ref(&done),
        ),
        case(
            "7.1.3",
            &[normal.clone(), frame(PING, b"")],
            std::slice::from_ref(&done),
        ),
        case(
            "7.1.4",
            &[normal.clone(), hello],
            std::slice::from_ref(&done),
        ),
        case("7.1.5", &[begin, normal, frame(END, b"ment")], &[done]),
    ]);
}

#[test]
fn a_close_payload_is_empty_or_a_good_code_and_a_reason_in_utf_8() {
    let fault = Seen::Bad(super::Fault::BadUtf8);
    let bad_reason = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited";
    let reason = "é".repeat(61);
    let thousand = Seen::Close(Some(1000));
    run(&[
        case("7.3.1", &[frame(CLOSE, b"")], &[Seen::Close(None)]),
        case("7.3.2", &[frame(CLOSE, b"a")], &[REFUSED]),
        case(
            "7.3.3",
            &[close(1000, b"")],
            std::slice::from_ref(&thousand),
        ),
        case(
            "7.3.4",
            &[close(1000, b"Hello World!")],
            std::slice::from_ref(&thousand),
        ),
        case(
            "7.3.5",
            &[close(1000, &[b'*'; 123])],
            std::slice::from_ref(&thousand),
        ),
        case(
            "7.3.5 words",
            &[close(1000, reason.as_bytes())],
            &[thousand],
        ),
        case("7.3.6", &[close(1000, &[b'*'; 124])], &[REFUSED]),
        case(
            "7.5.1",
            &[close(1000, bad_reason)],
            std::slice::from_ref(&fault),
        ),
        case("7.5 cut short", &[close(1000, b"\xce")], &[fault]),
    ]);
}

#[test]
fn close_codes_are_taken_or_refused_by_their_meaning() {
    let good = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ];
    let bad = [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ];
    let mut cases: Vec<Case> = Vec::new();
    for code in good {
        let seen = [Seen::Close(Some(code))];
        cases.push(case(&format!("7.7 {code}"), &[close(code, b"")], &seen));
        cases.push(case(
            &format!("7.7 {code} reason"),
            &[close(code, b"why")],
            &seen,
        ));
    }
    for code in bad {
        cases.push(case(
            &format!("7.9 {code}"),
            &[close(code, b"")],
            &[REFUSED],
        ));
        cases.push(case(
            &format!("7.13 {code} reason"),
            &[close(code, b"why")],
            &[REFUSED],
        ));
    }
    run(&cases);
}
