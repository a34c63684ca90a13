//! Taking connections, no more than a bound.

use super::batch::Counters;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Serves connections until it is aborted, which ends them too.
pub(super) async fn accept<F, R>(listener: TcpListener, counters: Arc<Counters>, serve: F)
where
    F: Fn(TcpStream, SocketAddr) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut running = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        // Those above the bound wait in the kernel's queue.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let open = Open::new(Arc::clone(&counters));
                let served = serve(stream, peer);
                running.spawn(async move {
                    served.await;
                    drop((open, place));
                });
            }
            Err(e) => {
                counters.error();
                tracing::warn!(err = %e, "Accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Counts a connection as long as it lives.
struct Open(Arc<Counters>);

impl Open {
    fn new(counters: Arc<Counters>) -> Self {
        counters.connections.fetch_add(1, Ordering::Relaxed);
        Self(counters)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Each may hold a frame of some megabytes.
const MOST_CONNECTIONS: usize = 64;
