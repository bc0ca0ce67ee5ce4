//! A Revolved client above whatever carries its lines: calls, answers, what is published and sent.
//!
//! In: decisions to call, the bytes of the stream from the server. Out: the bytes of the stream to it. It
//! asserts the protocol: every call is answered once and in its turn; of a channel every message comes from
//! the answer to SUBSCRIBE on, in order, without gap, until the answer to UNSUBSCRIBE; messages of one
//! publisher come in the order they were published.

use super::account::{Account, Page, Topic};
use super::books::kicked;
use super::model::{CHANNELS, Item, USERS, mark};
use super::past::{Asked, Memory};
use super::patterns::{Leaving, Wide};
use super::rights::Spent;
use super::scene::Scene;
use super::slow::{Hole, draw_key};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One client's end of the conversation.
pub struct Peer {
    pub(super) name: u32,
    /// To the server, not yet on its way.
    pub out: Vec<u8>,
    line: Vec<u8>,
    pub(super) next_call: u64,
    /// Calls without answer, in the order they were made.
    pub(super) asked: VecDeque<(u64, Call)>,
    pub(super) subs: BTreeMap<usize, Sub>,
    pub(super) user: Option<String>,
    /// By publisher and channel (none for peer messages), the last that came.
    heard: BTreeMap<(u32, Option<usize>), usize>,
    bye: bool,
    /// Told that the application ends the session.
    kicked: bool,
    /// It gave the node a reason to end the session, and asks for nothing more.
    pub(super) leaves: bool,
    pub memory: Memory,
    /// Its own publications have numbers from this on.
    pub(super) first_named: usize,
    /// Bytes of the past that it was answered.
    pub(super) answers: usize,
    /// In which turn its session began, at the earliest.
    begun: u64,
    /// What came, each with the packet in which it ended.
    pub(super) given: Vec<(u64, Item)>,
    /// How many messages it was told to have missed, each with the packet in which that ended.
    pub(super) gaps: Vec<(u64, u64)>,
    /// What it was told to have missed.
    pub(super) holes: Vec<Hole>,
    /// Channels that it left.
    pub(super) left: BTreeSet<usize>,
    /// Who is in each channel that it watches, as it is told.
    pub(super) rooms: BTreeMap<usize, BTreeSet<String>>,
    /// Of messages whose fate it asked for, by the call: how many there are to be told, and how many were.
    pub(super) reports: BTreeMap<u64, (Option<u64>, u64)>,
    pub(super) spent: Spent,
    pub(super) wide: Wide,
    /// Messages to its user from this number on are its.
    user_since: usize,
}

/// A subscription.
#[derive(Debug)]
pub(super) struct Sub {
    pub epoch: String,
    pub next: u64,
    /// Publications from this number on must come.
    pub since: usize,
    /// How many in front of the next that comes it was told to have missed.
    pub missed: u64,
    /// Where it began.
    pub begun: u64,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    Auth(String),
    Subscribe(Asked),
    /// Subscribes to a pattern.
    Cover(usize),
    History(Asked),
    Unsubscribe(Vec<usize>, Leaving),
    Publish(usize),
    /// Once more, under the same name.
    PublishAgain(usize),
    Send(usize),
    Disconnect,
    /// Nonsense, to be refused with this code.
    Bad(&'static str),
}

impl Call {
    /// Whether it is answered by a command.
    fn is_run_later(&self) -> bool {
        matches!(
            self,
            Call::Publish(_) | Call::PublishAgain(_) | Call::Send(_)
        )
    }
}

impl Peer {
    pub fn new(name: u32, user: Option<String>, scene: &Scene) -> Self {
        Self {
            name,
            wide: Wide::new(user.is_some()),
            out: Vec::new(),
            line: Vec::new(),
            next_call: 1,
            asked: VecDeque::new(),
            subs: BTreeMap::new(),
            user,
            heard: BTreeMap::new(),
            bye: false,
            kicked: false,
            leaves: false,
            memory: Memory::default(),
            first_named: scene.model.next(),
            answers: 0,
            begun: scene.net.turns,
            given: Vec::new(),
            gaps: Vec::new(),
            holes: Vec::new(),
            left: BTreeSet::new(),
            rooms: BTreeMap::new(),
            reports: BTreeMap::new(),
            spent: Spent::new(scene.now()),
            user_since: scene.model.next_peer(),
        }
    }

    /// Whether an answer is missing.
    pub fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Whether the server said goodbye to everyone.
    pub fn heard_bye(&self) -> bool {
        self.bye
    }

