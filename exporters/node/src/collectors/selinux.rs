//! SELinux: modes and the access vector cache, from selinuxfs (`/sys/fs/selinux`, `security/selinux/selinuxfs.c`) and
//! `/etc/selinux/config`.

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::scan;

/// Registers the collector.
pub(crate) const SELINUX: Entry = Entry {
    name: "selinux",
    default: Default::On,
    about: "SELinux modes and access vector cache counters, from /sys/fs/selinux and /etc/selinux/config",
    flags: &[],
    build: |_, _| Ok(Box::new(Selinux)),
};

const ENABLED: Desc = Desc::gauge("node_selinux_enabled", "SELinux is enabled, 1 is true, 0 is false");
const CONFIG_MODE: Desc = Desc::gauge("node_selinux_config_mode", "Configured SELinux enforcement mode");
const CURRENT_MODE: Desc = Desc::gauge("node_selinux_current_mode", "Current SELinux enforcement mode");
const AVC_THRESHOLD: Desc = Desc::gauge("node_selinux_avc_threshold", "SELinux AVC threshold");

/// In the order of the kernel's columns.
const CACHE: [Desc; 6] = [
    Desc::counter("node_selinux_avc_lookups_total", "SELinux AVC lookups"),
    Desc::counter("node_selinux_avc_hits_total", "SELinux AVC hits"),
    Desc::counter("node_selinux_avc_misses_total", "SELinux AVC misses"),
    Desc::counter("node_selinux_avc_allocations_total", "SELinux AVC allocations"),
    Desc::counter("node_selinux_avc_reclaims_total", "SELinux AVC reclaims"),
    Desc::counter("node_selinux_avc_frees_total", "SELinux AVC frees"),
];

const HASH: [Desc; 4] = [
    Desc::gauge("node_selinux_avc_hash_entries", "SELinux AVC hash entries"),
    Desc::gauge("node_selinux_avc_hash_buckets_available", "SELinux AVC hash buckets available"),
    Desc::gauge("node_selinux_avc_hash_buckets_used", "SELinux AVC hash buckets used"),
    Desc::gauge("node_selinux_avc_hash_longest_chain", "SELinux AVC hash longest chain"),
];

struct Selinux;

impl Collector for Selinux {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let root = cx.sources.sys("fs/selinux");
        let enforce = root.join("enforce");
        // Differs from node_exporter: a selinuxfs that is mounted read-only (a container's view of the host) counts too.
        let current = enforce.read_i64(cx.buf);
        out.family(&ENABLED).sample(&[], current.as_ref().map_or_else(|e| !e.is_absent(), |_| true));
        let current = match current {
            Err(e) if e.is_absent() => return Ok(()),
            current => current.unwrap_or(UNKNOWN),
        };
        let config = cx.sources.rootfs("etc/selinux/config").read(cx.buf).map_or(UNKNOWN, config_mode);
        out.family(&CONFIG_MODE).sample(&[], config);
        out.family(&CURRENT_MODE).sample(&[], current);
        let cache = cache_stats(root.join("avc/cache_stats").read(cx.buf)?);
        for (desc, value) in CACHE.iter().zip(cache) {
            out.family(desc).sample(&[], value);
        }
        let hash = hash_stats(root.join("avc/hash_stats").read(cx.buf)?);
        for (desc, value) in HASH.iter().zip(hash) {
            out.family(desc).sample(&[], value);
        }
        out.family(&AVC_THRESHOLD).sample(&[], root.join("avc/cache_threshold").read_u64(cx.buf)?);
        Ok(())
    }
}

/// `disabled` and what cannot be known, as libselinux has it.
const UNKNOWN: i64 = -1;

/// `SELINUX=` of the configuration file.
fn config_mode(text: &[u8]) -> i64 {
    scan::lines(text)
        .map(<[u8]>::trim_ascii)
        .filter(|line| !matches!(line.first(), None | Some(b'#' | b';')))
        .filter_map(|line| scan::key_value(line, b'='))
        .find(|(key, _)| *key == b"SELINUX")
        .map_or(UNKNOWN, |(_, mode)| match mode {
            b"enforcing" => 1,
            b"permissive" => 0,
            _ => UNKNOWN,
        })
}

