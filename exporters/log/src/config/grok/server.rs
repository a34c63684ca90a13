//! The part `server` of a grok_exporter configuration.

use super::document::{Server as Document, text};
use crate::config::{Server, Tls};

/// The listener.
pub(super) fn server(document: Option<&Document>) -> Result<Server, String> {
    let default = Document::default();
    let document = document.unwrap_or(&default);
    let port = match document.port.unwrap_or(0) {
        0 => 9144,
        port => u16::try_from(port).map_err(|_| format!("server.port: '{port}' is not a port"))?,
    };
    let path = text(document.path.as_ref()).unwrap_or("/metrics").to_owned();
    if !path.starts_with('/') {
        return Err("server.path: must begin with '/'".into());
    }
    let tls = match text(document.protocol.as_ref()).unwrap_or("http") {
        "http" => {
            for (key, field) in [
                ("cert", &document.cert),
                ("key", &document.key),
                ("client_ca", &document.client_ca),
                ("client_auth", &document.client_auth),
            ] {
                if text(field.as_ref()).is_some() {
                    return Err(format!("server.{key}: can only be used with protocol https"));
                }
            }
            None
        }
        "https" => Some(tls(document)?),
        other => return Err(format!("server.protocol: '{other}' is neither http nor https")),
    };
    Ok(Server { host: document.host.clone().unwrap_or_default(), port, path, tls })
}

fn tls(document: &Document) -> Result<Tls, String> {
    let (cert, key) = match (text(document.cert.as_ref()), text(document.key.as_ref())) {
        (Some(cert), Some(key)) => (cert, key),
        (Some(_), None) => return Err("server.cert: must not be given without server.key".into()),
        (None, Some(_)) => return Err("server.key: must not be given without server.cert".into()),
        // Differs from grok_exporter: it has a certificate built in, which expired long ago.
        (None, None) => return Err("server.cert: protocol https needs server.cert and server.key".into()),
    };
    let client_ca = text(document.client_ca.as_ref());
    let client_auth = match (text(document.client_auth.as_ref()), client_ca) {
        (Some(_), None) => return Err("server.client_auth: needs server.client_ca".into()),
        (None, None) => "NoClientCert",
        (None, Some(_)) => "RequireAndVerifyClientCert",
        (Some(word), Some(_)) => CLIENT_AUTH
            .into_iter()
            .find(|known| *known == word)
            .ok_or_else(|| format!("server.client_auth: '{word}' is none of {}", CLIENT_AUTH.join(", ")))?,
    };
    Ok(Tls { cert: cert.into(), key: key.into(), client_ca: client_ca.map(Into::into), client_auth })
}

const CLIENT_AUTH: [&str; 5] = [
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
];
