//! NATS: lines that end in CR LF, and behind `MSG` a payload of the length it says.
//! <https://docs.nats.io/reference/reference-protocols/nats-protocol>

use crate::mode::{Cx, Mode, Peer};
use crate::proto::sse;
use crate::trouble::Fault;

/// The mode.
#[derive(Debug)]
pub struct Nats;

impl Mode for Nats {
    /// The server speaks first.
    fn opened(&self, _: &mut Cx<'_>, _: &mut Peer) {}

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        while let Some((line, behind)) = sse::line(rest) {
            let verb = line.split(|byte| *byte == b' ').next().unwrap_or_default();
            rest = behind;
            match verb {
                b"MSG" => {
                    let length = length(line).ok_or(Fault::Batch)?;
                    // Not taken before its payload is there too.
                    let Some((payload, behind)) = behind.split_at_checked(length + 2) else {
                        return Ok(input.len() - line.len() - 2 - behind.len());
                    };
                    cx.arrived(peer, payload);
                    rest = behind;
                }
                b"INFO" => greet(cx),
                b"PING" => cx.out.extend_from_slice(b"PONG\r\n"),
                b"PONG" => peer.ready = true,
                b"+OK" => {}
                _ => return Err(Fault::Response),
            }
        }
        match rest.len() {
            0..LINE_BYTES_MAX => Ok(input.len() - rest.len()),
            _ => Err(Fault::TooMuch),
        }
    }
}

/// The PONG to the PING says that the subscription is there.
fn greet(cx: &mut Cx<'_>) {
    let lines = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"lang\":\"loadtest\",\"version\":\"1\"}}\r\n\
         SUB {} 1\r\nPING\r\n",
        cx.channel
    );
    cx.out.extend_from_slice(lines.as_bytes());
}

/// `MSG SUBJECT SID [REPLY] LENGTH`.
fn length(line: &[u8]) -> Option<usize> {
    let digits = line.rsplit(|byte| *byte == b' ').next()?;
    let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (length <= PAYLOAD_BYTES_MAX).then_some(length)
}

/// INFO says a lot.
const LINE_BYTES_MAX: usize = 64 * 1024;
const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::client::{Client, message, play};

    #[test]
    fn it_subscribes_and_counts_messages_however_they_are_cut() {
        let (one, two) = (message(0), message(1));
        let server = [
            b"INFO {\"server_id\":\"x\"}\r\nPONG\r\nMSG news 1 60\r\n",
            &one[..],
            b"\r\nPING\r\n+OK\r\nMSG news 1 reply.to 60\r\n",
            &two[..],
            b"\r\n",
        ]
        .concat();
        let (said, arrived, ready) = play(|| Client::open(&Nats), &server);
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with("CONNECT {\"verbose\":false,"), "{said}");
        assert!(
            said.ends_with("\r\nSUB news 1\r\nPING\r\nPONG\r\n"),
            "{said}"
        );
        assert_eq!((arrived, ready), (2, true));
    }

    #[test]
    fn what_nats_does_not_say_is_a_fault() {
        for bad in [
            "-ERR 'Authorization Violation'\r\n",
            "HTTP/1.1 200 OK\r\n",
            "\r\n",
        ] {
            assert_eq!(
                Client::open(&Nats).hears(bad.as_bytes()),
                Err(Fault::Response),
                "{bad}"
            );
        }
        for bad in ["MSG\r\n", "MSG news 1 x\r\n", "MSG news 1 99999999999\r\n"] {
            assert_eq!(
                Client::open(&Nats).hears(bad.as_bytes()),
                Err(Fault::Batch),
                "{bad}"
            );
        }
        let endless = [b'a'; LINE_BYTES_MAX];
        assert_eq!(Client::open(&Nats).hears(&endless), Err(Fault::TooMuch));
    }
}
