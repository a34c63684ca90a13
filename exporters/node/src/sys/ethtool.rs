//! `SIOCETHTOOL` (`include/uapi/linux/ethtool.h`): what a network driver says of itself, and its counters.

use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};
use rustix::ioctl::{Opcode, Updater, ioctl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// A socket through which any device can be asked.
pub(crate) struct Ethtool(OwnedFd);

/// `struct ethtool_drvinfo`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct DriverInfo {
    cmd: u32,
    pub(crate) driver: [u8; 32],
    pub(crate) version: [u8; 32],
    pub(crate) fw_version: [u8; 32],
    pub(crate) bus_info: [u8; 32],
    pub(crate) erom_version: [u8; 32],
    reserved: [u8; 12],
    n_priv_flags: u32,
    n_stats: u32,
    rest: [u32; 3],
}

/// `struct ethtool_cmd`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct LinkSettings {
    cmd: u32,
    pub(crate) supported: u32,
    pub(crate) advertising: u32,
    speed: u16,
    duplex: u8,
    port: u8,
    phy_address: u8,
    transceiver: u8,
    pub(crate) autoneg: u8,
    mdio_support: u8,
    rest: [u32; 6],
}

/// The names and values of a driver's counters.
#[derive(Default)]
pub(crate) struct Stats {
    names: Vec<[u8; NAME]>,
    values: Vec<u64>,
}

impl Stats {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.names.iter().map(|name| until_nul(name)).zip(self.values.iter().copied())
    }
}

impl Ethtool {
    pub(crate) fn open() -> Result<Self> {
        socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).map(Self)
    }

    pub(crate) fn driver_info(&self, device: &[u8]) -> Result<DriverInfo> {
        let mut info = DriverInfo {
            cmd: GET_DRIVER_INFO,
            driver: [0; 32],
            version: [0; 32],
            fw_version: [0; 32],
            bus_info: [0; 32],
            erom_version: [0; 32],
            reserved: [0; 12],
            n_priv_flags: 0,
            n_stats: 0,
            rest: [0; 3],
        };
        // SAFETY: `info` is the struct that this command reads and writes, and it is no larger than the kernel's.
        unsafe { self.ask(device, (&raw mut info).cast()) }?;
        Ok(info)
    }

    pub(crate) fn link_settings(&self, device: &[u8]) -> Result<LinkSettings> {
        let mut settings = LinkSettings {
            cmd: GET_SETTINGS,
            supported: 0,
            advertising: 0,
            speed: 0,
            duplex: 0,
            port: 0,
            phy_address: 0,
            transceiver: 0,
            autoneg: 0,
            mdio_support: 0,
            rest: [0; 6],
        };
        // SAFETY: `settings` is the struct that this command reads and writes.
        unsafe { self.ask(device, (&raw mut settings).cast()) }?;
        Ok(settings)
    }

    /// The counters of a device of which [`DriverInfo`] is known.
    pub(crate) fn stats(&self, device: &[u8], info: &DriverInfo) -> Result<Stats> {
        let count = info.n_stats as usize;
        if count == 0 {
            return Err(Errno::OPNOTSUPP);
        }
        if count > MOST_STATS {
            return Err(Errno::OVERFLOW);
        }
        // The kernel writes as many as the driver has by then, whatever was asked for: there is room for all that a
        // driver could plausibly have gained since. The pages that it does not write to are never touched.
        let room = count + SPARE_STATS;
        let mut names = vec![0u8; 12 + room * NAME];
        names[..4].copy_from_slice(&GET_STRINGS.to_ne_bytes());
        names[4..8].copy_from_slice(&STRINGS_OF_STATS.to_ne_bytes());
        names[8..12].copy_from_slice(&info.n_stats.to_ne_bytes());
        // SAFETY: the buffer begins with `struct ethtool_gstrings` and has room for the strings behind it; alignment
        // does not matter to the kernel's copy.
        unsafe { self.ask(device, names.as_mut_ptr().cast()) }?;
        // struct ethtool_stats: command and count in the first eight bytes, then the values.
        let mut values = vec![0u64; 1 + room];
        let mut header = [0; 8];
        header[..4].copy_from_slice(&GET_STATS.to_ne_bytes());
        header[4..].copy_from_slice(&info.n_stats.to_ne_bytes());
        values[0] = u64::from_ne_bytes(header);
        // SAFETY: the buffer begins with `struct ethtool_stats` and has room for the values behind it.
        unsafe { self.ask(device, values.as_mut_ptr().cast()) }?;
        let count_of = |bytes: &[u8]| bytes.first_chunk().map_or(0, |n| u32::from_ne_bytes(*n)) as usize;
        let written = count_of(&names[8..12]).min(count_of(&values[0].to_ne_bytes()[4..])).min(room);
        let names = names[12..].chunks_exact(NAME).take(written).map(|name| {
            let mut bytes = [0; NAME];
            bytes.copy_from_slice(name);
            bytes
        });
        Ok(Stats { names: names.collect(), values: values[1..=written].to_vec() })
    }

    /// # Safety
    /// `command` points to the struct of the command in its first four bytes, with room for all that the kernel writes.
    unsafe fn ask(&self, device: &[u8], command: *mut u8) -> Result<()> {
        let mut request = Request { name: [0; 16], command, rest: [0; 16] };
        if device.len() >= request.name.len() || device.is_empty() {
            return Err(Errno::NODEV);
        }
        request.name[..device.len()].copy_from_slice(device);
        // SAFETY: SIOCETHTOOL takes a `struct ifreq`, whose name ends with a NUL and whose data the caller vouches for.
        unsafe { ioctl(&self.0, Updater::<SIOCETHTOOL, Request>::new(&mut request)) }
    }
}

/// `struct ifreq`: a name and a union, of which a pointer is used.
#[repr(C)]
struct Request {
    name: [u8; 16],
    command: *mut u8,
    rest: [u8; 16],
}

/// A string up to its NUL.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}

const SIOCETHTOOL: Opcode = 0x8946;
const GET_SETTINGS: u32 = 1;
const GET_DRIVER_INFO: u32 = 3;
const GET_STRINGS: u32 = 0x1b;
const GET_STATS: u32 = 0x1d;
const STRINGS_OF_STATS: u32 = 1;
/// `ETH_GSTRING_LEN`.
const NAME: usize = 32;
const MOST_STATS: usize = 1 << 16;
const SPARE_STATS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_are_the_kernel_s() {
        assert_eq!(size_of::<DriverInfo>(), 196);
        assert_eq!(size_of::<LinkSettings>(), 44);
        assert_eq!(size_of::<Request>(), if size_of::<usize>() == 8 { 40 } else { 36 });
    }

    #[test]
    fn devices_that_do_not_exist() {
        let ethtool = Ethtool::open().unwrap();
        for device in [&b"no such device"[..], b"", b"a name that is too long"] {
            assert_eq!(ethtool.driver_info(device).err(), Some(Errno::NODEV));
        }
        assert_eq!(ethtool.link_settings(b"lo").err(), Some(Errno::OPNOTSUPP));
    }
}
