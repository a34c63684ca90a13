//! `/proc/PID/mountinfo` (`Documentation/filesystems/proc.rst` 3.5).

use crate::scan;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `major:minor` of the device.
    pub device_number: (u32, u32),
    /// Root of the mount within its file system.
    pub root: Vec<u8>,
    /// Where it is mounted, escapes undone.
    pub mount_point: Vec<u8>,
    /// Per-mount options such as `ro,nosuid`.
    pub options: Vec<u8>,
    /// File system type.
    pub fs_type: Vec<u8>,
    /// Device or other source, escapes undone.
    pub source: Vec<u8>,
    /// Options of the file system itself.
    pub super_options: Vec<u8>,
}

/// One mount as the kernel wrote it, escapes and all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Major number of the device.
    pub major: &'a [u8],
    /// Minor number of the device.
    pub minor: &'a [u8],
    /// Root of the mount within its file system.
    pub root: &'a [u8],
    /// Where it is mounted.
    pub mount_point: &'a [u8],
    /// Per-mount options such as `ro,nosuid`.
    pub options: &'a [u8],
    /// File system type.
    pub fs_type: &'a [u8],
    /// Device or other source.
    pub source: &'a [u8],
    /// Options of the file system itself.
    pub super_options: &'a [u8],
}

/// The lines of the table; those that are too short or have no device numbers are left out.
pub fn lines(table: &[u8]) -> impl Iterator<Item = Line<'_>> {
    scan::lines(table).filter_map(parse_line)
}

/// Parses the table; lines that are too short are left out.
pub fn parse(table: &[u8]) -> impl Iterator<Item = Mount> {
    lines(table).filter_map(|line| {
        Some(Mount {
            device_number: (scan::u64(line.major)? as u32, scan::u64(line.minor)? as u32),
            root: unescape(line.root),
            mount_point: unescape(line.mount_point),
            options: line.options.to_vec(),
            fs_type: line.fs_type.to_vec(),
            source: unescape(line.source),
            super_options: line.super_options.to_vec(),
        })
    })
}

fn parse_line(line: &[u8]) -> Option<Line<'_>> {
    let mut fields = line.split(|&b| b == b' ').filter(|f| !f.is_empty());
    let (major, minor) = scan::key_value(fields.nth(2)?, b':')?;
    let (root, mount_point, options) = (fields.next()?, fields.next()?, fields.next()?);
    // Optional fields end with a lone "-".
    fields.find(|f| *f == b"-")?;
    let fs_type = fields.next()?;
    let source = fields.next().unwrap_or_default();
    let super_options = fields.next().unwrap_or_default();
    let numbers = scan::u64(major).and(scan::u64(minor));
    numbers.map(|_| Line { major, minor, root, mount_point, options, fs_type, source, super_options })
}

/// Undoes the kernel's octal escapes (`\040` blank, `\011` tab, `\012` newline, `\134` backslash, `\043` hash).
pub fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&b, tail)) = rest.split_first() {
        let octal = (b == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .filter(|d| d[0] <= b'3' && d.iter().all(|c| (b'0'..=b'7').contains(c)));
        if let Some(d) = octal {
            out.push((d[0] - b'0') << 6 | (d[1] - b'0') << 3 | (d[2] - b'0'));
            rest = &tail[3..];
        } else {
            out.push(b);
            rest = tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_with_escapes_and_optional_fields() {
        let line = b"36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/a\\134b rw,errors=continue\n";
        let mount = parse(line).next().unwrap();
        assert_eq!(mount.device_number, (98, 0));
        assert_eq!(mount.mount_point, b"/mnt 2");
        assert_eq!(mount.fs_type, b"ext3");
        assert_eq!(mount.source, b"/dev/a\\b");
        assert_eq!(mount.super_options, b"rw,errors=continue");
    }

    #[test]
    fn an_empty_source_and_short_lines() {
        assert_eq!(parse(b"36 35 98:0 / /m rw - tmpfs  rw\n").count(), 1);
        assert_eq!(parse(b"36 35\n\nx y z\n").count(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = parse(&bytes).count();
            unescape(&bytes);
        }
    }
}
