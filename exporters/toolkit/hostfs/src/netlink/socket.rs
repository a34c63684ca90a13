//! Asking the kernel.

use super::wire::{MESSAGE_HEADER, Message, i32, messages, write_message};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Why the kernel did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetlinkError {
    /// The socket failed.
    #[error("{action} netlink socket: {source}")]
    Socket {
        /// What was being done to it.
        action: &'static str,
        /// The system's error.
        source: Errno,
    },
    /// The kernel answered a request with an error.
    #[error("netlink request {kind}: {source}")]
    Refused {
        /// `nlmsg_type` of the request.
        kind: u16,
        /// The kernel's error.
        source: Errno,
    },
}

impl NetlinkError {
    /// The device that was asked for is not there (any more).
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { source: Errno::NODEV | Errno::NXIO, .. })
    }

    /// The kernel does not have what was asked for: protocol, family or message.
    pub fn is_unsupported(&self) -> bool {
        let (Self::Socket { source, .. } | Self::Refused { source, .. }) = self;
        matches!(*source, Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT | Errno::OPNOTSUPP | Errno::NOENT)
    }
}

/// A netlink socket with its buffers. It shows the network namespace in which it was opened.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Socket {
    /// Opens a socket.
    pub(crate) fn open(protocol: Option<Protocol>) -> Result<Self, NetlinkError> {
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
            .map_err(|source| NetlinkError::Socket { action: "open", source })?;
        // The kernel answers while it is asked; the limit is for an answer that was lost.
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(ANSWER_WITHIN))
            .map_err(|source| NetlinkError::Socket { action: "set up", source })?;
        Ok(Self { fd, sequence: 0, request: Vec::new(), answer: Vec::new() })
    }

    /// Asks for all objects of a kind and returns the messages that answer.
    pub fn dump<'s>(
        &'s mut self,
        kind: u16,
        payload: &[u8],
    ) -> Result<impl Iterator<Item = Message<'s>> + use<'s>, NetlinkError> {
        // A table that changed meanwhile is marked; asking again gives a whole one. A table that never rests is taken
        // as it is.
        for _ in 0..DUMP_TRIES {
            if !self.ask_once(kind, REQUEST | DUMP, payload, None)? {
                break;
            }
        }
        Ok(self.answers())
    }

    /// Asks for all objects of a kind and hands on each message as it comes: for tables that may be large. Unlike with
    /// [`Socket::dump`], a table that changes meanwhile is not read again.
    pub fn dump_each(
        &mut self,
        kind: u16,
        payload: &[u8],
        mut each: impl FnMut(Message<'_>),
    ) -> Result<(), NetlinkError> {
        self.ask_once(kind, REQUEST | DUMP, payload, Some(&mut each)).map(|_| ())
    }

    /// Asks for one object and returns the message that answers.
    pub fn ask<'s>(
        &'s mut self,
        kind: u16,
        payload: &[u8],
    ) -> Result<impl Iterator<Item = Message<'s>> + use<'s>, NetlinkError> {
        self.ask_once(kind, REQUEST, payload, None)?;
        Ok(self.answers())
    }

    fn answers(&self) -> impl Iterator<Item = Message<'_>> {
        messages(&self.answer).filter(|m| m.sequence == self.sequence && m.kind >= FIRST_KIND)
    }

    /// Fills `answer`, or hands on what comes; true if the dump was marked as inconsistent.
    fn ask_once(
        &mut self,
        kind: u16,
        flags: u16,
        payload: &[u8],
        mut each: Option<&mut dyn FnMut(Message<'_>)>,
    ) -> Result<bool, NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        write_message(&mut self.request, kind, flags, self.sequence, payload);
        retry(|| rustix::net::send(&self.fd, &self.request, SendFlags::empty()))
            .map_err(|source| NetlinkError::Socket { action: "send to", source })?;
        self.answer.clear();
        let mut interrupted = false;
        let mut room = DATAGRAM;
        loop {
            let start = self.answer.len();
            if start > LARGEST {
                return Err(NetlinkError::Socket { action: "read", source: Errno::FBIG });
            }
            self.answer.reserve(room);
            let free = self.answer.capacity() - start;
            // PEEK is not needed: the kernel fits a dump to the room that it is offered, and says if it could not.
            let received = retry(|| {
                rustix::net::recv(&self.fd, rustix::buffer::spare_capacity(&mut self.answer), RecvFlags::TRUNC)
                    .map(|(_, length)| length)
            })
            .map_err(|source| NetlinkError::Socket { action: "read", source })?;
            if received > free {
                return Err(NetlinkError::Socket { action: "read", source: Errno::MSGSIZE });
            }
            for message in messages(&self.answer[start..]).filter(|m| m.sequence == self.sequence) {
                interrupted |= message.flags & DUMP_INTERRUPTED != 0;
                match message.kind {
                    // Both carry an error number, 0 for none.
                    DONE | ERROR => {
                        return match i32(message.payload).unwrap_or(0) {
                            0.. => Ok(interrupted),
                            e => Err(NetlinkError::Refused {
                                kind,
                                source: Errno::from_raw_os_error(e.checked_neg().unwrap_or(e)),
                            }),
                        };
                    }
                    FIRST_KIND.. if flags & DUMP == 0 => return Ok(false),
                    FIRST_KIND.. => {
                        if let Some(each) = &mut each {
                            each(message);
                        }
                    }
                    _ => {}
                }
            }
            if each.is_some() {
                self.answer.clear();
            }
            room = DATAGRAM.max(received + MESSAGE_HEADER);
        }
    }
}

