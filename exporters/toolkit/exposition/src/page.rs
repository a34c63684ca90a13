//! One scrape's families, merged and sorted as Go's registry gathers them.

use crate::Kind;
use crate::labels::LabelSet;
use crate::part::{Part, Sample};
use std::cmp::Ordering;

/// Families in order of name, each with its samples in order of label values.
#[derive(Debug, Default)]
pub struct Page {
    pub(crate) parts: Vec<Part>,
    pub(crate) families: Vec<Merged>,
    refs: Vec<Ref>,
    scratch: Scratch,
}

/// A family and its samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merged {
    /// The declaration that gives name, help and kind.
    first: Declaration,
    pub(crate) kind: Kind,
    /// Range in `refs`.
    start: u32,
    end: u32,
}

/// A family of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Declaration {
    part: u32,
    family: u32,
}

/// A sample of a part.
#[derive(Clone, Copy, Debug, Default)]
struct Ref {
    part: u32,
    sample: u32,
}

/// What a merge needs beside its result, kept for the next one.
#[derive(Debug, Default)]
struct Scratch {
    declared: Vec<Declaration>,
    /// Where each declaration's samples go: family number or `DROPPED`, all parts one behind the other.
    targets: Vec<u32>,
    /// Where each family's next sample goes.
    slots: Vec<u32>,
    order: Order,
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
    /// A family named like a line of a histogram or summary: it is left out.
    Suffix {
        /// Family name.
        family: String,
        /// The histogram or summary.
        of: String,
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
            Self::Suffix { family, of } => {
                write!(f, "family {family} collides with the lines of {of} and is left out")
            }
        }
    }
}

impl Page {
    /// Merges the parts of one scrape. Families without samples are left out.
    pub fn merge(parts: Vec<Part>) -> (Self, Vec<Conflict>) {
        let mut page = Self::default();
        let conflicts = page.refill(parts);
        (page, conflicts)
    }

    /// As [`Page::merge`], with the memory of a page that is not needed any more.
    pub fn refill(&mut self, parts: Vec<Part>) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        let mut scratch = std::mem::take(&mut self.scratch);
        self.parts = parts;
        self.unite(&mut scratch, &mut conflicts);
        self.drop_colliding(&mut scratch, &mut conflicts);
        self.distribute(&mut scratch);
        for i in 0..self.families.len() {
            self.sort(i, &mut scratch.order, &mut conflicts);
        }
        self.families.retain(|f| f.start < f.end);
        scratch.order.forget();
        self.scratch = scratch;
        conflicts
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

    /// Gives the parts back for their memory and leaves the page empty, to be refilled.
    pub fn take_parts(&mut self) -> Vec<Part> {
        self.families.clear();
        self.refs.clear();
        std::mem::take(&mut self.parts)
    }

