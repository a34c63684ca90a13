//! The one signal that everything which runs in the background listens to.

use tokio::sync::watch;

/// Gives the signal.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

/// Receives the signal.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Stop {
    /// A signal and its receiver. A dropped `Stop` counts as given.
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Shutdown(receiver))
    }

    /// Gives the signal.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns once the signal has been given.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        // An error says that the sender is gone, and nobody else could stop us then.
        let _ = receiver.wait_for(|&stop| stop).await;
    }

    /// Whether the signal has been given.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}
