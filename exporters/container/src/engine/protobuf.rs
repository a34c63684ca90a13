//! As much of protobuf's wire format as the answers of container engines need.

use std::collections::BTreeMap;

/// A message is cut off or not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed protobuf message")]
pub(crate) struct Malformed;

/// One field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Number(u64),
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
    /// Of a width that no answer here uses.
    Fixed,
}

/// The fields of a message with their numbers, in the order in which they stand.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for (i, byte) in self.0.iter().enumerate().take(10) {
            number |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.0 = &self.0[i + 1..];
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u64, Field<'a>), Malformed> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.take(8).map(|_| Field::Fixed)?,
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Fixed)?,
            _ => return Err(Malformed),
        };
        Ok((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// All values of one field of a message.
fn each(message: &[u8], wanted: u64) -> impl Iterator<Item = Result<Field<'_>, Malformed>> {
    Fields::of(message).filter_map(move |field| match field {
        Ok((number, value)) => (number == wanted).then_some(Ok(value)),
        Err(e) => Some(Err(e)),
    })
}

/// The messages, or texts, of one field that may stand several times; values that are neither are left out.
pub(crate) fn messages(message: &[u8], wanted: u64) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    each(message, wanted).filter_map(|field| match field {
        Ok(Field::Bytes(bytes)) => Some(Ok(bytes)),
        Ok(_) => None,
        Err(e) => Some(Err(e)),
    })
}

/// The bytes of one field; of several the last counts, and none is empty.
pub(crate) fn bytes(message: &[u8], wanted: u64) -> Result<&[u8], Malformed> {
    messages(message, wanted).try_fold(&[][..], |_, bytes| bytes)
}

/// The same as a text.
pub(crate) fn text(message: &[u8], wanted: u64) -> Result<String, Malformed> {
    Ok(String::from_utf8_lossy(bytes(message, wanted)?).into_owned())
}

/// The number of one field, 0 where there is none.
pub(crate) fn number(message: &[u8], wanted: u64) -> Result<u64, Malformed> {
    let mut found = 0;
    for field in each(message, wanted) {
        if let Field::Number(number) = field? {
            found = number;
        }
    }
    Ok(found)
}

/// A field of type `map<string, string>`.
pub(crate) fn map(message: &[u8], wanted: u64) -> Result<BTreeMap<String, String>, Malformed> {
    messages(message, wanted).map(|entry| entry.and_then(|entry| Ok((text(entry, 1)?, text(entry, 2)?)))).collect()
}

/// Appends a text or a message as a field.
pub(crate) fn put(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

/// A message of texts and messages, for tests.
#[cfg(test)]
pub(super) fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, bytes) in fields {
        put(&mut out, *number, bytes);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_that_stand_several_times() {
        let entry = |k: &[u8], v: &[u8]| message(&[(1, k), (2, v)]);
        let mut all = message(&[(3, b"a"), (7, &entry(b"k", b"v")), (3, b""), (7, &entry(b"k", b"w")), (7, b"")]);
        all.extend(b"\x18\x05");
        assert_eq!(messages(&all, 3).collect::<Result<Vec<_>, _>>(), Ok(vec![&b"a"[..], b""]));
        let labels = map(&all, 7).unwrap();
        let labels: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(labels, [("", ""), ("k", "w")]);
        assert_eq!(map(b"\x3a\x02\x0a\x09", 7), Err(Malformed));
    }

    #[test]
    fn fields_of_all_widths() {
        let message = b"\x08\x96\x01\x12\x02hi\x19........\x25....\x12\x00";
        let fields: Result<Vec<_>, _> = Fields::of(message).collect();
        assert_eq!(
            fields.unwrap(),
            [
                (1, Field::Number(150)),
                (2, Field::Bytes(b"hi")),
                (3, Field::Fixed),
                (4, Field::Fixed),
                (2, Field::Bytes(b""))
            ]
        );
        assert_eq!((number(message, 1), text(message, 2), number(message, 9)), (Ok(150), Ok(String::new()), Ok(0)));
        for cut in [&b"\x08"[..], b"\x12\x05hi", b"\x0b", b"\x19..", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert!(Fields::of(cut).any(|f| f.is_err()), "{cut:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn what_is_put_is_read(first: Vec<u8>, long in 0..400usize) {
            let second = vec![7; long];
            let mut out = Vec::new();
            put(&mut out, 1, &first);
            put(&mut out, 2, &second);
            prop_assert_eq!(bytes(&out, 1), Ok(&*first));
            prop_assert_eq!(bytes(&out, 2), Ok(&*second));
            let _ = map(&out, 1);
        }

        #[test]
        fn any_bytes_are_survived(message: Vec<u8>) {
            for field in Fields::of(&message) {
                if let Ok((_, Field::Bytes(inner))) = field {
                    prop_assert!(inner.len() <= message.len());
                }
            }
        }
    }
}
