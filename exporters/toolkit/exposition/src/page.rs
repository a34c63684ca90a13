//! One scrape's families, merged and sorted as Go's registry gathers them.

use crate::Kind;
use crate::part::{Labels, Part, Sample};
use std::cmp::Ordering;

/// Families in order of name, each with its samples in order of label values.
#[derive(Debug, Default)]
pub struct Page {
    pub(crate) parts: Vec<Part>,
    pub(crate) families: Vec<Merged>,
    pub(crate) refs: Vec<Ref>,
}

#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) part: u32,
    /// The declaration that gives name, help and kind.
    pub(crate) declared: u32,
    pub(crate) kind: Kind,
    /// Range in `refs`.
    pub(crate) start: u32,
    pub(crate) end: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ref {
    pub(crate) part: u32,
    pub(crate) sample: u32,
}

/// Something two parts do not agree on; the first stays, the other is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The same family with another type: the later samples are dropped.
    Kind {
        /// Family name.
        family: String,
    },
    /// The same family with another help text: the first is written.
    Help {
        /// Family name.
        family: String,
    },
    /// The same name and labels twice: the first stays.
    Duplicate {
        /// Family name.
        family: String,
        /// The labels as `name="value"`.
        labels: String,
    },
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kind { family } => write!(f, "family {family} comes with two types, the later samples are left out"),
            Self::Help { family } => write!(f, "family {family} comes with two help texts, the first is kept"),
            Self::Duplicate { family, labels } => {
                write!(f, "series {family}{{{labels}}} comes twice, the first is kept")
            }
        }
    }
}

impl Page {
    /// Merges the parts of one scrape. Families without samples are left out.
    pub fn merge(parts: Vec<Part>) -> (Self, Vec<Conflict>) {
        let mut conflicts = Vec::new();
        // All declarations by name; equal names next to each other, the earliest part first.
        let mut declared: Vec<(u32, u32)> = parts
            .iter()
            .enumerate()
            .flat_map(|(p, part)| (0..part.families.len()).map(move |f| (p as u32, f as u32)))
            .collect();
        let name = |&(p, f): &(u32, u32)| parts[p as usize].text(parts[p as usize].families[f as usize].name);
        let help = |&(p, f): &(u32, u32)| parts[p as usize].text(parts[p as usize].families[f as usize].help);
        let kind = |&(p, f): &(u32, u32)| parts[p as usize].families[f as usize].kind;
        declared.sort_unstable_by(|a, b| name(a).cmp(name(b)).then(a.cmp(b)));

        // Where each declaration goes: family number, or DROPPED.
        let mut target: Vec<Vec<u32>> = parts.iter().map(|p| vec![DROPPED; p.families.len()]).collect();
        let mut families: Vec<Merged> = Vec::with_capacity(declared.len());
        let mut first: Option<(u32, u32)> = None;
        for d in &declared {
            match first.filter(|f| name(f) == name(d)) {
                None => {
                    first = Some(*d);
                    families.push(Merged { part: d.0, declared: d.1, kind: kind(d), start: 0, end: 0 });
                }
                Some(f) if kind(&f) != kind(d) => {
                    conflicts.push(Conflict::Kind { family: name(d).to_owned() });
                    continue;
                }
                Some(f) if help(&f) != help(d) => conflicts.push(Conflict::Help { family: name(d).to_owned() }),
                Some(_) => {}
            }
            target[d.0 as usize][d.1 as usize] = families.len() as u32 - 1;
        }

        // Counting sort of the samples by family, which keeps their order of arrival.
        let mut counts = vec![0u32; families.len() + 1];
        for (p, part) in parts.iter().enumerate() {
            for s in &part.samples {
                let t = target[p][s.family as usize];
                if t != DROPPED {
                    counts[t as usize + 1] += 1;
                }
            }
        }
        for i in 1..counts.len() {
            counts[i] += counts[i - 1];
        }
        let mut refs = vec![Ref { part: 0, sample: 0 }; counts.last().copied().unwrap_or(0) as usize];
        for (i, f) in families.iter_mut().enumerate() {
            f.start = counts[i];
            f.end = counts[i + 1];
        }
        for (p, part) in parts.iter().enumerate() {
            for (i, s) in part.samples.iter().enumerate() {
                let t = target[p][s.family as usize];
                if t != DROPPED {
                    let slot = &mut counts[t as usize];
                    refs[*slot as usize] = Ref { part: p as u32, sample: i as u32 };
                    *slot += 1;
                }
            }
        }

        let mut page = Self { parts, families, refs: Vec::new() };
        for f in &page.families {
            let samples = &mut refs[f.start as usize..f.end as usize];
            let order = |a: &Ref, b: &Ref| compare(&page, *a, *b);
            if !samples.is_sorted_by(|a, b| order(a, b) == Ordering::Less) {
                samples.sort_by(order);
            }
        }
        page.refs = refs;
        page.drop_duplicates(&mut conflicts);
        page.families.retain(|f| f.start < f.end);
        (page, conflicts)
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.families.iter().map(|f| (f.end - f.start) as usize).sum()
    }