    /// Whether the application was told to end a session of a user that this may be.
    pub fn may_be_kicked(&self, scene: &Scene) -> bool {
        let kicked = kicked(&scene.books.kicks, &self.senders(), self.begun);
        self.kicked || kicked.is_some()
    }

    /// Its session begins only now.
    pub fn begins(&mut self, scene: &Scene) {
        self.user_since = scene.model.next_peer();
    }

    /// What it was given, and may be.
    pub fn tell(&self, account: &mut Account) {
        account.users = self.senders();
        account.begun = self.begun;
        account.seen = self.given.clone();
        (account.gaps, account.holes) = (self.gaps.clone(), self.holes.clone());
        account.left = self.left.clone();
        self.pending_holes(account);
        self.tell_wide(account);
        account.waiting = self.asked.len();
        let page = |(_, call): &(u64, Call)| match call {
            Call::Subscribe(_) => Some(Page::Subscribe),
            Call::History(asked) => Some(Page::History(asked.channel)),
            _ => None,
        };
        account.pages = self.asked.iter().filter_map(page).collect();
        let signs_on = |(_, call): &(u64, Call)| matches!(call, Call::Auth(_));
        account.user_since = (!self.asked.iter().any(signs_on)).then_some(self.user_since);
        for (channel, sub) in &self.subs {
            let topic = account.topics.entry(*channel).or_default();
            (topic.next, topic.epoch) = (Some(sub.next), Some(sub.epoch.clone()));
            (topic.since, topic.missed) = (sub.since, sub.missed);
        }
        for (_, call) in &self.asked {
            match call {
                Call::Subscribe(asked) => {
                    let topic = account
                        .topics
                        .entry(asked.channel)
                        .or_insert_with(Topic::asked);
                    topic.asks += 1;
                }
                Call::Unsubscribe(channels, _) => {
                    for channel in channels {
                        let topic = account.topics.entry(*channel).or_insert_with(Topic::asked);
                        topic.leaves = true;
                    }
                }
                _ => {}
            }
        }
    }

    /// Makes some call.
    pub fn call(&mut self, scene: &mut Scene) {
        if self.asked.len() > 20 {
            return;
        }
        let fresh = self.subs.is_empty() && self.wide.is_empty() && !self.asks_to_subscribe();
        let weights = if fresh {
            [0, 9, 0, 1, 0, 0, 1, 0]
        } else {
            [2, 8, 4, 30, 8, 2, 3, 3]
        };
        match scene.chance.weighted(&weights) {
            0 => self.auth(scene),
            1 if scene.wide && scene.chance.one_in(3) => self.subscribe_widely(scene),
            1 => self.subscribe(scene),
            2 => self.unsubscribe(scene),
            3 => self.publish(scene),
            4 => {
                // Some of them wait for their turn together, perhaps behind one that is too much.
                let often = if scene.small { 2 } else { 6 };
                let many = if scene.chance.one_in(often) { 6 } else { 1 };
                let to = scene.chance.pick(&USERS);
                (0..many).for_each(|_| self.send(scene, to));
            }
            5 => self.nonsense(scene),
            6 => self.leaf_through(scene),
            _ => self.publish_again(scene),
        }
    }

    /// Asks the server to end the session.
    pub fn disconnect(&mut self, scene: &mut Scene) {
        self.ask(scene, Call::Disconnect, "\"DISCONNECT\",[]");
    }

    /// A line that is longer than a message may be, and has no end.
    pub fn endless_line(&mut self, scene: &Scene) {
        self.asked.push_back((0, Call::Bad("too-big")));
        let long = scene.net.node.config().max_message + 4_200;
        self.out.extend(std::iter::repeat_n(b'x', long));
    }

    fn asks_to_subscribe(&self) -> bool {
        self.asked
            .iter()
            .any(|(_, call)| matches!(call, Call::Subscribe(_)))
    }

    fn auth(&mut self, scene: &mut Scene) {
        let user = scene.chance.pick(&USERS);
        let secret = if scene.chance.one_in(6) {
            "\"other\""
        } else {
            "\"pw\""
        };
        let args = format!("\"AUTH\",[{},{secret}]", json(user));
        self.ask(scene, Call::Auth(user.to_owned()), &args);
    }

