//! One publisher, many subscribers: an open loop, or a closed one.

use super::delivery::{self, Meter};
use super::{Case, closed};
use crate::publish::Sent;
use crate::report::{Figure, figure};
use crate::trouble::Trouble;

/// Opens all subscribers, publishes, waits for what is under way, and counts.
///
/// # Errors
/// Connections that cannot be opened, or nowhere to publish to.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let options = case.options;
    if let Some(in_flight) = options.in_flight {
        return closed::run(case, in_flight);
    }
    let mut crowd = case.held(case.crowd()?)?;
    crowd.begin(1)?;
    let mut meter = Meter::start(case, &crowd)?;
    let sent = delivery::publish(case, &mut crowd, 1, || meter.look())?;
    let expected = u64::from(options.connections) * u64::from(sent.messages);
    crowd.await_messages(expected, options.drain)?;
    let tally = crowd.report()?;
    let costs = meter.figures(tally.arrived)?;
    let mut figures = published(sent);
    figures.extend(delivery::counts(expected, &tally));
    figures.extend(delivery::latency(&tally));
    figures.push(figure(
        "first_to_last",
        tally.burst_us as f64 / 1e3,
        "ms, the first message, cold",
    ));
    figures.push(delivery::lost(&mut crowd)?);
    figures.extend(costs);
    Ok(figures)
}

/// What an open loop published.
pub fn published(sent: Sent) -> Vec<Figure> {
    let late_ms = sent.late_us_max as f64 / 1e3;
    vec![
        figure("messages", f64::from(sent.messages), "published"),
        figure("refused", f64::from(sent.refused), "publications"),
        figure("publisher_late", late_ms, "ms at most"),
    ]
}
