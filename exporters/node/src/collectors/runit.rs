//! States of services that runit supervises, from `<service>/supervise/status` (runit's `sv.c`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use std::path::PathBuf;

const SERVICE_DIR: Flag = Flag::text("collector.runit.servicedir", "/etc/service", "Path to runit service directory.");

/// Registers the collector.
pub(crate) const RUNIT: Entry = Entry {
    name: "runit",
    default: Default::Off,
    about: "states of services that runit supervises, from supervise/status in each service's directory",
    flags: &[SERVICE_DIR],
    build: |flags, _| Ok(Box::new(Runit { dir: flags.text(SERVICE_DIR.name).into() })),
};

const STATE: Desc = Desc::gauge("node_service_state", "State of runit service.");
const DESIRED: Desc = Desc::gauge("node_service_desired_state", "Desired state of runit service.");
const NORMAL: Desc = Desc::gauge("node_service_normal_state", "Normal state of runit service.");
const CHANGED: Desc = Desc::gauge(
    "node_service_state_last_change_timestamp_seconds",
    "Unix timestamp of the last runit service state change.",
);

struct Runit {
    dir: PathBuf,
}

impl Collector for Runit {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let root = cx.sources.named(&self.dir);
        for service in root.entries()?.iter() {
            let dir = root.child(service);
            // Only root may look into `supervise`; what is no service has none.
            let Ok(text) = dir.join("supervise/status").read(cx.buf) else { continue };
            let Some(status) = parse(text) else { continue };
            let labels: [(&str, &[u8]); 2] = [("service", service), ("supervisor", b"runit")];
            out.family(&STATE).sample(&labels, status.state);
            out.family(&DESIRED).sample(&labels, status.want);
            out.family(&CHANGED).sample(&labels, status.changed);
            // Differs from node_exporter: it looks for `supervise/down`, which runit never makes; see sv(8).
            out.family(&NORMAL).sample(&labels, !dir.join("down").exists());
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Status {
    /// Unix time.
    changed: i64,
    /// 0 down, 1 run, 2 finish.
    state: u8,
    /// 1 up, 0 down.
    want: u8,
}

/// 20 bytes: TAI64N time of the last change (12), process id (4), paused, want, got a term signal, state.
fn parse(bytes: &[u8]) -> Option<Status> {
    let (tai, rest) = bytes.split_first_chunk::<8>()?;
    let [.., want, _, state] = *rest.first_chunk::<12>()?;
    // 2^62 is 1970; runit adds the ten leap seconds of that day and no later ones.
    let changed = u64::from_be_bytes(*tai).wrapping_sub((1 << 62) + 10) as i64;
    Some(Status { changed, state, want: u8::from(want == b'u') })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    const RUNNING: &[u8] =
        &[0x40, 0, 0, 0, 0x65, 0x53, 0xf1, 0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0xd2, 0x04, 0, 0, 0, b'u', 0, 1];

    #[test]
    fn services() {
        let tree = Tree::of(&[
            ("etc/service/web/supervise/status", RUNNING),
            ("etc/service/db/supervise/status", RUNNING),
            ("etc/service/db/down", b""),
            ("etc/service/short/supervise/status", b"short"),
            ("etc/service/none/run", b"#!/bin/sh\n"),
        ]);
        let flag = format!("--collector.runit.servicedir={}", tree.path().join("etc/service").display());
        let (text, result) = exporter::testing::collect(&RUNIT, &[&flag], &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_service_desired_state{service=\"db\",supervisor=\"runit\"} 1",
                "node_service_desired_state{service=\"web\",supervisor=\"runit\"} 1",
                "node_service_normal_state{service=\"db\",supervisor=\"runit\"} 0",
                "node_service_normal_state{service=\"web\",supervisor=\"runit\"} 1",
                "node_service_state{service=\"db\",supervisor=\"runit\"} 1",
                "node_service_state{service=\"web\",supervisor=\"runit\"} 1",
                "node_service_state_last_change_timestamp_seconds{service=\"db\",supervisor=\"runit\"} 1.7e+09",
                "node_service_state_last_change_timestamp_seconds{service=\"web\",supervisor=\"runit\"} 1.7e+09",
            ]
        );
    }

    #[test]
    fn no_directory_is_a_failure() {
        let tree = Tree::of(&[]);
        let (_, result) =
            exporter::testing::collect(&RUNIT, &["--collector.runit.servicedir=/no/such"], &tree.sources());
        assert!(result.unwrap_err().to_string().contains("/no/such"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            prop_assert_eq!(parse(&bytes).is_some(), bytes.len() >= 20);
        }
    }
}
