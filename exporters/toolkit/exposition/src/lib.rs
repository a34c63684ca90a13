//! Metric families and the formats they are written in.
//!
//! A collector writes samples into a [`Part`]; [`Page::merge`] sorts the parts of one scrape into a [`Page`] as Go's
//! registry does; [`Page::write`] encodes it. Nothing here knows HTTP, files or Linux.

mod family;
mod number;
mod page;
mod part;
mod text;

pub use family::{Bucket, Desc, Histogram, Kind, Quantile, Summary, Value};
pub use number::write_float;
pub use page::{Conflict, Page};
pub use part::{Family, Part};
