//! Threads that the exporter cannot do without.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

/// Starts a thread. Where it panics the process ends: one that goes on answering scrapes and counts nothing is worse than one
/// that is started again and goes on from what was saved.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    let title = name.to_owned();
    Builder::new().name(name.to_owned()).spawn(move || {
        catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
            tracing::error!(thread = title, "A thread broke down, ending");
            std::process::exit(1)
        })
    })
}
