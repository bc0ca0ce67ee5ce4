//! Some subscribers stop reading: whether the others notice.

use super::Case;
use super::delivery::{self, Meter};
use super::fanout::published;
use crate::report::{Figure, figure};
use crate::tally::Tally;
use crate::trouble::Trouble;

/// Publishes for --time to all, and once more while the share --slow reads nothing. What the others miss and how long
/// they wait is told of the second time, beside the first. Kernels take some 4 MB for each that does not read before
/// a server sees it: --size, --rate and --time are to make more than that.
///
/// # Errors
/// Connections that cannot be opened, or nowhere to publish to.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let options = case.options;
    let mut crowd = case.held(case.crowd()?)?;
    crowd.begin(1)?;
    let sent = delivery::publish(case, &mut crowd, 1, || {})?;
    let all = u64::from(options.connections) * u64::from(sent.messages);
    crowd.await_messages(all, options.drain)?;
    let mut total = crowd.report()?;
    let calm = total.clone();

    crowd.begin(2)?;
    let slow = crowd.deafen(options.slow)?.deaf;
    let mut meter = Meter::start(case, &crowd)?;
    let sent = delivery::publish(case, &mut crowd, 2, || meter.look())?;
    let hear = u64::from(options.connections).saturating_sub(slow);
    let heard = hear * u64::from(sent.messages);
    crowd.await_messages(heard, options.drain)?;
    let tally = crowd.report()?;
    total.add(&tally);
    let costs = meter.figures(tally.arrived)?;
    let pss = meter.pss_growth()?;
    // Kernels take seconds to begin again between two that stood still.
    let shed = crowd.undeafen(options.settle * 3)?.shed;

    let mut figures = published(sent);
    figures.push(figure("slow", slow as f64, "connections that did not read"));
    figures.push(figure("shed", shed as f64, "of them closed by the server"));
    figures.extend(delivery::counts(all + heard, &total));
    figures.extend(latencies(&calm, &tally));
    figures.push(delivery::lost(&mut crowd)?);
    figures.extend(costs);
    figures.extend(pss);
    Ok(figures)
}

fn latencies(calm: &Tally, slow: &Tally) -> Vec<Figure> {
    let of_calm = |share| delivery::ms(&calm.latency_us, share);
    let p99 = delivery::ms(&slow.latency_us, 0.99);
    let mut figures = vec![
        figure("calm_p50", of_calm(0.5), "ms while all read"),
        figure("calm_p99", of_calm(0.99), "ms"),
    ];
    figures.extend(delivery::latency(slow));
    let times = p99 / of_calm(0.99).max(0.001);
    figures.push(figure("p99_to_calm", times, "times as long"));
    figures
}
