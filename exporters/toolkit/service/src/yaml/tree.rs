//! A document as a tree: the parser's events with the line of each node, aliases and merge keys resolved.

use super::{Duplicates, YamlError, scalar};
use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};
use std::borrow::Cow;
use std::collections::HashMap;

/// A value and the line it begins at.
#[derive(Clone, Debug)]
pub(super) struct Node<'t> {
    pub(super) line: u64,
    pub(super) kind: Kind<'t>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind<'t> {
    /// The document holds nothing but comments.
    Nothing,
    Scalar {
        text: Cow<'t, str>,
        form: Form,
    },
    List(Vec<Node<'t>>),
    Map(Vec<(Node<'t>, Node<'t>)>),
}

/// How a scalar is written, which says what it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it looks.
    Plain,
    /// A text, or what a type asks for.
    Quoted,
    /// A text, as its tag says.
    Text,
}

/// Reads a text with one document at most.
pub(super) fn read(text: &str, duplicates: Duplicates) -> Result<Node<'_>, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let limits = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MOST_LEVELS / 2,
        block_nesting_limit: MOST_LEVELS / 2,
    };
    let parser = Parser::new_from_str_with_options(text, limits);
    let mut events = Events { parser, anchors: HashMap::new(), left: MOST_NODES, duplicates };
    let mut root = None;
    loop {
        match events.next()? {
            (Event::StreamEnd, _) => break,
            (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
            (_, at) if root.is_some() => {
                return Err(fault(&at.start, "only single YAML document expected but multiple found"));
            }
            (event, at) => root = Some(events.node(event, &at)?.node),
        }
    }
    Ok(root.unwrap_or(Node { line: 1, kind: Kind::Nothing }))
}

/// A node while the tree grows, and how many levels it has.
#[derive(Clone)]
struct Grown<'t> {
    node: Node<'t>,
    depth: usize,
}

struct Events<'t, P> {
    parser: P,
    /// What aliases stand for, by the parser's number of the anchor.
    anchors: HashMap<usize, Grown<'t>>,
    /// How many nodes the tree may still get.
    left: usize,
    duplicates: Duplicates,
}

impl<'t, P: Iterator<Item = Result<(Event<'t>, Span), ScanError>>> Events<'t, P> {
    fn next(&mut self) -> Result<(Event<'t>, Span), YamlError> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(fault(error.marker(), &error.info())),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// The node that begins with `event`.
    fn node(&mut self, event: Event<'t>, at: &Span) -> Result<Grown<'t>, YamlError> {
        self.spend(1, &at.start)?;
        let line = at.start.line() as u64;
        let (anchor, grown) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let kind = scalar_of(text, style, tag.as_deref()).map_err(|e| e.at(line))?;
                (anchor, Grown { node: Node { line, kind }, depth: 1 })
            }
            Event::SequenceStart(_, _, Some(tag)) if !fits(&tag, "seq") => return Err(fault(&at.start, MISPLACED)),
            Event::MappingStart(_, _, Some(tag)) if !fits(&tag, "map") => return Err(fault(&at.start, MISPLACED)),
            Event::SequenceStart(_, anchor, _) => (anchor, self.list(line)?),
            Event::MappingStart(_, anchor, _) => (anchor, self.map(line)?),
            Event::Alias(anchor) => {
                let recursive = || fault(&at.start, "Recursive reference not allowed here");
                self.spend(self.anchors.get(&anchor).map_or(0, |known| size(&known.node)), &at.start)?;
                let mut known = self.anchors.get(&anchor).cloned().ok_or_else(recursive)?;
                known.node.line = line;
                (0, known)
            }
            _ => return Err(fault(&at.start, "unexpected end of file")),
        };
        if grown.depth > MOST_LEVELS {
            return Err(fault(&at.start, "YAML document too deep"));
        }
        if anchor > 0 {
            self.spend(size(&grown.node), &at.start)?;
            self.anchors.insert(anchor, grown.clone());
        }
        Ok(grown)
    }

    fn list(&mut self, line: u64) -> Result<Grown<'t>, YamlError> {
        let (mut items, mut depth) = (Vec::new(), 0);
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => break,
                (event, at) => {
                    let item = self.node(event, &at)?;
                    depth = depth.max(item.depth);
                    items.push(item.node);
                }
            }
        }
        Ok(Grown { node: Node { line, kind: Kind::List(items) }, depth: depth + 1 })
    }

    fn map(&mut self, line: u64) -> Result<Grown<'t>, YamlError> {
        let (mut entries, mut depth) = (Entries::default(), 0);
        let mut merged = Vec::new();
        loop {
            let (event, at) = match self.next()? {
                (Event::MappingEnd, _) => break,
                next => next,
            };
            let key = self.node(event, &at)?;
            let (event, at) = self.next()?;
            let value = self.node(event, &at)?;
            depth = depth.max(key.depth).max(value.depth);
            match &key.node.kind {
                Kind::Scalar { text, form: Form::Plain } if text == "<<" => merged.push(value.node),
                _ => entries.insert(key.node, value.node, self.duplicates)?,
            }
        }
        // What stands in the mapping itself counts more, whether it stands before or after.
        for source in merged {
            entries.merge(source)?;
        }
        Ok(Grown { node: Node { line, kind: Kind::Map(entries.all) }, depth: depth + 1 })
    }

    /// Aliases of aliases make large trees of short texts: there is an end.
    fn spend(&mut self, nodes: usize, at: &Marker) -> Result<(), YamlError> {
        self.left = self.left.checked_sub(nodes).ok_or_else(|| fault(at, "YAML document too large or too complex"))?;
        Ok(())
    }
}

