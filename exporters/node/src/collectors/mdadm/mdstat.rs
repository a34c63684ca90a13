//! `/proc/mdstat` (`drivers/md/md.c`, `md_seq_show`).

use hostfs::scan;

/// One array.
#[derive(Debug, PartialEq)]
pub(super) struct Array<'a> {
    pub(super) name: &'a [u8],
    pub(super) state: State,
    pub(super) disks_active: u64,
    pub(super) disks_required: u64,
    pub(super) disks_failed: u64,
    pub(super) disks_spare: u64,
    pub(super) blocks: u64,
    pub(super) blocks_synced: u64,
}

/// What an array is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    Active,
    Inactive,
    Recovery,
    Resync,
    Check,
    Reshape,
    Other,
}

/// A block of lines that is not one of an array.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{name}: {what} not understood: {line:?}")]
pub(super) struct ArrayError {
    name: String,
    what: &'static str,
    line: String,
}

/// The arrays of the file. Each has a line of its own, one with its size, and maybe some on what it is doing.
pub(super) fn parse(text: &[u8]) -> impl Iterator<Item = Result<Array<'_>, ArrayError>> {
    let mut lines = scan::lines(text).peekable();
    std::iter::from_fn(move || {
        loop {
            let line = lines.next()?;
            // Lines on an array's insides are indented.
            if line.trim_ascii().is_empty()
                || line.starts_with(b" ")
                || line.starts_with(b"unused")
                || line.starts_with(b"Personalities")
            {
                continue;
            }
            let mut inside = [&b""[..]; 4];
            for slot in &mut inside {
                match lines.next_if(|line| line.starts_with(b" ") || line.starts_with(b"\t")) {
                    Some(line) => *slot = line,
                    None => break,
                }
            }
            return Some(parse_array(line, &inside));
        }
    })
}

fn parse_array<'a>(line: &'a [u8], inside: &[&'a [u8]]) -> Result<Array<'a>, ArrayError> {
    let mut fields = scan::fields(line);
    let name = fields.next().unwrap_or_default();
    let error = |what, line: &[u8]| ArrayError {
        name: scan::lossy(name).into_owned(),
        what,
        line: scan::lossy(line).into_owned(),
    };
    let activity = fields.nth(1).ok_or_else(|| error("state", line))?;
    let status = inside.first().copied().unwrap_or_default();
    let blocks = scan::fields(status).next().and_then(scan::u64).ok_or_else(|| error("size", status))?;
    let (disks_required, disks_active) = if has(line, b"raid0") || has(line, b"linear") {
        // No redundancy: as many disks as there are, each with its number in brackets.
        let disks = count(line, b"[");
        (disks, disks)
    } else if has(line, b"inactive") {
        (0, 0)
    } else {
        scan::fields(status).find_map(disk_counts).ok_or_else(|| error("number of disks", status))?
    };
    let mut array = Array {
        name,
        state: match activity {
            b"active" => State::Active,
            b"inactive" => State::Inactive,
            _ => State::Other,
        },
        disks_active,
        disks_required,
        disks_failed: count(line, b"(F)"),
        disks_spare: count(line, b"(S)"),
        blocks,
        blocks_synced: blocks,
    };
    let actions: [(&[u8], State); 4] = [
        (b"recovery", State::Recovery),
        (b"reshape", State::Reshape),
        (b"check", State::Check),
        (b"resync", State::Resync),
    ];
    for sync in inside.iter().skip(1).filter(|line| !has(line, b"bitmap")) {
        let Some((_, state)) = actions.iter().find(|(word, _)| has(sync, word)) else { continue };
        array.state = *state;
        array.blocks_synced = match scan::fields(sync).find_map(blocks_done) {
            Some(done) => done,
            // `resync=DELAYED`, `PENDING` or `REMOTE`: not begun here.
            None if has(sync, b"=DELAYED") || has(sync, b"=PENDING") || has(sync, b"=REMOTE") => 0,
            None => return Err(error("progress", sync)),
        };
        break;
    }
    Ok(array)
}

/// `[2/1]`: required and active.
fn disk_counts(field: &[u8]) -> Option<(u64, u64)> {
    let (required, active) = scan::key_value(field.strip_prefix(b"[")?.strip_suffix(b"]")?, b'/')?;
    Some((scan::u64(required)?, scan::u64(active)?))
}

/// `(16775552/195310144)`
fn blocks_done(field: &[u8]) -> Option<u64> {
    let (done, of) = scan::key_value(field.strip_prefix(b"(")?.strip_suffix(b")")?, b'/')?;
    scan::u64(of).and(scan::u64(done))
}

fn has(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|w| w == word)
}

