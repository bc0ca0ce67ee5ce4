//! One run: a population of clients, one weighted action a step, and the end, at which everything must be
//! delivered, then everything gone.
//!
//! In: a seed and a number of steps. Out: totals, or a panic that says what does not hold.

use super::api::{Api, Stranger};
use super::bare::{Reader, Socket};
use super::bayeux::Bayeux;
use super::chance::Totals;
use super::csp::Csp;
use super::feed::Feed;
use super::http::Http;
use super::rooms::Ended;
use super::scene::{ONCE_MS, SESSIONS_MAX, Scene};
use super::settings::Transport;
use orbited::cmd::Cause;

/// Everything of a run.
pub struct World {
    pub scene: Scene,
    pub(super) csps: Vec<Csp>,
    pub(super) sockets: Vec<Socket>,
    pub(super) readers: Vec<Reader>,
    pub(super) apis: Vec<Api>,
    pub(super) strangers: Vec<Stranger>,
    pub(super) bayeux: Vec<Bayeux>,
    /// Those that are over: what they know is held against what others learn later.
    bayeux_over: Vec<Bayeux>,
    /// The application, reading what becomes of sessions.
    feed: Option<Feed>,
    names: u32,
    /// Steps for which no time passes.
    still: u32,
    /// When pipes that hold nothing hold little, and when they hold everything again, in steps from now.
    narrow: (u32, u32),
}

/// Something that happens.
type Action = fn(&mut World);

/// What a step does beside letting everybody read; each with its weight.
const ACTIONS: [(u32, Action); 38] = [
    (170, World::somebody_goes_on),
    (30, World::the_application_publishes),
    (30, World::a_socket_talks),
    (12, World::a_newcomer),
    (6, |world| {
        world.with_csp(|csp, scene| {
            csp.transport = Transport::any(&mut scene.chance);
            csp.open_down(scene, false);
        })
    }),
    (12, |world| world.with_csp(Csp::set_trap)),
    (4, |world| world.with_csp(Csp::open_down_twice)),
    (5, |world| world.with_csp(Csp::send_twice)),
    (5, |world| world.with_csp(Csp::send_ahead)),
    (4, |world| world.with_csp(Csp::acknowledge)),
    (2, |world| world.with_csp(Csp::change_settings)),
    (4, |world| world.with_csp(Csp::cut_connection)),
    (3, |world| world.with_csp(Csp::ask_aside)),
    (1, |world| world.with_csp(Csp::break_socket)),
    (1, |world| world.with_csp(Csp::lie)),
    (1, |world| world.with_csp(Csp::close)),
    (1, |world| world.with_csp(Csp::ask_for_close)),
    (1, |world| world.with_csp(Csp::disconnect)),
    (1, |world| world.with_csp(Csp::send_nonsense)),
    (1, |world| world.with_csp(Csp::send_endless_line)),
    (1, |world| world.with_csp(Csp::vanish)),
    (7, World::somebody_stops_or_starts_reading),
    (2, World::a_bare_connection_breaks),
    (24, World::a_moment_passes),
    (2, World::a_while_passes),
    (1, World::time_stands_still),
    (1, World::the_date_is_set),
    (2, World::pipes_shrink),
    (2, World::the_limit_of_sessions_moves),
    (2, World::a_stranger_comes),
    (1, World::a_socket_closes),
    (44, |world| world.with_bayeux(Bayeux::advance)),
    (3, |world| world.with_bayeux(Bayeux::cut)),
    (3, |world| world.with_bayeux(Bayeux::open_socket)),
    (1, |world| world.with_bayeux(Bayeux::disconnect)),
    (1, |world| world.with_bayeux(Bayeux::vanish)),
    (1, World::the_application_kicks),
    (1, World::the_feed_is_disturbed),
];

impl World {
    pub fn new(seed: u64, traced: bool) -> Self {
        Self {
            scene: Scene::new(seed, traced),
            csps: Vec::new(),
            sockets: Vec::new(),
            readers: Vec::new(),
            apis: Vec::new(),
            strangers: Vec::new(),
            bayeux: Vec::new(),
            bayeux_over: Vec::new(),
            feed: None,
            names: 0,
            still: 0,
            narrow: (0, 0),
        }
    }

