//! Label sets, kept in the form in which nearly all of them are written.
//!
//! A set whose names and values need no escape stands in the arena as text, `a="1",b="2"`, and is copied into a page in
//! one piece. Any other stands there as names and values with their lengths. Samples that follow each other with the
//! same labels, as collectors emit them, share one set, so that a page sorts and checks them once.

use crate::name;
use std::cmp::Ordering;

/// All label sets of a part.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelSets {
    arena: Vec<u8>,
    sets: Vec<Entry>,
    /// The set that was used last, and the family it was used for.
    current: u32,
    family: u32,
    /// The set with which that family began: where a collector goes family by family, the next one begins there too.
    run_start: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    end: u32,
    count: u32,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `a="1",b="2"`; no value holds a byte up to `"`, so that the order of the text is that of the values.
    Ordered,
    /// `a="1",b="2"`.
    Text,
    /// Lengths and raw bytes.
    Raw,
}

/// The set without labels, which is never stored.
pub(crate) const EMPTY: u32 = u32::MAX;

impl LabelSets {
    pub(crate) fn clear(&mut self) {
        self.arena.clear();
        self.sets.clear();
    }

    pub(crate) fn get(&self, id: u32) -> LabelSet<'_> {
        match self.sets.get(id as usize) {
            Some(e) => LabelSet { bytes: &self.arena[e.start as usize..e.end as usize], count: e.count, form: e.form },
            None => LabelSet { bytes: &[], count: 0, form: Form::Ordered },
        }
    }

    /// Keeps labels sorted by name; a name given twice keeps its first value; bytes that are no UTF-8 become U+FFFD.
    pub(crate) fn keep(&mut self, labels: &[(&str, &[u8])], family: u32) -> u32 {
        if labels.is_empty() {
            return EMPTY;
        }
        let id = match self.find(labels) {
            Some(id) => id,
            None if labels.windows(2).all(|w| w[0].0 < w[1].0) => self.add(labels),
            None => {
                let mut sorted = labels.to_vec();
                sorted.sort_by_key(|l| l.0);
                sorted.dedup_by_key(|l| l.0);
                self.find(&sorted).unwrap_or_else(|| self.add(&sorted))
            }
        };
        if self.family != family {
            self.family = family;
            self.run_start = id;
        }
        self.current = id;
        id
    }

    /// Looks where the set stands if the collector goes on as it did.
    fn find(&self, labels: &[(&str, &[u8])]) -> Option<u32> {
        let len = labels.iter().map(|(n, v)| n.len() + v.len() + 4).sum::<usize>() - 1;
        let here = |id: &u32| match self.sets.get(*id as usize) {
            Some(e) if e.form == Form::Raw => {
                e.count as usize == labels.len()
                    && self.get(*id).iter().zip(labels).all(|(l, (n, v))| l == (n.as_bytes(), *v))
            }
            Some(e) => self.is(e, labels, len),
            None => false,
        };
        [self.current, self.current + 1, self.run_start].into_iter().find(here)
    }

    /// Whether the entry, which is text, holds these labels, which take `len` bytes as text.
    #[inline]
    fn is(&self, e: &Entry, labels: &[(&str, &[u8])], len: usize) -> bool {
        if (e.end - e.start) as usize != len || e.count as usize != labels.len() {
            return false;
        }
        let mut rest = &self.arena[e.start as usize..e.end as usize];
        for (name, value) in labels {
            // The last label has no comma behind it.
            let Some((head, tail)) = rest.split_at_checked(name.len() + value.len() + 3) else { return false };
            let (n, head) = head.split_at(name.len());
            let (v, quote) = head[2..].split_at(value.len());
            if !same(n, name.as_bytes()) || head[..2] != *b"=\"" || !same(v, value) || quote != b"\"" {
                return false;
            }
            rest = tail.get(1..).unwrap_or_default();
        }
        true
    }

    fn add(&mut self, labels: &[(&str, &[u8])]) -> u32 {
        let start = self.arena.len();
        let mut form = Form::Ordered;
        for (i, (name, value)) in labels.iter().enumerate() {
            let class = value.iter().fold(0, |c, &b| c | CLASS[b as usize]);
            if class & ESCAPED != 0
                || (class & WIDE != 0 && std::str::from_utf8(value).is_err())
                || !name::is_plain_label(name)
            {
                self.arena.truncate(start);
                return self.add_raw(labels);
            }
            if class & LOW != 0 {
                form = Form::Text;
            }
            if i > 0 {
                self.arena.push(b',');
            }
            self.arena.extend_from_slice(name.as_bytes());
            self.arena.extend_from_slice(b"=\"");
            self.arena.extend_from_slice(value);
            self.arena.push(b'"');
        }
        self.push(start, labels.len(), form)
    }

    fn add_raw(&mut self, labels: &[(&str, &[u8])]) -> u32 {
        let start = self.arena.len();
        let mut put = |text: &[u8]| {
            self.arena.extend_from_slice(&(text.len() as u32).to_le_bytes());
            self.arena.extend_from_slice(text);
        };
        for (name, value) in labels {
            put(name.as_bytes());
            put(String::from_utf8_lossy(value).as_bytes());
        }
        self.push(start, labels.len(), Form::Raw)
    }

    fn push(&mut self, start: usize, count: usize, form: Form) -> u32 {
        let end = self.arena.len() as u32;
        self.sets.push(Entry { start: start as u32, end, count: count as u32, form });
        self.sets.len() as u32 - 1
    }
}

