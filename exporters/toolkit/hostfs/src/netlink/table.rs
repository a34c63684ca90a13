//! The network devices, read again only after the kernel said that something about them changed.

use super::link::{Link, dump};
use super::socket::{Channel, NetlinkError};
use super::wire::{attributes, push_attribute};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, recv, socket_with, sockopt,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The devices of this process's network namespace, without their counters.
///
/// The kernel tells each change of a device (`RTNLGRP_LINK`) before the call that made it returns, so what is read is
/// never older than that. Without the right to listen, devices are read each time.
#[derive(Debug)]
pub struct LinkTable {
    channel: Channel,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    events: Option<OwnedFd>,
    links: Option<Arc<Links>>,
    read_at: Instant,
}

/// The devices as they were at one time.
#[derive(Debug, Default)]
pub struct Links {
    generation: u64,
    /// Messages with the attributes that [`Link`] knows, one behind the other.
    messages: Vec<u8>,
    /// Index of a device, start and length of its message; in order of the first.
    places: Vec<(u32, u32, u32)>,
}

impl Links {
    /// Another number means that devices may have changed.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The devices in order of their index.
    pub fn iter(&self) -> impl Iterator<Item = Link<'_>> {
        self.places.iter().filter_map(|place| self.at(place))
    }

    /// One device.
    pub fn by_index(&self, index: u32) -> Option<Link<'_>> {
        let at = self.places.binary_search_by_key(&index, |place| place.0).ok()?;
        self.at(&self.places[at])
    }

    fn at(&self, &(_, start, length): &(u32, u32, u32)) -> Option<Link<'_>> {
        Link::parse(self.messages.get(start as usize..(start + length) as usize)?)
    }

    fn add(&mut self, payload: &[u8]) {
        let (Some(link), Some((header, rest))) = (Link::parse(payload), payload.split_at_checked(Link::HEADER)) else {
            return;
        };
        let start = self.messages.len();
        self.messages.extend_from_slice(header);
        for a in attributes(rest).filter(|a| Link::KNOWN.contains(&a.kind)) {
            push_attribute(&mut self.messages, a.kind, a.value);
        }
        self.places.push((link.index, start as u32, (self.messages.len() - start) as u32));
    }
}

impl Default for LinkTable {
    fn default() -> Self {
        Self::new()
    }
}

impl LinkTable {
    /// A table that nobody read yet.
    pub fn new() -> Self {
        let state = State { events: None, links: None, read_at: Instant::now() };
        Self { channel: Channel::route(), state: Mutex::new(state) }
    }

    /// The devices as they are now.
    pub fn read(&self) -> Result<Arc<Links>, NetlinkError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let unchanged = state.nothing_happened() && state.read_at.elapsed() < LONGEST;
        if let Some(links) = state.links.as_ref().filter(|_| unchanged) {
            return Ok(Arc::clone(links));
        }
        let mut links = Links { generation: state.links.as_ref().map_or(0, |l| l.generation) + 1, ..Links::default() };
        self.channel.with(|socket| {
            dump(socket, false)?.for_each(|message| links.add(message.payload));
            Ok(())
        })?;
        links.messages.shrink_to_fit();
        links.places.sort_unstable();
        let links = Arc::new(links);
        state.links = Some(Arc::clone(&links));
        state.read_at = Instant::now();
        Ok(links)
    }
}

impl State {
    /// Takes what the kernel told since it was last asked; true if that is nothing.
    fn nothing_happened(&mut self) -> bool {
        let Some(events) = &self.events else {
            // What happens from here on is told; what happened before is not known.
            self.events = subscribe().ok();
            return false;
        };
        let mut nothing = true;
        for _ in 0..MOST_EVENTS {
            // What it was does not matter: the rest of the message is cut off.
            match recv(events, &mut [0; 16], RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => return nothing,
                // More happened than the queue holds.
                Ok(_) | Err(Errno::NOBUFS | Errno::INTR) => nothing = false,
                Err(_) => break,
            }
        }
        self.events = None;
        false
    }
}

fn subscribe() -> rustix::io::Result<OwnedFd> {
    let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    // Only whether something happened is asked: the queue may overflow.
    sockopt::set_socket_recv_buffer_size(&fd, 16 << 10)?;
    bind(&fd, &SocketAddrNetlink::new(0, GROUP_LINK))?;
    Ok(fd)
}

/// `RTMGRP_LINK`.
const GROUP_LINK: u32 = 1;
/// More than the queue holds.
const MOST_EVENTS: usize = 256;
/// A few attributes can be changed by writing to sysfs without an event, such as the group's number.
const LONGEST: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn devices_are_read_once() {
        let table = LinkTable::new();
        let first = table.read().unwrap();
        assert!(first.by_index(1).is_some_and(|l| l.name == b"lo"));
        assert!(first.by_index(0).is_none());
        assert!(!first.is_empty() && first.iter().count() == first.len());
        // Unless another test's device came or went meanwhile, nothing is read again.
        let second = table.read().unwrap();
        assert!(Arc::ptr_eq(&first, &second) || second.generation() > first.generation());
        assert_eq!(first.generation(), 1);
    }

    /// Runs the test below in a network namespace of its own, where devices may be made.
    #[test]
    fn devices_come_and_go() {
        let exe = std::env::current_exe().unwrap();
        let inner = "netlink::table::tests::in_a_namespace_of_its_own";
        let unshare = |command: &[&str]| {
            let flags = ["--user", "--map-root-user", "--net", "--"];
            std::process::Command::new("unshare").args(flags).args(command).output()
        };
        let make = ["ip", "link", "add", "try0", "type", "veth", "peer", "name", "try1"];
        if !unshare(&make).is_ok_and(|output| output.status.success()) {
            println!("skipped: no network device can be made in a namespace of its own here");
            return;
        }
        let output = unshare(&[exe.to_str().unwrap(), "--ignored", "--exact", inner]).unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[test]
    #[ignore = "makes network devices: devices_come_and_go runs it where that harms nobody"]
    fn in_a_namespace_of_its_own() {
        let ip = |arguments: &str| {
            assert!(std::process::Command::new("ip").args(arguments.split(' ')).status().unwrap().success());
        };
        let table = LinkTable::new();
        let mtu = |name: &[u8]| table.read().unwrap().iter().find(|l| l.name == name).and_then(|l| l.mtu);
        assert_eq!(mtu(b"a0"), None);
        ip("link add a0 mtu 1400 type veth peer name b0");
        assert_eq!(mtu(b"a0"), Some(1400));
        ip("link set a0 mtu 1300");
        assert_eq!(mtu(b"a0"), Some(1300));
        ip("link set a0 name c0");
        assert_eq!((mtu(b"a0"), mtu(b"c0")), (None, Some(1300)));
        // More events than the queue holds.
        for n in 0..200 {
            ip(&format!("link set c0 mtu {}", 1000 + n));
        }
        assert_eq!(mtu(b"c0"), Some(1199));
        ip("link del c0");
        assert_eq!((mtu(b"c0"), mtu(b"b0")), (None, None));
        // Now nothing happens, and nothing is read again.
        assert!(Arc::ptr_eq(&table.read().unwrap(), &table.read().unwrap()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let mut links = Links::default();
            links.add(&bytes);
            prop_assert_eq!(links.iter().count(), links.len());
        }
    }
}