    pub fn totals(&self) -> &Totals {
        self.scene.totals()
    }

    /// A whole run.
    pub fn run(&mut self, steps: u32) {
        let weights = ACTIONS.map(|(weight, _)| weight);
        let stops = self.scene.chance.one_in(5);
        let steps = match (stops, steps as usize) {
            (true, usual) => self.scene.chance.between(usual / 2, usual + usual / 2) as u32,
            (false, _) => steps,
        };
        self.open_feed();
        for step in 0..steps {
            self.scene.begin(step);
            self.still = self.still.saturating_sub(1);
            self.widen();
            let (_, action) = ACTIONS[self.scene.chance.weighted(&weights)];
            action(self);
            if !self.scene.chance.one_in(8) {
                self.scene.net.turn();
            }
            self.pump();
            self.scene.net.check();
            if step % 64 == 63 {
                self.scene.net.settle();
            }
        }
        self.scene.net.totals.add("steps", steps.into());
        if stops {
            self.drain();
        } else {
            self.come_to_rest();
        }
        self.end();
        self.scene.count("runs");
        self.scene.net.count_outcomes();
    }

    fn pump(&mut self) {
        self.everybody_reads();
        let over: Vec<Csp> = self.csps.extract_if(.., |csp| csp.is_over()).collect();
        self.bury(over);
        let over: Vec<Socket> = self.sockets.extract_if(.., |one| one.is_over()).collect();
        self.scene
            .books
            .accounts
            .extend(over.iter().map(Socket::account));
        let over: Vec<Reader> = self.readers.extract_if(.., |one| one.is_over()).collect();
        self.bury_readers(&over);
        self.apis.retain(|api| !api.is_over());
        self.strangers.retain(|stranger| !stranger.is_over());
        let over = self.bayeux.extract_if(.., |one| one.is_over());
        self.bayeux_over.extend(over);
    }

    pub(super) fn everybody_reads(&mut self) {
        self.read_feed();
        let scene = &mut self.scene;
        self.csps.iter_mut().for_each(|csp| csp.pump(scene));
        self.sockets
            .iter_mut()
            .for_each(|socket| socket.pump(scene));
        self.readers
            .iter_mut()
            .for_each(|reader| reader.pump(scene));
        self.apis.iter_mut().for_each(|api| api.pump(scene));
        self.strangers
            .iter_mut()
            .for_each(|stranger| stranger.pump(scene));
        self.bayeux.iter_mut().for_each(|one| one.pump(scene));
    }

    fn bury(&mut self, over: Vec<Csp>) {
        let memories = over.iter().map(|csp| csp.peer.memory.clone());
        self.scene.memories.extend(memories);
        let accounts = over.iter().filter_map(|csp| csp.account(&self.scene));
        let accounts: Vec<_> = accounts.collect();
        self.scene.books.accounts.extend(accounts);
    }

    fn bury_readers(&mut self, over: &[Reader]) {
        let accounts = over.iter().map(|reader| reader.account());
        let accounts: Vec<_> = accounts.collect();
        self.scene.books.accounts.extend(accounts);
    }

    /// Begins to read what becomes of sessions; where that must not fail, before anything else happens.
    fn open_feed(&mut self) {
        let scene = &mut self.scene;
        self.feed = Feed::open(scene);
        scene.count("sign-offs: feeds");
        if !scene.books.steady {
            return;
        }
        let feed = self.feed.as_mut().expect("the first connection is taken");
        scene.net.spare(feed.http.link);
        feed.http.eager = true;
        while !feed.open {
            feed.pump(scene, (0, 0));
            scene.net.turn();
        }
    }

