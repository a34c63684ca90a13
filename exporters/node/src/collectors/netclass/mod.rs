//! Properties of network devices, from `/sys/class/net` (`Documentation/ABI/testing/sysfs-class-net`).
//!
//! Most of these rtnetlink tells too, and it tells when they change: it is asked instead where it shows the same network
//! namespace as the mounted sysfs. The numbers are the same.

mod device;
mod kernel;
mod link_modes;
mod netlink_names;
mod sysfs;

use device::Device;
use exporter::{CollectError, Collector, Cx, Default, Entry, Flag, Part};
use hostfs::netlink::Channel;
use kernel::Kernel;
use service::Regex;
use sysfs::Sysfs;

/// Registers the collector.
pub(crate) const NETCLASS: Entry = Entry {
    name: "netclass",
    default: Default::On,
    about: "state, speed, addresses and other properties of network devices, from /sys/class/net",
    flags: &[
        Flag::regex(IGNORED, "^$", "Regexp of net devices to ignore for netclass collector."),
        Flag::switch(
            INVALID_SPEED,
            "Ignore devices where the speed is invalid. This will be the default behavior in 2.x.",
        ),
        Flag::switch(NETLINK, "Use netlink to gather stats instead of /proc/net/dev."),
        Flag::switch(WITH_STATS, "Expose the statistics for each network device, replacing netdev collector."),
    ],
    build: |flags, sources| {
        Ok(Box::new(Netclass {
            ignored: flags.regex(IGNORED),
            ignore_invalid_speed: flags.on(INVALID_SPEED),
            netlink_names: flags.on(NETLINK),
            stats: flags.on(WITH_STATS).then(Channel::route),
            kernel: Kernel::new(sources),
            sysfs: Sysfs::new(sources),
        }))
    },
};

const IGNORED: &str = "collector.netclass.ignored-devices";
const INVALID_SPEED: &str = "collector.netclass.ignore-invalid-speed";
const NETLINK: &str = "collector.netclass.netlink";
const WITH_STATS: &str = "collector.netclass_rtnl.with-stats";

struct Netclass {
    ignored: Option<Regex>,
    ignore_invalid_speed: bool,
    netlink_names: bool,
    /// Where to ask for counters, if they are wanted too.
    stats: Option<Channel>,
    kernel: Kernel,
    sysfs: Sysfs,
}

impl Collector for Netclass {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        if self.netlink_names {
            return netlink_names::collect(self, cx, out);
        }
        let mut emit = |device: &Device<'_>| {
            if !self.ignores(device.name) {
                device.emit(self.ignore_invalid_speed, out);
            }
        };
        if self.kernel.collect(cx, &mut emit) {
            return Ok(());
        }
        let devices = match cx.sources.sys("class/net").entries() {
            Ok(devices) => devices,
            Err(e) if e.is_absent() || e.is_denied() => return Err(CollectError::NoData),
            Err(e) => return Err(e.into()),
        };
        self.sysfs.collect(&devices, cx, |name| self.ignores(name), &mut emit);
        Ok(())
    }
}

impl Netclass {
    fn ignores(&self, name: &[u8]) -> bool {
        self.ignored.as_ref().is_some_and(|r| r.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostfs::Sources;

    #[test]
    fn a_tree_s_text() {
        let dir = tempfile::tempdir().unwrap();
        let net = dir.path().join("sys/class/net");
        let real = dir.path().join("sys/devices/virtual/net/eth0");
        std::fs::create_dir_all(&net).unwrap();
        std::fs::create_dir_all(&real).unwrap();
        std::os::unix::fs::symlink("../../devices/virtual/net/eth0", net.join("eth0")).unwrap();
        std::fs::create_dir(net.join("skipped")).unwrap();
        std::fs::write(net.join("bonding_masters"), "bond0\n").unwrap();
        for (attribute, text) in [
            ("address", "01:01:01:01:01:01"),
            ("broadcast", "ff:ff:ff:ff:ff:ff"),
            ("carrier", "1"),
            ("dev_id", "0x20"),
            ("duplex", "full"),
            ("flags", "0x1303"),
            ("ifalias", ""),
            ("mtu", "1500"),
            ("operstate", "up"),
            ("speed", "-1"),
        ] {
            std::fs::write(real.join(attribute), format!("{text}\n")).unwrap();
        }
        let sources = Sources::under(dir.path());
        let args = ["--collector.netclass.ignored-devices=^skip"];
        let (text, result) = exporter::testing::collect(&NETCLASS, &args, &sources);
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_network_carrier{device=\"eth0\"} 1",
                "node_network_device_id{device=\"eth0\"} 32",
                "node_network_flags{device=\"eth0\"} 4867",
                "node_network_info{address=\"01:01:01:01:01:01\",adminstate=\"up\",broadcast=\"ff:ff:ff:ff:ff:ff\",\
                 device=\"eth0\",duplex=\"full\",ifalias=\"\",operstate=\"up\"} 1",
                "node_network_mtu_bytes{device=\"eth0\"} 1500",
                "node_network_speed_bytes{device=\"eth0\"} -125000",
                "node_network_up{device=\"eth0\"} 1",
            ]
        );
        let args = [args[0], "--collector.netclass.ignore-invalid-speed"];
        let (text, result) = exporter::testing::collect(&NETCLASS, &args, &sources);
        result.unwrap();
        assert!(!text.contains("speed"));
    }

    #[test]
    fn a_host_without_network_devices() {
        let dir = tempfile::tempdir().unwrap();
        let (text, result) = exporter::testing::collect(&NETCLASS, &[], &Sources::under(dir.path()));
        assert!(matches!(result, Err(CollectError::NoData)) && text.is_empty());
    }

    #[test]
    fn netlink_and_sysfs_of_this_machine_agree() {
        let sources = Sources::live();
        let text = |kernel| {
            let netclass = Netclass {
                ignored: None,
                ignore_invalid_speed: false,
                netlink_names: false,
                stats: None,
                kernel,
                sysfs: Sysfs::new(&sources),
            };
            let (text, result) = exporter::testing::collect_from(&netclass, &sources);
            result.unwrap();
            text
        };
        assert_eq!(text(Kernel::new(&sources)), text(Kernel::unused(&sources)));
    }

    #[test]
    fn upstream_s_netlink_names() {
        let args = ["--collector.netclass.netlink"];
        let (text, result) = exporter::testing::collect(&NETCLASS, &args, &Sources::live());
        result.unwrap();
        assert!(
            text.contains(
                "# HELP node_network_info Non-numeric data of <iface>, value is always 1.\n\
                 # TYPE node_network_info gauge\n"
            ),
            "{text}"
        );
        assert!(text.contains("device=\"lo\",duplex=\"\",ifalias=\"\",operstate=\"unknown\"} 1\n"), "{text}");
        assert!(!text.contains("receive_packets_total"));
    }
}
