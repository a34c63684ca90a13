//! What the kernel knows of the CPU's vulnerabilities, from `/sys/devices/system/cpu/vulnerabilities`
//! (`Documentation/ABI/testing/sysfs-devices-system-cpu`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{ReadError, scan};

/// Registers the collector.
pub(crate) const CPU_VULNERABILITIES: Entry = Entry {
    name: "cpu_vulnerabilities",
    default: Default::Off,
    about: "state and mitigation of each CPU vulnerability, from /sys/devices/system/cpu/vulnerabilities",
    flags: &[],
    build: |_, _| Ok(Box::new(CpuVulnerabilities)),
};

const INFO: Desc = Desc::gauge(
    "node_cpu_vulnerabilities_info",
    "Details of each CPU vulnerability reported by sysfs. The value of the series is an int encoded state of the \
     vulnerability. The same state is stored as a string in the label",
);

struct CpuVulnerabilities;

impl Collector for CpuVulnerabilities {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let folder = cx.sources.sys("devices/system/cpu/vulnerabilities");
        let entries = match folder.entries() {
            Ok(entries) => entries,
            // Kernels before 4.15 do not tell.
            Err(e) if e.is_absent() => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        let mut failed: Option<ReadError> = None;
        for name in entries.iter() {
            match folder.child(name).read_trimmed(cx.buf) {
                Ok(text) => {
                    let (state, mitigation) = parse(text);
                    let labels: [(&str, &[u8]); 3] =
                        [("codename", name), ("mitigation", &mitigation), ("state", state.as_bytes())];
                    out.family(&INFO).sample(&labels, 1u64);
                }
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        failed.map_or(Ok(()), |e| Err(e.into()))
    }
}

/// `Mitigation: usercopy barriers` is a state and what comes after its word.
fn parse(text: &[u8]) -> (&'static str, Vec<u8>) {
    const STATES: [&str; 3] = ["vulnerable", "mitigation", "unknown"];
    let starts_with = |word: &str| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word.as_bytes()));
    if starts_with("not affected") {
        return ("not affected", Vec::new());
    }
    match STATES.into_iter().find(|state| starts_with(state)) {
        Some(state) => (state, scan::fields(text).skip(1).collect::<Vec<_>>().join(&b' ')),
        // `KVM: Mitigation: VMX disabled`
        None => ("unknown", text.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn states() {
        for (text, state, mitigation) in [
            ("Not affected", "not affected", ""),
            ("Vulnerable", "vulnerable", ""),
            (
                "Vulnerable: Clear CPU buffers attempted, no microcode",
                "vulnerable",
                "Clear CPU buffers attempted, no microcode",
            ),
            ("Mitigation; IBPB", "mitigation", "IBPB"),
            ("Mitigation:   a   b", "mitigation", "a b"),
            ("KVM: Mitigation: VMX disabled", "unknown", "KVM: Mitigation: VMX disabled"),
            ("Unknown: No mitigations", "unknown", "No mitigations"),
            ("", "unknown", ""),
        ] {
            assert_eq!(parse(text.as_bytes()), (state, mitigation.as_bytes().to_vec()), "{text}");
        }
    }

    #[test]
    fn a_tree_s_text() {
        let tree = Tree::of(&[
            ("sys/devices/system/cpu/vulnerabilities/mds", b"Vulnerable\n"),
            ("sys/devices/system/cpu/vulnerabilities/meltdown", b"Mitigation: PTI\n"),
        ]);
        let (text, result) = exporter::testing::collect(&CPU_VULNERABILITIES, &[], &tree.sources());
        result.unwrap();
        assert!(
            text.ends_with(
                "# TYPE node_cpu_vulnerabilities_info gauge\n\
                 node_cpu_vulnerabilities_info{codename=\"mds\",mitigation=\"\",state=\"vulnerable\"} 1\n\
                 node_cpu_vulnerabilities_info{codename=\"meltdown\",mitigation=\"PTI\",state=\"mitigation\"} 1\n"
            ),
            "{text}"
        );
        exporter::testing::collect(&CPU_VULNERABILITIES, &[], &Tree::of(&[]).sources()).1.unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
