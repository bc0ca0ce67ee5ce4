//! What `chat` and `peer` do alike: clients send in an open loop, and everything that arrives is counted.

use super::Case;
use super::delivery::{self, Meter};
use crate::engine::Talk;
use crate::part::Part;
use crate::report::{Figure, figure};
use crate::sys::now_ns;
use crate::trouble::Trouble;
use std::time::Duration;

/// Opens everyone, lets them send at the rate for the time, waits for what is under way, and counts. `deliveries` says
/// how many so many messages are.
///
/// # Errors
/// Connections that cannot be opened.
pub fn run(
    case: &Case<'_>,
    part: Part,
    deliveries: impl Fn(u32) -> u64,
) -> Result<Vec<Figure>, Trouble> {
    let options = case.options;
    let mut crowd = case.held(case.crowd_of(part)?)?;
    crowd.begin(1)?;
    let mut meter = Meter::start(case, &crowd)?;
    let messages = (options.rate * options.time.as_secs_f64()).round().max(1.0);
    let talk = Talk {
        start_ns: now_ns() + LEAD_NS,
        rate: options.rate,
        messages: messages as u32,
        size: options.size,
    };
    case.eye.phase("talking");
    case.eye.expect(deliveries(talk.messages));
    let most = options.time + options.drain + Duration::from_nanos(LEAD_NS);
    let said = crowd.talk(&talk, most, || meter.look())?;
    let said_ns = now_ns();
    let expected = deliveries(talk.messages);
    crowd.await_messages(expected, options.drain)?;
    let since = |end_ns: u64| end_ns.saturating_sub(talk.start_ns).max(1) as f64 / 1e9;
    let (said_s, all_s) = (since(said_ns), since(now_ns()));
    let tally = crowd.report()?;
    let costs = meter.figures(tally.arrived)?;
    let late_ms = said.said_late_us as f64 / 1e3;
    let mut figures = vec![
        figure("messages", said.said as f64, "sent by clients"),
        figure("refused", tally.refused as f64, "of them"),
        figure("publisher_late", late_ms, "ms at most"),
    ];
    figures.extend(delivery::counts(expected, &tally));
    let (arrived, responses) = (tally.arrived as f64, tally.responses as f64);
    figures.extend([
        figure("rate_in", said.said as f64 / said_s, "messages a second"),
        figure("rate_out", arrived / all_s, "deliveries a second"),
        figure("response_rate", responses / all_s, "a second, with them"),
    ]);
    figures.push(figure("astray", tally.astray as f64, "meant for others"));
    figures.extend(delivery::latency(&tally));
    figures.push(delivery::lost(&mut crowd)?);
    figures.extend(costs);
    Ok(figures)
}

/// From the order to the first message, so that every process has heard it.
const LEAD_NS: u64 = 200_000_000;
