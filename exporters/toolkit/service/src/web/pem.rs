//! Certificates and keys in PEM.

use super::WebError;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// All certificates of a text, in order; other blocks are passed over, as Go does.
pub(super) fn certificates(text: &[u8], field: &str) -> Result<Vec<CertificateDer<'static>>, WebError> {
    CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|e| WebError::new(format!("{field}: not valid PEM: {e}")))
}

/// The first private key of a text.
pub(super) fn private_key(text: &[u8], field: &str) -> Result<PrivateKeyDer<'static>, WebError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|e| match e {
        rustls_pki_types::pem::Error::NoItemsFound => {
            WebError::new(format!("{field}: no unencrypted private key in PEM form found"))
        }
        // The error of a key must not carry any of its text.
        _ => WebError::new(format!("{field}: not valid PEM")),
    })
}
