//! A program as its user sees it: names, flags, subcommands, and what a command line asks of it.

use crate::command_line;
use crate::flags::{Flag, FlagKind, Flags};
use crate::healthcheck;
use crate::help;
use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

/// A program as its user sees it.
#[derive(Debug)]
pub struct Program {
    /// How it calls itself in error lines and `--version`, such as `node_exporter`.
    pub name: &'static str,
    /// Title of the landing page, such as `Node Exporter`.
    pub title: &'static str,
    /// One sentence for `--help` and the landing page.
    pub about: &'static str,
    /// What was built.
    pub version: Version,
    /// Default of `--web.listen-address`, such as `:9100`.
    pub listen: &'static str,
    /// Its own flags; those of logs and listeners are added.
    pub flags: Vec<&'static Flag>,
    /// Its subcommands; `healthcheck` is one from the start.
    pub commands: Vec<Command>,
    /// Whether `-long.flag` is taken for `--long.flag`, with a notice, as exporters of Go's own flag package had it.
    pub single_dash: bool,
    /// Whether a switch may be written `--name=true` and `--name=false`, as Go's own flag package has it.
    pub switch_values: bool,
    /// What flags say together: run after all were read, may set some from others.
    pub settle: Option<SettleFn>,
    /// Threads that run async code; 0, the default, is one thread for all of it, which is smallest.
    pub workers: usize,
}

impl Program {
    /// A program without flags of its own.
    pub fn new(name: &'static str, title: &'static str, about: &'static str, listen: &'static str) -> Self {
        let version = Version::of(env!("CARGO_PKG_VERSION"));
        Self {
            name,
            title,
            about,
            version,
            listen,
            flags: Vec::new(),
            commands: vec![healthcheck::command()],
            single_dash: false,
            switch_values: false,
            settle: None,
            workers: 0,
        }
    }

    /// The same program with these flags more.
    #[must_use]
    pub fn flags(mut self, flags: impl IntoIterator<Item = &'static Flag>) -> Self {
        self.flags.extend(flags);
        self
    }

    /// The same program with this subcommand more.
    #[must_use]
    pub fn command(mut self, command: Command) -> Self {
        self.commands.push(command);
        self
    }

    /// Its own flags, then those of every service: what `--help` and the docs list.
    pub fn all_flags(&self) -> Vec<Flag> {
        let own = self.flags.iter().map(|&&flag| flag);
        let listen = Flag { default: self.listen, ..LISTEN_ADDRESS };
        let mut all: Vec<Flag> = own.collect();
        for flag in [SYSTEMD_SOCKET, listen, CONFIG_FILE, LOG_LEVEL, LOG_FORMAT] {
            if !all.iter().any(|f| f.name == flag.name) {
                all.push(flag);
            }
        }
        all
    }

    /// What the command line asks for. Touches nothing and prints nothing.
    ///
    /// `args` starts with the program's own name, as [`std::env::args_os`] does.
    pub fn parse<I: IntoIterator<Item = OsString>>(&self, args: I, env: &dyn Fn(&str) -> Option<String>) -> Asked<'_> {
        let all = self.all_flags();
        let declared: Vec<&Flag> = all.iter().collect();
        let args = args.into_iter().skip(1).map(|a| a.to_string_lossy().into_owned());
        let style = command_line::Style { single_dash: self.single_dash, switch_values: self.switch_values };
        let mut parsed = command_line::parse(&declared, &self.commands, style, args, env);
        // In kingpin's order: `--version extra` shows the version, `--help --nosuch` the mistake.
        if parsed.version {
            return Asked::answer(self.version.report(self.name));
        }
        if let Some(error) = parsed.error {
            return self.mistake(&error);
        }
        if parsed.help {
            return Asked::answer(help::text(self, &all, parsed.command));
        }
        if let Some(Err(error)) = self.settle.map(|settle| settle(&mut parsed.flags)) {
            return self.mistake(&error);
        }
        match parsed.command {
            Some(command) => Asked::Command(command, parsed.flags, parsed.operands),
            None => Asked::Serve(parsed.flags),
        }
    }

    /// The answer to a command line that cannot be followed.
    pub fn mistake(&self, error: &str) -> Asked<'_> {
        let text = format!("{}: error: {}, try --help\n", self.name, one_line(error));
        Asked::Answer { text, code: 1, to_stderr: true }
    }
}

/// Sets flags from others; an error is a mistake of the command line.
pub type SettleFn = fn(&mut Flags) -> Result<(), String>;

