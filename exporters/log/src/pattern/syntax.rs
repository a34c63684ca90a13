//! Ruby's regular expressions, as Oniguruma reads them, into a tree.

mod bracket;
mod escape;

use super::class::Set;

/// What a pattern consists of.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Empty,
    Byte(u8),
    Char {
        char: char,
        fold: bool,
    },
    Set(Set),
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        greed: Greed,
    },
    /// A group that captures, by its number from 1.
    Group {
        index: usize,
        node: Box<Node>,
    },
    Atomic(Box<Node>),
    Look {
        ahead: bool,
        negative: bool,
        node: Box<Node>,
    },
    Assert(Assert),
    /// Any of these groups, the last first.
    Back {
        groups: Vec<usize>,
        fold: bool,
    },
    /// `\K`: the match begins here.
    Keep,
}

/// In which order a repetition is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greed {
    Greedy,
    Lazy,
    Possessive,
}

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assert {
    LineStart,
    LineEnd,
    TextStart,
    TextEnd,
    /// The end, or before the newline at the end.
    LastLineEnd,
    Word,
    NotWord,
}

/// A pattern's tree and the names of its groups.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    pub(crate) node: Node,
    /// By group number; 0 is the whole match.
    pub(crate) names: Vec<Option<String>>,
}

/// Reads a pattern.
pub(crate) fn parse(text: &str) -> Result<Parsed, String> {
    let chars: Vec<char> = text.chars().collect();
    let named = names(&chars);
    let has_names = !named.is_empty();
    let mut parser =
        Parser { chars, at: 0, depth: 0, has_names, names: vec![None], groups: named, options: Options::default() };
    let node = parser.alternation()?;
    if parser.at < parser.chars.len() {
        return Err("unmatched close parenthesis".into());
    }
    Ok(Parsed { node, names: parser.names })
}

#[derive(Clone, Copy, Default)]
struct Options {
    fold: bool,
    dot_all: bool,
    extended: bool,
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    has_names: bool,
    names: Vec<Option<String>>,
    /// All named groups in order, found beforehand: references may come first.
    groups: Vec<String>,
    options: Options,
}

