//! The command line as kingpin reads it, which is what users of the Go exporters have in their unit files: `--flag=value`,
//! `--flag value`, `--switch`, `--no-switch`, `--` before operands. The error texts are kingpin's too.

use crate::flags::{Flag, FlagKind, Flags};
use crate::program::Command;
use std::collections::VecDeque;

/// What stands on a command line, sorted.
pub(crate) struct Parsed<'a> {
    pub(crate) flags: Flags,
    pub(crate) command: Option<&'a Command>,
    pub(crate) operands: Vec<String>,
    /// `-h` or `--help` was among the words read before any mistake.
    pub(crate) help: bool,
    /// `--version` was.
    pub(crate) version: bool,
    pub(crate) error: Option<String>,
}

/// What a command line may look like besides.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// `-name` for `--name`.
    pub(crate) single_dash: bool,
    /// `--switch=true` and `--switch=false`.
    pub(crate) switch_values: bool,
}

/// Reads `args`, then the environment for what was not given.
pub(crate) fn parse<'a>(
    declared: &[&Flag],
    commands: &'a [Command],
    style: Style,
    args: impl IntoIterator<Item = String>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Parsed<'a> {
    let mut reader = Reader {
        known: declared.to_vec(),
        commands,
        style,
        words: args.into_iter().map(Word::Raw).collect(),
        only_operands: false,
        parsed: Parsed {
            flags: Flags::defaults(declared.iter().copied()),
            command: None,
            operands: Vec::new(),
            help: false,
            version: false,
            error: None,
        },
    };
    let read = reader.read().and_then(|()| reader.environment(env));
    let mut parsed = reader.parsed;
    parsed.error = read.err();
    parsed
}

/// [`parse`] for flags alone.
pub(crate) fn parse_flags(declared: &[&Flag], args: &[&str]) -> Result<Flags, String> {
    let parsed = parse(declared, &[], Style::default(), args.iter().map(|&a| a.to_owned()), &|_| None);
    parsed.error.map_or(Ok(parsed.flags), Err)
}

struct Reader<'d, 'a> {
    known: Vec<&'d Flag>,
    commands: &'a [Command],
    style: Style,
    words: VecDeque<Word>,
    only_operands: bool,
    parsed: Parsed<'a>,
}

enum Word {
    /// As it stood on the command line.
    Raw(String),
    /// What followed the `=` of a long flag: a value whatever it looks like.
    Value(String),
}

impl Reader<'_, '_> {
    fn read(&mut self) -> Result<(), String> {
        while let Some(word) = self.words.pop_front() {
            match word {
                Word::Value(text) => return Err(format!("unexpected {text}")),
                Word::Raw(text) if self.only_operands || !text.starts_with('-') || text == "-" => self.operand(text)?,
                Word::Raw(text) if text == "--" => self.only_operands = true,
                Word::Raw(text) => match text.strip_prefix("--") {
                    Some(long) => self.long(long)?,
                    None => self.short(&text[1..])?,
                },
            }
        }
        let missing = self.parsed.command.and_then(|c| c.args.get(self.parsed.operands.len()));
        match missing {
            Some(arg) if arg.required && !self.parsed.help => {
                Err(format!("required argument '{}' not provided", arg.name))
            }
            _ => Ok(()),
        }
    }

    fn operand(&mut self, text: String) -> Result<(), String> {
        let Some(command) = self.parsed.command else {
            let command = self.commands.iter().find(|c| c.name == text).ok_or_else(|| format!("unexpected {text}"))?;
            for flag in command.flags {
                if !self.known.iter().any(|k| k.name == flag.name) {
                    self.known.push(flag);
                    self.parsed.flags.declare(flag);
                }
            }
            self.parsed.command = Some(command);
            return Ok(());
        };
        let room = command.args.last().is_some_and(|a| a.many) || self.parsed.operands.len() < command.args.len();
        if !room {
            return Err(format!("unexpected {text}"));
        }
        self.parsed.operands.push(text);
        Ok(())
    }

    fn long(&mut self, text: &str) -> Result<(), String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if let Some(value) = value {
            self.words.push_front(Word::Value(value));
        }
        match name {
            "help" | "help-long" => self.parsed.help = true,
            "version" => self.parsed.version = true,
            _ => return self.declared(name),
        }
        Ok(())
    }

    fn declared(&mut self, name: &str) -> Result<(), String> {
        let unknown = || format!("unknown long flag '--{name}'");
        let (flag, on) = match (self.find(name), name.strip_prefix("no-")) {
            (Some(flag), _) => (flag, true),
            (None, Some(positive)) => (self.find(positive).ok_or_else(unknown)?, false),
            (None, None) => return Err(unknown()),
        };
        if flag.kind == FlagKind::Bool {
            let value = match self.words.pop_front() {
                Some(Word::Value(text)) if self.style.switch_values => {
                    truth(&text).ok_or_else(|| format!("flag '--{name}': parsing {text:?}: invalid syntax"))?
                }
                Some(word) => {
                    self.words.push_front(word);
                    true
                }
                None => true,
            };
            return self.parsed.flags.give(flag, if on == value { "true" } else { "false" });
        }
        if !on {
            return Err(unknown());
        }
        let value = match self.words.pop_front() {
            Some(Word::Value(text)) => text,
            Some(Word::Raw(text)) if !text.starts_with('-') => text,
            _ => return Err(format!("expected argument for flag '--{name}'")),
        };
        self.parsed.flags.give(flag, &value)
    }

    fn short(&mut self, text: &str) -> Result<(), String> {
        if text == "h" {
            self.parsed.help = true;
            return Ok(());
        }
        let name = text.split_once('=').map_or(text, |(name, _)| name);
        let known = self.find(name).is_some() || name.strip_prefix("no-").is_some_and(|n| self.find(n).is_some());
        if self.style.single_dash && known {
            self.parsed.flags.notice(format!("-{name} with one dash is deprecated, write --{name}"));
            return self.long(text);
        }
        let first: String = text.chars().take(1).collect();
        Err(format!("unknown short flag '-{first}'"))
    }

    fn environment(&mut self, env: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
        for &flag in &self.known {
            let Some(variable) = flag.env else { continue };
            let given = self.parsed.flags.given(flag.name) || flag.alias_of.is_some_and(|t| self.parsed.flags.given(t));
            let Some(text) = env(variable).filter(|t| !given && !t.is_empty()) else { continue };
            let stored = match flag.kind {
                FlagKind::Bool => match truth(&text) {
                    Some(on) => self.parsed.flags.give(flag, if on { "true" } else { "false" }),
                    None => Err(format!("flag '--{}': parsing {text:?}: invalid syntax", flag.name)),
                },
                FlagKind::Texts => text.lines().try_for_each(|line| self.parsed.flags.give(flag, line)),
                _ => self.parsed.flags.give(flag, &text),
            };
            stored.map_err(|e| format!("{e} (from the environment variable {variable})"))?;
        }
        Ok(())
    }
}

impl<'d> Reader<'d, '_> {
    fn find(&self, name: &str) -> Option<&'d Flag> {
        self.known.iter().copied().find(|f| f.name == name)
    }
}

/// The words that Go takes for a truth value.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
