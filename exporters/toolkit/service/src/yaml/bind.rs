//! A tree into types.

use super::tree::{Form, Kind, Node};
use super::{SPANNED, YamlError, scalar};
use serde::Deserialize;
use serde::de::value::U64Deserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer as _, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use std::slice::Iter;

/// A node that is to become something.
#[derive(Clone, Copy)]
pub(super) struct Value<'n, 't>(pub(super) &'n Node<'t>);

impl Value<'_, '_> {
    /// Reads it as what the seed is for; an error that has no line yet gets this one.
    fn grow<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, YamlError> {
        seed.deserialize(self).map_err(|e| e.at(self.0.line))
    }

    fn text(&self) -> Option<&str> {
        if let Kind::Scalar { text, .. } = &self.0.kind { Some(text) } else { None }
    }

    /// What may be a number or a boolean.
    fn figure(&self) -> Option<&str> {
        match &self.0.kind {
            Kind::Scalar { text, form: Form::Plain | Form::Quoted } => Some(text.trim()),
            _ => None,
        }
    }

    fn is_nothing(self) -> bool {
        matches!(self.0.kind, Kind::Nothing)
    }

    /// A number of the type with this name.
    fn integer<T: TryFrom<i128>>(self, name: &str) -> Result<T, YamlError> {
        let number = self.figure().and_then(scalar::integer);
        number.and_then(|n| T::try_from(n).ok()).ok_or_else(|| self.invalid(name))
    }

    /// What stands there may be a secret: it is not repeated.
    fn invalid(self, name: &str) -> YamlError {
        if self.is_nothing() {
            return YamlError::new("unexpected end of file");
        }
        YamlError::new(&format!("invalid {name}"))
    }

    fn unexpected(&self) -> Unexpected<'_> {
        match &self.0.kind {
            Kind::Nothing => Unexpected::Unit,
            Kind::Scalar { text, .. } => Unexpected::Str(text),
            Kind::List(_) => Unexpected::Seq,
            Kind::Map(_) => Unexpected::Map,
        }
    }
}