    /// Whether it holds no sample.
    pub fn is_empty(&self) -> bool {
        self.families.is_empty()
    }

    /// Gives the parts back for their memory.
    pub fn into_parts(self) -> Vec<Part> {
        self.parts
    }

    pub(crate) fn family_name(&self, f: &Merged) -> &str {
        let part = &self.parts[f.part as usize];
        part.text(part.families[f.declared as usize].name)
    }

    pub(crate) fn family_help(&self, f: &Merged) -> &str {
        let part = &self.parts[f.part as usize];
        part.text(part.families[f.declared as usize].help)
    }

    pub(crate) fn samples(&self, f: &Merged) -> impl Iterator<Item = (&Part, &Sample)> {
        self.refs[f.start as usize..f.end as usize].iter().map(|r| {
            let part = &self.parts[r.part as usize];
            (part, &part.samples[r.sample as usize])
        })
    }

    fn labels(&self, r: Ref) -> Labels<'_> {
        let part = &self.parts[r.part as usize];
        part.labels(&part.samples[r.sample as usize])
    }

    fn drop_duplicates(&mut self, conflicts: &mut Vec<Conflict>) {
        for i in 0..self.families.len() {
            let (start, end) = (self.families[i].start as usize, self.families[i].end as usize);
            let mut kept = start;
            for at in start..end {
                let twin = at > start && same_series(self, self.refs[kept - 1], self.refs[at]);
                if twin {
                    let labels = self
                        .labels(self.refs[at])
                        .map(|(n, v)| format!("{n}={:?}", String::from_utf8_lossy(v)))
                        .collect::<Vec<_>>()
                        .join(",");
                    conflicts
                        .push(Conflict::Duplicate { family: self.family_name(&self.families[i]).to_owned(), labels });
                } else {
                    self.refs[kept] = self.refs[at];
                    kept += 1;
                }
            }
            self.families[i].end = kept as u32;
        }
    }
}

/// Go's order: fewer labels first, then label values in order of the names, then time.
fn compare(page: &Page, a: Ref, b: Ref) -> Ordering {
    let sample = |r: Ref| &page.parts[r.part as usize].samples[r.sample as usize];
    let (x, y) = (sample(a), sample(b));
    x.label_count
        .cmp(&y.label_count)
        .then_with(|| page.labels(a).map(|l| l.1).cmp(page.labels(b).map(|l| l.1)))
        .then_with(|| page.labels(a).map(|l| l.0).cmp(page.labels(b).map(|l| l.0)))
        .then_with(|| x.timestamp_ms.cmp(&y.timestamp_ms))
}

fn same_series(page: &Page, a: Ref, b: Ref) -> bool {
    page.labels(a).eq(page.labels(b))
}

const DROPPED: u32 = u32::MAX;
