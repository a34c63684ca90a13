//! The delivery configuration in force, and its change while the sink runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Mutex, watch};

use super::config::Config;
use crate::metrics::Metrics;

/// Reads `--config.file`, holds what it said last, and tells all that follow it of each change.
pub(crate) struct Live {
    file: Option<PathBuf>,
    told: watch::Sender<Arc<Config>>,
    metrics: Arc<Metrics>,
    /// Two reloads at once would race for which of them is the last.
    turn: Mutex<()>,
}

/// What is in force, for those that follow it.
#[derive(Clone, Debug)]
pub(crate) struct Current(watch::Receiver<Arc<Config>>);

impl Live {
    /// Reads the file for the first time; without one nothing is passed on.
    pub(crate) fn open(file: Option<&Path>, metrics: &Arc<Metrics>) -> Result<Self, String> {
        let config = file.map_or_else(|| Ok(Config::default()), Config::read)?;
        metrics.reloaded(true);
        let told = watch::Sender::new(Arc::new(config));
        Ok(Self { file: file.map(Path::to_owned), told, metrics: Arc::clone(metrics), turn: Mutex::default() })
    }

    /// What is in force now.
    pub(crate) fn get(&self) -> Arc<Config> {
        Arc::clone(&self.told.borrow())
    }

    pub(crate) fn current(&self) -> Current {
        Current(self.told.subscribe())
    }

    /// Reads the file again. When something is wrong with it, what was in force stays so.
    pub(crate) async fn reload(&self) -> Result<Arc<Config>, String> {
        let _turn = self.turn.lock().await;
        let Some(file) = self.file.clone() else { return Err("no --config.file was given".into()) };
        let read = tokio::task::spawn_blocking(move || Config::read(&file)).await.map_err(|e| e.to_string());
        let read = read.and_then(|read| read).map_err(|e| format!("--config.file: {e}"));
        self.metrics.reloaded(read.is_ok());
        match read {
            Ok(config) => {
                let config = Arc::new(config);
                tracing::info!(
                    targets = config.targets.len(),
                    routes = config.routes.len(),
                    "read --config.file again"
                );
                self.told.send_replace(Arc::clone(&config));
                Ok(config)
            }
            Err(e) => {
                tracing::error!(error = e, "cannot read --config.file again: what was in force stays so");
                Err(e)
            }
        }
    }
}

impl Current {
    pub(crate) fn get(&self) -> Arc<Config> {
        Arc::clone(&self.0.borrow())
    }

    /// Returns at the next change; never when there is none any more.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
