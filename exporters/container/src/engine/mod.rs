//! Container engines: who runs which container, asked over their API at each scrape.

mod answer;
mod api;
mod container;
mod watch;

pub(crate) use api::{Address, Engine};
pub(crate) use container::{Container, Labelling, Share};
pub(crate) use watch::{Known, Watch};