    fn unsubscribe(&mut self, scene: &mut Scene) {
        let many = scene.chance.between(1, 2);
        let channels: Vec<usize> = (0..many)
            .map(|_| scene.chance.below(CHANNELS.len()))
            .collect();
        let leaving = self.draw_leaving(scene);
        let names = channels.iter().map(|channel| CHANNELS[*channel]);
        let names: Vec<String> = names.chain(leaving.names()).map(json).collect();
        self.ask(
            scene,
            Call::Unsubscribe(channels, leaving),
            &format!("\"UNSUBSCRIBE\",[{}]", names.join(", ")),
        );
    }

    fn publish(&mut self, scene: &mut Scene) {
        let channel = match self.subs.keys().next() {
            Some(own) if scene.chance.one_in(3) => *own,
            _ => scene.chance.below(CHANNELS.len()),
        };
        let payload = payload(scene, scene.model.next());
        let ended = scene.ended_sessions();
        let number = scene.model.publish(
            self.name,
            channel,
            &payload,
            &payload,
            self.senders(),
            ended,
        );
        scene.count("publications: revolved");
        let mut name = self.publish_named(scene, number, &payload);
        if let Some(key) = draw_key(scene).filter(|_| name.is_empty()) {
            scene.model.keyed(key);
            name = format!(",{{\"key\":\"{key}\"}}");
        }
        self.spent.ask(&scene.model, channel);
        let args = format!("\"PUBLISH\",[{},{payload}{name}]", json(CHANNELS[channel]));
        self.ask(scene, Call::Publish(number), &args);
    }

    fn send(&mut self, scene: &mut Scene, to: &str) {
        let payload = payload(scene, scene.model.next_peer());
        let ended = scene.ended_sessions();
        let number = scene
            .model
            .send(self.name, to, &payload, self.senders(), ended);
        scene.count("peer messages");
        let asks = scene.waits && scene.chance.one_in(2);
        if asks {
            self.reports.insert(self.next_call, (None, 0));
        }
        let options = if asks { ",{\"report\":true}" } else { "" };
        let args = format!("\"SEND\",[{},{payload}{options}]", json(to));
        self.ask(scene, Call::Send(number), &args);
    }

    fn nonsense(&mut self, scene: &mut Scene) {
        let (code, args) = scene.chance.pick(&[
            ("unknown-verb", "\"BREW\",[]"),
            ("not-offered", "\"PRESENCE\",[\"a\"]"),
            ("not-offered", "\"SUBSCRIBE\",[\"a\",{\"color\":true}]"),
            ("bad-name", "\"SUBSCRIBE\",[\"a//b\"]"),
            ("bad-name", "\"SUBSCRIBE\",[\"a/*/b\"]"),
            ("bad-args", "\"SUBSCRIBE\",[]"),
            ("bad-args", "\"PUBLISH\",[\"a\"]"),
            ("bad-name", "\"UNSUBSCRIBE\",[\"a\",\"\"]"),
            ("bad-args", "\"SEND\",[7,7]"),
            ("bad-frame", "\"SEND\",7"),
            ("bad-frame", "7,[]"),
            ("bad-frame", ""),
        ]);
        if args.is_empty() {
            // Not a call at all: answered under number 0.
            self.asked.push_back((0, Call::Bad(code)));
            self.out.extend_from_slice(b"{nonsense\n");
        } else {
            self.ask(scene, Call::Bad(code), args);
        }
    }

    pub(super) fn ask(&mut self, scene: &mut Scene, call: Call, args: &str) {
        let id = self.next_call;
        self.next_call += if scene.chance.one_in(30) { 1 << 33 } else { 1 };
        let (name, end) = (
            self.name,
            scene.chance.pick(&["\n", "\n", "\r\n", "\n\n", " \n"]),
        );
        scene.note(|| format!("{name} calls {id} {call:?}"));
        self.asked.push_back((id, call));
        self.out
            .extend_from_slice(format!("[{id},{args}]{end}").as_bytes());
    }

    /// Whose name a call made now is run under: the user's, or that of a sign-on on its way.
    pub(super) fn senders(&self) -> Vec<Option<String>> {
        let mut senders = vec![self.user.clone()];
        for (_, call) in &self.asked {
            if let Call::Auth(user) = call {
                senders.push(Some(user.clone()));
            }
        }
        senders
    }

    /// Bytes of the stream came, in a packet of this number.
    pub fn receive(&mut self, scene: &mut Scene, bytes: &[u8], packet: u64) {
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let text = std::str::from_utf8(&line).expect("a line is UTF-8");
            self.event(scene, text, packet);
        }
    }

