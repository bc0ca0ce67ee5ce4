//! The published tables: a row is a line here.
//!
//! In: nothing. Out: commands as they are typed, and what is asked of their figures.

/// A run of the suite.
#[derive(Debug)]
pub struct Row {
    /// What it is about: rows that follow each other with the same stand in one table.
    pub group: &'static str,
    /// The command without the server.
    pub words: &'static str,
    /// What is asked, and so shown.
    pub bars: &'static [&'static str],
    /// Figures that are shown though nothing is asked of them.
    pub shown: &'static [&'static str],
    /// It says nothing in a second, and so is left out of a quick run.
    pub long: bool,
}

const fn row(
    group: &'static str,
    words: &'static str,
    bars: &'static [&'static str],
    shown: &'static [&'static str],
) -> Row {
    Row {
        group,
        words,
        bars,
        shown,
        long: false,
    }
}

impl Row {
    const fn long(self) -> Self {
        Self { long: true, ..self }
    }
}

const START: &str = "The process, and sessions without a connection";
const IDLE: &str = "Idle connections, subscribed";
const CONNECT: &str = "From connect to ready: an open WebSocket; a CSP session and its first comet";
const CHURN: &str = "Connections that close and come back";
const FANOUT: &str = "Fan-out";
const CLOSED: &str = "Fan-out in a closed loop: so many messages are on their way";
const SPOKEN: &str = "Clients that publish, in 100 rooms, and in pairs by name";
const TROUBLE: &str = "Everyone comes back at once; a tenth stops reading; one channel is stormed";

