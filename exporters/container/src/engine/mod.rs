//! Container engines: who runs which container, asked over their API at each scrape.

mod answer;
mod api;
mod container;
mod containerd;
mod cri;
mod described;
mod grpc;
mod protobuf;
mod source;
mod watch;

pub(crate) use api::{Address, Engine};
pub(crate) use container::{Container, Labelling, Share};
pub(crate) use containerd::Containerd;
pub(crate) use cri::Cri;
pub(crate) use source::Source;
pub(crate) use watch::{Known, Watch};
