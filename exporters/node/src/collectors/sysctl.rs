//! Kernel parameters that the user names, from `/proc/sys` (`Documentation/admin-guide/sysctl`).

use exporter::{BuildError, CollectError, Collector, Cx, Default, Desc, Entry, Flag, Flags, Part};
use exposition::Kind;
use hostfs::{KeptFile, Sources, scan};
use service::FlagKind;

/// Registers the collector.
pub(crate) const SYSCTL: Entry = Entry {
    name: "sysctl",
    default: Default::Off,
    about: "kernel parameters named by flags, as numbers or as labels, from /proc/sys",
    flags: &[INCLUDE, INCLUDE_INFO],
    build: |flags, sources| Ok(Box::new(Sysctl::new(flags, sources)?)),
};

const INCLUDE: Flag = Flag::new("collector.sysctl.include", FlagKind::Texts, "", "Select sysctl metrics to include");
const INCLUDE_INFO: Flag =
    Flag::new("collector.sysctl.include-info", FlagKind::Texts, "", "Select sysctl metrics to include as info metrics");

const INFO: Desc = Desc::gauge("node_sysctl_info", "sysctl info");

struct Sysctl {
    parameters: Vec<Parameter>,
}

struct Parameter {
    /// As the user wrote it, dots and all.
    name: String,
    file: KeptFile,
    shown: Shown,
}

enum Shown {
    /// All values in one family, numbered where there are several.
    Numbers {
        family: String,
        help: String,
    },
    /// Each value in a family of its own.
    Named(Vec<(String, String)>),
    Info,
}

impl Sysctl {
    fn new(flags: &Flags, sources: &Sources) -> Result<Self, BuildError> {
        let numbers = flags.texts(INCLUDE.name).iter().map(|text| (text, false));
        let infos = flags.texts(INCLUDE_INFO.name).iter().map(|text| (text, true));
        let parameters = numbers.chain(infos).map(|(text, info)| Parameter::new(text, info, sources));
        Ok(Self { parameters: parameters.collect::<Result<_, _>>()? })
    }
}

impl Parameter {
    /// `fs.file-nr:total,current,max` is a parameter and names for its values.
    fn new(text: &str, info: bool, sources: &Sources) -> Result<Self, BuildError> {
        let (name, keys) = text.split_once(':').map_or((text, None), |(name, keys)| (name, Some(keys)));
        let path = name.replace('.', "/");
        if path.split('/').any(|part| part.is_empty() || part == "..") {
            return Err(BuildError(format!("--{}={text}: no kernel parameter's name", INCLUDE.name)));
        }
        if info && keys.is_some() {
            return Err(BuildError(format!("--{}={text}: names for values go with numbers only", INCLUDE_INFO.name)));
        }
        let family = |suffix: &str| exposition::sanitize_name(&format!("node_sysctl_{name}{suffix}")).into_owned();
        let shown = match keys {
            _ if info => Shown::Info,
            None => Shown::Numbers { family: family(""), help: format!("sysctl {name}") },
            Some(keys) => {
                let keyed = keys.split(',').enumerate();
                Shown::Named(
                    keyed.map(|(i, key)| (family(&format!("_{key}")), format!("sysctl {name}, field {i}"))).collect(),
                )
            }
        };
        Ok(Self { name: name.to_owned(), file: sources.kept_proc(format!("sys/{path}")), shown })
    }

    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let name = &self.name;
        let text = self.file.read(cx.buf)?;
        let count = scan::fields(text).count();
        if count == 0 {
            return Err(CollectError::failed(format!("sysctl {name} has no values")));
        }
        match &self.shown {
            Shown::Info => {
                for (index, value) in scan::fields(text).enumerate() {
                    let index = index.to_string();
                    out.family(&INFO)
                        .sample(&[("index", index.as_bytes()), ("name", name.as_bytes()), ("value", value)], 1u64);
                }
            }
            Shown::Numbers { family, help } => {
                let mut family = out.family_named(family, help, Kind::Untyped);
                for (index, value) in scan::fields(text).enumerate() {
                    let value = self.number(value)?;
                    if count == 1 {
                        family.sample(&[], value);
                    } else {
                        family.sample(&[("index", index.to_string().as_bytes())], value);
                    }
                }
            }
            Shown::Named(families) if families.len() != count => {
                let expected = families.len();
                return Err(CollectError::failed(format!(
                    "sysctl {name} has {count} values, the flag names {expected}"
                )));
            }
            Shown::Named(families) => {
                for ((family, help), value) in families.iter().zip(scan::fields(text)) {
                    out.family_named(family, help, Kind::Untyped).sample(&[], self.number(value)?);
                }
            }
        }
        Ok(())
    }

    fn number(&self, value: &[u8]) -> Result<i64, CollectError> {
        scan::i64(value).ok_or_else(|| {
            let (name, value) = (&self.name, scan::lossy(value));
            CollectError::failed(format!("sysctl {name}: no number: {value:?} (see --{})", INCLUDE_INFO.name))
        })
    }
}

