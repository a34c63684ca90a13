//! Hardware, software and cache event counters by processor, from perf_event_open(2).

mod cpus;
mod events;

use crate::sys::perf::{Counter, Event};
use exporter::{BuildError, CollectError, Collector, Cx, Default, Entry, Flag, Flags, Part};
use exposition::Kind;
use hostfs::{Buf, Sources, scan};
use service::FlagKind;

const CPUS: Flag = Flag::text("collector.perf.cpus", "", "List of CPUs from which perf metrics should be collected");
const TRACEPOINTS: Flag =
    Flag::new("collector.perf.tracepoint", FlagKind::Texts, "", "perf tracepoint that should be collected");
const NO_HARDWARE: Flag = Flag::switch("collector.perf.disable-hardware-profilers", "disable perf hardware profilers");
const HARDWARE: Flag = Flag::new(
    "collector.perf.hardware-profilers",
    FlagKind::Texts,
    "",
    "perf hardware profilers that should be collected",
);
const NO_SOFTWARE: Flag = Flag::switch("collector.perf.disable-software-profilers", "disable perf software profilers");
const SOFTWARE: Flag = Flag::new(
    "collector.perf.software-profilers",
    FlagKind::Texts,
    "",
    "perf software profilers that should be collected",
);
const NO_CACHE: Flag = Flag::switch("collector.perf.disable-cache-profilers", "disable perf cache profilers");
const CACHE: Flag =
    Flag::new("collector.perf.cache-profilers", FlagKind::Texts, "", "perf cache profilers that should be collected");

/// Registers the collector.
pub(crate) const PERF: Entry = Entry {
    name: "perf",
    default: Default::Off,
    about: "processor cycles, cache misses, context switches and other perf events, from perf_event_open(2)",
    flags: &[CPUS, TRACEPOINTS, NO_HARDWARE, HARDWARE, NO_SOFTWARE, SOFTWARE, NO_CACHE, CACHE],
    build: |flags, sources| Ok(Box::new(Perf::open(flags, sources)?)),
};

struct Perf {
    counters: Vec<Opened>,
    /// Why there is none at all.
    refused: Option<String>,
}

struct Opened {
    family: Family,
    /// Its number as a label.
    cpu: String,
    counter: Counter,
}

#[derive(Clone)]
struct Family {
    name: String,
    help: String,
}

impl Perf {
    fn open(flags: &Flags, sources: &Sources) -> Result<Self, BuildError> {
        let cpus = match flags.text(CPUS.name) {
            "" => cpus::online(sources),
            list => cpus::parse(list).ok_or_else(|| BuildError(format!("--{}: invalid list {list:?}", CPUS.name)))?,
        };
        let mut wanted: Vec<(Family, Event)> = Vec::new();
        // As upstream has it, the names given for hardware and software events add to the set, for caches they are it.
        if !flags.on(NO_HARDWARE.name) {
            wanted.extend(events::HARDWARE.iter().map(events::Known::event));
        }
        if !flags.on(NO_SOFTWARE.name) {
            wanted.extend(events::SOFTWARE.iter().map(events::Known::event));
        }
        if !flags.on(NO_CACHE.name) {
            let only = flags.texts(CACHE.name);
            let chosen = |known: &&events::Known| only.is_empty() || only.iter().any(|name| name == known.profiler);
            wanted.extend(events::CACHE.iter().filter(chosen).map(events::Known::event));
        }
        for name in flags.texts(TRACEPOINTS.name) {
            wanted.push(tracepoint(name, sources)?);
        }
        let mut counters = Vec::new();
        let mut refused = None;
        for &cpu in &cpus {
            for (family, event) in &wanted {
                match Counter::open(*event, cpu) {
                    Ok(counter) => {
                        counters.push(Opened { family: family.clone(), cpu: cpu.to_string(), counter });
                    }
                    // What this processor or kernel does not count, or may not be counted by us.
                    Err(error) => {
                        tracing::debug!(metric = %family.name, cpu, %error, "perf event cannot be opened");
                        refused = Some(format!("perf_event_open: {error}; see /proc/sys/kernel/perf_event_paranoid"));
                    }
                }
            }
        }
        let refused = if counters.is_empty() { refused } else { None };
        Ok(Self { counters, refused })
    }
}

impl Collector for Perf {
    fn collect(&self, _: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        if let Some(refused) = &self.refused {
            return Err(CollectError::failed(refused.clone()));
        }
        for opened in &self.counters {
            if let Ok(count) = opened.counter.read() {
                out.family_named(&opened.family.name, &opened.family.help, Kind::Counter)
                    .sample(&[("cpu", opened.cpu.as_bytes())], count);
            }
        }
        Ok(())
    }
}

/// `subsystem:event`, by its number in tracefs.
fn tracepoint(name: &str, sources: &Sources) -> Result<(Family, Event), BuildError> {
    const TRACEPOINT: u32 = 2;
    let refuse = |why: String| BuildError(format!("--{} {name:?}: {why}", TRACEPOINTS.name));
    let (subsystem, event) = name
        .split_once(':')
        .filter(|(_, event)| !event.contains(':'))
        .ok_or_else(|| refuse("not subsystem:event".into()))?;
    let mut buf = Buf::new();
    let file = format!("events/{subsystem}/{event}/id");
    let config = ["kernel/tracing", "kernel/debug/tracing"]
        .iter()
        .find_map(|root| sources.sys(root).join(&file).read_trimmed(&mut buf).ok().and_then(scan::u64))
        .ok_or_else(|| refuse(format!("cannot read {file} below /sys/kernel/tracing")))?;
    let metric = exposition::sanitize_name(&format!("node_perf_{subsystem}_{event}")).into_owned();
    let family = Family { name: metric, help: format!("Perf tracepoint {name}") };
    Ok((family, Event { kind: TRACEPOINT, config }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn software_events_of_this_machine() {
        let args = [
            "--collector.perf.cpus=0",
            "--collector.perf.disable-hardware-profilers",
            "--collector.perf.disable-cache-profilers",
        ];
        let (text, result) = exporter::testing::collect(&PERF, &args, &Sources::live());
        match result {
            Ok(()) => {
                assert!(
                    text.contains("# HELP node_perf_context_switches_total Number of context switches\n"),
                    "{text}"
                );
                assert!(text.contains("\nnode_perf_page_faults_total{cpu=\"0\"} "), "{text}");
            }
            Err(e) => println!("skipped: {e}"),
        }
    }

    #[test]
    fn bad_flags_are_refused() {
        let tree = Tree::of(&[("sys/kernel/tracing/events/sched/sched_switch/id", b"314\n")]);
        let refused = |args: &[&str]| {
            let flags = Flags::from_args(PERF.flags, args).unwrap();
            (PERF.build)(&flags, &tree.sources()).err().map(|e| e.to_string())
        };
        assert!(refused(&["--collector.perf.cpus=1-x"]).unwrap().contains("collector.perf.cpus"));
        assert!(refused(&["--collector.perf.tracepoint=sched"]).unwrap().contains("subsystem:event"));
        assert!(refused(&["--collector.perf.tracepoint=no:such"]).unwrap().contains("events/no/such/id"));
        let (family, event) = tracepoint("sched:sched_switch", &tree.sources()).unwrap();
        assert_eq!(
            (family.name.as_str(), family.help.as_str(), event),
            ("node_perf_sched_sched_switch", "Perf tracepoint sched:sched_switch", Event { kind: 2, config: 314 })
        );
    }
}
