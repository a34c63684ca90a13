//! Netlink (`Documentation/userspace-api/netlink/intro.rst`): sockets, dumps, and the messages that more than one
//! exporter reads. Parsers take `&[u8]`, leave out what they do not know and never fail.

mod generic;
mod link;
mod socket;
mod table;
mod wire;

pub use generic::Family;
pub use link::{Link, LinkStats, link, links, stats};
pub use socket::{Channel, NetlinkError, Socket};
pub use table::{LinkTable, Links};
pub use wire::{Attribute, Message, attributes, i32, messages, push_attribute, text, u8, u16, u32, u64};
