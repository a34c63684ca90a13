//! Metric families and the formats they are written in.
//!
//! A collector writes samples into a [`Part`]; [`Page::merge`] sorts the parts of one scrape into a [`Page`] as Go's
//! registry does; [`Page::write`] encodes it. Nothing here knows HTTP, files or Linux.

mod family;
mod format;
mod labels;
mod lines;
mod name;
mod number;
mod openmetrics;
mod page;
mod parse;
mod part;
mod protobuf;
mod text;

pub use family::{Bucket, Desc, Exemplar, Histogram, Kind, Native, Quantile, Span, Summary, Value};
pub use format::{Format, negotiate};
pub use name::{Escaping, sanitize_label_name, sanitize_name};
pub use number::write_float;
pub use page::{Conflict, Page};
pub use parse::{
    ParseError, ParsedFamily, ParsedSample, ParsedValue, parse_openmetrics, parse_openmetrics_into, parse_protobuf,
    parse_text, parse_text_legacy,
};
pub use part::{Family, Part};
