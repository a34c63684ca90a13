//! Which client certificates are taken: Go's five policies and the toolkit's list of names, as one rustls verifier.

use super::WebError;
use super::der::Leaf;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;

/// `client_auth_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Not asked for.
    None,
    /// Asked for; none and any will do.
    Request,
    /// Any will do.
    RequireAny,
    /// None will do; one that is given must come from the pool.
    VerifyIfGiven,
    /// One from the pool.
    RequireAndVerify,
}

impl Policy {
    pub(super) fn parse(name: &str) -> Result<Self, WebError> {
        Ok(match name {
            "" | "NoClientCert" => Self::None,
            "RequestClientCert" => Self::Request,
            "RequireAnyClientCert" | "RequireClientCert" => Self::RequireAny,
            "VerifyClientCertIfGiven" => Self::VerifyIfGiven,
            "RequireAndVerifyClientCert" => Self::RequireAndVerify,
            _ => {
                return Err(WebError::new(format!("tls_server_config.client_auth_type: invalid ClientAuth: {name}")));
            }
        })
    }

    pub(super) fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }

    fn requires(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }
}

/// Takes or refuses client certificates.
#[derive(Debug)]
pub(super) struct ClientCerts {
    policy: Policy,
    /// The CA certificates as given: a leaf may be one of them.
    pool: Vec<CertificateDer<'static>>,
    /// Checks a chain up to the pool; `None` when the pool is empty, which lets nobody in.
    chain: Option<Arc<dyn ClientCertVerifier>>,
    names: Option<Vec<String>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCerts {
    pub(super) fn new(
        policy: Policy,
        pool: Vec<CertificateDer<'static>>,
        names: Option<Vec<String>>,
        provider: &Arc<CryptoProvider>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(pool.iter().cloned());
        // The builder fails for an empty pool alone, and without one every chain is refused.
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok();
        Self { policy, pool, chain, names, algorithms: provider.signature_verification_algorithms }
    }

    fn verify_chain(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.pool.contains(leaf) {
            // webpki refuses a trust anchor as leaf (CaUsedAsEndEntity); Go checks its dates and usage alone.
            return check_itself(leaf, now);
        }
        match &self.chain {
            Some(chain) => chain.verify_client_cert(leaf, intermediates, now).map(drop),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }
}

fn check_itself(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let leaf = Leaf::read(certificate).ok_or(CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < leaf.not_before {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > leaf.not_after {
        return Err(CertificateError::Expired.into());
    }
    if !leaf.for_clients {
        return Err(CertificateError::InvalidPurpose.into());
    }
    Ok(())
}

impl ClientCertVerifier for ClientCerts {
    fn offer_client_auth(&self) -> bool {
        self.policy != Policy::None
    }

    /// A list of names asks for a name, so for a certificate, whatever the policy.
    fn client_auth_mandatory(&self) -> bool {
        self.policy.requires() || self.names.is_some()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.as_ref().map_or(&[], |chain| chain.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.policy.verifies() {
            self.verify_chain(leaf, intermediates, now)?;
        }
        if let Some(allowed) = &self.names {
            let leaf = Leaf::read(leaf).ok_or(CertificateError::BadEncoding)?;
            if !leaf.names.iter().any(|name| allowed.contains(name)) {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    // Every policy asks for the proof that the client holds its key.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
