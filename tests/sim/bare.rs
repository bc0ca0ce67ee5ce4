//! Clients whose session is their connection: a bare WebSocket, and a reader of events.
//!
//! In: chance, what the connection brings. Out: a request, and calls where there can be some. They may lose
//! only by the end of their connection: until then every message is there, in order, once.

use super::account::{Account, Kind, Topic};
use super::csp_down::{HEARTBEAT_MS, SLACK_MS, upgrade};
use super::frames::{self, CLOSE, Frames, TEXT};
use super::http::{Happened, Http, What};
use super::model::{CHANNELS, Fate, Item, Publication};
use super::peer::{Peer, Sub, field, raw_field, text};
use super::request::bare;
use super::response::Head;
use super::scene::Scene;
use super::settings::encode;
use super::slow::Hole;
use orbited::cmd::Cause;
use orbited::config::policy::Who;
use orbited::node::Door;
use std::collections::{BTreeMap, BTreeSet};

/// A Revolved client on a bare WebSocket.
pub struct Socket {
    pub name: u32,
    pub http: Http,
    pub peer: Peer,
    frames: Frames,
    open: bool,
    closing: bool,
    /// The client has asked for the end, which must come.
    ending: bool,
    looks: u32,
    said: Vec<&'static str>,
    goodbye: Option<u64>,
    /// In which turn the node was last seen to go on with it.
    alive: u64,
    /// There was a session.
    certain: bool,
    /// Everything that was written is read.
    whole: bool,
    /// It was there when the node stopped, and what it was told since.
    farewell: Option<Option<u16>>,
}

impl Socket {
    pub fn open(scene: &mut Scene, name: u32) -> Option<Self> {
        let mut http = Http::open(scene, Door::Public)?;
        scene.net.watch_pings(http.link);
        http.ask(
            scene.now(),
            &upgrade("/_/revolved/ws"),
            false,
            What::Down(0),
        );
        let (peer, frames) = (scene.comer(name), Frames::default());
        Some(Self {
            name,
            http,
            peer,
            frames,
            open: false,
            closing: false,
            ending: false,
            looks: 0,
            said: Vec::new(),
            goodbye: None,
            alive: 0,
            certain: false,
            whole: false,
            farewell: None,
        })
    }

    pub fn is_over(&self) -> bool {
        self.http.is_gone()
    }

    pub fn pump(&mut self, scene: &mut Scene) {
        for happened in self.http.pump(scene) {
            match happened {
                Happened::Head(_, head) => self.begins(scene, &head),
                Happened::Body(_, bytes) => {
                    self.frames.push(&bytes);
                    while let Some(frame) = self.frames.next() {
                        match frame.opcode {
                            TEXT => self.peer.receive(scene, &frame.payload, 0),
                            CLOSE => self.closed(scene, frame.code()),
                            9 if scene.answers_ping() => {
                                self.http
                                    .say(&frames::pong(&mut scene.chance, &frame.payload));
                            }
                            9 | 10 => {}
                            opcode => panic!("opcode {opcode}: everything here is text"),
                        }
                    }
                }
                _ => {}
            }
        }
        if self.open && self.http.is_kept(scene) {
            self.alive = scene.net.turns;
        }
        if self.open && !self.closing {
            hears(scene, &self.http);
        }
        if self.ending && self.open && !self.is_over() && self.http.is_settled(scene) {
            self.looks += 1;
            assert!(self.looks < LOOKS_MAX, "{} waits for its end", self.name);
        }
    }

    fn begins(&mut self, scene: &mut Scene, head: &Head) {
        match head.status {
            101 => scene.count("sessions: bare websockets"),
            408 | 503 => self.closing = true,
            status => panic!("a bare WebSocket is answered {status}"),
        }
        self.open = head.status == 101;
        self.certain = self.open;
    }

