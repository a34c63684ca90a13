//! Kernel and host names, from uname(2).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};

/// Registers the collector.
pub(crate) const UNAME: Entry = Entry {
    name: "uname",
    default: Default::On,
    about: "names and versions of the kernel and of the host, from the uname system call",
    flags: &[],
    build: |_, _| Ok(Box::new(Uname)),
};

const INFO: Desc = Desc::gauge("node_uname_info", "Labeled system information as provided by the uname system call.");

struct Uname;

impl Collector for Uname {
    fn collect(&self, _: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let uname = rustix::system::uname();
        out.family(&INFO).sample(
            &[
                ("domainname", uname.domainname().to_bytes()),
                ("machine", uname.machine().to_bytes()),
                ("nodename", uname.nodename().to_bytes()),
                ("release", uname.release().to_bytes()),
                ("sysname", uname.sysname().to_bytes()),
                ("version", uname.version().to_bytes()),
            ],
            1u64,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_that_procfs_shows() {
        let (text, result) = exporter::testing::collect(&UNAME, &[], &hostfs::Sources::live());
        result.unwrap();
        for (label, file) in [("release", "osrelease"), ("nodename", "hostname"), ("domainname", "domainname")] {
            let shown = std::fs::read_to_string(format!("/proc/sys/kernel/{file}")).unwrap();
            assert!(text.contains(&format!("{label}=\"{}\"", shown.trim())), "{label} in {text}");
        }
    }
}