    /// The stream ended between two lines, or not at all by the server's will.
    pub fn ended(&self) {
        assert!(
            self.line.is_empty(),
            "the stream ends inside a line: {:?}",
            String::from_utf8_lossy(&self.line)
        );
    }

    fn event(&mut self, scene: &mut Scene, line: &str, packet: u64) {
        let (verb, args): (String, Vec<&RawValue>) =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("no event ({e}): {line:?}"));
        let args: Vec<&str> = args.iter().map(|arg| arg.get()).collect();
        match (verb.as_str(), args.as_slice()) {
            ("OK", [id, result]) => self.ok(scene, number(id), result),
            ("ERR", [id, _, code]) => self.err(scene, number(id), &text(code)),
            ("PUBLISH", [channel, sender, payload, facts]) => {
                let number = self.published(scene, &text(channel), sender, payload, facts);
                self.given.push((packet, Item::Channel(number)));
            }
            ("SEND", [sender, payload]) => {
                let number = self.sent(scene, sender, payload);
                self.given.push((packet, Item::Peer(number)));
            }
            ("GAP", [channel, facts]) => {
                let missed = field(facts, "missed");
                self.gaps.push((packet, missed));
                self.misses(scene, &text(channel), missed);
            }
            ("JOIN", [channel, user]) => self.comes(scene, &text(channel), text(user)),
            ("LEAVE", [channel, user]) => self.goes(scene, &text(channel), &text(user)),
            ("DELIVERY", [id, state, reason]) => {
                self.reported(scene, number(id), &text(state), null_or(reason).as_deref());
            }
            ("BYE", [code, _, _]) if number(code) == 4403 => {
                assert!(
                    self.may_be_kicked(scene),
                    "{} is kicked by nobody",
                    self.name
                );
                self.kicked = true;
            }
            ("BYE", [_, _, _]) => self.bye = true,
            _ => panic!("no event: {line:?}"),
        }
    }

    /// Takes the call `id` off the list. One answered by a command comes after every call before it; one
    /// answered at once may overtake only such.
    fn answered(&mut self, id: u64, at_once: bool) -> Call {
        let at = self.asked.iter().position(|(asked, _)| *asked == id);
        let at = at.unwrap_or_else(|| {
            panic!(
                "{} is answered {id}, which it never asked or was answered before",
                self.name
            )
        });
        let before = self.asked.iter().take(at);
        let overtaken = before.filter(|(_, call)| !(at_once && call.is_run_later()));
        assert_eq!(
            overtaken.count(),
            0,
            "{} is answered {id} before what it asked first: {:?}",
            self.name,
            self.asked
        );
        self.asked.remove(at).unwrap().1
    }

    fn ok(&mut self, scene: &mut Scene, id: u64, result: &str) {
        scene.count("calls answered");
        let at_once = !(result.starts_with("{\"offset\"") || result.starts_with("{\"sessions\""));
        let call = self.answered(id, at_once);
        let name = self.name;
        scene.note(|| format!("{name} is answered {id} {call:?} {result}"));
        self.may(scene, &call);
        match call {
            Call::Auth(user) => {
                assert_eq!(text(result), user);
                self.user = Some(user);
                self.wide.signs_on(&scene.model);
                self.user_since = scene.model.next_peer();
            }
            Call::Subscribe(asked) => self.subscribed(scene, &asked, result),
            Call::Cover(pattern) => self.covers(scene, pattern, result),
            Call::History(asked) => self.page(scene, &asked, result),
            Call::PublishAgain(number) => {
                scene
                    .model
                    .taken_again(number, field(result, "offset"), None)
            }
            Call::Unsubscribe(channels, leaving) => {
                for channel in &channels {
                    self.subs.remove(channel);
                    self.left.insert(*channel);
                    self.rooms.remove(channel);
                }
                self.uncovers(scene, &leaving);
            }
            Call::Publish(number) => scene.model.taken(number, field(result, "offset"), None),
            Call::Send(number) => {
                let sessions = field(result, "sessions");
                scene.model.sent(number, Some(sessions as usize));
                self.reports
                    .entry(id)
                    .and_modify(|(most, _)| *most = Some(sessions));
            }
            Call::Disconnect => assert_eq!(result, "null"),
            Call::Bad(code) => panic!("nonsense is OK instead of {code}"),
        }
    }

    fn err(&mut self, scene: &mut Scene, id: u64, code: &str) {
        scene.count("calls refused");
        let call = self.answered(id, code != "not-connected");
        let name = self.name;
        scene.note(|| format!("{name} is refused {id} {call:?} {code}"));
        let config = scene.net.node.config();
        let bounded = config.max_subscriptions < 100;
        match (&call, code) {
            (Call::Bad(expected), code) => assert_eq!(*expected, code),
            (_, "forbidden") => self.may_not(scene, &call),
            (Call::Publish(number), "rate") => {
                let channel = scene.model.publication(*number).channel;
                self.spent.check_refused(&scene.model, channel);
                scene.count("rights: refused by a rate");
            }
            (Call::Auth(_), "name-taken") | (Call::Send(_), "not-connected") => {}
            (Call::Subscribe(_) | Call::Cover(_), "too-many" | "full")
            | (Call::Auth(_), "full") => {
                assert!(bounded)
            }
            // One that is to be kept may be one channel too many.
            (Call::Publish(_), "full") => assert!(scene.may_be_full() || bounded),
            (Call::Send(_), "full") => assert!(scene.may_be_full()),
            (Call::History(asked), "epoch") => self.forgotten(scene, asked),
            (Call::Publish(number), "too-big") => {
                assert!(scene.model.publication(*number).len() > config.max_message)
            }
            (Call::Send(number), "too-big") => {
                assert!(scene.model.peer_message_len(*number) > config.max_message)
            }
            _ => panic!("{call:?} is refused: {code}"),
        }
        match call {
            Call::Publish(number) => scene.model.refused(number),
            Call::Send(number) => scene.model.sent(number, None),
            _ => {}
        }
    }

    fn subscribed(&mut self, scene: &mut Scene, asked: &Asked, result: &str) {
        let channel = asked.channel;
        self.watches(scene, asked, result);
        let (epoch, next) = (
            text(&raw_field(result, "epoch")),
            field(result, "offset") + 1,
        );
        if let Some(known) = self.subs.get(&channel) {
            // What was dropped, or is held back, is told of later.
            let same = match scene.model.is_loose(channel) {
                // Of what it missed by a subscription before, it may be told in this.
                true => known.next + known.missed <= next || self.left.contains(&channel),
                false => known.next == next,
            };
            assert!(
                same && known.epoch == epoch,
                "{} is subscribed twice, at {next} of {epoch} and at {known:?}",
                self.name
            );
            assert_eq!(raw_field(result, "again"), "true");
            assert_eq!(raw_field(result, "recovered"), "false");
            assert_eq!(raw_field(result, "messages"), "[]");
            return;
        }
        let place = (epoch.clone(), next - 1);
        self.recovered(scene, asked, &place, result);
        self.memory.last.insert(channel, place);
        let since = scene.model.next();
        let sub = Sub {
            epoch,
            next,
            since,
            missed: 0,
            begun: next,
        };
        self.subs.insert(channel, sub);
    }

    fn published(
        &mut self,
        scene: &mut Scene,
        channel: &str,
        sender: &str,
        payload: &str,
        facts: &str,
    ) -> usize {
        scene.count("messages");
        let channel = CHANNELS
            .iter()
            .position(|known| *known == channel)
            .expect("a channel");
        let name = self.name;
        scene.note(|| format!("{name} gets {facts} of {channel}"));
        let offset = facts.contains("offset").then(|| field(facts, "offset"));
        // What was held back when it had no place yet comes by a pattern, whatever it reads by name by now.
        let placed = offset.is_some() || !scene.model.is_paced(channel);
        let number = match self.subs.contains_key(&channel) && placed {
            true => self.comes_by_name(scene, channel, (sender, payload), field(facts, "offset")),
            false => self.comes_widely(scene, channel, (sender, payload), offset),
        };
        self.wide.sees(name, number);
        let by = scene.model.publication(number).by;
        if !scene.model.publication(number).is_late() {
            self.in_order(by, Some(channel), number);
        }
        number
    }

    fn comes_by_name(
        &mut self,
        scene: &mut Scene,
        channel: usize,
        (sender, payload): (&str, &str),
        offset: u64,
    ) -> usize {
        let sub = self.subs.get_mut(&channel).expect("a subscription");
        let again = self.left.contains(&channel);
        let hole = sub.goes_on(self.name, channel, offset, again);
        let place = (sub.epoch.clone(), offset);
        if let Some(hole) = hole {
            self.finds(scene, hole, &place.0);
        }
        self.memory.last.insert(channel, place.clone());
        scene
            .model
            .reaches(channel, null_or(sender).as_deref(), payload, place)
    }

    fn sent(&mut self, scene: &mut Scene, sender: &str, payload: &str) -> usize {
        scene.count("messages");
        let sender = null_or(sender);
        let number = scene
            .model
            .reaches_peer(self.user.as_deref(), sender.as_deref(), payload);
        let by = scene.model.sender(number);
        self.in_order(by, None, number);
        number
    }

    /// What one client published in one channel, or sent to one user, comes in its order, each once.
    pub(super) fn in_order(&mut self, by: u32, channel: Option<usize>, number: usize) {
        let before = self.heard.insert((by, channel), number);
        assert!(
            before.is_none_or(|before| before < number),
            "{} hears {number} of {by} after {before:?}",
            self.name
        );
    }

    /// At the end, with every queue empty: nothing is missing.
    pub fn check(&self, scene: &Scene) {
        assert!(
            self.asked.is_empty(),
            "{} waits for answers for ever: {:?}",
            self.name,
            self.asked
        );
        self.ended();
        self.check_seen(scene);
    }

    /// At a stop, behind the goodbye: what was accepted was answered, and is here.
    pub fn check_stop(&self, scene: &Scene) {
        self.ended();
        if self.kicked {
            return;
        }
        assert!(self.bye, "{} is not told of the stop", self.name);
        for (id, call) in &self.asked {
            let Call::Publish(number) = call else {
                continue;
            };
            assert!(
                scene.model.publication(*number).place.is_none(),
                "{} was not answered {id}, and publication {number} was seen",
                self.name
            );
        }
        self.check_seen(scene);
    }

    fn check_seen(&self, scene: &Scene) {
        self.check_newest(scene);
        self.check_wide(scene);
        for (channel, sub) in &self.subs {
            for number in sub.since..scene.model.next() {
                let publication = scene.model.publication(number);
                if publication.channel != *channel || !publication.is_taken() {
                    continue;
                }
                let offset = publication.offset();
                let place = publication.place.as_ref();
                let told = offset.is_none_or(|at| at < sub.next + sub.missed);
                let seen = place.is_some_and(|(epoch, at)| *epoch == sub.epoch && *at < sub.next);
                let seen = seen || (scene.model.is_loose(*channel) && told);
                assert!(
                    seen,
                    "{} misses publication {number} at {offset:?} of channel {channel}: {sub:?} {place:?}",
                    self.name
                );
            }
        }
    }
}

