//! Metrics of one's own. Copy this crate to begin.

mod system;

use exporter::{Flag, Program, Served, StartError};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let program = Program::new(
        "custom_exporter",
        "Custom Exporter",
        "Metrics of your own, beginning with this system's.",
        ":8000",
    )
    .flags([&SIMULATE]);
    exporter::run(program, |setup| {
        let system = system::System::new(setup.flags.on(SIMULATE.name)).map_err(StartError::new)?;
        Ok(Served::new(Arc::new(system)))
    })
}

const SIMULATE: Flag = Flag::switch(
    "simulate",
    "Serve the CPU's load in percent as its temperature, as the lab document does, for machines without a sensor.",
);
