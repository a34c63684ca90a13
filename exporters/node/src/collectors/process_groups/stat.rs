//! `/proc/PID/stat` (proc_pid_stat(5)) and `/proc/PID/io`.

use hostfs::scan;

/// What is wanted of the fields, under their names.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Stat {
    pub(super) flags: u64,
    pub(super) minflt: u64,
    pub(super) majflt: u64,
    pub(super) utime: u64,
    pub(super) stime: u64,
    pub(super) num_threads: u64,
    pub(super) starttime: u64,
    pub(super) vsize: u64,
    pub(super) rss: u64,
}

/// `PF_KTHREAD` of `include/linux/sched.h`.
const KERNEL_THREAD: u64 = 0x0020_0000;

impl Stat {
    pub(super) fn is_kernel_thread(&self) -> bool {
        self.flags & KERNEL_THREAD != 0
    }
}

/// The name, which may hold anything, and the fields behind it.
pub(super) fn parse(text: &[u8]) -> Option<(&[u8], Stat)> {
    let start = text.iter().position(|&b| b == b'(')?;
    let end = text.iter().rposition(|&b| b == b')').filter(|end| *end > start)?;
    let mut fields = scan::fields(&text[end + 1..]);
    // Fields are counted from 1; the first behind the name is 3.
    let mut next = 3;
    let mut field = |number: usize| {
        let value = fields.nth(number - next);
        next = number + 1;
        value.and_then(scan::u64)
    };
    let stat = Stat {
        flags: field(9)?,
        minflt: field(10)?,
        majflt: field(12)?,
        utime: field(14)?,
        stime: field(15)?,
        num_threads: field(20)?,
        starttime: field(22)?,
        vsize: field(23)?,
        rss: field(24)?,
    };
    Some((&text[start + 1..end], stat))
}

/// Bytes read from and written to disks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Io {
    pub(super) read_bytes: u64,
    pub(super) write_bytes: u64,
}

pub(super) fn parse_io(text: &[u8]) -> Option<Io> {
    let find = |key: &[u8]| {
        scan::lines(text).find_map(|line| {
            let (k, value) = scan::key_value(line, b':')?;
            if k == key { scan::u64(value) } else { None }
        })
    };
    Some(Io { read_bytes: find(b"read_bytes")?, write_bytes: find(b"write_bytes")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_by_number() {
        let text = b"7 (a) b (c) S 0 1 1 0 -1 4194560 10 11 12 13 14 15 16 17 20 0 3 0 22 23 24 25\n";
        let stat = Stat {
            flags: 4_194_560,
            minflt: 10,
            majflt: 12,
            utime: 14,
            stime: 15,
            num_threads: 3,
            starttime: 22,
            vsize: 23,
            rss: 24,
        };
        assert_eq!(parse(text), Some((&b"a) b (c"[..], stat)));
        assert_eq!((parse(b"7 )( S"), parse(b"7 (a) S 0 1")), (None, None));
        assert!(Stat { flags: 2_129_984, ..Stat::default() }.is_kernel_thread());
        assert!(!stat.is_kernel_thread());
    }

    #[test]
    fn bytes_of_disks() {
        let text = b"rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4\ncancelled_write_bytes: 5\n";
        assert_eq!(parse_io(text), Some(Io { read_bytes: 3, write_bytes: 4 }));
        assert_eq!(parse_io(b"read_bytes: 3\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, text in "[0-9] \\([a()]{0,3}\\) S( -?[0-9]{1,3}){0,25}") {
            parse(&bytes);
            parse(text.as_bytes());
            parse_io(&bytes);
        }
    }
}
