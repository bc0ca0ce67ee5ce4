//! The end of a run whose node stops in the middle of everything.
//!
//! In: clients in whatever state. Out: nothing, or a panic. What was accepted is delivered and answered to
//! whoever has a downstream, then everybody is told and every response ends as its framing has it; nothing new
//! is served; all of it within the time that `net` gives goodbyes.

use super::driver::STOP_MS;
use super::scene::Scene;
use super::world::World;
use orbited::node::Door;

impl World {
    /// Stops the node and looks at what everybody is left with.
    pub(super) fn drain(&mut self) {
        let scene = &mut self.scene;
        scene.note(|| "the node stops".to_owned());
        scene.count("faults: stops in the middle");
        self.csps.iter_mut().for_each(|csp| csp.before_stop(scene));
        self.sockets
            .iter_mut()
            .for_each(|socket| socket.before_stop(scene));
        self.readers
            .iter_mut()
            .for_each(|reader| reader.before_stop(scene));
        scene.net.stop();
        let served = scene.net.node.metrics().requests;
        for _ in 0..self.scene.chance.below(6) {
            self.scene.net.turn();
            self.go_on();
        }
        // Somebody takes nothing for as long as goodbyes may take.
        let slow = self.scene.chance.one_in(3);
        if slow {
            self.scene.net.narrow(0);
            self.scene.net.sleep(STOP_MS);
            self.go_on();
        }
        self.scene.net.open_wide();
        self.connections()
            .iter_mut()
            .for_each(|conn| conn.deaf = false);
        let late = latecomers(&mut self.scene);
        for _ in 0..ROUNDS {
            self.scene.net.sleep((STOP_MS + FINISH_MS) / ROUNDS);
            self.go_on();
            self.scene.net.settle();
        }
        self.go_on();
        let scene = &self.scene;
        let node = &scene.net.node;
        assert_eq!(node.conn_count(), 0, "connections are left behind a stop");
        assert_eq!(
            node.metrics().requests,
            served + late,
            "a stopped node served a request"
        );
        let left = node.session_count() as u64;
        scene.model.check_counts(scene.ended_sessions() + left);
        if slow {
            return;
        }
        self.csps.iter().for_each(|csp| csp.check_stop(scene));
        self.sockets
            .iter()
            .for_each(|socket| socket.check_stop(scene));
        self.readers
            .iter()
            .for_each(|reader| reader.check_stop(scene));
    }

    /// Everybody reads, and nobody is forgotten who has nothing more to do.
    fn go_on(&mut self) {
        self.everybody_reads();
        self.scene.net.check();
    }
}

/// Who was in the listener's queue: no session begins, and probes learn why. Gives back how many there were.
fn latecomers(scene: &mut Scene) -> u64 {
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let asked = [
        (Door::Public, "/_/revolved/csp/handshake?d=%7B%7D", ""),
        (Door::Public, "/_/revolved/ws", upgrade),
        (Door::Public, "/_/events?channel=a", ""),
        (Door::Internal, "/readyz", ""),
    ];
    let mut served = 0;
    for (door, target, header) in asked {
        let Some(link) = scene.net.connect_late(door) else {
            continue;
        };
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n");
        scene.net.send(link, request.as_bytes());
        scene.net.settle();
        let text = String::from_utf8(scene.net.take(link, usize::MAX)).unwrap();
        let stops = text.starts_with("HTTP/1.1 503 ") && text.contains("\"stopping\"");
        assert!(
            stops && text.contains("\r\nConnection: close\r\n"),
            "{target} while the node stops: {text}"
        );
        assert!(scene.net.is_over(link), "{target} keeps its connection");
        scene.net.leave(link);
        served += 1;
    }
    served
}

/// And to the application behind them.
const FINISH_MS: u64 = 3_000;
const ROUNDS: u64 = 60;
