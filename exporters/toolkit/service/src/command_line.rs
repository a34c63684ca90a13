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
        let own = ["help", "version"].contains(&name);
        let known =
            own || self.find(name).is_some() || name.strip_prefix("no-").is_some_and(|n| self.find(n).is_some());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Arg;
    use proptest::prelude::*;
    use std::process::ExitCode;
    use std::time::Duration;

    const SWITCH: Flag = Flag::switch("switch", "");
    const ON: Flag = Flag::switch_on("on", "");
    const TEXT: Flag = Flag::text("text", "t", "").env("TEXT");
    const TEXTS: Flag = Flag::new("texts", FlagKind::Texts, "a", "").env("TEXTS");
    const NUMBER: Flag = Flag::new("number", FlagKind::Integer, "1", "");
    const WAIT: Flag = Flag::new("wait", FlagKind::Duration, "5s", "");
    const MATCH: Flag = Flag::regex("match", "", "");
    const OLD: Flag = Flag::text("old", "", "").alias("text");
    const ENV_SWITCH: Flag = Flag::switch("env-switch", "").env("SWITCH");
    const ALL: &[&Flag] = &[&SWITCH, &ON, &TEXT, &TEXTS, &NUMBER, &WAIT, &MATCH, &OLD, &ENV_SWITCH];

    fn commands() -> Vec<Command> {
        const ARGS: &[Arg] = &[Arg { name: "file", about: "", required: true, many: true }];
        let mut check = Command::new("check", "", |_, _| ExitCode::SUCCESS).args(ARGS);
        check.flags = const { &[Flag::switch("deep", "")] };
        vec![check, Command::new("plain", "", |_, _| ExitCode::SUCCESS)]
    }

    fn read(args: &[&str], style: Style, env: &[(&str, &str)]) -> Result<(Flags, String, Vec<String>), String> {
        let commands = commands();
        let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let parsed = parse(ALL, &commands, style, args.iter().map(|&a| a.to_owned()), &env);
        let command = parsed.command.map_or("", |c| c.name).to_owned();
        parsed.error.map_or(Ok((parsed.flags, command, parsed.operands)), Err)
    }

    fn flags(args: &[&str]) -> Flags {
        read(args, Style::default(), &[]).unwrap().0
    }

    fn error(args: &[&str]) -> String {
        read(args, Style::default(), &[]).unwrap_err()
    }

    #[test]
    fn defaults_hold_until_a_flag_is_given() {
        let none = flags(&[]);
        assert_eq!(
            (none.on("switch"), none.on("on"), none.text("text"), none.given("text")),
            (false, true, "t", false)
        );
        assert_eq!((none.texts("texts"), none.integer("number")), (&["a".to_owned()][..], 1));
        assert_eq!((none.duration("wait"), none.regex("match").is_none()), (Duration::from_secs(5), true));
        let given = flags(&[
            "--switch",
            "--no-on",
            "--text=",
            "--texts=x",
            "--texts",
            "y",
            "--number=-3",
            "--wait",
            "1m",
            "--match=^a",
        ]);
        assert_eq!(
            (given.on("switch"), given.on("on"), given.text("text"), given.given("text")),
            (true, false, "", true)
        );
        assert_eq!(given.texts("texts"), ["x", "y"]);
        assert_eq!((given.integer("number"), given.duration("wait")), (-3, Duration::from_mins(1)));
        assert_eq!(
            (flags(&["--number=40.9"]).integer("number"), flags(&["--number=1e2"]).integer("number")),
            (40, 100)
        );
        assert!(given.regex("match").is_some_and(|r| r.is_match(b"ab") && !r.is_match(b"ba")));
    }

    #[test]
    fn a_value_behind_an_equals_sign_may_look_like_anything() {
        assert_eq!(flags(&["--text=--switch"]).text("text"), "--switch");
        assert_eq!(flags(&["--text=a=b"]).text("text"), "a=b");
        assert_eq!(error(&["--text", "--switch"]), "expected argument for flag '--text'");
        assert_eq!(error(&["--text"]), "expected argument for flag '--text'");
    }

    #[test]
    fn mistakes_are_worded_as_kingpin_words_them() {
        for (args, text) in [
            (&["--nosuch=1"][..], "unknown long flag '--nosuch'"),
            (&["--no-text"], "unknown long flag '--no-text'"),
            (&["--switch=true"], "unexpected true"),
            (&["--text=a", "--text=b"], "flag 'text' cannot be repeated"),
            (&["--switch", "--no-switch"], "flag 'switch' cannot be repeated"),
            (&["-s"], "unknown short flag '-s'"),
            (&["-text=x"], "unknown short flag '-t'"),
            (&["what"], "unexpected what"),
            (&["--", "--switch"], "unexpected --switch"),
            (&["plain", "more"], "unexpected more"),
            (&["check"], "required argument 'file' not provided"),
            (&["--number=x"], "flag '--number': parsing \"x\": invalid syntax"),
            (&["--wait=5"], "flag '--wait': missing unit in duration \"5\""),
            (&["--match=("], "flag '--match': bad regular expression \"(\": unclosed group"),
            (&["--deep", "check", "f"], "unknown long flag '--deep'"),
        ] {
            assert_eq!(error(args), text, "{args:?}");
        }
    }

    #[test]
    fn subcommands_have_flags_and_operands() {
        let (flags, command, operands) =
            read(&["--text=x", "check", "a", "--deep", "--", "-b"], Style::default(), &[]).unwrap();
        assert_eq!((command.as_str(), operands.as_slice()), ("check", &["a".to_owned(), "-b".to_owned()][..]));
        assert!(flags.on("deep") && flags.text("text") == "x");
    }

    #[test]
    fn the_environment_stands_in_for_what_is_absent() {
        let env = [("TEXT", "from env"), ("TEXTS", "x\ny"), ("SWITCH", "T")];
        let (flags, ..) = read(&[], Style::default(), &env).unwrap();
        assert_eq!((flags.text("text"), flags.texts("texts")), ("from env", &["x".to_owned(), "y".to_owned()][..]));
        assert!(flags.on("env-switch") && flags.given("text"));
        let (flags, ..) = read(&["--text=from line"], Style::default(), &env).unwrap();
        assert_eq!(flags.text("text"), "from line");
        let (flags, ..) = read(&["--old=from line"], Style::default(), &env).unwrap();
        assert_eq!(flags.text("text"), "from line");
        let (flags, ..) = read(&[], Style::default(), &[("TEXT", "")]).unwrap();
        assert_eq!(flags.text("text"), "t", "empty is absent");
        let wrong = read(&[], Style::default(), &[("SWITCH", "maybe")]).unwrap_err();
        assert_eq!(
            wrong,
            "flag '--env-switch': parsing \"maybe\": invalid syntax (from the environment variable SWITCH)"
        );
    }

    #[test]
    fn old_spellings_are_taken_with_a_notice() {
        let flags = flags(&["--old=x"]);
        assert_eq!((flags.text("text"), flags.given("text")), ("x", true));
        assert_eq!(flags.notices(), ["--old is deprecated, use --text instead"]);
        let style = Style { single_dash: true, ..Style::default() };
        let (flags, ..) = read(&["-text", "x", "-switch", "-no-on"], style, &[]).unwrap();
        assert_eq!(
            (flags.text("text"), flags.on("switch"), flags.on("on"), flags.notices().len()),
            ("x", true, false, 3)
        );
        assert!(parse(ALL, &[], style, ["-version".to_owned()].into_iter(), &|_| None).version);
        let style = Style { switch_values: true, ..Style::default() };
        let (flags, ..) = read(&["--switch=true", "--on=false"], style, &[]).unwrap();
        assert!(flags.on("switch") && !flags.on("on"));
    }

    proptest! {
        #[test]
        fn any_line_is_answered(
            args in proptest::collection::vec(
                "(--?(no-)?(switch|on|texts?|number|wait|match|old|help|version|nosuch)?)?(=?.{0,6})|check|plain", 0..6),
            single_dash: bool,
            switch_values: bool,
        ) {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let style = Style { single_dash, switch_values };
            match read(&args, style, &[]) {
                Err(error) => prop_assert!(!error.is_empty()),
                Ok((flags, ..)) => {
                    // What was let in can be read.
                    let _ = (flags.regex("match"), flags.duration("wait"), flags.integer("number"));
                }
            }
        }

        #[test]
        fn a_text_comes_through_as_it_was_given(text in any::<String>()) {
            let flags = flags(&[&format!("--text={text}")]);
            prop_assert_eq!(flags.text("text"), text);
        }
    }
}
