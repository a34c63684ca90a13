//! Where buses listen.

use crate::percent;
use hostfs::Sources;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The paths at which the system bus may listen, most likely first: what `DBUS_SYSTEM_BUS_ADDRESS` says, else the usual
/// place, on the host's root before our own.
pub(crate) fn system_bus(sources: &Sources, address: Option<&str>) -> Vec<PathBuf> {
    match address {
        Some(address) => paths(address),
        None => host_and_own(sources, "/run/dbus/system_bus_socket"),
    }
}

/// A socket's path on the host's root file system and, where that is another, on our own.
pub(crate) fn host_and_own(sources: &Sources, socket: &str) -> Vec<PathBuf> {
    let mut paths = vec![sources.rootfs(socket).path().to_owned()];
    if paths[0] != Path::new(socket) {
        paths.push(socket.into());
    }
    paths
}

/// `unix:path=/run/bus;unix:path=/other,guid=…`; other transports than paths are left out.
fn paths(address: &str) -> Vec<PathBuf> {
    address
        .split(';')
        .filter_map(|one| one.trim().strip_prefix("unix:"))
        .filter_map(|keys| keys.split(',').find_map(|key| key.strip_prefix("path=")))
        .map(|path| PathBuf::from(OsString::from_vec(percent::decode(path))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses() {
        let address = "tcp:host=localhost,port=1;unix:path=/run/a%20b,guid=00;unix:abstract=x;unix:path=/c";
        assert_eq!(paths(address), [Path::new("/run/a b"), Path::new("/c")]);
        assert_eq!(system_bus(&Sources::live(), None), [Path::new("/run/dbus/system_bus_socket")]);
        let host = Sources::under(Path::new("/host"));
        let both = ["/host/run/dbus/system_bus_socket", "/run/dbus/system_bus_socket"];
        assert_eq!(system_bus(&host, None), both.map(Path::new));
    }

    proptest! {
        #[test]
        fn any_address_is_survived(address: String) {
            paths(&address);
        }
    }
}
