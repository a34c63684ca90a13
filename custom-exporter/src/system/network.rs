//! Network interfaces.

use super::{lock, unbuilt};
use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, NameFilter, Part};
use std::sync::Mutex;
use sysinfo::Networks;

pub(crate) const NETWORK: Entry = Entry {
    name: "network",
    default: Default::On,
    about: "bytes, packets and errors of network interfaces, from /sys/class/net",
    flags: &[INCLUDE, EXCLUDE],
    build: |flags, _| {
        let filter = NameFilter::from_flags(flags, INCLUDE.name, EXCLUDE.name)?;
        Ok(Box::new(Network { filter, networks: Mutex::new(Networks::new().map_err(unbuilt)?) }))
    },
};

const INCLUDE: Flag = Flag::regex("system.network.include", "", "Interfaces to tell of; the others are left out.");
const EXCLUDE: Flag = Flag::regex(
    "system.network.exclude",
    "^(veth|cali|lxc).*",
    "Interfaces to leave out: those of containers come and go.",
);

const RECEIVED: Desc = Desc::counter("system_network_receive_bytes_total", "Bytes received");
const SENT: Desc = Desc::counter("system_network_transmit_bytes_total", "Bytes sent");
const RECEIVED_PACKETS: Desc = Desc::counter("system_network_receive_packets_total", "Packets received");
const SENT_PACKETS: Desc = Desc::counter("system_network_transmit_packets_total", "Packets sent");
const RECEIVE_ERRORS: Desc = Desc::counter("system_network_receive_errors_total", "Packets that were received broken");
const SEND_ERRORS: Desc = Desc::counter("system_network_transmit_errors_total", "Packets that could not be sent");

struct Network {
    filter: NameFilter,
    networks: Mutex<Networks>,
}

impl Collector for Network {
    fn collect(&self, _: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut networks = lock(&self.networks);
        networks.refresh(true);
        for (name, network) in networks.iter() {
            if self.filter.ignores(name.as_encoded_bytes()) {
                continue;
            }
            let labels = [("interface", name.as_encoded_bytes())];
            out.family(&RECEIVED).sample(&labels, network.total_received());
            out.family(&SENT).sample(&labels, network.total_transmitted());
            out.family(&RECEIVED_PACKETS).sample(&labels, network.total_packets_received());
            out.family(&SENT_PACKETS).sample(&labels, network.total_packets_transmitted());
            out.family(&RECEIVE_ERRORS).sample(&labels, network.total_errors_on_received());
            out.family(&SEND_ERRORS).sample(&labels, network.total_errors_on_transmitted());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_there_unless_left_out() {
        let sources = hostfs::Sources::live();
        let (text, result) = exporter::testing::collect(&NETWORK, &[], &sources);
        result.unwrap();
        assert!(text.contains("system_network_receive_bytes_total{interface=\"lo\"} "), "{text}");
        let (text, _) = exporter::testing::collect(&NETWORK, &["--system.network.exclude=^lo$"], &sources);
        assert!(!text.contains("interface=\"lo\""), "{text}");
    }
}
