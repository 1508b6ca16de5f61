//! Client certificates (RFC 8446 §4.4.2): who we are to an origin, for the requests that a grant lends one to.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::sync::Arc;

/// A certificate with its chain, and its key.
pub struct Identity(pub(crate) Arc<SingleCertAndKey>);

/// Why a certificate and a key are no identity.
#[derive(Debug, thiserror::Error)]
#[error("the certificate and its key do not go together")]
pub struct IdentityError(#[source] rustls::Error);

impl Identity {
    /// Puts the two together, and sees whether they belong together.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, IdentityError> {
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(IdentityError)?;
        Ok(Self(Arc::new(SingleCertAndKey::from(certified))))
    }
}
