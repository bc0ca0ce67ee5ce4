//! One publisher, many subscribers, a closed loop: how many messages go through when so many are always under way.

use super::Case;
use super::delivery::{self, Meter};
use crate::engine::Loop;
use crate::report::{Figure, figure};
use crate::trouble::Trouble;

/// Opens all subscribers in one process, which publishes too: it sees at once when everyone has a message.
///
/// # Errors
/// Connections that cannot be opened or that one process does not hold, or a server that takes no message.
pub fn run(case: &Case<'_>, in_flight: u32) -> Result<Vec<Figure>, Trouble> {
    let options = case.options;
    let most = Case::per_process();
    if options.connections > most {
        let text = format!("--in-flight needs one load process: at most -n {most}");
        return Err(Trouble::Usage(text));
    }
    let mut crowd = case.held(case.crowd()?)?;
    crowd.begin(1)?;
    let mut meter = Meter::start(case, &crowd)?;
    let wish = Loop {
        to: case.internal()?,
        path: case.publish_path(),
        in_flight,
        size: options.size,
        time: options.time,
    };
    case.eye.phase("publishing");
    let ended = crowd.closed_loop(&wish, options.time + options.drain, || meter.look())?;
    let (tally, flights) = (crowd.report()?, crowd.flights()?);
    if flights.departed() == 0 {
        return Err(Trouble::Server("takes no publications".into()));
    }
    let costs = meter.figures(tally.arrived)?;
    let seconds = flights.to_ns.saturating_sub(flights.from_ns).max(1) as f64 / 1e9;
    let expected = u64::from(options.connections) * u64::from(flights.departed());
    let rate = f64::from(flights.through) / seconds;
    let took = &flights.took_us;
    let mut figures = vec![
        figure("closed_rate", rate, "messages a second, to everyone"),
        figure("deliveries", tally.arrived as f64 / seconds, "a second"),
        figure(
            "done_p50",
            delivery::ms(took, 0.5),
            "ms until the last has it",
        ),
        figure("done_p99", delivery::ms(took, 0.99), "ms"),
        figure("refused", ended.refused as f64, "publications"),
    ];
    figures.extend(delivery::counts(expected, &tally));
    figures.extend(delivery::latency(&tally));
    figures.push(delivery::lost(&mut crowd)?);
    figures.extend(costs);
    Ok(figures)
}