/// Every row. The bars are of a release build on one core, beside the floor on the same core; the floor does not hear
/// what clients say.
#[rustfmt::skip]
pub const ROWS: [Row; 31] = [
    row(IDLE, "hold --mode http -n 19000 --floor", &["bytes_per_conn<=128", "rss_before<=3072", "idle_cpu<=0.05", "losses<=0"], &["connect_rate"]),
    row(IDLE, "hold --mode ws -n 19000 --floor", &["bytes_per_conn<=350", "idle_cpu<=0.05", "losses<=0"], &["connect_rate", "cpu_per_connect"]),
    row(IDLE, "hold --mode csp-ws -n 19000 --floor", &["bytes_per_conn<=400", "idle_cpu<=0.05", "losses<=0"], &["connect_rate", "cpu_per_connect"]),
    row(IDLE, "hold --mode csp-sse -n 19000 --floor", &["bytes_per_conn<=400", "idle_cpu<=0.05", "losses<=0"], &["connect_rate", "cpu_per_connect"]),
    row(IDLE, "hold --mode csp-longpoll -n 19000 --floor", &["bytes_per_conn<=400", "idle_cpu<=0.05", "losses<=0"], &["connect_rate", "cpu_per_connect"]),
    row(IDLE, "hold --mode bayeux -n 10000 --floor", &["bytes_per_conn<=500", "idle_cpu<=0.05", "losses<=0"], &["connect_rate", "cpu_per_connect"]),
    row(IDLE, "hold --mode bayeux-longpoll -n 10000 --floor", &["bytes_per_conn<=550", "idle_cpu<=0.05", "losses<=0"], &["connect_rate", "cpu_per_connect"]),
    row(IDLE, "hold --mode events -n 19000 --floor", &["losses<=0"], &["bytes_per_conn", "connect_rate", "cpu_per_connect", "idle_cpu"]),
    row(IDLE, "hold --mode ws -n 19000 --twice --floor", &["second_run_growth<=2", "losses<=0"], &["kept_after_close"]),
    row(IDLE, "hold --mode ws,csp-ws,events -n 19000 --idle 60s --floor-heartbeat 25s --floor", &["idle_cpu_above<=0.05", "losses<=0"], &["idle_cpu", "idle_wakeups"]),
    row(CONNECT, "hold --mode ws -n 19000 --no-subscribe --idle 1s --floor", &["connect_rate/floor>=0.9", "cpu_per_connect/floor<=1.7", "losses<=0"], &[]),
    row(CONNECT, "hold --mode csp-sse -n 19000 --no-subscribe --idle 1s --floor", &["connect_rate/floor>=0.6", "losses<=0"], &["cpu_per_connect"]),
    row(CONNECT, "hold --mode csp-longpoll -n 19000 --no-subscribe --idle 1s --floor", &["connect_rate/floor>=0.6", "losses<=0"], &["cpu_per_connect"]),
    row(CHURN, "churn --mode ws -n 1000 --total 20000 --no-subscribe --floor", &["reopen_rate/floor>=0.75", "cpu_per_reopen/floor<=1.4", "losses<=0"], &["pss_growth"]),
    row(FANOUT, "fanout --mode ws -n 10000 --rate 10 --size 200 --floor", &["cpu_per_delivery/floor<=1.2", "p99/floor<=1.15", "first_to_last/floor<=1.15", "rss_growth_peak<=5", "losses<=0"], &["p50"]),
    row(FANOUT, "fanout --mode events -n 10000 --rate 10 --size 200 --floor", &["cpu_per_delivery/floor<=1.2", "p99/floor<=1.15", "first_to_last/floor<=1.15", "rss_growth_peak<=5", "losses<=0"], &["p50"]),
    row(FANOUT, "fanout --mode csp-sse -n 10000 --rate 10 --size 200 --floor", &["cpu_per_delivery/floor<=1.2", "p99/floor<=1.15", "first_to_last/floor<=1.15", "rss_growth_peak<=5", "losses<=0"], &["p50"]),
    row(FANOUT, "fanout --mode csp-longpoll -n 10000 --rate 10 --size 200 --floor", &["cpu_per_delivery/floor<=1.9", "rss_growth_peak<=5", "losses<=0"], &["p50", "p99"]),
    row(FANOUT, "fanout --mode bayeux -n 10000 --rate 10 --size 200 --floor", &["cpu_per_delivery/floor<=1.25", "losses<=0"], &["p50", "p99", "rss_growth_peak"]),
    row(CLOSED, "fanout --mode ws -n 1000 --in-flight 1 --floor", &["closed_rate/floor>=0.9", "losses<=0"], &["deliveries", "done_p50", "done_p99"]),
    row(CLOSED, "fanout --mode ws -n 1000 --in-flight 16 --floor", &["closed_rate/floor>=4", "losses<=0"], &["deliveries", "done_p50", "done_p99"]),
    row(SPOKEN, "chat --mode csp-ws -n 1000 --rooms 100 --rate 1000", &["losses<=0"], &["arrived", "p50", "p99", "cpu_per_delivery"]),
    row(SPOKEN, "chat --mode bayeux -n 1000 --rooms 100 --rate 1000 --burst 10 --size 50", &["losses<=0"], &["arrived", "rate_out", "response_rate", "p50", "p99", "max", "cpu_per_delivery"]),
    row(SPOKEN, "chat --mode bayeux-longpoll -n 1000 --rooms 100 --rate 1000 --burst 10 --size 50", &["losses<=0"], &["arrived", "rate_out", "response_rate", "p50", "p99", "max", "cpu_per_delivery"]),
    row(SPOKEN, "peer --mode csp-ws -n 1000 --rate 1000", &["losses<=0"], &["arrived", "p50", "p99", "cpu_per_delivery"]),
    row(TROUBLE, "storm --mode csp-ws -n 5000 --floor", &["losses<=0"], &["storm_time", "reconnect_per_cpu", "reconnect_rate", "cpu_per_reconnect"]),
    row(TROUBLE, "storm --mode csp-ws -n 5000 --anew --floor", &["losses<=0"], &["storm_time", "reconnect_per_cpu", "reconnect_rate", "cpu_per_reconnect"]),
    row(TROUBLE, "slow --mode csp-ws -n 1000 --slow 0.1 --size 16384 --rate 50", &["losses<=0"], &["shed", "calm_p99", "p99", "p99_to_calm", "pss_growth"]),
    row(TROUBLE, "heartbeats --mode csp-sse -n 10000 --rate 100 --time 40s", &["heartbeat_late_max<=200", "heartbeats>=1", "losses<=0"], &["heartbeat_late_p99"]).long(),
    row(START, "start --times 10", &["start_to_ready<=20", "rss_before<=3072", "binary<=6"], &["start_to_ready_max", "pss_before", "pss_before_all"]),
    row(START, "sessions -n 100000 --subscriptions 11", &["bytes_per_session<=256", "bytes_per_subscription<=24", "losses<=0"], &["session_rate", "bytes_per_waiting"]),
];
