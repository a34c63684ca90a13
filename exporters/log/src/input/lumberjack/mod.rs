//! Beats and Logstash over lumberjack version 2, on TCP or TLS. A window is acknowledged once its events are counted.

mod codec;

use super::Acknowledge;
use super::accept::accept;
use super::batch::{Batch, Counters, Feed, Source};
use super::selector::Selector;
use codec::{Decoder, Frame, acknowledge};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What all connections share.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) feed: Feed,
    pub(super) source: Arc<Source>,
    pub(super) selector: Arc<Selector>,
    pub(super) counters: Arc<Counters>,
    pub(super) acknowledge: Acknowledge,
    pub(super) tls: Option<TlsAcceptor>,
}

/// Takes connections until it is aborted.
pub(super) async fn run(listener: TcpListener, server: Server) {
    let counters = Arc::clone(&server.counters);
    accept(listener, counters, move |stream, peer| {
        let server = server.clone();
        async move {
            let ended = match &server.tls {
                None => server.serve(stream).await,
                Some(tls) => match tokio::time::timeout(STALL, tls.accept(stream)).await {
                    Ok(Ok(stream)) => server.serve(stream).await,
                    Ok(Err(e)) => Err(format!("TLS: {e}")),
                    Err(_) => Err("TLS: the handshake takes too long".into()),
                },
            };
            if let Err(why) = ended {
                server.counters.error();
                tracing::warn!(%peer, input = &*server.source.input, why, "Lumberjack connection ended");
            }
        }
    })
    .await;
}

/// The window that is being received.
struct Window {
    batch: Batch,
    /// Bytes of JSON in the batch.
    weight: usize,
    left: u32,
}

impl Server {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) -> Result<(), String> {
        let mut decoder = Decoder::new();
        let mut buffer = Vec::with_capacity(16 << 10);
        let mut frames = Vec::new();
        let mut window = Window { batch: self.batch(), weight: 0, left: 0 };
        loop {
            buffer.clear();
            let patience = if decoder.is_between() && window.left == 0 { IDLE } else { STALL };
            let Ok(read) = tokio::time::timeout(patience, stream.read_buf(&mut buffer)).await else {
                return Err("nothing came for too long".into());
            };
            let n = match read {
                Ok(n) => n,
                // Beats hang up without saying so.
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => 0,
                Err(e) => return Err(e.to_string()),
            };
            if n == 0 {
                let whole = decoder.is_between() && window.left == 0;
                return if whole { Ok(()) } else { Err("the peer hung up within a window".into()) };
            }
            let decoded = decoder.take(&buffer, &mut frames);
            for frame in frames.drain(..) {
                match frame {
                    Frame::Window(count) => window.left = count,
                    Frame::Event(sequence, json) => self.event(&mut stream, &mut window, sequence, &json).await?,
                }
            }
            decoded.map_err(|e| e.to_string())?;
        }
    }

    fn batch(&self) -> Batch {
        Batch::new(Arc::clone(&self.source))
    }

    async fn event<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        window: &mut Window,
        sequence: u32,
        json: &[u8],
    ) -> Result<(), String> {
        let line = serde_json::from_slice::<Value>(json).ok().and_then(|event| {
            let line = self.selector.find(&event)?.to_owned();
            Some((line, event))
        });
        match line {
            Some((line, event)) => {
                window.batch.push(line.as_bytes(), Some(event));
                window.weight += json.len();
            }
            // Sent again it would be the same: it counts as received.
            None => self.counters.error(),
        }
        window.left = window.left.saturating_sub(1);
        if window.left == 0 {
            let batch = std::mem::replace(&mut window.batch, self.batch());
            window.weight = 0;
            self.count(stream, batch).await?;
            self.counters.request();
            send(stream, sequence).await?;
        } else if window.batch.is_full() || window.weight > HEAVY {
            let batch = std::mem::replace(&mut window.batch, self.batch());
            window.weight = 0;
            if !self.feed.send(batch).await {
                return Err("stopping".into());
            }
        }
        Ok(())
    }

    /// Waits until a batch is counted, and tells the peer meanwhile that we are alive.
    async fn count<S: AsyncWrite + Unpin>(&self, stream: &mut S, batch: Batch) -> Result<(), String> {
        let counted = self.feed.counted(batch, self.acknowledge);
        tokio::pin!(counted);
        loop {
            tokio::select! {
                counted = &mut counted => return if counted { Ok(()) } else { Err("stopping".into()) },
                () = tokio::time::sleep(ALIVE) => send(stream, 0).await?,
            }
        }
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, sequence: u32) -> Result<(), String> {
    let frame = acknowledge(sequence);
    let sent = tokio::time::timeout(STALL, async {
        stream.write_all(&frame).await?;
        stream.flush().await
    });
    match sent.await {
        Ok(sent) => sent.map_err(|e| e.to_string()),
        Err(_) => Err("the peer takes no acknowledgement".into()),
    }
}

/// Between two windows.
const IDLE: Duration = Duration::from_mins(15);
/// Within a frame or a window, and for a handshake.
const STALL: Duration = Duration::from_secs(30);
/// Beats wait 30 seconds for a sign.
const ALIVE: Duration = Duration::from_secs(5);
/// JSON of one batch.
const HEAVY: usize = 1 << 20;
