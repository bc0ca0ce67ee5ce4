//! Many are idle on one channel while another is stormed: whether heartbeats keep their time.

use super::delivery::{self, Meter};
use super::fanout::published;
use super::{Case, Crew};
use crate::beats::Beats;
use crate::part::Part;
use crate::publish::{self, Plan};
use crate::report::{Figure, figure};
use crate::trouble::Trouble;
use std::thread::sleep;
use std::time::Duration;

/// Holds -n idle connections, publishes to --storm-subscribers others on a channel of their own, and measures how long
/// after --heartbeat of silence, which is the most that the server lets pass, each heartbeat is heard. What it says
/// sooner, as the node does by up to an eighth, is never late: of very many, some are due at the very end.
///
/// # Errors
/// Connections that cannot be opened, nowhere to publish to, or a --time in which no heartbeat is due.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let options = case.options;
    check(case)?;
    let to = case.internals()?;
    let channel = format!("{}-storm", options.channel);
    let others = options.storm_subscribers;
    let mut idle = case.crowd_for(&Crew {
        channel: &options.channel,
        part: Part::Reads,
        total: options.connections,
        interval_s: u32::try_from(options.heartbeat.as_secs()).unwrap_or(0),
        hold_s: 0,
    })?;
    let mut busy = case.crowd_for(&Crew {
        channel: &channel,
        part: Part::Reads,
        total: others,
        interval_s: 0,
        hold_s: 0,
    })?;
    busy.raise(options.ramp)?;
    idle.raise(options.ramp)?;
    sleep(options.settle);
    busy.begin(1)?;
    idle.begin(1)?;
    idle.listen(options.heartbeat)?;
    let mut meter = Meter::start(case, &busy)?;
    let plan = Plan {
        path: case.publish_path_of(&channel),
        rate: options.rate,
        size: options.size,
        time: options.time,
        run: 1,
    };
    case.eye.phase("publishing beside the idle");
    let sent = publish::run(to, &plan, || {
        meter.look();
        true
    })?;
    let beats = idle.beats()?;
    let expected = u64::from(others) * u64::from(sent.messages);
    busy.await_messages(expected, options.drain)?;
    let tally = busy.report()?;
    let costs = meter.figures(tally.arrived)?;
    let mut figures = lateness(&beats, options.connections, options.time, options.heartbeat);
    figures.extend(published(sent));
    figures.extend(delivery::counts(expected, &tally));
    figures.extend(delivery::latency(&tally));
    let lost = idle.counts()?.lost + busy.counts()?.lost;
    figures.push(figure(
        "lost",
        lost as f64,
        "connections that ended by themselves",
    ));
    figures.extend(costs);
    Ok(figures)
}

fn check(case: &Case<'_>) -> Result<(), Trouble> {
    let (time, heartbeat) = (case.options.time, case.options.heartbeat);
    let text = match heartbeat.subsec_nanos() != 0 || heartbeat.is_zero() {
        _ if time <= heartbeat => "--time is to be longer than --heartbeat",
        true if case.mode.resumes() => "CSP counts --heartbeat in whole seconds",
        _ => return Ok(()),
    };
    Err(Trouble::Usage(text.into()))
}

fn lateness(beats: &Beats, idle: u32, time: Duration, heartbeat: Duration) -> Vec<Figure> {
    let late = |share| delivery::ms(&beats.late_us, share);
    let each = beats.heard as f64 / f64::from(idle.max(1));
    let due = (time.as_secs_f64() / heartbeat.as_secs_f64().max(0.001)).floor();
    vec![
        figure("heartbeats", each, "heard on each idle connection"),
        figure("heartbeats_due", due, "at least"),
        figure("heartbeats_overdue", beats.overdue as f64, "at the end"),
        figure(
            "heartbeat_late_p50",
            late(0.5),
            "ms after --heartbeat of silence",
        ),
        figure("heartbeat_late_p99", late(0.99), "ms"),
        figure("heartbeat_late_max", late(1.0), "ms"),
    ]
}
