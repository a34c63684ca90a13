//! Pressure stall information, from `/proc/pressure/*` (`Documentation/accounting/psi.rst`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const PRESSURE: Entry = Entry {
    name: "pressure",
    default: Default::On,
    about: "time that tasks waited for CPU, I/O, memory and interrupts, from /proc/pressure",
    flags: &[],
    build: |_, sources| {
        let file = |resource| sources.kept_proc(format!("pressure/{resource}"));
        Ok(Box::new(Pressure { files: RESOURCES.map(|resource| file(resource.name)) }))
    },
};

struct Resource {
    name: &'static str,
    /// Some task waited.
    some: Option<Desc>,
    /// All tasks waited at once.
    full: Option<Desc>,
    /// Kernels before 6.1 lack it.
    optional: bool,
}

const RESOURCES: [Resource; 4] = [
    Resource {
        name: "cpu",
        some: Some(Desc::counter(
            "node_pressure_cpu_waiting_seconds_total",
            "Total time in seconds that processes have waited for CPU time",
        )),
        full: None,
        optional: false,
    },
    Resource {
        name: "io",
        some: Some(Desc::counter(
            "node_pressure_io_waiting_seconds_total",
            "Total time in seconds that processes have waited due to IO congestion",
        )),
        full: Some(Desc::counter(
            "node_pressure_io_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IO congestion",
        )),
        optional: false,
    },
    Resource {
        name: "memory",
        some: Some(Desc::counter(
            "node_pressure_memory_waiting_seconds_total",
            "Total time in seconds that processes have waited for memory",
        )),
        full: Some(Desc::counter(
            "node_pressure_memory_stalled_seconds_total",
            "Total time in seconds no process could make progress due to memory congestion",
        )),
        optional: false,
    },
    Resource {
        name: "irq",
        some: None,
        full: Some(Desc::counter(
            "node_pressure_irq_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IRQ congestion",
        )),
        optional: true,
    },
];

struct Pressure {
    files: [KeptFile; RESOURCES.len()],
}

impl Collector for Pressure {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        for (resource, file) in RESOURCES.iter().zip(&self.files) {
            let text = match file.read(cx.buf) {
                Ok(text) => text,
                Err(e) if e.is_absent() && resource.optional => continue,
                // EOPNOTSUPP: the kernel was started with psi=0.
                Err(e) if e.is_absent() || e.raw_os_error() == Some(NOT_SUPPORTED) => return Err(CollectError::NoData),
                Err(e) => return Err(e.into()),
            };
            let total = parse(text);
            for (desc, total) in [(&resource.some, total.some), (&resource.full, total.full)] {
                let Some(desc) = desc else { continue };
                out.family(desc).sample(&[], total.ok_or(CollectError::NoData)? as f64 / 1000.0 / 1000.0);
            }
        }
        Ok(())
    }
}

const NOT_SUPPORTED: i32 = rustix::io::Errno::OPNOTSUPP.raw_os_error();

/// Microseconds.
#[derive(Debug, PartialEq, Default)]
struct Total {
    some: Option<u64>,
    full: Option<u64>,
}

fn parse(text: &[u8]) -> Total {
    let mut total = Total::default();
    for line in scan::lines(text) {
        let mut fields = scan::fields(line);
        let kind = fields.next();
        let us = fields.find_map(|f| scan::u64(f.strip_prefix(b"total=")?));
        match kind {
            Some(b"some") => total.some = us,
            Some(b"full") => total.full = us,
            _ => {}
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IO: &str = "some avg10=0.10 avg60=2.00 avg300=3.85 total=159886802\n\
        full avg10=0.20 avg60=3.00 avg300=4.95 total=159229614\n";

    #[test]
    fn totals() {
        assert_eq!(parse(IO.as_bytes()), Total { some: Some(159_886_802), full: Some(159_229_614) });
        assert_eq!(parse(b"some avg10=0.00\n"), Total::default());
    }

    #[test]
    fn old_and_new_kernels() {
        let dir = tempfile::tempdir().unwrap();
        let pressure = dir.path().join("proc/pressure");
        let sources = hostfs::Sources::under(dir.path());
        let collect = || exporter::testing::collect(&PRESSURE, &[], &sources);
        assert!(matches!(collect().1, Err(CollectError::NoData)));

        std::fs::create_dir_all(&pressure).unwrap();
        std::fs::write(pressure.join("cpu"), "some avg10=0.10 avg60=2.00 avg300=3.85 total=14036781\n").unwrap();
        std::fs::write(pressure.join("io"), IO).unwrap();
        std::fs::write(pressure.join("memory"), "some total=0\nfull total=0\n").unwrap();
        let (text, result) = collect();
        result.unwrap();
        assert!(text.contains("node_pressure_cpu_waiting_seconds_total 14.036781000000001\n"), "{text}");
        assert!(!text.contains("_irq_"), "{text}");

        std::fs::write(pressure.join("irq"), "full avg10=0.20 avg60=3.00 avg300=4.95 total=8494\n").unwrap();
        let (text, result) = collect();
        result.unwrap();
        assert!(text.contains("node_pressure_irq_stalled_seconds_total 0.008494\n"), "{text}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
