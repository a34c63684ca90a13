//! What the exporter tells of itself beside the engine's own numbers: files, inputs, reloads, saves.

use crate::config::Form;
use crate::input::Tallies;
use crate::input::files::Open;
use crate::ledger::Counts;
use crate::state::Told;
use crate::worker::Worker;
use exporter::{Desc, Part};
use exposition::Kind;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

const FILE_LINES: Desc =
    Desc::counter("log_exporter_file_lines_total", "Lines of a file, by whether at least one metric took them.");
const FILE_BYTES: Desc =
    Desc::counter("log_exporter_file_read_bytes_total", "Bytes of a file's lines that were counted.");
const FILE_POSITION: Desc =
    Desc::gauge("log_exporter_file_position_bytes", "Offset in the file up to which its lines are counted.");
const FILE_SIZE: Desc = Desc::gauge("log_exporter_file_size_bytes", "Size of the file.");
const FILE_LAG: Desc = Desc::gauge(
    "log_exporter_file_lag_bytes",
    "Bytes of the file that are not counted yet, in rotated files that are still read too.",
);
const INPUT_LINES: Desc =
    Desc::counter("log_exporter_input_lines_total", "Lines of an input, by whether at least one metric took them.");
const INPUT_BYTES: Desc =
    Desc::counter("log_exporter_input_read_bytes_total", "Bytes of an input's lines that were counted.");
const LINES_CUT: Desc = Desc::counter("log_exporter_lines_cut_total", "Lines longer than 1 MiB, which lost their end.");
const INPUT_ERRORS: Desc =
    Desc::counter("log_exporter_input_errors_total", "What an input could not read, parse or take.");
const INPUT_REQUESTS: Desc = Desc::counter(
    "log_exporter_input_requests_total",
    "Bodies, windows or messages that an input took over the network.",
);
const INPUT_CONNECTIONS: Desc = Desc::gauge("log_exporter_input_connections", "Peers that are connected to an input.");
const OPEN_FILES: Desc = Desc::gauge("log_exporter_open_files", "Files that an input holds open, rotated ones too.");
const ROTATED: Desc =
    Desc::counter("log_exporter_files_rotated_total", "Files that were renamed or removed while read.");
const TRUNCATED: Desc =
    Desc::counter("log_exporter_files_truncated_total", "Files that were emptied or written anew while read.");
const RELOAD_GOOD: Desc = Desc::gauge(
    "log_exporter_config_last_reload_successful",
    "Whether the configuration was taken when it was read last.",
);
const RELOAD_TIME: Desc =
    Desc::gauge("log_exporter_config_last_reload_success_timestamp_seconds", "When a configuration was taken last.");
const RELOADS: Desc = Desc::counter("log_exporter_config_reloads_total", "Reloads, by how they ended.");
const SAVES: Desc = Desc::counter("log_exporter_state_saves_total", "How often counters and positions were saved.");
const SAVE_FAILURES: Desc = Desc::counter("log_exporter_state_save_failures_total", "How often that failed.");
const SAVED_TIME: Desc =
    Desc::gauge("log_exporter_state_last_save_timestamp_seconds", "When counters and positions were saved last.");
const SAVED_BYTES: Desc = Desc::gauge("log_exporter_state_bytes", "Size of the saved state.");
const PANICS: Desc = Desc::counter(
    "log_exporter_batches_broken_total",
    "Batches of which the rest was left out because a rule broke down on a line.",
);

/// How reading the configuration went.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    good: AtomicU64,
    bad: AtomicU64,
    /// 1 where the last one was taken.
    last: AtomicU64,
    /// Milliseconds since 1970.
    taken: AtomicU64,
}

impl Reloads {
    /// The configuration of the start was taken.
    pub(crate) fn started() -> Self {
        let reloads = Self::default();
        reloads.note(true);
        reloads.good.store(0, Ordering::Relaxed);
        reloads
    }

    /// Another one was taken, or refused.
    pub(crate) fn note(&self, good: bool) {
        let count = if good { &self.good } else { &self.bad };
        count.fetch_add(1, Ordering::Relaxed);
        self.last.store(good.into(), Ordering::Relaxed);
        if good {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.taken.store(now.as_millis() as u64, Ordering::Relaxed);
        }
    }

    /// As metrics.
    pub(crate) fn emit(&self, out: &mut Part) {
        out.family(&RELOAD_GOOD).sample(&[], self.last.load(Ordering::Relaxed));
        out.family(&RELOAD_TIME).sample(&[], seconds(&self.taken));
        let mut family = out.family(&RELOADS);
        family.sample(&[("outcome", b"taken")], self.good.load(Ordering::Relaxed));
        family.sample(&[("outcome", b"refused")], self.bad.load(Ordering::Relaxed));
    }
}

fn seconds(millis: &AtomicU64) -> f64 {
    millis.load(Ordering::Relaxed) as f64 / 1000.0
}

