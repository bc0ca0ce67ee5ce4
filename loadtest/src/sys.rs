//! The few calls of the kernel that the standard library lacks, and the only unsafe code.
//!
//! In: pids, processors. Out: a clock that all processes share, limits, signals. It knows nothing of loads.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::Duration;

/// Nanoseconds of the monotonic clock: the same in every process of this machine, so a message can carry it.
#[must_use]
pub fn now_ns() -> u64 {
    let mut at = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `at` is a valid timespec to write to; the call keeps no pointer.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut at) };
    at.tv_sec.unsigned_abs() * 1_000_000_000 + at.tv_nsec.unsigned_abs()
}

/// Clock ticks a second, in which `/proc/PID/stat` counts.
#[must_use]
pub fn ticks_per_second() -> u64 {
    // SAFETY: takes a constant, touches no memory of ours.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).unwrap_or(100).max(1)
}

/// Raises the open-file limit as far as it goes without privileges, and gives it back. Children inherit it.
#[must_use]
pub fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid rlimit to write to.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 1024;
    }
    let before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit to read from.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } {
        0 => limit.rlim_max,
        _ => before,
    }
}

/// Asks a process to end.
pub fn terminate(pid: u32) {
    signal(pid, libc::SIGTERM);
}

fn signal(pid: u32, number: i32) {
    // Never 0 or below: that would be a group of processes.
    if let Ok(pid @ 1..) = i32::try_from(pid) {
        // SAFETY: two integers; no memory is shared.
        unsafe { libc::kill(pid, number) };
    }
}

/// Lets `connect` choose the port for a socket that is bound to an address only. Chosen by `bind`, ports that still
/// wait after a close are searched through one by one, which at 10,000 of them takes longer than all else.
///
/// # Errors
/// What the kernel says.
pub fn choose_port_late(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the kernel reads the four bytes of `on`, and keeps no pointer.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits for events by nanoseconds, where a poll of mio counts milliseconds and rounds them up. Gives back how long
/// is left to wait.
#[cfg(not(mio_unsupported_force_poll_poll))]
pub fn nap(poll: &mio::Poll, wait: Duration) -> Duration {
    use std::os::fd::AsFd as _;
    wait_readable(poll.registry().as_fd(), wait);
    Duration::ZERO
}

/// The poll(2) selector has no descriptor to wait for: all is left.
#[cfg(mio_unsupported_force_poll_poll)]
pub fn nap(_: &mio::Poll, wait: Duration) -> Duration {
    wait
}

/// Waits until a descriptor is readable, at most so long.
#[cfg(not(mio_unsupported_force_poll_poll))]
fn wait_readable(fd: BorrowedFd<'_>, most: Duration) {
    let mut poll = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let most = libc::timespec {
        tv_sec: most.as_secs() as libc::time_t,
        tv_nsec: most.subsec_nanos() as libc::c_long,
    };
    // SAFETY: one valid pollfd to read and write, a valid timespec, no set of signals; the call keeps no pointer.
    // What it says does not matter: who waited looks himself.
    unsafe { libc::ppoll(&raw mut poll, 1, &raw const most, std::ptr::null()) };
}

/// Binds a process of one thread to one processor. Gives back whether it worked.
#[must_use]
pub fn pin(pid: u32, processor: usize) -> bool {
    let Ok(pid) = i32::try_from(pid) else {
        return false;
    };
    // SAFETY: a cpu_set_t is plain bits, for which zero is a value; CPU_SET checks its bounds; the kernel
    // reads `size_of` bytes of it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(pid, size_of::<libc::cpu_set_t>(), &raw const set) == 0
    }
}

/// The moment, as `2026-11-22 07:00 UTC`.
#[must_use]
pub fn utc() -> String {
    // SAFETY: a `tm` is plain numbers, and a pointer that may be null.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: the first call is given no place to write to; the second reads its number and writes `parts`; neither
    // keeps a pointer.
    unsafe {
        let seconds = libc::time(std::ptr::null_mut());
        libc::gmtime_r(&raw const seconds, &raw mut parts);
    }
    let (year, month) = (parts.tm_year + 1900, parts.tm_mon + 1);
    let (day, hour, minute) = (parts.tm_mday, parts.tm_hour, parts.tm_min);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}
