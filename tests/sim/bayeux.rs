//! A client of Bayeux: handshakes, connects that are held, calls; one session after another.
//!
//! In: chance, what its connections bring. Out: batches of messages. It asserts the protocol: every message of a batch is
//! answered once, in one answer; messages come with answers to connects only; whoever is not known is told to shake hands
//! again, and was given a reason before. What comes is `bayeux_talk`'s.

use super::account::Account;
use super::bayeux_talk::Talk;
use super::csp_down::upgrade;
use super::driver::LinkId;
use super::frames::{self, CLOSE, Frames, PING, TEXT};
use super::http::{Happened, Http, What};
use super::model::CHANNELS;
use super::peer::{json, payload, raw_field, text};
use super::request::post;
use super::scene::{SESSIONS_MAX, Scene};
use super::settings::encode;
use orbited::node::Door;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// One client.
pub struct Bayeux {
    pub name: u32,
    pub conns: Vec<Http>,
    /// Of these, which are or become WebSockets.
    sockets: BTreeMap<LinkId, Socket>,
    /// It shakes hands, or did in vain.
    shaking: bool,
    /// Its sessions; the last is the one that it has, if it has one.
    talks: Vec<Talk>,
    /// Batches without an answer.
    batches: BTreeMap<u32, Batch>,
    next_batch: u32,
    next_id: u64,
    /// It came to its end.
    over: bool,
}

/// A WebSocket.
#[derive(Default)]
struct Socket {
    frames: Frames,
    /// It has begun, and neither side has said goodbye.
    open: bool,
}

/// A batch on its way, or held.
struct Batch {
    at: u64,
    turn: u64,
    link: LinkId,
    /// What its connect acknowledges, or says by being there.
    ack: Option<u64>,
    /// What is said so is known to be.
    sure: bool,
    /// Whose it is.
    talk: usize,
    calls: BTreeMap<String, Call>,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    Handshake,
    Connect,
    Subscribe(Vec<usize>),
    Unsubscribe(Vec<usize>),
    Publish(usize),
    Disconnect,
}