    /// Whether there is a family of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.families.binary_search_by(|f| self.family_name(f).cmp(name)).ok()
    }

    pub(crate) fn family_name(&self, f: &Merged) -> &str {
        self.name(f.first)
    }

    pub(crate) fn family_help(&self, f: &Merged) -> &str {
        self.help(f.first)
    }

    pub(crate) fn samples(&self, f: &Merged) -> impl Iterator<Item = (&Part, &Sample)> {
        self.refs[f.start as usize..f.end as usize].iter().map(|r| {
            let part = &self.parts[r.part as usize];
            (part, &part.samples[r.sample as usize])
        })
    }

    /// Makes one family of all declarations of a name.
    fn unite(&mut self, scratch: &mut Scratch, conflicts: &mut Vec<Conflict>) {
        let declared = &mut scratch.declared;
        declared.clear();
        scratch.targets.clear();
        for (p, part) in self.parts.iter().enumerate() {
            scratch.targets.resize(scratch.targets.len() + part.families.len(), DROPPED);
            // A family that nobody filled does not decide about another's type.
            let filled = part.families.iter().enumerate().filter(|(_, f)| f.count > 0);
            declared.extend(filled.map(|(f, _)| Declaration { part: p as u32, family: f as u32 }));
        }
        // Equal names next to each other, the earliest part first.
        declared.sort_unstable_by(|a, b| self.name(*a).cmp(self.name(*b)).then(a.cmp(b)));

        self.families.clear();
        let mut families = std::mem::take(&mut self.families);
        for &d in declared.iter() {
            let kind = self.kind(d);
            match families.last().filter(|f| self.family_name(f) == self.name(d)) {
                None => families.push(Merged { first: d, kind, start: 0, end: 0 }),
                Some(f) if f.kind != kind => {
                    conflicts.push(Conflict::Kind { family: self.name(d).to_owned() });
                    continue;
                }
                Some(f) => {
                    if self.family_help(f) != self.help(d) {
                        conflicts.push(Conflict::Help { family: self.name(d).to_owned() });
                    }
                }
            }
            let target = self.target(d);
            scratch.targets[target] = families.len() as u32 - 1;
        }
        self.families = families;
    }

    /// Leaves out what a reader would take for lines of a histogram or summary.
    fn drop_colliding(&mut self, scratch: &mut Scratch, conflicts: &mut Vec<Conflict>) {
        if !self.families.iter().any(|f| matches!(f.kind, Kind::Histogram | Kind::Summary)) {
            return;
        }
        for i in 0..self.families.len() {
            let family = self.family_name(&self.families[i]);
            let of = ["_count", "_sum", "_bucket"].iter().find_map(|suffix| {
                let base = family.strip_suffix(suffix)?;
                let kind = self.families[self.find(base)?].kind;
                let collides = kind == Kind::Histogram || (kind == Kind::Summary && *suffix != "_bucket");
                collides.then_some(base)
            });
            if let Some(of) = of {
                conflicts.push(Conflict::Suffix { family: family.to_owned(), of: of.to_owned() });
                for t in scratch.targets.iter_mut().filter(|t| **t == i as u32) {
                    *t = DROPPED;
                }
            }
        }
    }

    /// A counting sort of the samples by family, which keeps their order of arrival.
    fn distribute(&mut self, scratch: &mut Scratch) {
        let slots = &mut scratch.slots;
        slots.clear();
        slots.resize(self.families.len(), 0);
        let mut targets = scratch.targets.iter();
        for part in &self.parts {
            for (f, &t) in part.families.iter().zip(&mut targets) {
                if t != DROPPED {
                    slots[t as usize] += f.count;
                }
            }
        }
        let mut end = 0;
        for (f, slot) in self.families.iter_mut().zip(slots) {
            f.start = end;
            end += *slot;
            f.end = end;
            *slot = f.start;
        }
        self.refs.clear();
        self.refs.resize(end as usize, Ref::default());
        let mut targets = scratch.targets.as_slice();
        for (p, part) in self.parts.iter().enumerate() {
            let (own, others) = targets.split_at(part.families.len());
            targets = others;
            for (i, s) in part.samples.iter().enumerate() {
                let t = own[s.family as usize];
                if t != DROPPED {
                    let slot = &mut scratch.slots[t as usize];
                    self.refs[*slot as usize] = Ref { part: p as u32, sample: i as u32 };
                    *slot += 1;
                }
            }
        }
    }

    /// Sorts one family's samples and drops what comes twice.
    fn sort(&mut self, i: usize, order: &mut Order, conflicts: &mut Vec<Conflict>) {
        let (start, end) = (self.families[i].start as usize, self.families[i].end as usize);
        let mut refs = std::mem::take(&mut self.refs);
        let samples = &mut refs[start..end];
        let mut kept = samples.len();
        if kept > 1 && !order.repeat(self, samples) {
            let in_order = |pair: &[Ref]| self.compare(pair[0], pair[1]) != Ordering::Greater;
            order.remember(self, samples);
            if !samples.windows(2).all(in_order) {
                order.sort(self, samples);
            }
            if samples.windows(2).any(|pair| self.compare_labels(pair[0], pair[1]) == Ordering::Equal) {
                // The next family's order would be a matter of its times.
                order.forget();
                kept = self.drop_twins(i, samples, conflicts);
            }
        }
        self.families[i].end = (start + kept) as u32;
        self.refs = refs;
    }

    /// Moves the first of equal series to the front; gives their number.
    fn drop_twins(&self, i: usize, samples: &mut [Ref], conflicts: &mut Vec<Conflict>) -> usize {
        let mut kept = 1;
        for at in 1..samples.len() {
            if self.compare(samples[kept - 1], samples[at]) == Ordering::Equal {
                let labels = self.labels(samples[at]).iter();
                let labels = labels
                    .map(|(n, v)| format!("{}={:?}", String::from_utf8_lossy(n), String::from_utf8_lossy(v)))
                    .collect::<Vec<_>>()
                    .join(",");
                let family = self.family_name(&self.families[i]).to_owned();
                conflicts.push(Conflict::Duplicate { family, labels });
            } else {
                samples[kept] = samples[at];
                kept += 1;
            }
        }
        kept
    }

    /// By labels as Go sorts them, then by time, those without one last.
    fn compare(&self, a: Ref, b: Ref) -> Ordering {
        self.compare_labels(a, b).then_with(|| {
            let time = |r| self.sample(r).timestamp_ms().map_or((true, 0), |t| (false, t));
            time(a).cmp(&time(b))
        })
    }

    fn compare_labels(&self, a: Ref, b: Ref) -> Ordering {
        if key(self, a) == key(self, b) { Ordering::Equal } else { self.labels(a).compare(&self.labels(b)) }
    }

    fn labels(&self, r: Ref) -> LabelSet<'_> {
        let part = &self.parts[r.part as usize];
        part.labels(&part.samples[r.sample as usize])
    }

    fn sample(&self, r: Ref) -> &Sample {
        &self.parts[r.part as usize].samples[r.sample as usize]
    }

    fn name(&self, d: Declaration) -> &str {
        let part = &self.parts[d.part as usize];
        part.text(part.families[d.family as usize].name)
    }

    fn help(&self, d: Declaration) -> &str {
        let part = &self.parts[d.part as usize];
        part.text(part.families[d.family as usize].help)
    }

    fn kind(&self, d: Declaration) -> Kind {
        self.parts[d.part as usize].families[d.family as usize].kind
    }

    /// Place among the targets.
    fn target(&self, d: Declaration) -> usize {
        let before = &self.parts[..d.part as usize];
        before.iter().map(|p| p.families.len()).sum::<usize>() + d.family as usize
    }
}

