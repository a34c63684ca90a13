//! Single values as configuration files write them, and templates with the fields they use.

use crate::engine::Text;
use crate::template::{Template, TemplateError};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A duration as Go's YAML reads it: `2h30m`, or an integer of nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reading;
        impl Visitor<'_> for Reading {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 2h30m")
            }
            fn visit_u64<E: Error>(self, nanos: u64) -> Result<Span, E> {
                Ok(Span(Duration::from_nanos(nanos)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                service::parse_duration(text).map(Span).map_err(E::custom)
            }
        }
        from.deserialize_any(Reading)
    }
}

/// A list; anything else is called so.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reading<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reading<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list (lines that begin with '-')")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(List(list))
            }
        }
        from.deserialize_any(Reading(PhantomData))
    }
}

/// The fields that the templates of one rule use, in the order of the captures.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<String>);

impl Fields {
    /// A text that may be a template.
    pub(super) fn text(&mut self, text: &str) -> Result<Text, TemplateError> {
        if !text.contains("{{") {
            return Ok(Text::Fixed(text.into()));
        }
        let template = Template::parse(text)?;
        for field in template.fields() {
            if !self.0.contains(field) {
                self.0.push(field.clone());
            }
        }
        Ok(Text::Template(template.bind(&self.names())))
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }

    pub(super) fn into_names(self) -> Vec<String> {
        self.0
    }
}
