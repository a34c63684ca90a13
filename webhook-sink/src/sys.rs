//! The things that need `unsafe`: how the kernel shares out processors, and when it writes.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Lets this thread stand behind all others that want a processor: the work of the thread can wait, senders should not.
///
/// A nice value alone leaves a woken thread waiting for up to 3 ms for one that computes. Kernels from 6.12 on let it take
/// over at once when its slice is the shorter one, so this thread gets the longest there is; older kernels ignore that.
pub(crate) fn stand_back() {
    // Built up from zeros: kernels and targets differ in how many fields there are.
    // SAFETY: `sched_attr` has nothing but integers, for which zeros are values.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    attributes.size = size_of::<libc::sched_attr>() as u32;
    attributes.sched_policy = libc::SCHED_OTHER.unsigned_abs();
    attributes.sched_nice = NICE;
    attributes.sched_runtime = SLICE_NS;
    // SAFETY: sched_setattr(2) reads as many bytes of the structure as it says of its own size; 0 is the calling thread.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if done != 0 {
        // A sandbox may know only the older call. Where that is refused too, the thread is like any other.
        let _ = rustix::process::setpriority_process(None, NICE);
    }
}

/// Has the kernel begin to write what it holds of this file, without waiting for it: a later sync finds less to do, and
/// those of other files wait behind less. Promises nothing.
pub(crate) fn begin_to_write(file: &File) {
    // SAFETY: sync_file_range(2) takes numbers, and the descriptor is open.
    unsafe {
        libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE);
    }
}

/// Has the kernel write what it holds of this file, a piece at a time with pauses, so that syncs of other files wait for no
/// more than a piece. Promises nothing.
pub(crate) fn write_gently(file: &File) {
    let length = file.metadata().map_or(0, |m| m.len());
    let how = libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    for at in (0..length).step_by(PIECE as usize) {
        let began = Instant::now();
        // SAFETY: as above.
        unsafe { libc::sync_file_range(file.as_raw_fd(), at.cast_signed(), PIECE.cast_signed(), how) };
        // A piece with nothing to write takes microseconds.
        if began.elapsed() > Duration::from_micros(100) {
            std::thread::sleep(PAUSE);
        }
    }
}

const NICE: i32 = 10;
/// The longest slice that the kernel takes.
const SLICE_NS: u64 = 100_000_000;
const PIECE: u64 = 1 << 20;
const PAUSE: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_calling_thread_stands_back() {
        let nice = || rustix::process::getpriority_process(None).expect("getpriority");
        let before = nice();
        let there = std::thread::spawn(move || {
            stand_back();
            nice()
        });
        assert_eq!(there.join().expect("joins"), NICE.max(before));
        assert_eq!(nice(), before);
    }
}
