//! How a collector is registered: a `const` [`Entry`] beside it and one line in the crate's `ALL`.

use crate::Collector;
use hostfs::Sources;
use service::{Flag, Flags};

/// Whether a collector runs when no flag says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// On.
    On,
    /// Off.
    Off,
}

/// One collector of a program: flags, help, docs tables, `collect[]` and the landing page come from this.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name in `--collector.NAME` and `collect[]`.
    pub name: &'static str,
    /// On or off by default.
    pub default: Default,
    /// One sentence: what it exposes, from which kernel file or statement.
    pub about: &'static str,
    /// Its own flags.
    pub flags: &'static [Flag],
    /// Makes it from the flags. An error ends the start with exit code 1: say which flag.
    pub build: BuildFn,
}

/// Makes a collector.
pub type BuildFn = fn(&Flags, &Sources) -> Result<Box<dyn Collector>, BuildError>;

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).field("default", &self.default).finish_non_exhaustive()
    }
}

/// Flags that do not go together or hold a bad value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(pub String);

/// An include and an exclude expression over names; both at once are refused.
#[derive(Clone, Debug, Default)]
pub struct NameFilter {
    include: Option<service::Regex>,
    exclude: Option<service::Regex>,
}

impl NameFilter {
    /// From a pair of flags, either of which may be empty.
    pub fn from_flags(flags: &Flags, include: &str, exclude: &str) -> Result<Self, BuildError> {
        // The default of an exclude flag gives way to an include flag that the user gave.
        let include_given = flags.given(include) && !flags.text(include).is_empty();
        let exclude_given = flags.given(exclude) && !flags.text(exclude).is_empty();
        if include_given && exclude_given {
            return Err(BuildError(format!("--{exclude} and --{include} are mutually exclusive: give one of them")));
        }
        let include = flags.regex(include);
        let exclude = if include.is_some() && !exclude_given { None } else { flags.regex(exclude) };
        Ok(Self { include, exclude })
    }

    /// Whether a name is to be left out.
    pub fn ignores(&self, name: &[u8]) -> bool {
        self.include.as_ref().is_some_and(|r| !r.is_match(name))
            || self.exclude.as_ref().is_some_and(|r| r.is_match(name))
    }
}
