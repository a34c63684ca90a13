//! The few things that need `unsafe`: descriptors inherited from systemd, and glibc's heap settings.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The descriptors that systemd passed to this very process, with their numbers.
pub(crate) fn systemd_fds() -> Vec<(i32, OwnedFd)> {
    let read = |name| std::env::var(name).ok().and_then(|v| v.parse::<u32>().ok());
    let ours = read("LISTEN_PID") == Some(std::process::id());
    let count = read("LISTEN_FDS").filter(|_| ours).unwrap_or(0).min(MOST_FDS);
    (0..count.cast_signed())
        .map(|n| FIRST_FD + n)
        .filter(|&fd| is_open(fd))
        .map(|fd| {
            // SAFETY: systemd passes FIRST_FD.. to the process named by LISTEN_PID for it to own (sd_listen_fds(3));
            // this function's caller takes them once, before other descriptors are opened, and they are open.
            let owned = unsafe { OwnedFd::from_raw_fd(fd) };
            let _ = rustix::io::fcntl_setfd(&owned, rustix::io::FdFlags::CLOEXEC);
            (fd, owned)
        })
        .collect()
}

/// Gives back what the heap holds free.
pub(crate) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> i32;
        }
        // SAFETY: malloc_trim(3) takes a size and touches nothing but the allocator's own free memory.
        unsafe {
            malloc_trim(0);
        }
    }
}

fn is_open(fd: RawFd) -> bool {
    std::fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok()
}

/// Keeps glibc's heap small: two arenas for all threads, and memory above half a megabyte goes back at once.
pub(crate) fn tune_heap() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn mallopt(param: i32, value: i32) -> i32;
        }
        const M_TRIM_THRESHOLD: i32 = -1;
        const M_MMAP_THRESHOLD: i32 = -3;
        const M_ARENA_MAX: i32 = -8;
        // SAFETY: mallopt(3) takes two integers and only sets parameters of the allocator.
        unsafe {
            mallopt(M_ARENA_MAX, 2);
            mallopt(M_TRIM_THRESHOLD, 512 * 1024);
            mallopt(M_MMAP_THRESHOLD, 256 * 1024);
        }
    }
}

/// The first descriptor that systemd passes (sd_listen_fds(3)).
const FIRST_FD: RawFd = 3;
/// More sockets than anybody passes: a bound for a value that comes from outside.
const MOST_FDS: u32 = 64;