const MAX_DEPTH: usize = 250;
const MAX_STACKED: usize = 20;
const MAX_REPEAT: u32 = 100_000;

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += 1;
        Some(char)
    }

    fn take(&mut self, text: &str) -> bool {
        let len = text.chars().count();
        let here = self.chars.get(self.at..self.at + len);
        let same = here.is_some_and(|here| here.iter().copied().eq(text.chars()));
        if same {
            self.at += len;
        }
        same
    }

    /// Up to `end`, which is eaten.
    fn until(&mut self, end: char) -> Option<String> {
        let len = self.chars[self.at..].iter().position(|char| *char == end)?;
        let text = self.chars[self.at..self.at + len].iter().collect();
        self.at += len + 1;
        Some(text)
    }

    fn alternation(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("groups are nested too deeply".into());
        }
        let mut branches = vec![self.concat()?];
        while self.peek() == Some('|') {
            self.at += 1;
            branches.push(self.concat()?);
        }
        self.depth -= 1;
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Alternate(branches) })
    }

    fn concat(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        while let Some(char) = self.peek() {
            if matches!(char, '|' | ')') {
                break;
            }
            if self.options.extended && (char.is_ascii_whitespace() || char == '#') {
                self.at += 1;
                while char == '#' && self.next().is_some_and(|char| char != '\n') {}
                continue;
            }
            let Some(atom) = self.atom()? else { continue };
            nodes.push(self.repeats(atom)?);
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Concat(nodes),
        })
    }

    /// Quantifiers after an atom; more than one may follow.
    fn repeats(&mut self, mut node: Node) -> Result<Node, String> {
        let mut stacked = 0;
        loop {
            while self.options.extended && self.peek().is_some_and(|char| char.is_ascii_whitespace()) {
                self.at += 1;
            }
            let (min, max, braces) = match self.peek() {
                Some('*') => (0, None, false),
                Some('+') => (1, None, false),
                Some('?') => (0, Some(1), false),
                Some('{') => match self.interval()? {
                    Some((min, max)) => (min, max, true),
                    None => return Ok(node),
                },
                _ => return Ok(node),
            };
            if !braces {
                self.at += 1;
            }
            let mut greed = Greed::Greedy;
            // Ruby: `a{3}?` is an optional `a{3}`, and `+` after braces is one more repetition.
            if self.peek() == Some('?') && !(braces && max == Some(min)) {
                self.at += 1;
                greed = Greed::Lazy;
            } else if self.peek() == Some('+') && !braces {
                self.at += 1;
                greed = Greed::Possessive;
            }
            stacked += 1;
            if stacked > MAX_STACKED {
                return Err("too many quantifiers on one another".into());
            }
            node = match node {
                // `(?:a*)*` and the like of bare quantifiers: one is enough.
                Node::Repeat { node: inner, min: 0 | 1, max: None, greed: Greed::Greedy }
                    if max.is_none() && min <= 1 && greed == Greed::Greedy && inner.is_single() =>
                {
                    Node::Repeat { node: inner, min: 0, max: None, greed }
                }
                Node::Assert(_) | Node::Look { .. } | Node::Empty if min == 0 => Node::Empty,
                Node::Assert(_) | Node::Look { .. } | Node::Empty => node,
                _ => Node::Repeat { node: Box::new(node), min, max, greed },
            };
        }
    }

    /// `{n,m}` and its forms; anything else is a plain brace, which is left.
    fn interval(&mut self) -> Result<Option<(u32, Option<u32>)>, String> {
        let start = self.at;
        self.at += 1;
        let low = self.number();
        let (low, high) = if self.take(",") {
            let high = self.number();
            if low.is_none() && high.is_none() {
                self.at = start;
                return Ok(None);
            }
            (low.unwrap_or(0), high)
        } else {
            let Some(low) = low else {
                self.at = start;
                return Ok(None);
            };
            (low, Some(low))
        };
        if !self.take("}") {
            self.at = start;
            return Ok(None);
        }
        if low > MAX_REPEAT || high.is_some_and(|high| high > MAX_REPEAT) {
            return Err("too big number in a repeat range".into());
        }
        // Oniguruma turns the bounds of `{5,2}` round.
        Ok(Some(match high {
            Some(high) if high < low => (high, Some(low)),
            high => (low, high),
        }))
    }

    fn number(&mut self) -> Option<u32> {
        let start = self.at;
        let mut number = 0u32;
        while let Some(digit) = self.peek().and_then(|char| char.to_digit(10)) {
            number = number.saturating_mul(10).saturating_add(digit);
            self.at += 1;
        }
        (self.at > start).then_some(number)
    }

    /// One thing that a quantifier may follow; `None` for a comment.
    fn atom(&mut self) -> Result<Option<Node>, String> {
        let Some(char) = self.next() else { return Ok(None) };
        Ok(Some(match char {
            '(' => return self.group(),
            '[' => Node::Set(self.set()?),
            '.' => Node::Set(Set::dot(self.options.dot_all)),
            '^' => Node::Assert(Assert::LineStart),
            '$' => Node::Assert(Assert::LineEnd),
            '\\' => self.escape()?,
            '*' | '+' | '?' => return Err("target of repeat operator is not specified".into()),
            '{' => {
                self.at -= 1;
                if self.interval()?.is_some() {
                    return Err("target of repeat operator is not specified".into());
                }
                self.at += 1;
                self.char('{')
            }
            char => self.char(char),
        }))
    }

    fn char(&self, char: char) -> Node {
        Node::Char { char, fold: self.options.fold && super::class::other_cases(char).next().is_some() }
    }

    fn group(&mut self) -> Result<Option<Node>, String> {
        let outer = self.options;
        let node = if !self.take("?") {
            let index = (!self.has_names).then(|| self.number_group(None));
            let node = Box::new(self.alternation()?);
            match index {
                Some(index) => Node::Group { index, node },
                None => *node,
            }
        } else if self.take("#") {
            self.until(')').ok_or("end pattern in group")?;
            return Ok(None);
        } else if self.take(":") {
            self.alternation()?
        } else if self.take(">") {
            Node::Atomic(Box::new(self.alternation()?))
        } else if self.take("=") {
            self.look(true, false)?
        } else if self.take("!") {
            self.look(true, true)?
        } else if self.take("<=") {
            self.look(false, false)?
        } else if self.take("<!") {
            self.look(false, true)?
        } else if self.take("<") {
            self.named('>')?
        } else if self.take("'") {
            self.named('\'')?
        } else {
            return self.set_options(outer).map(Some);
        };
        self.options = outer;
        if !self.take(")") {
            return Err("end pattern with unmatched parenthesis".into());
        }
        Ok(Some(node))
    }

    fn look(&mut self, ahead: bool, negative: bool) -> Result<Node, String> {
        Ok(Node::Look { ahead, negative, node: Box::new(self.alternation()?) })
    }

    fn named(&mut self, end: char) -> Result<Node, String> {
        let name = self.until(end).ok_or("end pattern in group name")?;
        if name.is_empty() || name.contains([')', '(']) {
            return Err(format!("invalid group name <{name}>"));
        }
        let index = self.number_group(Some(name));
        Ok(Node::Group { index, node: Box::new(self.alternation()?) })
    }

    fn number_group(&mut self, name: Option<String>) -> usize {
        self.names.push(name);
        self.names.len() - 1
    }

    /// `(?i)` to the end of the group around it, or `(?i:…)`.
    fn set_options(&mut self, outer: Options) -> Result<Node, String> {
        let mut on = true;
        loop {
            match self.next() {
                Some('-') => on = false,
                Some('i') => self.options.fold = on,
                Some('m') => self.options.dot_all = on,
                Some('x') => self.options.extended = on,
                Some(':') => break,
                // Ruby: what follows, alternatives too, is a group of its own.
                Some(')') => {
                    let node = self.alternation()?;
                    self.options = outer;
                    return Ok(node);
                }
                None => return Err("end pattern in group".into()),
                _ => return Err("undefined group option".into()),
            }
        }
        let node = self.alternation()?;
        self.options = outer;
        if !self.take(")") {
            return Err("end pattern with unmatched parenthesis".into());
        }
        Ok(node)
    }
}

