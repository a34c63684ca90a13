//! What a device supports and offers to its peer: the first 32 bits of `enum ethtool_link_mode_bit_indices`.

use crate::sys::ethtool::LinkSettings;
use exporter::{Desc, Part};

const SUPPORTED_SPEED: Desc =
    Desc::gauge("node_network_supported_speed_bytes", "Combination of speeds and features supported by network device");
const ADVERTISED_SPEED: Desc =
    Desc::gauge("node_network_advertised_speed_bytes", "Combination of speeds and features offered by network device");
const SUPPORTED_PORT: Desc =
    Desc::gauge("node_network_supported_port_info", "Type of ports or PHYs supported by network device");
const AUTONEGOTIATE: Desc = Desc::gauge("node_network_autonegotiate", "If this port is using autonegotiate");
/// A bit and its family, among what is supported.
const SUPPORTED: [(u32, Desc); 3] = [
    (6, Desc::gauge("node_network_autonegotiate_supported", "If this port device supports autonegotiate")),
    (13, Desc::gauge("node_network_pause_supported", "If this port device supports pause frames")),
    (14, Desc::gauge("node_network_asymmetricpause_supported", "If this port device supports asymmetric pause frames")),
];
/// A bit and its family, among what is offered.
const ADVERTISED: [(u32, Desc); 3] = [
    (6, Desc::gauge("node_network_autonegotiate_advertised", "If this port device offers autonegotiate")),
    (13, Desc::gauge("node_network_pause_advertised", "If this port device offers pause capability")),
    (
        14,
        Desc::gauge(
            "node_network_asymmetricpause_advertised",
            "If this port device offers asymmetric pause capability",
        ),
    ),
];
const PORTS: [(u32, &str); 6] = [(7, "TP"), (8, "AUI"), (9, "MII"), (10, "FIBRE"), (11, "BNC"), (16, "Backplane")];
/// Bit, megabits a second, mode; all are full duplex but those of [`HALF_DUPLEX`].
const SPEEDS: [(u32, u64, &str); 23] = [
    (0, 10, "10baseT"),
    (1, 10, "10baseT"),
    (2, 100, "100baseT"),
    (3, 100, "100baseT"),
    (4, 1000, "1000baseT"),
    (5, 1000, "1000baseT"),
    (12, 10_000, "10000baseT"),
    (15, 2500, "2500baseX"),
    (17, 1000, "1000baseKX"),
    (18, 10_000, "10000baseKX4"),
    (19, 10_000, "10000baseKR"),
    (20, 10_000, "10000baseR_FEC"),
    (21, 20_000, "20000baseMLD2"),
    (22, 20_000, "20000baseKR2"),
    (23, 40_000, "40000baseKR4"),
    (24, 40_000, "40000baseCR4"),
    (25, 40_000, "40000baseSR4"),
    (26, 40_000, "40000baseLR4"),
    (27, 56_000, "56000baseKR4"),
    (28, 56_000, "56000baseCR4"),
    (29, 56_000, "56000baseSR4"),
    (30, 56_000, "56000baseLR4"),
    (31, 25_000, "25000baseCR"),
];
const HALF_DUPLEX: [u32; 3] = [0, 2, 4];
const BYTES_A_MEGABIT: u64 = 1_000_000 / 8;

pub(super) fn emit(device: &[u8], settings: &LinkSettings, out: &mut Part) {
    for (desc, modes) in [(&SUPPORTED_SPEED, settings.supported), (&ADVERTISED_SPEED, settings.advertising)] {
        for (bit, megabits, mode) in SPEEDS.iter().filter(|(bit, ..)| has(modes, *bit)) {
            let duplex: &[u8] = if HALF_DUPLEX.contains(bit) { b"half" } else { b"full" };
            let labels = [("device", device), ("duplex", duplex), ("mode", mode.as_bytes())];
            out.family(desc).sample(&labels, megabits * BYTES_A_MEGABIT);
        }
    }
    for (_, port) in PORTS.iter().filter(|(bit, _)| has(settings.supported, *bit)) {
        out.family(&SUPPORTED_PORT).sample(&[("device", device), ("type", port.as_bytes())], 1u8);
    }
    for (features, modes) in [(&SUPPORTED, settings.supported), (&ADVERTISED, settings.advertising)] {
        for (bit, desc) in features {
            out.family(desc).sample(&[("device", device)], has(modes, *bit));
        }
    }
    out.family(&AUTONEGOTIATE).sample(&[("device", device)], settings.autoneg);
}

fn has(modes: u32, bit: u32) -> bool {
    modes & 1 << bit != 0
}
