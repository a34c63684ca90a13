//! Values of labels and metrics: Go's `text/template` with the functions of grok_exporter.

mod execute;
mod function;
mod gsub;
mod layout;
mod lexer;
mod number;
mod parse;
mod printf;
#[cfg(test)]
mod tests;
mod value;

use crate::line::Line;
use crate::pattern::Captures;

use execute::Execution;
use parse::{Expr, Node, Tree};

/// A parsed template.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    tree: Tree,
}

impl Template {
    /// Parses and checks all that can be checked without a line.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let tree = parse::parse(text).map_err(|message| TemplateError { text: text.into(), message })?;
        Ok(Self { tree })
    }

    /// The fields of the line that it uses, each once; not `logfile` and `extra`.
    pub(crate) fn fields(&self) -> &[String] {
        &self.tree.fields
    }

    /// Fixes where each field is found: `wanted` as given to the matcher. A field that is not in there is empty.
    pub(crate) fn bind(self, wanted: &[&str]) -> Bound {
        let tree = self.tree;
        let slots = tree.fields.iter().map(|field| wanted.iter().position(|name| name == field)).collect();
        Bound { tree, slots }
    }
}

/// A template that knows where its fields stand.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    tree: Tree,
    slots: Vec<Option<usize>>,
}

impl Bound {
    /// The text for this line. `out` is memory to write into; a lone `{{.field}}` is the capture itself.
    pub(crate) fn render<'a>(
        &'a self,
        captures: &'a Captures<'_>,
        line: &'a Line<'_>,
        out: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], RenderError> {
        match &self.tree.nodes[..] {
            [] => return Ok(b""),
            [Node::Text(text)] => return Ok(text),
            [Node::Print(Expr::Field(index))] => return Ok(self.capture(*index, captures)),
            [Node::Print(Expr::LogFile)] => return Ok(line.file.as_bytes()),
            _ => {}
        }
        out.clear();
        Execution::new(self, captures, line).run(out).map_err(|message| RenderError { message })?;
        Ok(out)
    }

    fn capture<'a>(&self, index: usize, captures: &'a Captures<'_>) -> &'a [u8] {
        self.slots.get(index).copied().flatten().map_or(b"", |slot| captures.get(slot))
    }
}

/// A template that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("template '{text}': {message}")]
pub(crate) struct TemplateError {
    text: String,
    message: String,
}

/// A template that gives no value for this line.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct RenderError {
    message: String,
}
