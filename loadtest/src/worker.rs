//! A load process: an engine that takes orders on standard input and answers on standard output, a line of JSON
//! each. It ends with its standard input, so it never outlives who started it.
//!
//! In: first the setup, then `{"do":…}`. Out: counts and tallies.

use crate::beats::Beats;
use crate::engine::{Engine, Loop, Pace, Setup, TOKENS_MAX, Talk};
use crate::flights::Flights;
use crate::mode::{Mode, Row, Template, Wish};
use crate::part::Part;
use crate::sys;
use crate::trouble::Trouble;
use mio::unix::pipe;
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

/// Runs until standard input ends.
///
/// # Errors
/// A setup that is none, a kernel that gives no sockets.
pub fn run() -> Result<(), Trouble> {
    let fd = io::stdin().as_fd().try_clone_to_owned();
    let input = File::from(fd.map_err(Trouble::io("standard input"))?);
    let first = first_line(&input).map_err(Trouble::io("reading the setup"))?;
    let setup = serde_json::from_slice::<Value>(&first).ok();
    let setup = setup.and_then(|value| setup_from_json(&value));
    let setup = setup.ok_or_else(|| Trouble::Worker("no setup".into()))?;
    let row = Row::named(&setup.mode);
    let row = row.ok_or_else(|| Trouble::Worker(format!("no mode {}", setup.mode)))?;
    let mode = row.make(&Wish {
        floor: setup.floor,
        template: &setup.template,
    });
    let orders = pipe::Receiver::from(OwnedFd::from(input));
    serve(setup, mode, orders).map_err(Trouble::io("load process"))
}

/// Byte by byte: what is behind it must stay in the pipe.
fn first_line(mut input: &File) -> io::Result<Vec<u8>> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while line.last() != Some(&b'\n') && input.read(&mut byte)? == 1 {
        line.extend_from_slice(&byte);
    }
    Ok(line)
}

fn serve(setup: Setup, mode: Box<dyn Mode>, mut orders: pipe::Receiver) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut engine = Engine::new(setup, mode, poll.registry().try_clone()?);
    orders.set_nonblocking(true)?;
    poll.registry()
        .register(&mut orders, ORDERS, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut text = Vec::new();
    loop {
        let wait = match engine.wait() {
            (Some(wait), true) if !wait.is_zero() => Some(sys::nap(&poll, wait)),
            (wait, _) => wait,
        };
        match poll.poll(&mut events, wait) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        let ordered = events.iter().any(|event| event.token() == ORDERS);
        if ordered && !read_orders(&mut orders, &mut text)? {
            return Ok(());
        }
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            obey(&mut engine, &line)?;
        }
        engine.turn(&events)?;
    }
}

