//! What one rule does with a line.

/// A pattern and what is made of the lines it fits.
#[derive(Debug)]
pub(crate) struct Rule {}