/// A header, then one line a processor: the sums of the columns, found by name.
fn cache_stats(text: &[u8]) -> [u64; 6] {
    const NAMES: [&[u8]; 6] = [b"lookups", b"hits", b"misses", b"allocations", b"reclaims", b"frees"];
    let mut lines = scan::lines(text);
    let header = lines.next().unwrap_or_default();
    let mut sums = [0u64; 6];
    for line in lines {
        for (name, number) in scan::fields(header).zip(scan::fields(line)) {
            if let (Some(at), Some(number)) = (NAMES.iter().position(|n| *n == name), scan::u64(number)) {
                sums[at] = sums[at].wrapping_add(number);
            }
        }
    }
    sums
}

/// `entries: 503`, `buckets used: 286/512`, `longest chain: 7`; in the order of `HASH`.
fn hash_stats(text: &[u8]) -> [u64; 4] {
    let mut stats = [0; 4];
    for (key, value) in scan::lines(text).filter_map(|line| scan::key_value(line, b':')) {
        match key {
            b"entries" => stats[0] = scan::u64(value).unwrap_or(0),
            b"longest chain" => stats[3] = scan::u64(value).unwrap_or(0),
            b"buckets used" => {
                if let Some((used, available)) = scan::key_value(value, b'/') {
                    stats[1] = scan::u64(available).unwrap_or(0);
                    stats[2] = scan::u64(used).unwrap_or(0);
                }
            }
            _ => {}
        }
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn enforcing() {
        let tree = Tree::of(&[
            ("sys/fs/selinux/enforce", b"1"),
            ("sys/fs/selinux/avc/cache_threshold", b"512"),
            ("sys/fs/selinux/avc/hash_stats", b"entries: 503\nbuckets used: 286/512\nlongest chain: 7\n"),
            (
                "sys/fs/selinux/avc/cache_stats",
                b"lookups hits misses allocations reclaims frees\n91590784 91569452 21332 22332 20 21332\n10 9 1 1 0 2\n",
            ),
            ("etc/selinux/config", b"# SELINUX= can be\nSELINUX=permissive\nSELINUXTYPE=targeted\n"),
        ]);
        let (text, result) = exporter::testing::collect(&SELINUX, &[], &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_selinux_avc_allocations_total 22333",
                "node_selinux_avc_frees_total 21334",
                "node_selinux_avc_hash_buckets_available 512",
                "node_selinux_avc_hash_buckets_used 286",
                "node_selinux_avc_hash_entries 503",
                "node_selinux_avc_hash_longest_chain 7",
                "node_selinux_avc_hits_total 9.1569461e+07",
                "node_selinux_avc_lookups_total 9.1590794e+07",
                "node_selinux_avc_misses_total 21333",
                "node_selinux_avc_reclaims_total 20",
                "node_selinux_avc_threshold 512",
                "node_selinux_config_mode 0",
                "node_selinux_current_mode 1",
                "node_selinux_enabled 1",
            ]
        );
    }

    #[test]
    fn not_there() {
        let tree = Tree::of(&[("sys/", b"")]);
        let (text, result) = exporter::testing::collect(&SELINUX, &[], &tree.sources());
        result.unwrap();
        assert!(text.ends_with("\nnode_selinux_enabled 0\n"), "{text}");
    }

    #[test]
    fn modes() {
        assert_eq!(config_mode(b"SELINUX=enforcing\n"), 1);
        assert_eq!(config_mode(b"SELINUX=disabled\n"), -1);
        assert_eq!(config_mode(b"#SELINUX=enforcing\n"), -1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            config_mode(&bytes);
            cache_stats(&bytes);
            hash_stats(&bytes);
        }
    }
}
