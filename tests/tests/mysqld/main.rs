//! The mysqld exporter on real servers: beside the Go exporter, with faults, and measured.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // tests fail by panic and print their tables

mod bench;
mod credentials;
mod exporter;
mod faults;
mod parity;

use tests::database as server;
