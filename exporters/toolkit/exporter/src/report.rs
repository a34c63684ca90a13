//! What a program says of its collectors on this host: `doctor`, `collectors`, `docs` and the landing page's table.

use crate::{CollectError, Default, Entry, Registry};
use hostfs::ReadError;
use service::{Flag, FlagKind, escape};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// `doctor`: whether each collector would work here and what to do if not. The second value is whether all that are on
/// by their flags do.
pub(crate) fn doctor(registry: &Registry, switched_on: impl Fn(&Entry) -> bool) -> (String, bool) {
    let mut out = String::new();
    let mut good = true;
    for state in registry.states() {
        let entry = state.entry;
        let on = switched_on(entry);
        let deadline = Instant::now() + PROBE_TIME;
        let Some((took, result)) = registry.probe(entry.name, deadline) else { continue };
        let verdict = match &result {
            Ok(samples) => format!("works, {samples} samples in {:.2} ms", took.as_secs_f64() * 1e3),
            Err(CollectError::NoData) => "nothing to read here: this host has no such source".to_owned(),
            Err(CollectError::Failed(e)) => {
                good &= !on;
                format!("fails: {e}{}", remedy(e.as_ref()))
            }
        };
        let mark = match (on, &result) {
            (_, Err(CollectError::NoData)) => "-",
            (_, Ok(_)) => "ok",
            (true, Err(_)) => "FAIL",
            (false, Err(_)) => "fail",
        };
        let switch = if on { "on" } else { "off" };
        let _ = writeln!(out, "{mark:<5}{:<20} {switch:<4} {verdict}", entry.name);
    }
    (out, good)
}

/// What to do about a failed read.
fn remedy(error: &(dyn std::error::Error + 'static)) -> String {
    match error.downcast_ref::<ReadError>() {
        Some(e) if e.is_denied() => {
            "; run as root, or give the container or unit the right to read it, or switch the collector off".to_owned()
        }
        Some(e) if e.is_absent() => {
            format!("; {} is not there: mount the host's file system, or check the --path.* flags", e.path().display())
        }
        _ => String::new(),
    }
}

/// `collectors`: what is on, what it reads, and what it costs here.
pub(crate) fn collectors(registry: &Registry) -> String {
    let mut out = format!("{:<20} {:>10} {:>8}  reads\n", "collector", "us/scrape", "samples");
    let mut total = Duration::ZERO;
    for state in registry.states() {
        let name = state.entry.name;
        let deadline = Instant::now() + PROBE_TIME;
        // The first run opens files and fills caches.
        let Some((_, Ok(samples))) = registry.probe(name, deadline) else {
            let _ = writeln!(out, "{name:<20} {:>10} {:>8}  {}", "-", "-", state.entry.about);
            continue;
        };
        let start = Instant::now();
        let mut runs = 0;
        while runs < COST_RUNS && Instant::now() < deadline {
            let _ = registry.probe(name, deadline);
            runs += 1;
        }
        let each = start.elapsed() / runs.max(1);
        total += each;
        let _ = writeln!(out, "{name:<20} {:>10.1} {samples:>8}  {}", each.as_secs_f64() * 1e6, state.entry.about);
    }
    let _ = writeln!(out, "{:<20} {:>10.1}", "all", total.as_secs_f64() * 1e6);
    out
}

/// The landing page's table of collectors, as HTML.
pub(crate) fn landing_table(registry: &Registry, entries: &[Entry]) -> String {
    let mut out = String::from(
        "<h3>Collectors</h3><table><tr><th>collector</th><th>state</th><th>last run</th><th>samples</th><th>last error</th></tr>",
    );
    let states = registry.states();
    for entry in entries {
        let state = states.iter().find(|s| s.entry.name == entry.name);
        let (word, took, samples, error) = match state.map(|s| &s.last) {
            None => ("off", String::new(), String::new(), ""),
            Some(None) => ("on", String::new(), String::new(), ""),
            Some(Some(last)) => (
                if last.error.is_some() { "failing" } else { "on" },
                format!("{:.2} ms", last.took.as_secs_f64() * 1e3),
                last.samples.to_string(),
                last.error.as_deref().unwrap_or(""),
            ),
        };
        let _ = write!(
            out,
            "<tr><td title=\"{}\">{}</td><td>{word}</td><td>{took}</td><td>{samples}</td><td>{}</td></tr>",
            escape(entry.about),
            entry.name,
            escape(error)
        );
    }
    out.push_str("</table>");
    out
}

/// `docs`: the flags as a Markdown table.
pub(crate) fn flags_table(flags: &[Flag]) -> String {
    let mut out = String::from("| flag | default | what it does |\n|---|---|---|\n");
    let mut flags: Vec<&Flag> = flags.iter().filter(|f| !f.hidden).collect();
    flags.sort_by_key(|f| f.name);
    for flag in flags {
        let (name, default) = match flag.kind {
            FlagKind::Bool => (format!("--[no-]{}", flag.name), if flag.default == "true" { "on" } else { "off" }),
            _ => (format!("--{}", flag.name), flag.default),
        };
        let default = if default.is_empty() { String::new() } else { format!("`{}`", default.replace('|', "\\|")) };
        let env = flag.env.map(|e| format!(" Environment: `{e}`.")).unwrap_or_default();
        let _ = writeln!(out, "| `{name}` | {default} | {}{env} |", flag.help.replace('|', "\\|"));
    }
    out
}

/// `docs`: the collectors as a Markdown table.
pub(crate) fn collectors_table(entries: &[Entry]) -> String {
    let mut out = String::from("| collector | default | what it reads |\n|---|---|---|\n");
    for entry in entries {
        let default = if entry.default == Default::On { "on" } else { "off" };
        let _ = writeln!(out, "| {} | {default} | {} |", entry.name, entry.about.replace('|', "\\|"));
    }
    out
}

/// How long one collector may take to answer `doctor`.
const PROBE_TIME: Duration = Duration::from_secs(5);
/// Runs that a cost is the mean of.
const COST_RUNS: u32 = 50;
