//! Errors of IPsec packets, from `/proc/net/xfrm_stat` (`Documentation/networking/xfrm_proc.rst`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const XFRM: Entry = Entry {
    name: "xfrm",
    default: Default::Off,
    about: "errors of IPsec packets, from /proc/net/xfrm_stat",
    flags: &[],
    build: |_, sources| {
        let dir = sources.network().proc_dir();
        Ok(Box::new(Xfrm { file: sources.kept_proc(format!("{dir}/xfrm_stat")) }))
    },
};

const COUNTERS: [(&[u8], Desc); 28] = [
    (b"XfrmInError", Desc::counter("node_xfrm_in_error_packets_total", "All errors not matched by other")),
    (b"XfrmInBufferError", Desc::counter("node_xfrm_in_buffer_error_packets_total", "No buffer is left")),
    (b"XfrmInHdrError", Desc::counter("node_xfrm_in_hdr_error_packets_total", "Header error")),
    (
        b"XfrmInNoStates",
        Desc::counter(
            "node_xfrm_in_no_states_packets_total",
            "No state is found i.e. Either inbound SPI, address, or IPsec protocol at SA is wrong",
        ),
    ),
    (
        b"XfrmInStateProtoError",
        Desc::counter(
            "node_xfrm_in_state_proto_error_packets_total",
            "Transformation protocol specific error e.g. SA key is wrong",
        ),
    ),
    (
        b"XfrmInStateModeError",
        Desc::counter("node_xfrm_in_state_mode_error_packets_total", "Transformation mode specific error"),
    ),
    (
        b"XfrmInStateSeqError",
        Desc::counter(
            "node_xfrm_in_state_seq_error_packets_total",
            "Sequence error i.e. Sequence number is out of window",
        ),
    ),
    (b"XfrmInStateExpired", Desc::counter("node_xfrm_in_state_expired_packets_total", "State is expired")),
    (
        b"XfrmInStateMismatch",
        Desc::counter(
            "node_xfrm_in_state_mismatch_packets_total",
            "State has mismatch option e.g. UDP encapsulation type is mismatch",
        ),
    ),
    (b"XfrmInStateInvalid", Desc::counter("node_xfrm_in_state_invalid_packets_total", "State is invalid")),
    (
        b"XfrmInTmplMismatch",
        Desc::counter(
            "node_xfrm_in_tmpl_mismatch_packets_total",
            "No matching template for states e.g. Inbound SAs are correct but SP rule is wrong",
        ),
    ),
    (
        b"XfrmInNoPols",
        Desc::counter(
            "node_xfrm_in_no_pols_packets_total",
            "No policy is found for states e.g. Inbound SAs are correct but no SP is found",
        ),
    ),
    (b"XfrmInPolBlock", Desc::counter("node_xfrm_in_pol_block_packets_total", "Policy discards")),
    (b"XfrmInPolError", Desc::counter("node_xfrm_in_pol_error_packets_total", "Policy error")),
    (b"XfrmOutError", Desc::counter("node_xfrm_out_error_packets_total", "All errors which is not matched others")),
    (
        b"XfrmOutBundleGenError",
        Desc::counter("node_xfrm_out_bundle_gen_error_packets_total", "Bundle generation error"),
    ),
    (b"XfrmOutBundleCheckError", Desc::counter("node_xfrm_out_bundle_check_error_packets_total", "Bundle check error")),
    (b"XfrmOutNoStates", Desc::counter("node_xfrm_out_no_states_packets_total", "No state is found")),
    (
        b"XfrmOutStateProtoError",
        Desc::counter("node_xfrm_out_state_proto_error_packets_total", "Transformation protocol specific error"),
    ),
    (
        b"XfrmOutStateModeError",
        Desc::counter("node_xfrm_out_state_mode_error_packets_total", "Transformation mode specific error"),
    ),
    (
        b"XfrmOutStateSeqError",
        Desc::counter("node_xfrm_out_state_seq_error_packets_total", "Sequence error i.e. Sequence number overflow"),
    ),
    (b"XfrmOutStateExpired", Desc::counter("node_xfrm_out_state_expired_packets_total", "State is expired")),
    (b"XfrmOutPolBlock", Desc::counter("node_xfrm_out_pol_block_packets_total", "Policy discards")),
    (b"XfrmOutPolDead", Desc::counter("node_xfrm_out_pol_dead_packets_total", "Policy is dead")),
    (b"XfrmOutPolError", Desc::counter("node_xfrm_out_pol_error_packets_total", "Policy error")),
    (
        b"XfrmFwdHdrError",
        Desc::counter("node_xfrm_fwd_hdr_error_packets_total", "Forward routing of a packet is not allowed"),
    ),
    (
        b"XfrmOutStateInvalid",
        Desc::counter("node_xfrm_out_state_invalid_packets_total", "State is invalid, perhaps expired"),
    ),
    (
        b"XfrmAcquireError",
        Desc::counter("node_xfrm_acquire_error_packets_total", "State hasn’t been fully acquired before use"),
    ),
];

struct Xfrm {
    file: KeptFile,
}

impl Collector for Xfrm {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let counts = parse(self.file.read(cx.buf).or_no_data()?);
        for ((_, desc), count) in COUNTERS.iter().zip(counts) {
            out.family(desc).sample(&[], count);
        }
        Ok(())
    }
}

/// The numbers of the counters that are known; 0 for those that this kernel does not have.
fn parse(text: &[u8]) -> [u64; COUNTERS.len()] {
    let mut counts = [0; COUNTERS.len()];
    for line in scan::lines(text) {
        let mut fields = scan::fields(line);
        let (Some(name), Some(value)) = (fields.next(), fields.next().and_then(scan::u64)) else { continue };
        if let Some(at) = COUNTERS.iter().position(|(n, _)| *n == name) {
            counts[at] = value;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn known_unknown_and_missing_counters() {
        let tree = Tree::of(&[("proc/net/xfrm_stat", b"XfrmInError             \t7\nXfrmInStateDirError \t9\nbad\n")]);
        let (text, result) = exporter::testing::collect(&XFRM, &[], &tree.sources());
        result.unwrap();
        assert!(text.contains(
            "# HELP node_xfrm_in_error_packets_total All errors not matched by other\n\
             # TYPE node_xfrm_in_error_packets_total counter\nnode_xfrm_in_error_packets_total 7\n"
        ));
        assert!(text.contains("\nnode_xfrm_acquire_error_packets_total 0\n"));
        assert_eq!(text.lines().count(), 3 * COUNTERS.len());
        let (_, result) = exporter::testing::collect(&XFRM, &[], &Tree::of(&[]).sources());
        assert!(matches!(result, Err(CollectError::NoData)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