/// Reads a whole tree.
pub(super) fn bind<'de, T: Deserialize<'de>>(root: &Node<'_>) -> Result<T, YamlError> {
    Value(root).grow(std::marker::PhantomData)
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
            visitor.$visit(self.integer::<$type>(stringify!($type))?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'_, '_> {
    type Error = YamlError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        let text = match &self.0.kind {
            Kind::Nothing => return visitor.visit_unit(),
            Kind::List(_) => return self.deserialize_seq(visitor),
            Kind::Map(_) => return self.deserialize_map(visitor),
            Kind::Scalar { text, form: Form::Plain } => text.trim(),
            Kind::Scalar { text, .. } => return visitor.visit_str(text),
        };
        if scalar::is_null(text) {
            return visitor.visit_unit();
        }
        if let Some(value) = scalar::boolean(text) {
            return visitor.visit_bool(value);
        }
        if let Some(number) = scalar::integer(text) {
            match (u64::try_from(number), i64::try_from(number)) {
                (Ok(number), _) if !text.starts_with('-') => return visitor.visit_u64(number),
                (_, Ok(number)) => return visitor.visit_i64(number),
                _ => {}
            }
        }
        match scalar::float(text) {
            Some(number) if number.is_finite() => visitor.visit_f64(number),
            None if !scalar::is_too_large(text) => visitor.visit_str(text),
            _ => Err(YamlError::new("expected a finite number")),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        let value = self.figure().and_then(scalar::boolean);
        visitor.visit_bool(value.ok_or_else(|| self.invalid("boolean"))?)
    }

    integers! {
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        let number = self.figure().and_then(scalar::float);
        visitor.visit_f64(number.ok_or_else(|| self.invalid("floating point"))?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        match self.text() {
            Some(_) if self.0.is_null() => Err(YamlError::new("null is not allowed here")),
            Some(text) => visitor.visit_str(text),
            None if self.is_nothing() => Err(self.invalid("string")),
            None => Err(YamlError::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        if self.0.is_null() {
            return visitor.visit_unit();
        }
        Err(YamlError::invalid_type(self.unexpected(), &visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, YamlError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, YamlError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        let items = match &self.0.kind {
            Kind::List(items) => &**items,
            Kind::Nothing => &[],
            _ => return Err(YamlError::new("expected sequence start")),
        };
        let mut items = Items(items.iter());
        let whole = visitor.visit_seq(&mut items)?;
        // A tuple may have had enough before the end.
        match items.0.next() {
            None => Ok(whole),
            Some(more) => Err(YamlError::new("more elements than expected").at(more.line)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, YamlError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, YamlError> {
        if name == SPANNED {
            return visitor.visit_seq(Placed { node: self.0, line_told: false });
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        let entries = match &self.0.kind {
            Kind::Map(entries) => &**entries,
            Kind::Nothing => &[],
            _ => return Err(YamlError::new("expected mapping start")),
        };
        visitor.visit_map(Entries { rest: entries.iter(), value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, YamlError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, YamlError> {
        match &self.0.kind {
            Kind::Scalar { .. } => visitor.visit_enum(Variant { name: self, value: None }),
            Kind::Map(entries) if entries.len() == 1 => {
                visitor.visit_enum(Variant { name: Value(&entries[0].0), value: Some(Value(&entries[0].1)) })
            }
            _ => Err(YamlError::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        match self.text() {
            Some(text) => visitor.visit_str(text),
            None => Err(YamlError::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        visitor.visit_unit()
    }
}

struct Items<'n, 't>(Iter<'n, Node<'t>>);

impl<'de> SeqAccess<'de> for &mut Items<'_, '_> {
    type Error = YamlError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, YamlError> {
        self.0.next().map(|item| Value(item).grow(seed)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'n, 't> {
    rest: Iter<'n, (Node<'t>, Node<'t>)>,
    value: Option<&'n Node<'t>>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = YamlError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, YamlError> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        Value(key).grow(seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, YamlError> {
        let value = self.value.take().ok_or_else(|| YamlError::new("a value was asked for before its key"))?;
        Value(value).grow(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The two parts of a [`super::Spanned`].
struct Placed<'n, 't> {
    node: &'n Node<'t>,
    line_told: bool,
}

impl<'de> SeqAccess<'de> for Placed<'_, '_> {
    type Error = YamlError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, YamlError> {
        if self.line_told {
            return Value(self.node).grow(seed).map(Some);
        }
        self.line_told = true;
        let line: U64Deserializer<YamlError> = self.node.line.into_deserializer();
        seed.deserialize(line).map(Some)
    }
}

/// `name`, or `name: value`.
struct Variant<'n, 't> {
    name: Value<'n, 't>,
    value: Option<Value<'n, 't>>,
}

impl<'de, 'n, 't> EnumAccess<'de> for Variant<'n, 't> {
    type Error = YamlError;
    type Variant = Content<'n, 't>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content<'n, 't>), YamlError> {
        Ok((self.name.grow(seed)?, Content(self.value)))
    }
}

struct Content<'n, 't>(Option<Value<'n, 't>>);

impl<'n, 't> Content<'n, 't> {
    fn value(self) -> Result<Value<'n, 't>, YamlError> {
        self.0.ok_or_else(|| YamlError::new("a value is missing: expected `name: value`"))
    }
}

impl<'de> VariantAccess<'de> for Content<'_, '_> {
    type Error = YamlError;

    fn unit_variant(self) -> Result<(), YamlError> {
        match self.0 {
            Some(value) if !value.0.is_null() => Err(YamlError::new("expected no value here").at(value.0.line)),
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, YamlError> {
        self.value()?.grow(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, YamlError> {
        let value = self.value()?;
        value.deserialize_seq(visitor).map_err(|e| e.at(value.0.line))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, YamlError> {
        let value = self.value()?;
        value.deserialize_map(visitor).map_err(|e| e.at(value.0.line))
    }
}
