//! One file a collector; [`ALL`] registers them.

pub(crate) mod bcache;
pub(crate) mod dmi;
pub(crate) mod edac;
pub(crate) mod hwmon;
pub(crate) mod loadavg;
pub(crate) mod nvme;
pub(crate) mod powersupplyclass;
pub(crate) mod rapl;
pub(crate) mod selinux;
pub(crate) mod thermal_zone;
pub(crate) mod xfs;
pub(crate) mod zfs;
#[cfg(test)]
mod tree;

use exporter::Entry;

/// Every collector, in alphabetical order.
pub(crate) const ALL: &[Entry] = &[
    bcache::BCACHE,
    dmi::DMI,
    edac::EDAC,
    hwmon::HWMON,
    loadavg::LOADAVG,
    nvme::NVME,
    powersupplyclass::POWERSUPPLYCLASS,
    rapl::RAPL,
    selinux::SELINUX,
    thermal_zone::THERMAL_ZONE,
    xfs::XFS,
    zfs::ZFS,
];