impl Node {
    /// Whether it matches exactly one character.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self, Self::Set(_) | Self::Char { .. })
    }
}

/// Names of the groups in order, found without parsing: whether there is one decides what plain parentheses mean.
fn names(chars: &[char]) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0usize;
    let mut at = 0;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 1,
            '[' => {
                depth += 1;
                // A bracket right at the start is a member.
                let first = at + 1 + usize::from(chars.get(at + 1) == Some(&'^'));
                if chars.get(first) == Some(&']') && chars[first + 1..].contains(&']') {
                    at = first;
                }
            }
            ']' => depth = depth.saturating_sub(1),
            '(' if depth == 0 && chars.get(at + 1) == Some(&'?') => {
                let end = match (chars.get(at + 2), chars.get(at + 3)) {
                    (Some('<'), Some('=' | '!')) => None,
                    (Some('<'), _) => Some('>'),
                    (Some('\''), _) => Some('\''),
                    _ => None,
                };
                if let Some(end) = end {
                    names.push(chars[at + 3..].iter().take_while(|char| **char != end).collect());
                }
            }
            _ => {}
        }
        at += 1;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ruby_refuses() {
        for bad in [
            "(",
            ")",
            "a)",
            "[",
            "[]",
            "[a",
            "*",
            "a|*",
            "(?P<n>a)",
            r"\k<n>",
            r"(?<n>a)(b)\2",
            r"\3",
            "[z-a]",
            "(?<n",
            "(?<>a)",
            r"\p{Klingon}",
            r"\",
            "(?q)",
            "{2}",
            "a{100001}",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_ruby_takes() {
        for good in [
            "",
            "{",
            "a{",
            "a{,",
            "a{x}",
            "[]a]",
            "[^]a]",
            "[a-]",
            "[-a]",
            "[a&&[^b]]",
            "[[:alpha:]_]",
            r"[\]]",
            r"[\w-]",
            "(?#c)a",
            "(?i)a|b",
            "(?mix-i:a)",
            r"\x41\u0042\101",
            r"(a)\1",
            r"(?<n>a)\k<n>",
            "a{,3}",
            "a{3}?",
            "a++b?+",
            r"\h\H\R",
        ] {
            assert!(parse(good).is_ok(), "{good}: {:?}", parse(good).err());
        }
    }

    #[test]
    fn plain_groups_count_only_without_named_ones() {
        assert_eq!(parse("(a)(b)").unwrap().names.len(), 3);
        assert_eq!(parse("(a)(?<n>b)(c)").unwrap().names, [None, Some("n".to_owned())]);
        assert_eq!(parse("[(?<x>]()").unwrap().names.len(), 2);
    }
}