    pub(super) fn read_feed(&mut self) {
        let scene = &mut self.scene;
        let turn = scene.net.turns;
        (scene.model.turn, scene.model.now) = (turn, scene.net.now());
        if let Some(feed) = &mut self.feed {
            feed.http.deaf &= !scene.net.calm;
            let notices = feed.pump(scene, (scene.books.read_turn + 1, turn));
            scene.books.notices.extend(notices);
        }
        // What the node has still to say is not said yet.
        if scene.net.node.dirty_len() == 0 && !scene.net.node.has_commands() {
            scene.books.read_turn = turn;
        }
        let lost = self.feed.as_ref().is_none_or(Feed::is_over);
        assert!(
            !(lost && scene.books.steady) || scene.net.is_stopped(),
            "the application's feed ends by itself"
        );
        if lost && !scene.books.steady && !scene.net.is_stopped() && scene.chance.one_in(40) {
            self.open_feed();
        }
    }

    /// The reader of sign-offs stops reading, or is cut off: it may miss some, and never hears any twice.
    fn the_feed_is_disturbed(&mut self) {
        let scene = &mut self.scene;
        let Some(feed) = self.feed.as_mut().filter(|_| !scene.books.steady) else {
            return;
        };
        scene.count("faults: feeds disturbed");
        let link = feed.http.link;
        match scene.chance.below(4) {
            0 => scene.net.reset(link),
            1 => scene.net.leave(link),
            2 => scene.net.set_room(link, 1),
            _ => feed.http.deaf = !feed.http.deaf,
        }
    }

    fn the_application_kicks(&mut self) {
        if !self.apis.is_empty() && self.scene.chance.one_in(3) {
            let at = self.scene.chance.below(self.apis.len());
            self.apis[at].kick(&mut self.scene);
        }
    }

    fn with_csp(&mut self, act: fn(&mut Csp, &mut Scene)) {
        if !self.csps.is_empty() {
            let at = self.scene.chance.below(self.csps.len());
            act(&mut self.csps[at], &mut self.scene);
        }
    }

    fn with_bayeux(&mut self, act: fn(&mut Bayeux, &mut Scene)) {
        if !self.bayeux.is_empty() {
            let at = self.scene.chance.below(self.bayeux.len());
            act(&mut self.bayeux[at], &mut self.scene);
        }
    }

    fn somebody_goes_on(&mut self) {
        for _ in 0..self.scene.chance.between(1, 3) {
            self.with_csp(Csp::advance);
        }
    }

    fn the_application_publishes(&mut self) {
        if !self.apis.is_empty() {
            let at = self.scene.chance.below(self.apis.len());
            self.apis[at].advance(&mut self.scene);
        }
    }

    fn a_socket_talks(&mut self) {
        if !self.sockets.is_empty() {
            let at = self.scene.chance.below(self.sockets.len());
            self.sockets[at].advance(&mut self.scene);
        }
    }

    fn a_socket_closes(&mut self) {
        if !self.sockets.is_empty() {
            let at = self.scene.chance.below(self.sockets.len());
            self.sockets[at].close(&mut self.scene);
        }
    }

    fn a_newcomer(&mut self) {
        self.names += 1;
        let (scene, name) = (&mut self.scene, self.names);
        let room = [
            self.csps.len() < 9,
            self.sockets.len() < 3,
            self.readers.len() < 3,
            self.apis.len() < 3,
            self.bayeux.len() < 4,
        ];
        match scene.chance.weighted(&[5, 2, 2, 2, 3]) {
            0 if room[0] => self.csps.push(Csp::new(scene, name)),
            1 if room[1] => self.sockets.extend(Socket::open(scene, name)),
            2 if room[2] => self.readers.extend(Reader::open(scene, name)),
            3 if room[3] => self.apis.extend(Api::open(scene, name)),
            4 if room[4] => self.bayeux.push(Bayeux::new(name)),
            _ => {}
        }
    }

    fn a_stranger_comes(&mut self) {
        if self.strangers.len() < 3 {
            self.strangers.extend(Stranger::open(&mut self.scene));
        }
    }

