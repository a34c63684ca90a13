//! Metric and label names: which ones every Prometheus takes, and how the others are made so.

use std::borrow::Cow;

/// A valid metric name: every character outside `[a-zA-Z0-9_:]` becomes `_`, and a leading digit gets one in front.
pub fn sanitize_name(name: &str) -> Cow<'_, str> {
    sanitize(name, true)
}

/// A valid label name: as [`sanitize_name`], but `:` becomes `_` too.
pub fn sanitize_label_name(name: &str) -> Cow<'_, str> {
    sanitize(name, false)
}

fn sanitize(name: &str, colon: bool) -> Cow<'_, str> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
    let guard = name.chars().next().is_none_or(|c| c.is_ascii_digit());
    if !guard && name.chars().all(valid) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 1);
    if guard {
        out.push('_');
    }
    out.extend(name.chars().map(|c| if valid(c) { c } else { '_' }));
    Cow::Owned(out)
}

/// Whether a metric name needs neither escaping nor quotes.
pub(crate) fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// The same of a label name. Differs from expfmt, which lets `:` pass: no parser takes that line.
pub(crate) fn is_plain_label(name: &str) -> bool {
    is_plain(name) && !name.contains(':')
}

/// What is done with names that are not plain, as the `escaping` parameter of a content type says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Escaping {
    /// Each character that is not allowed becomes `_`.
    #[default]
    Underscores,
    /// `.` becomes `_dot_`, `_` and all else `__`.
    Dots,
    /// `U__` and the code points in hexadecimal.
    Values,
    /// Names stay as they are, quoted where the syntax needs it.
    AllowUtf8,
}

impl Escaping {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "underscores" => Some(Self::Underscores),
            "dots" => Some(Self::Dots),
            "values" => Some(Self::Values),
            "allow-utf-8" => Some(Self::AllowUtf8),
            _ => None,
        }
    }

    /// The metric name as Go's `model.EscapeName` gives it.
    pub(crate) fn apply(self, name: &str) -> Cow<'_, str> {
        self.escape(name, is_plain(name), true)
    }

    /// The same for a label name.
    pub(crate) fn apply_label(self, name: &str) -> Cow<'_, str> {
        self.escape(name, is_plain_label(name), false)
    }

    fn escape(self, name: &str, plain: bool, colon: bool) -> Cow<'_, str> {
        if self == Self::AllowUtf8 || name.is_empty() || (self != Self::Dots && plain) {
            return Cow::Borrowed(name);
        }
        let mut out = String::with_capacity(name.len() + 8);
        if self == Self::Values {
            out.push_str("U__");
        }
        for (at, c) in name.char_indices() {
            let plain = c.is_ascii_alphabetic() || c == '_' || (colon && c == ':') || (c.is_ascii_digit() && at > 0);
            match self {
                Self::Underscores => out.push(if plain { c } else { '_' }),
                Self::Dots if c == '.' => out.push_str("_dot_"),
                Self::Values if !plain => {
                    use std::fmt::Write;
                    // A String takes whatever is written to it.
                    let _ = write!(out, "_{:x}_", u32::from(c));
                }
                _ if c == '_' || !plain => out.push_str("__"),
                _ => out.push(c),
            }
        }
        Cow::Owned(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_made_valid() {
        for (name, metric, label) in [
            ("node_load1", "node_load1", "node_load1"),
            ("a:b", "a:b", "a_b"),
            ("1min", "_1min", "_1min"),
            ("", "_", "_"),
            ("größe.in-µs", "gr__e_in__s", "gr__e_in__s"),
        ] {
            assert_eq!(sanitize_name(name), metric);
            assert_eq!(sanitize_label_name(name), label);
        }
        assert!(matches!(sanitize_name("up"), Cow::Borrowed("up")));
    }

    /// The examples of Go's `TestEscapeName`.
    #[test]
    fn escaping_is_go_s() {
        for (name, underscores, dots, values) in [
            ("", "", "", ""),
            ("no:escaping_required", "no:escaping_required", "no:escaping__required", "no:escaping_required"),
            (
                "mysystem.prod.west.cpu.load",
                "mysystem_prod_west_cpu_load",
                "mysystem_dot_prod_dot_west_dot_cpu_dot_load",
                "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load",
            ),
            ("http.status:sum", "http_status:sum", "http_dot_status:sum", "U__http_2e_status:sum"),
            ("label with 😱", "label_with__", "label__with____", "U__label_20_with_20__1f631_"),
            ("1st", "_st", "__st", "U___31_st"),
        ] {
            assert_eq!(Escaping::Underscores.apply(name), underscores);
            assert_eq!(Escaping::Dots.apply(name), dots);
            assert_eq!(Escaping::Values.apply(name), values);
            assert_eq!(Escaping::AllowUtf8.apply(name), name);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_text_becomes_a_plain_name(text in any::<String>()) {
            prop_assert!(is_plain(&sanitize_name(&text)));
            let label = sanitize_label_name(&text);
            prop_assert!(is_plain_label(&label));
            if !text.is_empty() {
                for escaping in [Escaping::Underscores, Escaping::Dots, Escaping::Values] {
                    prop_assert!(is_plain(&escaping.apply(&text)));
                    prop_assert!(is_plain_label(&escaping.apply_label(&text)));
                }
            }
        }
    }
}
