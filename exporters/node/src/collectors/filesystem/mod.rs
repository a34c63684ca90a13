//! Space, files and state of mounted file systems, from `/proc/1/mountinfo` (`Documentation/filesystems/proc.rst` 3.5)
//! and statfs(2).

mod error_text;
mod stuck;
mod table;

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, Flags, NameFilter, Part};
use hostfs::{KeptFile, Sources};
use rustix::fs::StatFs;
use service::FlagKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use stuck::{Outcome, Prober};
use table::{Row, Table};

/// Registers the collector.
pub(crate) const FILESYSTEM: Entry = Entry {
    name: "filesystem",
    default: Default::On,
    about: "space, files and state of mounted file systems, from /proc/1/mountinfo and the statfs system call",
    flags: &[
        MOUNT_POINTS_EXCLUDE,
        MOUNT_POINTS_INCLUDE,
        IGNORED_MOUNT_POINTS,
        FS_TYPES_EXCLUDE,
        FS_TYPES_INCLUDE,
        IGNORED_FS_TYPES,
        MOUNT_TIMEOUT,
        STAT_WORKERS,
    ],
    build: |flags, sources| Ok(Box::new(Filesystem::new(flags, sources)?)),
};

const MOUNT_POINTS_EXCLUDE: Flag = Flag::regex(
    "collector.filesystem.mount-points-exclude",
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
    "Regexp of mount points to exclude for filesystem collector. (mutually exclusive to mount-points-include)",
);
const MOUNT_POINTS_INCLUDE: Flag = Flag::regex(
    "collector.filesystem.mount-points-include",
    "",
    "Regexp of mount points to include for filesystem collector. (mutually exclusive to mount-points-exclude)",
);
const IGNORED_MOUNT_POINTS: Flag = Flag::regex(
    "collector.filesystem.ignored-mount-points",
    "",
    "Regexp of mount points to ignore for filesystem collector.",
)
.alias(MOUNT_POINTS_EXCLUDE.name);
const FS_TYPES_EXCLUDE: Flag = Flag::regex(
    "collector.filesystem.fs-types-exclude",
    "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|\
     proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
    "Regexp of filesystem types to exclude for filesystem collector. (mutually exclusive to fs-types-include)",
);
const FS_TYPES_INCLUDE: Flag = Flag::regex(
    "collector.filesystem.fs-types-include",
    "",
    "Regexp of filesystem types to exclude for filesystem collector. (mutually exclusive to fs-types-exclude)",
);
const IGNORED_FS_TYPES: Flag = Flag::regex(
    "collector.filesystem.ignored-fs-types",
    "",
    "Regexp of filesystem types to ignore for filesystem collector.",
)
.alias(FS_TYPES_EXCLUDE.name);
const MOUNT_TIMEOUT: Flag = Flag {
    hidden: true,
    ..Flag::new(
        "collector.filesystem.mount-timeout",
        FlagKind::Duration,
        "5s",
        "how long to wait for a mount to respond before marking it as stale",
    )
};
const STAT_WORKERS: Flag = Flag {
    hidden: true,
    ..Flag::new(
        "collector.filesystem.stat-workers",
        FlagKind::Integer,
        "4",
        "how many stat calls to process simultaneously",
    )
};

const SIZE: Desc = Desc::gauge("node_filesystem_size_bytes", "Filesystem size in bytes.");
const FREE: Desc = Desc::gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.");
const AVAIL: Desc =
    Desc::gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.");
const FILES: Desc = Desc::gauge("node_filesystem_files", "Filesystem total file nodes.");
const FILES_FREE: Desc = Desc::gauge("node_filesystem_files_free", "Filesystem total free file nodes.");
const READONLY: Desc = Desc::gauge("node_filesystem_readonly", "Filesystem read-only status.");
const DEVICE_ERROR: Desc = Desc::gauge(
    "node_filesystem_device_error",
    "Whether an error occurred while getting statistics for the given device.",
);
const MOUNT_INFO: Desc = Desc::gauge("node_filesystem_mount_info", "Filesystem mount information.");
const PURGEABLE: Desc = Desc::gauge(
    "node_filesystem_purgeable_bytes",
    "Filesystem space available including purgeable space (MacOS specific).",
);

/// `include/linux/statfs.h`
const ST_RDONLY: u64 = 1;

struct Filesystem {
    /// The host's mounts, and those of this process where a `hidepid` procfs hides process 1.
    mountinfo: [KeptFile; 2],
    mount_points: NameFilter,
    fs_types: NameFilter,
    prober: Prober,
    mount_timeout: Duration,
    table: Mutex<Arc<Table>>,
}

