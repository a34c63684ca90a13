//! The machine as a whole: load, start, names.

use super::failed;
use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use sysinfo::System;

pub(crate) const HOST: Entry = Entry {
    name: "host",
    default: Default::On,
    about: "load averages, the time of the start, names of host and kernel",
    flags: &[],
    build: |_, _| {
        // Names stay as they are while the machine runs. An image made from nothing has no /etc/os-release: an empty
        // label is none.
        let (hostname, kernel) =
            (System::host_name().unwrap_or_default(), System::kernel_version().unwrap_or_default());
        Ok(Box::new(Host { hostname, kernel, os: System::long_os_version().unwrap_or_default() }))
    },
};

const LOAD1: Desc = Desc::gauge("system_load1", "Load average of the last minute");
const LOAD5: Desc = Desc::gauge("system_load5", "Load average of the last 5 minutes");
const LOAD15: Desc = Desc::gauge("system_load15", "Load average of the last 15 minutes");
const BOOT: Desc = Desc::gauge("system_boot_time_seconds", "When the machine was started, in seconds since 1970");
const INFO: Desc = Desc::gauge("system_info", "Names of the machine, its system and its kernel; always 1");

struct Host {
    hostname: String,
    kernel: String,
    os: String,
}

impl Collector for Host {
    fn collect(&self, _: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let load = System::load_average().map_err(failed)?;
        out.family(&LOAD1).sample(&[], load.one);
        out.family(&LOAD5).sample(&[], load.five);
        out.family(&LOAD15).sample(&[], load.fifteen);
        out.family(&BOOT).sample(&[], System::boot_time().map_err(failed)?);
        let labels: [(&str, &[u8]); 3] =
            [("hostname", self.hostname.as_bytes()), ("kernel", self.kernel.as_bytes()), ("os", self.os.as_bytes())];
        out.family(&INFO).sample(&labels, 1u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_the_same() {
        let (text, result) = exporter::testing::collect(&HOST, &[], &hostfs::Sources::live());
        result.unwrap();
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert!(text.contains(&format!("kernel=\"{}\"", release.trim())), "{text}");
        let stat = std::fs::read_to_string("/proc/stat").unwrap();
        let boot: f64 = stat.lines().find_map(|l| l.strip_prefix("btime ")).unwrap().parse().unwrap();
        let ours: f64 =
            text.lines().find_map(|l| l.strip_prefix("system_boot_time_seconds ")).unwrap().parse().unwrap();
        assert!((ours - boot).abs() < 2.0, "{ours} and {boot}");
    }
}
