//! What a test needs and may be missing: said on one line, never passed over in silence.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The contracts' data, from `BONGSU_PARITY` or beside the repository.
pub fn parity(path: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("BONGSU_PARITY").map_or_else(|| repo().join("../shared/parity"), PathBuf::from);
    let path = dir.join(path);
    if path.exists() {
        Some(path)
    } else {
        skip(&format!("{} is not here", path.display()));
        None
    }
}

/// A Go peer or a newer server, from the folder in `BONGSU_PEERS`.
pub fn peer(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("BONGSU_PEERS").map(|dir| PathBuf::from(dir).join(name)).filter(|p| p.is_file());
    if path.is_none() {
        skip(&format!("no {name} in the folder that BONGSU_PEERS names"));
    }
    path
}

/// Says that a test does not run here.
pub fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
