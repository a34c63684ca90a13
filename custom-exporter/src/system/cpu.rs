//! How busy the processors are: the smallest collector, the one to copy.

use super::{lock, unbuilt};
use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use std::sync::Mutex;

pub(crate) const CPU: Entry = Entry {
    name: "cpu",
    default: Default::On,
    about: "share of time in which the processors were busy since the last scrape, from /proc/stat",
    flags: &[],
    build: |_, _| {
        // Load is a difference between two looks: with the first one now, the first scrape already has a number.
        let mut system = sysinfo::System::new().map_err(unbuilt)?;
        system.refresh_cpu_usage();
        Ok(Box::new(Cpu { system: Mutex::new(system) }))
    },
};

const USAGE: Desc =
    Desc::gauge("system_cpu_usage_ratio", "Busy share of all processors since the last scrape, from 0 to 1");
const CORE: Desc =
    Desc::gauge("system_cpu_core_usage_ratio", "Busy share of one processor since the last scrape, from 0 to 1");

struct Cpu {
    system: Mutex<sysinfo::System>,
}

impl Collector for Cpu {
    fn collect(&self, _: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut system = lock(&self.system);
        system.refresh_cpu_usage();
        out.family(&USAGE).sample(&[], f64::from(system.global_cpu_usage()) / 100.0);
        let mut core = out.family(&CORE);
        for cpu in system.cpus() {
            let name = cpu.name().trim_start_matches("cpu");
            core.sample(&[("cpu", name.as_bytes())], f64::from(cpu.usage()) / 100.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_lie_between_0_and_1() {
        let (text, result) = exporter::testing::collect(&CPU, &[], &hostfs::Sources::live());
        result.unwrap();
        let values: Vec<f64> = text
            .lines()
            .filter(|l| !l.starts_with('#'))
            .map(|l| l.rsplit_once(' ').unwrap().1.parse().unwrap())
            .collect();
        assert!(values.len() > 1 && values.iter().all(|v| (0.0..=1.0).contains(v)), "{text}");
    }
}
