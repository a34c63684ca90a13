//! The delivery configuration in force, and its change while the sink runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::{Mutex, watch};

use super::config::Config;
use crate::metrics::Metrics;

/// Reads `--config.file`, holds what it said last, and tells all that follow it of each change.
pub(crate) struct Live {
    file: Option<PathBuf>,
    told: watch::Sender<Arc<Config>>,
    metrics: Arc<Metrics>,
    /// What the file said when it was read last, and of the text in force, in short.
    tried: AtomicI64,
    in_force: AtomicI64,
    /// Two reloads at once would race for which of them is the last.
    turn: Mutex<()>,
}

/// What is in force, for those that follow it.
#[derive(Clone, Debug)]
pub(crate) struct Current(watch::Receiver<Arc<Config>>);

impl Live {
    /// Reads the file for the first time; without one nothing is passed on.
    pub(crate) fn open(file: Option<&Path>, metrics: &Arc<Metrics>) -> Result<Self, String> {
        let text = AtomicI64::new(file.map_or(0, digest));
        let config = file.map_or_else(|| Ok(Config::default()), Config::read)?;
        metrics.reloaded(true);
        let told = watch::Sender::new(Arc::new(config));
        let in_force = AtomicI64::new(text.load(Ordering::Relaxed));
        let (file, metrics) = (file.map(Path::to_owned), Arc::clone(metrics));
        Ok(Self { file, told, metrics, tried: text, in_force, turn: Mutex::default() })
    }

    /// What is in force now.
    pub(crate) fn get(&self) -> Arc<Config> {
        Arc::clone(&self.told.borrow())
    }

    pub(crate) fn current(&self) -> Current {
        Current(self.told.subscribe())
    }

    /// Tells texts apart: that of the configuration in force.
    pub(crate) fn in_force(&self) -> i64 {
        self.in_force.load(Ordering::Relaxed)
    }

    /// What tells the file's text apart, if it is another than when it was read last. A file that is gone is being replaced.
    pub(crate) async fn changed(&self) -> Option<i64> {
        let file = self.file.clone()?;
        let now = tokio::task::spawn_blocking(move || digest(&file)).await.ok()?;
        (now != 0 && now != self.tried.load(Ordering::Relaxed)).then_some(now)
    }

    /// Reads the file again. When something is wrong with it, what was in force stays so.
    pub(crate) async fn reload(&self) -> Result<Arc<Config>, String> {
        let _turn = self.turn.lock().await;
        let Some(file) = self.file.clone() else { return Err("no --config.file was given".into()) };
        // What changes in between is seen as a change at the next look.
        let read = tokio::task::spawn_blocking(move || (digest(&file), Config::read(&file))).await;
        let (text, read) = read.map_err(|e| e.to_string())?;
        self.tried.store(text, Ordering::Relaxed);
        let read = read.map_err(|e| format!("--config.file: {e}"));
        self.metrics.reloaded(read.is_ok());
        match read {
            Ok(config) => {
                let config = Arc::new(config);
                tracing::info!(
                    targets = config.targets.len(),
                    routes = config.routes.len(),
                    "read --config.file again"
                );
                self.in_force.store(text, Ordering::Relaxed);
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

/// A number for the file's text: 0 where it cannot be read, never 0 where it can.
fn digest(file: &Path) -> i64 {
    let Ok(text) = std::fs::read(file) else { return 0 };
    text.iter().fold(FNV_BASIS, |hash, byte| (hash ^ i64::from(*byte)).wrapping_mul(FNV_PRIME)) | 1
}

/// FNV-1a over 64 bits: replicas of other versions come to the same number.
const FNV_BASIS: i64 = 0xcbf2_9ce4_8422_2325_u64.cast_signed();
const FNV_PRIME: i64 = 0x0100_0000_01b3;

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
