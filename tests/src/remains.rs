//! What an engine leaves behind: mounts in its own folder, empty cgroups.

use std::path::Path;
use std::process::Command;

/// Unmounts what is mounted below a folder.
pub(crate) fn unmount_below(dir: &Path) {
    let own = format!("{}/", dir.display());
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut points: Vec<&str> = table.lines().filter_map(|l| l.split(' ').nth(1)).collect();
    // The inner ones first.
    points.reverse();
    for point in points.iter().filter(|p| p.starts_with(&own)) {
        let _ = Command::new("umount").arg(point).status();
    }
}

/// Removes a cgroup and those in it, in all hierarchies, as far as no process is in them.
pub(crate) fn remove_cgroup(name: &str) {
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|e| e.path());
    for root in hierarchies.chain(["/sys/fs/cgroup".into()]) {
        remove_empty(&root.join(name));
    }
}

fn remove_empty(dir: &Path) {
    for inner in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if inner.file_type().is_ok_and(|t| t.is_dir()) {
            remove_empty(&inner.path());
        }
    }
    let _ = std::fs::remove_dir(dir);
}
