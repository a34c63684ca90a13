//! From `main` to the exit code.

use crate::app::{App, Setup, StartError};
use crate::flags::Flags;
use crate::listen::{Address, Listener};
use crate::logs::Logs;
use crate::program::{Asked, Program};
use crate::serve::{Config, serve};
use crate::shutdown::Stop;
use crate::web::WebConfig;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Runs a program: reads its command line, builds its app, serves it until SIGTERM or SIGINT.
///
/// `build` runs inside the async runtime after flags were read and logs set up, and before anything listens.
#[expect(clippy::needless_pass_by_value, reason = "a main hands its program over")]
pub fn run<F>(program: Program, build: F) -> ExitCode
where
    F: FnOnce(&Setup) -> Result<App, StartError>,
{
    crate::sys::tune_heap();
    let flags = match program.parse(std::env::args_os(), &|name| std::env::var(name).ok()) {
        Asked::Serve(flags) => flags,
        Asked::Command(command, flags, operands) => {
            Logs::from_flags(&flags).install();
            notices(&flags);
            return (command.run)(&flags, &operands);
        }
        Asked::Answer { text, code, to_stderr } => {
            print(&text, to_stderr);
            return ExitCode::from(code);
        }
    };
    Logs::from_flags(&flags).install();
    log_panics();
    raise_descriptor_limit();
    tracing::info!(version = %program.version, "Starting {}", program.name);
    notices(&flags);
    match start(&program, flags, build) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start<F>(program: &Program, flags: Flags, build: F) -> Result<(), StartError>
where
    F: FnOnce(&Setup) -> Result<App, StartError>,
{
    let runtime = runtime(program.workers).map_err(|e| StartError::new(format_args!("async runtime: {e}")))?;
    let served = runtime.block_on(async {
        let (stop, shutdown) = Stop::new();
        // First of all: whoever reads that we listen may stop us the same moment.
        tokio::spawn(signals(stop)?);
        let setup = Setup { flags, version: program.version, shutdown: shutdown.clone() };
        // All that can be wrong is found before anything listens.
        let web = web_config(&setup.flags)?;
        let mut app = build(&setup)?;
        let web = web.or_else(|| app.web.take().map(Arc::new));
        let listeners = listeners(&setup.flags)?;
        announce(&listeners, web.as_deref());
        let config = Config { name: program.title.to_owned(), web, ..Config::default() };
        serve(listeners, app, config, shutdown).await
    });
    // A thread that is stuck in the kernel must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(200));
    served
}

fn runtime(workers: usize) -> std::io::Result<Runtime> {
    let mut builder = if workers == 0 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    if workers > 0 {
        builder.worker_threads(workers);
    }
    builder.enable_all().thread_name("worker").build()
}

fn web_config(flags: &Flags) -> Result<Option<Arc<WebConfig>>, StartError> {
    let path = flags.text("web.config.file");
    if path.is_empty() {
        return Ok(None);
    }
    let opened = WebConfig::open(Path::new(path));
    opened.map(|web| Some(Arc::new(web))).map_err(|e| StartError::new(format_args!("--web.config.file: {e}")))
}

/// Says what is served where, in the toolkit's words.
fn announce(listeners: &[Listener], web: Option<&WebConfig>) {
    for listener in listeners {
        tracing::info!(address = listener.address(), "Listening on");
    }
    if let Some(web) = web {
        web.announce();
    }
    let http2 = web.is_some_and(WebConfig::http2);
    for listener in listeners {
        if web.is_some_and(WebConfig::tls_on) {
            tracing::info!(http2, address = listener.address(), "TLS is enabled.");
        } else {
            tracing::info!(http2, address = listener.address(), "TLS is disabled.");
        }
    }
}

fn listeners(flags: &Flags) -> Result<Vec<Listener>, StartError> {
    if flags.on("web.systemd-socket") {
        return Listener::from_systemd().map_err(StartError::new);
    }
    let addresses = flags.texts("web.listen-address").iter().map(|text| Address::parse(text));
    let addresses: Vec<Address> = addresses.collect::<Result<_, _>>().map_err(StartError::new)?;
    addresses.iter().map(Listener::bind).collect::<Result<_, _>>().map_err(StartError::new)
}

/// Turns SIGTERM and SIGINT into a graceful stop; the second one ends the process at once.
fn signals(stop: Stop) -> Result<impl Future<Output = ()>, StartError> {
    let wrong = |e| StartError::new(format_args!("signal handler: {e}"));
    let mut term = signal(SignalKind::terminate()).map_err(wrong)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(wrong)?;
    Ok(async move {
        let mut first = true;
        loop {
            let name = tokio::select! {
                _ = term.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if !first {
                tracing::warn!(signal = name, "Stopping at once");
                std::process::exit(1);
            }
            first = false;
            tracing::info!(signal = name, "Stopping");
            stop.stop();
        }
    })
}

/// A panic is one log line; the request or collector that panicked is answered for by whoever caught it.
fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(err = text, place, "Panic");
    }));
}

/// Each connection is a descriptor: take as many as we may have, as Go programs do.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

fn notices(flags: &Flags) {
    for notice in flags.notices() {
        tracing::warn!("{notice}");
    }
}

fn print(text: &str, to_stderr: bool) {
    // Nobody is left to tell when the stream is closed.
    let _ = if to_stderr {
        std::io::stderr().lock().write_all(text.as_bytes())
    } else {
        std::io::stdout().lock().write_all(text.as_bytes())
    };
}
