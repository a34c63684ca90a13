//! Series of the metrics that rules make.
