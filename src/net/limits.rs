//! What the system lets the process have: descriptors, memory, and entropy for its secrets.

use std::io;

/// Raises the soft limit of open files to the hard one. Gives back the limit in force.
#[must_use]
pub fn raise_open_files() -> u64 {
    let Some(mut limit) = limits() else { return 0 };
    let soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is to a whole rlimit on this stack frame, which the call only reads.
    #[allow(unsafe_code)]
    let raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0;
    if raised { limit.rlim_cur } else { soft }
}

/// The limit of open files in force.
#[must_use]
pub fn open_files() -> u64 {
    limits().map_or(0, |limit| limit.rlim_cur)
}

fn limits() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a whole rlimit on this stack frame, which the call fills.
    #[allow(unsafe_code)]
    let read = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    read.then_some(limit)
}

/// Gives free pages of the heap back to the system, which the allocator would keep for the next burst.
pub fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes no pointer, and only what was freed is touched.
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// What the host is called, if it says so in a word.
#[must_use]
pub fn host_name() -> Option<String> {
    let mut bytes = [0_u8; 65];
    // SAFETY: the pointer and the length are of one buffer on this stack frame, which the call fills.
    #[allow(unsafe_code)]
    let told = unsafe { libc::gethostname(bytes.as_mut_ptr().cast(), bytes.len()) } == 0;
    let name = bytes.split(|byte| *byte == 0).next().filter(|_| told)?;
    let is_word = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    is_word.then(|| String::from_utf8_lossy(name).into_owned())
}

/// A seed nobody can guess, from the operating system.
///
/// # Errors
/// A system without entropy, which must not serve.
pub fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(seed)
}
