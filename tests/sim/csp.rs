//! A CSP client that speaks Revolved: one session over whatever transports, connections and faults.
//!
//! In: chance, what its connections bring. Out: requests. What comes down is `csp_down`'s, what goes up is
//! `csp_up`'s; here are the session's life and what may end it: a session that the node forgets without a
//! reason is a panic.

use super::account::{Account, Kind};
use super::csp_down::{Down, SLACK_MS};
use super::csp_over::Trap;
use super::csp_up::{Batch, Up};
use super::driver::LinkId;
use super::http::{Happened, Http, What};
use super::model::USERS;
use super::peer::{Peer, json};
use super::request::{Saying, spell};
use super::scene::{SESSIONS_MAX, Scene};
use super::settings::Transport;
use orbited::cmd::Cause;
use orbited::node::Door;
use orbited::session::BATCH_BYTES_MAX;
use std::collections::{BTreeMap, VecDeque};

/// One client.
pub struct Csp {
    pub name: u32,
    pub peer: Peer,
    pub conns: Vec<Http>,
    pub(super) phase: Phase,
    pub(super) key: String,
    pub(super) utf8: bool,
    /// Of downstreams, batches and other requests: 1, 2, 3 in the order they were issued.
    pub(super) number: u32,
    /// When the node last had reason to believe that the client lives, as far as the client knows.
    pub(super) contact: u64,
    /// When it last asked for anything, or could have.
    busy_at: u64,
    /// The shortest hold that it ever asked for, in seconds: silence is borne for twice the hold.
    pub(super) hold_s: u64,
    /// Something that only the session's end can explain, and the number of the last request before it.
    suspicion: Option<(String, u32)>,
    shaken_at: u64,
    /// The client asked the node to end the session, or broke the protocol.
    pub(super) gives_up: bool,
    /// Reasons that it gave the node to end the session, and in which turn it first said goodbye.
    pub(super) said: Vec<&'static str>,
    goodbye: Option<u64>,
    /// What the node is known to have read acknowledgements of, and since which turn.
    acked: Vec<(u64, u64)>,
    /// Acknowledgements on their way, by the request or the WebSocket that brings them.
    pub(super) acks: Vec<(AckBy, u64)>,
    /// Connections left behind that may still bring the node a request.
    ghosts: Vec<LinkId>,

    pub(super) transport: Transport,
    pub(super) downs: Vec<Down>,
    /// A downstream that is to be cut and taken over.
    pub(super) trap: Option<Trap>,
    /// The last downstream that it opened.
    pub(super) last_down: u32,
    /// The one downstream that it had when the node stopped.
    farewell: Option<u32>,
    /// The last packet it has.
    pub(super) has: u64,
    /// The last packet it acknowledged by any request.
    pub(super) acknowledged: u64,
    /// Bytes of the last batch's array.
    pub(super) last_batch_bytes: usize,
    /// A digest of each packet it has, and its bytes.
    pub(super) digests: BTreeMap<u64, (u64, usize)>,
    /// The id of the server's close packet, once it is there.
    pub(super) closed_at: Option<u64>,
    /// No byte of a downstream was ever lost, so that the client knows all that was written.
    pub(super) complete: bool,

    pub(super) ups: VecDeque<Up>,
    pub(super) next_up: u64,
    pub(super) sends: Vec<Batch>,
    /// The client closes.
    pub(super) closing: bool,
    /// Its close packet is queued.
    pub(super) closed_up: bool,
}

/// What brings the node an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AckBy {
    Request(u32),
    Socket(LinkId),
}

/// Where a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    New,
    Shaking,
    Open,
    Over,
}

impl Csp {
    pub fn new(scene: &mut Scene, name: u32) -> Self {
        Self {
            name,
            peer: scene.comer(name),
            conns: Vec::new(),
            phase: Phase::New,
            key: String::new(),
            utf8: false,
            number: 0,
            contact: scene.now(),
            busy_at: scene.now(),
            hold_s: 30,
            suspicion: None,
            shaken_at: 0,
            gives_up: false,
            said: Vec::new(),
            goodbye: None,
            acked: Vec::new(),
            acks: Vec::new(),
            ghosts: Vec::new(),
            transport: Transport::any(&mut scene.chance),
            downs: Vec::new(),
            trap: None,
            last_down: 0,
            farewell: None,
            has: 0,
            acknowledged: 0,
            last_batch_bytes: 0,
            digests: BTreeMap::new(),
            closed_at: None,
            complete: true,
            ups: VecDeque::new(),
            next_up: 1,
            sends: Vec::new(),
            closing: false,
            closed_up: false,
        }
    }

