//! A client's connection: requests queued and fed as chance has it, their answers in order.
//!
//! In: requests and what each is for. Out: what happened to each. It asserts what holds for every request: it
//! is answered, in order and once, or the connection ended for a reason that the client knows.

use super::driver::LinkId;
use super::response::{Head, Piece, Responses};
use super::scene::Scene;
use orbited::node::Door;
use std::collections::VecDeque;

/// What a request is for.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Handshake,
    /// A downstream, by its number: a comet request, an upgrade, an event stream.
    Down(u32),
    /// An upstream batch, by its number.
    Send(u32),
    Close,
    /// A batch of Bayeux, by its number.
    Bayeux(u32),
    /// A publication through the API, by its number.
    Publish(usize),
    /// The same, asked for again.
    PublishAgain(usize),
    /// A user's sessions are to end.
    Kick(usize),
    /// Anything whose answer must be one of these; the second is a body it must have.
    Plain(&'static [u16], Option<&'static str>),
    /// No request: an answer, if one comes, is a refusal, and the connection ends.
    Junk,
}

/// What happened.
#[derive(Debug)]
pub enum Happened {
    Head(What, Head),
    /// A piece of a downstream's body, or of what follows a 101.
    Body(What, Vec<u8>),
    /// The answer is whole; the body is here unless it came in pieces.
    End(What, u16, Vec<u8>),
    /// No answer will come.
    Lost(What),
    /// The connection is over; the last that happens.
    Gone,
}

/// One connection.
pub struct Http {
    pub link: LinkId,
    /// Feeds its bytes a few at a time.
    pub trickles: bool,
    /// Reads nothing for now.
    pub deaf: bool,
    /// Reads everything at once.
    pub eager: bool,
    /// Steps until it feeds anything: what is asked for elsewhere comes first.
    pub wait: u32,
    queued: Vec<u8>,
    fed: usize,
    asked: VecDeque<Asked>,
    responses: Responses,
    status: u16,
    body: Vec<u8>,
    /// An answer said that the connection ends behind it.
    closing: bool,
    gone: bool,
    /// It was told to go on with a body.
    continued: bool,
    /// It has shut its side and waits for one answer.
    waits: bool,
}

struct Asked {
    what: What,
    /// Nothing else was asked and not answered.
    alone: bool,
    head_only: bool,
    /// Of all bytes ever queued, the last of this request's.
    end: usize,
    at: u64,
}

impl Http {
    /// A connection through `door`, unless the node takes no more.
    pub fn open(scene: &mut Scene, door: Door) -> Option<Self> {
        let link = scene.net.connect(door)?;
        Some(Self {
            link,
            trickles: !scene.net.calm && scene.chance.one_in(6),
            deaf: false,
            eager: false,
            wait: 0,
            queued: Vec::new(),
            fed: 0,
            asked: VecDeque::new(),
            responses: Responses::default(),
            status: 0,
            body: Vec::new(),
            closing: false,
            gone: false,
            continued: false,
            waits: false,
        })
    }

    /// Queues a request.
    pub fn ask(&mut self, now: u64, bytes: &[u8], head_only: bool, what: What) {
        self.queued.extend_from_slice(bytes);
        let end = self.fed + self.queued.len();
        self.asked.push_back(Asked {
            alone: self.asked.is_empty(),
            what,
            head_only,
            end,
            at: now,
        });
    }

    /// Queues bytes that are not a request of their own: frames of a WebSocket.
    pub fn say(&mut self, bytes: &[u8]) {
        self.queued.extend_from_slice(bytes);
    }

    /// Whether nothing is asked and a request may be sent.
    pub fn is_free(&self) -> bool {
        self.asked.is_empty() && !self.closing && !self.gone
    }

    /// Whether a request may be queued behind those that are asked.
    pub fn is_open(&self) -> bool {
        !self.closing && !self.gone
    }

    /// Whether the connection is over.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether the node has the whole of the request at hand, and it is `what`.
    pub fn is_served(&self, scene: &Scene, what: &What) -> bool {
        let first = self.asked.front().filter(|asked| asked.what == *what);
        first.is_some_and(|asked| self.fed >= asked.end) && scene.net.is_delivered(self.link)
    }

    /// Shuts the sending side: what is asked may still be answered.
    pub fn half_close(&mut self, scene: &mut Scene) {
        self.closing = true;
        scene.net.finish(self.link);
    }

    /// Feeds what is asked and shuts the sending side behind it: a single request must be answered all the same.
    pub fn ask_and_shut(&mut self, scene: &mut Scene) {
        let single = self.asked.len() == 1 && !matches!(self.asked[0].what, What::Down(_));
        if single && self.wait == 0 && !self.deaf {
            scene.count("faults: half closes behind a request");
            self.feed(scene, usize::MAX);
            self.half_close(scene);
            self.waits = true;
        }
    }

