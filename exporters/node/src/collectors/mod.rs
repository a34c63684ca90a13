//! One file a collector; [`ALL`] registers them.

pub(crate) mod arp;
pub(crate) mod bcache;
pub(crate) mod bonding;
pub(crate) mod btrfs;
pub(crate) mod conntrack;
pub(crate) mod cpu;
pub(crate) mod diskstats;
pub(crate) mod dmi;
pub(crate) mod drbd;
pub(crate) mod edac;
pub(crate) mod fibrechannel;
pub(crate) mod filefd;
pub(crate) mod filesystem;
pub(crate) mod hwmon;
pub(crate) mod infiniband;
pub(crate) mod ipvs;
pub(crate) mod lnstat;
pub(crate) mod loadavg;
pub(crate) mod meminfo;
pub(crate) mod mountstats;
pub(crate) mod netclass;
pub(crate) mod netdev;
pub(crate) mod netstat;
pub(crate) mod nfs;
pub(crate) mod nfsd;
pub(crate) mod nvme;
pub(crate) mod os;
pub(crate) mod powersupplyclass;
pub(crate) mod pressure;
pub(crate) mod rapl;
pub(crate) mod selinux;
pub(crate) mod sockstat;
pub(crate) mod softnet;
pub(crate) mod stat;
pub(crate) mod textfile;
pub(crate) mod thermal_zone;
pub(crate) mod time;
pub(crate) mod udp_queues;
pub(crate) mod uname;
pub(crate) mod vmstat;
pub(crate) mod xfrm;
pub(crate) mod xfs;
pub(crate) mod zfs;
#[cfg(test)]
mod tree;

use exporter::Entry;

/// Every collector, in alphabetical order.
pub(crate) const ALL: &[Entry] = &[
    arp::ARP,
    bcache::BCACHE,
    bonding::BONDING,
    btrfs::BTRFS,
    conntrack::CONNTRACK,
    cpu::CPU,
    diskstats::DISKSTATS,
    dmi::DMI,
    drbd::DRBD,
    edac::EDAC,
    fibrechannel::FIBRECHANNEL,
    filefd::FILEFD,
    filesystem::FILESYSTEM,
    hwmon::HWMON,
    infiniband::INFINIBAND,
    ipvs::IPVS,
    lnstat::LNSTAT,
    loadavg::LOADAVG,
    meminfo::MEMINFO,
    mountstats::MOUNTSTATS,
    netclass::NETCLASS,
    netdev::NETDEV,
    netstat::NETSTAT,
    nfs::NFS,
    nfsd::NFSD,
    nvme::NVME,
    os::OS,
    powersupplyclass::POWERSUPPLYCLASS,
    pressure::PRESSURE,
    rapl::RAPL,
    selinux::SELINUX,
    sockstat::SOCKSTAT,
    softnet::SOFTNET,
    stat::STAT,
    textfile::TEXTFILE,
    thermal_zone::THERMAL_ZONE,
    time::TIME,
    udp_queues::UDP_QUEUES,
    uname::UNAME,
    vmstat::VMSTAT,
    xfrm::XFRM,
    xfs::XFS,
    zfs::ZFS,
];