/// What a command line asks for.
#[derive(Debug)]
pub enum Asked<'a> {
    /// Serve until stopped.
    Serve(Flags),
    /// Run a subcommand with these operands.
    Command(&'a Command, Flags, Vec<String>),
    /// Print a text and end: help, version, a mistake.
    Answer {
        /// What to print, with its line ends.
        text: String,
        /// Exit code.
        code: u8,
        /// Whether it goes to standard error.
        to_stderr: bool,
    },
}

impl Asked<'_> {
    fn answer(text: String) -> Self {
        Self::Answer { text, code: 0, to_stderr: false }
    }
}

/// What a subcommand does.
pub type CommandFn = dyn Fn(&Flags, &[String]) -> ExitCode + Send + Sync;

/// A subcommand. It sees the program's flags too.
pub struct Command {
    /// The word that calls it.
    pub name: &'static str,
    /// One sentence for `--help`.
    pub about: &'static str,
    /// Flags that only it has.
    pub flags: &'static [Flag],
    /// Its operands, in order.
    pub args: &'static [Arg],
    /// Left out of `--help`.
    pub hidden: bool,
    /// What it does; gets all flags and the operands.
    pub run: Box<CommandFn>,
}

impl Command {
    /// A subcommand without flags or operands.
    pub fn new<F>(name: &'static str, about: &'static str, run: F) -> Self
    where
        F: Fn(&Flags, &[String]) -> ExitCode + Send + Sync + 'static,
    {
        Self { name, about, flags: &[], args: &[], hidden: false, run: Box::new(run) }
    }

    /// The same subcommand with these flags.
    #[must_use]
    pub fn flags(mut self, flags: &'static [Flag]) -> Self {
        self.flags = flags;
        self
    }

    /// The same subcommand with these operands.
    #[must_use]
    pub fn args(mut self, args: &'static [Arg]) -> Self {
        self.args = args;
        self
    }

    /// The same subcommand, left out of `--help`.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An operand of a subcommand.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    /// Name for `--help`.
    pub name: &'static str,
    /// One sentence for `--help`.
    pub about: &'static str,
    /// Whether the subcommand needs it.
    pub required: bool,
    /// Whether it may be given several times; only the last operand may.
    pub many: bool,
}

/// What was built, and from what.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    /// Semantic version.
    pub version: &'static str,
    /// Commit, as the build was told.
    pub revision: &'static str,
    /// Branch, as the build was told.
    pub branch: &'static str,
}

impl Version {
    /// This version, with the revision and branch that the build environment names in `BONGSU_REVISION` and
    /// `BONGSU_BRANCH`.
    pub const fn of(version: &'static str) -> Self {
        Self {
            version,
            revision: match option_env!("BONGSU_REVISION") {
                Some(revision) => revision,
                None => "unknown",
            },
            branch: match option_env!("BONGSU_BRANCH") {
                Some(branch) => branch,
                None => "unknown",
            },
        }
    }

    /// Go's name of the machine that this was built for, such as `linux/amd64`.
    pub fn platform() -> String {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            other => other,
        };
        format!("{}/{arch}", std::env::consts::OS)
    }

    fn report(&self, name: &str) -> String {
        let Self { version, revision, branch } = self;
        let platform = Self::platform();
        format!("{name}, version {version} (branch: {branch}, revision: {revision})\n  platform:         {platform}\n")
    }
}

/// `(version=…, branch=…, revision=…)`, as log lines and landing pages show it.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(version={}, branch={}, revision={})", self.version, self.branch, self.revision)
    }
}

/// Errors are one line, whatever a user or a library put into them.
pub(crate) fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(": ")
}

const SYSTEMD_SOCKET: Flag = Flag::switch(
    "web.systemd-socket",
    "Use systemd socket activation listeners instead of port listeners (Linux only).",
);
const LISTEN_ADDRESS: Flag = Flag::new(
    "web.listen-address",
    FlagKind::Texts,
    "",
    "Addresses on which to expose metrics and web interface. Repeatable for multiple addresses. Examples: `:9100`, \
     `127.0.0.1:9100` or `[::1]:9100` for TCP, `unix:/run/name.sock` for a Unix socket.",
);
const CONFIG_FILE: Flag = Flag::text(
    "web.config.file",
    "",
    "Path to configuration file that can enable TLS or authentication. See: \
     https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md",
);
const LOG_LEVEL: Flag = Flag::new(
    "log.level",
    FlagKind::Choice(&["debug", "info", "warn", "error"]),
    "info",
    "Only log messages with the given severity or above. One of: [debug, info, warn, error]",
);
const LOG_FORMAT: Flag = Flag::new(
    "log.format",
    FlagKind::Choice(&["logfmt", "json"]),
    "logfmt",
    "Output format of log messages. One of: [logfmt, json]",
);