    fn closed(&mut self, scene: &mut Scene, code: u16) {
        let name = self.name;
        scene.note(|| format!("{name} is told {code}"));
        self.farewell = self.farewell.map(|_| Some(code));
        self.whole = true;
        let full = scene.may_be_full() || scene.signoffs(Cause::Overflow) > 0;
        let expected = match code {
            1000 | 1002 => self.closing,
            1001 => self.peer.heard_bye() || scene.may_be_full() || scene.net.is_stopped(),
            4413 | 1009 => full,
            4403 => self.peer.may_be_kicked(scene),
            4408 => scene.net.was_unheard(self.http.link),
            _ => false,
        };
        assert!(expected, "{name} is told {code} without a reason");
        (self.open, self.closing) = (false, true);
        self.http.say(&frames::close(&mut scene.chance, 1000));
    }

    pub fn advance(&mut self, scene: &mut Scene) {
        if !self.open || self.closing {
            return;
        }
        self.peer.call(scene);
        self.come_to_rest(scene);
        if scene.chance.one_in(40) {
            let mut ping = Vec::new();
            frames::ping(&mut ping, &mut scene.chance);
            self.http.say(&ping);
        }
    }

    /// Says what there is to say; false when nothing is left.
    pub fn come_to_rest(&mut self, scene: &mut Scene) -> bool {
        if !self.open || self.closing {
            return self.ending && self.open;
        }
        let most = (scene.net.node.config().max_message - 100).min(40_000);
        while !self.peer.out.is_empty() {
            let len = self.peer.out.len().min(most);
            let mut cut = if scene.chance.one_in(3) {
                scene.chance.between(1, len)
            } else {
                len
            };
            while !is_boundary(&self.peer.out, cut) {
                cut -= 1;
            }
            let text: Vec<u8> = self.peer.out.drain(..cut.max(1)).collect();
            // A cut inside a character cannot go as text.
            let message = match std::str::from_utf8(&text) {
                Ok(_) => frames::message(&mut scene.chance, &text),
                Err(_) => frames::binary(&mut scene.chance, &text),
            };
            self.http.say(&message);
        }
        self.peer.is_waiting()
    }

    /// Says goodbye: by a call, by a close frame, or by breaking the protocol.
    pub fn close(&mut self, scene: &mut Scene) {
        if !self.open || self.closing {
            return;
        }
        (self.closing, self.ending) = (true, true);
        self.goodbye = Some(scene.net.turns);
        self.said.push("clean");
        match scene.chance.below(3) {
            0 => {
                self.peer.disconnect(scene);
                let text = std::mem::take(&mut self.peer.out);
                let message = frames::message(&mut scene.chance, &text);
                self.http.say(&message);
            }
            1 => self.http.say(&frames::close(&mut scene.chance, 1000)),
            _ => {
                scene.doomed += 1;
                self.said = vec!["protocol"];
                self.http.say(&[0xff, 0xff]);
            }
        }
    }

    /// What it knows of its session.
    pub fn account(&self) -> Account {
        let mut account = Account {
            name: self.name,
            kind: Kind::Socket,
            link: Some(self.http.link),
            said: self.said.clone(),
            goodbye: self.goodbye,
            alive: self.alive,
            certain: self.certain,
            whole: self.whole,
            ..Account::default()
        };
        self.peer.tell(&mut account);
        account
    }

    pub fn is_live(&self) -> bool {
        self.open && !self.closing
    }

    /// The node stops now.
    pub fn before_stop(&mut self, scene: &Scene) {
        let link = self.http.link;
        // What is not read yet may be another goodbye.
        let read = scene.net.unread(link) == 0 && !scene.net.is_blocked(link);
        let there = self.is_live() && scene.net.is_up(link) && read;
        self.farewell = there.then_some(None);
    }

    pub fn check_stop(&self, scene: &Scene) {
        match self.farewell {
            // One that had too much waiting before it was told.
            Some(Some(4403 | 4413 | 1009)) | None => {}
            Some(told) => {
                assert_eq!(told, Some(1001), "{} is told of the stop", self.name);
                self.peer.check_stop(scene);
            }
        }
    }

    pub fn check(&self, scene: &Scene) {
        if self.is_live() && scene.net.is_up(self.http.link) {
            self.peer.check(scene);
        }
    }
}

fn is_boundary(bytes: &[u8], at: usize) -> bool {
    at == 0 || bytes.get(at).is_none_or(|byte| byte & 0xc0 != 0x80)
}

