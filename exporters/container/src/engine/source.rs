//! An engine of any kind.

use super::api::ApiError;
use super::described::Described;
use super::{Containerd, Cri, Engine};
use std::path::Path;
use std::time::Instant;

/// Who can be asked what runs.
#[derive(Debug)]
pub(crate) enum Source {
    /// Docker or Podman.
    Docker(Box<Engine>),
    Containerd(Containerd),
    Cri(Cri),
}

impl Source {
    /// For messages.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Docker(engine) => engine.shown(),
            Self::Containerd(engine) => format!("unix://{}", engine.channel().socket().display()),
            Self::Cri(engine) => format!("unix://{}", engine.channel().socket().display()),
        }
    }

    /// Its Unix socket.
    pub(crate) fn socket(&self) -> Option<&Path> {
        match self {
            Self::Docker(engine) => engine.socket(),
            Self::Containerd(engine) => Some(engine.channel().socket()),
            Self::Cri(engine) => Some(engine.channel().socket()),
        }
    }

    /// Whether it can be there at all: asking costs nothing where no socket is.
    pub(crate) fn may_be_there(&self) -> bool {
        self.socket().is_none_or(Path::exists)
    }

    /// Docker's own version, once it has answered.
    pub(crate) fn version(&self) -> Option<String> {
        if let Self::Docker(engine) = self { engine.version() } else { None }
    }

    /// What runs, from an engine that is no Docker.
    pub(crate) async fn running(&self, deadline: Instant) -> Result<Vec<Described>, ApiError> {
        match self {
            Self::Docker(_) => Ok(Vec::new()),
            Self::Containerd(engine) => engine.running(deadline).await,
            Self::Cri(engine) => engine.running(deadline).await,
        }
    }
}
