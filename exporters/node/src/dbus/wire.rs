//! The marshalling format: little-endian when we write, either when we read.

/// Writes one message.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A method call; its arguments are strings.
    pub(super) fn call(&mut self, serial: u32, call: &super::Call<'_>) -> &[u8] {
        const METHOD_CALL: u8 = 1;
        const VERSION: u8 = 1;
        self.bytes.clear();
        self.bytes.extend_from_slice(&[b'l', METHOD_CALL, 0, VERSION]);
        let body: usize = call.arguments.iter().fold(0, |at, text| at.next_multiple_of(4) + 4 + text.len() + 1);
        self.u32(body as u32);
        self.u32(serial);
        let length_at = self.bytes.len();
        self.u32(0);
        let fields_at = self.bytes.len();
        self.field(1, b'o', call.path);
        if !call.destination.is_empty() {
            self.field(6, b's', call.destination);
        }
        self.field(2, b's', call.interface);
        self.field(3, b's', call.member);
        if !call.arguments.is_empty() {
            self.align(8);
            self.bytes.extend_from_slice(&[8, 1, b'g', 0, call.arguments.len() as u8]);
            self.bytes.extend(std::iter::repeat_n(b's', call.arguments.len()));
            self.bytes.push(0);
        }
        let length = (self.bytes.len() - fields_at) as u32;
        self.bytes[length_at..fields_at].copy_from_slice(&length.to_le_bytes());
        self.align(8);
        for text in call.arguments {
            self.string(text);
        }
        &self.bytes
    }

    /// A header field: its code and a variant that holds a string or an object path.
    fn field(&mut self, code: u8, kind: u8, text: &str) {
        self.align(8);
        self.bytes.extend_from_slice(&[code, 1, kind, 0]);
        self.string(text);
    }

    fn string(&mut self, text: &str) {
        self.align(4);
        self.u32(text.len() as u32);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
    }

    fn u32(&mut self, n: u32) {
        self.bytes.extend_from_slice(&n.to_le_bytes());
    }

    fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }
}

/// Reads values one after the other; `None` where the bytes end or do not fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    big_endian: bool,
}

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8], big_endian: bool) -> Self {
        Self { bytes, at: 0, big_endian }
    }

    pub(super) fn skip_to(mut self, at: usize) -> Self {
        self.at = at;
        self
    }

    fn take(&mut self, n: usize) -> Option<&'b [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(taken)
    }

    pub(crate) fn align(&mut self, to: usize) -> Option<()> {
        let padding = self.at.next_multiple_of(to) - self.at;
        self.take(padding).map(drop)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.align(4)?;
        let bytes = self.take(4)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.align(8)?;
        let bytes = self.take(8)?.try_into().ok()?;
        Some(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// A string or an object path.
    pub(crate) fn string(&mut self) -> Option<&'b str> {
        let length = self.u32()? as usize;
        let text = self.take(length)?;
        self.take(1)?;
        std::str::from_utf8(text).ok()
    }

    pub(super) fn signature(&mut self) -> Option<&'b [u8]> {
        let length = usize::from(self.byte()?);
        let signature = self.take(length)?;
        self.take(1)?;
        Some(signature)
    }

    /// The elements of an array whose elements stand at multiples of `align`.
    pub(crate) fn array(&mut self, align: usize) -> Option<Reader<'b>> {
        let length = self.u32()? as usize;
        self.align(align)?;
        let start = self.at;
        self.take(length)?;
        Some(Reader { bytes: self.bytes.get(..self.at)?, at: start, big_endian: self.big_endian })
    }

    /// Where the next value is looked for.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// A variant that must hold one value of the given type.
    pub(crate) fn variant(&mut self, signature: &[u8]) -> Option<&mut Self> {
        if self.signature()? == signature { Some(self) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Call;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_call_as_libdbus_writes_it() {
        let mut writer = Writer::default();
        let call = Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
            arguments: &[],
        };
        let bytes = writer.call(1, &call).to_vec();
        assert_eq!(bytes[..16], [b'l', 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 110, 0, 0, 0]);
        assert_eq!(bytes.len(), (16usize + 110).next_multiple_of(8));
        let mut reader = Reader::new(&bytes, false).skip_to(16);
        assert_eq!((reader.byte(), reader.signature(), reader.string()), (Some(1), Some(&b"o"[..]), Some(call.path)));
    }

    #[test]
    fn arguments_are_counted_with_their_padding() {
        let mut writer = Writer::default();
        let call =
            Call { destination: "", path: "/a", interface: "b.c", member: "D", arguments: &["one", "three", ""] };
        let bytes = writer.call(7, &call).to_vec();
        let mut reader = Reader::new(&bytes, false).skip_to(4);
        let body = reader.u32().unwrap() as usize;
        let mut reader = Reader::new(&bytes, false).skip_to(bytes.len() - body);
        assert_eq!((reader.string(), reader.string(), reader.string()), (Some("one"), Some("three"), Some("")));
        assert!(reader.is_at_end());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, big_endian: bool) {
            let reader = || Reader::new(&bytes, big_endian);
            let (_, _, _, _) = (reader().u32(), reader().u64(), reader().string(), reader().signature());
            if let Some(mut elements) = reader().array(8) {
                while !elements.is_at_end() && elements.string().is_some() {}
            }
            let _ = reader().variant(b"u").and_then(Reader::u32);
        }

        #[test]
        fn strings_read_back(one in "[a-z]{0,9}", two in "\\PC{0,9}") {
            let mut writer = Writer::default();
            let arguments = [one.as_str(), two.as_str()];
            let call = Call { destination: "x.y", path: "/", interface: "i.j", member: "M", arguments: &arguments };
            let bytes = writer.call(9, &call).to_vec();
            let body = Reader::new(&bytes, false).skip_to(4).u32().unwrap() as usize;
            let mut reader = Reader::new(&bytes, false).skip_to(bytes.len() - body);
            prop_assert_eq!((reader.string(), reader.string()), (Some(&*one), Some(&*two)));
        }
    }
}
