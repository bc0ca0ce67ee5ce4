//! Who is in which channel, as those who watch are told, and what becomes of messages whose sender asked for it.
//!
//! In: snapshots in answers to SUBSCRIBE, JOIN, LEAVE, DELIVERY. Out: nothing, or a panic. Nobody comes who is there or goes
//! who is not; when every session that nobody uses is over, who is said to be there is who is; and each message has come
//! to one end for each session that it went to.

use super::chance::Chance;
use super::csp::Csp;
use super::model::{CHANNELS, USERS};
use super::past::Asked;
use super::peer::{Peer, raw_field};
use super::scene::Scene;
use super::world::World;
use orbited::config::policy::Presence;
use orbited::config::rule::Rule;
use std::collections::BTreeSet;

/// Draws rules by which some channels tell who is there.
pub fn draw_rules(chance: &mut Chance) -> Vec<Rule> {
    let mut rules = Vec::new();
    for pattern in ["chat/**", "news/2009/*", CHANNELS[2]] {
        let presence = chance.pick(&["list", "list", "list", "count", "off"]);
        rules.push(Rule::parse(&format!("{pattern} presence={presence}")).unwrap());
    }
    rules
}

impl Peer {
    /// The answer to SUBSCRIBE says who is there, if that was asked for and the channel tells.
    pub(super) fn watches(&mut self, scene: &mut Scene, asked: &Asked, result: &str) {
        let channel = asked.channel;
        self.rooms.remove(&channel);
        let mode = scene.model.policies[channel].presence;
        let listed = result.contains("\"members\":");
        assert_eq!(
            listed,
            asked.presence && mode == Presence::List,
            "{}: {result}",
            self.name
        );
        if listed {
            let members = raw_field(result, "members");
            let members: Vec<String> = serde_json::from_str(&members).unwrap();
            assert_eq!(raw_field(result, "more"), "false");
            let room: BTreeSet<String> = members.iter().cloned().collect();
            assert_eq!(
                room.len(),
                members.len(),
                "somebody is there twice: {members:?}"
            );
            self.rooms.insert(channel, room);
        }
    }

    pub(super) fn comes(&mut self, scene: &mut Scene, channel: &str, user: String) {
        let name = self.name;
        scene.note(|| format!("{name} is told that {user} came to {channel}"));
        scene.count("rooms: joins");
        assert!(USERS.contains(&user.as_str()), "nobody is called {user}");
        let is_new = self.room(channel).insert(user);
        assert!(is_new, "{name} is told of somebody in {channel} twice");
    }

    pub(super) fn goes(&mut self, scene: &mut Scene, channel: &str, user: &str) {
        let name = self.name;
        scene.note(|| format!("{name} is told that {user} left {channel}"));
        scene.count("rooms: leaves");
        let was_there = self.room(channel).remove(user);
        assert!(
            was_there,
            "{name} is told that {user} left {channel} and was not there"
        );
    }

    fn room(&mut self, channel: &str) -> &mut BTreeSet<String> {
        let name = self.name;
        let at = CHANNELS.iter().position(|known| *known == channel);
        let room = at.and_then(|at| self.rooms.get_mut(&at));
        room.unwrap_or_else(|| panic!("{name} is told of {channel}, which it does not watch"))
    }

    /// What became of a message at one of the sessions that it went to.
    pub(super) fn reported(
        &mut self,
        scene: &mut Scene,
        id: u64,
        state: &str,
        reason: Option<&str>,
    ) {
        scene.count("rooms: reports");
        let name = self.name;
        scene.note(|| format!("{name} is told that {id} is {state}, {reason:?}"));
        let known = matches!(
            (state, reason),
            ("acked" | "written", None) | ("failed", Some(_))
        );
        assert!(known, "{state} for {reason:?}");
        let report = self.reports.get_mut(&id);
        let (most, told) =
            report.unwrap_or_else(|| panic!("{name} never asked what becomes of {id}"));
        *told += 1;
        assert!(
            most.is_some_and(|most| *told <= most),
            "{name} is told {told} times what became of {id}, which went to {most:?}"
        );
    }
}

impl World {
    /// At the end, with no session left but those that are used.
    pub(super) fn check_rooms(&self) {
        let csps = self.csps.iter().filter(|csp| csp.is_live());
        let sockets = self.sockets.iter().filter(|socket| socket.is_live());
        let peers: Vec<&Peer> = csps
            .map(|csp: &Csp| &csp.peer)
            .chain(sockets.map(|socket| &socket.peer))
            .collect();
        for peer in &peers {
            for (channel, room) in &peer.rooms {
                let there = peers
                    .iter()
                    .filter(|other| other.subs.contains_key(channel));
                let there: BTreeSet<String> =
                    there.filter_map(|other| other.user.clone()).collect();
                assert_eq!(
                    *room, there,
                    "{} is told that these are in channel {channel}, and those are",
                    peer.name
                );
            }
            for (id, (most, told)) in &peer.reports {
                let whole = most.is_none_or(|most| most == *told);
                assert!(
                    whole,
                    "{} is told {told} times what became of {id}, which went to {most:?}",
                    peer.name
                );
            }
        }
    }

    /// Counts what [`World::check_rooms`] has to look at.
    pub(super) fn count_rooms(&mut self) {
        let peers = self.csps.iter().map(|csp| &csp.peer);
        let (mut rooms, mut reports) = (0, 0);
        for peer in peers {
            rooms += peer.rooms.len() as u64;
            reports += peer
                .reports
                .values()
                .filter(|(most, _)| most.is_some())
                .count() as u64;
        }
        self.scene.net.totals.add("rooms: compared", rooms);
        self.scene
            .net
            .totals
            .add("rooms: reports complete", reports);
    }
}

/// Sessions that ended while a run comes to its end.
#[derive(Default)]
pub struct Ended {
    many: u64,
    /// When the last was found to have.
    at: u64,
}

impl Ended {
    /// Whether everybody who is there is told by now that their users left.
    pub fn are_told(&mut self, scene: &Scene) -> bool {
        if self.many != scene.ended_sessions() {
            (self.many, self.at) = (scene.ended_sessions(), scene.now());
        }
        let grace_ms = scene.net.node.config().presence_grace_ms;
        !scene.waits || scene.now() > self.at + grace_ms + TOLD_MS
    }
}

/// Milliseconds in which who is there has read what it is told.
const TOLD_MS: u64 = 1_000;
/// Rounds of the end for which a run waits: twice the longest hold, which a session outlives, and the grace for coming
/// back.
pub const QUIET_ROUNDS: u32 = 700;