/// A payload with `number` in it: JSON of many looks, on one line.
pub fn payload(scene: &mut Scene, number: usize) -> String {
    let bounded = scene.net.node.config().max_message < 10_000;
    let chance = &mut scene.chance;
    let odd = chance.pick(&[
        "",
        "plain",
        "\u{e9}\u{20ac}\u{1f600}",
        "</script><!--",
        "\u{2028}\u{2029}",
        "\"\\\t\u{7f}",
        "'([",
    ]);
    let long = match chance.below(60) {
        0 if !scene.small => chance.between(10_000, 60_000),
        1..=3 => chance.between(1_500, 3_000),
        // More than some runs take.
        4..=8 if bounded => chance.between(5_500, 7_500),
        _ => chance.below(120),
    };
    let letters: &[&str] = if bounded {
        &["x"]
    } else {
        &["x", "\u{fc}", "\\"]
    };
    let letter = chance.pick(letters);
    let body = format!(
        "{odd}{}{}",
        mark(number),
        letter.repeat(long / letter.len())
    );
    match chance.below(4) {
        0 => format!("{{ \"m\": {} , \"n\":[1, 2.50,null]}}", json(&body)),
        1 => format!("[{}]", json(&body)),
        _ => json(&body),
    }
}

/// Text as JSON.
pub fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

pub(super) fn text(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|e| panic!("no string ({e}): {json}"))
}

pub(super) fn null_or(json: &str) -> Option<String> {
    serde_json::from_str(json).unwrap_or_else(|e| panic!("no string or null ({e}): {json}"))
}

fn number(json: &str) -> u64 {
    json.parse()
        .unwrap_or_else(|e| panic!("no number ({e}): {json}"))
}

pub(super) fn raw_field(object: &str, name: &str) -> String {
    let object: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(object).unwrap_or_else(|e| panic!("no object ({e}): {object}"));
    object
        .get(name)
        .unwrap_or_else(|| panic!("no {name}: {object:?}"))
        .get()
        .to_owned()
}

pub(super) fn field(object: &str, name: &str) -> u64 {
    number(&raw_field(object, name))
}
