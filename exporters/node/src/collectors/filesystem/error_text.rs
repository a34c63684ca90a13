//! An error's words, which are a label's value and so part of a series' name.

use rustix::io::Errno;
use std::borrow::Cow;

/// The error as Go words it: as glibc does, in lower case.
pub(super) fn of(error: Errno) -> Cow<'static, str> {
    let known = match error {
        Errno::ACCESS => "permission denied",
        Errno::BADF => "bad file descriptor",
        Errno::CONNREFUSED => "connection refused",
        Errno::CONNABORTED => "software caused connection abort",
        Errno::HOSTDOWN => "host is down",
        Errno::HOSTUNREACH => "no route to host",
        Errno::INTR => "interrupted system call",
        Errno::IO => "input/output error",
        Errno::LOOP => "too many levels of symbolic links",
        Errno::NAMETOOLONG => "file name too long",
        Errno::NODEV => "no such device",
        Errno::NOENT => "no such file or directory",
        Errno::NOMEM => "cannot allocate memory",
        Errno::NOSYS => "function not implemented",
        Errno::NOTCONN => "transport endpoint is not connected",
        Errno::NOTDIR => "not a directory",
        Errno::OVERFLOW => "value too large for defined data type",
        Errno::PERM => "operation not permitted",
        Errno::STALE => "stale file handle",
        Errno::TIMEDOUT => "connection timed out",
        other => return Cow::Owned(lower(&std::io::Error::from(other).to_string())),
    };
    Cow::Borrowed(known)
}

/// `Key has expired (os error 127)` becomes `key has expired`.
fn lower(text: &str) -> String {
    let text = text.split_once(" (os error").map_or(text, |(text, _)| text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_their_case() {
        assert_eq!(of(Errno::STALE), "stale file handle");
        assert_eq!(of(Errno::KEYEXPIRED), "key has expired");
        // The table says nothing else than the C library.
        for error in [Errno::ACCESS, Errno::IO, Errno::NOTCONN, Errno::HOSTDOWN, Errno::STALE, Errno::TIMEDOUT] {
            assert_eq!(of(error), lower(&std::io::Error::from(error).to_string()));
        }
    }
}