    /// Whether nothing will come of it any more.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Whether it has a session that neither side is ending.
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Open && !self.is_ending()
    }

    pub(super) fn is_ending(&self) -> bool {
        self.gives_up || self.closing || self.closed_at.is_some()
    }

    /// Reads and feeds every connection.
    pub fn pump(&mut self, scene: &mut Scene) {
        let idle = self.ghosts.is_empty() && self.conns.iter().all(Http::is_free);
        if !idle || self.phase != Phase::Open {
            self.busy_at = scene.now();
        }
        for index in 0..self.conns.len() {
            for happened in self.conns[index].pump(scene) {
                self.happened(scene, happened);
            }
        }
        self.conns.retain(|conn| !conn.is_gone());
        self.ghosts.retain(|link| !scene.net.is_closed(*link));
        self.watch_downs(scene);
        self.watch_acks(scene);
        self.watch_trap(scene);
        if self.is_over() {
            self.leave(scene);
        }
    }

    /// Does what a client naturally does next.
    pub fn advance(&mut self, scene: &mut Scene) {
        match self.phase {
            Phase::New => self.shake_hands(scene),
            Phase::Open => {
                if self.is_live() && scene.chance.one_in(2) {
                    self.peer.call(scene);
                }
                self.cut(scene);
                if self.downs.is_empty() && !scene.chance.one_in(3) {
                    self.open_some(scene);
                }
                self.push_up(scene);
            }
            Phase::Shaking | Phase::Over => {}
        }
    }

    /// Does what is left to do, without new calls, to come to rest; what it waits for, if it does.
    pub fn come_to_rest(&mut self, scene: &mut Scene) -> Option<String> {
        if self.phase == Phase::Open {
            // What was to end the session may have been lost on its way.
            if self.gives_up && !self.closing {
                self.closing = true;
                self.says_goodbye(scene, "clean");
            }
            self.cut(scene);
            // One that is half closed ends by itself, but in its time.
            if !self.downs.iter().any(|down| scene.net.is_up(down.link)) {
                self.open_some(scene);
            }
            self.push_up(scene);
        }
        let downs: Vec<u32> = self.downs.iter().map(|down| down.number).collect();
        let waits = match self.phase {
            Phase::New | Phase::Over => return None,
            Phase::Shaking => "a handshake".to_owned(),
            Phase::Open if !self.is_live() => format!("its end, on {downs:?}"),
            Phase::Open if !self.downs.iter().any(Down::is_attached) => format!("one of {downs:?}"),
            Phase::Open if !self.sends.is_empty() => {
                format!("an answer to {}", self.sends[0].number)
            }
            Phase::Open if !self.ups.is_empty() => {
                format!("{} packets to be taken", self.ups.len())
            }
            // More may be held back until the node has read that it has this.
            Phase::Open if self.has > self.known_acked() && scene.quiet_rounds() > 0 => {
                self.acknowledge_all(scene);
                "more, perhaps".to_owned()
            }
            Phase::Open if self.peer.is_waiting() => "answers to its calls".to_owned(),
            Phase::Open => return None,
        };
        Some(format!("{} waits for {waits}", self.name))
    }

    /// At the end, with every queue empty: nothing is missing.
    pub fn check(&self, scene: &Scene) {
        if self.is_live() {
            self.peer.check(scene);
        }
    }

    /// The node stops now: who is sure to have a downstream is to get everything by it.
    pub fn before_stop(&mut self, scene: &Scene) {
        if let [down] = self.downs.as_slice()
            && self.is_live()
            && down.is_attached()
            && down.number == self.last_down
            && !down.broken
            && down.is_sure(scene)
            && !self.has_ghosts()
            // What is held back until it acknowledges may be the goodbye.
            && (!scene.model.has_loose() || self.peer.has_room(scene))
            && scene.net.is_up(down.link)
        {
            self.farewell = Some(down.number);
        }
    }

    pub fn check_stop(&self, scene: &Scene) {
        let Some(number) = self.farewell else { return };
        let name = self.name;
        assert!(
            self.downs.iter().all(|down| down.number != number),
            "{name} is left with {number} after the stop"
        );
        // An answer takes one batch, and one that was too slow has no session.
        let long = self.last_batch_bytes >= BATCH_BYTES_MAX;
        if !(long || scene.signoffs(Cause::Overflow) > 0 && !self.peer.heard_bye()) {
            self.peer.check_stop(scene);
        }
    }

    /// Whether this is the downstream by which it is told of the stop.
    pub(super) fn is_farewell(&self, number: u32) -> bool {
        self.farewell == Some(number)
    }

    /// Drops everything: the tab is closed, or the machine is off.
    pub fn vanish(&mut self, scene: &mut Scene) {
        if self.phase == Phase::Shaking {
            self.orphan(scene);
        }
        self.phase = Phase::Over;
        self.leave(scene);
    }

    fn leave(&mut self, scene: &mut Scene) {
        for conn in self.conns.drain(..) {
            if scene.chance.one_in(3) {
                scene.net.reset(conn.link);
            } else {
                scene.net.leave(conn.link);
            }
        }
    }

    /// Whether it keeps a connection that the node keeps too.
    pub fn has_socket(&self) -> bool {
        self.downs
            .iter()
            .any(|down| down.settings.transport == Transport::WebSocket)
    }

    /// Opens a downstream that acknowledges more than was ever sent, if the client knows what was.
    pub fn lie(&mut self, scene: &mut Scene) {
        if self.is_live() && self.complete && self.downs.is_empty() && !self.has_ghosts() {
            scene.count("faults: acknowledgements of the future");
            self.open_down(scene, true);
        }
    }

    /// Ends the session by a call.
    pub fn disconnect(&mut self, scene: &mut Scene) {
        if self.is_live() {
            scene.count("closes: by a call");
            self.peer.disconnect(scene);
            self.gives_up = true;
            self.says_goodbye(scene, "clean");
        }
    }

    /// Sends a line without end, where one need not be very long for that.
    pub fn send_endless_line(&mut self, scene: &mut Scene) {
        if self.is_live() && scene.net.node.config().max_message < 10_000 {
            scene.count("faults: endless lines");
            self.peer.endless_line(scene);
            self.gives_up = true;
            self.says_goodbye(scene, "too-big");
        }
    }

    /// Ends a connection from the client's side; its requests may still reach the node.
    pub fn cut_connection(&mut self, scene: &mut Scene) {
        if self.conns.is_empty() || self.is_lying() {
            return;
        }
        let index = scene.chance.below(self.conns.len());
        let link = self.conns[index].link;
        if scene.chance.one_in(3) {
            scene.count("faults: half closes");
            return self.conns[index].half_close(scene);
        }
        let name = self.name;
        scene.note(|| format!("{name} drops a connection"));
        if scene.chance.one_in(2) {
            scene.count("faults: resets");
            scene.net.reset(link);
        } else {
            scene.count("faults: connections left");
            scene.net.leave(link);
        }
        self.haunts(link);
    }

    /// The client has left a connection that may still bring the node a request.
    pub(super) fn haunts(&mut self, link: LinkId) {
        self.ghosts.push(link);
    }

    /// Whether a request that the client has forgotten may still reach the node.
    pub(super) fn has_ghosts(&self) -> bool {
        !self.ghosts.is_empty()
    }

    /// A connection for one more request: a free one, an open one to be pipelined on, or a new one.
    pub(super) fn connection(&mut self, scene: &mut Scene) -> Option<usize> {
        let pipelines = !scene.net.calm && scene.chance.one_in(8);
        let fits = |conn: &Http| {
            if pipelines {
                conn.is_open()
            } else {
                conn.is_free()
            }
        };
        let found = self
            .conns
            .iter()
            .position(|conn| fits(conn) && !conn.deaf && !self.is_socket(conn));
        if found.is_some() {
            return found;
        }
        if self.conns.len() >= CONNECTIONS_MAX {
            return None;
        }
        self.conns.push(Http::open(scene, Door::Public)?);
        Some(self.conns.len() - 1)
    }

    /// Whether a connection is, or becomes, a WebSocket.
    pub(super) fn is_socket(&self, conn: &Http) -> bool {
        self.downs
            .iter()
            .any(|down| down.link == conn.link && down.settings.transport == Transport::WebSocket)
    }

    /// The path of an endpoint; some clients double the slash.
    pub(super) fn path(scene: &mut Scene, endpoint: &str) -> String {
        let slash = if scene.chance.one_in(10) { "/" } else { "" };
        format!("/_/revolved/csp/{slash}{endpoint}")
    }

    /// The prefix and suffix of results that a request asks for, and how its result must look.
    pub(super) fn wrapping(&self, scene: &mut Scene) -> (&'static str, &'static str) {
        match self.transport {
            Transport::Jsonp => (scene.chance.pick(&["cb1", "cb.two", "$3"]), ";"),
            _ => ("", ""),
        }
    }

    fn shake_hands(&mut self, scene: &mut Scene) {
        let Some(index) = self.connection(scene) else {
            return;
        };
        self.utf8 = scene.chance.one_in(2);
        let mut object = Vec::new();
        if self.utf8 {
            object.push("\"encodings\":[0,1,2]".to_owned());
        } else if scene.chance.one_in(2) {
            object.push("\"encodings\": [0, 1]".to_owned());
        }
        let user = scene
            .chance
            .one_in(4)
            .then(|| scene.chance.pick(&USERS).to_owned());
        if let Some(user) = &user {
            object.push(format!("\"user\":{},\"token\":\"pw\"", json(user)));
        }
        let data = format!("{{{}}}", object.join(","));
        let path = Self::path(scene, "handshake");
        let saying = Saying {
            path: &path,
            pairs: vec![
                ("n", "0.5".to_owned()),
                ("rp", String::new()),
                ("rs", String::new()),
            ],
            data: Some(data.as_bytes()),
            header: "Origin: http://page.test\r\n".to_owned(),
            get: self.transport == Transport::Jsonp,
        };
        let request = spell(&mut scene.chance, &saying);
        let memory = std::mem::take(&mut self.peer.memory);
        self.peer = Peer::new(self.name, user, scene);
        self.peer.memory = memory;
        self.phase = Phase::Shaking;
        self.shaken_at = scene.now();
        self.conns[index].ask(scene.now(), &request, false, What::Handshake);
    }

    fn happened(&mut self, scene: &mut Scene, happened: Happened) {
        if self.is_over() {
            return;
        }
        match happened {
            Happened::Head(What::Down(number), head) => self.down_begins(scene, number, &head),
            Happened::Body(What::Down(number), bytes) => self.down_brings(scene, number, &bytes),
            Happened::End(What::Down(number), status, body) => {
                self.down_ends(scene, number, status, &body)
            }
            Happened::Lost(What::Down(number)) => self.down_is_lost(scene, number),
            Happened::End(What::Send(number), status, body) => {
                self.send_answered(scene, number, status, &body)
            }
            Happened::Lost(What::Send(number)) => self.sends.retain(|batch| batch.number != number),
            Happened::End(What::Handshake, status, body) => self.shaken(scene, status, &body),
            Happened::Lost(What::Handshake) => {
                self.orphan(scene);
                self.phase = Phase::New;
            }
            Happened::End(What::Close, status, body) => self.close_answered(scene, status, &body),
            Happened::End(What::Plain(allowed, wanted), status, body) => {
                plain(allowed, wanted, status, &body)
            }
            _ => {}
        }
    }

    fn shaken(&mut self, scene: &mut Scene, status: u16, body: &[u8]) {
        let full =
            scene.shrunk || scene.may_be_full() || scene.net.node.session_count() >= SESSIONS_MAX;
        let bounded = scene.net.node.config().max_channels < 100;
        match status {
            200 => {}
            408 => return self.phase = Phase::New,
            403 | 503 if status == 403 || full || bounded => {
                // Others are refused in front of their beginning.
                let text = String::from_utf8_lossy(body);
                if text.contains("name-taken") || text.contains("channels-full") {
                    self.orphan(scene);
                }
                return self.phase = Phase::New;
            }
            _ => panic!("handshake: {status} {}", String::from_utf8_lossy(body)),
        }
        let text = std::str::from_utf8(body).unwrap();
        let inner = text
            .strip_prefix('(')
            .and_then(|text| text.strip_suffix(')'));
        let inner = inner.unwrap_or_else(|| panic!("handshake: {text}"));
        let object: BTreeMap<String, serde_json::Value> = serde_json::from_str(inner).unwrap();
        assert_eq!(object.contains_key("encoding"), self.utf8, "{text}");
        self.key = object["session"].as_str().unwrap().to_owned();
        self.phase = Phase::Open;
        self.peer.begins(scene);
        self.contact = self.shaken_at;
        scene.count("sessions: csp");
        let name = self.name;
        scene.note(|| format!("{name} has a session"));
    }

    /// Gives the node a reason to end the session.
    pub(super) fn says_goodbye(&mut self, scene: &Scene, reason: &'static str) {
        self.said.push(reason);
        self.peer.leaves = true;
        self.goodbye.get_or_insert(scene.net.turns);
    }

    /// An acknowledgement reached the node, and the session was there.
    pub(super) fn landed(&mut self, scene: &Scene, by: AckBy) {
        for (_, ack) in self.acks.extract_if(.., |(other, _)| *other == by) {
            self.acked.push((scene.net.turns, ack));
        }
    }

    /// Up to which packet the node is known to have read an acknowledgement.
    fn known_acked(&self) -> u64 {
        let acked = self.acked.iter().map(|(_, acked)| *acked);
        acked.max().unwrap_or_default()
    }

    /// What a WebSocket brought that the node goes on with was read.
    fn watch_acks(&mut self, scene: &Scene) {
        let read = |conn: &&Http| conn.is_heard(scene) && self.is_socket(conn);
        let links: Vec<LinkId> = self
            .conns
            .iter()
            .filter(read)
            .map(|conn| conn.link)
            .collect();
        links
            .into_iter()
            .for_each(|link| self.landed(scene, AckBy::Socket(link)));
    }

    /// A handshake that may have begun a session, of which the client knows nothing.
    fn orphan(&self, scene: &mut Scene) {
        let mut account = Account {
            name: self.name,
            heard: Some((self.shaken_at, scene.net.node.config().session_timeout_ms)),
            ..Account::default()
        };
        self.peer.tell(&mut account);
        account.user_since = None;
        scene.books.accounts.push(account);
    }

    /// What it knows of its session, which it does nothing more with.
    pub fn account(&self, scene: &Scene) -> Option<Account> {
        if self.key.is_empty() {
            return None;
        }
        let timeout_ms = scene.net.node.config().session_timeout_ms;
        let packets = self.digests.iter().map(|(id, (_, bytes))| (*id, *bytes));
        let mut account = Account {
            name: self.name,
            kind: Kind::Csp,
            key: Some(self.key.clone()),
            said: self.said.clone(),
            goodbye: self.goodbye,
            heard: Some((self.contact, timeout_ms.max(2_000 * self.hold_s))),
            certain: true,
            acked: self.acked.clone(),
            flying: self.acks.iter().map(|(_, ack)| *ack).collect(),
            packets: packets.collect(),
            ..Account::default()
        };
        self.peer.tell(&mut account);
        Some(account)
    }

    /// Asks the node to close the session.
    pub fn ask_for_close(&mut self, scene: &mut Scene) {
        if !self.is_live() {
            return;
        }
        let Some(index) = self.connection(scene) else {
            return;
        };
        let path = Self::path(scene, "close");
        let pairs = vec![
            ("s", self.key.clone()),
            ("rp", String::new()),
            ("rs", String::new()),
        ];
        let saying = Saying {
            path: &path,
            pairs,
            data: None,
            header: String::new(),
            get: false,
        };
        let request = spell(&mut scene.chance, &saying);
        scene.count("closes: asked of the server");
        self.gives_up = true;
        self.says_goodbye(scene, "clean");
        self.conns[index].ask(scene.now(), &request, false, What::Close);
    }

    fn close_answered(&mut self, scene: &mut Scene, status: u16, body: &[u8]) {
        match status {
            200 => assert_eq!(body, b"(\"OK\")"),
            404 => self.gone(scene, "close: 404"),
            408 | 503 => {}
            _ => panic!("close: {status}"),
        }
    }

    /// Asks for something else over one of the session's connections, in front of or behind its requests.
    pub fn ask_aside(&mut self, scene: &mut Scene) {
        let Some(index) = self.connection(scene) else {
            return;
        };
        let conn = &mut self.conns[index];
        if scene.chance.one_in(8) {
            let target = format!("/_/revolved/csp/reflect?s={}&d=x", self.key);
            let request = super::request::bare(&mut scene.chance, "GET", &target, "");
            return conn.ask(scene.now(), &request, false, What::Plain(&[403, 404], None));
        }
        aside(scene, conn);
    }

    /// Something happened that only the end of the session explains.
    pub(super) fn suspect(&mut self, why: impl FnOnce() -> String) {
        if !self.is_ending() && self.suspicion.is_none() {
            self.suspicion = Some((why(), self.number));
        }
    }

    /// Longer silent than any session may be, which this request is to find gone.
    pub(super) fn suspect_silence(&mut self, scene: &Scene) {
        let silent = scene.now() - self.busy_at;
        // Twice the longest hold, or the operator's time.
        let longest = scene.net.node.config().session_timeout_ms.max(120_000);
        if silent > longest + SLACK_MS {
            self.suspect(|| format!("silent for {silent} ms"));
        }
    }

    /// The node served request `number` of this session, issued at `at`: the session lived.
    pub(super) fn proven(&mut self, scene: &Scene, number: u32, at: u64) {
        self.contact = self.contact.max(at);
        self.landed(scene, AckBy::Request(number));
        if let Some((why, before)) = &self.suspicion
            && number > *before
        {
            panic!("{}: {why}, and the session goes on", self.name);
        }
    }

    /// The node knows the session no more.
    pub(super) fn gone(&mut self, scene: &mut Scene, how: &str) {
        let name = self.name;
        let silent = scene.now() - self.contact;
        scene.note(|| format!("{name} is gone: {how}, silent for {silent}"));
        let timeout_ms = scene.net.node.config().session_timeout_ms;
        let timed_out = silent >= timeout_ms.max(2_000 * self.hold_s);
        let stopped = self.peer.heard_bye();
        let kicked = self.peer.may_be_kicked(scene);
        let explained =
            self.is_ending() || timed_out || stopped || kicked || scene.claim_overflow();
        assert!(
            explained,
            "{name} lost its session: {how}, heard of {silent} ms ago, {:?}",
            self.suspicion
        );
        scene.count("sessions found gone");
        self.phase = Phase::Over;
    }
}

