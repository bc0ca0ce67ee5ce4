//! What a CSP client does to its downstreams: it cuts what they bring and takes over there, asks twice.
//!
//! In: chance, what the pipes took. Out: requests on other connections, and on the same one behind.

use super::csp::Csp;
use super::scene::Scene;
use super::settings::{Settings, Transport};

/// A downstream whose pipe takes so many bytes and no more.
pub struct Trap {
    number: u32,
    /// Looks until its pipe is let go.
    left: u32,
    /// It has been taken over.
    sprung: bool,
}

impl Csp {
    /// Lets the pipe of a downstream take some bytes more: what comes next is cut at one of them.
    pub fn set_trap(&mut self, scene: &mut Scene) {
        let Some(down) = self.downs.last() else {
            return;
        };
        if !self.is_live() || self.trap.is_some() {
            return;
        }
        let bytes = match scene.chance.below(4) {
            0 => scene.chance.below(40),
            1 | 2 => scene.chance.below(500),
            _ => scene.chance.below(4_000),
        };
        let (name, number) = (self.name, down.number);
        scene.note(|| format!("{name} cuts {number} after {bytes} bytes"));
        scene.net.cut_after(down.link, bytes);
        self.trap = Some(Trap {
            number,
            left: 60,
            sprung: false,
        });
    }

    /// Takes over there and then, when a downstream is cut inside of what it brings.
    pub(super) fn watch_trap(&mut self, scene: &mut Scene) {
        let stopped = scene.net.is_stopped();
        let Some(trap) = self.trap.as_mut().filter(|_| !stopped) else {
            return;
        };
        let (number, sprung) = (trap.number, trap.sprung);
        let left = trap.left.saturating_sub(1);
        trap.left = left;
        let down = self.downs.iter().find(|down| down.number == number);
        let Some(link) = down.map(|down| down.link) else {
            // It is over: its connection may serve others.
            self.trap = None;
            return self
                .conns
                .iter()
                .for_each(|conn| scene.net.let_go(conn.link));
        };
        if left == 0 {
            scene.net.let_go(link);
            self.trap = None;
        } else if !sprung && self.is_live() && scene.net.is_cut(link) {
            self.take_over_inside(scene, number);
        }
    }

    fn take_over_inside(&mut self, scene: &mut Scene, number: u32) {
        let many = scene.chance.pick(&[1, 1, 1, 2, 3]);
        for _ in 0..many {
            if self.is_lying() {
                break;
            }
            let Some(index) = self.connection(scene) else {
                break;
            };
            self.transport = Transport::any(&mut scene.chance);
            self.take_over_on(scene, index);
            let conn = &mut self.conns[index];
            conn.wait = 0;
            conn.feed(scene, usize::MAX);
            scene.count("downstreams: takeovers inside a batch");
        }
        let down = self.downs.iter().find(|down| down.number == number);
        let link = down.map(|down| down.link);
        let at = self
            .conns
            .iter()
            .position(|conn| Some(conn.link) == link && !self.is_socket(conn));
        if let Some(index) = at.filter(|_| !self.is_lying() && scene.chance.one_in(4)) {
            // Behind the answer that is cut.
            scene.count("downstreams: takeovers behind the batch");
            self.transport = Transport::any(&mut scene.chance);
            self.take_over_on(scene, index);
        }
        let left = scene.chance.pick(&[2, 3, 10, 40]);
        self.trap = Some(Trap {
            number,
            left,
            sprung: true,
        });
        if let Some(link) = link
            && scene.chance.one_in(4)
        {
            scene.count("faults: resets");
            scene.net.reset(link);
            self.haunts(link);
        }
    }

    /// Opens a downstream on a connection, half of the time with what was acknowledged some packets ago.
    fn take_over_on(&mut self, scene: &mut Scene, index: usize) {
        let settings = Settings::new(&mut scene.chance, self.transport);
        let behind = if scene.chance.one_in(2) {
            scene.chance.between(1, 6)
        } else {
            0
        };
        let ack = self.has.saturating_sub(behind as u64);
        self.ask_for_down(scene, index, settings, Some(ack), false);
    }

    /// Asks for one downstream on two connections, as a proxy or an impatient client does; either may come
    /// first.
    pub fn open_down_twice(&mut self, scene: &mut Scene) {
        if !self.is_live() || self.is_lying() {
            return;
        }
        let before = self.downs.len();
        self.open_down(scene, false);
        let Some(down) = self.downs.get(before) else {
            return;
        };
        let (link, settings, ack) = (down.link, down.settings.clone(), down.ack);
        let Some(index) = self.connection(scene) else {
            return;
        };
        scene.count("faults: downstreams asked for twice");
        self.ask_for_down(scene, index, settings, Some(ack), false);
        if scene.chance.one_in(2)
            && let Some(conn) = self.conns.iter_mut().find(|conn| conn.link == link)
        {
            conn.wait = scene.chance.between(1, 20) as u32;
        }
    }
}
