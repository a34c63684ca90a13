//! Values of labels and metrics: Go's `text/template` as grok_exporter uses it.
#![allow(dead_code, reason = "the engine that uses it is being written")]

use crate::line::Line;
use crate::pattern::Captures;

/// A parsed template.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
    fields: Vec<String>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Field(usize),
    LogFile,
}

impl Template {
    /// Parses and checks all that can be checked without a line.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut template = Self { parts: Vec::new(), fields: Vec::new() };
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let error = || TemplateError { text: text.into(), message: "unclosed action".into() };
            let (action, after) = after.split_once("}}").ok_or_else(error)?;
            let name = action.trim().strip_prefix('.').ok_or_else(|| TemplateError {
                text: text.into(),
                message: format!("function {} not defined", action.trim()),
            })?;
            template.parts.push(Part::Text(before.into()));
            template.parts.push(if name == "logfile" {
                Part::LogFile
            } else {
                let index = template.fields.iter().position(|field| field == name).unwrap_or_else(|| {
                    template.fields.push(name.into());
                    template.fields.len() - 1
                });
                Part::Field(index)
            });
            rest = after;
        }
        template.parts.push(Part::Text(rest.into()));
        template.parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(template)
    }

    /// The fields of the line that it uses, each once; not `logfile` and `extra`.
    pub(crate) fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Fixes where each field is found: `wanted` as given to the matcher. A field that is not in there is empty.
    pub(crate) fn bind(self, wanted: &[&str]) -> Bound {
        let slots = self.fields.iter().map(|field| wanted.iter().position(|name| name == field)).collect();
        Bound { template: self, slots }
    }
}

/// A template that knows where its fields stand.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    template: Template,
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
        let value = |slot: usize| self.slots[slot].map_or(&b""[..], |slot| captures.get(slot));
        if let [Part::Field(slot)] = self.template.parts[..] {
            return Ok(value(slot));
        }
        out.clear();
        for part in &self.template.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Field(slot) => out.extend_from_slice(value(*slot)),
                Part::LogFile => out.extend_from_slice(line.file.as_bytes()),
            }
        }
        Ok(out)
    }
}

/// A template that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("template {text}: {message}")]
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
