//! Traffic of network devices, from rtnetlink (`struct rtnl_link_stats64`) or `/proc/net/dev`
//! (`net/core/net-procfs.c`).

mod address;
mod counters;

use counters::{Counter, DETAILED_LINK, DETAILED_TABLE, LINK, TABLE, parse_table};
use exporter::{CollectError, Collector, Cx, Default, Entry, Flag, NameFilter, Part};
use hostfs::netlink::{self, Channel};
use hostfs::{KeptFile, Network};

/// Registers the collector.
pub(crate) const NETDEV: Entry = Entry {
    name: "netdev",
    default: Default::On,
    about: "bytes, packets and errors of network devices, from rtnetlink or /proc/net/dev",
    flags: &[
        Flag::regex(INCLUDE, "", "Regexp of net devices to include (mutually exclusive to device-exclude)."),
        Flag::regex("collector.netdev.device-whitelist", "", "DEPRECATED: Use collector.netdev.device-include")
            .alias(INCLUDE),
        Flag::regex(EXCLUDE, "", "Regexp of net devices to exclude (mutually exclusive to device-include)."),
        Flag::regex("collector.netdev.device-blacklist", "", "DEPRECATED: Use collector.netdev.device-exclude")
            .alias(EXCLUDE),
        Flag::switch(ADDRESS_INFO, "Collect address-info for every device"),
        Flag::switch(DETAILED, "Use (incompatible) metric names that provide more detailed stats on Linux"),
        Flag::switch_on(NETLINK, "Use netlink to gather stats instead of /proc/net/dev."),
        Flag::switch(LABEL_ALIAS, "Add ifAlias label"),
    ],
    build: |flags, sources| {
        let network = sources.network();
        Ok(Box::new(Netdev {
            filter: NameFilter::from_flags(flags, INCLUDE, EXCLUDE)?,
            // Netlink shows this process's network namespace only; the host's may be another.
            table: (!flags.on(NETLINK) || network == Network::OfInit)
                .then(|| sources.kept_proc(format!("{}/dev", network.proc_dir()))),
            channel: Channel::route(),
            detailed: flags.on(DETAILED),
            label_alias: flags.on(LABEL_ALIAS),
            address_info: flags.on(ADDRESS_INFO) && network == Network::Own,
        }))
    },
};

const INCLUDE: &str = "collector.netdev.device-include";
const EXCLUDE: &str = "collector.netdev.device-exclude";
const ADDRESS_INFO: &str = "collector.netdev.address-info";
const DETAILED: &str = "collector.netdev.enable-detailed-metrics";
const NETLINK: &str = "collector.netdev.netlink";
const LABEL_ALIAS: &str = "collector.netdev.label-ifalias";

struct Netdev {
    filter: NameFilter,
    /// The file to read where netlink is not wanted or shows another host.
    table: Option<KeptFile>,
    channel: Channel,
    detailed: bool,
    label_alias: bool,
    address_info: bool,
}

impl Collector for Netdev {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        match &self.table {
            Some(table) => self.collect_table(table, cx, out)?,
            None => self.collect_links(cx, out)?,
        }
        if self.address_info {
            address::collect(&self.channel, &*cx.sources.links().read()?, out)?;
        }
        Ok(())
    }
}

impl Netdev {
    fn collect_links(&self, cx: &Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let counters: &[Counter<_>] = if self.detailed { &DETAILED_LINK } else { &LINK };
        let links = cx.sources.links().read()?;
        let asked = self.channel.with(|socket| {
            for (index, stats) in netlink::stats(socket)? {
                // One that came since is in the next scrape.
                if let Some(link) = links.by_index(index).filter(|l| !self.filter.ignores(l.name)) {
                    self.emit(link.name, link.alias, counters, &stats, out);
                }
            }
            Ok(())
        });
        match asked {
            // Before Linux 4.7 the counters come with all else that is known of a device.
            Err(e) if e.is_unsupported() => self.channel.with(|socket| {
                for link in netlink::links(socket, true)?.filter(|l| !self.filter.ignores(l.name)) {
                    if let Some(stats) = link.stats() {
                        self.emit(link.name, link.alias, counters, &stats, out);
                    }
                }
                Ok(())
            })?,
            other => other?,
        }
        Ok(())
    }

