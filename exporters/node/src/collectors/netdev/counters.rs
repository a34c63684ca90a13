//! Which counter fills which family, under the names of `/proc/net/dev` or the detailed ones.

use exporter::Desc;
use hostfs::netlink::LinkStats;
use hostfs::scan;

/// A family and where its number comes from.
pub(super) type Counter<S> = (Desc, fn(&S) -> u64);

/// The numbers of one line of `/proc/net/dev`.
pub(super) type Columns = [u64; 16];

macro_rules! counter {
    ($key:literal) => {
        Desc::counter(concat!("node_network_", $key, "_total"), concat!("Network device statistic ", $key, "."))
    };
}

/// rtnetlink's counters, added up as the kernel does for `/proc/net/dev` (`dev_seq_printf_stats`).
pub(super) const LINK: [Counter<LinkStats>; 17] = [
    (counter!("receive_packets"), |s| s.rx_packets),
    (counter!("transmit_packets"), |s| s.tx_packets),
    (counter!("receive_bytes"), |s| s.rx_bytes),
    (counter!("transmit_bytes"), |s| s.tx_bytes),
    (counter!("receive_errs"), |s| s.rx_errors),
    (counter!("transmit_errs"), |s| s.tx_errors),
    (counter!("receive_drop"), |s| s.rx_dropped.wrapping_add(s.rx_missed_errors)),
    (counter!("transmit_drop"), |s| s.tx_dropped),
    (counter!("receive_multicast"), |s| s.multicast),
    (counter!("transmit_colls"), |s| s.collisions),
    (counter!("receive_frame"), |s| {
        s.rx_frame_errors.wrapping_add(s.rx_length_errors).wrapping_add(s.rx_over_errors).wrapping_add(s.rx_crc_errors)
    }),
    (counter!("receive_fifo"), |s| s.rx_fifo_errors),
    (counter!("transmit_carrier"), |s| {
        s.tx_carrier_errors
            .wrapping_add(s.tx_aborted_errors)
            .wrapping_add(s.tx_heartbeat_errors)
            .wrapping_add(s.tx_window_errors)
    }),
    (counter!("transmit_fifo"), |s| s.tx_fifo_errors),
    (counter!("receive_compressed"), |s| s.rx_compressed),
    (counter!("transmit_compressed"), |s| s.tx_compressed),
    (counter!("receive_nohandler"), |s| s.rx_nohandler),
];

/// rtnetlink's counters one by one.
pub(super) const DETAILED_LINK: [Counter<LinkStats>; 24] = [
    (counter!("receive_packets"), |s| s.rx_packets),
    (counter!("transmit_packets"), |s| s.tx_packets),
    (counter!("receive_bytes"), |s| s.rx_bytes),
    (counter!("transmit_bytes"), |s| s.tx_bytes),
    (counter!("receive_errors"), |s| s.rx_errors),
    (counter!("transmit_errors"), |s| s.tx_errors),
    (counter!("receive_dropped"), |s| s.rx_dropped),
    (counter!("transmit_dropped"), |s| s.tx_dropped),
    (counter!("multicast"), |s| s.multicast),
    (counter!("collisions"), |s| s.collisions),
    (counter!("receive_length_errors"), |s| s.rx_length_errors),
    (counter!("receive_over_errors"), |s| s.rx_over_errors),
    (counter!("receive_crc_errors"), |s| s.rx_crc_errors),
    (counter!("receive_frame_errors"), |s| s.rx_frame_errors),
    (counter!("receive_fifo_errors"), |s| s.rx_fifo_errors),
    (counter!("receive_missed_errors"), |s| s.rx_missed_errors),
    (counter!("transmit_aborted_errors"), |s| s.tx_aborted_errors),
    (counter!("transmit_carrier_errors"), |s| s.tx_carrier_errors),
    (counter!("transmit_fifo_errors"), |s| s.tx_fifo_errors),
    (counter!("transmit_heartbeat_errors"), |s| s.tx_heartbeat_errors),
    (counter!("transmit_window_errors"), |s| s.tx_window_errors),
    (counter!("receive_compressed"), |s| s.rx_compressed),
    (counter!("transmit_compressed"), |s| s.tx_compressed),
    (counter!("receive_nohandler"), |s| s.rx_nohandler),
];

/// The columns of `/proc/net/dev`.
pub(super) const TABLE: [Counter<Columns>; 16] = [
    (counter!("receive_bytes"), |c| c[0]),
    (counter!("receive_packets"), |c| c[1]),
    (counter!("receive_errs"), |c| c[2]),
    (counter!("receive_drop"), |c| c[3]),
    (counter!("receive_fifo"), |c| c[4]),
    (counter!("receive_frame"), |c| c[5]),
    (counter!("receive_compressed"), |c| c[6]),
    (counter!("receive_multicast"), |c| c[7]),
    (counter!("transmit_bytes"), |c| c[8]),
    (counter!("transmit_packets"), |c| c[9]),
    (counter!("transmit_errs"), |c| c[10]),
    (counter!("transmit_drop"), |c| c[11]),
    (counter!("transmit_fifo"), |c| c[12]),
    (counter!("transmit_colls"), |c| c[13]),
    (counter!("transmit_carrier"), |c| c[14]),
    (counter!("transmit_compressed"), |c| c[15]),
];

/// The columns of `/proc/net/dev` under the detailed names: only those of errors and drops differ.
pub(super) const DETAILED_TABLE: [Counter<Columns>; 16] = {
    let mut table = TABLE;
    table[2].0 = counter!("receive_errors");
    table[3].0 = counter!("receive_dropped");
    table[10].0 = counter!("transmit_errors");
    table[11].0 = counter!("transmit_dropped");
    table
};

/// The devices of `/proc/net/dev`; lines that are too short are left out, as are the two headings.
pub(super) fn parse_table(table: &[u8]) -> impl Iterator<Item = (&[u8], Columns)> {
    scan::lines(table).skip(2).filter_map(|line| {
        // A name may hold a colon (eth0:1), the numbers never.
        let colon = line.iter().rposition(|&b| b == b':')?;
        let mut fields = scan::fields(&line[colon + 1..]);
        let mut columns = [0; 16];
        for column in &mut columns {
            *column = scan::u64(fields.next()?)?;
        }
        Some((line[..colon].trim_ascii(), columns))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sums_are_those_of_the_kernel_s_table() {
        let stats = LinkStats {
            rx_dropped: 1,
            rx_missed_errors: 2,
            rx_frame_errors: 1,
            rx_length_errors: 10,
            rx_over_errors: 100,
            rx_crc_errors: 1000,
            tx_carrier_errors: 2,
            tx_aborted_errors: 20,
            tx_heartbeat_errors: 200,
            tx_window_errors: 2000,
            ..LinkStats::default()
        };
        let sum = |name: &str| LINK.iter().find(|(d, _)| d.name == name).map(|(_, count)| count(&stats));
        assert_eq!(sum("node_network_receive_drop_total"), Some(3));
        assert_eq!(sum("node_network_receive_frame_total"), Some(1111));
        assert_eq!(sum("node_network_transmit_carrier_total"), Some(2222));
    }

    #[test]
    fn lines_of_the_table() {
        let table = b"h\nh\n eth0:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\nshort: 1\nno colon\n";
        assert_eq!(
            parse_table(table).collect::<Vec<_>>(),
            [(&b"eth0:1"[..], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse_table(&bytes).count();
        }
    }
}
