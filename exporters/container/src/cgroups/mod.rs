//! The host's cgroups: where their hierarchies are mounted, which there are, and the files of each.

mod file;
mod hierarchies;
mod tree;

pub(crate) use file::{At, Dirs, Files, Pseudo, number};
pub(crate) use hierarchies::{Controller, Hierarchies, path_in};
pub(crate) use tree::{Cgroup, Tree, relative};
