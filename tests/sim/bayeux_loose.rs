//! A session of Bayeux without acknowledgements: what a connect says by being there, and what comes again.
//!
//! In: messages without numbers, the ways that connects take. Out: nothing, or a panic. Messages come in order and each once,
//! but where a connection broke or was left: then what came may come again from some place on, and all that came behind it.
//! What counts as arrived and was not read is lost: what a WebSocket took, and what a request was answered that nobody saw
//! break before the next connect. Everything else comes, or is listed when the session ends.

use super::bayeux_talk::Talk;
use super::driver::LinkId;
use super::scene::Scene;
use orbited::session::BATCH_BYTES_MAX;
use std::collections::BTreeSet;

/// What a client knows of messages without numbers.
#[derive(Debug, Default, Clone)]
pub struct Loose {
    /// Everything that came, in order.
    came: Vec<String>,
    /// How much of it came on the present way; what is behind that comes again.
    cursor: usize,
    /// The connection of its last connect, and whether that is a WebSocket.
    last: Option<(LinkId, bool)>,
    /// Where connects went, and where what broke was due again.
    links: BTreeSet<LinkId>,
    due_again: BTreeSet<LinkId>,
    /// The WebSocket that brought messages last, and how much had come then.
    brought: Option<(LinkId, u64)>,
}

impl Talk {
    /// A connect goes by this connection.
    pub fn goes_by(&mut self, scene: &mut Scene, link: LinkId, socket: bool) {
        if let Some((last, by_socket)) = self.loose.last.filter(|(last, _)| *last != link) {
            self.broken = true;
            // The node knows of the break before it is told to go on.
            if !by_socket && scene.net.was_seen_to_break(last) && scene.net.is_wasted(last) {
                scene.count("bayeux: answers that broke and came again");
                self.loose.due_again.insert(last);
            }
        }
        self.by_sockets |= socket;
        self.loose.last = Some((link, socket));
        self.loose.links.insert(link);
    }

    /// Whether a connect of it went by this connection.
    pub fn went_by(&self, link: LinkId) -> bool {
        self.loose.links.contains(&link)
    }

    /// A connect was answered, which said that the client has so much.
    pub fn says(&mut self, scene: &Scene, has: Option<u64>, sure: bool) {
        match has {
            // What broke meanwhile may have been due again in front of it.
            Some(has) if sure && (self.acks || !self.broken) => {
                self.acked.push((scene.net.turns, has))
            }
            has => self.flying.extend(has),
        }
    }

    /// Messages came by a WebSocket and no answer with them: those that it brought before are written.
    pub fn is_pushed(&mut self, scene: &mut Scene, messages: &[&str], link: LinkId) {
        // A node that stops writes all that it has at once.
        let apart = |(by, _): &(LinkId, u64)| *by == link && !scene.net.is_stopped();
        if let Some((_, had)) = self.loose.brought.filter(apart) {
            self.acked.push((scene.net.turns, had));
        }
        self.comes(scene, messages);
        self.brings_by(link);
    }

    /// Messages came in front of the answer to a connect.
    pub fn is_answered(&mut self, scene: &mut Scene, messages: &[&str], link: LinkId) {
        self.comes(scene, messages);
        match self.loose.last == Some((link, true)) {
            true => self.brings_by(link),
            false => self.by_sockets = false,
        }
    }

    fn brings_by(&mut self, link: LinkId) {
        let had = self.loose.cursor as u64;
        self.loose.brought = Some((link, had));
        self.flying.push(had);
    }

    fn comes(&mut self, scene: &mut Scene, messages: &[&str]) {
        if messages.is_empty() {
            return;
        }
        let all = self.loose.came.len();
        if std::mem::take(&mut self.broken) {
            let floor = self.acked_up_to() as usize;
            // All that came is due at once. Less than that, of which one may say the same as an older one (that so many of
            // a channel are missed), is what comes again only where a batch ended on its size.
            let bytes: usize = messages.iter().map(|message| message.len() + 32).sum();
            let is_full = bytes >= BATCH_BYTES_MAX;
            let again = |from: &usize| {
                let came = &self.loose.came[*from..];
                let mut both = came.iter().zip(messages);
                both.all(|(came, message)| came == message)
                    && (is_full || came.len() <= messages.len())
            };
            self.loose.cursor = (floor..all).find(again).unwrap_or(all);
        }
        for message in messages {
            if let Some(came) = self.loose.came.get(self.loose.cursor) {
                assert_eq!(came, message, "{} gets something else again", self.name);
                scene.count("bayeux: messages again");
            } else {
                self.delivered(scene, message, self.has + 1);
                self.has += 1;
                self.loose.came.push((*message).to_owned());
            }
            self.loose.cursor += 1;
        }
    }

    /// What the node surely takes for delivered.
    fn acked_up_to(&self) -> u64 {
        self.acked.iter().map(|(_, has)| *has).max().unwrap_or(0)
    }

    /// Whether something counts as arrived that was not read.
    pub fn may_have_lost(&self, scene: &Scene) -> bool {
        let wasted = |link: &LinkId| scene.net.is_wasted(*link);
        let mut lost = self.loose.links.difference(&self.loose.due_again);
        !self.acks && lost.any(wasted)
    }

    /// The session as it is to be looked at in the end.
    pub fn looked_back(&self, scene: &Scene) -> Self {
        let mut talk = self.clone();
        if self.may_have_lost(scene) {
            talk.left.extend(&self.wanted);
        }
        talk
    }
}
