//! A batch of packets is read as a plain JSON reader reads it.

use orbited::session::Encoding;
use orbited::session::packets::{BatchError, Up, parse};

const PACKETS_MAX: usize = 16;

type Plain = Vec<(u64, u64, Option<String>)>;

/// Panics where the parser and the plain reader disagree.
pub fn run(data: &[u8]) {
    let plain: Option<Plain> = serde_json::from_slice(data).ok();
    for (agreed, highest) in [(Encoding::Plain, 1), (Encoding::Utf8, 2)] {
        let ours = parse(data, PACKETS_MAX, agreed);
        match (ours, &plain) {
            (Ok(packets), Some(plain)) => compare(&packets, plain),
            (Err(BatchError::Syntax), None) => {}
            // What follows the first packet too many is not read.
            (Err(BatchError::TooMany), plain) => {
                assert!(plain.as_ref().is_none_or(|plain| plain.len() > PACKETS_MAX));
            }
            (Err(BatchError::UnknownEncoding), Some(plain)) => {
                assert!(plain.iter().any(|(_, encoding, _)| *encoding > highest));
            }
            (Err(BatchError::BadBase64), Some(plain)) => {
                assert!(plain.iter().any(|(_, encoding, _)| *encoding == 1));
            }
            (ours, plain) => panic!("{ours:?} where a JSON reader has {plain:?}"),
        }
    }
}

fn compare(packets: &[Up<'_>], plain: &Plain) {
    assert!(packets.len() == plain.len() && packets.len() <= PACKETS_MAX);
    for (packet, (id, encoding, text)) in packets.iter().zip(plain) {
        assert_eq!(packet.id, *id);
        assert_eq!(packet.data.is_none(), text.is_none());
        if let (Some(bytes), Some(text), 0 | 2) = (&packet.data, text, encoding) {
            assert_eq!(&**bytes, text.as_bytes());
        }
    }
}
