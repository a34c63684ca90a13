//! Temperatures, among them the lab document's `system_cpu_temperature_celsius`.

use super::{failed, lock, unbuilt};
use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use sysinfo::{Component, Components};

pub(crate) const TEMPERATURE: Entry = Entry {
    name: "temperature",
    default: Default::On,
    about: "temperatures of sensors, from /sys/class/hwmon and /sys/class/thermal",
    flags: &[SIMULATE],
    build: |flags, _| {
        let mut cpu = None;
        if flags.on(SIMULATE.name) {
            let mut system = sysinfo::System::new().map_err(unbuilt)?;
            system.refresh_cpu_usage();
            cpu = Some(Mutex::new(system));
        }
        Ok(Box::new(Temperature { cpu, sensors: Mutex::new(None) }))
    },
};

const SIMULATE: Flag = Flag::switch(
    "simulate",
    "Serve the CPU's load in percent as its temperature, as the lab document does, for machines without a sensor.",
);

const CPU: Desc = Desc::gauge("system_cpu_temperature_celsius", "CPU Temperature");
const SENSOR: Desc = Desc::gauge("system_component_temperature_celsius", "Temperature of a sensor");
const CRITICAL: Desc =
    Desc::gauge("system_component_critical_celsius", "Temperature at which the hardware protects itself");

struct Temperature {
    /// With `--simulate`.
    cpu: Option<Mutex<sysinfo::System>>,
    /// The sensors there are, and when they were looked for: that costs more than reading them.
    sensors: Mutex<Option<(Components, Instant)>>,
}

impl Collector for Temperature {
    fn collect(&self, _: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut kept = lock(&self.sensors);
        let sensors = match kept.take() {
            Some((mut sensors, found)) if found.elapsed() < LOOK_AGAIN => {
                sensors.iter_mut().for_each(Component::refresh);
                (sensors, found)
            }
            _ => (Components::new_with_refreshed_list().map_err(failed)?, Instant::now()),
        };
        let mut hottest: Option<f32> = None;
        for sensor in &sensors.0 {
            let Some(celsius) = sensor.temperature().filter(|c| c.is_finite()) else { continue };
            let labels = [("component", sensor.label().as_bytes())];
            out.family(&SENSOR).sample(&labels, celsius);
            if let Some(critical) = sensor.critical() {
                out.family(&CRITICAL).sample(&labels, critical);
            }
            if is_cpu(sensor.label()) {
                hottest = Some(hottest.map_or(celsius, |h| h.max(celsius)));
            }
        }
        *kept = Some(sensors);
        if let Some(cpu) = &self.cpu {
            let mut cpu = lock(cpu);
            cpu.refresh_cpu_usage();
            hottest = Some(cpu.global_cpu_usage());
        }
        // A machine without a sensor, as most virtual ones are, has no such series: 0 degrees would be a lie.
        if let Some(celsius) = hottest {
            out.family(&CPU).sample(&[], celsius);
        }
        Ok(())
    }
}

fn is_cpu(label: &str) -> bool {
    let label = label.to_ascii_lowercase();
    CPU_SENSORS.iter().any(|word| label.contains(word))
}

/// Words in the labels of the kernel's processor sensors.
const CPU_SENSORS: [&str; 6] = ["coretemp", "k10temp", "package", "tctl", "cpu", "soc"];
/// A sensor that is plugged in is seen within this time.
const LOOK_AGAIN: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_known_by_its_label() {
        for (label, cpu) in [
            ("coretemp Package id 0", true),
            ("k10temp Tctl", true),
            ("cpu_thermal temp1", true),
            ("nvme Composite", false),
            ("acpitz temp1", false),
        ] {
            assert_eq!(is_cpu(label), cpu, "{label}");
        }
    }

    #[test]
    fn a_simulated_temperature_is_always_there() {
        let (text, result) = exporter::testing::collect(&TEMPERATURE, &["--simulate"], &hostfs::Sources::live());
        result.unwrap();
        assert!(text.contains("\nsystem_cpu_temperature_celsius "), "{text}");
    }
}
