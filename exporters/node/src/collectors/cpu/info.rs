//! Models of the CPUs, from `/proc/cpuinfo` (`arch/*/kernel/cpu/proc.c` and the like: each architecture has its own
//! words).

use exporter::{CollectError, Cx, Desc, Part};
use hostfs::{KeptFile, scan};

const INFO: Desc = Desc::gauge("node_cpu_info", "CPU information from /proc/cpuinfo.");
const FREQUENCY: Desc = Desc::gauge("node_cpu_frequency_hertz", "CPU frequency in hertz from /proc/cpuinfo.");
const FLAG_INFO: Desc = Desc::gauge(
    "node_cpu_flag_info",
    "The `flags` field of CPU information from /proc/cpuinfo taken from the first core.",
);
const BUG_INFO: Desc = Desc::gauge(
    "node_cpu_bug_info",
    "The `bugs` field of CPU information from /proc/cpuinfo taken from the first core.",
);

pub(super) struct Info {
    pub(super) file: KeptFile,
    pub(super) flags_include: Option<service::Regex>,
    pub(super) bugs_include: Option<service::Regex>,
    pub(super) frequency: bool,
}

impl Info {
    pub(super) fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let cpuinfo = parse(self.file.read(cx.buf)?);
        for cpu in &cpuinfo.cpus {
            let number = cpu.processor.to_string();
            out.family(&INFO).sample(
                &[
                    ("cachesize", cpu.cache_size),
                    ("core", cpu.core_id),
                    ("cpu", number.as_bytes()),
                    ("family", cpu.family),
                    ("microcode", cpu.microcode),
                    ("model", cpu.model),
                    ("model_name", cpu.model_name),
                    ("package", cpu.physical_id),
                    ("stepping", cpu.stepping),
                    ("vendor", cpu.vendor),
                ],
                1u64,
            );
            if self.frequency {
                out.family(&FREQUENCY).sample(
                    &[("core", cpu.core_id), ("cpu", number.as_bytes()), ("package", cpu.physical_id)],
                    cpu.mhz * 1e6,
                );
            }
        }
        for (words, include, desc, label) in [
            (cpuinfo.flags, &self.flags_include, &FLAG_INFO, "flag"),
            (cpuinfo.bugs, &self.bugs_include, &BUG_INFO, "bug"),
        ] {
            let Some(include) = include else { continue };
            for word in scan::fields(words).filter(|word| include.is_match(word)) {
                out.family(desc).sample(&[(label, word)], 1u64);
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default, PartialEq)]
struct CpuInfo<'a> {
    cpus: Vec<Cpu<'a>>,
    /// Of the first CPU, parted by blanks.
    flags: &'a [u8],
    bugs: &'a [u8],
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cpu<'a> {
    processor: u64,
    vendor: &'a [u8],
    family: &'a [u8],
    model: &'a [u8],
    model_name: &'a [u8],
    stepping: &'a [u8],
    microcode: &'a [u8],
    cache_size: &'a [u8],
    physical_id: &'a [u8],
    core_id: &'a [u8],
    mhz: f64,
}

fn parse(text: &[u8]) -> CpuInfo<'_> {
    let mut info = CpuInfo::default();
    // What is said before the first CPU holds for all.
    let mut common = Cpu::default();
    // s390 lists the CPUs first and details of each in a second part.
    let mut detailed = 0;
    let mut power = false;
    for line in scan::lines(text) {
        let Some(colon) = line.iter().position(|&b| b == b':') else { continue };
        let key = line[..colon].trim_ascii();
        let value = line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..]);
        if let Some(processor) = key.strip_prefix(b"processor") {
            let number = if processor.is_empty() { value } else { processor };
            if let Some(processor) = scan::u64(number.trim_ascii()) {
                info.cpus.push(Cpu { processor, ..common });
            }
            continue;
        }
        if key == b"cpu number" {
            detailed += 1;
            continue;
        }
        let first = info.cpus.len() <= 1;
        let cpu = match detailed {
            0 => info.cpus.last_mut().unwrap_or(&mut common),
            n => match info.cpus.get_mut(n - 1) {
                Some(cpu) => cpu,
                None => continue,
            },
        };
        match key {
            b"vendor" | b"vendor_id" | b"system type" => cpu.vendor = value,
            // PowerPC: `model` after the last CPU is that of the machine.
            b"cpu" => (cpu.vendor, power) = (value, true),
            b"model" if !power => cpu.model = value,
            b"cpu family" | b"CPU Family" => cpu.family = value,
            b"model name" | b"Model Name" | b"cpu model" | b"Processor" | b"isa" => cpu.model_name = value,
            b"stepping" => cpu.stepping = value,
            b"microcode" => cpu.microcode = value,
            b"cache size" => cpu.cache_size = value,
            b"physical id" => cpu.physical_id = value,
            b"core id" | b"hart" => cpu.core_id = value,
            b"cpu MHz" | b"cpu MHz dynamic" | b"CPU MHz" | b"clock" => cpu.mhz = mhz(value),
            b"flags" | b"features" | b"Features" if first => info.flags = value,
            b"bugs" if first => info.bugs = value,
            // ARM before 3.8 had no `processor` line on a machine with one CPU.
            b"BogoMIPS" if info.cpus.is_empty() && !common.model_name.is_empty() => info.cpus.push(common),
            _ => {}
        }
    }
    info
}

