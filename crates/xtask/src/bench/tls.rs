//! TLS settings that the bench's processes share.

use crate::Failure;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// A client that believes `SSL_CERT_FILE`, as every arm's load is given one.
pub(super) fn client(alpn: &[&[u8]], resumes: bool) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    if !resumes {
        config.resumption = rustls::client::Resumption::disabled();
    }
    Ok(Arc::new(config))
}

/// The origin's name.
pub(super) fn name() -> ServerName<'static> {
    ServerName::try_from(super::HOST).expect("the bench's host is a DNS name")
}
