//! A template and a line give a text.

use serde_json::Value as Json;

use crate::line::Line;
use crate::pattern::Captures;

use super::Bound;
use super::function::Function;
use super::parse::{Expr, Node};
use super::value::Value;

/// One rendering.
pub(super) struct Execution<'a> {
    pub(super) bound: &'a Bound,
    pub(super) captures: &'a Captures<'a>,
    pub(super) line: &'a Line<'a>,
    variables: Vec<Value<'a>>,
    /// Where the variables of the template at hand begin.
    base: usize,
    depth: usize,
    steps: usize,
}

/// What goes on after a node.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

/// Nodes that a rendering may run through, and what it may write.
const MAX_STEPS: usize = 100_000;
const MAX_LENGTH: usize = 1 << 23;
const MAX_DEPTH: usize = 100;

impl<'a> Execution<'a> {
    pub(super) fn new(bound: &'a Bound, captures: &'a Captures<'_>, line: &'a Line<'_>) -> Self {
        Self { bound, captures, line, variables: Vec::new(), base: 0, depth: 0, steps: 0 }
    }

    pub(super) fn run(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        self.nodes(&self.bound.tree.nodes, &Value::Root, out).map(|_| ())
    }

    fn nodes(&mut self, nodes: &'a [Node], dot: &Value<'a>, out: &mut Vec<u8>) -> Result<Flow, String> {
        for node in nodes {
            self.steps += 1;
            if self.steps > MAX_STEPS || out.len() > MAX_LENGTH {
                return Err("the template runs too long".into());
            }
            let flow = match node {
                Node::Text(text) => {
                    out.extend_from_slice(text);
                    Flow::On
                }
                Node::Print(expr) => {
                    self.value(expr, dot)?.print("<no value>", out);
                    Flow::On
                }
                Node::Set { slot, expr } => {
                    let value = self.value(expr, dot)?;
                    self.set(*slot, value);
                    Flow::On
                }
                Node::If { slot, expr, then, other } => {
                    let value = self.value(expr, dot)?;
                    let truth = value.truth();
                    self.set_if(*slot, value);
                    self.nodes(if truth { then } else { other }, dot, out)?
                }
                Node::With { slot, expr, then, other } => {
                    let value = self.value(expr, dot)?;
                    self.set_if(*slot, value.clone());
                    if value.truth() { self.nodes(then, &value, out)? } else { self.nodes(other, dot, out)? }
                }
                Node::Range { slots, expr, then, other } => {
                    let value = self.value(expr, dot)?;
                    self.range(*slots, &value, then, other, dot, out)?
                }
                Node::Template { name, dot: given } => {
                    let value = match given {
                        Some(expr) => self.value(expr, dot)?,
                        None => Value::Nil,
                    };
                    self.template(name, &value, out)?;
                    Flow::On
                }
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn range(
        &mut self,
        slots: [Option<usize>; 2],
        value: &Value<'a>,
        then: &'a [Node],
        other: &'a [Node],
        dot: &Value<'a>,
        out: &mut Vec<u8>,
    ) -> Result<Flow, String> {
        let items: Vec<(Value<'a>, Value<'a>)> = match value {
            Value::Nil => Vec::new(),
            Value::Extra(Json::Array(list)) | Value::Json(Json::Array(list)) => {
                (0..).zip(list).map(|(i, item)| (Value::Int(i), Value::json(item))).collect()
            }
            Value::Extra(Json::Object(map)) | Value::Json(Json::Object(map)) => {
                let mut members: Vec<_> = map.iter().collect();
                members.sort_by(|a, b| a.0.cmp(b.0));
                members.into_iter().map(|(key, item)| (Value::text(key.as_bytes()), Value::json(item))).collect()
            }
            other => return Err(format!("range can't iterate over a {}", other.kind())),
        };
        if items.is_empty() {
            return self.nodes(other, dot, out);
        }
        for (key, item) in items {
            self.set_if(slots[0], key);
            self.set_if(slots[1], item.clone());
            if self.nodes(then, &item, out)? == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn template(&mut self, name: &str, dot: &Value<'a>, out: &mut Vec<u8>) -> Result<(), String> {
        let Some(nodes) = self.bound.tree.defined.get(name) else {
            return Err(format!("template {name:?} not defined"));
        };
        if self.depth >= MAX_DEPTH {
            return Err(format!("template {name:?} calls itself too often"));
        }
        let base = std::mem::replace(&mut self.base, self.variables.len());
        self.depth += 1;
        let ran = self.nodes(nodes, dot, out);
        self.depth -= 1;
        self.variables.truncate(self.base);
        self.base = base;
        ran.map(|_| ())
    }

    fn set_if(&mut self, slot: Option<usize>, value: Value<'a>) {
        if let Some(slot) = slot {
            self.set(slot, value);
        }
    }

    fn set(&mut self, slot: usize, value: Value<'a>) {
        let slot = self.base + slot;
        if slot >= self.variables.len() {
            self.variables.resize(slot + 1, Value::Nil);
        }
        self.variables[slot] = value;
    }

    fn value(&self, expr: &'a Expr, dot: &Value<'a>) -> Result<Value<'a>, String> {
        Ok(match expr {
            Expr::Literal(value) => value.clone(),
            Expr::Dot => dot.clone(),
            Expr::Root => Value::Root,
            Expr::Field(index) => Value::text(self.bound.capture(*index, self.captures)),
            Expr::LogFile => Value::text(self.line.file.as_bytes()),
            Expr::Extra => self.line.extra.map_or(Value::Nil, Value::Extra),
            Expr::Variable(slot) => self.variables.get(self.base + slot).cloned().unwrap_or(Value::Nil),
            Expr::Member(base, names) => {
                let mut value = self.value(base, dot)?;
                if matches!(value, Value::Root) {
                    return Ok(self.field(&names.join(".")));
                }
                for name in names {
                    value = self.member(&value, name)?;
                }
                value
            }
            Expr::Call(function @ (Function::And | Function::Or), args) => {
                // The rest is not looked at once the answer is known.
                let mut value = Value::Nil;
                for arg in args {
                    value = self.value(arg, dot)?;
                    if value.truth() == matches!(function, Function::Or) {
                        break;
                    }
                }
                value
            }
            Expr::Call(function, args) => {
                let values = args.iter().map(|arg| self.value(arg, dot)).collect::<Result<Vec<_>, _>>()?;
                function.call(&values)?
            }
        })
    }

    fn member(&self, value: &Value<'a>, name: &str) -> Result<Value<'a>, String> {
        match value {
            Value::Root => Ok(self.field(name)),
            Value::Extra(Json::Object(_)) | Value::Json(Json::Object(_)) => value.index(&Value::string(name.into())),
            _ => Err(format!("can't evaluate field {name} in type {}", value.kind())),
        }
    }

    /// A field by its name, where only the line says that one is meant.
    fn field(&self, name: &str) -> Value<'a> {
        match name {
            "logfile" => Value::text(self.line.file.as_bytes()),
            "extra" => self.line.extra.map_or(Value::Nil, Value::Extra),
            name => match self.bound.tree.fields.iter().position(|field| field == name) {
                Some(index) => Value::text(self.bound.capture(index, self.captures)),
                None => Value::Nil,
            },
        }
    }
}
