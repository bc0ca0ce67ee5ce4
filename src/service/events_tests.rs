//! How messages are spelled for plain readers, and what those are given who come back.

use super::*;
use crate::cmd::Cmds;
use crate::config::Config;
use crate::config::policy::Policies;
use crate::config::rule::Rule;
use crate::hub::Hub;
use crate::ids::SessionId;
use crate::mem::Ledger;
use crate::metrics::Kind;
use crate::metrics::Metrics;
use crate::rng::Rng;
use crate::service::groups::Groups;
use crate::session::{Carriage, Encoding, Opening, Profiles, ServiceKind};
use crate::time::Tick;
use crate::token::{Keys, Tokens};
use std::num::NonZeroU32;

fn published(content: Content, bytes: &[u8]) -> Rc<Publication> {
    let sender = Some("a\"b".into());
    let publication = Publication::new(
        "c".into(),
        sender,
        content,
        bytes.into(),
        &Ledger::default(),
    );
    publication.put(Position {
        epoch: 31,
        offset: 7,
    });
    publication
}

fn spelled(content: Content, bytes: &[u8]) -> String {
    String::from_utf8(event(&published(content, bytes))).unwrap()
}

#[test]
fn an_object_is_one_line_whatever_was_published() {
    for (content, bytes, data) in [
        (
            Content::Json,
            &b"{\"a\":\r\n[1,\n2]}"[..],
            "{\"a\":  [1, 2]}",
        ),
        (Content::Text, b"x\r\ny", "\"x\\r\\ny\""),
        (
            Content::Bytes("a/b".into()),
            b"\xff\n",
            "{\"base64\":\"/wo=\",\"type\":\"a/b\"}",
        ),
    ] {
        let text = String::from_utf8(object(&published(content, bytes))).unwrap();
        let head = r#"{"channel":"c","epoch":"1f","offset":7,"sender":"a\"b","data":"#;
        assert_eq!(text, format!("{head}{data}}}"));
    }
}

#[test]
fn an_event_names_its_place_in_front_of_its_data() {
    let text = event_with_id(&published(Content::Text, b"id: 9\rid: 8"));
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text, "id: 1f:7\ndata: id: 9\ndata: id: 8\n\n");
}

#[test]
fn no_line_end_in_a_message_starts_a_field() {
    let text = spelled(Content::Text, b"x\revent: evil\r\rdata: y\r\nz\n");
    assert_eq!(
        text,
        "data: x\ndata: event: evil\ndata: \ndata: data: y\ndata: z\ndata: \n\n"
    );
}

#[test]
fn bytes_that_are_no_text_go_as_json() {
    assert_eq!(
        spelled(Content::Bytes("a/b".into()), &[255]),
        "data: {\"base64\":\"/w==\",\"type\":\"a/b\"}\n\n"
    );
    assert_eq!(spelled(Content::Text, b""), "data: \n\n");
}

/// A node's half that services see.
struct Room {
    hub: Hub,
    cmds: Cmds,
    metrics: Metrics,
    config: Config,
    tokens: Tokens,
    groups: Groups,
    ledger: Ledger,
    profiles: Profiles,
    published: u64,
    readers: u32,
}

impl Room {
    /// Of each channel the last `messages` are kept.
    fn new(messages: usize) -> Self {
        let ledger = Ledger::default();
        let mut rng = Rng::new([3; 32]);
        let rule = Rule::parse(&format!("** history={messages},60s")).unwrap();
        Self {
            hub: Hub::new(100, 1 << 20, &mut rng).with_policies(Policies::new(vec![rule])),
            cmds: Cmds::default(),
            metrics: Metrics::default(),
            config: Config::default(),
            tokens: Tokens::new(Keys::default(), &mut rng),
            groups: Groups::new(&Config::default(), &ledger),
            profiles: Profiles::new(rng.keyed(), &ledger),
            ledger,
            published: 0,
            readers: 0,
        }
    }

    fn publish(&mut self, channel: &str, text: &str) -> Position {
        let bytes = text.as_bytes().into();
        let publication =
            Publication::new(channel.into(), None, Content::Text, bytes, &self.ledger);
        self.published += 1;
        publication.take(self.published);
        self.hub.publish(&publication, Tick(0)).unwrap().place
    }

