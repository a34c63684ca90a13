//! `DATA_SOURCE_NAME`, which upstream dropped in 0.15: `[user[:password]@][net[(address)]]/[db][?param=value&...]`.

use crate::account::{Account, Address, Secret, Tls, TlsMode};
use std::time::Duration;

/// Why a data source name cannot be used. The text never shows any of it: it holds a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DsnError {
    #[error("there is no / after the address: write user:password@(host:port)/")]
    NoSlash,
    #[error("there is no user: write user:password@(host:port)/")]
    NoUser,
    #[error("the address has no closing parenthesis")]
    Parenthesis,
    #[error("the protocol is neither tcp nor unix")]
    Protocol,
    #[error("the address is no host:port")]
    Address,
    #[error("parameter {0} has a value that it cannot have")]
    Parameter(&'static str),
    #[error("parameter number {0} is no name of a session variable")]
    Variable(usize),
}

/// Parses from the right, so that a password may hold `@`, `:`, `/`, `?`, `%` and `#` as they are.
pub(crate) fn parse(text: &str) -> Result<Account, DsnError> {
    let text = unquoted(text.trim());
    let (front, back) = text.rsplit_once('/').ok_or(DsnError::NoSlash)?;
    let (login, place) = front.rsplit_once('@').ok_or(DsnError::NoUser)?;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    if user.is_empty() {
        return Err(DsnError::NoUser);
    }
    let mut account = Account {
        user: user.to_owned(),
        password: Secret(password.to_owned()),
        address: address(place)?,
        tls: Tls::default(),
        cleartext: false,
        session: Vec::new(),
        connect_timeout: None,
    };
    let parameters = back.split_once('?').map_or("", |(_, p)| p);
    for (i, pair) in parameters.split('&').filter(|p| !p.is_empty()).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameter(&mut account, name, &decoded(value), i + 1)?;
    }
    Ok(account)
}

/// Compose's list syntax (`- DATA_SOURCE_NAME="..."`) passes the quotes on.
fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

fn address(place: &str) -> Result<Address, DsnError> {
    let (net, address) = match place.split_once('(') {
        Some((net, rest)) => (net, rest.strip_suffix(')').ok_or(DsnError::Parenthesis)?),
        None => (place, ""),
    };
    match net {
        "" | "tcp" if address.is_empty() => Ok(Address::Tcp("127.0.0.1".to_owned(), 3306)),
        "" | "tcp" => {
            let with_port = format!("{address}:3306");
            Address::parse(address).or_else(|| Address::parse(&with_port)).ok_or(DsnError::Address)
        }
        "unix" if address.is_empty() => Ok(Address::Unix("/tmp/mysql.sock".to_owned())),
        "unix" => Ok(Address::Unix(address.to_owned())),
        _ => Err(DsnError::Protocol),
    }
}

fn parameter(account: &mut Account, name: &str, value: &str, place: usize) -> Result<(), DsnError> {
    match name {
        "tls" => {
            account.tls.mode = tls_mode(value).ok_or(DsnError::Parameter("tls"))?;
        }
        "timeout" => {
            let timeout = duration(value).ok_or(DsnError::Parameter("timeout"))?;
            account.connect_timeout = Some(timeout).filter(|t| !t.is_zero());
        }
        // The scrape's deadline bounds every read already.
        "readTimeout" => drop(duration(value).ok_or(DsnError::Parameter("readTimeout"))?),
        "allowCleartextPasswords" => {
            account.cleartext = boolean(value).ok_or(DsnError::Parameter("allowCleartextPasswords"))?;
        }
        name if DRIVER_ONLY.contains(&name) => {}
        name => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            if name.is_empty() || !name.chars().all(plain) {
                return Err(DsnError::Variable(place));
            }
            account.session.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(())
}

/// The words of `tls` here and in my.cnf.
pub(crate) fn tls_mode(word: &str) -> Option<TlsMode> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(TlsMode::Verify),
        "false" | "0" | "" => Some(TlsMode::Off),
        "skip-verify" => Some(TlsMode::SkipVerify),
        "preferred" => Some(TlsMode::Preferred),
        _ => None,
    }
}

