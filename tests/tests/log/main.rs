//! The log exporter on real files, real nginx and clients that speak as Logstash and Filebeat do.
#![allow(clippy::unwrap_used)] // a test fails by panic

mod exporter;
mod journal;
mod load;
mod network;
mod nginx;
mod reload;
mod restart;
mod rotation;
