//! `tls_server_config` as a rustls configuration. What rustls cannot do is refused, never dropped.

use super::WebError;
use super::client_certs::{ClientCerts, Policy};
use super::file::{Secret, Tls};
use super::pem;
use crate::yaml::reason;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::server::NoServerSessionStorage;
use rustls::{CipherSuite, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};
use rustls_pki_types::CertificateDer;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files that a section names, by their full paths.
pub(super) fn files(tls: &Tls, dir: &Path) -> Vec<PathBuf> {
    let named = [&tls.cert_file, &tls.key_file, &tls.client_ca_file];
    named.into_iter().flatten().filter(|f| !f.is_empty()).map(|f| dir.join(f)).collect()
}

/// What a server needs for its connections from now on. Each call makes a new store of sessions, so none outlives the
/// settings that it was made under.
pub(super) fn server(tls: &Tls, dir: &Path, http2: bool) -> Result<ServerConfig, WebError> {
    let chain = source("cert", tls.cert_file.as_ref(), tls.cert.as_ref(), dir)?;
    let secret = tls.key.as_ref().map(|Secret(text)| text);
    let key = source("key", tls.key_file.as_ref(), secret, dir)?;
    let certificates = pem::certificates(&chain.bytes, &chain.field)?;
    if certificates.is_empty() {
        return Err(WebError::new(format!("{}: no certificate in PEM form found", chain.field)));
    }
    let private = pem::private_key(&key.bytes, &key.field)?;
    let pool = client_pool(tls, dir)?;
    let policy = policy(tls, pool.is_some())?;
    let provider = Arc::new(provider(tls)?);
    let versions = versions(tls, &provider)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|e| WebError::new(format!("tls_server_config: {e}")))?;
    let asks = policy != Policy::None;
    let builder = if asks {
        let names = tls.client_allowed_sans.clone();
        let pool = pool.unwrap_or_else(|| if policy.verifies() { system_roots() } else { Vec::new() });
        builder.with_client_cert_verifier(Arc::new(ClientCerts::new(policy, pool, names, &provider)))
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder
        .with_single_cert(certificates, private)
        .map_err(|e| WebError::new(format!("{} and {}: {e}", chain.field, key.field)))?;
    if asks {
        // A resumed session would not show its certificate again, and that may have expired since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(config)
}

/// Whether HTTP/2 has the suite that its standard asks for: Go refuses to start without.
pub(super) fn check_http2(tls: &Tls) -> Result<(), WebError> {
    let suites = tls.cipher_suites.as_deref().unwrap_or_default();
    let only_13 = tls.min_version.as_deref() == Some("TLS13");
    let needed = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"];
    if suites.is_empty() || only_13 || suites.iter().any(|s| needed.contains(&s.as_str())) {
        return Ok(());
    }
    Err(WebError::new(format!(
        "tls_server_config.cipher_suites: HTTP/2 requires an AES_128_GCM_SHA256 cipher (need at least one of {} or {}), \
         or set http_server_config.http2 to false",
        needed[0], needed[1]
    )))
}

/// A text from the file itself or from another one, and the field to blame for it.
struct Source {
    field: String,
    bytes: Vec<u8>,
}

/// A path wins over the inline text.
fn source(name: &str, file: Option<&String>, inline: Option<&String>, dir: &Path) -> Result<Source, WebError> {
    if let Some(file) = file.filter(|f| !f.is_empty()) {
        let field = format!("tls_server_config.{name}_file ({file})");
        return match fs::read(dir.join(file)) {
            Ok(bytes) => Ok(Source { field, bytes }),
            Err(e) => Err(WebError::new(format!("failed to read {field}: {}", reason(&e)))),
        };
    }
    match inline.filter(|text| !text.is_empty()) {
        Some(text) => Ok(Source { field: format!("tls_server_config.{name}"), bytes: text.clone().into_bytes() }),
        None => Err(WebError::new(format!("tls_server_config: missing one of {name} or {name}_file"))),
    }
}

/// The certificates that client certificates are checked against, where any are named.
fn client_pool(tls: &Tls, dir: &Path) -> Result<Option<Vec<CertificateDer<'static>>>, WebError> {
    let given = [&tls.client_ca, &tls.client_ca_file].into_iter().flatten().any(|text| !text.is_empty());
    if !given {
        return Ok(None);
    }
    let source = source("client_ca", tls.client_ca_file.as_ref(), tls.client_ca.as_ref(), dir)?;
    let pool = pem::certificates(&source.bytes, &source.field)?;
    if pool.is_empty() {
        tracing::warn!(field = source.field, "No certificate in PEM form found");
    }
    Ok(Some(pool))
}

