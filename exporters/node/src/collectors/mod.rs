//! One file a collector; [`ALL`] registers them.

#[cfg(test)]
mod allocations;
pub(crate) mod arp;
pub(crate) mod bcache;
pub(crate) mod bcachefs;
pub(crate) mod bonding;
pub(crate) mod btrfs;
pub(crate) mod buddyinfo;
pub(crate) mod cgroup_slices;
pub(crate) mod cgroups;
pub(crate) mod conntrack;
pub(crate) mod cpu;
pub(crate) mod cpu_vulnerabilities;
pub(crate) mod cpufreq;
pub(crate) mod diskstats;
pub(crate) mod dmi;
pub(crate) mod dmmultipath;
pub(crate) mod drbd;
pub(crate) mod drm;
pub(crate) mod edac;
pub(crate) mod entropy;
pub(crate) mod ethtool;
pub(crate) mod fibrechannel;
pub(crate) mod filefd;
pub(crate) mod filesystem;
pub(crate) mod hwmon;
pub(crate) mod infiniband;
pub(crate) mod interrupts;
pub(crate) mod ipvs;
pub(crate) mod kernel_hung;
pub(crate) mod ksmd;
pub(crate) mod lnstat;
pub(crate) mod loadavg;
pub(crate) mod logind;
pub(crate) mod mdadm;
pub(crate) mod meminfo;
pub(crate) mod meminfo_numa;
pub(crate) mod mountstats;
pub(crate) mod netclass;
pub(crate) mod netdev;
pub(crate) mod netstat;
pub(crate) mod network_route;
pub(crate) mod nfs;
pub(crate) mod nfsd;
pub(crate) mod ntp;
pub(crate) mod nvme;
pub(crate) mod os;
pub(crate) mod pcidevice;
pub(crate) mod perf;
pub(crate) mod powersupplyclass;
pub(crate) mod pressure;
pub(crate) mod process_groups;
pub(crate) mod processes;
pub(crate) mod qdisc;
pub(crate) mod rapl;
pub(crate) mod runit;
pub(crate) mod schedstat;
pub(crate) mod selinux;
pub(crate) mod slabinfo;
pub(crate) mod smart;
pub(crate) mod sockstat;
pub(crate) mod softirqs;
pub(crate) mod softnet;
pub(crate) mod stat;
pub(crate) mod supervisord;
pub(crate) mod swap;
pub(crate) mod sysctl;
pub(crate) mod systemd;
pub(crate) mod tapestats;
pub(crate) mod tcpstat;
pub(crate) mod textfile;
pub(crate) mod thermal_zone;
pub(crate) mod time;
pub(crate) mod timex;
#[cfg(test)]
mod tree;
pub(crate) mod udp_queues;
pub(crate) mod uname;
pub(crate) mod vmstat;
pub(crate) mod watchdog;
pub(crate) mod wifi;
pub(crate) mod xfrm;
pub(crate) mod xfs;
pub(crate) mod zfs;
pub(crate) mod zoneinfo;

use exporter::Entry;

/// Every collector, in alphabetical order.
pub(crate) const ALL: &[Entry] = &[
    arp::ARP,
    bcache::BCACHE,
    bcachefs::BCACHEFS,
    bonding::BONDING,
    btrfs::BTRFS,
    buddyinfo::BUDDYINFO,
    cgroup_slices::CGROUP_SLICES,
    cgroups::CGROUPS,
    conntrack::CONNTRACK,
    cpu::CPU,
    cpu_vulnerabilities::CPU_VULNERABILITIES,
    cpufreq::CPUFREQ,
    diskstats::DISKSTATS,
    dmi::DMI,
    dmmultipath::DMMULTIPATH,
    drbd::DRBD,
    drm::DRM,
    edac::EDAC,
    entropy::ENTROPY,
    ethtool::ETHTOOL,
    fibrechannel::FIBRECHANNEL,
    filefd::FILEFD,
    filesystem::FILESYSTEM,
    hwmon::HWMON,
    infiniband::INFINIBAND,
    interrupts::INTERRUPTS,
    ipvs::IPVS,
    kernel_hung::KERNEL_HUNG,
    ksmd::KSMD,
    lnstat::LNSTAT,
    loadavg::LOADAVG,
    logind::LOGIND,
    mdadm::MDADM,
    meminfo::MEMINFO,
    meminfo_numa::MEMINFO_NUMA,
    mountstats::MOUNTSTATS,
    netclass::NETCLASS,
    netdev::NETDEV,
    netstat::NETSTAT,
    network_route::NETWORK_ROUTE,
    nfs::NFS,
    nfsd::NFSD,
    ntp::NTP,
    nvme::NVME,
    os::OS,
    pcidevice::PCIDEVICE,
    perf::PERF,
    powersupplyclass::POWERSUPPLYCLASS,
    pressure::PRESSURE,
    process_groups::PROCESS_GROUPS,
    processes::PROCESSES,
    qdisc::QDISC,
    rapl::RAPL,
    runit::RUNIT,
    schedstat::SCHEDSTAT,
    selinux::SELINUX,
    slabinfo::SLABINFO,
    smart::SMART,
    sockstat::SOCKSTAT,
    softirqs::SOFTIRQS,
    softnet::SOFTNET,
    stat::STAT,
    supervisord::SUPERVISORD,
    swap::SWAP,
    sysctl::SYSCTL,
    systemd::SYSTEMD,
    tapestats::TAPESTATS,
    tcpstat::TCPSTAT,
    textfile::TEXTFILE,
    thermal_zone::THERMAL_ZONE,
    time::TIME,
    timex::TIMEX,
    udp_queues::UDP_QUEUES,
    uname::UNAME,
    vmstat::VMSTAT,
    watchdog::WATCHDOG,
    wifi::WIFI,
    xfrm::XFRM,
    xfs::XFS,
    zfs::ZFS,
    zoneinfo::ZONEINFO,
];
