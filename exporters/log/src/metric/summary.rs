//! Quantiles over a sliding window: five ages, in each a sketch that keeps only what the wanted quantiles need
//! (Cormode, Korn, Muthukrishnan, Srivastava: Effective Computation of Biased Quantiles over Data Streams, 2005).

/// A wanted quantile and how far its rank may be off, as a share of the observations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) quantile: f64,
    pub(crate) error: f64,
}

/// The observations of the last `max_age`, in steps of a fifth of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    ages: [Sketch; AGES],
    /// The age that is filled now.
    head: usize,
    /// When it is full, in milliseconds since 1970.
    end: u64,
}

/// Values with the number of observations each stands for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sketch {
    /// In order of value.
    kept: Vec<Kept>,
    /// Observations that `kept` stands for.
    count: f64,
    /// Not yet among `kept`.
    fresh: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) value: f64,
    /// Observations from the one before up to this.
    pub(crate) width: f64,
    /// How much more its rank may be.
    pub(crate) slack: f64,
}

impl Window {
    pub(crate) fn new(now: u64, max_age: u64) -> Self {
        Self { ages: Default::default(), head: 0, end: now + step(max_age) }
    }

    pub(crate) fn observe(&mut self, value: f64, now: u64, max_age: u64, targets: &[Target]) {
        let passed = self.passed(now, max_age);
        for _ in 0..passed.min(AGES as u64) {
            self.head = (self.head + 1) % AGES;
            self.ages[self.head].clear();
        }
        self.end += passed * step(max_age);
        self.ages[self.head].insert(value, targets);
    }

    /// Appends the value at each quantile, NaN where no observation is young enough.
    pub(crate) fn quantiles(&self, now: u64, max_age: u64, targets: &[Target], out: &mut Vec<exposition::Quantile>) {
        let passed = self.passed(now, max_age).min(AGES as u64) as usize;
        let mut all: Vec<(f64, f64)> = Vec::new();
        // The ages from now back to the oldest that still counts.
        for back in 0..AGES - passed {
            let sketch = &self.ages[(self.head + AGES - back) % AGES];
            all.extend(sketch.kept.iter().map(|k| (k.value, k.width)));
            all.extend(sketch.fresh.iter().map(|v| (*v, 1.0)));
        }
        all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let count: f64 = all.iter().map(|v| v.1).sum();
        let mut rest = all.iter();
        let (mut rank, mut value) = (0.0, f64::NAN);
        for target in targets {
            let wanted = (target.quantile * count).ceil().max(1.0);
            while rank < wanted {
                let Some(next) = rest.next() else { break };
                (rank, value) = (rank + next.1, next.0);
            }
            out.push(exposition::Quantile { quantile: target.quantile, value });
        }
    }

    /// Steps since the head was full.
    fn passed(&self, now: u64, max_age: u64) -> u64 {
        if now < self.end { 0 } else { (now - self.end) / step(max_age) + 1 }
    }

    /// For saving: head, its end, and each age.
    pub(crate) fn parts(&self) -> (usize, u64, &[Sketch; AGES]) {
        (self.head, self.end, &self.ages)
    }

    pub(crate) fn from_parts(head: usize, end: u64, ages: [Sketch; AGES]) -> Option<Self> {
        // No clock reaches half of it, and sums stay sums.
        (head < AGES && end < u64::MAX / 2).then_some(Self { ages, head, end })
    }
}

impl Sketch {
    fn clear(&mut self) {
        self.kept.clear();
        self.fresh.clear();
        self.count = 0.0;
    }

    fn insert(&mut self, value: f64, targets: &[Target]) {
        self.fresh.push(value);
        if self.fresh.len() >= FRESH {
            self.settle(targets);
        }
    }

    /// Moves the fresh ones among the kept, and merges what may be merged.
    fn settle(&mut self, targets: &[Target]) {
        self.fresh.sort_unstable_by(f64::total_cmp);
        let old = std::mem::take(&mut self.kept);
        let mut merged = Vec::with_capacity(old.len() + self.fresh.len());
        let mut old = old.into_iter().peekable();
        let mut rank = 0.0;
        for &value in &self.fresh {
            while let Some(kept) = old.next_if(|k| k.value <= value) {
                rank += kept.width;
                merged.push(kept);
            }
            // The first and the last are exact.
            let slack =
                if old.peek().is_some() { (allowed(rank, self.count, targets).floor() - 1.0).max(0.0) } else { 0.0 };
            merged.push(Kept { value, width: 1.0, slack });
            rank += 1.0;
            self.count += 1.0;
        }
        merged.extend(old);
        self.fresh.clear();
        self.kept = compress(&merged, self.count, targets);
    }

    pub(crate) fn parts(&self) -> (&[Kept], &[f64]) {
        (&self.kept, &self.fresh)
    }