fn count(line: &[u8], word: &[u8]) -> u64 {
    line.windows(word.len()).filter(|w| *w == word).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> (State, [u64; 6]) {
        let arrays: Vec<_> = parse(text.as_bytes()).collect();
        let [Ok(a)] = &arrays[..] else { panic!("{arrays:?}") };
        (a.state, [a.disks_active, a.disks_required, a.disks_failed, a.disks_spare, a.blocks, a.blocks_synced])
    }

    #[test]
    fn healthy_arrays() {
        assert_eq!(
            one(
                "md7 : active raid6 sdb1[0] sde1[3] sdd1[2] sdc1[1](F)\n      7813735424 blocks super 1.2 level 6, 512k chunk, \
                 algorithm 2 [4/3] [U_UU]\n      bitmap: 0/30 pages [0KB], 65536KB chunk\n"
            ),
            (State::Active, [3, 4, 1, 0, 7_813_735_424, 7_813_735_424])
        );
        assert_eq!(
            one("md101 : active (read-only) raid0 sdb[2] sdd[1] sdc[0]\n      322560 blocks super 1.2 512k chunks\n"),
            (State::Active, [3, 3, 0, 0, 322_560, 322_560])
        );
        assert_eq!(
            one("md219 : inactive sdb[2](S) sdc[1](S) sda[0](S)\n        7932 blocks super external:imsm\n"),
            (State::Inactive, [0, 0, 0, 3, 7932, 7932])
        );
    }

    #[test]
    fn busy_arrays() {
        let array = |sync: &str| one(&format!("md1 : active raid1 sda[0] sdb[1]\n      100 blocks [2/2] [UU]\n{sync}"));
        let done = [2, 2, 0, 0, 100, 7];
        assert_eq!(array("      [=>..]  resync =  8.5% (7/100) finish=1min speed=1K/sec\n"), (State::Resync, done));
        assert_eq!(array("      [=>..]  check =  8.5% (7/100) finish=1min speed=1K/sec\n"), (State::Check, done));
        assert_eq!(array("      [=>..]  reshape =  8.5% (7/100) finish=1min speed=1K/sec\n"), (State::Reshape, done));
        assert_eq!(
            array(
                "      bitmap: 0/1 pages [0KB], 8192KB chunk\n      [=>..]  recovery =  8.5% (7/100) finish=1min speed=1K/sec\n"
            ),
            (State::Recovery, done)
        );
        assert_eq!(array("      \tresync=DELAYED\n").1[5], 0);
        assert_eq!(array("      resync=REMOTE\n"), (State::Resync, [2, 2, 0, 0, 100, 0]));
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        let error = parse(b"md1 : active raid1 sda[0]\n      many blocks\n").next().unwrap().unwrap_err().to_string();
        assert!(error.starts_with("md1: size not understood"), "{error}");
        assert!(parse(b"md1\n").next().unwrap().is_err());
        assert!(parse(b"md1 : active raid1 sda[0]\n      5 blocks\n").next().unwrap().is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, text in "(md[0-9] : active raid[01] s\\[0\\](\\(F\\))?\n( +[0-9]{0,3} blocks \\[[0-9]/[0-9]\\]\n)?( +resync (=DELAYED|\\([0-9]/[0-9]\\))\n)?\n){0,4}") {
            parse(&bytes).count();
            parse(text.as_bytes()).count();
        }
    }
}
