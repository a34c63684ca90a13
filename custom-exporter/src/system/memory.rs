//! Memory and swap.

use super::{lock, unbuilt};
use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use std::sync::Mutex;

pub(crate) const MEMORY: Entry = Entry {
    name: "memory",
    default: Default::On,
    about: "memory and swap, from /proc/meminfo",
    flags: &[],
    build: |_, _| Ok(Box::new(Memory { system: Mutex::new(sysinfo::System::new().map_err(unbuilt)?) })),
};

const TOTAL: Desc = Desc::gauge("system_memory_total_bytes", "Memory of the machine");
const AVAILABLE: Desc = Desc::gauge("system_memory_available_bytes", "Memory that programs can have without swapping");
const FREE: Desc = Desc::gauge("system_memory_free_bytes", "Memory that nobody uses, not even as a cache");
const USED: Desc = Desc::gauge("system_memory_used_bytes", "Memory that is not available");
const SWAP_TOTAL: Desc = Desc::gauge("system_swap_total_bytes", "Swap space");
const SWAP_USED: Desc = Desc::gauge("system_swap_used_bytes", "Swap space in use");

struct Memory {
    system: Mutex<sysinfo::System>,
}

impl Collector for Memory {
    fn collect(&self, _: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut system = lock(&self.system);
        system.refresh_memory();
        out.family(&TOTAL).sample(&[], system.total_memory());
        out.family(&AVAILABLE).sample(&[], system.available_memory());
        out.family(&FREE).sample(&[], system.free_memory());
        out.family(&USED).sample(&[], system.used_memory());
        out.family(&SWAP_TOTAL).sample(&[], system.total_swap());
        out.family(&SWAP_USED).sample(&[], system.used_swap());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_kernel_s() {
        let (text, result) = exporter::testing::collect(&MEMORY, &[], &hostfs::Sources::live());
        result.unwrap();
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
        let kib = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:")).unwrap();
        let bytes = kib.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024;
        let ours: f64 =
            text.lines().find_map(|l| l.strip_prefix("system_memory_total_bytes ")).unwrap().parse().unwrap();
        assert_eq!(ours as u64, bytes);
    }
}