fn boolean(word: &str) -> Option<bool> {
    match word {
        "1" | "true" | "TRUE" | "True" => Some(true),
        "0" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn duration(text: &str) -> Option<Duration> {
    service::parse_duration(text).ok()
}

/// `%41` and `+` as query strings have them.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let digit = |i: usize| bytes.get(at + i).and_then(|&d| char::from(d).to_digit(16));
        match (b, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            _ => out.push(b),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Settings of the Go driver itself that mean nothing here: they are no session variables.
const DRIVER_ONLY: [&str; 19] = [
    "allowAllFiles",
    "allowFallbackToPlaintext",
    "allowNativePasswords",
    "allowOldPasswords",
    "charset",
    "checkConnLiveness",
    "clientFoundRows",
    "collation",
    "columnsWithAlias",
    "compress",
    "connectionAttributes",
    "interpolateParams",
    "loc",
    "maxAllowedPacket",
    "multiStatements",
    "parseTime",
    "rejectReadOnly",
    "timeTruncate",
    "writeTimeout",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp(host.to_owned(), port)
    }

    #[test]
    fn data_source_names_are_read() {
        for (text, user, password, address) in [
            ("wpuser:wppassword@(mysql-wordpress:3306)/", "wpuser", "wppassword", tcp("mysql-wordpress", 3306)),
            ("\"u:p@tcp(h:1)/\"", "u", "p", tcp("h", 1)),
            ("'u:p@tcp(h)/db'", "u", "p", tcp("h", 3306)),
            ("u@/", "u", "", tcp("127.0.0.1", 3306)),
            ("u:p@tcp/", "u", "p", tcp("127.0.0.1", 3306)),
            ("u:p@tcp([::1]:3307)/", "u", "p", tcp("::1", 3307)),
            ("u:p@unix(/run/my.sock)/", "u", "p", Address::Unix("/run/my.sock".to_owned())),
            ("u:a@b:c/d?e%41#$f@(h:2)/", "u", "a@b:c/d?e%41#$f", tcp("h", 2)),
            ("u:p@(h:3)/db?tls=skip-verify&timeout=5s", "u", "p", tcp("h", 3)),
        ] {
            let account = parse(text).unwrap();
            assert_eq!((account.user.as_str(), account.password.0.as_str()), (user, password), "{text}");
            assert_eq!(account.address, address, "{text}");
        }
        let account =
            parse("u:p@/?tls=preferred&sql_mode=%27ANSI%27&charset=utf8&allowCleartextPasswords=true").unwrap();
        assert_eq!(account.tls.mode, TlsMode::Preferred);
        assert!(account.cleartext);
        assert_eq!(account.session, [("sql_mode".to_owned(), "'ANSI'".to_owned())]);
    }

    #[test]
    fn mistakes_are_named_without_the_text() {
        for (text, error) in [
            ("u:geheim@tcp(h:1)", DsnError::NoSlash),
            ("tcp(h:1)/", DsnError::NoUser),
            (":geheim@tcp(h:1)/", DsnError::NoUser),
            ("u:geheim@tcp(h:1/", DsnError::Parenthesis),
            ("u:geheim@udp(h:1)/", DsnError::Protocol),
            ("u:geheim@tcp(h:x)/", DsnError::Address),
            ("u:geheim@/?tls=geheim", DsnError::Parameter("tls")),
            ("u:geheim@/?timeout=5", DsnError::Parameter("timeout")),
            ("u:geheim@/?a;b=1", DsnError::Variable(1)),
        ] {
            let found = parse(text).unwrap_err();
            assert!(!found.to_string().contains("geheim"), "{found}");
            assert_eq!(found, error, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text: String, password in "[ -~]{0,20}") {
            let _ = parse(&text);
            let account = parse(&format!("u:{password}@(h:1)/")).unwrap();
            prop_assert_eq!(account.password.0, password);
        }
    }
}
