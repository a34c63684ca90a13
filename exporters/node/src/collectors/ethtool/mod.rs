//! What network drivers say of themselves and count, asked by ioctl (`SIOCETHTOOL`).

mod link_modes;
mod names;

use crate::sys::ethtool::{Ethtool as Driver, until_nul};
use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, NameFilter, Part};
use exposition::Kind;
use names::Names;
use rustix::io::Errno;
use service::Regex;
use std::sync::{Mutex, PoisonError};

/// Registers the collector.
pub(crate) const ETHTOOL: Entry = Entry {
    name: "ethtool",
    default: Default::Off,
    about: "drivers, link modes and counters of network devices, asked by ethtool's ioctl",
    flags: &[
        Flag::regex(INCLUDE, "", "Regexp of ethtool devices to include (mutually exclusive to device-exclude)."),
        Flag::regex(EXCLUDE, "", "Regexp of ethtool devices to exclude (mutually exclusive to device-include)."),
        Flag::regex(METRICS, ".*", "Regexp of ethtool stats to include."),
    ],
    build: |flags, _| {
        Ok(Box::new(Ethtool {
            filter: NameFilter::from_flags(flags, INCLUDE, EXCLUDE)?,
            metrics: flags.regex(METRICS),
            names: Mutex::default(),
        }))
    },
};

const INCLUDE: &str = "collector.ethtool.device-include";
const EXCLUDE: &str = "collector.ethtool.device-exclude";
const METRICS: &str = "collector.ethtool.metrics-include";
const INFO: Desc = Desc::gauge(
    "node_ethtool_info",
    "A metric with a constant '1' value labeled by bus_info, device, driver, expansion_rom_version, firmware_version, \
     version.",
);

struct Ethtool {
    filter: NameFilter,
    /// `None` takes all.
    metrics: Option<Regex>,
    names: Mutex<Names>,
}

impl Collector for Ethtool {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let net = cx.sources.sys("class/net");
        let devices = match net.entries() {
            Ok(devices) => devices,
            Err(e) if e.is_absent() || e.is_denied() => return Err(CollectError::NoData),
            Err(e) => return Err(e.into()),
        };
        if devices.is_empty() {
            return Err(CollectError::failed("no network devices found"));
        }
        let driver = Driver::open().map_err(|e| CollectError::failed(format!("open a socket for ethtool: {e}")))?;
        for device in devices.iter().filter(|device| !self.filter.ignores(device)) {
            // Most drivers lack one thing or another, and bonding_masters is no device.
            if let Err((what, e)) = self.collect_device(&driver, device, out)
                && !matches!(e, Errno::OPNOTSUPP | Errno::NODEV)
            {
                tracing::error!(device = %String::from_utf8_lossy(device), err = %e, "ethtool {what} error");
            }
        }
        Ok(())
    }
}

impl Ethtool {
    fn collect_device(&self, driver: &Driver, device: &[u8], out: &mut Part) -> Result<(), (&'static str, Errno)> {
        match driver.link_settings(device) {
            Ok(settings) => link_modes::emit(device, &settings, out),
            Err(Errno::OPNOTSUPP) => {}
            Err(e) => return Err(("link info", e)),
        }
        let info = driver.driver_info(device).map_err(|e| ("driver info", e))?;
        out.family(&INFO).sample(
            &[
                ("bus_info", until_nul(&info.bus_info)),
                ("device", device),
                ("driver", until_nul(&info.driver)),
                ("expansion_rom_version", until_nul(&info.erom_version)),
                ("firmware_version", until_nul(&info.fw_version)),
                ("version", until_nul(&info.version)),
            ],
            1u8,
        );
        let stats = driver.stats(device, &info).map_err(|e| ("stats", e))?;
        let mut counters: Vec<_> = stats.iter().filter(|(name, _)| !name.is_empty()).collect();
        // Of counters with one name the last counts.
        counters.reverse();
        counters.sort_by_key(|(name, _)| *name);
        counters.dedup_by_key(|(name, _)| *name);
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, value) in counters {
            if self.metrics.as_ref().is_none_or(|r| r.is_match(name)) {
                let (family, help) = names.of(name);
                out.family_named(family, help, Kind::Untyped).sample(&[("device", device)], value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn a_host_without_devices() {
        let (_, result) = exporter::testing::collect(&ETHTOOL, &[], &Tree::of(&[]).sources());
        assert!(matches!(result, Err(CollectError::NoData)));
        let tree = Tree::of(&[("sys/class/net/", b"")]);
        let (_, result) = exporter::testing::collect(&ETHTOOL, &[], &tree.sources());
        assert_eq!(result.unwrap_err().to_string(), "no network devices found");
    }

    #[test]
    fn drivers_of_this_machine() {
        let (text, result) = exporter::testing::collect(&ETHTOOL, &[], &hostfs::Sources::live());
        result.unwrap();
        let devices = std::fs::read_dir("/sys/class/net").unwrap().count();
        assert!(text.lines().filter(|l| l.starts_with("node_ethtool_info{")).count() <= devices, "{text}");
    }
}
