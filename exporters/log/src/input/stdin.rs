//! Standard input.

use super::Stdin;
use super::batch::{Batch, Counters, Feed, Lines, Message};
use super::cutter::Cutter;
use super::multiline::Joiner;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::sync::Arc;
use std::time::Instant;

/// Starts the thread that reads it.
pub(super) fn start(settings: &Stdin, feed: Feed, counters: Arc<Counters>) -> std::io::Result<()> {
    let settings = settings.clone();
    crate::vital::spawn("stdin", move || run(&settings, &feed, &counters))?;
    Ok(())
}

fn run(settings: &Stdin, feed: &Feed, counters: &Counters) {
    let source = feed.source(&Arc::from(settings.name.as_str()), String::new());
    let mut joiner = Joiner::new(settings.multiline.as_ref());
    let mut cutter = Cutter::default();
    let mut input = std::io::stdin().lock();
    let send = |batch: Batch| batch.is_empty() || feed.tap.blocking_send(Message::Batch(batch)).is_ok();
    loop {
        let mut batch = Batch::new(Arc::clone(&source));
        if let Some(joiner) = &mut joiner
            && let Some(due) = joiner.due()
            && !readable(due)
        {
            joiner.flush(&mut |event| batch.push(event, None));
            if !send(batch) {
                return;
            }
            continue;
        }
        let mut text = feed.pool.take();
        let end = match cutter.read(&mut input, &mut text) {
            Ok(end) => end,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => {
                counters.error();
                tracing::error!(err = %e, "Standard input cannot be read");
                true
            }
        };
        batch.cut = cutter.take_cut();
        match &mut joiner {
            None => {
                batch.lines = Lines::Newlines;
                batch.text = text;
            }
            Some(joiner) => {
                for line in text.split_inclusive(|b| *b == b'\n') {
                    let line = line.strip_suffix(b"\n").unwrap_or(line);
                    let line = line.strip_suffix(b"\r").unwrap_or(line);
                    joiner.line(line, Instant::now(), &mut |event| batch.push(event, None));
                }
                if end {
                    joiner.flush(&mut |event| batch.push(event, None));
                }
                batch.cut += joiner.take_cut();
            }
        }
        if !send(batch) {
            return;
        }
        if end {
            break;
        }
    }
    tracing::info!(exit = settings.exit_at_end, "Standard input has ended");
    if settings.exit_at_end {
        // When everything before it is counted.
        let ask = Message::Ask(Box::new(|_| {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
        }));
        let _ = feed.tap.blocking_send(ask);
    }
}

/// Whether something can be read before that time.
fn readable(due: Instant) -> bool {
    let left = due.saturating_duration_since(Instant::now());
    let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
    let input = std::io::stdin();
    let mut polled = [PollFd::new(&input, PollFlags::IN)];
    rustix::event::poll(&mut polled, Some(&left)).map_or(true, |n| n > 0)
}