    pub(super) fn connections(&mut self) -> Vec<&mut Http> {
        let csps = self.csps.iter_mut().flat_map(|csp| csp.conns.iter_mut());
        let sockets = self.sockets.iter_mut().map(|socket| &mut socket.http);
        let readers = self.readers.iter_mut().map(|reader| &mut reader.http);
        let apis = self.apis.iter_mut().map(|api| &mut api.http);
        let bayeux = self.bayeux.iter_mut().flat_map(|one| one.conns.iter_mut());
        let others = readers.chain(apis).chain(bayeux);
        csps.chain(sockets).chain(others).collect()
    }

    fn somebody_stops_or_starts_reading(&mut self) {
        let dice = self.scene.chance.below(usize::MAX);
        let room = self.scene.chance.pick(&[1, 100, 5_000, 1 << 30, 1 << 30]);
        let mut conns = self.connections();
        if conns.is_empty() {
            return;
        }
        let at = dice % conns.len();
        let conn = &mut conns[at];
        conn.deaf = !conn.deaf;
        let link = conn.link;
        self.scene.net.set_room(link, room);
        self.scene.count("faults: reading stopped or started");
    }

    fn a_bare_connection_breaks(&mut self) {
        let scene = &mut self.scene;
        let sockets = self.sockets.iter().map(|socket| socket.http.link);
        let others = self
            .readers
            .iter()
            .map(|reader| reader.http.link)
            .chain(self.apis.iter().map(|api| api.http.link));
        let links: Vec<_> = sockets.chain(others).collect();
        if links.is_empty() {
            return;
        }
        let link = scene.chance.pick(&links);
        scene.count("faults: bare connections broken");
        match scene.chance.below(3) {
            0 => scene.net.finish(link),
            1 => scene.net.leave(link),
            _ => scene.net.reset(link),
        }
    }

    fn a_moment_passes(&mut self) {
        if self.still > 0 {
            return;
        }
        let ms = self.scene.chance.pick(&[1, 5, 20, 100, 400, 1_000]);
        self.scene.net.leap(ms);
    }

    /// Asleep or suspended, for a hold, for an idle limit, for hours.
    fn a_while_passes(&mut self) {
        if self.still > 0 {
            return;
        }
        let chance = &mut self.scene.chance;
        let ms = match chance.below(60) {
            0..=19 => chance.pick(&[990, 1_000, 5_000, 10_000, 15_000]),
            20..=34 => chance.pick(&[25_000, 30_000, 30_010, 45_000]),
            35..=38 => chance.pick(&[59_990, 60_000, 61_000, 125_000]),
            39 => 3_600_000 * chance.between(1, 5) as u64,
            // Any order of magnitude, from a granule of the wheel to a window of it.
            _ => (8 << chance.below(13)) + chance.below(16) as u64,
        };
        self.scene.count("faults: clock jumps");
        self.scene.note(|| format!("{ms} ms pass"));
        match self.scene.chance.below(3) {
            0 => self.scene.net.leap(ms),
            1 if ms < 3_600_000 => self.scene.net.sleep(ms),
            _ => {
                // Everybody goes on reading meanwhile.
                for _ in 0..20 {
                    self.scene.net.sleep(ms / 20);
                    self.pump();
                }
            }
        }
    }

    fn time_stands_still(&mut self) {
        self.scene.count("faults: clock stands still");
        self.still = self.scene.chance.between(20, 300) as u32;
    }

    fn the_date_is_set(&mut self) {
        let chance = &mut self.scene.chance;
        let off = chance.pick(&[0, 1, -1, -3_600, 86_400, -2_000_000_000, i64::MAX]);
        self.scene.count("faults: date set");
        self.scene.net.set_date(off);
    }

    /// Every pipe holds nothing for a while, then little.
    fn pipes_shrink(&mut self) {
        if self.narrow != (0, 0) {
            return;
        }
        let chance = &mut self.scene.chance;
        let shut = chance.between(2, 40) as u32;
        self.narrow = (shut, shut + chance.between(2, 60) as u32);
        self.scene.count("faults: pipes shrunk");
        self.scene.note(|| "pipes hold nothing".to_owned());
        self.scene.net.narrow(0);
    }

