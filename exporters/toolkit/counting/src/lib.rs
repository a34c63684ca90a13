//! An allocator that counts, for tests: by thread, so that tests side by side do not count each other's.
//!
//! A test binary that names [`allocations`] gets it as its allocator.

mod sys;

pub use sys::allocations;

#[cfg(test)]
mod tests {
    use super::allocations;

    #[test]
    fn each_allocation_counts_and_nothing_else() {
        let before = allocations();
        let boxed = Box::new([1_u8; 64]);
        assert_eq!(allocations() - before, 1);
        drop(std::hint::black_box(boxed));
        assert_eq!(allocations() - before, 1);
    }
}