/// A bare downstream is never silent for longer than the heartbeat.
fn hears(scene: &Scene, http: &Http) {
    let still = scene.net.unread(http.link) == 0
        && !scene.net.is_blocked(http.link)
        && scene.net.is_up(http.link);
    let silent = scene.now() - scene.net.written_at(http.link);
    assert!(
        !still || silent <= HEARTBEAT_MS + SLACK_MS,
        "a bare client hears nothing for {silent} ms"
    );
}

/// An event source.
pub struct Reader {
    pub name: u32,
    pub http: Http,
    channels: Vec<usize>,
    text: Vec<u8>,
    /// Where it stands in each of them: epoch and offset.
    places: Vec<(String, u64)>,
    /// The same by what came, and how many it was told to have missed behind that.
    subs: BTreeMap<usize, Sub>,
    holes: Vec<Hole>,
    open: bool,
    over: bool,
    begun: u64,
    /// In which turn the node was last seen to go on with it.
    alive: u64,
    /// Everything that was written is read.
    whole: bool,
    /// It was there when the node stopped.
    farewell: bool,
    /// Publications from this number on must come.
    since: usize,
    seen: BTreeSet<usize>,
    /// What came, by channel and in order.
    log: BTreeMap<usize, Vec<usize>>,
}

impl Reader {
    pub fn open(scene: &mut Scene, name: u32) -> Option<Self> {
        let mut http = Http::open(scene, Door::Public)?;
        let most = scene.net.node.config().max_subscriptions;
        let many = scene
            .chance
            .between(1, if most < 100 { most + 3 } else { 3 });
        let mut channels: Vec<usize> = (0..many)
            .map(|_| scene.chance.below(CHANNELS.len()))
            .collect();
        let pairs: Vec<_> = channels
            .iter()
            .map(|channel| ("channel", CHANNELS[*channel].to_owned()))
            .collect();
        let target = format!("/_/events?{}", encode(&pairs));
        let request = bare(
            &mut scene.chance,
            "GET",
            &target,
            "Accept: text/event-stream\r\n",
        );
        http.ask(scene.now(), &request, false, What::Down(0));
        let mut named = BTreeSet::new();
        channels.retain(|channel| named.insert(*channel));
        Some(Self {
            name,
            http,
            channels,
            text: Vec::new(),
            places: Vec::new(),
            subs: BTreeMap::new(),
            holes: Vec::new(),
            open: false,
            over: false,
            begun: scene.net.turns,
            alive: 0,
            whole: false,
            farewell: false,
            since: usize::MAX,
            seen: BTreeSet::new(),
            log: BTreeMap::new(),
        })
    }

    pub fn is_over(&self) -> bool {
        self.over || self.http.is_gone()
    }

    pub fn pump(&mut self, scene: &mut Scene) {
        for happened in self.http.pump(scene) {
            match happened {
                Happened::Head(_, head) => self.begins(scene, &head),
                Happened::Body(_, bytes) => self.brings(scene, &bytes),
                Happened::End(_, 200, _) => {
                    let may =
                        scene.signoffs(Cause::Overflow) > 0 || scene.signoffs(Cause::Shutdown) > 0;
                    assert!(
                        may || scene.net.was_blocked(self.http.link),
                        "an event stream ends by itself"
                    );
                    (self.over, self.whole) = (true, true);
                }
                Happened::End(_, _, _) | Happened::Lost(_) => self.over = true,
                _ => {}
            }
        }
        // A stream may end and its connection go on.
        let read = scene.net.unread(self.http.link) == 0 && !self.over;
        if self.open && read && self.http.is_kept(scene) {
            self.alive = scene.net.turns;
        }
        if self.open && !self.over {
            hears(scene, &self.http);
        }
        if self.over {
            scene.net.leave(self.http.link);
        }
    }