    /// What a reader gets that says where it stands, and whether anything may be missing.
    fn join(
        &mut self,
        service: &dyn Service,
        channels: &[(&str, Option<Position>)],
    ) -> (String, bool) {
        self.readers += 1;
        let mut session = Session::new(Opening {
            secret: [0; 16],
            service: ServiceKind::Events,
            carriage: Carriage::Bare,
            kind: Kind::None,
            encoding: Encoding::Plain,
            profile: self.profiles.intern(Default::default()),
            now: Tick(0),
        });
        let mut cx = Cx {
            id: SessionId::new(self.readers, NonZeroU32::MIN),
            hub: &mut self.hub,
            cmds: &mut self.cmds,
            metrics: &mut self.metrics,
            tokens: &mut self.tokens,
            asking: &mut Default::default(),
            groups: &mut self.groups,
            config: &self.config,
            ledger: &self.ledger,
            unix_ms: 0,
            now: Tick(0),
        };
        let channels = channels.iter().map(|(name, at)| ((*name).to_owned(), *at));
        let hello = Hello {
            channels: channels.collect(),
            ..Hello::default()
        };
        service.opened(&mut cx, &mut session, &hello).unwrap();
        let mut text = Vec::new();
        while let Some(msg) = session.next_bare().cloned() {
            text.extend_from_slice(msg.bytes());
            session.wrote_bare(Tick(0));
        }
        assert!(self.cmds.is_empty(), "a session does not run over by this");
        self.hub.leave_all(&mut session.seat);
        (String::from_utf8(text).unwrap(), session.is_unmet())
    }
}

#[test]
fn who_comes_back_to_a_channel_is_given_what_it_missed() {
    let mut room = Room::new(99);
    let first = room.publish("a", "1");
    room.publish("a", "2");
    room.publish("a", "3");
    let epoch = first.epoch;
    let (text, _) = room.join(&Events, &[("a", Some(first))]);
    assert_eq!(
        text,
        format!("id: {epoch:x}:1\n\nid: {epoch:x}:2\ndata: 2\n\nid: {epoch:x}:3\ndata: 3\n\n")
    );
    let (text, unmet) = room.join(&Poll, &[("a", Some(Position { epoch, offset: 2 }))]);
    let head = format!(r#"{{"channel":"a","epoch":"{epoch:x}","offset":3,"sender":null"#);
    assert_eq!((text, unmet), (format!("{head},\"data\":\"3\"}}"), false));
    assert_eq!(room.join(&Poll, &[("a", None)]), (String::new(), true));
}

#[test]
fn what_was_missed_in_several_channels_comes_in_its_order_and_each_says_where_it_is() {
    let mut room = Room::new(99);
    let a = room.publish("a", "a1");
    let b = room.publish("b", "b1");
    room.publish("b", "b2");
    room.publish("a", "a2");
    room.publish("b", "b3");
    let ids = |text: &str| {
        let (a, b) = (format!("{:x}:", a.epoch), format!("{:x}:", b.epoch));
        text.replace(&a, "a").replace(&b, "b")
    };
    let (text, _) = room.join(&Events, &[("b", Some(b)), ("a", Some(a))]);
    assert_eq!(
        ids(&text),
        "id: b1,a1\n\nid: b2,a1\ndata: b2\n\nid: b2,a2\ndata: a2\n\nid: b3,a2\ndata: b3\n\n"
    );
    // One of them cannot be met, of one nothing is asked.
    let lost = Position { offset: 9, ..a };
    let (text, _) = room.join(&Events, &[("a", Some(lost)), ("b", None), ("c", None)]);
    let (gap, rest) = text.split_once("\n\n").unwrap();
    assert!(gap.starts_with("event: gap\ndata: {\"channel\":\"a\",") && gap.ends_with(":null}"));
    assert!(ids(rest).starts_with("id: a2,b3,") && rest.ends_with(":0\n\n"));
}

#[test]
fn what_is_kept_no_more_or_would_fill_the_queue_is_a_gap() {
    let mut room = Room::new(3);
    let start = room.publish("a", "0");
    for n in 1..=4 {
        room.publish("a", &n.to_string());
    }
    let (text, unmet) = room.join(&Objects, &[("a", Some(start))]);
    assert!(
        !unmet && text.ends_with("\"offset\":5,\"missed\":4}"),
        "{text}"
    );
    // Bytes that take six times as many in JSON.
    let mut room = Room::new(99);
    let start = room.publish("b", "");
    for _ in 0..9 {
        room.publish("b", &"\x01".repeat(20_000));
    }
    let (text, _) = room.join(&Objects, &[("b", Some(start))]);
    assert!(text.ends_with("\"offset\":10,\"missed\":9}"), "{text}");
    let (text, _) = room.join(&Events, &[("b", Some(start))]);
    assert_eq!(text.matches("\x01").count(), 180_000);
}
