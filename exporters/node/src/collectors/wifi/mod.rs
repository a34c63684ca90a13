//! Wireless devices and their stations, from nl80211 (`include/uapi/linux/nl80211.h`).

mod fixture;
mod nl80211;

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use hostfs::netlink::{Channel, NetlinkError};

/// Registers the collector.
pub(crate) const WIFI: Entry = Entry {
    name: "wifi",
    default: Default::Off,
    about: "frequency, signal and traffic of wireless devices, from nl80211 netlink",
    flags: &[Flag::text(FIXTURES, "", "test fixtures to use for wifi collector metrics")],
    build: |flags, _| Ok(Box::new(Wifi { fixtures: flags.text(FIXTURES).to_owned(), channel: Channel::generic() })),
};

const FIXTURES: &str = "collector.wifi.fixtures";
const FREQUENCY: Desc = Desc::gauge(
    "node_wifi_interface_frequency_hertz",
    "The current frequency a WiFi interface is operating at, in hertz.",
);
const INFO: Desc = Desc::gauge(
    "node_wifi_station_info",
    "Labeled WiFi interface station information as provided by the operating system.",
);

type Property = (Desc, fn(&Station) -> f64);
const PROPERTIES: [Property; 12] = [
    (
        Desc::counter(
            "node_wifi_station_connected_seconds_total",
            "The total number of seconds a station has been connected to an access point.",
        ),
        |s| s.connected_ms as f64 / 1000.0,
    ),
    (
        Desc::gauge(
            "node_wifi_station_inactive_seconds",
            "The number of seconds since any wireless activity has occurred on a station.",
        ),
        |s| s.inactive_ms as f64 / 1000.0,
    ),
    (
        Desc::gauge(
            "node_wifi_station_receive_bits_per_second",
            "The current WiFi receive bitrate of a station, in bits per second.",
        ),
        |s| s.receive_bitrate as f64,
    ),
    (
        Desc::gauge(
            "node_wifi_station_transmit_bits_per_second",
            "The current WiFi transmit bitrate of a station, in bits per second.",
        ),
        |s| s.transmit_bitrate as f64,
    ),
    (
        Desc::counter("node_wifi_station_receive_bytes_total", "The total number of bytes received by a WiFi station."),
        |s| s.received_bytes as f64,
    ),
    (
        Desc::counter(
            "node_wifi_station_transmit_bytes_total",
            "The total number of bytes transmitted by a WiFi station.",
        ),
        |s| s.transmitted_bytes as f64,
    ),
    (
        Desc::counter("node_wifi_station_received_packets_total", "The total number of packets received by a station."),
        |s| s.received_packets as f64,
    ),
    (
        Desc::counter(
            "node_wifi_station_transmitted_packets_total",
            "The total number of packets transmitted by a station.",
        ),
        |s| s.transmitted_packets as f64,
    ),
    (
        Desc::gauge("node_wifi_station_signal_dbm", "The current WiFi signal strength, in decibel-milliwatts (dBm)."),
        |s| s.signal as f64,
    ),
    (
        Desc::counter(
            "node_wifi_station_transmit_retries_total",
            "The total number of times a station has had to retry while sending a packet.",
        ),
        |s| s.transmit_retries as f64,
    ),
    (
        Desc::counter(
            "node_wifi_station_transmit_failed_total",
            "The total number of times a station has failed to send a packet.",
        ),
        |s| s.transmit_failed as f64,
    ),
    (
        Desc::counter(
            "node_wifi_station_beacon_loss_total",
            "The total number of times a station has detected a beacon loss.",
        ),
        |s| s.beacon_loss as f64,
    ),
];

struct Wifi {
    /// A folder to read instead of asking the kernel; empty for the latter.
    fixtures: String,
    channel: Channel,
}

impl Collector for Wifi {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let devices = if self.fixtures.is_empty() {
            match nl80211::read(&self.channel) {
                Ok(devices) => devices,
                // No wireless stack, or no right to ask it.
                Err(e) if e.is_unsupported() || is_denied(e) => return Err(CollectError::NoData),
                Err(e) => return Err(e.into()),
            }
        } else {
            fixture::read(&cx.sources.named(&self.fixtures), cx.buf)?
        };
        for device in &devices {
            device.emit(out);
        }
        Ok(())
    }
}

