//! The label values of one series in one run of bytes: a length for each, then the values.

/// Label values on their way to a series. The memory is used again.
#[derive(Debug, Default)]
pub(crate) struct Key {
    bytes: Vec<u8>,
    filled: usize,
}

impl Key {
    /// Begins a key of `labels` values.
    pub(crate) fn begin(&mut self, labels: usize) {
        self.bytes.clear();
        self.bytes.resize(labels * LENGTH, 0);
        self.filled = 0;
    }

    /// Adds the next value: valid UTF-8 and at most `most` bytes of it. Answers whether some of it was cut off.
    #[inline]
    pub(crate) fn push(&mut self, value: &[u8], most: usize) -> bool {
        // Nearly all values are short and ASCII: for them a loop is faster than calls.
        if value.len() <= SHORT && value.len() <= most && value.iter().fold(0, |all, b| all | b) < 0x80 {
            self.bytes.extend(value.iter().copied());
            self.close(value.len());
            return false;
        }
        self.push_any(value, most)
    }

    fn push_any(&mut self, value: &[u8], most: usize) -> bool {
        let start = self.bytes.len();
        let kept = cut(value, most);
        if std::str::from_utf8(kept).is_ok() {
            self.bytes.extend_from_slice(kept);
        } else {
            // A byte that is no character grows to three.
            let lossy = String::from_utf8_lossy(kept);
            self.bytes.extend_from_slice(cut(lossy.as_bytes(), most));
        }
        self.close(self.bytes.len() - start);
        kept.len() < value.len()
    }

    /// Notes the length of the value that was just added.
    #[inline]
    fn close(&mut self, length: usize) {
        let at = self.filled * LENGTH;
        if let Some(slot) = self.bytes.get_mut(at..at + LENGTH) {
            slot.copy_from_slice(&(length as u32).to_le_bytes());
        }
        self.filled += 1;
    }

    /// The whole key.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The values of a key of `labels` labels; fewer if it is damaged.
pub(crate) fn values(key: &[u8], labels: usize) -> impl Iterator<Item = &[u8]> {
    let (lengths, mut rest) = key.split_at(key.len().min(labels * LENGTH));
    lengths.chunks_exact(LENGTH).map_while(move |length| {
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let (value, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(value)
    })
}

/// Whether a key that was saved is one that `push` makes.
pub(crate) fn is_valid(key: &[u8], labels: usize) -> bool {
    let (count, length, valid) = values(key, labels).fold((0, 0, true), |(count, length, valid), value| {
        (count + 1, length + value.len(), valid && std::str::from_utf8(value).is_ok())
    });
    valid && count == labels && length + labels * LENGTH == key.len()
}

/// Equality of keys, which are short, without a call.
#[inline]
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(x), Some(y)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return a.iter().zip(b).all(|(x, y)| x == y);
    };
    // Eight bytes at a time; the last eight overlap the ones before.
    let eights = a.chunks_exact(8).zip(b.chunks_exact(8));
    x == y && eights.into_iter().all(|(x, y)| x.first_chunk::<8>() == y.first_chunk::<8>())
}

/// The first `most` bytes, less what would be half a character.
fn cut(value: &[u8], most: usize) -> &[u8] {
    if value.len() <= most {
        return value;
    }
    let continued = |at: &usize| value.get(*at).is_some_and(|b| b & 0xc0 == 0x80);
    // A character has at most three bytes that continue it; more of them are none.
    let end = (0..=3).map(|back| most.saturating_sub(back)).find(|at| !continued(at)).unwrap_or(most);
    &value[..end]
}

const LENGTH: usize = 4;
/// Values up to here are copied byte by byte.
const SHORT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_come_back_cut_and_valid() {
        let mut key = Key::default();
        key.begin(4);
        assert!(!key.push(b"GET", 8));
        assert!(key.push("0123456\u{fc}9".as_bytes(), 8));
        assert!(!key.push(b"a\xffb", 8));
        assert!(!key.push(b"", 8));
        let all: Vec<_> = values(key.bytes(), 4).map(|v| std::str::from_utf8(v).unwrap()).collect();
        assert_eq!(all, ["GET", "0123456", "a\u{fffd}b", ""]);
        assert!(is_valid(key.bytes(), 4));
        assert!(!is_valid(key.bytes(), 3) && !is_valid(&key.bytes()[1..], 4) && !is_valid(b"", 4));
        // Shifting a border makes another series.
        let (mut a, mut b) = (Key::default(), Key::default());
        for (key, values) in [(&mut a, ["ab", "c"]), (&mut b, ["a", "bc"])] {
            key.begin(2);
            for value in values {
                assert!(!key.push(value.as_bytes(), 8));
            }
        }
        assert_ne!(a.bytes(), b.bytes());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_value_becomes_valid_and_short(value in proptest::collection::vec(any::<u8>(), 0..40), most in 0usize..40) {
            let mut key = Key::default();
            key.begin(1);
            let was_cut = key.push(&value, most);
            prop_assert!(is_valid(key.bytes(), 1));
            prop_assert!(values(key.bytes(), 1).all(|v| v.len() <= most));
            prop_assert_eq!(was_cut, value.len() > most);
        }

        #[test]
        fn keys_are_compared_as_std_does(a in "[ab]{0,20}", b in "[ab]{0,20}") {
            prop_assert_eq!(same(a.as_bytes(), b.as_bytes()), a == b);
            prop_assert!(same(a.as_bytes(), a.clone().as_bytes()));
        }

        #[test]
        fn any_saved_key_is_answered(key in proptest::collection::vec(0u8..8, 0..40), labels in 0usize..5) {
            is_valid(&key, labels);
        }
    }
}
