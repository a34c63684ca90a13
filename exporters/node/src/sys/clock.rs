//! adjtimex(2).

/// What the kernel says of its clock (`struct timex` of `include/uapi/linux/timex.h`).
pub(crate) use libc::timex as Timex;

/// Reads the clock's state without changing anything; the first number is the clock's own state (`TIME_OK` and on).
pub(crate) fn adjtimex() -> std::io::Result<(i32, Timex)> {
    // SAFETY: the struct holds integers only, for which zero is a value.
    let mut timex: Timex = unsafe { std::mem::zeroed() };
    // SAFETY: `timex` is a valid, exclusive pointer for the call; `modes` is 0, so that the kernel only writes to it.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 { Err(std::io::Error::last_os_error()) } else { Ok((state, timex)) }
}
