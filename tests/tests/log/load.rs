//! Rotation and kills under load. `./lab soak logs` runs the first one for a minute at 100,000 lines a second.

use crate::exporter::{Place, SEEN, value};
use rustix::process::Signal;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Writes so many lines a second and rotates once a second, by renaming; says how many lines it wrote.
fn write(place: &Path, lines_a_second: u64, duration: Duration, mut each: impl FnMut(u64)) -> u64 {
    let path = place.join("app.log");
    let open = || -> File { OpenOptions::new().create(true).append(true).open(&path).unwrap() };
    let (start, mut log, mut written, mut rotations) = (Instant::now(), open(), 0, 0);
    let mut text = String::new();
    while start.elapsed() < duration {
        let due = start.elapsed().as_millis() as u64 * lines_a_second / 1000;
        text.clear();
        for n in written..due {
            text.push_str("line ");
            text.push_str(&n.to_string());
            text.push_str(" of some length, as a web server writes it\n");
        }
        written = due;
        log.write_all(text.as_bytes()).unwrap();
        if start.elapsed().as_secs() > rotations {
            rotations += 1;
            std::fs::rename(&path, place.join(format!("app.log.{rotations}"))).unwrap();
            // As a server does: some lines still go to the old file.
            log.write_all(b"line late\n").unwrap();
            written += 1;
            log = open();
            if rotations > 5 {
                std::fs::remove_file(place.join(format!("app.log.{}", rotations - 5))).unwrap();
            }
        }
        each(written);
        std::thread::sleep(Duration::from_millis(5));
    }
    written
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[test]
fn no_line_is_lost_or_doubled_with_a_rotation_each_second() {
    let (seconds, rate) = (number("BONGSU_LOG_SOAK_SECONDS", 4), number("BONGSU_LOG_SOAK_RATE", 20_000));
    let place = Place::usual();
    let service = place.start();
    let (mut most_bytes, mut looked) = (0, Instant::now());
    let written = write(&place.path("logs"), rate, Duration::from_secs(seconds), |_| {
        if looked.elapsed() > Duration::from_secs(1) {
            most_bytes = most_bytes.max(service.resident_bytes());
            looked = Instant::now();
        }
    });
    let ended = Instant::now();
    tests::wait_until("all lines", Duration::from_secs(30), || {
        value(&service, SEEN).is_some_and(|n| n >= written as f64)
    });
    let behind = ended.elapsed();
    assert_eq!(value(&service, SEEN), Some(written as f64), "{}", service.log());
    println!("{written} lines in {seconds} s, read {behind:?} after the last, at most {} KiB", most_bytes / 1024);
}

#[test]
fn kills_under_load_lose_and_double_nothing() {
    let place = Place::usual();
    let logs = place.path("logs");
    let writer = std::thread::spawn(move || write(&logs, 20_000, Duration::from_secs(7), |_| ()));
    let args = [format!("--storage.path={}", place.path("state").display()), "--storage.save-interval=300ms".into()];
    let mut service = place.start_with(&args);
    let mut last = 0.0;
    let mut check = |service: &tests::Service| {
        if let Some(now) = value(service, SEEN) {
            assert!(now >= last, "the counter went back from {last} to {now}\n{}", service.log());
            last = now;
        }
    };
    let mut kills = 0;
    while !writer.is_finished() {
        let life = Instant::now();
        while life.elapsed() < Duration::from_millis(1100) {
            check(&service);
            std::thread::sleep(Duration::from_millis(50));
        }
        service.signal(Signal::KILL);
        service.wait();
        kills += 1;
        service = place.start_with(&args);
    }
    let written = writer.join().unwrap() as f64;
    tests::wait_until("all lines", Duration::from_secs(30), || {
        check(&service);
        value(&service, SEEN).is_some_and(|n| n >= written)
    });
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(value(&service, SEEN), Some(written), "{kills} kills\n{}", service.log());
    println!("{written} lines, {kills} kills");
}
