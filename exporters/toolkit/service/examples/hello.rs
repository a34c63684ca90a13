//! The smallest service: a landing page, a greeting and the health addresses.

use service::{App, Landing, Program};

fn main() -> std::process::ExitCode {
    let program = Program::new("hello", "Hello", "Greets whoever asks", ":9999");
    let landing = Landing::new(program.title, program.about, program.version).link("/hello", "Hello", "a greeting");
    service::run(program, move |_setup| {
        let router = axum::Router::new().route("/hello", axum::routing::any(async || "hello\n"));
        Ok(App::new(router).landing(landing))
    })
}
