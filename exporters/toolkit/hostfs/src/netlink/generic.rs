//! Generic netlink (`Documentation/networking/generic_netlink.rst`): families have names, and numbers from boot to boot.

use super::socket::{NetlinkError, Socket};
use super::wire::{Message, attributes, push_attribute, u16};
use rustix::io::Errno;

/// A family that the kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    kind: u16,
}

impl Family {
    /// Asks for a family's number; [`NetlinkError::is_unsupported`] where the kernel has none of that name.
    pub fn find(socket: &mut Socket, name: &str) -> Result<Self, NetlinkError> {
        let mut request = header(GET_FAMILY).to_vec();
        let name: Vec<u8> = name.bytes().chain([0]).collect();
        push_attribute(&mut request, FAMILY_NAME, &name);
        let kind = socket
            .ask(CONTROL, &request)?
            .find_map(|m| attributes(m.payload.get(HEADER..)?).find(|a| a.kind == FAMILY_ID).and_then(|a| u16(a.value)))
            .ok_or(NetlinkError::Refused { kind: CONTROL, source: Errno::NOENT })?;
        Ok(Self { kind })
    }

    /// Asks for all objects; `attributes` go with the request. What answers are messages whose payload starts with the
    /// attributes.
    pub fn dump<'s>(
        self,
        socket: &'s mut Socket,
        command: u8,
        attributes: &[u8],
    ) -> Result<impl Iterator<Item = Message<'s>> + use<'s>, NetlinkError> {
        let request = [&header(command), attributes].concat();
        let messages = socket.dump(self.kind, &request)?;
        Ok(messages.filter_map(|m| Some(Message { payload: m.payload.get(HEADER..)?, ..m })))
    }
}

/// `struct genlmsghdr`: command, version, reserved.
fn header(command: u8) -> [u8; HEADER] {
    [command, 1, 0, 0]
}

const HEADER: usize = 4;
/// `GENL_ID_CTRL`.
const CONTROL: u16 = 0x10;
/// `CTRL_CMD_GETFAMILY`.
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Channel;

    #[test]
    fn families_by_name() {
        let channel = Channel::generic();
        assert_eq!(channel.with(|s| Family::find(s, "nlctrl")).unwrap(), Family { kind: CONTROL });
        assert!(channel.with(|s| Family::find(s, "no such one")).unwrap_err().is_unsupported());
    }
}
