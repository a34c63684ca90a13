//! A token bucket, one for all clients.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets one request through for each token; a token comes every interval, up to the burst.
#[derive(Debug)]
pub(super) struct Bucket {
    interval: Duration,
    burst: f64,
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    /// A full bucket; a burst of 0 or less never lets anything through.
    pub(super) fn new(interval: Duration, burst: i64, now: Instant) -> Self {
        let burst = burst.max(0) as f64;
        Self { interval, burst, state: Mutex::new((burst, now)) }
    }

    /// Takes a token if there is one.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, last) = *state;
        let come = now.saturating_duration_since(last).as_secs_f64() / self.interval.as_secs_f64();
        let tokens = (tokens + come).min(self.burst);
        let taken = tokens >= 1.0;
        *state = (if taken { tokens - 1.0 } else { tokens }, now.max(last));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_one_by_one_up_to_the_burst() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let bucket = Bucket::new(Duration::from_secs(2), 3, start);
        let taken: Vec<bool> = [0, 0, 0, 0, 1, 2, 3, 100, 100, 100, 100].iter().map(|&s| bucket.take(at(s))).collect();
        assert_eq!(taken, [true, true, true, false, false, true, false, true, true, true, false]);
        let empty = Bucket::new(Duration::from_secs(1), 0, start);
        assert!(!empty.take(at(1000)));
    }
}