/// A socket that is kept between scrapes and opened anew after a failure.
#[derive(Debug)]
pub struct Channel {
    /// `None` is 0, which is `NETLINK_ROUTE`.
    protocol: Option<Protocol>,
    socket: Mutex<Option<Socket>>,
}

impl Channel {
    /// Links, addresses, neighbours, routes, queueing disciplines.
    pub const fn route() -> Self {
        Self { protocol: None, socket: Mutex::new(None) }
    }

    /// Families that are known by name, such as `ethtool` and `nl80211`.
    pub const fn generic() -> Self {
        Self { protocol: Some(netlink::GENERIC), socket: Mutex::new(None) }
    }

    /// Sockets of the machine.
    pub const fn sock_diag() -> Self {
        Self { protocol: Some(netlink::SOCK_DIAG), socket: Mutex::new(None) }
    }

    /// Works with the socket.
    pub fn with<T>(&self, work: impl FnOnce(&mut Socket) -> Result<T, NetlinkError>) -> Result<T, NetlinkError> {
        let mut held = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out, so that a socket on which an answer may still be waiting is not used again.
        let mut socket = match held.take() {
            Some(socket) => socket,
            None => Socket::open(self.protocol)?,
        };
        let result = work(&mut socket)?;
        // One burst of thousands of devices must not hold its memory for ever.
        if socket.answer.capacity() > KEEP && socket.answer.len() < KEEP / 2 {
            socket.answer.shrink_to(KEEP);
        }
        *held = Some(socket);
        Ok(result)
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `NLM_F_DUMP`.
const DUMP: u16 = 0x300;
/// `NLM_F_DUMP_INTR`.
const DUMP_INTERRUPTED: u16 = 0x10;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `NLMSG_DONE`.
const DONE: u16 = 3;
/// `NLMSG_MIN_TYPE`: below are control messages.
const FIRST_KIND: u16 = 0x10;
const DUMP_TRIES: usize = 4;
/// The most that the kernel puts into one datagram of a dump.
const DATAGRAM: usize = 32 << 10;
const KEEP: usize = 256 << 10;
const LARGEST: usize = 64 << 20;
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_message_is_refused_and_the_next_question_is_answered() {
        let channel = Channel::route();
        let refused = channel.with(|s| s.ask(0x7ff0, &[0; 16]).map(Iterator::count));
        assert!(
            matches!(refused, Err(NetlinkError::Refused { kind: 0x7ff0, source: Errno::OPNOTSUPP })),
            "{refused:?}"
        );
        assert!(refused.unwrap_err().is_unsupported());
        let links = channel.with(|s| s.dump(18, &[0; 16]).map(Iterator::count)).unwrap();
        assert!(links >= 1);
    }
}
