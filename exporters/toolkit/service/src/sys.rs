//! The few things that need `unsafe`: descriptors inherited from systemd, glibc's heap settings, and pages given back.
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

/// Unmaps the pages of code and constants that only the start needed; what is used again comes back from the page cache.
///
/// To be called while no other thread runs: a library that is being loaded shows pages as clean that it is about to write.
pub(crate) fn release_start_pages() {
    let Ok(smaps) = std::fs::read_to_string("/proc/self/smaps") else { return };
    for (start, end) in clean_file_pages(&smaps) {
        // SAFETY: the pages are a file's, private, not writable, and the kernel counts none of them as changed, so that
        // dropping them loses nothing: the next access reads the same bytes from the file (madvise(2)).
        let _ = unsafe {
            rustix::mm::madvise(start as *mut std::ffi::c_void, end - start, rustix::mm::Advice::LinuxDontNeed)
        };
    }
}

/// The mappings of smaps (proc_pid_smaps(5)) that hold a file's own bytes only.
///
/// One with nothing in memory is left alone. There is nothing to give back, and qemu, which makes this file up for a
/// program of another machine, says 0 of everything, of relocated constants too.
fn clean_file_pages(smaps: &str) -> Vec<(usize, usize)> {
    let mut clean = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(first), Some(second)) = (words.next(), words.next()) else { continue };
        match first {
            "Anonymous:" | "Swap:" if second != "0" => candidate = None,
            "Rss:" if second == "0" => candidate = None,
            // The last line of each mapping.
            "VmFlags:" => clean.extend(candidate.take()),
            _ if first.ends_with(':') => {}
            _ => {
                let file = words.nth(3).is_some_and(|path| path.starts_with('/'));
                let private = second.starts_with("r-") && second.ends_with('p');
                candidate = if file && private { range(first) } else { None };
            }
        }
    }
    clean
}

fn range(words: &str) -> Option<(usize, usize)> {
    let (start, end) = words.split_once('-')?;
    let hex = |word| usize::from_str_radix(word, 16).ok();
    Some((hex(start)?, hex(end)?)).filter(|(start, end)| start < end)
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

#[cfg(test)]
mod tests {
    use super::clean_file_pages;

    #[test]
    fn only_pages_that_nobody_changed_are_given_back() {
        let smaps = "\
            1000-3000 r-xp 00001000 fe:00 42 /usr/bin/x\nRss: 8 kB\nAnonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd ex\n\
            3000-4000 r--p 00003000 fe:00 42 /usr/bin/x\nRss: 4 kB\nAnonymous: 4 kB\nSwap: 0 kB\nVmFlags: rd\n\
            4000-5000 r--p 00003000 fe:00 42 /usr/bin/x\nAnonymous: 0 kB\nSwap: 4 kB\nVmFlags: rd\n\
            5000-6000 rw-p 00004000 fe:00 42 /usr/bin/x\nAnonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd wr\n\
            6000-7000 r-xp 00000000 00:00 0 [vdso]\nAnonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd ex\n\
            7000-8000 r--p 00000000 00:00 0 \nAnonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd\n\
            8000-9000 r--p 00000000 fe:00 7 /lib/libc.so.6\nRss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd\n\
            9000-a000 r--p 00000000 fe:00 7 /lib/libc.so.6\nRss: 0 kB\nAnonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd\n\
            9000-8000 r--p 00000000 fe:00 7 /lib/libc.so.6\nVmFlags: rd\n-\n";
        assert_eq!(clean_file_pages(smaps), [(0x1000, 0x3000), (0x8000, 0x9000)]);
    }

    #[test]
    fn code_and_constants_work_after_their_pages_were_given_back() {
        super::release_start_pages();
        assert_eq!(format!("{:>5}|{}", "abc", 1.5), "  abc|1.5");
    }
}
