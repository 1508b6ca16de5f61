//! Whom we believe upstream: the host's trust store.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::sync::{Arc, OnceLock};

/// The roots against which origins are verified.
pub enum Trust {
    /// The host's, as its other clients see it (`SSL_CERT_FILE` included). Read once, when first needed.
    Host,
    /// These alone.
    Roots(Vec<CertificateDer<'static>>),
}

/// Why origins cannot be verified.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TrustError {
    /// No root certificate was found.
    #[error("the host's trust store has no usable certificate: {0}")]
    NoRoots(String),
    /// The TLS library did not take the settings.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
}

/// TLS settings per protocol need; made on first use, since reading 150 roots takes milliseconds.
pub(crate) struct ClientConfigs {
    trust: Trust,
    made: OnceLock<Result<Configs, TrustError>>,
}

#[derive(Clone)]
struct Configs {
    any: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
}

impl ClientConfigs {
    pub(crate) fn new(trust: Trust) -> Self {
        Self { trust, made: OnceLock::new() }
    }

    /// The settings; with `http1` HTTP/2 is not offered. Blocks on first use.
    pub(crate) fn get(&self, http1: bool) -> Result<Arc<ClientConfig>, TrustError> {
        let configs = self.made.get_or_init(|| self.make()).as_ref().map_err(Clone::clone)?;
        Ok(Arc::clone(if http1 { &configs.http1 } else { &configs.any }))
    }

    fn make(&self) -> Result<Configs, TrustError> {
        let (roots, problems) = match &self.trust {
            Trust::Host => {
                let loaded = rustls_native_certs::load_native_certs();
                (loaded.certs, loaded.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
            }
            Trust::Roots(roots) => (roots.clone(), String::new()),
        };
        let mut store = RootCertStore::empty();
        let (added, _) = store.add_parsable_certificates(roots);
        if added == 0 {
            return Err(TrustError::NoRoots(problems));
        }
        let mut any = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Tls)?
            .with_root_certificates(store)
            .with_no_client_auth();
        any.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut http1 = any.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Configs { any: Arc::new(any), http1: Arc::new(http1) })
    }
}