/// A request that has nothing to do with any session; its answer must be one of those it may get.
pub fn aside(scene: &mut Scene, conn: &mut Http) {
    let handshake = |more: &str| format!("/_/revolved/csp/handshake?d=%7B%7D&{more}");
    let long = handshake(&format!("p={}", "y".repeat(1_100)));
    let script = handshake("ct=application/javascript&bp=a(b");
    let (foreign, unknown) = (handshake("rp="), handshake("transport=none"));
    let listed = !scene.net.node.config().allow_origin.is_empty();
    let asides: [(_, &str, &'static [u16], _); 16] = [
        ("GET", "/", &[200, 404], None),
        ("GET", "/_/CSP.js", &[200, 404], None),
        ("HEAD", "/_/Revolved.js", &[200, 404], None),
        ("GET", "/nothing/here", &[404], None),
        ("HEAD", "/_/revolved/csp/comet", &[200], None),
        ("OPTIONS", "/_/revolved/csp/send", &[200, 204], None),
        (
            "GET",
            "/_/revolved/csp/comet?s=AAAA",
            &[404],
            Some("'Session not found'"),
        ),
        ("GET", "/_/revolved/csp/handshake", &[400], None),
        (
            "GET",
            "/_/revolved/csp/streamtest",
            &[200],
            Some("([1])([2])"),
        ),
        ("GET", "/_/revolved/ws", &[400, 426], None),
        ("GET", "/_/events", &[400], None),
        ("GET", "/_/tcp/ws", &[404], None),
        ("GET", &long, &[400], None),
        ("GET", &script, &[400], None),
        ("GET", &unknown, &[400], None),
        (
            "GET",
            if listed { &foreign } else { "/nothing" },
            &[403, 404],
            None,
        ),
    ];
    let (method, target, statuses, body) = scene.chance.pick(&asides);
    let header = match method {
        "OPTIONS" => "Origin: http://p.test\r\nAccess-Control-Request-Method: POST\r\n",
        _ if target == foreign => "Origin: http://p.test\r\n",
        _ => "",
    };
    let mut request = super::request::bare(&mut scene.chance, method, target, header);
    if scene.chance.one_in(5) {
        // Robust readers pass over an empty line in front of a request (RFC 9112 section 2.2).
        request.splice(0..0, *b"\r\n");
    }
    scene.count("requests aside");
    conn.ask(
        scene.now(),
        &request,
        method == "HEAD",
        What::Plain(statuses, body),
    );
}

/// What an answer to [`aside`] must be.
pub fn plain(allowed: &[u16], wanted: Option<&str>, status: u16, body: &[u8]) {
    // A trickled request may be too slow, and the node full.
    if matches!(status, 408 | 503) {
        return;
    }
    assert!(
        allowed.contains(&status),
        "{status}: {}",
        String::from_utf8_lossy(body)
    );
    assert!(
        wanted.is_none_or(|wanted| wanted.as_bytes() == body),
        "{}",
        String::from_utf8_lossy(body)
    );
}

const CONNECTIONS_MAX: usize = 6;
