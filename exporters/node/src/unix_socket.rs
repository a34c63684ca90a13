//! Unix sockets whose connect does not wait.

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Connects to a stream socket. A listener whose queue is full is one that does not answer: an error, no wait.
pub(crate) fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_full_queue_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        // A queue of one instead of the usual 128.
        rustix::net::listen(&listener, 0).unwrap();
        let taken: Vec<_> = (0..8).map(|_| connect(&path)).collect();
        assert!(taken[0].is_ok());
        let error = taken.into_iter().find_map(Result::err).unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
}
