//! The node exporter on this machine.
#![allow(clippy::unwrap_used)] // a test fails by panic

mod end_to_end;
mod hung_mounts;
mod same_series;
