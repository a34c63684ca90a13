//! The two metrics of the lab document, from the crate sysinfo.

use exporter::{Answer, Desc, Part, Scrape, Scraper};
use std::sync::{Arc, Mutex, PoisonError};
use sysinfo::{Components, Disks};

const TEMPERATURE: Desc = Desc::gauge("system_cpu_temperature_celsius", "CPU Temperature");
const DISK_USAGE: Desc = Desc::gauge("system_disk_usage_percent", "Disk Usage Percentage");

/// This machine.
pub(crate) struct System {
    simulate: bool,
    /// CPU load is a difference between two looks, so the last one is kept.
    cpu: Arc<Mutex<sysinfo::System>>,
}

impl System {
    pub(crate) fn new(simulate: bool) -> Result<Self, sysinfo::Error> {
        let mut cpu = sysinfo::System::new()?;
        cpu.refresh_cpu_usage();
        Ok(Self { simulate, cpu: Arc::new(Mutex::new(cpu)) })
    }
}

impl Scraper for System {
    fn scrape<'a>(&'a self, _: &'a Scrape) -> Answer<'a> {
        let (simulate, cpu) = (self.simulate, Arc::clone(&self.cpu));
        Box::pin(async move {
            // Reading sensors and file systems may block: not on the thread that serves.
            let read = tokio::task::spawn_blocking(move || {
                let mut part = Part::new();
                if let Some(celsius) = if simulate { Some(cpu_percent(&cpu)) } else { temperature() } {
                    part.family(&TEMPERATURE).sample(&[], celsius);
                }
                if let Some(percent) = root_usage() {
                    part.family(&DISK_USAGE).sample(&[], percent);
                }
                part
            });
            Ok(read.await.into_iter().collect())
        })
    }
}

/// The hottest sensor of the processor; `None` on a machine that has none.
fn temperature() -> Option<f32> {
    let sensors = Components::new_with_refreshed_list().ok()?;
    sensors
        .iter()
        .filter(|c| CPU_SENSORS.iter().any(|name| c.label().to_ascii_lowercase().contains(name)))
        .filter_map(sysinfo::Component::temperature)
        .filter(|celsius| celsius.is_finite())
        .reduce(f32::max)
}

fn cpu_percent(cpu: &Mutex<sysinfo::System>) -> f32 {
    let mut system = cpu.lock().unwrap_or_else(PoisonError::into_inner);
    system.refresh_cpu_usage();
    system.global_cpu_usage()
}

/// Used share of the file system at `/`.
fn root_usage() -> Option<f64> {
    let disks = Disks::new_with_refreshed_list().ok()?;
    let root = disks.iter().find(|d| d.mount_point() == std::path::Path::new("/"))?;
    let total = root.total_space() as f64;
    (total > 0.0).then(|| (total - root.available_space() as f64) / total * 100.0)
}

/// Words in the labels of the kernel's processor sensors.
const CPU_SENSORS: [&str; 6] = ["coretemp", "k10temp", "package", "tctl", "cpu", "soc"];
