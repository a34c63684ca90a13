//! Files of a port and the families that they fill, in order of the files' names.

use exporter::Desc;

/// A file, what its number is multiplied by, and the family.
pub(super) type Counter = (&'static str, u64, Desc);

macro_rules! counter {
    ($file:literal, $scale:literal, $name:literal, $help:literal) => {
        ($file, $scale, Desc::counter(concat!("node_infiniband_", $name), $help))
    };
}

/// `counters`. The data counters are in units of four bytes, as the specification has them.
pub(super) const COUNTERS: [Counter; 22] = [
    counter!(
        "VL15_dropped",
        1,
        "vl15_dropped_total",
        "Number of incoming VL15 packets dropped due to resource limitations."
    ),
    counter!(
        "excessive_buffer_overrun_errors",
        1,
        "excessive_buffer_overrun_errors_total",
        "Number of times that OverrunErrors consecutive flow control update periods occurred, each having at least one overrun error."
    ),
    counter!(
        "link_downed",
        1,
        "link_downed_total",
        "Number of times the link failed to recover from an error state and went down"
    ),
    counter!(
        "link_error_recovery",
        1,
        "link_error_recovery_total",
        "Number of times the link successfully recovered from an error state"
    ),
    counter!(
        "local_link_integrity_errors",
        1,
        "local_link_integrity_errors_total",
        "Number of times that the count of local physical errors exceeded the threshold specified by LocalPhyErrors."
    ),
    counter!(
        "multicast_rcv_packets",
        1,
        "multicast_packets_received_total",
        "Number of multicast packets received (including errors)"
    ),
    counter!(
        "multicast_xmit_packets",
        1,
        "multicast_packets_transmitted_total",
        "Number of multicast packets transmitted (including errors)"
    ),
    counter!(
        "port_rcv_constraint_errors",
        1,
        "port_constraint_errors_received_total",
        "Number of packets received on the switch physical port that are discarded"
    ),
    counter!("port_rcv_data", 4, "port_data_received_bytes_total", "Number of data octets received on all links"),
    counter!(
        "port_rcv_discards",
        1,
        "port_discards_received_total",
        "Number of inbound packets discarded by the port because the port is down or congested"
    ),
    counter!(
        "port_rcv_errors",
        1,
        "port_errors_received_total",
        "Number of packets containing an error that were received on this port"
    ),
    counter!(
        "port_rcv_packets",
        1,
        "port_packets_received_total",
        "Number of packets received on all VLs by this port (including errors)"
    ),
    counter!(
        "port_rcv_remote_physical_errors",
        1,
        "port_receive_remote_physical_errors_total",
        "Number of packets marked with the EBP (End of Bad Packet) delimiter received on the port."
    ),
    counter!(
        "port_rcv_switch_relay_errors",
        1,
        "port_receive_switch_relay_errors_total",
        "Number of packets that could not be forwarded by the switch."
    ),
    counter!(
        "port_xmit_constraint_errors",
        1,
        "port_constraint_errors_transmitted_total",
        "Number of packets not transmitted from the switch physical port"
    ),
    counter!(
        "port_xmit_data",
        4,
        "port_data_transmitted_bytes_total",
        "Number of data octets transmitted on all links"
    ),
    counter!(
        "port_xmit_discards",
        1,
        "port_discards_transmitted_total",
        "Number of outbound packets discarded by the port because the port is down or congested"
    ),
    counter!(
        "port_xmit_packets",
        1,
        "port_packets_transmitted_total",
        "Number of packets transmitted on all VLs from this port (including errors)"
    ),
    counter!(
        "port_xmit_wait",
        1,
        "port_transmit_wait_total",
        "Number of ticks during which the port had data to transmit but no data was sent during the entire tick"
    ),
    counter!(
        "symbol_error",
        1,
        "symbol_error_total",
        "Number of minor link errors detected on one or more physical lanes."
    ),
    counter!(
        "unicast_rcv_packets",
        1,
        "unicast_packets_received_total",
        "Number of unicast packets received (including errors)"
    ),
    counter!(
        "unicast_xmit_packets",
        1,
        "unicast_packets_transmitted_total",
        "Number of unicast packets transmitted (including errors)"
    ),
];

/// `counters_ext`, until Linux 4.6.
pub(super) const COUNTERS_EXT: [Counter; 8] = [
    counter!(
        "port_multicast_rcv_packets",
        1,
        "legacy_multicast_packets_received_total",
        "Number of multicast packets received"
    ),
    counter!(
        "port_multicast_xmit_packets",
        1,
        "legacy_multicast_packets_transmitted_total",
        "Number of multicast packets transmitted"
    ),
    counter!("port_rcv_data_64", 4, "legacy_data_received_bytes_total", "Number of data octets received on all links"),
    counter!("port_rcv_packets_64", 1, "legacy_packets_received_total", "Number of data packets received on all links"),
    counter!(
        "port_unicast_rcv_packets",
        1,
        "legacy_unicast_packets_received_total",
        "Number of unicast packets received"
    ),
    counter!(
        "port_unicast_xmit_packets",
        1,
        "legacy_unicast_packets_transmitted_total",
        "Number of unicast packets transmitted"
    ),
    counter!(
        "port_xmit_data_64",
        4,
        "legacy_data_transmitted_bytes_total",
        "Number of data octets transmitted on all links"
    ),
    counter!(
        "port_xmit_packets_64",
        1,
        "legacy_packets_transmitted_total",
        "Number of data packets received on all links"
    ),
];

/// `hw_counters`, those of Mellanox's drivers.
pub(super) const HW_COUNTERS: [Counter; 29] = [
    counter!(
        "duplicate_request",
        1,
        "duplicate_requests_packets_total",
        "The number of received packets. A duplicate request is a request that had been previously executed."
    ),
    counter!(
        "implied_nak_seq_err",
        1,
        "implied_nak_seq_errors_total",
        "The number of time the requested decided an ACK. with a PSN larger than the expected PSN for an RDMA read or response."
    ),
    counter!(
        "local_ack_timeout_err",
        1,
        "local_ack_timeout_errors_total",
        "The number of times QP's ack timer expired for RC, XRC, DCT QPs at the sender side. The QP retry limit was not exceed, therefore it is still recoverable error."
    ),
    counter!(
        "np_cnp_sent",
        1,
        "np_cnp_packets_sent_total",
        "The number of CNP packets sent by the Notification Point when it noticed congestion experienced in the RoCEv2 IP header (ECN bits). The counters was added in MLNX_OFED 4.1"
    ),
    counter!(
        "np_ecn_marked_roce_packets",
        1,
        "np_ecn_marked_roce_packets_received_total",
        "The number of RoCEv2 packets received by the notification point which were marked for experiencing the congestion (ECN bits where '11' on the ingress RoCE traffic) . The counters was added in MLNX_OFED 4.1"
    ),
    counter!(
        "out_of_buffer",
        1,
        "out_of_buffer_drops_total",
        "The number of drops occurred due to lack of WQE for the associated QPs."
    ),
    counter!(
        "out_of_sequence",
        1,
        "out_of_sequence_packets_received_total",
        "The number of out of sequence packets received."
    ),
    counter!(
        "packet_seq_err",
        1,
        "packet_sequence_errors_total",
        "The number of received NAK sequence error packets. The QP retry limit was not exceeded."
    ),
    counter!(
        "req_cqe_error",
        1,
        "req_cqes_errors_total",
        "The number of times requester detected CQEs completed with errors. The counters was added in MLNX_OFED 4.1"
    ),
    counter!(
        "req_cqe_flush_error",
        1,
        "req_cqes_flush_errors_total",
        "The number of times requester detected CQEs completed with flushed errors. The counters was added in MLNX_OFED 4.1"
    ),
    counter!(
        "req_remote_access_errors",
        1,
        "req_remote_access_errors_total",
        "The number of times requester detected remote access errors. The counters was added in MLNX_OFED 4.1"
    ),
    counter!(
        "req_remote_invalid_request",
        1,
        "req_remote_invalid_request_errors_total",
        "The number of times requester detected remote invalid request errors. The counters was added in MLNX_OFED 4.1"
    ),
    counter!(
        "resp_cqe_error",
        1,
        "resp_cqes_errors_total",
        "The number of times responder detected CQEs completed with errors. The counters was added in MLNX_OFED 4.1"
    ),
    counter!(
        "resp_cqe_flush_error",
        1,
        "resp_cqes_flush_errors_total",
        "The number of times responder detected CQEs completed with flushed errors. The counters was added in MLNX_OFED 4.1"
    ),
    counter!(
        "resp_local_length_error",
        1,
        "resp_local_length_errors_total",
        "The number of times responder detected local length errors. The counters was added in MLNX_OFED 4.1"
    ),
    counter!(
        "resp_remote_access_errors",
        1,
        "resp_remote_access_errors_total",
        "The number of times responder detected remote access errors. The counters was added in MLNX_OFED 4.1"
    ),
    counter!(
        "rnr_nak_retry_err",
        1,
        "rnr_nak_retry_packets_received_total",
        "The number of received RNR NAK packets. The QP retry limit was not exceeded."
    ),
    counter!(
        "roce_adp_retrans",
        1,
        "roce_adp_retransmits_total",
        "The number of adaptive retransmissions for RoCE traffic. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"
    ),
    counter!(
        "roce_adp_retrans_to",
        1,
        "roce_adp_retransmits_timeout_total",
        "The number of times RoCE traffic reached timeout due to adaptive retransmission. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"
    ),
    counter!(
        "roce_slow_restart",
        1,
        "roce_slow_restart_used_total",
        "The number of times RoCE slow restart was used. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"
    ),
    counter!(
        "roce_slow_restart_cnps",
        1,
        "roce_slow_restart_cnps_total",
        "The number of times RoCE slow restart generated CNP packets. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"
    ),
    counter!(
        "roce_slow_restart_trans",
        1,
        "roce_slow_restart_total",
        "The number of times RoCE slow restart changed state to slow restart. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"
    ),
    counter!(
        "rp_cnp_handled",
        1,
        "rp_cnp_packets_handled_total",
        "The number of CNP packets handled by the Reaction Point HCA to throttle the transmission rate. The counters was added in MLNX_OFED 4.1"
    ),
    counter!(
        "rp_cnp_ignored",
        1,
        "rp_cnp_ignored_packets_received_total",
        "The number of CNP packets received and ignored by the Reaction Point HCA. This counter should not raise if RoCE Congestion Control was enabled in the network. If this counter raise, verify that ECN was enabled on the adapter."
    ),
    counter!(
        "rx_atomic_requests",
        1,
        "rx_atomic_requests_total",
        "The number of received ATOMIC request for the associated QPs."
    ),
    counter!(
        "rx_dct_connect",
        1,
        "rx_dct_connect_requests_total",
        "The number of received connection requests for the associated DCTs."
    ),
    counter!(
        "rx_icrc_encapsulated",
        1,
        "rx_icrc_encapsulated_errors_total",
        "The number of RoCE packets with ICRC errors. This counter was added in MLNX_OFED 4.4 and kernel 4.19"
    ),
    counter!(
        "rx_read_requests",
        1,
        "rx_read_requests_total",
        "The number of received READ requests for the associated QPs."
    ),
    counter!(
        "rx_write_requests",
        1,
        "rx_write_requests_total",
        "The number of received WRITE requests for the associated QPs."
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_order() {
        for table in [&COUNTERS[..], &COUNTERS_EXT, &HW_COUNTERS] {
            assert!(table.windows(2).all(|w| w[0].0 < w[1].0));
        }
    }
}