/// The way one family was put in order. A collector that gives twenty families for each device gives all twenty the
/// same label sets, so the next family is likely to need the very same.
#[derive(Debug, Default)]
struct Order {
    /// Part and label set of the samples as they arrived.
    arrived: Vec<(u32, u32)>,
    /// The place of arrival of each sorted sample; empty if they arrived in order.
    sorted: Vec<u32>,
    /// Samples on their way.
    moved: Vec<Ref>,
}

impl Order {
    fn forget(&mut self) {
        self.arrived.clear();
    }

    /// Notes samples that stand in order already.
    fn remember(&mut self, page: &Page, samples: &[Ref]) {
        self.arrived.clear();
        self.arrived.extend(samples.iter().map(|r| key(page, *r)));
        self.sorted.clear();
    }

    /// Sorts the samples just noted.
    fn sort(&mut self, page: &Page, samples: &mut [Ref]) {
        self.sorted.extend(0..samples.len() as u32);
        // Stable, so that of equal series the first is the first that arrived.
        self.sorted.sort_by(|a, b| page.compare(samples[*a as usize], samples[*b as usize]));
        self.apply(samples);
    }

    /// Sorts as the last time if the label sets are the same ones.
    fn repeat(&mut self, page: &Page, samples: &mut [Ref]) -> bool {
        let alike = self.arrived.len() == samples.len()
            && samples.iter().zip(&self.arrived).all(|(r, known)| key(page, *r) == *known);
        if alike && !self.sorted.is_empty() {
            self.apply(samples);
        }
        alike
    }

    fn apply(&mut self, samples: &mut [Ref]) {
        self.moved.clear();
        self.moved.extend(self.sorted.iter().map(|i| samples[*i as usize]));
        samples.copy_from_slice(&self.moved);
    }
}

fn key(page: &Page, r: Ref) -> (u32, u32) {
    (r.part, page.sample(r).labels)
}

const DROPPED: u32 = u32::MAX;
