//! What is read of one cgroup and shown of it, one file a kind of metrics.

pub(crate) mod block;
pub(crate) mod cpu;
pub(crate) mod hugetlb;
pub(crate) mod machine;
pub(crate) mod memory;
pub(crate) mod network;
pub(crate) mod pressure;
pub(crate) mod processes;
pub(crate) mod sockets;
pub(crate) mod space;
pub(crate) mod spec;

use crate::cgroups::{At, Cgroup, Controller, Pseudo};
use exporter::{Desc, Part};
use exposition::Value;
use hostfs::Buf;

/// Where samples go: the page, the labels of the cgroup, and the time if it is to be written.
pub(crate) struct Out<'a> {
    part: &'a mut Part,
    /// Sorted by name.
    labels: Vec<(&'a str, &'a [u8])>,
    time: Option<i64>,
}

impl<'a> Out<'a> {
    /// With these labels, sorted by name, on each sample.
    pub(crate) fn new(part: &'a mut Part, labels: Vec<(&'a str, &'a [u8])>, time: Option<i64>) -> Self {
        Self { part, labels, time }
    }

    /// With these labels besides; empty ones are left out.
    pub(crate) fn with<'s>(&'s mut self, more: &[(&'s str, &'s [u8])]) -> Out<'s> {
        let mut labels: Vec<(&'s str, &'s [u8])> = Vec::with_capacity(self.labels.len() + more.len());
        labels.extend(self.labels.iter().copied());
        labels.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        labels.sort_by_key(|l| l.0);
        Out { part: &mut *self.part, labels, time: self.time }
    }

    /// A sample of what was read now.
    pub(crate) fn put(&mut self, d: &Desc, value: impl Into<Value>) {
        let mut family = self.part.family(d);
        match self.time {
            Some(time) => family.sample_at(&self.labels, value, time),
            None => family.sample(&self.labels, value),
        };
    }

    /// The same, where there is a value.
    pub(crate) fn maybe(&mut self, d: &Desc, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(d, value);
        }
    }

    /// A sample of what holds without a time: limits, times of start.
    pub(crate) fn fact(&mut self, d: &Desc, value: impl Into<Value>) {
        self.part.family(d).sample(&self.labels, value);
    }
}

/// One cgroup under the eyes of a reading.
pub(crate) struct Subject<'a> {
    pub(crate) at: At<'a>,
    pub(crate) cgroup: &'a mut Cgroup,
    pub(crate) buf: &'a mut Buf,
    /// Whether it is the host as a whole.
    pub(crate) root: bool,
}

impl Subject<'_> {
    pub(crate) fn read(&mut self, which: Pseudo) -> Option<&[u8]> {
        self.cgroup.files.read(&self.at, which, self.buf)
    }

    pub(crate) fn number(&mut self, which: Pseudo) -> Option<u64> {
        self.cgroup.files.number(&self.at, which, self.buf)
    }

    /// Whether a controller's files are those of cgroup v2.
    pub(crate) fn v2(&self, controller: Controller) -> bool {
        self.at.hierarchies.is_unified(controller)
    }
}