impl Collector for Sysctl {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        // One that cannot be read does not take the others with it.
        let mut failed = None;
        for parameter in &self.parameters {
            if let Err(e) = parameter.collect(cx, out) {
                failed.get_or_insert(e);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    fn collect(file: &[u8], args: &[&str]) -> (String, Result<(), CollectError>) {
        let tree = Tree::of(&[
            ("proc/sys/fs/file-nr", file),
            ("proc/sys/kernel/threads-max", b"7801\n"),
            ("proc/sys/kernel/seccomp/actions_avail", b"kill trap\n"),
        ]);
        exporter::testing::collect(&SYSCTL, args, &tree.sources())
    }

    #[test]
    fn the_forms_of_a_parameter() {
        let (text, result) = collect(
            b"1024\t0\t1631329\n",
            &[
                "--collector.sysctl.include=fs.file-nr",
                "--collector.sysctl.include=fs.file-nr:total,current,max",
                "--collector.sysctl.include=kernel.threads-max",
                "--collector.sysctl.include-info=kernel.seccomp.actions_avail",
            ],
        );
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_sysctl_fs_file_nr sysctl fs.file-nr\n# TYPE node_sysctl_fs_file_nr untyped\n\
             node_sysctl_fs_file_nr{index=\"0\"} 1024\nnode_sysctl_fs_file_nr{index=\"1\"} 0\n\
             node_sysctl_fs_file_nr{index=\"2\"} 1.631329e+06\n\
             # HELP node_sysctl_fs_file_nr_current sysctl fs.file-nr, field 1\n\
             # TYPE node_sysctl_fs_file_nr_current untyped\nnode_sysctl_fs_file_nr_current 0\n\
             # HELP node_sysctl_fs_file_nr_max sysctl fs.file-nr, field 2\n\
             # TYPE node_sysctl_fs_file_nr_max untyped\nnode_sysctl_fs_file_nr_max 1.631329e+06\n\
             # HELP node_sysctl_fs_file_nr_total sysctl fs.file-nr, field 0\n\
             # TYPE node_sysctl_fs_file_nr_total untyped\nnode_sysctl_fs_file_nr_total 1024\n\
             # HELP node_sysctl_info sysctl info\n# TYPE node_sysctl_info gauge\n\
             node_sysctl_info{index=\"0\",name=\"kernel.seccomp.actions_avail\",value=\"kill\"} 1\n\
             node_sysctl_info{index=\"1\",name=\"kernel.seccomp.actions_avail\",value=\"trap\"} 1\n\
             # HELP node_sysctl_kernel_threads_max sysctl kernel.threads-max\n\
             # TYPE node_sysctl_kernel_threads_max untyped\nnode_sysctl_kernel_threads_max 7801\n"
        );
    }

    #[test]
    fn what_goes_wrong_says_so_and_spares_the_rest() {
        let (text, result) = collect(
            b"1 2\n",
            &["--collector.sysctl.include=fs.file-nr:a,b,c", "--collector.sysctl.include=kernel.threads-max"],
        );
        assert!(text.ends_with("node_sysctl_kernel_threads_max 7801\n"), "{text}");
        assert_eq!(result.unwrap_err().to_string(), "sysctl fs.file-nr has 2 values, the flag names 3");
        for args in ["--collector.sysctl.include=no.such", "--collector.sysctl.include=kernel.seccomp.actions_avail"] {
            assert!(collect(b"", &[args]).1.is_err());
        }
        for args in [["--collector.sysctl.include-info=a.b:c"], ["--collector.sysctl.include=../../etc/passwd"]] {
            let flags = Flags::from_args(SYSCTL.flags, &args).unwrap();
            assert!((SYSCTL.build)(&flags, &Sources::live()).is_err(), "{args:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = collect(&bytes, &["--collector.sysctl.include=fs.file-nr", "--collector.sysctl.include-info=fs.file-nr"]);
        }
    }
}