    fn collect_table(&self, table: &KeptFile, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let counters: &[Counter<_>] = if self.detailed { &DETAILED_TABLE } else { &TABLE };
        for (name, columns) in parse_table(table.read(cx.buf)?).filter(|(name, _)| !self.filter.ignores(name)) {
            let alias = if self.label_alias {
                cx.sources.sys("class/net").child(name).join("ifalias").read_optional(cx.buf2).unwrap_or_default()
            } else {
                b""
            };
            self.emit(name, alias, counters, &columns, out);
        }
        Ok(())
    }

    fn emit<S>(&self, device: &[u8], alias: &[u8], counters: &[Counter<S>], stats: &S, out: &mut Part) {
        let labels = [("device", device), ("ifalias", alias)];
        let labels = if self.label_alias { &labels[..] } else { &labels[..1] };
        for (desc, count) in counters {
            out.family(desc).sample(labels, count(stats));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostfs::Sources;

    #[test]
    fn a_table_s_text() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/net")).unwrap();
        std::fs::create_dir_all(dir.path().join("sys/class/net/eth0")).unwrap();
        std::fs::write(dir.path().join("sys/class/net/eth0/ifalias"), "uplink\n").unwrap();
        std::fs::write(
            dir.path().join("proc/net/dev"),
            "Inter-|   Receive                                                |  Transmit\n \
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo\n\
             \x20 eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n    lo:0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
        )
        .unwrap();
        let sources = Sources::under(dir.path());
        let args = ["--no-collector.netdev.netlink", "--collector.netdev.device-exclude=^lo$"];
        let (text, result) = exporter::testing::collect(&NETDEV, &args, &sources);
        result.unwrap();
        assert!(text.starts_with(
            "# HELP node_network_receive_bytes_total Network device statistic receive_bytes.\n\
             # TYPE node_network_receive_bytes_total counter\nnode_network_receive_bytes_total{device=\"eth0\"} 1\n"
        ));
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(samples.len(), 16);
        assert!(samples.contains(&"node_network_transmit_colls_total{device=\"eth0\"} 14"));
        let args = [
            "--no-collector.netdev.netlink",
            "--collector.netdev.label-ifalias",
            "--collector.netdev.device-whitelist=eth",
        ];
        let (text, result) = exporter::testing::collect(&NETDEV, &args, &sources);
        result.unwrap();
        assert!(text.contains("node_network_receive_errs_total{device=\"eth0\",ifalias=\"uplink\"} 3\n"), "{text}");
    }

    #[test]
    fn this_machine_s_loopback_and_its_address() {
        let args = ["--collector.netdev.device-include=^lo$", "--collector.netdev.address-info"];
        let (text, result) = exporter::testing::collect(&NETDEV, &args, &Sources::live());
        result.unwrap();
        assert!(text.contains("\nnode_network_receive_bytes_total{device=\"lo\"} "), "{text}");
        assert!(text.contains("\nnode_network_receive_nohandler_total{device=\"lo\"} 0\n"), "{text}");
        assert!(!text.contains("multicast_total{device=\"eth"), "{text}");
        assert!(
            text.contains(
                "node_network_address_info{address=\"127.0.0.1\",device=\"lo\",netmask=\"8\",scope=\"link-local\"} 1\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn both_filters_are_refused() {
        let args = ["--collector.netdev.device-include=a", "--collector.netdev.device-exclude=b"];
        let flags = service::Flags::from_args(NETDEV.flags, &args).unwrap();
        let refused = (NETDEV.build)(&flags, &Sources::live()).err().unwrap().to_string();
        assert!(refused.contains("--collector.netdev.device-include"), "{refused}");
    }
}