    fn widen(&mut self) {
        let before = self.narrow;
        self.narrow = (before.0.saturating_sub(1), before.1.saturating_sub(1));
        match (before, self.narrow) {
            ((1, _), _) => {
                let room = self.scene.chance.between(1, 400);
                self.scene.net.narrow(room);
            }
            ((_, 1), _) => self.scene.net.narrow(usize::MAX),
            _ => {}
        }
    }

    fn the_limit_of_sessions_moves(&mut self) {
        let limit = match self.scene.chance.below(3) {
            0 => self.scene.chance.below(10),
            _ => SESSIONS_MAX,
        };
        self.scene.shrunk |= limit < SESSIONS_MAX;
        self.scene.count("faults: limits moved");
        self.scene.net.node.set_max_sessions(limit);
    }

    /// No more faults: everybody reads, reconnects, and gets all that is due.
    fn come_to_rest(&mut self) {
        self.scene.note(|| "no more faults".to_owned());
        self.scene.net.open_wide();
        self.strangers
            .iter()
            .for_each(|stranger| self.scene.net.leave(stranger.http.link));
        let (mut rest, mut quiet) = (false, 0);
        let mut ended = Ended::default();
        for round in 0..ROUNDS {
            self.scene.begin(u32::MAX - (ROUNDS - round));
            self.connections()
                .into_iter()
                .for_each(|conn| (conn.deaf, conn.trickles) = (false, false));
            let scene = &mut self.scene;
            let csps = self
                .csps
                .iter_mut()
                .filter_map(|csp| csp.come_to_rest(scene));
            let mut waiting: Vec<String> = csps.collect();
            let bayeux = self.bayeux.iter_mut();
            waiting.extend(bayeux.filter_map(|one| one.come_to_rest(scene)));
            let sockets = self
                .sockets
                .iter_mut()
                .filter_map(|socket| socket.come_to_rest(scene).then_some(socket.name));
            let talking: Vec<u32> = sockets.collect();
            let asking = self.apis.iter().filter(|api| !api.http.is_free()).count();
            let still = waiting.is_empty() && talking.is_empty() && asking == 0;
            quiet += u32::from(still);
            // What is held back goes out in its time.
            rest = still && quiet > self.scene.quiet_rounds();
            assert!(
                rest || round + 1 < ROUNDS,
                "never at rest: sessions {waiting:?}, sockets {talking:?}, {asking} of the application's requests"
            );
            self.scene.net.turn();
            self.scene.net.settle();
            self.pump();
            self.scene.net.check();
            rest &= ended.are_told(&self.scene);
            if rest {
                break;
            }
            self.scene.net.sleep(ROUND_MS);
            self.pump();
        }
        assert!(rest);
        self.pump();
        if self.scene.waits {
            self.count_rooms();
        }
        self.check();
    }

    fn check(&mut self) {
        let scene = &self.scene;
        self.csps.iter().for_each(|csp| csp.check(scene));
        self.sockets.iter().for_each(|socket| socket.check(scene));
        self.readers.iter().for_each(|reader| reader.check(scene));
        self.bayeux.iter().for_each(|one| one.check(scene));
        if scene.waits {
            self.check_rooms();
        }
        let live = self.csps.iter().filter(|csp| csp.is_live()).count()
            + self
                .sockets
                .iter()
                .filter(|socket| socket.is_live())
                .count()
            + self
                .readers
                .iter()
                .filter(|reader| reader.is_live())
                .count()
            + self.bayeux.iter().filter(|one| one.is_live()).count();
        let lost = scene.net.node.session_count().saturating_sub(live) as u64;
        let each = self.bayeux.iter().chain(&self.bayeux_over);
        let lossy: usize = each.map(|one| one.may_have_lost(scene)).sum();
        let missing = lost + lossy as u64;
        scene.model.check_counts(scene.ended_sessions() + missing);
        let protocol = scene.signoffs(Cause::Protocol);
        assert!(
            protocol <= scene.doomed,
            "{protocol} sessions ended for breaking the protocol, {} did",
            scene.doomed
        );
    }

