//! Request paths as Go's ServeMux sees them: decoded, and cleaned of `//`, `.` and `..`.

use std::borrow::Cow;

/// What to do with a request's path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    /// Serve it.
    Clean,
    /// Serve this one, which says the same.
    Plain(String),
    /// Send the client to this one.
    Redirect(Cow<'a, str>),
    /// A `%` without two hexadecimal digits.
    BadEscape,
}

/// Looks at the path of a request, as it was sent.
pub(crate) fn see(path: &str) -> Seen<'_> {
    let Some(plain) = unescape_unreserved(path) else { return Seen::BadEscape };
    if !plain.starts_with('/') {
        // `*`, or nothing at all in a CONNECT.
        return Seen::Clean;
    }
    match (clean(&plain), plain) {
        (Some(cleaned), _) => Seen::Redirect(Cow::Owned(cleaned)),
        (None, Cow::Owned(plain)) => Seen::Plain(plain),
        (None, Cow::Borrowed(_)) => Seen::Clean,
    }
}

/// Decodes the escapes of letters, digits, `-`, `.`, `_` and `~`, which mean the same escaped or not (RFC 3986, 2.3).
/// The other escapes stay, so that `%2F` is no slash.
fn unescape_unreserved(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut out = String::with_capacity(path.len());
    let mut changed = false;
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let hex = rest.get(at + 1..at + 3).filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(hex, 16).ok()?;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
            changed = true;
        } else {
            out.push_str(&rest[at..at + 3]);
        }
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    Some(if changed { Cow::Owned(out) } else { Cow::Borrowed(path) })
}

/// The path without empty, `.` and `..` steps, keeping a slash at the end; `None` when it has none of them.
fn clean(path: &str) -> Option<String> {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            other => steps.push(other),
        }
    }
    let mut out = String::with_capacity(path.len());
    for step in &steps {
        out.push('/');
        out.push_str(step);
    }
    if out.is_empty() || path.ends_with('/') {
        out.push('/');
    }
    (out != path).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cleans_as_the_mux_does() {
        for (path, seen) in [
            ("/", Seen::Clean),
            ("/metrics", Seen::Clean),
            ("/metrics/", Seen::Clean),
            ("//metrics", Seen::Redirect("/metrics".into())),
            ("/a/../metrics", Seen::Redirect("/metrics".into())),
            ("/../..", Seen::Redirect("/".into())),
            ("/a//b/", Seen::Redirect("/a/b/".into())),
            ("/%6Detrics", Seen::Plain("/metrics".into())),
            ("/%2e%2e/metrics", Seen::Redirect("/metrics".into())),
            ("/a%2Fb", Seen::Clean),
            ("/%zz", Seen::BadEscape),
            ("/%4", Seen::BadEscape),
            ("/%é", Seen::BadEscape),
            ("*", Seen::Clean),
            ("", Seen::Clean),
        ] {
            assert_eq!(see(path), seen, "{path}");
        }
    }

    proptest! {
        #[test]
        fn where_it_sends_is_clean(path in "[/.%a-f0-9é]{0,24}") {
            if let Seen::Redirect(to) = see(&path) {
                prop_assert!(matches!(see(&to), Seen::Clean | Seen::Plain(_)), "{} -> {}", path, to);
            }
        }
    }
}