impl Filesystem {
    fn new(flags: &Flags, sources: &Sources) -> Result<Self, exporter::BuildError> {
        let workers = usize::try_from(flags.integer(STAT_WORKERS.name)).unwrap_or_default().max(1);
        Ok(Self {
            mountinfo: ["1/mountinfo", "self/mountinfo"].map(|file| sources.kept_proc(file)),
            mount_points: NameFilter::from_flags(flags, MOUNT_POINTS_INCLUDE.name, MOUNT_POINTS_EXCLUDE.name)?,
            fs_types: NameFilter::from_flags(flags, FS_TYPES_INCLUDE.name, FS_TYPES_EXCLUDE.name)?,
            prober: Prober::new(workers, |path: &Path| rustix::fs::statfs(path)),
            mount_timeout: flags.duration(MOUNT_TIMEOUT.name),
            table: Mutex::default(),
        })
    }

    /// The mounts to show. The kernel says when its table has changed; only then is it read.
    fn table(&self, cx: &mut Cx<'_>) -> Result<Arc<Table>, CollectError> {
        let [host, own] = &self.mountinfo;
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if host.changed() == Some(false) && !table.text().is_empty() {
            return Ok(Arc::clone(&table));
        }
        // Until it has been read whole again the old one counts for nothing.
        let before = std::mem::take(&mut *table);
        let text = match host.read(cx.buf) {
            Err(e) if e.is_absent() || e.is_denied() => own.read(cx.buf2)?,
            read => read?,
        };
        *table = if before.text() == text {
            before
        } else {
            Arc::new(Table::parse(text, &cx.sources.roots().rootfs, |mount_point, fs_type| {
                !self.mount_points.ignores(mount_point) && !self.fs_types.ignores(fs_type)
            }))
        };
        Ok(Arc::clone(&table))
    }

    /// How long to wait for the mounts that may hang: the answer must still be on its way by the scrape's deadline.
    fn patience(&self, cx: &Cx<'_>) -> Instant {
        let now = Instant::now();
        let left = cx.deadline.saturating_duration_since(now);
        now + self.mount_timeout.min(left * 4 / 5)
    }
}

impl Collector for Filesystem {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let table = self.table(cx)?;
        let mut remote =
            if table.remote.is_empty() { Vec::new() } else { self.prober.ask(&table.remote, self.patience(cx)) }
                .into_iter();
        for row in &table.rows {
            let outcome = if row.remote {
                remote.next().unwrap_or(Outcome::Stuck)
            } else {
                Outcome::Answered(rustix::fs::statfs(&*row.path))
            };
            match outcome {
                Outcome::Answered(Ok(stat)) => emit(row, &stat, out),
                Outcome::Answered(Err(e)) => emit_error(row, &error_text::of(e), out),
                Outcome::Stuck => emit_error(row, "mountpoint timeout", out),
            }
        }
        Ok(())
    }
}

fn emit(row: &Row, stat: &StatFs, out: &mut Part) {
    let labels = labels(row, "");
    let bytes = |blocks: u64| blocks as f64 * stat.f_bsize as f64;
    out.family(&DEVICE_ERROR).sample(&labels, 0u64);
    // A file system that the kernel itself made read-only after an error is no change of the table.
    let read_only = row.read_only || stat.f_flags as u64 & ST_RDONLY != 0;
    out.family(&READONLY).sample(&labels, read_only);
    out.family(&SIZE).sample(&labels, bytes(stat.f_blocks));
    out.family(&FREE).sample(&labels, bytes(stat.f_bfree));
    out.family(&AVAIL).sample(&labels, bytes(stat.f_bavail));
    out.family(&FILES).sample(&labels, stat.f_files);
    out.family(&FILES_FREE).sample(&labels, stat.f_ffree);
    if row.first_of_its_numbers {
        out.family(&MOUNT_INFO).sample(
            &[("device", &row.device), ("major", &row.major), ("minor", &row.minor), ("mountpoint", &row.mount_point)],
            1u64,
        );
    }
    out.family(&PURGEABLE).sample(&labels, 0u64);
}

fn emit_error(row: &Row, error: &str, out: &mut Part) {
    let labels = labels(row, error);
    out.family(&DEVICE_ERROR).sample(&labels, 1u64);
    out.family(&READONLY).sample(&labels, row.read_only);
}