fn policy(tls: &Tls, has_pool: bool) -> Result<Policy, WebError> {
    let policy = Policy::parse(tls.client_auth_type.as_deref().unwrap_or_default())?;
    if has_pool && policy == Policy::None {
        return Err(WebError::new(
            "tls_server_config.client_auth_type: client CA's have been configured without a Client Auth Policy",
        ));
    }
    Ok(policy)
}

/// The roots of the system, as Go takes them where no CA is named; none at all in an image without any.
fn system_roots() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        tracing::warn!(
            field = "tls_server_config.client_ca_file",
            "Not given and the system has no roots, so no client certificate will be accepted"
        );
    }
    found.certs
}

/// ring with the suites and curves that the section allows.
fn provider(tls: &Tls) -> Result<CryptoProvider, WebError> {
    let mut provider = ring::default_provider();
    let suites = tls.cipher_suites.as_deref().unwrap_or_default();
    if !suites.is_empty() {
        let chosen = suites.iter().map(|name| suite(name)).collect::<Result<Vec<_>, _>>()?;
        // TLS 1.3 suites cannot be chosen: naming them changes nothing.
        provider.cipher_suites.retain(|s| is_13(s) || chosen.contains(&s.suite()));
    }
    let curves = tls.curve_preferences.as_deref().unwrap_or_default();
    if !curves.is_empty() {
        provider.kx_groups = curves.iter().map(|name| curve(name)).collect::<Result<_, _>>()?;
    }
    Ok(provider)
}

fn is_13(suite: &SupportedCipherSuite) -> bool {
    suite.version() == &version::TLS13
}

fn suite(name: &str) -> Result<CipherSuite, WebError> {
    use CipherSuite as S;
    Ok(match name {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => S::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => S::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" => S::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => S::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => S::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" => S::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        "TLS_AES_128_GCM_SHA256" => S::TLS13_AES_128_GCM_SHA256,
        "TLS_AES_256_GCM_SHA384" => S::TLS13_AES_256_GCM_SHA384,
        "TLS_CHACHA20_POLY1305_SHA256" => S::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"
        | "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"
        | "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"
        | "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA" => {
            return Err(WebError::new(format!(
                "tls_server_config.cipher_suites: {name} is not supported (no CBC suites), remove it"
            )));
        }
        _ => return Err(WebError::new(format!("tls_server_config.cipher_suites: unknown cipher: {name}"))),
    })
}

fn curve(name: &str) -> Result<&'static dyn SupportedKxGroup, WebError> {
    Ok(match name {
        "X25519" => ring::kx_group::X25519,
        "CurveP256" => ring::kx_group::SECP256R1,
        "CurveP384" => ring::kx_group::SECP384R1,
        "CurveP521" => {
            return Err(WebError::new("tls_server_config.curve_preferences: CurveP521 is not supported, remove it"));
        }
        _ => return Err(WebError::new(format!("tls_server_config.curve_preferences: unknown curve: {name}"))),
    })
}

fn versions(tls: &Tls, provider: &CryptoProvider) -> Result<Vec<&'static SupportedProtocolVersion>, WebError> {
    let highest = protocol("max_version", tls.max_version.as_deref(), 13)?;
    let lowest = protocol("min_version", tls.min_version.as_deref(), 12)?;
    let has_12 = provider.cipher_suites.iter().any(|s| !is_13(s));
    let mut versions = Vec::new();
    if highest == 13 {
        versions.push(&version::TLS13);
    }
    if lowest == 12 && has_12 {
        versions.push(&version::TLS12);
    }
    if lowest > highest {
        return Err(WebError::new("tls_server_config: min_version TLS13 is above max_version TLS12"));
    }
    if versions.is_empty() {
        return Err(WebError::new("tls_server_config.cipher_suites: none of them is for max_version TLS12"));
    }
    Ok(versions)
}

/// 12 or 13.
fn protocol(field: &str, name: Option<&str>, default: u8) -> Result<u8, WebError> {
    Ok(match name {
        None | Some("") => default,
        Some("TLS12") => 12,
        Some("TLS13") => 13,
        Some(old @ ("TLS10" | "TLS11")) => {
            return Err(WebError::new(format!(
                "tls_server_config.{field}: {old} is not supported, use TLS12 or TLS13"
            )));
        }
        Some(other) => return Err(WebError::new(format!("tls_server_config.{field}: unknown TLS version: {other}"))),
    })
}
