//! Clock frequencies of the CPUs, from `/sys/devices/system/cpu/cpu*/cpufreq` (`Documentation/admin-guide/pm/cpufreq.rst`).

use super::cpu::lists::{self, FOLDER, Lists};
use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{Buf, KeptFile, scan};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Registers the collector.
pub(crate) const CPUFREQ: Entry = Entry {
    name: "cpufreq",
    default: Default::On,
    about: "frequencies and governors of the CPUs, from /sys/devices/system/cpu/cpu*/cpufreq",
    flags: &[],
    build: |_, sources| Ok(Box::new(Cpufreq { lists: Lists::new(sources), known: Mutex::default() })),
};

/// Files with kilohertz.
const FREQUENCIES: [(&str, Desc); 6] = [
    ("cpuinfo_cur_freq", Desc::gauge("node_cpu_frequency_hertz", "Current CPU thread frequency in hertz.")),
    ("cpuinfo_min_freq", Desc::gauge("node_cpu_frequency_min_hertz", "Minimum CPU thread frequency in hertz.")),
    ("cpuinfo_max_freq", Desc::gauge("node_cpu_frequency_max_hertz", "Maximum CPU thread frequency in hertz.")),
    (
        "scaling_cur_freq",
        Desc::gauge("node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz."),
    ),
    (
        "scaling_min_freq",
        Desc::gauge("node_cpu_scaling_frequency_min_hertz", "Minimum scaled CPU thread frequency in hertz."),
    ),
    (
        "scaling_max_freq",
        Desc::gauge("node_cpu_scaling_frequency_max_hertz", "Maximum scaled CPU thread frequency in hertz."),
    ),
];
const GOVERNOR: Desc = Desc::gauge("node_cpu_scaling_governor", "Current enabled CPU frequency governor.");

struct Cpufreq {
    lists: Lists,
    known: Mutex<Arc<Known>>,
}

/// The policies of the CPUs that are online.
#[derive(Default)]
struct Known {
    lists: Option<Vec<u8>>,
    policies: Vec<Policy>,
    /// Where the first CPU's policy would be, if there is none yet.
    awaited: Option<PathBuf>,
}

struct Policy {
    cpu: Vec<u8>,
    /// `None` where the driver has no such file.
    frequencies: [Option<KeptFile>; FREQUENCIES.len()],
    governor: Option<KeptFile>,
    available_governors: Option<KeptFile>,
}

