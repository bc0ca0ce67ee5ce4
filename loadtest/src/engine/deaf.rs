//! Clients that stop reading, and begin again.
//!
//! In: the share that stops. Out: sockets whose receive buffer is small, and which nobody reads.

use super::Engine;
use super::conn::Hearing;
use socket2::SockRef;

impl Engine {
    /// This share of the ready stops reading: the same clients in every run, spread evenly.
    pub fn deafen(&mut self, share: f64) {
        for (_, conn) in &mut self.conns {
            if conn.peer.ready && is_deaf(conn.peer.client, share) {
                conn.hearing = Hearing::Deaf;
                // What the kernel keeps for a reader is not what is looked at. It may say no.
                let _ = SockRef::from(&conn.socket).set_recv_buffer_size(DEAF_BYTES);
                self.counts.deaf += 1;
            }
        }
    }

    /// They read again: whose connection or session is over finds out.
    pub fn undeafen(&mut self) {
        let conns = self.conns.iter_mut();
        let deaf = conns.filter(|(_, conn)| conn.hearing == Hearing::Deaf);
        let woken: Vec<usize> = deaf
            .map(|(index, conn)| {
                conn.hearing = Hearing::Woken;
                let _ = SockRef::from(&conn.socket).set_recv_buffer_size(WOKEN_BYTES);
                index
            })
            .collect();
        // The edges of what came meanwhile are used up.
        for index in woken {
            self.read(index, false);
        }
    }
}

/// Whether a client is one of its share: so that of any n in a row, as many are as can be.
fn is_deaf(client: u32, share: f64) -> bool {
    let before = |client: f64| (client * share).floor();
    let client = f64::from(client);
    before(client + 1.0) > before(client)
}

/// Receive buffers; the kernel doubles them. A small one takes little of what is not read, and would take long to give
/// what waits behind it.
const DEAF_BYTES: usize = 4096;
const WOKEN_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_spread_evenly() {
        for share in [0.001, 0.1, 0.25, 0.5, 0.9] {
            let deaf = (0..1000).filter(|client| is_deaf(*client, share)).count();
            assert_eq!(deaf as f64, (1000.0 * share).floor(), "{share}");
            let first = (0..100).filter(|client| is_deaf(*client, share)).count();
            assert!((first as f64 - 100.0 * share).abs() <= 1.0, "{share}");
        }
        assert!((0..100).all(|client| !is_deaf(client, 0.0)));
    }
}
