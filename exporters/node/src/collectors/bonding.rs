//! Bonded network devices, from `/sys/class/net/bonding_masters` and the folders of the masters
//! (`Documentation/networking/bonding.rst`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{File, KeptFiles, ReadError, Round, scan};

/// Registers the collector.
pub(crate) const BONDING: Entry = Entry {
    name: "bonding",
    default: Default::On,
    about: "configured and active slaves of bonding devices, from /sys/class/net",
    flags: &[],
    build: |_, sources| Ok(Box::new(Bonding { files: sources.kept_files() })),
};

const SLAVES: Desc = Desc::gauge("node_bonding_slaves", "Number of configured slaves per bonding interface.");
const ACTIVE: Desc = Desc::gauge("node_bonding_active", "Number of active slaves per bonding interface.");

struct Bonding {
    files: KeptFiles,
}

impl Collector for Bonding {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let net = cx.sources.sys("class/net");
        let round = self.files.round();
        let masters = round.read(&net.join("bonding_masters"), cx.buf).or_no_data()?.to_vec();
        for master in scan::fields(&masters) {
            let master_dir = net.child(master);
            let slaves = round.read(&master_dir.join("bonding/slaves"), cx.buf)?;
            let (mut configured, mut active) = (0u64, 0u64);
            for slave in scan::fields(slaves) {
                configured += 1;
                active += u64::from(is_up(&round, &master_dir, slave, cx.buf2)?);
            }
            out.family(&SLAVES).sample(&[("master", master)], configured);
            out.family(&ACTIVE).sample(&[("master", master)], active);
        }
        Ok(())
    }
}

/// Since Linux 3.13 a slave is linked as `lower_NAME`, before as `slave_NAME`.
fn is_up(round: &Round<'_>, master: &File<'_>, slave: &[u8], buf: &mut hostfs::Buf) -> Result<bool, ReadError> {
    let status = |prefix: &[u8]| master.child(&[prefix, slave].concat()).join("bonding_slave/mii_status");
    match round.read_trimmed(&status(b"lower_"), buf) {
        Ok(state) => return Ok(state == b"up"),
        Err(e) if e.is_absent() => {}
        Err(e) => return Err(e),
    }
    round.read_trimmed(&status(b"slave_"), buf).map(|state| state == b"up")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn old_and_new_links_of_slaves() {
        let tree = Tree::of(&[
            ("sys/class/net/bonding_masters", b"bond0 bond1\n"),
            ("sys/class/net/bond0/bonding/slaves", b"eth0 eth1\n"),
            ("sys/class/net/bond0/lower_eth0/bonding_slave/mii_status", b"up\n"),
            ("sys/class/net/bond0/slave_eth1/bonding_slave/mii_status", b"down\n"),
            ("sys/class/net/bond1/bonding/slaves", b"\n"),
        ]);
        let (text, result) = exporter::testing::collect(&BONDING, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_bonding_active Number of active slaves per bonding interface.\n\
             # TYPE node_bonding_active gauge\n\
             node_bonding_active{master=\"bond0\"} 1\nnode_bonding_active{master=\"bond1\"} 0\n\
             # HELP node_bonding_slaves Number of configured slaves per bonding interface.\n\
             # TYPE node_bonding_slaves gauge\n\
             node_bonding_slaves{master=\"bond0\"} 2\nnode_bonding_slaves{master=\"bond1\"} 0\n"
        );
    }

    #[test]
    fn a_host_without_bonding_and_a_slave_without_status() {
        let (_, result) = exporter::testing::collect(&BONDING, &[], &Tree::of(&[]).sources());
        assert!(matches!(result, Err(CollectError::NoData)));
        let tree = Tree::of(&[
            ("sys/class/net/bonding_masters", b"bond0\n"),
            ("sys/class/net/bond0/bonding/slaves", b"eth0\n"),
        ]);
        let (_, result) = exporter::testing::collect(&BONDING, &[], &tree.sources());
        assert!(result.unwrap_err().to_string().contains("slave_eth0/bonding_slave/mii_status"));
    }
}
