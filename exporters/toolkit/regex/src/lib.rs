//! The part of the regex crate's interface that our programs use, on regex-automata, the engine that it stands on too.
//!
//! mysql_common asks for the regex crate with all of Unicode's tables and three more engines, for seven patterns over ASCII:
//! half a megabyte in each program that speaks MySQL, and from outside it cannot be told otherwise. So the workspace's
//! Cargo.toml puts this crate in the other's place, with the features that ours need: no lazy DFA, no literal search, of
//! Unicode only `\d`, `\s` and `\w`. What is not here does not compile; the names and what they do are the regex crate's.

pub mod bytes;
mod text;

pub use text::{Captures, Match, Regex};

use regex_automata::meta;
use regex_automata::util::syntax;
use std::fmt;

/// Why a pattern was refused.
#[derive(Clone, Debug)]
pub enum Error {
    /// It is no regular expression; the text draws where, over several lines.
    Syntax(String),
    /// Compiled it would take more than so many bytes.
    CompiledTooBig(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(text) => f.write_str(text),
            Self::CompiledTooBig(limit) => write!(f, "Compiled regex exceeds size limit of {limit} bytes."),
        }
    }
}

impl std::error::Error for Error {}

/// Compiles a pattern for texts, or for bytes.
fn compile(pattern: &str, text: bool, unicode: bool, size_limit: usize) -> Result<meta::Regex, Error> {
    meta::Builder::new()
        .syntax(syntax::Config::new().utf8(text).unicode(unicode))
        .configure(meta::Config::new().utf8_empty(text).nfa_size_limit(Some(size_limit)))
        .build(pattern)
        .map_err(|e| match (e.syntax_error(), e.size_limit()) {
            (Some(syntax), _) => Error::Syntax(syntax.to_string()),
            (None, Some(limit)) => Error::CompiledTooBig(limit),
            (None, None) => Error::Syntax(e.to_string()),
        })
}

/// What a compiled pattern may take, unless said otherwise.
const SIZE_LIMIT: usize = 10 << 20;
