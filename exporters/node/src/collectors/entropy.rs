//! The random number generator's pool, from `/proc/sys/kernel/random` (`Documentation/admin-guide/sysctl/kernel.rst`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const ENTROPY: Entry = Entry {
    name: "entropy",
    default: Default::On,
    about: "bits of entropy available and in the whole pool, from /proc/sys/kernel/random",
    flags: &[],
    build: |_, sources| {
        let file = |name: &str| sources.kept_proc(format!("sys/kernel/random/{name}"));
        Ok(Box::new(Entropy { files: [(AVAILABLE, file("entropy_avail")), (POOL_SIZE, file("poolsize"))] }))
    },
};

const AVAILABLE: Desc = Desc::gauge("node_entropy_available_bits", "Bits of available entropy.");
const POOL_SIZE: Desc = Desc::gauge("node_entropy_pool_size_bits", "Bits of entropy pool.");

struct Entropy {
    files: [(Desc, KeptFile); 2],
}

impl Collector for Entropy {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        for (desc, file) in &self.files {
            let text = file.read_trimmed(cx.buf)?;
            let bits = scan::u64(text).ok_or_else(|| {
                CollectError::failed(format!("{}: no number: {:?}", file.path().display(), scan::lossy(text)))
            })?;
            out.family(desc).sample(&[], bits);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    fn collect(available: &[u8]) -> (String, Result<(), CollectError>) {
        let tree = Tree::of(&[
            ("proc/sys/kernel/random/entropy_avail", available),
            ("proc/sys/kernel/random/poolsize", b"4096\n"),
        ]);
        exporter::testing::collect(&ENTROPY, &[], &tree.sources())
    }

    #[test]
    fn a_tree_s_text() {
        let (text, result) = collect(b"1337\n");
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_entropy_available_bits Bits of available entropy.\n# TYPE node_entropy_available_bits gauge\n\
             node_entropy_available_bits 1337\n# HELP node_entropy_pool_size_bits Bits of entropy pool.\n\
             # TYPE node_entropy_pool_size_bits gauge\nnode_entropy_pool_size_bits 4096\n"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = collect(&bytes);
        }
    }
}
