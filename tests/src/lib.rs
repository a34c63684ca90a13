//! Support for the tests that run whole binaries against real servers.
#![allow(clippy::missing_panics_doc, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)] // tests fail by panic

mod browser;
mod containerd;
pub mod database;
mod docker;
mod http;
mod image;
mod podman;
mod port;
mod process;
mod provider;
mod remains;
mod skip;

pub use browser::Browser;
pub use containerd::Containerd;
pub use docker::Docker;
pub use http::{Answer, get, get_with, post, post_with, wait_until};
pub use podman::Podman;
pub use port::free_port;
pub use process::{Service, binary, log_of, program, refused};
pub use provider::{Provider, Reply, Request};
pub use skip::{parity, peer, repo, skip};
