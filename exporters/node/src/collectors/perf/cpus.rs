//! Lists of processors: `0,2-5,8-16:4`.

use hostfs::{Buf, Sources};

/// The processors of a list; a stride stands behind a colon. `None` where it is malformed.
pub(super) fn parse(list: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in list.trim().split(',') {
        let (range, stride) = match part.split_once(':') {
            Some((range, stride)) => (range, stride.parse().ok().filter(|s| *s > 0)?),
            None => (part, 1),
        };
        let (first, last): (u32, u32) = match range.split_once('-') {
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
            None => (range.parse().ok()?, range.parse().ok()?),
        };
        if last > MOST {
            return None;
        }
        cpus.extend((first..=last).step_by(stride));
    }
    Some(cpus)
}

/// Those that are online, as the kernel lists them.
pub(super) fn online(sources: &Sources) -> Vec<u32> {
    let mut buf = Buf::new();
    let text = sources.sys("devices/system/cpu/online").read_optional(&mut buf);
    text.and_then(|t| parse(std::str::from_utf8(t).ok()?))
        .unwrap_or_else(|| (0..std::thread::available_parallelism().map_or(1, |n| n.get() as u32)).collect())
}

/// More processors than any kernel is built for.
const MOST: u32 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists() {
        assert_eq!(parse("0,2-4"), Some(vec![0, 2, 3, 4]));
        assert_eq!(parse("1-10:5"), Some(vec![1, 6]));
        for bad in ["", "a", "1-", "-1", "1-2-3", "1-4:0", "0-4000000000"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_list_is_survived(list in "[0-9,:-]{0,20}") {
            parse(&list);
        }
    }
}