    fn begins(&mut self, scene: &mut Scene, head: &Head) {
        let bounded = scene.net.node.config().max_subscriptions < 100;
        match head.status {
            200 => {}
            408 | 503 => return,
            400 if bounded => return,
            403 => return assert!(self.is_kept_out(scene), "{} is kept out", self.name),
            status => panic!("an event source is answered {status}"),
        }
        assert_eq!(head.field("content-type"), Some("text/event-stream"));
        assert!(!self.is_kept_out(scene), "{} may not read that", self.name);
        scene.count("sessions: event sources");
        self.open = true;
        self.since = scene.model.next();
    }

    fn brings(&mut self, scene: &mut Scene, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
        while let Some(at) = self.text.windows(2).position(|two| two == b"\n\n") {
            let event = String::from_utf8(self.text.drain(..at + 2).take(at).collect()).unwrap();
            if event == ":" {
                scene.count("heartbeats of event streams");
                continue;
            }
            if let Some(gap) = event.strip_prefix("event: gap\ndata: ") {
                self.misses(scene, gap);
                continue;
            }
            let (id, rest) = event.split_once('\n').unwrap_or((&event, ""));
            self.stands(id);
            if rest.is_empty() {
                self.begins_at(scene);
                scene.count("event streams that say where they begin");
                continue;
            }
            let line = |line: &str| {
                line.strip_prefix("data: ")
                    .unwrap_or_else(|| panic!("{event:?}"))
                    .to_owned()
            };
            let data: Vec<String> = rest.split('\n').map(line).collect();
            let number = scene.model.reaches_reader(&self.channels, &data.join("\n"));
            scene.count("events");
            assert!(
                self.seen.insert(number),
                "{} sees publication {number} twice",
                self.name
            );
            let channel = scene.model.publication(number).channel;
            self.log.entry(channel).or_default().push(number);
            self.moves(scene, channel);
        }
    }

    /// Every event names a place in each channel, and none of them goes back.
    fn stands(&mut self, id: &str) {
        let id = id.strip_prefix("id: ").unwrap_or_else(|| panic!("{id:?}"));
        let place = |item: &str| {
            let (epoch, offset) = item.split_once(':').unwrap();
            (epoch.to_owned(), offset.parse().unwrap())
        };
        let places: Vec<(String, u64)> = id.split(',').map(place).collect();
        assert_eq!(places.len(), self.channels.len(), "{id}");
        let goes_on = |((epoch, offset), (old, before)): (&(String, u64), &(String, u64))| {
            epoch == old && offset >= before
        };
        assert!(
            places.iter().zip(&self.places).all(goes_on),
            "{} stood at {:?} and stands at {id}",
            self.name,
            self.places
        );
        self.places = places;
    }

    /// What came is what was published meanwhile, all of it, in order.
    pub fn check(&self, scene: &Scene) {
        let whole = |(channel, _): &(&usize, &Vec<usize>)| !scene.model.is_loose(**channel);
        for (channel, numbers) in self.log.iter().filter(whole) {
            let offset = |(at, number): (usize, &usize)| match scene.model.publication(*number).fate
            {
                Fate::At(offset) => Some(offset as i64 - at as i64),
                _ => None,
            };
            let mut firsts = numbers.iter().enumerate().filter_map(offset);
            let first = firsts.next();
            assert!(
                firsts.all(|other| Some(other) == first),
                "{} in channel {channel}: a gap or a disorder",
                self.name
            );
        }
        let live = self.open && !self.over && scene.net.is_up(self.http.link);
        if live {
            self.check_seen(scene);
        }
    }

    /// The node stops now.
    pub fn before_stop(&mut self, scene: &Scene) {
        self.farewell = self.is_live() && scene.net.is_up(self.http.link);
    }

    pub fn check_stop(&self, scene: &Scene) {
        if self.farewell && scene.signoffs(Cause::Overflow) == 0 {
            assert!(self.over, "{} is not told of the stop", self.name);
            self.check_seen(scene);
        }
    }

    fn check_seen(&self, scene: &Scene) {
        for number in self.since..scene.model.next() {
            let publication = scene.model.publication(number);
            let due = self.channels.contains(&publication.channel) && publication.is_taken();
            assert!(
                !due || self.seen.contains(&number) || self.is_told(scene, publication),
                "{} misses publication {number}",
                self.name
            );
        }
    }