    pub(crate) fn from_parts(kept: Vec<Kept>, fresh: Vec<f64>) -> Option<Self> {
        let sound = |k: &Kept| !k.value.is_nan() && k.width >= 1.0 && k.width.is_finite() && k.slack >= 0.0;
        let sorted = kept.windows(2).all(|pair| pair[0].value <= pair[1].value);
        let count = kept.iter().map(|k| k.width).sum();
        let all = sorted && kept.iter().all(sound) && fresh.iter().all(|v| !v.is_nan()) && fresh.len() < FRESH;
        all.then_some(Self { kept, count, fresh })
    }
}

/// From the largest to the smallest, each takes in its lower neighbour as long as their ranks stay as exact as wanted.
fn compress(sorted: &[Kept], count: f64, targets: &[Target]) -> Vec<Kept> {
    let mut out: Vec<Kept> = Vec::with_capacity(sorted.len() / 2);
    let mut rank = count;
    for kept in sorted.iter().rev() {
        rank -= kept.width;
        match out.last_mut() {
            Some(above) if kept.width + above.width + above.slack <= allowed(rank, count, targets) => {
                above.width += kept.width;
            }
            _ => out.push(*kept),
        }
    }
    out.reverse();
    out
}

/// How many observations one kept value may stand for at this rank.
fn allowed(rank: f64, count: f64, targets: &[Target]) -> f64 {
    targets.iter().fold(f64::MAX, |least, t| {
        let here = if t.quantile * count <= rank {
            2.0 * t.error * rank / t.quantile
        } else {
            2.0 * t.error * (count - rank) / (1.0 - t.quantile)
        };
        // 0 / 0 at the ends: nothing may be merged there.
        if here.is_nan() { 0.0 } else { least.min(here) }
    })
}

fn step(max_age: u64) -> u64 {
    (max_age / AGES as u64).max(1)
}

/// Steps of the window.
pub(crate) const AGES: usize = 5;
/// Observations that wait to be sorted in together.
const FRESH: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TARGETS: [Target; 3] = [
        Target { quantile: 0.5, error: 0.05 },
        Target { quantile: 0.9, error: 0.01 },
        Target { quantile: 0.99, error: 0.001 },
    ];

    fn at(window: &Window, now: u64) -> Vec<f64> {
        let mut out = Vec::new();
        window.quantiles(now, 600_000, &TARGETS, &mut out);
        out.iter().map(|q| q.value).collect()
    }

    #[test]
    fn few_observations_give_exact_quantiles() {
        let mut window = Window::new(0, 600_000);
        assert!(at(&window, 0).iter().all(|v| v.is_nan()));
        for value in [2.5, 1.5, 2.5] {
            window.observe(value, 0, 600_000, &TARGETS);
        }
        assert_eq!(at(&window, 0), [2.5, 2.5, 2.5]);
    }

    #[test]
    fn observations_age() {
        let mut window = Window::new(0, 600_000);
        window.observe(1.0, 0, 600_000, &TARGETS);
        window.observe(5.0, 300_000, 600_000, &TARGETS);
        assert_eq!(at(&window, 599_999), [1.0, 5.0, 5.0]);
        assert_eq!(at(&window, 600_000), [5.0, 5.0, 5.0]);
        assert!(at(&window, 840_000).iter().all(|v| v.is_nan()));
        // Long after, the window begins anew.
        window.observe(7.0, 10_000_000, 600_000, &TARGETS);
        assert_eq!(at(&window, 10_000_000), [7.0, 7.0, 7.0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]
        #[test]
        fn ranks_are_as_exact_as_asked(values in proptest::collection::vec(0u32..100_000, 1000..6000), every in 1u64..100) {
            let mut window = Window::new(0, 600_000);
            for (i, v) in values.iter().enumerate() {
                window.observe(f64::from(*v), i as u64 * every, 600_000, &TARGETS);
            }
            let now = values.len() as u64 * every;
            // All within the first eight minutes: nothing is too old.
            prop_assume!(now < 480_000);
            let mut sorted = values.clone();
            sorted.sort_unstable();
            for (target, value) in TARGETS.iter().zip(at(&window, now)) {
                let n = sorted.len() as f64;
                let low = sorted.partition_point(|v| f64::from(*v) < value) as f64;
                let high = sorted.partition_point(|v| f64::from(*v) <= value) as f64;
                // Half of `allowed` is the promise; sketches of several ages add up theirs, and each rounds.
                let off = 2.0 * target.error * n + 6.0;
                let wanted = target.quantile * n;
                prop_assert!(low <= wanted + off && high >= wanted - off, "{:?}: {} to {} of {}", target, low, high, n);
            }
            let kept: usize = window.ages.iter().map(|s| s.kept.len() + s.fresh.len()).sum();
            prop_assert!(kept < 5 * 400, "{} kept", kept);
        }
    }
}
