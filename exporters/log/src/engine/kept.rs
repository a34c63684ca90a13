//! Series between two runs.

use super::Engine;
use crate::metric::{Checksum, Reader, Saved, Table};

/// Why saved series cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RestoreError {
    /// Not what `save` wrote, or not all of it.
    #[error("the saved series are damaged")]
    Damaged,
    /// Written by another version.
    #[error("the saved series have version {0}, this program reads version {VERSION}")]
    Version(u8),
}

impl Engine {
    /// Appends all series.
    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(VERSION);
        Saved(out).u64(self.metrics.len() as u64);
        for metric in &self.metrics {
            let mut saved = Saved(out);
            saved.bytes(metric.definition.name.as_bytes());
            saved.u64(metric.definition.fingerprint());
            // Its length comes in front, so that a metric that is defined otherwise now can be passed over.
            let length_at = out.len();
            out.extend_from_slice(&[0; 8]);
            metric.table.save(&mut Saved(out));
            let length = (out.len() - length_at - 8) as u64;
            out[length_at..length_at + 8].copy_from_slice(&length.to_le_bytes());
        }
        let mut sum = Checksum::default();
        sum.add(&out[start..]);
        Saved(out).u64(sum.value());
    }

    /// Takes series that `save` wrote, those of metrics that are still defined alike. On an error nothing is changed.
    pub(crate) fn restore(&mut self, saved: &[u8]) -> Result<(), RestoreError> {
        let version = *saved.first().ok_or(RestoreError::Damaged)?;
        if version != VERSION {
            return Err(RestoreError::Version(version));
        }
        let (content, sum) = saved.split_last_chunk::<8>().ok_or(RestoreError::Damaged)?;
        let mut expected = Checksum::default();
        expected.add(content);
        if u64::from_le_bytes(*sum) != expected.value() {
            return Err(RestoreError::Damaged);
        }
        let tables = self.tables(content).ok_or(RestoreError::Damaged)?;
        for (at, table) in tables {
            self.metrics[at].table = table;
        }
        Ok(())
    }

    fn tables(&self, content: &[u8]) -> Option<Vec<(usize, Table)>> {
        let mut saved = Reader(content);
        saved.u8()?;
        let mut tables = Vec::new();
        for _ in 0..saved.count(24)? {
            let (name, fingerprint, mut series) = (saved.bytes()?, saved.u64()?, Reader(saved.bytes()?));
            let alike =
                |m: &super::Metric| m.definition.name.as_bytes() == name && m.definition.fingerprint() == fingerprint;
            if let Some(at) = self.metrics.iter().position(alike) {
                tables.push((at, Table::restore(&self.metrics[at].definition, &mut series)?));
                if !series.0.is_empty() {
                    return None;
                }
            }
        }
        saved.0.is_empty().then_some(tables)
    }
}

const VERSION: u8 = 1;