fn is_denied(e: NetlinkError) -> bool {
    let (NetlinkError::Socket { source, .. } | NetlinkError::Refused { source, .. }) = e;
    matches!(source, rustix::io::Errno::PERM | rustix::io::Errno::ACCESS)
}

/// A wireless device that has a name.
#[derive(Debug, Default, PartialEq)]
struct Device {
    name: Vec<u8>,
    frequency_mhz: u32,
    /// The cell that it belongs to.
    cell: Option<Cell>,
    stations: Vec<Station>,
}

/// A basic service set.
#[derive(Debug, Default, PartialEq)]
struct Cell {
    bssid: Vec<u8>,
    ssid: Vec<u8>,
    /// `enum nl80211_bss_status`.
    status: u64,
}

#[derive(Debug, Default, PartialEq)]
struct Station {
    hardware_address: Vec<u8>,
    connected_ms: u64,
    inactive_ms: u64,
    /// Bits a second.
    receive_bitrate: u64,
    /// Bits a second.
    transmit_bitrate: u64,
    received_bytes: u64,
    transmitted_bytes: u64,
    received_packets: u64,
    transmitted_packets: u64,
    signal: i64,
    transmit_retries: u64,
    transmit_failed: u64,
    beacon_loss: u64,
}

impl Device {
    fn emit(&self, out: &mut Part) {
        let device = ("device", self.name.as_slice());
        out.family(&FREQUENCY).sample(&[device], u64::from(self.frequency_mhz) * 1_000_000);
        if let Some(cell) = &self.cell {
            let mode: &[u8] = match cell.status {
                0 | 1 => b"client",
                2 => b"ad-hoc",
                _ => b"unknown",
            };
            let bssid = hardware_address(&cell.bssid);
            out.family(&INFO).sample(&[("bssid", bssid.as_bytes()), device, ("mode", mode), ("ssid", &cell.ssid)], 1u8);
        }
        for station in &self.stations {
            let address = hardware_address(&station.hardware_address);
            for (desc, value) in &PROPERTIES {
                out.family(desc).sample(&[device, ("mac_address", address.as_bytes())], value(station));
            }
        }
    }
}

fn hardware_address(bytes: &[u8]) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn fixtures_stand_in() {
        let tree = Tree::of(&[
            ("wifi/interfaces.json", br#"[{"name": "wlan0", "type": 2, "frequency": 2412}, {"type": 10}]"#),
            ("wifi/wlan0/bss.json", br#"{"ssid": "Example", "bssid": "ABEiM0RV", "status": 1}"#),
            (
                "wifi/wlan0/stationinfo.json",
                br#"[{"hardwareaddr": "qrvM3e7/", "connected": 30000000000, "inactive": 400000000,
                    "receivebitrate": 128000000, "signal": -52, "transmitretries": 10}]"#,
            ),
        ]);
        let fixtures = format!("--collector.wifi.fixtures={}", tree.path().join("wifi").display());
        let (text, result) = exporter::testing::collect(&WIFI, &[&fixtures], &tree.sources());
        result.unwrap();
        let station = "device=\"wlan0\",mac_address=\"aa:bb:cc:dd:ee:ff\"";
        for line in [
            "node_wifi_interface_frequency_hertz{device=\"wlan0\"} 2.412e+09".to_owned(),
            "node_wifi_station_info{bssid=\"00:11:22:33:44:55\",device=\"wlan0\",mode=\"client\",ssid=\"Example\"} 1"
                .to_owned(),
            format!("node_wifi_station_connected_seconds_total{{{station}}} 30"),
            format!("node_wifi_station_inactive_seconds{{{station}}} 0.4"),
            format!("node_wifi_station_receive_bits_per_second{{{station}}} 1.28e+08"),
            format!("node_wifi_station_signal_dbm{{{station}}} -52"),
            format!("node_wifi_station_transmit_retries_total{{{station}}} 10"),
            format!("node_wifi_station_received_packets_total{{{station}}} 0"),
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}\n{text}");
        }
    }

    #[test]
    fn a_kernel_with_or_without_wireless() {
        let (_, result) = exporter::testing::collect(&WIFI, &[], &hostfs::Sources::live());
        assert!(matches!(result, Ok(()) | Err(CollectError::NoData)), "{result:?}");
    }
}
