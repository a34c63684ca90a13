//! `/proc/stat`'s CPU lines as counters that never fall (`Documentation/filesystems/proc.rst` 1.7).

use exporter::{Desc, Part};
use hostfs::scan;

const SECONDS: Desc = Desc::counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.");
const GUEST_SECONDS: Desc =
    Desc::counter("node_cpu_guest_seconds_total", "Seconds the CPUs spent in guests (VMs) for each mode.");

/// The kernel's order of columns.
const COLUMNS: usize = 10;
const IDLE: usize = 3;
/// Modes in order of their names, with their columns.
const MODES: [(&str, usize); 8] =
    [("idle", IDLE), ("iowait", 4), ("irq", 5), ("nice", 1), ("softirq", 6), ("steal", 7), ("system", 2), ("user", 0)];
const GUEST_MODES: [(&str, usize); 2] = [("nice", 9), ("user", 8)];

/// `USER_HZ`: 100 on every architecture since 2.6.
const TICKS_A_SECOND: u64 = 100;
/// Idle time that falls by this much means that the CPU was taken out and put in again: its counters start anew.
const JUMP_BACK: u64 = 3 * TICKS_A_SECOND;

/// What was shown last of each CPU: the kernel's idle and iowait may fall a little between two reads.
#[derive(Debug, Default)]
pub(super) struct Ticks {
    /// In the order of the file.
    cpus: Vec<Shown>,
    /// Indexes into `cpus` by label.
    order: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
struct Shown {
    /// The number as text, the label.
    cpu: Box<[u8]>,
    ticks: [u64; COLUMNS],
}

impl Ticks {
    /// Takes in one reading. CPUs that it does not show are forgotten.
    pub(super) fn update(&mut self, stat: &[u8]) {
        let mut seen = 0;
        let mut moved = false;
        // The CPUs come first; the long line of interrupts after them need not be split.
        for line in scan::lines(stat).map_while(|line| line.strip_prefix(b"cpu")) {
            let mut fields = scan::fields(line);
            let Some(cpu) = fields.next().filter(|_| line.first().is_some_and(u8::is_ascii_digit)) else { continue };
            let mut ticks = [0; COLUMNS];
            for (tick, field) in ticks.iter_mut().zip(fields) {
                *tick = scan::u64(field).unwrap_or_default();
            }
            if self.cpus.get(seen).is_none_or(|shown| *shown.cpu != *cpu) {
                moved = true;
                match self.cpus.iter().skip(seen).position(|shown| *shown.cpu == *cpu) {
                    Some(later) => self.cpus.swap(seen, seen + later),
                    None => self.cpus.insert(seen, Shown { cpu: cpu.into(), ticks }),
                }
            }
            self.cpus[seen].raise(&ticks);
            seen += 1;
        }
        if moved || seen != self.cpus.len() {
            self.cpus.truncate(seen);
            self.order = (0..seen).collect();
            self.order.sort_by(|&a, &b| self.cpus[a].cpu.cmp(&self.cpus[b].cpu));
        }
    }

    pub(super) fn emit(&self, guest: bool, out: &mut Part) {
        let families: &[(&Desc, &[(&str, usize)])] = &[(&SECONDS, &MODES), (&GUEST_SECONDS, &GUEST_MODES)];
        for (desc, modes) in &families[..=usize::from(guest)] {
            let mut family = out.family(desc);
            for &at in &self.order {
                let shown = &self.cpus[at];
                for (mode, column) in *modes {
                    let seconds = shown.ticks[*column] as f64 / TICKS_A_SECOND as f64;
                    family.sample(&[("cpu", &shown.cpu), ("mode", mode.as_bytes())], seconds);
                }
            }
        }
    }
}

impl Shown {
    fn raise(&mut self, new: &[u64; COLUMNS]) {
        if self.ticks[IDLE].saturating_sub(new[IDLE]) >= JUMP_BACK {
            self.ticks = [0; COLUMNS];
        }
        for (shown, new) in self.ticks.iter_mut().zip(new) {
            *shown = (*shown).max(*new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(ticks: &Ticks) -> Vec<(String, [u64; COLUMNS])> {
        ticks.order.iter().map(|&i| (scan::lossy(&ticks.cpus[i].cpu).into_owned(), ticks.cpus[i].ticks)).collect()
    }

    #[test]
    fn counters_do_not_fall() {
        let mut ticks = Ticks::default();
        ticks.update(b"cpu 9 9\ncpu0 5 4 3 900 2 1 0\nintr 1\n");
        ticks.update(b"cpu 9 9\ncpu0 6 3 3 899 2 1 0 7\nintr 1\n");
        assert_eq!(shown(&ticks), [("0".to_owned(), [6, 4, 3, 900, 2, 1, 0, 7, 0, 0])]);
    }

    #[test]
    fn a_large_jump_back_starts_anew() {
        let mut ticks = Ticks::default();
        ticks.update(b"cpu0 5 4 3 900\n");
        ticks.update(b"cpu0 1 1 1 600\n");
        assert_eq!(shown(&ticks), [("0".to_owned(), [1, 1, 1, 600, 0, 0, 0, 0, 0, 0])]);
    }

    #[test]
    fn cpus_come_and_go() {
        let names = |ticks: &Ticks| shown(ticks).into_iter().map(|(cpu, _)| cpu).collect::<Vec<_>>();
        let mut ticks = Ticks::default();
        ticks.update(b"cpu0 1\ncpu2 2\ncpu10 3\n");
        assert_eq!(names(&ticks), ["0", "10", "2"]);
        ticks.update(b"cpu0 1\ncpu1 5\ncpu2 1\n");
        assert_eq!(shown(&ticks).iter().map(|(_, t)| t[0]).collect::<Vec<_>>(), [1, 5, 2]);
        ticks.update(b"cpu2 9\n");
        assert_eq!(names(&ticks), ["2"]);
        ticks.update(b"");
        assert_eq!(names(&ticks), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(first: Vec<u8>, second: Vec<u8>, text in "(cpu[0-9]{0,2}( [0-9]{0,4}){0,12}\n){0,9}") {
            let mut ticks = Ticks::default();
            for bytes in [first.as_slice(), text.as_bytes(), second.as_slice()] {
                ticks.update(bytes);
                prop_assert_eq!(ticks.order.len(), ticks.cpus.len());
                ticks.emit(true, &mut Part::new());
            }
        }
    }
}