/// `grok_exporter_build_info`, for dashboards that show it.
pub(crate) fn emit_build(version: service::Version, out: &mut Part) {
    let platform = service::Version::platform();
    let help = "A metric with a constant '1' value labeled by version, builddate, branch, revision, goversion, and \
                platform on which grok_exporter was built.";
    out.family_named("grok_exporter_build_info", help, Kind::Gauge).sample(
        &[
            ("branch", version.branch.as_bytes()),
            ("builddate", b""),
            ("goversion", b""),
            ("platform", platform.as_bytes()),
            ("revision", version.revision.as_bytes()),
            ("version", version.version.as_bytes()),
        ],
        1_u64,
    );
}

/// What the engine's thread knows.
pub(crate) fn emit_worker(worker: &mut Worker, open: &Open, form: Form, out: &mut Part) {
    worker.engine.emit_own(form.prefix(), out);
    if form == Form::GrokExporter {
        let (least, most) = worker.load.range();
        let mut family = out.family_named(
            "grok_exporter_line_buffer_load",
            "Number of lines that are read from the logfile and waiting to be processed.",
            Kind::Gauge,
        );
        family.sample(&[("interval", b"1m"), ("value", b"max")], most);
        family.sample(&[("interval", b"1m"), ("value", b"min")], least);
    }
    out.family(&PANICS).sample(&[], worker.panics);
    emit_counts(worker, out);
    emit_files(worker, open, out);
    if let Some(saver) = &worker.saver {
        emit_saves(&saver.told, out);
    }
}

fn emit_counts(worker: &Worker, out: &mut Part) {
    let mut inputs: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut cut = 0;
    for (input, path, counts) in worker.ledger.counts() {
        cut += counts.cut;
        let all = inputs.entry(input).or_default();
        all.matched += counts.matched;
        all.ignored += counts.ignored;
        all.bytes += counts.bytes;
        if path.is_empty() {
            continue;
        }
        let (input, path) = (input.as_bytes(), path.as_bytes());
        let mut family = out.family(&FILE_LINES);
        family.sample(&[("file", path), ("input", input), ("status", b"matched")], counts.matched);
        family.sample(&[("file", path), ("input", input), ("status", b"ignored")], counts.ignored);
        out.family(&FILE_BYTES).sample(&[("file", path), ("input", input)], counts.bytes);
    }
    for (input, counts) in inputs {
        let mut family = out.family(&INPUT_LINES);
        family.sample(&[("input", input.as_bytes()), ("status", b"matched")], counts.matched);
        family.sample(&[("input", input.as_bytes()), ("status", b"ignored")], counts.ignored);
        out.family(&INPUT_BYTES).sample(&[("input", input.as_bytes())], counts.bytes);
    }
    out.family(&LINES_CUT).sample(&[], cut);
}

/// By path: the file that has it now, and the unread rest of those that had it.
fn emit_files(worker: &Worker, open: &Open, out: &mut Part) {
    let mut files: BTreeMap<(&str, &str), (u64, u64, u64)> = BTreeMap::new();
    for (source, offset) in worker.ledger.files() {
        let Some(size) = open.size(source.id) else { continue };
        let file = files.entry((&source.input, &source.path)).or_default();
        // Sources come in the order in which they were opened: the last is the one that has the name.
        *file = (offset, size, file.2 + size.saturating_sub(offset));
    }
    for ((input, path), (offset, size, lag)) in files {
        let labels: [(&str, &[u8]); 2] = [("file", path.as_bytes()), ("input", input.as_bytes())];
        out.family(&FILE_POSITION).sample(&labels, offset);
        out.family(&FILE_SIZE).sample(&labels, size);
        out.family(&FILE_LAG).sample(&labels, lag);
    }
}

fn emit_saves(told: &Told, out: &mut Part) {
    out.family(&SAVES).sample(&[], told.saves.load(Ordering::Relaxed));
    out.family(&SAVE_FAILURES).sample(&[], told.failures.load(Ordering::Relaxed));
    out.family(&SAVED_TIME).sample(&[], seconds(&told.last));
    out.family(&SAVED_BYTES).sample(&[], told.bytes.load(Ordering::Relaxed));
}

/// What the inputs count by themselves.
pub(crate) fn emit_inputs(tallies: &Tallies, out: &mut Part) {
    tallies.each(|input, counters| {
        let labels: [(&str, &[u8]); 1] = [("input", input.as_bytes())];
        for (desc, count) in [
            (&INPUT_ERRORS, &counters.errors),
            (&INPUT_REQUESTS, &counters.requests),
            (&INPUT_CONNECTIONS, &counters.connections),
            (&OPEN_FILES, &counters.files),
            (&ROTATED, &counters.rotated),
            (&TRUNCATED, &counters.truncated),
        ] {
            out.family(desc).sample(&labels, count.load(Ordering::Relaxed));
        }
    });
}