impl Collector for Cpufreq {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let known = self.known(cx);
        let mut failed: Option<CollectError> = None;
        for policy in &known.policies {
            if let Err(e) = policy.collect(cx, out) {
                // The driver may have changed: look anew next time.
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
                failed.get_or_insert(e);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Cpufreq {
    fn known(&self, cx: &mut Cx<'_>) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let arrived = || known.awaited.as_ref().is_some_and(|policy| cx.sources.sys(policy).exists());
        if arrived() || !self.lists.are_still(known.lists.as_deref(), cx.buf) {
            *known = Arc::new(self.find(cx));
        }
        Arc::clone(&known)
    }

    fn find(&self, cx: &mut Cx<'_>) -> Known {
        let mut known = Known { lists: self.lists.read(cx.buf), ..Known::default() };
        let folder = cx.sources.sys(FOLDER);
        let Ok(entries) = folder.entries() else { return known };
        let offline = folder.join("offline").read(cx.buf).map(super::cpu::ranges).unwrap_or_default();
        for name in entries.iter() {
            let Some(cpu) = lists::number(name) else { continue };
            if scan::u64(cpu).is_some_and(|cpu| offline.iter().any(|o| u64::from(*o) == cpu)) {
                continue;
            }
            let rel = Path::new(FOLDER).join(OsStr::from_bytes(name)).join("cpufreq");
            if !cx.sources.sys(&rel).is_dir() {
                // A driver may come after us.
                known.awaited.get_or_insert(rel);
                continue;
            }
            let kept = |file: &str| {
                let rel = rel.join(file);
                cx.sources.sys(&rel).exists().then(|| cx.sources.kept_sys(rel))
            };
            known.policies.push(Policy {
                cpu: cpu.to_vec(),
                frequencies: FREQUENCIES.map(|(file, _)| kept(file)),
                governor: kept("scaling_governor"),
                available_governors: kept("scaling_available_governors"),
            });
        }
        known
    }
}

impl Policy {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        for ((_, desc), file) in FREQUENCIES.iter().zip(&self.frequencies) {
            let Some(file) = file else { continue };
            if let Some(khz) = read_khz(file, cx.buf)? {
                out.family(desc).sample(&[("cpu", &self.cpu)], khz as f64 * 1000.0);
            }
        }
        let Some(governor) = &self.governor else { return Ok(()) };
        let governor = governor.read_trimmed(cx.buf)?;
        let available = match &self.available_governors {
            Some(file) => file.read_trimmed(cx.buf2)?,
            None => b"",
        };
        if !governor.is_empty() {
            let mut family = out.family(&GOVERNOR);
            for name in available.split(|&b| b == b' ') {
                family.sample(&[("cpu", &self.cpu), ("governor", name)], name == governor);
            }
        }
        Ok(())
    }
}

/// `None` where only root may read it or the driver does not support it.
fn read_khz(file: &KeptFile, buf: &mut Buf) -> Result<Option<u64>, CollectError> {
    const UNSUPPORTED: [i32; 2] =
        [rustix::io::Errno::OPNOTSUPP.raw_os_error(), rustix::io::Errno::AGAIN.raw_os_error()];
    match file.read_trimmed(buf) {
        Ok(b"<unknown>") => Ok(None),
        Ok(text) => scan::u64(text).map(Some).ok_or_else(|| {
            CollectError::failed(format!("{}: no number: {:?}", file.path().display(), scan::lossy(text)))
        }),
        Err(e) if e.is_denied() || e.raw_os_error().is_some_and(|e| UNSUPPORTED.contains(&e)) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    fn tree(khz: &[u8]) -> Tree {
        Tree::of(&[
            ("sys/devices/system/cpu/offline", b"1\n"),
            ("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", b"9\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", khz),
            ("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", b"3700000\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_available_governors", b"performance powersave \n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", b"powersave\n"),
            ("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", b"1\n"),
            ("sys/devices/system/cpu/cpu2/online", b"1\n"),
        ])
    }

    #[test]
    fn a_tree_s_text() {
        let (text, result) = exporter::testing::collect(&CPUFREQ, &[], &tree(b"1699981\n").sources());
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_cpu_frequency_max_hertz Maximum CPU thread frequency in hertz.\n\
             # TYPE node_cpu_frequency_max_hertz gauge\nnode_cpu_frequency_max_hertz{cpu=\"0\"} 3.7e+09\n\
             # HELP node_cpu_scaling_frequency_hertz Current scaled CPU thread frequency in hertz.\n\
             # TYPE node_cpu_scaling_frequency_hertz gauge\nnode_cpu_scaling_frequency_hertz{cpu=\"0\"} 1.699981e+09\n\
             # HELP node_cpu_scaling_governor Current enabled CPU frequency governor.\n\
             # TYPE node_cpu_scaling_governor gauge\n\
             node_cpu_scaling_governor{cpu=\"0\",governor=\"performance\"} 0\n\
             node_cpu_scaling_governor{cpu=\"0\",governor=\"powersave\"} 1\n"
        );
    }

    #[test]
    fn a_driver_that_comes_late() {
        let tree = Tree::of(&[
            ("sys/devices/system/cpu/present", b"0\n"),
            ("sys/devices/system/cpu/online", b"0\n"),
            ("sys/devices/system/cpu/cpu0/online", b"1\n"),
        ]);
        let sources = tree.sources();
        let collector = (CPUFREQ.build)(&exporter::Flags::defaults(CPUFREQ.flags), &sources).unwrap();
        assert_eq!(exporter::testing::collect_from(collector.as_ref(), &sources).0, "");
        let file = tree.path().join("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "1\n").unwrap();
        assert!(exporter::testing::collect_from(collector.as_ref(), &sources).0.ends_with("{cpu=\"0\"} 1000\n"));
        std::fs::remove_file(&file).unwrap();
        assert!(exporter::testing::collect_from(collector.as_ref(), &sources).1.is_err());
        exporter::testing::collect_from(collector.as_ref(), &sources).1.unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = exporter::testing::collect(&CPUFREQ, &[], &tree(&bytes).sources());
        }
    }
}
