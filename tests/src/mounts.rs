//! Mounts that an engine leaves behind in its own folder.

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