/// Reads all there is. False at the end.
fn read_orders(orders: &mut pipe::Receiver, text: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    loop {
        match orders.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(n) => text.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn obey(engine: &mut Engine, line: &[u8]) -> io::Result<()> {
    let order: Value = serde_json::from_slice(line).unwrap_or_default();
    let number = |name: &str| order.get(name).and_then(Value::as_u64).unwrap_or_default();
    let narrow = |name: &str| u32::try_from(number(name)).unwrap_or(u32::MAX);
    match order.get("do").and_then(Value::as_str) {
        Some("raise") => engine.raise(narrow("count")),
        Some("begin") => engine.begin(u16::try_from(number("run")).unwrap_or_default()),
        Some("churn") => engine.churn(narrow("count")),
        Some("cut") => engine.cut(narrow("window") as usize, number("anew") != 0),
        Some("listen") => engine.listen(narrow("interval_ms")),
        Some("deafen") => engine.deafen(order.get("share").and_then(Value::as_f64).unwrap_or(0.0)),
        Some("undeafen") => engine.undeafen(),
        Some("leave") => engine.leave(),
        Some("turn over") => Pace::from_json(&order)
            .into_iter()
            .for_each(|pace| engine.turn_over(pace)),
        Some("loop") => Loop::from_json(&order).map_or(Ok(()), |wish| engine.begin_loop(wish))?,
        Some("talk") => Talk::from_json(&order)
            .into_iter()
            .for_each(|talk| engine.talk(talk)),
        _ => {}
    }
    let whole = order.get("do").and_then(Value::as_str) == Some("report");
    let (counts, turned) = (engine.counts(), engine.turned());
    let answer = json!({
        "ready": counts.ready,
        "pending": counts.pending,
        "wanted": counts.wanted,
        "failed": counts.failed,
        "lost": counts.lost,
        "over": counts.over,
        "deaf": counts.deaf,
        "shed": counts.shed,
        "ready_ns": counts.ready_ns,
        "goodbyes": turned.goodbyes,
        "deserted": turned.deserted,
        "resumed": turned.resumed,
        "leaving": engine.leaving(),
        "behind": order.get("messages").map(|_| engine.behind(narrow("messages"))),
        "acks": counts.acks,
        "arrived": engine.marks.tally.arrived,
        "loops": u8::from(engine.loops()),
        "refused": engine.loop_refused(),
        "said": engine.talking().map(|talking| talking.said),
        "mute": engine.talking().map(|talking| talking.mute),
        "said_late_us": engine.talking().map(|talking| talking.late_us_max),
        "tally": whole.then(|| engine.marks.tally.to_json()),
        "beats": engine.beats().filter(|_| whole).as_ref().map(Beats::to_json),
        "flights": engine.marks.flights.as_ref().filter(|_| whole).map(Flights::to_json),
    });
    let mut out = io::stdout().lock();
    writeln!(out, "{answer}")?;
    out.flush()
}

/// The setup as it goes to a load process.
#[must_use]
pub fn setup_to_json(setup: &Setup) -> Value {
    json!({
        "mode": setup.mode,
        "floor": setup.floor,
        "target": setup.target.to_string(),
        "channel": setup.channel,
        "part": setup.part.to_json(),
        "first": setup.first,
        "share": setup.share,
        "window": setup.window,
        "interval_s": setup.interval_s,
        "hold_s": setup.hold_s,
        "worker": setup.worker,
        "acks": setup.acks,
        "template": setup.template.to_json(),
    })
}

fn setup_from_json(value: &Value) -> Option<Setup> {
    let text = |name: &str| value.get(name)?.as_str();
    let number = |name: &str| value.get(name)?.as_u64();
    Some(Setup {
        mode: text("mode")?.to_owned(),
        floor: value.get("floor")?.as_bool()?,
        target: text("target")?.parse().ok()?,
        channel: text("channel")?.to_owned(),
        part: Part::from_json(value.get("part")?)?,
        first: u32::try_from(number("first")?).ok()?,
        share: u32::try_from(number("share")?).ok()?,
        window: usize::try_from(number("window")?).ok()?,
        interval_s: u32::try_from(number("interval_s")?).ok()?,
        hold_s: u32::try_from(number("hold_s")?).ok()?,
        worker: u8::try_from(number("worker")?).ok()?,
        acks: value.get("acks")?.as_bool()?,
        template: Template::from_json(value.get("template")?)?,
    })
}

const ORDERS: Token = Token(TOKENS_MAX);
const EVENTS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_survives_the_way_to_a_load_process() {
        let setup = Setup {
            mode: "csp-ws".into(),
            floor: true,
            target: "127.0.0.1:8000".parse().unwrap(),
            channel: "a/b".into(),
            part: Part::Pairs(8),
            first: 4,
            share: 2,
            window: 128,
            interval_s: 5,
            hold_s: 6,
            worker: 2,
            acks: true,
            template: Template::default(),
        };
        let value = setup_to_json(&setup);
        let back = setup_from_json(&value).map(|setup| setup_to_json(&setup));
        assert_eq!(back, Some(value));
        assert!(setup_from_json(&json!({"mode": "ws"})).is_none());
    }
}
