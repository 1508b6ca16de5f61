//! Whom we believe upstream: the host's trust store.

use crate::identity::Identity;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use standin_model::CredentialName;
use std::collections::HashMap;
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
    identities: Arc<HashMap<CredentialName, Identity>>,
    made: OnceCell<Result<Made, TrustError>>,
}

struct Made {
    plain: Configs,
    /// With a client certificate each, and sessions of their own to resume.
    identified: HashMap<CredentialName, Configs>,
}

struct Configs {
    any: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
}

impl ClientConfigs {
    pub(crate) fn new(trust: Trust) -> Self {
        Self { trust: Arc::new(trust), identities: Arc::default(), made: OnceCell::new() }
    }

    /// Adds client certificates, before anything is made.
    pub(crate) fn with_identities(self, identities: HashMap<CredentialName, Identity>) -> Self {
        Self { identities: Arc::new(identities), ..self }
    }

    /// Whether this credential has a client certificate.
    pub(crate) fn identifies(&self, credential: &CredentialName) -> bool {
        self.identities.contains_key(credential)
    }

    /// The settings; with `http1` HTTP/2 is not offered, with `who` a client certificate is.
    pub(crate) async fn get(&self, http1: bool, who: Option<&CredentialName>) -> Result<Arc<ClientConfig>, TrustError> {
        let made = self.made().await.as_ref().map_err(Clone::clone)?;
        let configs = who.and_then(|who| made.identified.get(who)).unwrap_or(&made.plain);
        Ok(Arc::clone(if http1 { &configs.http1 } else { &configs.any }))
    }

    /// Makes the settings ahead of need. What is wrong, if anything, is said by the exchange that needs them.
    pub(crate) async fn prepare(&self) {
        self.made().await;
    }

    async fn made(&self) -> &Result<Made, TrustError> {
        let make = || async {
            let (trust, identities) = (Arc::clone(&self.trust), Arc::clone(&self.identities));
            // Reads hundreds of files, so not on a thread that serves connections.
            tokio::task::spawn_blocking(move || make(&trust, &identities)).await.unwrap_or(Err(TrustError::Panicked))
        };
        self.made.get_or_init(make).await
    }
}

fn host(more: &[CertificateDer<'static>]) -> (Vec<CertificateDer<'static>>, String) {
    let loaded = rustls_native_certs::load_native_certs();
    let problems = loaded.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    ([loaded.certs.as_slice(), more].concat(), problems)
}

fn make(trust: &Trust, identities: &HashMap<CredentialName, Identity>) -> Result<Made, TrustError> {
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
    let identified = identities.iter().map(|(name, identity)| {
        let mut any = any.clone();
        any.client_auth_cert_resolver = Arc::<SingleCertAndKey>::clone(&identity.0);
        any.resumption = Resumption::default(); // a session that knows who we are is not resumed for anybody else
        (name.clone(), Configs::new(any))
    });
    Ok(Made { identified: identified.collect(), plain: Configs::new(any) })
}

impl Configs {
    fn new(any: ClientConfig) -> Self {
        let mut http1 = any.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { any: Arc::new(any), http1: Arc::new(http1) }
    }
}
