//! From tokens to a tree, with all the checks that need no line.

use std::collections::HashMap;

use super::function::Function;
use super::lexer::{Kind, Piece, Token, pieces};
use super::value::Value;

/// A part of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(Vec<u8>),
    Print(Expr),
    /// A variable gets a value; nothing is printed.
    Set {
        slot: usize,
        expr: Expr,
    },
    If {
        slot: Option<usize>,
        expr: Expr,
        then: Vec<Node>,
        other: Vec<Node>,
    },
    With {
        slot: Option<usize>,
        expr: Expr,
        then: Vec<Node>,
        other: Vec<Node>,
    },
    /// `slots` are those of the key and the value.
    Range {
        slots: [Option<usize>; 2],
        expr: Expr,
        then: Vec<Node>,
        other: Vec<Node>,
    },
    Template {
        name: String,
        dot: Option<Expr>,
    },
    Break,
    Continue,
}

/// Something with a value.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    Literal(Value<'static>),
    Dot,
    /// The map of all fields.
    Root,
    /// A field of the line; `index` is its place among the template's fields.
    Field(usize),
    LogFile,
    Extra,
    Variable(usize),
    /// Members of a value, from the left.
    Member(Box<Expr>, Vec<String>),
    Call(Function, Vec<Expr>),
}

/// All that is known of a template's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) defined: HashMap<String, Vec<Node>>,
    pub(super) fields: Vec<String>,
}

/// Reads a template.
pub(super) fn parse(text: &str) -> Result<Tree, String> {
    let pieces = pieces(text)?;
    let mut parser = Parser {
        pieces: pieces.into_iter(),
        tree: Tree::default(),
        names: Vec::new(),
        place: Place::Root,
        loops: 0,
        depth: 0,
    };
    let (nodes, end) = parser.list()?;
    match end {
        End::Text => {}
        End::Close => return Err("unexpected {{end}}".into()),
        End::Else(_) => return Err("unexpected {{else}}".into()),
    }
    parser.tree.nodes = nodes;
    let mut calls = Vec::new();
    called(&parser.tree.nodes, &mut calls);
    parser.tree.defined.values().for_each(|nodes| called(nodes, &mut calls));
    match calls.into_iter().find(|name| !parser.tree.defined.contains_key(name)) {
        Some(name) => Err(format!("template {name:?} not defined")),
        None => Ok(parser.tree),
    }
}

fn called(nodes: &[Node], names: &mut Vec<String>) {
    for node in nodes {
        match node {
            Node::Template { name, .. } => names.push(name.clone()),
            Node::If { then, other, .. } | Node::With { then, other, .. } | Node::Range { then, other, .. } => {
                called(then, names);
                called(other, names);
            }
            _ => {}
        }
    }
}

/// What ends a list of nodes.
enum End {
    Text,
    Close,
    /// `else`, with what stands after it.
    Else(Vec<Token>),
}

/// What the dot is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The map of fields: a name after a dot is one of the line's.
    Root,
    /// Inside `define`, where the caller says: a name may be one of the line's.
    Defined,
    /// Something else.
    Inside,
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    tree: Tree,
    /// Variables in sight.
    names: Vec<String>,
    place: Place,
    loops: usize,
    depth: usize,
}

const MAX_DEPTH: usize = 100;