impl Bayeux {
    pub fn new(name: u32) -> Self {
        Self {
            name,
            conns: Vec::new(),
            sockets: BTreeMap::new(),
            shaking: false,
            talks: Vec::new(),
            batches: BTreeMap::new(),
            next_batch: 0,
            next_id: 1,
            over: false,
        }
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether it has a session that neither side is ending.
    pub fn is_live(&self) -> bool {
        !self.over && self.talks.last().is_some_and(Talk::is_live)
    }

    /// Whether it has no session, and asks for none.
    fn is_idle(&self) -> bool {
        !self.shaking && self.talks.last().is_none_or(|talk| talk.over)
    }

    /// Whether a connect of its session is on its way.
    fn connects(&self) -> bool {
        self.asks(|call| *call == Call::Connect)
    }

    fn asks(&self, wanted: impl Fn(&Call) -> bool) -> bool {
        let last = self.talks.len();
        let mut own = self.batches.values().filter(|batch| batch.talk == last);
        own.any(|batch| batch.calls.values().any(&wanted))
    }

    pub fn pump(&mut self, scene: &mut Scene) {
        for at in 0..self.conns.len() {
            for happened in self.conns[at].pump(scene) {
                match happened {
                    Happened::End(What::Bayeux(number), status, body) => {
                        self.answered(scene, number, status, &body);
                    }
                    Happened::Lost(What::Bayeux(number)) => self.lost(scene, number),
                    Happened::Head(What::Down(_), head) => {
                        let link = self.conns[at].link;
                        let begins = head.status == 101;
                        assert!(begins || matches!(head.status, 408 | 503), "{head:?}");
                        self.sockets
                            .entry(link)
                            .and_modify(|socket| socket.open = begins);
                    }
                    Happened::Body(What::Down(_), bytes) => self.says(scene, at, &bytes),
                    Happened::Gone => self.leaves(scene, at),
                    _ => {}
                }
            }
        }
        self.conns.retain(|conn| !conn.is_gone());
    }

    /// A WebSocket brings something.
    fn says(&mut self, scene: &mut Scene, at: usize, bytes: &[u8]) {
        let link = self.conns[at].link;
        let Some(mut socket) = self.sockets.remove(&link) else {
            return;
        };
        socket.frames.push(bytes);
        while let Some(frame) = socket.frames.next() {
            match frame.opcode {
                TEXT => self.told(scene, link, frame.text()),
                PING if scene.answers_ping() => {
                    let pong = frames::pong(&mut scene.chance, &frame.payload);
                    self.conns[at].say(&pong);
                }
                CLOSE => {
                    let (name, code) = (self.name, frame.code());
                    scene.note(|| format!("{name} of Bayeux is told {code}"));
                    let ordinary = matches!(code, 1000 | 1001 | 4403 | 4408 | 4413);
                    assert!(ordinary, "{name} of Bayeux is told {code}");
                    socket.open = false;
                    let goodbye = frames::close(&mut scene.chance, 1000);
                    self.conns[at].say(&goodbye);
                }
                _ => {}
            }
        }
        self.sockets.insert(link, socket);
    }

    /// A text on a WebSocket is the answer to one batch, or messages for a client that does not acknowledge.
    fn told(&mut self, scene: &mut Scene, link: LinkId, text: &str) {
        scene.count("bayeux: texts");
        if !text.contains("\"successful\":") {
            let talk = self.talks.last_mut().expect("a session");
            assert!(!talk.acks, "messages without a connect: {text}");
            scene.count("bayeux: texts of messages");
            return talk.is_pushed(scene, &split(text), link);
        }
        let own = |(_, batch): &(&u32, &Batch)| {
            let mut ids = batch.calls.keys();
            batch.link == link && ids.any(|id| text.contains(&format!("\"id\":\"{id}\"")))
        };
        let number = self.batches.iter().find(own).map(|(number, _)| *number);
        let number = number.unwrap_or_else(|| panic!("{} never asked: {text}", self.name));
        self.answered(scene, number, 200, text.as_bytes());
    }

    /// A connection is over, and no answer comes to what it brought.
    fn leaves(&mut self, scene: &mut Scene, at: usize) {
        let link = self.conns[at].link;
        self.loses_socket(scene, link);
        if let Some(talk) = self.talks.last_mut() {
            talk.broken |= talk.went_by(link);
        }
    }

    fn loses_socket(&mut self, scene: &mut Scene, link: LinkId) {
        if self.sockets.remove(&link).is_some() {
            if let Some(talk) = self.talks.last_mut() {
                talk.broken = true;
            }
            let own = self.batches.iter().filter(|(_, batch)| batch.link == link);
            let numbers: Vec<u32> = own.map(|(number, _)| *number).collect();
            numbers
                .into_iter()
                .for_each(|number| self.lost(scene, number));
        }
    }

    /// It uses a WebSocket no more.
    fn abandon(&mut self, scene: &mut Scene, link: LinkId) {
        scene.count("bayeux: websockets left for requests");
        scene.net.leave(link);
        self.loses_socket(scene, link);
    }

    /// Does what a client does next.
    pub fn advance(&mut self, scene: &mut Scene) {
        if self.is_idle() {
            return self.shake_hands(scene);
        }
        if !self.is_live() {
            return;
        }
        let calls = match scene.chance.one_in(2) && !self.asks(|call| *call != Call::Connect) {
            true => self.some_calls(scene),
            false => Vec::new(),
        };
        let connects = !self.connects() && !scene.chance.one_in(4);
        if connects && (calls.is_empty() || scene.chance.one_in(6)) {
            let calls = [vec![Call::Connect], calls].concat();
            self.ask(scene, calls);
        } else {
            self.ask(scene, calls);
            if connects {
                self.ask(scene, vec![Call::Connect]);
            }
        }
    }

    /// Does what is left to do; what it waits for, if it waits for anything but messages.
    pub fn come_to_rest(&mut self, scene: &mut Scene) -> Option<String> {
        if self.over || self.is_idle() {
            return None;
        }
        if self.is_live() && !self.connects() {
            self.ask(scene, vec![Call::Connect]);
        }
        if self
            .talks
            .last()
            .is_some_and(|talk| !talk.over && talk.goodbye.is_some())
            && !self.asks(|_| true)
        {
            self.ask(scene, vec![Call::Disconnect]);
        }
        let held = |batch: &&Batch| {
            let alone = batch.calls.len() == 1 && batch.talk == self.talks.len();
            let connects = batch.calls.values().any(|call| *call == Call::Connect);
            alone && connects && self.is_held(scene, batch)
        };
        let waits = self.batches.values().filter(|batch| !held(batch)).count();
        let rests = waits == 0 && (self.connects() || !self.is_live());
        (!rests).then(|| format!("{} of Bayeux waits for {waits} answers", self.name))
    }

    /// Whether the node has all of a batch, and the client all that the node wrote.
    fn is_held(&self, scene: &Scene, batch: &Batch) -> bool {
        let mut conns = self.conns.iter();
        conns.any(|conn| conn.link == batch.link && conn.is_settled(scene))
    }

    /// Ends a connection, in the middle of whatever it brings.
    pub fn cut(&mut self, scene: &mut Scene) {
        if self.conns.is_empty() {
            return;
        }
        scene.count("bayeux: cuts");
        let at = scene.chance.below(self.conns.len());
        let (name, link) = (self.name, self.conns[at].link);
        scene.note(|| format!("{name} of Bayeux drops a connection"));
        match scene.chance.below(4) {
            0 => self.conns[at].half_close(scene),
            1 => scene.net.cut_after(link, 1),
            2 => scene.net.reset(link),
            _ => scene.net.leave(link),
        }
    }

    /// Ends the session.
    pub fn disconnect(&mut self, scene: &mut Scene) {
        if self.is_live() {
            let turn = scene.net.turns;
            scene.count("closes: by Bayeux");
            let talk = self.talks.last_mut().expect("a session");
            (talk.goodbye, talk.said) = (Some(turn), vec!["clean"]);
            self.ask(scene, vec![Call::Disconnect]);
        }
    }

    /// Drops everything.
    pub fn vanish(&mut self, scene: &mut Scene) {
        self.over = true;
        for conn in &self.conns {
            match scene.chance.one_in(3) {
                true => scene.net.reset(conn.link),
                false => scene.net.leave(conn.link),
            }
        }
        let shakes = |batch: &&Batch| batch.calls.values().any(|call| *call == Call::Handshake);
        let begun: Vec<_> = self.batches.values().filter(shakes).collect();
        let orphans: Vec<Account> = begun
            .iter()
            .map(|batch| self.orphan(scene, batch))
            .collect();
        scene.books.accounts.extend(orphans);
        let numbers: Vec<u32> = self.batches.keys().copied().collect();
        for number in numbers {
            for call in self.batches[&number].calls.values() {
                if let Call::Publish(number) = call {
                    scene.model.may_come_late(*number, false);
                }
            }
        }
        self.conns.clear();
    }

    fn shake_hands(&mut self, scene: &mut Scene) {
        self.shaking = true;
        self.ask(scene, vec![Call::Handshake]);
        self.shaking = self.asks_to_shake();
    }

    fn asks_to_shake(&self) -> bool {
        let mut calls = self.batches.values().flat_map(|batch| batch.calls.values());
        calls.any(|call| *call == Call::Handshake)
    }

    fn some_calls(&mut self, scene: &mut Scene) -> Vec<Call> {
        let fresh = self.talks.last().is_none_or(Talk::is_fresh);
        let weights = if fresh { [9, 0, 1] } else { [3, 1, 12] };
        let many = scene.chance.between(1, 3);
        let call = |_| match scene.chance.weighted(&weights) {
            0 => Call::Subscribe(some_channels(scene)),
            1 => Call::Unsubscribe(some_channels(scene)),
            _ => self.publish(scene),
        };
        (0..many).map(call).collect()
    }

    fn publish(&mut self, scene: &mut Scene) -> Call {
        let channel = scene.chance.below(CHANNELS.len());
        let payload = payload(scene, scene.model.next());
        let ended = scene.ended_sessions();
        let talk = self.talks.last_mut().expect("a session");
        let senders = vec![talk.user.clone()];
        let number = scene
            .model
            .publish(self.name, channel, &payload, &payload, senders, ended);
        talk.spent.ask(&scene.model, channel);
        scene.count("publications: bayeux");
        Call::Publish(number)
    }

    /// Sends a batch, if there is a connection for it.
    fn ask(&mut self, scene: &mut Scene, calls: Vec<Call>) {
        if calls.is_empty() {
            return;
        }
        let Some(at) = self.connection(scene) else {
            return calls.iter().for_each(|call| {
                if let Call::Publish(number) = call {
                    scene.model.refused(*number);
                }
            });
        };
        let mut messages = Vec::new();
        let mut batch = Batch {
            at: scene.now(),
            turn: scene.net.turns,
            link: self.conns[at].link,
            ack: None,
            sure: true,
            talk: self.talks.len(),
            calls: BTreeMap::new(),
        };
        for call in calls {
            let id = self.next_id.to_string();
            self.next_id += 1;
            messages.push(self.message(scene, &id, &call));
            if let Some(talk) = self.talks.last_mut().filter(|_| call != Call::Handshake) {
                talk.asks(&call);
                let says = call == Call::Connect || (!talk.acks && call == Call::Disconnect);
                batch.ack = batch.ack.or(says.then_some(talk.has));
            }
            batch.calls.insert(id, call);
        }
        self.takes_way(scene, &mut batch);
        self.next_batch += 1;
        let (name, number) = (self.name, self.next_batch);
        let calls: Vec<Call> = batch.calls.values().cloned().collect();
        scene.note(|| format!("{name} of Bayeux asks {number} {calls:?}"));
        self.batches.insert(number, batch);
        let text = match messages.as_slice() {
            [one] if scene.chance.one_in(6) => one.clone(),
            many => format!("[{}]", many.join(",")),
        };
        let path = scene
            .chance
            .pick(&["/_/bayeux", "/bayeux", "/cometd", "/_/bayeux/connect"]);
        let form = scene
            .chance
            .one_in(8)
            .then(|| encode(&[("message", text.clone())]));
        let (header, body) = match &form {
            Some(form) => ("Content-Type: application/x-www-form-urlencoded\r\n", form),
            None => ("Content-Type: application/json\r\n", &text),
        };
        if self.sockets.contains_key(&self.conns[at].link) {
            let message = frames::message(&mut scene.chance, text.as_bytes());
            return self.conns[at].say(&message);
        }
        let request = post(&mut scene.chance, path, header, body.as_bytes());
        self.conns[at].ask(scene.now(), &request, false, What::Bayeux(number));
    }

    /// The way that a batch with a connect takes is its session's from now on.
    fn takes_way(&mut self, scene: &mut Scene, batch: &mut Batch) {
        let connects = batch.calls.values().any(|call| *call == Call::Connect);
        let socket = self.sockets.contains_key(&batch.link);
        let Some(talk) = self.talks.last_mut().filter(|talk| !talk.acks) else {
            return;
        };
        batch.sure = !talk.by_sockets && !talk.broken;
        if !connects {
            return;
        }
        talk.goes_by(scene, batch.link, socket);
        let others = self.sockets.keys().filter(|link| **link != batch.link);
        for link in others.copied().collect::<Vec<_>>() {
            self.abandon(scene, link);
        }
    }

    fn message(&self, scene: &mut Scene, id: &str, call: &Call) -> String {
        let (key, has) = self
            .talks
            .last()
            .map_or(("", 0), |talk| (talk.key.as_str(), talk.has));
        let names = |channels: &[usize]| {
            let names = channels.iter().map(|channel| json(&topic(*channel)));
            match channels {
                [_] => names.collect::<String>(),
                _ => format!("[{}]", names.collect::<Vec<_>>().join(",")),
            }
        };
        let (channel, rest) = match call {
            Call::Handshake => {
                let acks = scene.chance.one_in(2);
                let ext = if acks { ",\"ext\":{\"ack\":true}" } else { "" };
                let rest = format!(
                    "\"version\":\"1.0\",\"supportedConnectionTypes\":[\"websocket\",\"long-polling\"]{ext}"
                );
                return format!("{{\"channel\":\"/meta/handshake\",\"id\":\"{id}\",{rest}}}");
            }
            Call::Connect => {
                let advice = scene.chance.pick(&[
                    "",
                    "",
                    "",
                    ",\"advice\":{\"timeout\":0}",
                    ",\"advice\":{\"timeout\":5000}",
                    ",\"advice\":{\"timeout\":45000}",
                ]);
                // At the end it is to be held.
                let advice = if scene.net.calm { "" } else { advice };
                let acks = self.talks.last().is_some_and(|talk| talk.acks);
                let ext = match acks {
                    true => format!(",\"ext\":{{\"ack\":{has}}}"),
                    false => String::new(),
                };
                let rest = format!("\"connectionType\":\"long-polling\"{ext}{advice}");
                ("/meta/connect".to_owned(), rest)
            }
            Call::Subscribe(channels) => (
                "/meta/subscribe".to_owned(),
                format!("\"subscription\":{}", names(channels)),
            ),
            Call::Unsubscribe(channels) => (
                "/meta/unsubscribe".to_owned(),
                format!("\"subscription\":{}", names(channels)),
            ),
            Call::Publish(number) => {
                let publication = scene.model.publication(*number);
                (
                    topic(publication.channel),
                    format!("\"data\":{}", publication.json()),
                )
            }
            Call::Disconnect => ("/meta/disconnect".to_owned(), "\"ext\":{}".to_owned()),
        };
        let channel = json(&channel);
        format!("{{\"channel\":{channel},\"id\":\"{id}\",\"clientId\":\"{key}\",{rest}}}")
    }

    /// A connection for one more batch: a free one or a new one.
    fn connection(&mut self, scene: &mut Scene) -> Option<usize> {
        let open = |conn: &Http| {
            let socket = self.sockets.get(&conn.link);
            conn.is_open() && socket.is_some_and(|socket| socket.open)
        };
        // With a WebSocket and without, within one session.
        if let Some(at) = self.conns.iter().position(open)
            && !scene.chance.one_in(3)
        {
            return Some(at);
        }
        let fits =
            |conn: &Http| conn.is_free() && !conn.deaf && !self.sockets.contains_key(&conn.link);
        if let Some(at) = self.conns.iter().position(fits) {
            return Some(at);
        }
        if self.conns.len() >= CONNECTIONS_MAX {
            return None;
        }
        self.conns.push(Http::open(scene, Door::Public)?);
        Some(self.conns.len() - 1)
    }

    /// Opens a WebSocket, if it has none.
    pub fn open_socket(&mut self, scene: &mut Scene) {
        if !self.sockets.is_empty() || self.conns.len() >= CONNECTIONS_MAX {
            return;
        }
        let Some(mut http) = Http::open(scene, Door::Public) else {
            return;
        };
        scene.count("bayeux: websockets");
        scene.net.watch_pings(http.link);
        let path = scene.chance.pick(&["/_/bayeux", "/bayeux", "/cometd"]);
        http.ask(scene.now(), &upgrade(path), false, What::Down(0));
        self.sockets.insert(http.link, Socket::default());
        self.conns.push(http);
    }

    /// An answer came.
    fn answered(&mut self, scene: &mut Scene, number: u32, status: u16, body: &[u8]) {
        if matches!(status, 408 | 503) {
            // Too slow a request, or a node that is full: nothing was done.
            return self.lost(scene, number);
        }
        let body = String::from_utf8_lossy(body).into_owned();
        assert_eq!(status, 200, "{} of Bayeux: {body}", self.name);
        let mut batch = self.batches.remove(&number).expect("a batch");
        self.takes(scene, &mut batch, &body);
        assert!(
            batch.calls.is_empty(),
            "{} of Bayeux is not answered {:?}: {body}",
            self.name,
            batch.calls
        );
    }

    /// A text of messages came, for this batch.
    fn takes(&mut self, scene: &mut Scene, batch: &mut Batch, text: &str) {
        let mut deliveries = Vec::new();
        for message in split(text) {
            if !message.contains("\"successful\":") {
                deliveries.push(message);
                continue;
            }
            let id = super::bayeux::text(&raw_field(message, "id"));
            let call = batch.calls.remove(&id);
            let call = call.unwrap_or_else(|| panic!("nobody asked {id}: {text}"));
            self.replied(scene, batch, &call, message, &mut deliveries);
        }
        assert!(deliveries.is_empty(), "messages without a connect: {text}");
    }

    fn replied(
        &mut self,
        scene: &mut Scene,
        batch: &Batch,
        call: &Call,
        reply: &str,
        deliveries: &mut Vec<&str>,
    ) {
        scene.count("bayeux: calls answered");
        let done = raw_field(reply, "successful") == "true";
        if *call == Call::Handshake {
            return self.shaken(scene, batch, done, reply);
        }
        let name = self.name;
        scene.note(|| {
            format!(
                "{name} of Bayeux is answered {call:?} {}",
                &reply[..reply.len().min(300)]
            )
        });
        let talk = &mut self.talks[batch.talk - 1];
        if !done {
            let error = text(&raw_field(reply, "error"));
            if error != "402::session_unknown" {
                return talk.refused(scene, call, &error);
            }
            // A connect may have been read long before it is told that.
            talk.flying.extend(batch.ack);
            assert!(deliveries.is_empty(), "messages with {reply}");
            // Only a connect is told to begin anew for that.
            let advised = reply.contains("\"advice\":{\"reconnect\":\"handshake\",\"interval\":0}");
            assert_eq!(advised, *call == Call::Connect, "{reply}");
            if let Call::Publish(number) = call {
                scene.model.refused(*number);
            }
            return self.gone(scene, batch.talk - 1, "402");
        }
        talk.contact = talk.contact.max(batch.at);
        match call {
            Call::Connect => {
                talk.says(scene, batch.ack, batch.sure);
                scene.count("bayeux: connects answered");
                if reply.contains("\"reconnect\":\"none\"") {
                    assert!(deliveries.is_empty(), "messages with {reply}");
                    return self.gone(scene, batch.talk - 1, "told to stay away");
                }
                if talk.acks {
                    let last = super::peer::field(&raw_field(reply, "ext"), "ack");
                    talk.brings(scene, deliveries, last);
                } else {
                    assert!(!reply.contains("\"ack\""), "{reply}");
                    talk.is_answered(scene, deliveries, batch.link);
                }
                deliveries.clear();
            }
            Call::Disconnect => {
                if !talk.acks {
                    talk.says(scene, batch.ack, batch.sure);
                }
                talk.over = true;
            }
            call => talk.done(scene, call),
        }
    }

    fn shaken(&mut self, scene: &mut Scene, batch: &Batch, done: bool, reply: &str) {
        self.shaking = false;
        if !done {
            let error = text(&raw_field(reply, "error"));
            let config = scene.net.node.config();
            let full = scene.shrunk
                || scene.may_be_full()
                || config.max_channels < 100
                || scene.net.node.session_count() >= SESSIONS_MAX;
            assert!(error == "503::server_full" && full, "{reply}");
            return;
        }
        scene.count("sessions: bayeux");
        let key = text(&raw_field(reply, "clientId"));
        let acks = reply.contains("\"ext\":{\"ack\":true}");
        if self.talks.last().is_some_and(|talk| !talk.acks) {
            // What it still brings is of the session before.
            for link in self.sockets.keys().copied().collect::<Vec<_>>() {
                self.abandon(scene, link);
            }
        }
        let began = (batch.turn, batch.at);
        self.talks.push(Talk::new(self.name, key, acks, began));
    }

    /// No answer will come to a batch.
    fn lost(&mut self, scene: &mut Scene, number: u32) {
        let batch = self.batches.remove(&number).expect("a batch");
        let name = self.name;
        scene.note(|| format!("{name} of Bayeux loses {number}"));
        for call in batch.calls.values() {
            if *call == Call::Handshake {
                let orphan = self.orphan(scene, &batch);
                scene.books.accounts.push(orphan);
                self.shaking = false;
                continue;
            }
            let talk = &mut self.talks[batch.talk - 1];
            talk.loses(scene, call);
            talk.broken |= *call == Call::Connect;
            if matches!(call, Call::Connect | Call::Disconnect) {
                talk.flying.extend(batch.ack);
            }
        }
    }

    /// A handshake that may have begun a session, of which the client knows nothing.
    fn orphan(&self, scene: &Scene, batch: &Batch) -> Account {
        Account {
            name: self.name,
            users: vec![None],
            begun: batch.turn,
            heard: Some((batch.at, scene.net.node.config().session_timeout_ms)),
            ..Account::default()
        }
    }

    /// The node knows a session no more.
    fn gone(&mut self, scene: &mut Scene, at: usize, how: &str) {
        let talk = &mut self.talks[at];
        if std::mem::replace(&mut talk.over, true) {
            return;
        }
        let silent = scene.now() - talk.contact;
        let explained = talk.goodbye.is_some()
            || silent >= scene.net.node.config().session_timeout_ms
            || talk.may_be_kicked(scene)
            || scene.net.is_stopped()
            || scene.claim_overflow();
        assert!(
            explained,
            "{} of Bayeux lost its session: {how}, heard of {silent} ms ago",
            self.name
        );
        scene.count("bayeux: sessions found gone");
    }

    /// At the end, with every queue empty.
    pub fn check(&self, scene: &Scene) {
        if let Some(talk) = self.talks.last().filter(|_| self.is_live()) {
            talk.looked_back(scene).check(scene);
        }
    }

    /// Whether its session may have lost messages that are neither seen nor listed.
    pub fn may_have_lost(&self, scene: &Scene) -> usize {
        let lossy = |talk: &&Talk| talk.may_have_lost(scene);
        self.talks.iter().filter(lossy).count()
    }

    /// What it knows of its sessions, each with whether it acknowledges.
    pub fn accounts(&self, scene: &Scene) -> Vec<(bool, Account)> {
        let account = |(at, talk): (usize, &Talk)| {
            let talk = &talk.looked_back(scene);
            talk.check_order(scene);
            let own = self.batches.values().filter(|batch| batch.talk == at + 1);
            let asked: Vec<&Call> = own.clone().flat_map(|batch| batch.calls.values()).collect();
            let acks: Vec<u64> = own.filter_map(|batch| batch.ack).collect();
            (talk.acks, talk.account(scene, &asked, &acks))
        };
        self.talks.iter().enumerate().map(account).collect()
    }
}

/// The messages of an array.
fn split(text: &str) -> Vec<&str> {
    let messages: Vec<&RawValue> =
        serde_json::from_str(text).unwrap_or_else(|e| panic!("no batch ({e}): {text}"));
    messages.into_iter().map(RawValue::get).collect()
}

fn some_channels(scene: &mut Scene) -> Vec<usize> {
    let many = scene.chance.between(1, 2);
    (0..many)
        .map(|_| scene.chance.below(CHANNELS.len()))
        .collect()
}

fn topic(channel: usize) -> String {
    format!("/{}", CHANNELS[channel])
}

const CONNECTIONS_MAX: usize = 3;
