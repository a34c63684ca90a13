//! Syslog over UDP and TCP.

mod frame;
mod message;

use super::accept::accept;
use super::batch::{Batch, Counters, Feed, Source};
use frame::Frames;
use message::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Takes datagrams until it is aborted.
pub(super) async fn udp(socket: UdpSocket, feed: Feed, source: Arc<Source>, counters: Arc<Counters>) {
    let mut datagram = vec![0; 64 << 10];
    loop {
        let mut batch = Batch::new(Arc::clone(&source));
        match socket.recv(&mut datagram).await {
            Ok(n) => take(&datagram[..n], &mut batch, &counters),
            Err(e) => {
                counters.error();
                tracing::warn!(err = %e, "Syslog datagram lost");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        while !batch.is_full() {
            let Ok(n) = socket.try_recv(&mut datagram) else { break };
            take(&datagram[..n], &mut batch, &counters);
        }
        if !feed.send(batch).await {
            return;
        }
    }
}

/// Takes connections until it is aborted.
pub(super) async fn tcp(listener: TcpListener, feed: Feed, source: Arc<Source>, counters: Arc<Counters>) {
    let shared = Arc::clone(&counters);
    accept(listener, counters, move |stream, peer| {
        let (feed, source, counters) = (feed.clone(), Arc::clone(&source), Arc::clone(&shared));
        async move {
            if let Err(why) = connection(stream, &feed, &source, &counters).await {
                counters.error();
                tracing::warn!(%peer, why, "Syslog connection ended");
            }
        }
    })
    .await;
}

async fn connection(
    mut stream: TcpStream,
    feed: &Feed,
    source: &Arc<Source>,
    counters: &Counters,
) -> Result<(), String> {
    let mut frames = Frames::default();
    let mut buffer = Vec::with_capacity(16 << 10);
    loop {
        buffer.clear();
        let read = tokio::time::timeout(IDLE, stream.read_buf(&mut buffer)).await;
        let Ok(read) = read else { return Err("idle for too long".into()) };
        let n = read.map_err(|e| e.to_string())?;
        let mut batch = Batch::new(Arc::clone(source));
        let mut wrong = frames.take(&buffer[..n], &mut |frame| take(frame, &mut batch, counters)).err();
        if n == 0 {
            frames.finish(&mut |frame| take(frame, &mut batch, counters));
        }
        batch.cut += frames.take_cut();
        if !batch.is_empty() && !feed.send(batch).await {
            return Ok(());
        }
        if let Some(wrong) = wrong.take() {
            return Err(wrong.to_owned());
        }
        if n == 0 {
            return Ok(());
        }
    }
}

fn take(bytes: &[u8], batch: &mut Batch, counters: &Counters) {
    counters.request();
    let message = Message::parse(bytes);
    batch.push(message.text, Some(message.extra()));
}

/// Senders that say nothing for so long are gone.
const IDLE: Duration = Duration::from_mins(30);