    /// Whether the node has everything that was queued, and the client everything that was written.
    pub fn is_settled(&self, scene: &Scene) -> bool {
        let read = scene.net.unread(self.link) == 0 && !scene.net.is_blocked(self.link);
        read && self.queued.is_empty() && scene.net.is_delivered(self.link)
    }

    /// Whether the node goes on with the connection.
    pub fn is_kept(&self, scene: &Scene) -> bool {
        scene.net.is_up(self.link) && !scene.net.is_blocked(self.link)
    }

    /// Whether it does, and has read everything that was queued.
    pub fn is_heard(&self, scene: &Scene) -> bool {
        self.is_kept(scene) && self.queued.is_empty() && scene.net.is_delivered(self.link)
    }

    /// Feeds at most `max` bytes.
    pub fn feed(&mut self, scene: &mut Scene, max: usize) {
        let count = self.queued.len().min(max);
        let bytes: Vec<u8> = self.queued.drain(..count).collect();
        self.fed += count;
        scene.net.send(self.link, &bytes);
    }

    /// Feeds and reads as its mood is, and tells what happened.
    pub fn pump(&mut self, scene: &mut Scene) -> Vec<Happened> {
        let mut happened = Vec::new();
        if self.gone {
            return happened;
        }
        if self.wait > 0 && !scene.net.calm {
            self.wait -= 1;
        } else if !self.queued.is_empty() {
            let max = if self.trickles {
                scene.chance.below(60)
            } else {
                usize::MAX
            };
            self.feed(scene, max);
        }
        if !self.deaf && scene.net.unread(self.link) > 0 {
            let max = if scene.net.calm || self.eager || !scene.chance.one_in(5) {
                usize::MAX
            } else {
                scene.chance.below(2_000)
            };
            let bytes = scene.net.take(self.link, max);
            self.responses.push(&bytes);
            self.read(&mut happened);
        }
        if scene.net.is_over(self.link) {
            self.end(scene, &mut happened);
        }
        happened
    }

    fn read(&mut self, happened: &mut Vec<Happened>) {
        loop {
            let head_only = self.asked.front().is_some_and(|asked| asked.head_only);
            let Some(piece) = self.responses.next(head_only) else {
                return;
            };
            let Some(what) = self.asked.front().map(|asked| asked.what.clone()) else {
                panic!("the node answers what nobody asked: {piece:?}");
            };
            match piece {
                Piece::Head(head) if head.status == 100 => self.continued = true,
                Piece::Head(head) => {
                    self.status = head.status;
                    self.closing |= head.closes();
                    happened.push(Happened::Head(what, head));
                }
                Piece::Body(bytes) if matches!(what, What::Down(_)) && self.status == 200 => {
                    happened.push(Happened::Body(what, bytes));
                }
                Piece::Body(bytes) => self.body.extend_from_slice(&bytes),
                Piece::Raw(bytes) => happened.push(Happened::Body(what, bytes)),
                Piece::End => {
                    self.asked.pop_front();
                    let body = std::mem::take(&mut self.body);
                    happened.push(Happened::End(what, self.status, body));
                }
            }
        }
    }

    fn end(&mut self, scene: &mut Scene, happened: &mut Vec<Happened>) {
        self.gone = true;
        let kept = scene.net.was_blocked(self.link) || scene.net.is_stopped();
        assert!(
            !self.waits || self.asked.is_empty() || kept || scene.net.is_broken(self.link),
            "{:?} is not answered since its client shut its side behind it",
            self.asked.front().map(|asked| &asked.what)
        );
        let mut own = scene.net.is_ended_by_client(self.link) || scene.net.was_blocked(self.link);
        if self.responses.ends_with_connection()
            && let Some(asked) = self.asked.pop_front()
        {
            // Whole or cut short: only the node knows, and who was slow cannot tell.
            let body = std::mem::take(&mut self.body);
            happened.push(match own {
                true => Happened::Lost(asked.what),
                false => Happened::End(asked.what, self.status, body),
            });
        }
        let inside = self.responses.is_inside() && self.status != 101;
        assert!(
            own || !inside || self.closing,
            "a response is cut short: {:?}",
            self.asked.front().map(|a| &a.what)
        );
        let stopped = scene.net.is_stopped();
        own |= self.closing || self.status == 101;
        for asked in self.asked.drain(..) {
            let whole = self.fed >= asked.end && scene.net.is_delivered(self.link);
            let junk = asked.what == What::Junk;
            // What waited behind another request when the node stopped is not served.
            own |= stopped && (!asked.alone || self.continued);
            assert!(
                own || junk || !whole,
                "{:?} is whole and unanswered since {}, and conn's end at {}",
                asked.what,
                asked.at,
                scene.net.now()
            );
            // Nothing behind junk is answered.
            own |= junk;
            happened.push(Happened::Lost(asked.what));
        }
        happened.push(Happened::Gone);
    }
}
