//! Counters of the kernel's perf events (perf_event_open(2), `include/uapi/linux/perf_event.h`).

use rustix::fd::{FromRawFd, OwnedFd};
use std::ffi::{c_int, c_long, c_ulong};

/// What is counted: `PERF_TYPE_*` and its `config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: u32,
    pub(crate) config: u64,
}

/// A counter of all processes on one processor, running since it was opened.
pub(crate) struct Counter(OwnedFd);

/// `struct perf_event_attr` as its first version has it.
#[repr(C)]
struct Attr {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    bp_addr: u64,
}

/// `exclude_hv`, the seventh bit.
const EXCLUDE_HV: u64 = 1 << 6;
const FD_CLOEXEC: c_ulong = 1 << 3;

#[cfg(target_arch = "x86_64")]
const PERF_EVENT_OPEN: c_long = 298;
#[cfg(target_arch = "x86")]
const PERF_EVENT_OPEN: c_long = 336;
#[cfg(target_arch = "arm")]
const PERF_EVENT_OPEN: c_long = 364;
#[cfg(target_arch = "powerpc64")]
const PERF_EVENT_OPEN: c_long = 319;
#[cfg(target_arch = "s390x")]
const PERF_EVENT_OPEN: c_long = 331;
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "x86",
    target_arch = "arm",
    target_arch = "powerpc64",
    target_arch = "s390x"
)))]
const PERF_EVENT_OPEN: c_long = 241;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

impl Counter {
    pub(crate) fn open(event: Event, cpu: u32) -> std::io::Result<Self> {
        let attr = Attr {
            kind: event.kind,
            size: size_of::<Attr>() as u32,
            config: event.config,
            sample_period: 0,
            sample_type: 0,
            read_format: 0,
            flags: EXCLUDE_HV,
            wakeup_events: 0,
            bp_type: 0,
            bp_addr: 0,
        };
        let (all_processes, no_group): (c_int, c_int) = (-1, -1);
        // SAFETY: the kernel reads `size` bytes of the attributes, all of them initialized, and keeps no pointer.
        let fd =
            unsafe { syscall(PERF_EVENT_OPEN, &raw const attr, all_processes, cpu as c_int, no_group, FD_CLOEXEC) };
        match c_int::try_from(fd) {
            // SAFETY: the call succeeded, so it is a new descriptor that nobody else owns.
            Ok(fd) if fd >= 0 => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    pub(crate) fn read(&self) -> rustix::io::Result<u64> {
        let mut count = [0; 8];
        match rustix::io::read(&self.0, &mut count)? {
            8 => Ok(u64::from_ne_bytes(count)),
            // The processor went offline.
            _ => Err(rustix::io::Errno::NODEV),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_first_version() {
        assert_eq!(size_of::<Attr>(), 64);
    }

    #[test]
    fn context_switches_grow() {
        let switches = Event { kind: 1, config: 3 };
        match Counter::open(switches, 0) {
            Ok(counter) => {
                let before = counter.read().unwrap();
                // This thread gives way on some processor; the first one has a timer's work at least.
                std::thread::sleep(std::time::Duration::from_millis(50));
                assert!(counter.read().unwrap() >= before);
            }
            Err(e) => println!("skipped: perf_event_open is refused here: {e}"),
        }
    }

    #[test]
    fn an_unknown_event_is_refused() {
        assert!(Counter::open(Event { kind: 4_000_000, config: 0 }, 0).is_err());
    }
}
