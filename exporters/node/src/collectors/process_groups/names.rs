//! Which group a process is in.

use super::stat::Stat;
use super::{EXCLUDE, INCLUDE, KERNEL_THREADS, PATTERN};
use exporter::{BuildError, Flags, NameFilter};
use hostfs::{Buf, File};
use service::Regex;

/// The user's rules.
pub(super) struct Names {
    patterns: Vec<(String, Regex)>,
    filter: NameFilter,
    kernel_threads: bool,
}

impl Names {
    pub(super) fn new(flags: &Flags) -> Result<Self, BuildError> {
        let pattern = |text: &String| {
            let refuse = |why: &dyn std::fmt::Display| BuildError(format!("--{}={text}: {why}", PATTERN.name));
            let (name, regex) = text
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| refuse(&"expected NAME=REGEXP"))?;
            let regex = Regex::new(regex).map_err(|e| refuse(&e.to_string().lines().last().unwrap_or_default()))?;
            Ok((name.to_owned(), regex))
        };
        Ok(Self {
            patterns: flags.texts(PATTERN.name).iter().map(pattern).collect::<Result<_, _>>()?,
            filter: NameFilter::from_flags(flags, INCLUDE.name, EXCLUDE.name)?,
            kernel_threads: flags.on(KERNEL_THREADS.name),
        })
    }

    /// The group's name; `None` for a process that is not to be shown.
    pub(super) fn of(&self, comm: &[u8], stat: &Stat, process: &File<'_>, buf: &mut Buf) -> Option<Vec<u8>> {
        if stat.is_kernel_thread() && !self.kernel_threads {
            return None;
        }
        let name = if self.patterns.is_empty() {
            comm.to_vec()
        } else {
            // Arguments are parted by NUL; a process without any is known by its name.
            let line: Vec<u8> = match process.join("cmdline").read(buf) {
                Ok(text) => text.iter().map(|&b| if b == 0 { b' ' } else { b }).collect(),
                Err(_) => Vec::new(),
            };
            let line = line.trim_ascii_end();
            self.named(if line.is_empty() { comm } else { line })?
        };
        (!self.filter.ignores(&name)).then_some(name)
    }

    fn named(&self, line: &[u8]) -> Option<Vec<u8>> {
        self.patterns.iter().find_map(|(name, regex)| {
            let found = regex.captures(line)?;
            let mut expanded = Vec::new();
            found.expand(name.as_bytes(), &mut expanded);
            Some(expanded)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::process_groups::PROCESS_GROUPS;
    use crate::collectors::tree::Tree;

    fn names(args: &[&str]) -> Result<Names, BuildError> {
        Names::new(&Flags::from_args(PROCESS_GROUPS.flags, args).unwrap())
    }

    #[test]
    fn command_lines() {
        let names = names(&[
            "--collector.process_groups.pattern=java:$1=java .*-jar ([a-z]+)",
            "--collector.process_groups.pattern=shells=^(ba|z)?sh",
            "--collector.process_groups.exclude=secret",
        ])
        .unwrap();
        let tree = Tree::of(&[
            ("proc/1/cmdline", b"/usr/bin/java\0-Xmx1g\0-jar\0shop.jar\0"),
            ("proc/2/cmdline", b""),
            ("proc/3/cmdline", b"java\0-jar\0secret\0"),
        ]);
        let sources = tree.sources();
        let name = |pid: &str, comm: &[u8]| {
            let name = names.of(comm, &Stat::default(), &sources.proc(pid), &mut Buf::new());
            name.map(|name| String::from_utf8(name).unwrap())
        };
        assert_eq!(name("1", b"java").as_deref(), Some("java:shop"));
        assert_eq!(name("2", b"bash").as_deref(), Some("shells"));
        assert_eq!(name("3", b"java"), None);
        assert_eq!(name("4", b"nginx"), None);
    }

    #[test]
    fn patterns_that_are_none() {
        for pattern in ["nginx", "=x", "a=("] {
            let refused = names(&[&format!("--collector.process_groups.pattern={pattern}")]).err().unwrap();
            assert!(refused.to_string().contains("--collector.process_groups.pattern="), "{refused}");
        }
        assert!(names(&["--collector.process_groups.include=a", "--collector.process_groups.exclude=b"]).is_err());
    }
}
