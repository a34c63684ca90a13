//! Recorded queueing disciplines, which `--collector.qdisc.fixtures` reads: JSON as upstream's test has it.

use super::Stats;
use serde_json::Value;

/// Hands on device, kind and counters of the disciplines at the root.
pub(super) fn read(json: &[u8], mut each: impl FnMut(&[u8], &[u8], &Stats)) -> Result<(), serde_json::Error> {
    for entry in serde_json::from_slice::<Vec<Value>>(json)? {
        let number = |key: &str| entry.get(key).and_then(Value::as_u64).unwrap_or(0);
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().as_bytes();
        if number("Parent") != 0 {
            continue;
        }
        let stats = Stats {
            bytes: number("Bytes"),
            packets: number("Packets"),
            drops: number("Drops"),
            requeues: number("Requeues"),
            overlimits: number("Overlimits"),
            queue_length: number("Qlen"),
            backlog: number("Backlog"),
        };
        each(text("IfaceName"), text("Kind"), &stats);
    }
    Ok(())
}
