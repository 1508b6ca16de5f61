//! Whom we believe upstream: the host's trust store.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The roots against which origins are verified.
pub enum Trust {
    /// The host's, as its other clients see it (`SSL_CERT_FILE` included). Read once, when first needed.
    Host,
    /// The host's and these.
    HostAnd(Vec<CertificateDer<'static>>),
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
    /// A bug of ours.
    #[error("reading the host's trust store ended unexpectedly")]
    Panicked,
}

/// TLS settings per protocol need; made on first use, since reading 150 roots takes milliseconds.
pub(crate) struct ClientConfigs {
    trust: Arc<Trust>,
    made: OnceCell<Result<Configs, TrustError>>,
}

#[derive(Clone)]
struct Configs {
    any: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
}

impl ClientConfigs {
    pub(crate) fn new(trust: Trust) -> Self {
        Self { trust: Arc::new(trust), made: OnceCell::new() }
    }

    /// The settings; with `http1` HTTP/2 is not offered.
    pub(crate) async fn get(&self, http1: bool) -> Result<Arc<ClientConfig>, TrustError> {
        let configs = self.made().await.as_ref().map_err(Clone::clone)?;
        Ok(Arc::clone(if http1 { &configs.http1 } else { &configs.any }))
    }

    /// Makes the settings ahead of need. What is wrong, if anything, is said by the exchange that needs them.
    pub(crate) async fn prepare(&self) {
        self.made().await;
    }

    async fn made(&self) -> &Result<Configs, TrustError> {
        let make = || async {
            let trust = Arc::clone(&self.trust);
            // Reads hundreds of files, so not on a thread that serves connections.
            tokio::task::spawn_blocking(move || make(&trust)).await.unwrap_or(Err(TrustError::Panicked))
        };
        self.made.get_or_init(make).await
    }
}

fn host(more: &[CertificateDer<'static>]) -> (Vec<CertificateDer<'static>>, String) {
    let loaded = rustls_native_certs::load_native_certs();
    let problems = loaded.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    ([loaded.certs.as_slice(), more].concat(), problems)
}

fn make(trust: &Trust) -> Result<Configs, TrustError> {
    let (roots, problems) = match trust {
        Trust::Host => host(&[]),
        Trust::HostAnd(more) => host(more),
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
