//! Drivers' names of counters as names of families.

use std::collections::HashMap;

/// Names that were seen: drivers have hundreds, the same at each scrape.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Vec<u8>, (String, String)>);

impl Names {
    /// Name and help of a counter's family.
    pub(super) fn of(&mut self, counter: &[u8]) -> (&str, &str) {
        if !self.0.contains_key(counter) {
            // A driver that makes up names without end must not eat the memory.
            if self.0.len() >= MOST {
                self.0.clear();
            }
            self.0.insert(counter.to_vec(), name_and_help(counter));
        }
        let (name, help) = &self.0[counter];
        (name, help)
    }
}

fn name_and_help(counter: &[u8]) -> (String, String) {
    let counter = String::from_utf8_lossy(counter);
    if let Some((_, name, help)) = KNOWN.iter().find(|(known, ..)| *known == counter) {
        return (format!("node_ethtool_{name}"), (*help).to_owned());
    }
    let name = spell_out(&sanitize(&counter).to_ascii_lowercase());
    (format!("node_ethtool_{name}"), format!("Network interface {counter}"))
}

/// Runs of characters that a metric's name may not have become one `_`, together with those around them.
fn sanitize(counter: &str) -> String {
    let mut name = String::with_capacity(counter.len());
    // Whether the `_` at the end of `name` stands for characters that are not allowed.
    let mut replaced = false;
    for c in counter.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => {
                name.push(c);
                replaced = false;
            }
            '_' if replaced => {}
            '_' => name.push('_'),
            _ => {
                name.truncate(name.trim_end_matches('_').len());
                name.push('_');
                replaced = true;
            }
        }
    }
    name.trim_start_matches('_').to_owned()
}

/// `rx` and `tx` between `_` are spelled out. A word that was replaced took the `_` behind it: in `rx_rx_ok` the
/// second stays.
fn spell_out(name: &str) -> String {
    replace_word(&replace_word(name, "rx", "received"), "tx", "transmitted")
}

fn replace_word(name: &str, word: &str, by: &str) -> String {
    let words: Vec<&str> = name.split('_').collect();
    let mut out = String::with_capacity(name.len() + by.len());
    let mut after_replaced = false;
    for (at, part) in words.iter().enumerate() {
        if at > 0 {
            out.push('_');
        }
        after_replaced = *part == word && !after_replaced;
        out.push_str(if after_replaced { by } else { part });
    }
    out
}

/// Counters that upstream names and describes by hand.
const KNOWN: [(&str, &str, &str); 7] = [
    ("rx_bytes", "received_bytes_total", "Network interface bytes received"),
    ("rx_dropped", "received_dropped_total", "Number of received frames dropped"),
    ("rx_errors", "received_errors_total", "Number of received frames with errors"),
    ("rx_packets", "received_packets_total", "Network interface packets received"),
    ("tx_bytes", "transmitted_bytes_total", "Network interface bytes sent"),
    ("tx_errors", "transmitted_errors_total", "Number of sent frames with errors"),
    ("tx_packets", "transmitted_packets_total", "Network interface packets sent"),
];
const MOST: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_as_upstream_makes_them() {
        for (counter, name) in [
            ("rx_bytes", "received_bytes_total"),
            ("tx_timeouts", "transmitted_timeouts"),
            ("tx0_tx_timeouts", "tx0_transmitted_timeouts"),
            ("tx_tx_timeouts", "transmitted_tx_timeouts"),
            ("rx", "received"),
            ("prefix_rx", "prefix_received"),
            ("rx0.Bytes", "rx0_bytes"),
            ("[0]: rx_ok", "0_received_ok"),
            ("a__b", "a__b"),
            ("a_ - _b", "a_b"),
            ("__a", "a"),
            ("port.tx_bytes", "port_transmitted_bytes"),
            ("é", ""),
        ] {
            assert_eq!(name_and_help(counter.as_bytes()).0, format!("node_ethtool_{name}"), "{counter}");
        }
        assert_eq!(name_and_help(b"rx0.Bytes").1, "Network interface rx0.Bytes");
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_valid_name(bytes: Vec<u8>) {
            let (name, _) = name_and_help(&bytes);
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{}", name);
        }
    }
}
