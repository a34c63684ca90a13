//! The file of `--config.my-cnf`: sections with users, passwords and TLS settings.

use crate::account::{Address, TlsMode};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why the file cannot be used. A line is named by its number: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("reading {path}: {error}")]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{path}: line {line}: {fault}")]
    Line { path: PathBuf, line: usize, fault: &'static str },
    #[error("{path}: section [{section}]: {key} {fault}")]
    Value { path: PathBuf, section: String, key: &'static str, fault: &'static str },
}

/// The sections of a file, by name.
pub(crate) type Sections = BTreeMap<String, Section>;

/// What one section says, what it inherits included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    keys: BTreeMap<String, String>,
}

impl Section {
    /// A key's value.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(String::as_str)
    }

    /// Host and port, or the socket, where the section names one.
    pub(crate) fn address(&self) -> Result<Option<Address>, Fault> {
        if let Some(socket) = self.get("socket").filter(|s| !s.is_empty()) {
            return Ok(Some(Address::Unix(socket.to_owned())));
        }
        let port = match self.get("port").filter(|p| !p.is_empty()) {
            Some(port) => Some(port.parse::<u16>().map_err(|_| ("port", "is no port number"))?),
            None => None,
        };
        let host = self.get("host").filter(|h| !h.is_empty());
        Ok(match (host, port) {
            (None, None) => None,
            (host, port) => {
                let host = host.unwrap_or("localhost");
                let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
                Some(Address::Tcp(host.to_owned(), port.unwrap_or(3306)))
            }
        })
    }

    /// Whether a key is on: without a value, or with one that says so.
    pub(crate) fn on(&self, key: &str) -> bool {
        self.get(key).is_some_and(|v| matches!(v.to_ascii_lowercase().as_str(), "" | "1" | "true" | "on" | "yes"))
    }

    /// The value of `tls`.
    pub(crate) fn tls(&self) -> Result<Option<TlsMode>, Fault> {
        let Some(word) = self.get("tls") else { return Ok(None) };
        crate::dsn::tls_mode(word).map(Some).ok_or(("tls", "is none of true, false, skip-verify, preferred"))
    }
}

/// A key, and what is wrong with its value.
pub(crate) type Fault = (&'static str, &'static str);

/// Reads a file; one that is not there has no sections.
pub(crate) fn read(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Sections, FileError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Sections::new()),
        Err(error) => return Err(FileError::Read { path: path.to_owned(), error }),
    };
    parse(&bytes, env).map_err(|(line, fault)| FileError::Line { path: path.to_owned(), line, fault })
}

/// Parses a file's bytes; an error is a line's number and its fault.
pub(crate) fn parse(bytes: &[u8], env: &dyn Fn(&str) -> Option<String>) -> Result<Sections, (usize, &'static str)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut sections = Sections::new();
    let mut current: Option<String> = None;
    for (i, line) in bytes.split(|&b| b == b'\n').enumerate() {
        let line = std::str::from_utf8(line).map_err(|_| (i + 1, "is not UTF-8"))?.trim();
        if line.is_empty() || line.starts_with(['#', ';', '!']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let (name, _) = rest.split_once(']').ok_or((i + 1, "the section's name has no closing bracket"))?;
            current = Some(name.trim().to_owned());
            sections.entry(name.trim().to_owned()).or_default();
            continue;
        }
        let (key, value) = line.split_once(['=', ':']).map_or((line, ""), |(k, v)| (k.trim(), v.trim()));
        if key.is_empty() {
            return Err((i + 1, "there is a value without a key"));
        }
        // MySQL takes both spellings of a name; keys before the first section belong to none.
        let Some(section) = current.as_ref().and_then(|name| sections.get_mut(name)) else { continue };
        section.keys.insert(key.to_ascii_lowercase().replace('_', "-"), expanded(unquoted(value), env));
    }
    inherit(&mut sections);
    Ok(sections)
}

/// `[client.x]` has from `[client]` what it lacks.
fn inherit(sections: &mut Sections) {
    // In order of name a parent stands before its children, and has what it inherits itself.
    let names: Vec<String> = sections.keys().cloned().collect();
    for name in names {
        let parent = name.rsplit_once('.').and_then(|(parent, _)| sections.get(parent)).cloned();
        if let (Some(parent), Some(section)) = (parent, sections.get_mut(&name)) {
            for (key, value) in parent.keys {
                section.keys.entry(key).or_insert(value);
            }
        }
    }
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\'', '`'] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

/// `${NAME}` from the environment, where it is set there.
// Differs from mysqld_exporter, which expands `$NAME` too and so breaks passwords with a `$`.
fn expanded(value: &str, env: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let found = after.split_once('}').and_then(|(name, tail)| Some((env(name)?, tail)));
        let Some((text, tail)) = found else {
            out.push_str("${");
            rest = after;
            continue;
        };
        out.push_str(&text);
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn env(name: &str) -> Option<String> {
        (name == "SET").then(|| "value".to_owned())
    }

    #[test]
    fn a_file_is_read() {
        let text = b"# comment\n[client]\nuser = exporter\npassword='a#b;c=d$HOME ${SET} ${UNSET}'\n\
            host=db\nport=3307\nssl-skip-verfication\n\n[client.b]\nuser=other\nssl_ca = /ca.pem\n[mysqld]\nskip-networking\n";
        let sections = parse(text, &env).unwrap();
        let client = &sections["client"];
        assert_eq!(client.get("password"), Some("a#b;c=d$HOME value ${UNSET}"));
        assert_eq!(client.address().unwrap(), Some(Address::Tcp("db".to_owned(), 3307)));
        assert!(client.on("ssl-skip-verfication"));
        let b = &sections["client.b"];
        assert_eq!((b.get("user"), b.get("password")), (Some("other"), client.get("password")));
        assert_eq!((b.get("ssl-ca"), client.get("ssl-ca")), (Some("/ca.pem"), None));
        assert_eq!(sections["mysqld"].get("user"), None);
    }

    #[test]
    fn faults_name_the_line_alone() {
        for (text, line) in [("[client]\npassword=x\n[geheim", 3), ("\n=geheim", 2)] {
            let (found, fault) = parse(text.as_bytes(), &env).unwrap_err();
            assert_eq!(found, line);
            assert!(!fault.contains("geheim"));
        }
        let sections = parse(b"[client]\nport=x\ntls=geheim", &env).unwrap();
        assert_eq!(sections["client"].address().unwrap_err(), ("port", "is no port number"));
        assert_eq!(sections["client"].tls().unwrap_err().0, "tls");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = parse(&bytes, &env);
        }

        #[test]
        fn passwords_come_through(password in "[!-~]{1,20}") {
            let plain = !password.contains("${") && !password.starts_with(['"', '\'', '`']);
            prop_assume!(plain);
            let sections = parse(format!("[client]\npassword={password}\n").as_bytes(), &env).unwrap();
            prop_assert_eq!(sections["client"].get("password"), Some(password.as_str()));
        }
    }
}