impl Parser {
    fn list(&mut self) -> Result<(Vec<Node>, End), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("actions are nested too deeply".into());
        }
        let mut nodes = Vec::new();
        let end = loop {
            let tokens = match self.pieces.next() {
                None => break End::Text,
                Some(Piece::Text(text)) => {
                    nodes.push(Node::Text(text.into_bytes()));
                    continue;
                }
                Some(Piece::Action(tokens)) => tokens,
            };
            let keyword = match tokens.first() {
                None => return Err("missing value for command".into()),
                Some(Token { kind: Kind::Name(name), .. }) => name.clone(),
                Some(_) => String::new(),
            };
            let rest = tokens.get(1..).unwrap_or_default();
            match &keyword[..] {
                "end" if rest.is_empty() => break End::Close,
                "end" => return Err("unexpected token after end".into()),
                "else" => break End::Else(rest.to_vec()),
                "if" | "with" | "range" => nodes.push(self.control(&keyword, rest)?),
                "define" | "block" => nodes.extend(self.define(keyword == "block", rest)?),
                "template" => nodes.push(self.template(rest)?),
                "break" | "continue" if rest.is_empty() => {
                    if self.loops == 0 {
                        return Err(format!("{{{{{keyword}}}}} outside {{{{range}}}}"));
                    }
                    nodes.push(if keyword == "break" { Node::Break } else { Node::Continue });
                }
                _ => nodes.push(self.action(&tokens)?),
            }
        };
        self.depth -= 1;
        Ok((nodes, end))
    }

    fn action(&mut self, tokens: &[Token]) -> Result<Node, String> {
        if let [
            Token { kind: Kind::Variable(name), .. },
            Token { kind: sign @ (Kind::Declare | Kind::Assign), .. },
            rest @ ..,
        ] = tokens
        {
            let expr = self.pipeline(rest)?;
            let slot = if *sign == Kind::Declare { self.declare(name)? } else { self.variable(name)? };
            return Ok(Node::Set { slot, expr });
        }
        Ok(Node::Print(self.pipeline(tokens)?))
    }

    /// `if`, `with` and `range`, after the keyword.
    fn control(&mut self, keyword: &str, tokens: &[Token]) -> Result<Node, String> {
        let scope = self.names.len();
        let place = self.place;
        let mut declared = Vec::new();
        let mut rest = tokens;
        while let [Token { kind: Kind::Variable(name), .. }, Token { kind: sign, .. }, after @ ..] = rest {
            match sign {
                Kind::Declare => {}
                Kind::Comma if keyword == "range" && declared.is_empty() => {}
                _ => break,
            }
            declared.push(name.clone());
            rest = after;
            if *sign == Kind::Declare {
                break;
            }
        }
        if rest.len() == tokens.len() {
            declared.clear();
        }
        let expr = self.pipeline(rest)?;
        let slots = declared.iter().map(|name| self.declare(name)).collect::<Result<Vec<_>, _>>()?;
        if keyword != "if" {
            // `with .` keeps the map of fields.
            self.place = if matches!(expr, Expr::Root) { Place::Root } else { Place::Inside };
        }
        self.loops += usize::from(keyword == "range");
        let (then, end) = self.list()?;
        self.loops -= usize::from(keyword == "range");
        self.place = place;
        let other = match end {
            End::Text => return Err(format!("unclosed {keyword}: {{{{end}}}} is missing")),
            End::Close => Vec::new(),
            End::Else(after) => match after.first() {
                None => match self.list()? {
                    (other, End::Close) => other,
                    (_, End::Else(_)) => return Err("expected end; found {{else}}".into()),
                    (_, End::Text) => return Err(format!("unclosed {keyword}: {{{{end}}}} is missing")),
                },
                Some(Token { kind: Kind::Name(next), .. })
                    if matches!(&next[..], "if" | "with") && keyword != "range" =>
                {
                    // Its end is that of the whole.
                    let next = next.clone();
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err("actions are nested too deeply".into());
                    }
                    let node = self.control(&next, &after[1..])?;
                    self.depth -= 1;
                    vec![node]
                }
                Some(_) => return Err("unexpected token after else".into()),
            },
        };
        self.names.truncate(scope);
        let slot = slots.first().copied();
        Ok(match keyword {
            "if" => Node::If { slot, expr, then, other },
            "with" => Node::With { slot, expr, then, other },
            // One variable is the value, two are key and value.
            _ => Node::Range {
                slots: if slots.len() == 2 { [slot, slots.get(1).copied()] } else { [None, slot] },
                expr,
                then,
                other,
            },
        })
    }

    fn define(&mut self, block: bool, tokens: &[Token]) -> Result<Option<Node>, String> {
        let Some((Token { kind: Kind::Text(name), .. }, rest)) = tokens.split_first() else {
            return Err("a template's name must be a string".into());
        };
        let name = String::from_utf8_lossy(name).into_owned();
        let dot = match (block, rest.is_empty()) {
            (true, _) => Some(self.pipeline(rest)?),
            (false, true) => None,
            (false, false) => return Err("unexpected token in define".into()),
        };
        let names = std::mem::take(&mut self.names);
        let place = std::mem::replace(&mut self.place, Place::Defined);
        let loops = std::mem::take(&mut self.loops);
        let (nodes, end) = self.list()?;
        if !matches!(end, End::Close) {
            return Err(format!("template {name:?} is not closed with {{{{end}}}}"));
        }
        (self.names, self.place, self.loops) = (names, place, loops);
        self.tree.defined.insert(name.clone(), nodes);
        Ok(block.then_some(Node::Template { name, dot }))
    }

    fn template(&mut self, tokens: &[Token]) -> Result<Node, String> {
        let Some((Token { kind: Kind::Text(name), .. }, rest)) = tokens.split_first() else {
            return Err("a template's name must be a string".into());
        };
        let dot = if rest.is_empty() { None } else { Some(self.pipeline(rest)?) };
        Ok(Node::Template { name: String::from_utf8_lossy(name).into_owned(), dot })
    }

    fn declare(&mut self, name: &str) -> Result<usize, String> {
        if name.is_empty() {
            return Err("$ cannot be set".into());
        }
        self.names.push(name.into());
        Ok(self.names.len() - 1)
    }

    fn variable(&self, name: &str) -> Result<usize, String> {
        self.names.iter().rposition(|known| known == name).ok_or_else(|| format!("undefined variable \"${name}\""))
    }

    fn pipeline(&mut self, tokens: &[Token]) -> Result<Expr, String> {
        let mut cursor = Cursor { tokens, at: 0 };
        let expr = self.pipe(&mut cursor)?;
        match cursor.peek() {
            None => Ok(expr),
            Some(_) => Err("unexpected token in an action".into()),
        }
    }

    /// Commands with bars between them, up to a parenthesis or the end.
    fn pipe(&mut self, cursor: &mut Cursor<'_>) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("parentheses are nested too deeply".into());
        }
        let mut expr = self.command(cursor, None)?;
        let mut commands = 1;
        while cursor.peek() == Some(&Kind::Pipe) {
            cursor.at += 1;
            commands += 1;
            if commands > MAX_DEPTH {
                return Err("too many commands in a pipeline".into());
            }
            expr = self.command(cursor, Some(expr))?;
        }
        self.depth -= 1;
        Ok(expr)
    }

    fn command(&mut self, cursor: &mut Cursor<'_>, piped: Option<Expr>) -> Result<Expr, String> {
        if let Some(Kind::Name(name)) = cursor.peek()
            && !matches!(&name[..], "true" | "false" | "nil")
        {
            let name = name.clone();
            if !Function::is_known(&name) {
                return Err(format!("function {name:?} not defined"));
            }
            cursor.at += 1;
            let mut args = Vec::new();
            while !matches!(cursor.peek(), None | Some(Kind::Pipe | Kind::Close)) {
                args.push(self.operand(cursor)?);
            }
            args.extend(piped);
            return self.call(&name, args);
        }
        if cursor.peek().is_none() || matches!(cursor.peek(), Some(Kind::Pipe | Kind::Close)) {
            return Err("missing value for command".into());
        }
        let first = self.operand(cursor)?;
        if piped.is_some() {
            return Err("a command after | must be a function".into());
        }
        if !matches!(cursor.peek(), None | Some(Kind::Pipe | Kind::Close)) {
            return Err("can't give argument to what is no function".into());
        }
        Ok(first)
    }

    fn call(&mut self, name: &str, args: Vec<Expr>) -> Result<Expr, String> {
        if name == "index"
            && let [Expr::Root, path @ ..] = &args[..]
            && !path.is_empty()
        {
            // A field by a name that is no identifier.
            let names = path.iter().map(|key| match key {
                Expr::Literal(Value::Text(text)) => Some(String::from_utf8_lossy(text).into_owned()),
                _ => None,
            });
            if let Some(names) = names.collect::<Option<Vec<_>>>() {
                return Ok(self.field(&names));
            }
        }
        let literals: Vec<_> =
            args.iter().map(|arg| if let Expr::Literal(value) = arg { Some(value.clone()) } else { None }).collect();
        Ok(Expr::Call(Function::new(name, &literals)?, args))
    }

    /// A value with the members that are asked of it.
    fn operand(&mut self, cursor: &mut Cursor<'_>) -> Result<Expr, String> {
        let Some(token) = cursor.tokens.get(cursor.at) else { return Err("missing value for command".into()) };
        cursor.at += 1;
        let mut members = Vec::new();
        let base = match &token.kind {
            Kind::Text(text) => Expr::Literal(Value::Text(text.clone().into())),
            Kind::Int(int) => Expr::Literal(Value::Int(*int)),
            Kind::Float(float) => Expr::Literal(Value::Float(*float)),
            Kind::Name(name) => match &name[..] {
                "true" | "false" => Expr::Literal(Value::Bool(name == "true")),
                "nil" => return Err("nil is not a command".into()),
                name if Function::is_known(name) => self.call(name, Vec::new())?,
                name => return Err(format!("function {name:?} not defined")),
            },
            Kind::Dot if self.place == Place::Root => Expr::Root,
            Kind::Dot => Expr::Dot,
            Kind::Field(name) => {
                members.push(name.clone());
                if self.place == Place::Root { Expr::Root } else { Expr::Dot }
            }
            Kind::Variable(name) if name.is_empty() => Expr::Root,
            Kind::Variable(name) => Expr::Variable(self.variable(name)?),
            Kind::Open => {
                let inner = self.pipe(cursor)?;
                if cursor.peek() != Some(&Kind::Close) {
                    return Err("unclosed left paren".into());
                }
                cursor.at += 1;
                inner
            }
            Kind::Close => return Err("unexpected right paren".into()),
            Kind::Pipe | Kind::Comma | Kind::Declare | Kind::Assign => {
                return Err("unexpected token in an action".into());
            }
        };
        while let Some(Token { kind: Kind::Field(name), spaced: false }) = cursor.tokens.get(cursor.at) {
            members.push(name.clone());
            cursor.at += 1;
        }
        Ok(match base {
            base if members.is_empty() => base,
            Expr::Root => self.field(&members),
            Expr::Literal(_) => return Err("unexpected . after a constant".into()),
            base => {
                if self.place == Place::Defined && matches!(base, Expr::Dot) {
                    self.field(&members);
                }
                Expr::Member(Box::new(base), members)
            }
        })
    }

    /// `.a.b` of the line is its field `a.b`.
    fn field(&mut self, names: &[String]) -> Expr {
        let name = names.join(".");
        match &name[..] {
            "logfile" => Expr::LogFile,
            "extra" => Expr::Extra,
            _ => {
                let fields = &mut self.tree.fields;
                Expr::Field(fields.iter().position(|field| *field == name).unwrap_or_else(|| {
                    fields.push(name);
                    fields.len() - 1
                }))
            }
        }
    }
}

struct Cursor<'t> {
    tokens: &'t [Token],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }
}