    /// What it knows of its session.
    pub fn account(&self) -> Account {
        let topic = |channel: &usize| {
            // Every event says where it stands, whatever publishers are told.
            let sub = self.subs.get(channel);
            let next = sub.map(|sub| sub.next);
            let missed = sub.map_or(0, |sub| sub.missed);
            let topic = Topic {
                next,
                epoch: sub.map(|sub| sub.epoch.clone()),
                missed,
                since: self.since,
                asks: usize::from(next.is_none()),
                ..Topic::default()
            };
            (*channel, topic)
        };
        let seen = self.seen.iter().map(|number| (0, Item::Channel(*number)));
        Account {
            name: self.name,
            kind: Kind::Reader,
            link: Some(self.http.link),
            users: vec![None],
            begun: self.begun,
            alive: self.alive,
            certain: self.open,
            whole: self.whole,
            seen: seen.collect(),
            topics: self.channels.iter().map(topic).collect(),
            holes: self.all_holes(),
            ..Account::default()
        }
    }

    pub fn is_live(&self) -> bool {
        self.open && !self.over
    }
}

/// What it missed, as it was told.
impl Reader {
    fn is_kept_out(&self, scene: &Scene) -> bool {
        let mut channels = self.channels.iter();
        channels.any(|channel| scene.model.policies[*channel].subscribe != Who::Anyone)
    }

    fn begins_at(&mut self, scene: &Scene) {
        for (channel, (epoch, offset)) in self.channels.iter().zip(&self.places) {
            let sub = Sub {
                epoch: epoch.clone(),
                next: offset + 1,
                since: scene.model.next(),
                missed: 0,
                begun: offset + 1,
            };
            self.subs.insert(*channel, sub);
        }
    }

    fn misses(&mut self, scene: &mut Scene, gap: &str) {
        let (channel, missed) = (text(&raw_field(gap, "channel")), field(gap, "missed"));
        let (name, queue) = (self.name, scene.net.node.config().max_queue);
        scene.note(|| format!("{name} misses {missed} of {channel}"));
        scene.count("slow: gaps of event streams");
        let at = CHANNELS.iter().position(|known| *known == channel);
        let channel = at.expect("a channel");
        let has_room = queue >= 1024 * 1024 && scene.model.bytes() < 400_000;
        scene.model.check_may_miss(channel, has_room);
        let sub = self.subs.get_mut(&channel).expect("one of its channels");
        sub.missed += missed;
    }

    /// A message of `channel` came, by which it stands where its places say: behind all of its other channels that came
    /// or that it was told to have missed.
    fn moves(&mut self, scene: &Scene, channel: usize) {
        for (at, (_, offset)) in self.channels.iter().zip(&self.places) {
            let sub = self.subs.get_mut(at).expect("one of its channels");
            if *at == channel {
                self.holes.extend(sub.goes_on(
                    self.name,
                    channel,
                    *offset,
                    scene.model.is_paced(channel),
                ));
                continue;
            }
            let told = sub.next + sub.missed;
            assert!(
                *offset < told && *offset + 1 >= sub.next,
                "{} is said to stand at {offset} of channel {at}, and has {sub:?} ({:?})",
                self.name,
                scene.model.policies[*at].slow
            );
        }
    }

    fn is_told(&self, scene: &Scene, publication: &Publication) -> bool {
        let sub = self.subs.get(&publication.channel);
        let offset = publication.offset();
        scene.model.is_loose(publication.channel)
            && sub.is_some_and(|sub| {
                // Where a client of Bayeux published is known by those who see it only.
                offset.is_none_or(|offset| offset < sub.next + sub.missed)
            })
    }

    fn all_holes(&self) -> Vec<Hole> {
        let subs = self.subs.iter();
        let pending =
            subs.filter_map(|(channel, sub)| Hole::behind(*channel, sub.next, sub.missed));
        self.holes.iter().cloned().chain(pending).collect()
    }
}

/// Looks at a client that waits for its end, of which one in eight is without a turn of the node.
const LOOKS_MAX: u32 = 16;