/// One label set.
#[derive(Clone, Copy)]
pub(crate) struct LabelSet<'a> {
    bytes: &'a [u8],
    count: u32,
    form: Form,
}

impl<'a> LabelSet<'a> {
    /// The labels as they stand between the braces of a text page, if no name or value needs an escape.
    pub(crate) fn text(&self) -> Option<&'a [u8]> {
        (self.form != Form::Raw).then_some(self.bytes)
    }

    /// Names, which are UTF-8, and values.
    pub(crate) fn iter(&self) -> Labels<'a> {
        Labels { rest: self.bytes, left: self.count, raw: self.form == Form::Raw }
    }

    /// Go's order: fewer labels first, then label values in order of the names; then the names, which Go leaves open.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        if self.count != other.count {
            return self.count.cmp(&other.count);
        }
        if self.form == Form::Ordered && other.form == Form::Ordered {
            let (a, b) = (self.bytes, other.bytes);
            let at = mismatch(a, b);
            if at == a.len() && at == b.len() {
                return Ordering::Equal;
            }
            // An odd number of quotes before it: the difference is in a value. Where one value ends, its quote is less
            // than whatever the other goes on with.
            if a[..at].iter().fold(false, |odd, &b| odd ^ (b == b'"')) {
                return a[at..].cmp(&b[at..]);
            }
        }
        let values = self.iter().map(|l| l.1).cmp(other.iter().map(|l| l.1));
        values.then_with(|| self.iter().map(|l| l.0).cmp(other.iter().map(|l| l.0)))
    }
}

/// Label names and values of one set.
#[derive(Clone)]
pub(crate) struct Labels<'a> {
    rest: &'a [u8],
    left: u32,
    raw: bool,
}

impl<'a> Labels<'a> {
    /// Up to `stop` or, in a raw set, as long as its length says; then passes over `gap` bytes.
    fn take(&mut self, stop: u8, gap: usize) -> &'a [u8] {
        let len = if self.raw {
            let (len, rest) = self.rest.split_at(4);
            self.rest = rest;
            len.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b))
        } else {
            self.rest.iter().position(|&b| b == stop).unwrap_or(self.rest.len())
        };
        let (text, rest) = self.rest.split_at(len);
        self.rest = if self.raw { rest } else { rest.get(gap..).unwrap_or_default() };
        text
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = (&'a [u8], &'a [u8]);
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        // `name="value",`
        Some((self.take(b'=', 2), self.take(b'"', 2)))
    }
}

/// Equality of short texts, without a call for most of them.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let n = a.len();
    if n > 16 {
        return a == b;
    }
    if let (Some(x), Some(y), Some(v), Some(w)) =
        (a.first_chunk::<8>(), b.first_chunk::<8>(), a.last_chunk::<8>(), b.last_chunk::<8>())
    {
        return (u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y)) | (u64::from_le_bytes(*v) ^ u64::from_le_bytes(*w))
            == 0;
    }
    if let (Some(x), Some(y), Some(v), Some(w)) =
        (a.first_chunk::<4>(), b.first_chunk::<4>(), a.last_chunk::<4>(), b.last_chunk::<4>())
    {
        return (u32::from_le_bytes(*x) ^ u32::from_le_bytes(*y)) | (u32::from_le_bytes(*v) ^ u32::from_le_bytes(*w))
            == 0;
    }
    a.iter().zip(b).all(|(x, y)| x == y)
}

