//! Addresses that inputs listen on.

/// Where an input listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `tcp://HOST:PORT`.
    Tcp(String, u16),
    /// `udp://HOST:PORT`.
    Udp(String, u16),
}

impl Address {
    /// Reads `tcp://HOST:PORT` or `udp://HOST:PORT`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("listen: {text:?}: expected tcp://HOST:PORT or udp://HOST:PORT");
        let (kind, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (host, port) = host_port(rest).ok_or_else(wrong)?;
        match kind {
            "tcp" => Ok(Self::Tcp(host, port)),
            "udp" => Ok(Self::Udp(host, port)),
            _ => Err(wrong()),
        }
    }

    /// Reads `HOST:PORT`, with or without `tcp://` in front.
    pub(crate) fn parse_tcp(text: &str) -> Result<Self, String> {
        let wrong = || format!("listen: {text:?}: expected HOST:PORT or :PORT");
        let (host, port) = host_port(text.strip_prefix("tcp://").unwrap_or(text)).ok_or_else(wrong)?;
        Ok(Self::Tcp(host, port))
    }
}

/// The host is empty for every address of this machine.
fn host_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(Address::parse("udp://:514"), Ok(Address::Udp(String::new(), 514)));
        assert_eq!(Address::parse("tcp://[::1]:514"), Ok(Address::Tcp("::1".into(), 514)));
        assert_eq!(Address::parse_tcp("localhost:5044"), Ok(Address::Tcp("localhost".into(), 5044)));
        for wrong in ["", ":514", "unix:///x", "udp://x", "tcp://::1:5", "tcp://x:99999"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Address::parse_tcp("5044").is_err());
    }
}
