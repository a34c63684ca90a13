//! What containers of the tests are made of: a static busybox.

use std::path::Path;
use std::process::Command;

/// The variable that images of the tests set.
pub(crate) const ENV: &str = "APP_MODE=lab";

/// Packs a root file system with busybox as `file`.
pub(crate) fn pack_layer(file: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir(dir.path().join("tmp")).unwrap();
    std::fs::copy(crate::program("busybox").unwrap(), bin.join("busybox")).unwrap();
    for name in ["sh", "sleep", "dd", "cat", "true", "wget"] {
        std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
    }
    tar(dir.path(), file, &["bin", "tmp"]);
}

/// Packs an image with that layer in Docker's archive format, which sleeps unless it is told otherwise.
pub(crate) fn pack_image(file: &Path, name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let layer = dir.path().join("layer.tar");
    pack_layer(&layer);
    let sum = Command::new("sha256sum").arg(&layer).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap().split(' ').next().unwrap().to_owned();
    let config = serde_json::json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }, "os": "linux",
        "config": {"Env": ["PATH=/bin", ENV], "Cmd": ["sleep", "1000"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{sum}")]},
    });
    let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    std::fs::write(dir.path().join("manifest.json"), manifest.to_string()).unwrap();
    tar(dir.path(), file, &["manifest.json", "config.json", "layer.tar"]);
}

fn tar(dir: &Path, file: &Path, members: &[&str]) {
    let packed = Command::new("tar").arg("-C").arg(dir).arg("-cf").arg(file).args(members).output().unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
}
