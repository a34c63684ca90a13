//! Ports that belong to one test.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;

/// A port of 127.0.0.1 that nobody listens on and that no other test gets while this process lives.
///
/// Asking the kernel for a port and giving it back is not enough: until the server under test takes it, the kernel may give it to
/// another test that asks, or as the near end of any connection. So these lie below the kernel's own, and a lock on a file tells other test
/// processes; the kernel drops it with the process.
pub fn free_port() -> u16 {
    let user = rustix::process::getuid().as_raw();
    let locks = std::env::temp_dir().join(format!("bongsu-test-ports-{user}"));
    std::fs::create_dir_all(&locks).unwrap();
    // Neighbouring processes begin at different places.
    let (size, start) = (u32::from(LAST - FIRST) + 1, std::process::id().wrapping_mul(37));
    for step in 0..size {
        let port = FIRST + u16::try_from(start.wrapping_add(step) % size).unwrap();
        if let Some(lock) = reserve(&locks, port) {
            // Open, and so locked, until the process ends.
            Box::leak(Box::new(lock));
            return port;
        }
    }
    panic!("every port from {FIRST} to {LAST} is taken");
}

/// The lock on a port that is free for TCP and UDP.
fn reserve(locks: &Path, port: u16) -> Option<File> {
    let lock = File::options().create(true).truncate(false).write(true).open(locks.join(port.to_string())).ok()?;
    lock.try_lock().ok()?;
    let free = TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok();
    free.then_some(lock)
}

/// Above the ports of the labs without Docker that the tests start, below those of the lab in containers.
const FIRST: u16 = 25_000;
const LAST: u16 = 30_999;

#[cfg(test)]
mod tests {
    use super::free_port;

    #[test]
    fn no_port_is_given_twice() {
        let threads: Vec<_> =
            (0..8).map(|_| std::thread::spawn(|| (0..25).map(|_| free_port()).collect::<Vec<_>>())).collect();
        let mut ports: Vec<u16> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 200);
    }
}