fn labels<'a>(row: &'a Row, error: &'a str) -> [(&'static str, &'a [u8]); 4] {
    [
        ("device", &row.device),
        ("device_error", error.as_bytes()),
        ("fstype", &row.fs_type),
        ("mountpoint", &row.mount_point),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    const SHOW_ALL: &str = "--collector.filesystem.mount-points-exclude=";

    /// `path` is mounted, says the table; statfs(2) is asked of the real one below the tree.
    fn collect(tree: &Tree, args: &[&str]) -> (String, Result<(), CollectError>) {
        exporter::testing::collect(&FILESYSTEM, args, &tree.sources())
    }

    #[test]
    fn numbers_of_the_file_system_below_the_root() {
        let tree = Tree::of(&[("proc/1/mountinfo", b"1 0 8:1 / / ro - ext4 /dev/sda1 rw\n")]);
        let (text, result) = collect(&tree, &[]);
        result.unwrap();
        let stat = rustix::fs::statfs(tree.path()).unwrap();
        let mut size = Vec::new();
        exposition::write_float(stat.f_blocks as f64 * stat.f_bsize as f64, &mut size);
        let labels = "device=\"/dev/sda1\",device_error=\"\",fstype=\"ext4\",mountpoint=\"/\"";
        for line in [
            format!("node_filesystem_size_bytes{{{labels}}} {}\n", String::from_utf8(size).unwrap()),
            format!("node_filesystem_readonly{{{labels}}} 1\n"),
            format!("node_filesystem_device_error{{{labels}}} 0\n"),
            format!("node_filesystem_purgeable_bytes{{{labels}}} 0\n"),
            "node_filesystem_mount_info{device=\"/dev/sda1\",major=\"8\",minor=\"1\",mountpoint=\"/\"} 1\n".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
    }

    #[test]
    fn a_mount_that_fails_says_why() {
        let tree = Tree::of(&[("proc/1/mountinfo", b"1 0 8:1 / /gone rw - ext4 /dev/sda1 rw\n")]);
        let (text, result) = collect(&tree, &[]);
        result.unwrap();
        let labels =
            "device=\"/dev/sda1\",device_error=\"no such file or directory\",fstype=\"ext4\",mountpoint=\"/gone\"";
        assert_eq!(
            text,
            format!(
                "# HELP node_filesystem_device_error Whether an error occurred while getting statistics for the given \
                 device.\n# TYPE node_filesystem_device_error gauge\nnode_filesystem_device_error{{{labels}}} 1\n\
                 # HELP node_filesystem_readonly Filesystem read-only status.\n\
                 # TYPE node_filesystem_readonly gauge\nnode_filesystem_readonly{{{labels}}} 0\n"
            )
        );
    }

    #[test]
    fn process_1_may_be_hidden() {
        let line = b"29 1 259:2 / / rw shared:1 - ext4 /dev/nvme0n1p2 rw\n";
        let tree = Tree::of(&[("proc/self/mountinfo", line)]);
        assert!(collect(&tree, &[]).0.contains("device=\"/dev/nvme0n1p2\""));
        assert!(collect(&Tree::of(&[("proc/", b"")]), &[]).1.is_err());
    }

    #[test]
    fn filters_and_their_old_names() {
        let tree = Tree::of(&[(
            "proc/1/mountinfo",
            b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /dev rw - devtmpfs udev rw\n3 1 8:2 / /srv rw - xfs /dev/sda2 rw\n",
        )]);
        let shown = |args: &[&str]| {
            let text = collect(&tree, args).0;
            ["/dev/sda1", "udev", "/dev/sda2"].map(|device| text.contains(&format!("device=\"{device}\"")))
        };
        assert_eq!(shown(&[]), [true, false, true]);
        assert_eq!(shown(&[SHOW_ALL, "--collector.filesystem.fs-types-exclude="]), [true, true, true]);
        assert_eq!(shown(&["--collector.filesystem.mount-points-include=^/srv$"]), [false, false, true]);
        assert_eq!(
            shown(&[
                "--collector.filesystem.ignored-mount-points=^/$",
                "--collector.filesystem.fs-types-include=^(ext4|devtmpfs)$"
            ]),
            [false, true, false]
        );
        assert_eq!(shown(&["--collector.filesystem.ignored-fs-types=^xfs$"]), [true, false, false]);
        let both = ["--collector.filesystem.mount-points-include=a", "--collector.filesystem.ignored-mount-points=b"];
        let flags = Flags::from_args(FILESYSTEM.flags, &both).unwrap();
        assert!((FILESYSTEM.build)(&flags, &tree.sources()).is_err());
    }

    #[test]
    fn a_changed_table_is_followed() {
        let tree = Tree::of(&[("proc/1/mountinfo", b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")]);
        let sources = tree.sources();
        let collector = (FILESYSTEM.build)(&Flags::defaults(FILESYSTEM.flags), &sources).unwrap();
        exporter::testing::collect_from(collector.as_ref(), &sources).1.unwrap();
        std::fs::write(tree.path().join("proc/1/mountinfo"), "1 0 8:1 / / rw - nfs server:/ rw\n").unwrap();
        let (text, _) = exporter::testing::collect_from(collector.as_ref(), &sources);
        assert!(
            text.contains("node_filesystem_readonly{device=\"server:/\",device_error=\"\",fstype=\"nfs\""),
            "{text}"
        );
        assert!(!text.contains("sda1"), "{text}");
    }
}
