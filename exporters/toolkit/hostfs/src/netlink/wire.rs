//! The wire format: messages of 16 bytes of header and a payload, attributes of 4 bytes of header and a value, both
//! padded to 4 bytes, numbers in the machine's byte order.

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`: that of the request which it answers.
    pub sequence: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// One attribute of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// `nla_type` without the flags for nesting and byte order.
    pub kind: u16,
    /// The value.
    pub value: &'a [u8],
}

/// The messages of one or more datagrams; a cut one ends them.
pub fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32(bytes)? as usize;
        let message = bytes.get(..length)?;
        let payload = message.get(MESSAGE_HEADER..)?;
        bytes = bytes.get(padded(length)..).unwrap_or_default();
        Some(Message { kind: u16(&message[4..])?, flags: u16(&message[6..])?, sequence: u32(&message[8..])?, payload })
    })
}

/// The attributes of a payload or of a nested attribute; a cut one ends them.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    std::iter::from_fn(move || {
        let length = usize::from(u16(bytes)?);
        let attribute = bytes.get(..length)?;
        let value = attribute.get(ATTRIBUTE_HEADER..)?;
        bytes = bytes.get(padded(length)..).unwrap_or_default();
        Some(Attribute { kind: u16(&attribute[2..])? & KIND_MASK, value })
    })
}

/// Appends an attribute.
pub fn push_attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = (ATTRIBUTE_HEADER + value.len()) as u16;
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(padded(out.len()), 0);
}

/// Replaces `out` by a whole message.
pub(crate) fn write_message(out: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, payload: &[u8]) {
    out.clear();
    out.extend_from_slice(&((MESSAGE_HEADER + payload.len()) as u32).to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&flags.to_ne_bytes());
    out.extend_from_slice(&sequence.to_ne_bytes());
    out.extend_from_slice(&0u32.to_ne_bytes());
    out.extend_from_slice(payload);
}

/// The byte at the start.
pub fn u8(bytes: &[u8]) -> Option<u8> {
    bytes.first().copied()
}

/// The number at the start.
pub fn u16(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().copied().map(u16::from_ne_bytes)
}

/// The number at the start.
pub fn u32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_ne_bytes)
}

/// The number at the start.
pub fn i32(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().copied().map(i32::from_ne_bytes)
}

/// The number at the start.
pub fn u64(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().copied().map(u64::from_ne_bytes)
}

/// A string up to its NUL.
pub fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}

const fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

pub(crate) const MESSAGE_HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
/// `NLA_TYPE_MASK`: the upper two bits say nested and network byte order.
const KIND_MASK: u16 = 0x3fff;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_and_attributes_read_back() {
        let mut payload = vec![1, 2, 3, 4];
        push_attribute(&mut payload, 3 | 0x8000, b"eth0\0");
        push_attribute(&mut payload, 4, &1500u32.to_ne_bytes());
        let (mut one, mut two) = (Vec::new(), Vec::new());
        write_message(&mut one, 16, 2, 7, &payload);
        write_message(&mut two, 3, 0, 7, &[]);
        let datagram = [one, two].concat();
        let read: Vec<_> = messages(&datagram).collect();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].kind, read[0].flags, read[0].sequence), (16, 2, 7));
        let attributes: Vec<_> = attributes(&read[0].payload[4..]).collect();
        assert_eq!(attributes[0].kind, 3);
        assert_eq!(text(attributes[0].value), b"eth0");
        assert_eq!(u32(attributes[1].value), Some(1500));
        assert_eq!((read[1].kind, read[1].payload), (3, &[][..]));
    }

    #[test]
    fn what_is_cut_ends_the_list() {
        let mut bytes = Vec::new();
        push_attribute(&mut bytes, 1, b"whole");
        push_attribute(&mut bytes, 2, b"cut off");
        bytes.truncate(bytes.len() - 5);
        assert_eq!(attributes(&bytes).count(), 1);
        // A length below that of the header must not turn for ever.
        assert_eq!(attributes(&[0, 0, 1, 0, 0, 0, 1, 0]).count(), 0);
        assert_eq!(messages(&[0; 64]).count(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            for message in messages(&bytes) {
                attributes(message.payload).count();
            }
            for attribute in attributes(&bytes) {
                attributes(attribute.value).count();
                text(attribute.value);
            }
        }
    }
}
