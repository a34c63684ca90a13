//! TLS towards a target: which certificates are believed, and which one is shown.

use super::{ClientError, Tls};
use crate::web::der::Leaf;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::Arc;

/// The configuration for one target.
pub(super) fn config(options: &Tls) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| ClientError::Options(format!("TLS versions: {e}")))?;
    let pinned = options.ca.as_deref().map(certificates).transpose()?.unwrap_or_default();
    let trust = if options.verify {
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(&pinned)?), Arc::clone(&provider))
            .build()
            .map_err(|e| ClientError::Options(format!("authorities: {e}")))?;
        Trust::Chain { pinned, chain }
    } else {
        Trust::Any
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Verifier { trust, provider }));
    match &options.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(|e| unreadable(key, &e))?;
            builder
                .with_client_auth_cert(chain, key_der)
                .map_err(|e| ClientError::Options(format!("{} and {}: {e}", certificate.display(), key.display())))
        }
    }
}

/// The pinned authorities, else the system's, else those of Mozilla's list as it was built in: an image from
/// scratch has no system ones.
fn roots(pinned: &[CertificateDer<'static>]) -> Result<RootCertStore, ClientError> {
    let mut store = RootCertStore::empty();
    if !pinned.is_empty() {
        for certificate in pinned {
            store.add(certificate.clone()).map_err(|e| ClientError::Options(format!("authorities: {e}")))?;
        }
        return Ok(store);
    }
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let all = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| unreadable(path, &e))?;
    if all.is_empty() {
        return Err(ClientError::Options(format!("{}: no certificate in it", path.display())));
    }
    Ok(all)
}

fn unreadable(path: &Path, error: &rustls_pki_types::pem::Error) -> ClientError {
    ClientError::Options(format!("{}: {error}", path.display()))
}

/// Which certificates are believed.
#[derive(Debug)]
enum Trust {
    /// Those of the authorities. A self-signed certificate that is itself pinned is believed too, as Go does, which webpki
    /// refuses as a leaf (CaUsedAsEndEntity).
    Chain { pinned: Vec<CertificateDer<'static>>, chain: Arc<WebPkiServerVerifier> },
    /// Any, as the original does by default.
    Any,
}

impl Trust {
    fn believe(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Self::Chain { pinned, chain } = self else { return Ok(ServerCertVerified::assertion()) };
        if !pinned.contains(leaf) {
            return chain.verify_server_cert(leaf, intermediates, name, ocsp, now);
        }
        let itself = Leaf::read(leaf).ok_or(CertificateError::BadEncoding)?;
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if seconds < itself.not_before {
            return Err(CertificateError::NotValidYet.into());
        }
        if seconds > itself.not_after {
            return Err(CertificateError::Expired.into());
        }
        verify_server_name(&ParsedCertificate::try_from(leaf)?, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

/// Believes whom `trust` says; whoever it is proves that it holds the certificate's key.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.trust.believe(leaf, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
