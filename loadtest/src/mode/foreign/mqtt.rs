//! MQTT 3.1.1 (OASIS): CONNECT, SUBSCRIBE with quality of service 0, and PUBLISH from the server.

use crate::mode::{Cx, Mode, Peer};
use crate::trouble::Fault;

/// The mode.
#[derive(Debug)]
pub struct Mqtt;

/// Kinds of packets: the upper half of the first byte, 2.2.1.
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x80;
const SUBACK: u8 = 0x90;

impl Mode for Mqtt {
    fn opened(&self, cx: &mut Cx<'_>, _: &mut Peer) {
        // Protocol level 4, clean session, no keep-alive, and no client identifier: the server makes one up.
        let body = [0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 0];
        packet(cx.out, CONNECT, &body);
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        while let Some((kind, body)) = next(&mut rest)? {
            match (kind & 0xf0, body) {
                (CONNACK, [_, 0]) => subscribe(cx),
                // The code is 0, the quality that was asked for, or 0x80.
                (SUBACK, [0, 1, 0]) => peer.ready = true,
                (PUBLISH, body) => cx.arrived(peer, body),
                _ => return Err(Fault::Response),
            }
        }
        Ok(input.len() - rest.len())
    }
}

fn subscribe(cx: &mut Cx<'_>) {
    let topic = cx.channel.as_bytes();
    let length = u16::try_from(topic.len()).unwrap_or(u16::MAX).to_be_bytes();
    let body = [&[0, 1][..], &length, topic, &[0]].concat();
    // Bit 1 is reserved and set, 3.8.1.
    packet(cx.out, SUBSCRIBE | 2, &body);
}

fn packet(out: &mut Vec<u8>, first: u8, body: &[u8]) {
    out.push(first);
    // Remaining length, 2.2.3: seven bits a byte, lowest first.
    let mut left = body.len();
    loop {
        let digit = (left % 128) as u8;
        left /= 128;
        if left == 0 {
            out.push(digit);
            break;
        }
        out.push(digit | 0x80);
    }
    out.extend_from_slice(body);
}

/// The first packet, `None` until it is whole.
fn next<'a>(input: &mut &'a [u8]) -> Result<Option<(u8, &'a [u8])>, Fault> {
    let Some((first, mut rest)) = input.split_first() else {
        return Ok(None);
    };
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let Some((digit, behind)) = rest.split_first() else {
            return Ok(None);
        };
        rest = behind;
        length |= usize::from(digit & 0x7f) << shift;
        if digit & 0x80 == 0 {
            let Some((body, behind)) = rest.split_at_checked(length) else {
                return Ok(None);
            };
            *input = behind;
            return Ok(Some((*first, body)));
        }
    }
    Err(Fault::TooMuch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::client::{Client, message, play};

    #[test]
    fn it_subscribes_and_counts_messages_however_they_are_cut() {
        let publish = |seq| {
            let mut out = Vec::new();
            let long = [&[0, 4][..], b"news", &message(seq), &[b'.'; 100]].concat();
            packet(&mut out, PUBLISH, &long);
            out
        };
        let server = [
            &[CONNACK, 2, 0, 0, SUBACK, 3, 0, 1, 0][..],
            &publish(0),
            &publish(1),
        ]
        .concat();
        let (said, arrived, ready) = play(|| Client::open(&Mqtt), &server);
        let connect = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00";
        let subscribe = b"\x82\x09\x00\x01\x00\x04news\x00";
        assert_eq!(said, [&connect[..], subscribe].concat());
        assert_eq!((arrived, ready), (2, true));
    }

    #[test]
    fn a_length_takes_as_many_bytes_as_it_needs() {
        for length in [0, 127, 128, 16_383, 16_384, 2_097_152] {
            let (mut bytes, body) = (Vec::new(), vec![b'x'; length]);
            packet(&mut bytes, PUBLISH, &body);
            let mut input = &bytes[..];
            assert_eq!(next(&mut input), Ok(Some((PUBLISH, &body[..]))));
            assert!(input.is_empty());
            let mut cut = &bytes[..bytes.len() - 1];
            assert_eq!(next(&mut cut), Ok(None), "{length}");
        }
        let endless = [PUBLISH, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(next(&mut &endless[..]), Err(Fault::TooMuch));
    }

    #[test]
    fn a_refusal_is_a_fault() {
        for bad in [
            [CONNACK, 2, 0, 5].as_slice(),
            &[SUBACK, 3, 0, 1, 0x80],
            &[0xf0, 0],
        ] {
            assert_eq!(
                Client::open(&Mqtt).hears(bad),
                Err(Fault::Response),
                "{bad:?}"
            );
        }
    }
}