/// The entries of a mapping, each key once.
#[derive(Default)]
struct Entries<'t> {
    all: Vec<(Node<'t>, Node<'t>)>,
    /// Where the key with a text stands.
    places: HashMap<Cow<'t, str>, usize>,
}

impl<'t> Entries<'t> {
    fn insert(&mut self, key: Node<'t>, value: Node<'t>, duplicates: Duplicates) -> Result<(), YamlError> {
        // A key that is a list or a mapping fits none of our types; what it is used for says so.
        if let Kind::Scalar { text, .. } = &key.kind {
            if let Some(&place) = self.places.get(text) {
                if duplicates == Duplicates::LastWins {
                    self.all[place] = (key, value);
                    return Ok(());
                }
                let text = format!("duplicate mapping key `{text}` is not allowed here");
                return Err(YamlError::new(&text).at(key.line));
            }
            self.places.insert(text.clone(), self.all.len());
        }
        self.all.push((key, value));
        Ok(())
    }

    /// Adds what a merge key brings; the first of several that bring a key counts.
    fn merge(&mut self, source: Node<'t>) -> Result<(), YamlError> {
        let maps = match source.kind {
            Kind::List(items) => items,
            _ => vec![source],
        };
        for map in maps {
            if map.is_null() {
                continue;
            }
            let Kind::Map(entries) = map.kind else {
                return Err(YamlError::new("a merge key expects a mapping or a sequence of mappings").at(map.line));
            };
            for (key, value) in entries {
                let known = matches!(&key.kind, Kind::Scalar { text, .. } if self.places.contains_key(text));
                if !known {
                    self.insert(key, value, Duplicates::Refused)?;
                }
            }
        }
        Ok(())
    }
}

fn scalar_of<'t>(text: Cow<'t, str>, style: ScalarStyle, tag: Option<&Tag>) -> Result<Kind<'t>, YamlError> {
    let form = match tag.map(|tag| (tag.core_suffix(), tag.parts())) {
        Some((Some("str"), _) | (None, ("", "!") | ("!", ""))) => Form::Text,
        Some((Some("null"), _)) => return Ok(Kind::Scalar { text: Cow::Borrowed(""), form: Form::Plain }),
        Some((Some("bool" | "int" | "float"), _)) => Form::Plain,
        // Nothing of ours takes bytes: better refused than read as their base64.
        Some((None, (_, suffix))) if suffix.ends_with("binary") => {
            return Err(YamlError::new("!!binary is not supported"));
        }
        _ if style == ScalarStyle::Plain => Form::Plain,
        _ => Form::Quoted,
    };
    Ok(Kind::Scalar { text, form })
}

/// Whether a node of this kind may have the tag; those that are not YAML's own say nothing to us.
fn fits(tag: &Tag, kind: &str) -> bool {
    tag.core_suffix().is_none_or(|name| name == kind)
}

fn size(node: &Node<'_>) -> usize {
    match &node.kind {
        Kind::Nothing | Kind::Scalar { .. } => 1,
        Kind::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Kind::Map(entries) => 1 + entries.iter().map(|(key, value)| size(key) + size(value)).sum::<usize>(),
    }
}

fn fault(at: &Marker, text: &str) -> YamlError {
    YamlError::new(text).at(at.line() as u64)
}

impl Node<'_> {
    /// Whether it says that there is nothing.
    pub(super) fn is_null(&self) -> bool {
        match &self.kind {
            Kind::Nothing => true,
            Kind::Scalar { text, form } => *form == Form::Plain && scalar::is_null(text),
            _ => false,
        }
    }
}

const MISPLACED: &str = "the tag is one of another kind of value";
/// More than the largest configuration has; a rule set of a thousand rules has some 30 000.
const MOST_NODES: usize = 500_000;
/// More than anyone nests; each level costs a few frames of the stack.
const MOST_LEVELS: usize = 200;