    /// Everybody leaves, and what the node holds returns to nothing.
    fn end(&mut self) {
        self.scene.note(|| "everybody leaves".to_owned());
        let stopped = self.scene.net.is_stopped();
        if !stopped && self.scene.chance.one_in(4) {
            self.scene.net.stop();
            self.scene.net.settle();
        } else if !stopped && self.scene.chance.one_in(2) {
            self.csps
                .iter_mut()
                .for_each(|csp| csp.close(&mut self.scene));
            for _ in 0..40 {
                self.csps.iter_mut().for_each(|csp| {
                    csp.come_to_rest(&mut self.scene);
                });
                self.scene.net.sleep(50);
                self.pump();
            }
        }
        let silent = self.scene.chance.one_in(2);
        for csp in &mut self.csps {
            // Some leave their connections to the node, which must get rid of them by itself.
            if !silent || csp.has_socket() {
                csp.vanish(&mut self.scene);
            }
        }
        self.bayeux
            .iter_mut()
            .for_each(|one| one.vanish(&mut self.scene));
        let bare = self.sockets.iter().map(|socket| socket.http.link);
        let bare = bare.chain(self.readers.iter().map(|reader| reader.http.link));
        bare.for_each(|link| self.scene.net.leave(link));
        for _ in 0..100 {
            self.scene.net.sleep(2_000);
            self.read_feed();
        }
        self.scene.net.leap(3 * 3_600_000);
        self.scene.net.settle();
        self.read_feed();
        self.end_feed();
        // Names of publications are known for long.
        self.scene.net.leap(ONCE_MS);
        let node = &self.scene.net.node;
        assert_eq!(node.session_count(), 0, "sessions are left");
        assert_eq!(node.conn_count(), 0, "connections are left");
        assert_eq!(node.queued_bytes(), 0, "bytes are left");
        assert_eq!(node.next_due(), None, "deadlines are left");
        assert_eq!(
            node.metrics().signons,
            self.scene.ended_sessions(),
            "signons and signoffs"
        );
        self.scene.net.check();
        self.settle();
    }

    /// The application leaves too, or the node ends its feed.
    fn end_feed(&mut self) {
        let scene = &mut self.scene;
        let Some(mut feed) = self.feed.take() else {
            return;
        };
        if scene.net.is_stopped() {
            assert!(feed.ended || !scene.books.steady, "the feed has no end");
            return;
        }
        if scene.books.steady && scene.chance.one_in(2) {
            scene.net.stop();
            scene.net.settle();
            let notices = feed.pump(scene, (0, u64::MAX));
            assert!(notices.is_empty() && feed.ended, "the feed has no end");
        }
        scene.net.leave(feed.http.link);
        scene.net.sleep(200_000);
        scene.net.settle();
    }

    /// Everybody is over: what the application was told is held against what each of them knows.
    fn settle(&mut self) {
        let csps = std::mem::take(&mut self.csps);
        self.bury(csps);
        let sockets = std::mem::take(&mut self.sockets);
        self.scene
            .books
            .accounts
            .extend(sockets.iter().map(Socket::account));
        let readers = std::mem::take(&mut self.readers);
        self.bury_readers(&readers);
        for one in self.bayeux.iter().chain(&self.bayeux_over) {
            let accounts = one.accounts(&self.scene);
            for (acks, account) in accounts {
                self.scene.count(match (acks, account.lossy) {
                    (true, _) => "bayeux: sessions with acks",
                    (false, true) => "bayeux: sessions that may have lost something",
                    (false, false) => "bayeux: sessions without acks, whole",
                });
                self.scene.books.accounts.push(account);
            }
        }
        let Scene {
            net, model, books, ..
        } = &mut self.scene;
        let totals = books.settle(net, model);
        net.totals.merge(&totals);
    }
}

/// Requests may be pipelined behind some that are held for a minute each.
const ROUNDS: u32 = 2_500;
const ROUND_MS: u64 = 200;
