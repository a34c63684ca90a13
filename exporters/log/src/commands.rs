//! What the program does besides serving.

use crate::config;
use crate::engine::{Attempt, attempt};
use crate::input::batch::FULL;
use service::{Arg, Command, Flag, Flags};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// `log-exporter try RULES < FILE`.
pub(crate) fn trial() -> Command {
    let about = "Give lines from standard input to the rules of a file and show what each would do, then the metrics.";
    Command::new("try", about, |flags, operands| finish(run(flags, operands))).flags(FLAGS).args(RULES)
}

fn run(flags: &Flags, operands: &[String]) -> Result<(), String> {
    let rules = operands.first().map_or("", String::as_str);
    let config = config::load(Path::new(rules)).map_err(|e| e.to_string())?;
    let (input, file) = (flags.text(INPUT.name), flags.text(FILE.name));
    let source = (!input.is_empty() || !file.is_empty()).then_some((input, file));
    let mut lines = BufReader::with_capacity(FULL, io::stdin().lock());
    let mut out = BufWriter::new(io::stdout().lock());
    match attempt(config, &mut lines, &mut out, Attempt { quiet: flags.on(QUIET.name), source }) {
        // Whoever read the output has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|e| e.to_string()),
    }
}

/// `--showconfig`.
pub(crate) fn show_config(path: &Path) -> Result<(), String> {
    let text = config::show(path).map_err(|e| e.to_string())?;
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(())
}

fn finish(done: Result<(), String>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(io::stderr(), "error: {e}");
            ExitCode::FAILURE
        }
    }
}

const QUIET: Flag = Flag::switch("quiet", "Show the metrics alone.");
const FILE: Flag =
    Flag::text("file", "", "Path of the file that the lines are to come from, for rules that ask for one.");
const INPUT: Flag = Flag::text("input", "", "Name of the input that the lines are to come from.");
const FLAGS: &[Flag] = &[QUIET, FILE, INPUT];
const RULES: &[Arg] =
    &[Arg { name: "rules", about: "Configuration file in either form.", required: true, many: false }];