/// `3425.000000MHz` and `5000` alike.
fn mhz(value: &[u8]) -> f64 {
    let value = value.trim_ascii();
    let end = value.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    scan::f64(&value[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn x86() {
        let info = parse(
            b"processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 142\nmodel name\t: Intel i7 @ 1.90GHz\n\
              stepping\t: 10\nmicrocode\t: 0xb4\ncpu MHz\t\t: 799.998\ncache size\t: 8192 KB\nphysical id\t: 0\n\
              core id\t\t: 3\nflags\t\t: fpu vme\nbugs\t\t: mds\npower management:\n\nprocessor\t: 1\nflags\t\t: other\n",
        );
        assert_eq!((info.flags, info.bugs, info.cpus.len()), (&b"fpu vme"[..], &b"mds"[..], 2));
        let cpu = info.cpus[0];
        assert_eq!((cpu.vendor, cpu.cache_size, cpu.core_id), (&b"GenuineIntel"[..], &b"8192 KB"[..], &b"3"[..]));
        assert!((cpu.mhz * 1e6 - 799_998_000.0).abs() < 1e-3);
        assert_eq!(info.cpus[1], Cpu { processor: 1, ..Cpu::default() });
    }

    #[test]
    fn arm() {
        let new = parse(b"processor\t: 0\nBogoMIPS\t: 48.00\nFeatures\t: fp aes\n\nprocessor\t: 1\nHardware\t: BCM\n");
        assert_eq!((new.flags, new.cpus.len()), (&b"fp aes"[..], 2));
        let old = parse(b"Processor\t: ARMv6 rev 7\nBogoMIPS\t: 697\nFeatures\t: swp half\n");
        assert_eq!(old.cpus, [Cpu { model_name: b"ARMv6 rev 7", ..Cpu::default() }]);
        assert_eq!(old.flags, b"swp half");
    }

    #[test]
    fn s390() {
        let info = parse(
            b"vendor_id       : IBM/S390\n# processors    : 2\nfeatures\t: esan3 zarch\n\
              processor 0: version = FF,  identification = 2733E8,  machine = 2964\n\
              processor 1: version = FF,  identification = 2733E8,  machine = 2964\n\n\
              cpu number      : 0\nphysical id     : 2\ncpu MHz dynamic : 5000\n\ncpu number      : 1\ncore id         : 4\n",
        );
        assert_eq!(info.flags, b"esan3 zarch");
        let [a, b] = info.cpus[..] else { panic!("{info:?}") };
        assert_eq!((a.vendor, a.physical_id, b.processor, b.core_id), (&b"IBM/S390"[..], &b"2"[..], 1, &b"4"[..]));
        assert!((a.mhz - 5000.0).abs() < 1e-9);
    }

    #[test]
    fn power_risc_v_and_mips() {
        let info = parse(b"processor\t: 0\ncpu\t\t: POWER7\nclock\t\t: 3425.000000MHz\n\nmodel\t\t: IBM,8233\n");
        let expected = Cpu { vendor: b"POWER7", mhz: 3425.0, ..Cpu::default() };
        assert_eq!(info.cpus, [expected]);
        let info = parse(b"processor\t: 0\nhart\t\t: 2\nisa\t\t: rv64imafdc\n");
        assert_eq!(info.cpus, [Cpu { core_id: b"2", model_name: b"rv64imafdc", ..Cpu::default() }]);
        let info = parse(b"system type\t\t: UBNT\nprocessor\t\t: 0\ncpu model\t\t: Cavium\nBogoMIPS\t\t: 2.00\n");
        assert_eq!(info.cpus, [Cpu { vendor: b"UBNT", model_name: b"Cavium", ..Cpu::default() }]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, text in "((processor|cpu number|flags|cpu MHz)[ \t]*: ?[0-9.x]{0,4}\n){0,9}") {
            parse(&bytes);
            parse(text.as_bytes());
        }
    }
}
