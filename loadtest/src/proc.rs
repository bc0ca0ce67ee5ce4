//! What the kernel says a process uses, by pid.
//!
//! In: pids; texts of `/proc`. Out: bytes, nanoseconds, descriptors, summed.

use crate::sys;
use crate::trouble::Trouble;
use std::fs;
use std::path::PathBuf;

/// What processes use together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Proportional set size in bytes, without pages of files: user memory. Pages of the program itself would
    /// come and go with other processes that run it.
    pub pss: u64,
    /// The same with them: what the program's pages cost, shared with others that run it.
    pub pss_all: u64,
    /// Resident set size in bytes.
    pub rss: u64,
    /// Nanoseconds on a processor, in user code and in the kernel.
    pub cpu_ns: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// How often it has gone to sleep, which is how often it was woken.
    pub sleeps: u64,
}

impl Usage {
    /// Reads it.
    ///
    /// # Errors
    /// A process that is gone, or of another user.
    pub fn of(pids: &[u32]) -> Result<Self, Trouble> {
        let mut sum = Self::default();
        for pid in pids {
            let rollup = read(*pid, "smaps_rollup")?;
            let all = kilobytes(&rollup, "Pss:");
            sum.pss += all.saturating_sub(kilobytes(&rollup, "Pss_File:"));
            sum.pss_all += all;
            sum.rss += kilobytes(&rollup, "Rss:");
            sum.cpu_ns += Scheduled::of(*pid)?.ran_ns;
            sum.sleeps += sleeps(*pid)?;
            let open = fs::read_dir(format!("/proc/{pid}/fd"));
            sum.descriptors += open.map_err(Trouble::io("/proc/PID/fd"))?.count() as u64;
        }
        Ok(sum)
    }
}

/// What can be read of processes over and over, at no cost to them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Resident set size in bytes.
    pub rss: u64,
    /// Bytes of it that are no pages of files: nearly what [`Usage::pss`] is, where processes share nothing.
    pub user: u64,
    /// Nanoseconds on a processor.
    pub cpu_ns: u64,
    /// Nanoseconds that it was ready to run and something else ran.
    pub waited_ns: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

impl Glance {
    /// Reads it.
    ///
    /// # Errors
    /// A process that is gone.
    pub fn of(pids: &[u32]) -> Result<Self, Trouble> {
        let mut sum = Self::default();
        for pid in pids {
            let status = read(*pid, "status")?;
            sum.rss += kilobytes(&status, "VmRSS:");
            sum.user += kilobytes(&status, "RssAnon:") + kilobytes(&status, "RssShmem:");
            let scheduled = Scheduled::of(*pid)?;
            sum.cpu_ns += scheduled.ran_ns;
            sum.waited_ns += scheduled.waited_ns;
            // Since Linux 6.2 the folder's size is the count, and nothing has to be listed.
            let folder = fs::metadata(format!("/proc/{pid}/fd"));
            sum.descriptors += folder.map_err(Trouble::io("/proc/PID/fd"))?.len();
        }
        Ok(sum)
    }
}

/// Nanoseconds that processes have had, cheaper than the whole [`Usage`].
///
/// # Errors
/// A process that is gone.
pub fn cpu_ns_of(pids: &[u32]) -> Result<u64, Trouble> {
    let one = |pid: &u32| Scheduled::of(*pid).map(|scheduled| scheduled.ran_ns);
    pids.iter().map(one).sum()
}

/// Resident bytes of processes, which unlike PSS costs them nothing to be asked for.
///
/// # Errors
/// A process that is gone.
pub fn rss_of(pids: &[u32]) -> Result<u64, Trouble> {
    let one = |pid: &u32| read(*pid, "status").map(|text| kilobytes(&text, "VmRSS:"));
    pids.iter().map(one).sum()
}

/// What the scheduler has summed up of a process.
#[derive(Debug, Default, Clone, Copy)]
struct Scheduled {
    ran_ns: u64,
    waited_ns: u64,
}

impl Scheduled {
    /// The scheduler's own sum is exact; what is charged by ticks of 10 ms misses who runs between them.
    fn of(pid: u32) -> Result<Self, Trouble> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        let mut sum = Self::default();
        for task in tasks.map_err(Trouble::io("/proc/PID/task"))?.flatten() {
            // One that has ended since it was listed is no reason to read any other otherwise.
            if let Ok(text) = fs::read_to_string(task.path().join("schedstat")) {
                let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
                let mut next = || numbers.next().and_then(Result::ok).unwrap_or_default();
                sum.ran_ns += next();
                sum.waited_ns += next();
            }
        }
        // A kernel may be built without.
        if sum.ran_ns == 0 {
            sum.ran_ns = stat_ns(&read(pid, "stat")?);
        }
        Ok(sum)
    }
}

fn sleeps(pid: u32) -> Result<u64, Trouble> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let mut sum = 0;
    for task in tasks.map_err(Trouble::io("/proc/PID/task"))?.flatten() {
        // A thread may have ended since.
        let text = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        sum += field(&text, "voluntary_ctxt_switches:");
    }
    Ok(sum)
}

/// The file that a process runs.
///
/// # Errors
/// A process that is gone, or of another user.
pub fn program_of(pid: u32) -> Result<PathBuf, Trouble> {
    fs::read_link(format!("/proc/{pid}/exe")).map_err(Trouble::io("/proc/PID/exe"))
}

fn read(pid: u32, name: &str) -> Result<String, Trouble> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).map_err(|error| Trouble::Server(format!("{path}: {error}")))
}

fn first_number(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// `Name:  12 kB` in bytes, 0 when it is not there.
fn kilobytes(text: &str, name: &str) -> u64 {
    field(text, name) * 1024
}

/// `Name:  12`, 0 when it is not there.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(first_number).unwrap_or_default()
}

/// User and system time out of `/proc/PID/stat`. The name before them may hold blanks and parentheses.
fn stat_ns(text: &str) -> u64 {
    let behind = text.rsplit_once(')').map_or("", |(_, behind)| behind);
    let fields = behind.split_ascii_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks * (1_000_000_000 / sys::ticks_per_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        let rollup = "5581-7ffe ---p 0 00:00 0   [rollup]\nRss:     1784 kB\nPss:      307 kB\nPss_Dirty:  1 kB\n";
        assert_eq!(kilobytes(rollup, "Pss:"), 307 * 1024);
        assert_eq!(kilobytes(rollup, "Swap:"), 0);
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n";
        assert_eq!(field(status, "voluntary_ctxt_switches:"), 150);
        let stat = "12 (a b) c) S 1 1 1 0 -1 4194304 97 0 0 0 150 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(stat_ns(stat), 2_000_000_000 * 100 / sys::ticks_per_second());
        assert_eq!(stat_ns("nonsense"), 0);
    }

    #[test]
    fn this_very_process_can_be_read() {
        let usage = Usage::of(&[std::process::id()]).unwrap();
        assert!(usage.pss > 0 && usage.rss >= usage.pss && usage.descriptors > 2);
        assert!(usage.pss_all > usage.pss && usage.rss >= usage.pss_all);
        assert!(program_of(std::process::id()).unwrap().is_file());
        assert!(Usage::of(&[u32::MAX]).is_err());
        let glance = Glance::of(&[std::process::id()]).unwrap();
        assert!(glance.rss >= glance.user && glance.user > 0 && glance.cpu_ns > 0);
        assert!(Glance::of(&[u32::MAX]).is_err());
    }
}