/// Where two texts begin to differ; the length of the shorter if it begins the other.
fn mismatch(a: &[u8], b: &[u8]) -> usize {
    let n = a.len().min(b.len());
    let mut at = 0;
    while let (Some(x), Some(y)) = (a[at..].first_chunk::<8>(), b[at..].first_chunk::<8>()) {
        let difference = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if difference != 0 {
            return at + difference.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < n && a[at] == b[at] {
        at += 1;
    }
    at
}

/// A byte that is written with a backslash.
const ESCAPED: u8 = 1;
/// A byte of a character beyond ASCII.
const WIDE: u8 = 2;
/// A byte that sorts before the closing quote or is it.
const LOW: u8 = 4;

const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut b = 0;
    while b < 256 {
        if b == b'\\' as usize || b == b'\n' as usize || b == b'"' as usize {
            class[b] |= ESCAPED;
        }
        if b >= 0x80 {
            class[b] |= WIDE;
        }
        if b <= b'"' as usize {
            class[b] |= LOW;
        }
        b += 1;
    }
    class
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owned(set: LabelSet<'_>) -> Vec<(String, Vec<u8>)> {
        set.iter().map(|(n, v)| (String::from_utf8(n.to_vec()).unwrap(), v.to_vec())).collect()
    }

    /// Names few and values of critical bytes, so that sets are often alike.
    fn labels() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
        let name = prop_oneof![4 => "[ab]{1,2}", 1 => "[a.=\"]{1,2}"];
        let byte = prop_oneof![
            Just(b'a'),
            Just(b'b'),
            Just(b' '),
            Just(b'!'),
            Just(b'"'),
            Just(b'='),
            Just(b'\\'),
            Just(0xff)
        ];
        proptest::collection::vec((name, proptest::collection::vec(byte, 0..12)), 0..4)
    }

    fn borrowed(labels: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
        labels.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn sets_come_back_sorted_and_in_order(all in proptest::collection::vec(labels(), 1..8)) {
            let mut sets = LabelSets::default();
            let ids: Vec<u32> = all.iter().map(|l| sets.keep(&borrowed(l), 0)).collect();
            let plain: Vec<Vec<(String, Vec<u8>)>> = all.iter().map(|labels| {
                let mut map = std::collections::BTreeMap::new();
                for (n, v) in labels {
                    map.entry(n.clone()).or_insert_with(|| String::from_utf8_lossy(v).into_owned().into_bytes());
                }
                map.into_iter().collect()
            }).collect();
            for (id, plain) in ids.iter().zip(&plain) {
                prop_assert_eq!(&owned(sets.get(*id)), plain);
            }
            for (a, x) in ids.iter().zip(&plain) {
                for (b, y) in ids.iter().zip(&plain) {
                    let values = |l: &[(String, Vec<u8>)]| l.iter().map(|l| l.1.clone()).collect::<Vec<_>>();
                    let expected = x.len().cmp(&y.len()).then(values(x).cmp(&values(y))).then(x.cmp(y));
                    prop_assert_eq!(sets.get(*a).compare(&sets.get(*b)), expected);
                }
            }
        }

        #[test]
        fn texts_are_compared_as_std_does(a in "[ab]{0,20}", b in "[ab]{0,20}") {
            let (a, b) = (a.as_bytes(), b.as_bytes());
            prop_assert_eq!(same(a, b), a == b);
            prop_assert!(same(a, a));
            let expected = a.iter().zip(b).take_while(|(x, y)| x == y).count();
            prop_assert_eq!(mismatch(a, b), expected);
        }
    }

    #[test]
    fn the_same_labels_share_a_set() {
        let mut sets = LabelSets::default();
        let a: [(&str, &[u8]); 2] = [("a", b"1"), ("b", b"2")];
        let b: [(&str, &[u8]); 2] = [("a", b"1"), ("b", b"3")];
        let raw: [(&str, &[u8]); 2] = [("a", b"1"), ("b", b"\"")];
        let unsorted: [(&str, &[u8]); 2] = [("b", b"2"), ("a", b"1")];
        assert_eq!((sets.keep(&a, 0), sets.keep(&a, 0), sets.keep(&b, 0), sets.keep(&b, 0)), (0, 0, 1, 1));
        // Family by family: the second goes through the sets of the first.
        assert_eq!((sets.keep(&a, 1), sets.keep(&b, 1), sets.keep(&a, 2), sets.keep(&b, 2)), (0, 1, 0, 1));
        assert_eq!((sets.keep(&raw, 2), sets.keep(&raw, 2)), (2, 2));
        sets.clear();
        assert_eq!((sets.keep(&unsorted, 0), sets.keep(&unsorted, 0), sets.keep(&a, 0)), (0, 0, 0));
    }
}
