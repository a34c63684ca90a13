//! Tasks found hung, from `/proc/sys/kernel/hung_task_detect_count` (since Linux 6.13;
//! `Documentation/admin-guide/sysctl/kernel.rst`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const KERNEL_HUNG: Entry = Entry {
    name: "kernel_hung",
    default: Default::On,
    about: "tasks that the kernel found hung since boot, from /proc/sys/kernel/hung_task_detect_count",
    flags: &[],
    build: |_, sources| Ok(Box::new(KernelHung { file: sources.kept_proc("sys/kernel/hung_task_detect_count") })),
};

const TASKS: Desc = Desc::counter(
    "node_kernel_hung_tasks_total",
    "Total number of tasks that have been detected as hung since the system booted.",
);

struct KernelHung {
    file: KeptFile,
}

impl Collector for KernelHung {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let text = self.file.read_trimmed(cx.buf).or_no_data()?;
        let tasks = scan::u64(text).ok_or_else(|| {
            CollectError::failed(format!("{}: no number: {:?}", self.file.path().display(), scan::lossy(text)))
        })?;
        out.family(&TASKS).sample(&[], tasks);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn new_and_old_kernels() {
        let file = "proc/sys/kernel/hung_task_detect_count";
        let collect = |tree: &Tree| exporter::testing::collect(&KERNEL_HUNG, &[], &tree.sources());
        let (text, result) = collect(&Tree::of(&[(file, b"42\n")]));
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_kernel_hung_tasks_total Total number of tasks that have been detected as hung since the system \
             booted.\n# TYPE node_kernel_hung_tasks_total counter\nnode_kernel_hung_tasks_total 42\n"
        );
        assert!(matches!(collect(&Tree::of(&[])).1, Err(CollectError::NoData)));
        assert!(collect(&Tree::of(&[(file, b"\xff\n")])).1.unwrap_err().to_string().contains("hung_task_detect_count"));
    }
}
