//! What became of files that came under a name we read and were renamed before we saw them.

use crate::input::files::watch::{Name, What};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// Renames, followed from one batch of the kernel's events to the next: what a batch says of a file may be past already, and
/// the rest of its way be in the next one.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// By the name that a file has now, the name that it had first.
    now: BTreeMap<PathBuf, PathBuf>,
    /// The first halves of renames, with their numbers: those of two folders may come between each other's halves.
    leaving: VecDeque<(u32, PathBuf)>,
}

impl Moves {
    /// Takes a batch in its order; `ours` says which names are read. What moved in it: the name now, and the first one.
    pub(super) fn follow(&mut self, names: &[Name], ours: impl Fn(&Path) -> bool) -> Vec<(PathBuf, PathBuf)> {
        let mut moved = BTreeSet::new();
        for name in names {
            match name.what {
                What::From(cookie) if !name.folder => {
                    moved.remove(&name.path);
                    let first = self.now.remove(&name.path).or_else(|| ours(&name.path).then(|| name.path.clone()));
                    if let Some(first) = first {
                        // What was moved to where nobody looks has no second half.
                        if self.leaving.len() == MOST_LEAVING {
                            self.leaving.pop_front();
                        }
                        self.leaving.push_back((cookie, first));
                    }
                }
                What::To(cookie) => {
                    let half = self.leaving.iter().position(|(c, _)| *c == cookie);
                    if let Some((_, first)) = half.and_then(|at| self.leaving.remove(at)) {
                        self.now.insert(name.path.clone(), first);
                        moved.insert(name.path.clone());
                    }
                }
                _ => {}
            }
        }
        moved.into_iter().filter_map(|now| self.now.get(&now).cloned().map(|first| (now, first))).collect()
    }

    /// All that moved has been found: what is renamed from now on is known by then.
    pub(super) fn settle(&mut self) {
        self.now.clear();
    }
}

/// First halves that are remembered.
const MOST_LEAVING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(cookie: u32, from: &str, to: &str) -> [Name; 2] {
        let name = |path: &str, what| Name { path: path.into(), what, folder: false };
        [name(from, What::From(cookie)), name(to, What::To(cookie))]
    }

    #[test]
    fn a_way_is_followed_wherever_the_events_are_cut() {
        let events = || {
            let steps = [
                renamed(1, "app.log", "app.log.1"),
                renamed(2, "app.log.1", "app.log.2"),
                renamed(3, "app.log", "app.log.1"),
                renamed(4, "other", "app.log.9"),
            ];
            steps.into_iter().flatten().collect::<Vec<_>>()
        };
        for cut in 0..=events().len() {
            for second in cut..=events().len() {
                let mut moves = Moves::default();
                let all = events();
                let mut seen = BTreeMap::new();
                for batch in [&all[..cut], &all[cut..second], &all[second..]] {
                    seen.extend(moves.follow(batch, |path| path == Path::new("app.log")));
                }
                let expected = |name: &str| seen.get(Path::new(name)).map(|p| p.to_string_lossy().into_owned());
                assert_eq!(expected("app.log.2").as_deref(), Some("app.log"), "cut at {cut} and {second}");
                assert_eq!(expected("app.log.1").as_deref(), Some("app.log"), "cut at {cut} and {second}");
                assert_eq!(expected("app.log.9"), None);
            }
        }
    }

    #[test]
    fn renames_of_two_folders_come_between_each_other() {
        let [from, to] = renamed(1, "a/app.log", "a/app.log.1");
        let [other_from, other_to] = renamed(2, "b/other", "b/other.1");
        let mut moves = Moves::default();
        let seen = moves.follow(&[from, other_from, to, other_to], |path| path == Path::new("a/app.log"));
        assert_eq!(seen, [(PathBuf::from("a/app.log.1"), PathBuf::from("a/app.log"))]);
    }

    #[test]
    fn what_is_moved_out_of_sight_is_not_remembered_for_ever() {
        let mut moves = Moves::default();
        for cookie in 0..1000 {
            let [from, _] = renamed(cookie, "app.log", "elsewhere");
            assert_eq!(moves.follow(&[from], |_| true), []);
        }
        assert_eq!(moves.leaving.len(), MOST_LEAVING);
    }

    #[test]
    fn what_was_found_is_not_followed_for_ever() {
        let mut moves = Moves::default();
        let ours = |path: &Path| path == Path::new("app.log");
        assert_eq!(moves.follow(&renamed(1, "app.log", "app.log.1"), ours).len(), 1);
        moves.settle();
        // The next day.
        assert_eq!(moves.follow(&renamed(2, "app.log.1", "app.log.2"), ours), []);
    }
}
