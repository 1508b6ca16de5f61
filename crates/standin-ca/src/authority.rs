//! Minting: one CA a session, one leaf a host, one TLS configuration a host and protocol list.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use standin_model::Host;
use standin_model::limits::LEAF_CACHE;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// The subject of every session CA. Fixed, because the name of its file in a certificate directory is a hash of it.
pub(crate) const SUBJECT: &str = "Standin session CA";
/// Clocks inside and outside are one, but servers' clocks taught clients to expect some slack.
const BACKDATED: Duration = Duration::from_secs(60 * 60);
/// Longer than a session lives, far shorter than the 398 days that clients accept.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// Making a key or certificate failed.
    #[error("cannot make a certificate")]
    Mint(#[from] rcgen::Error),
    /// The TLS library did not take it.
    #[error("cannot use the certificate")]
    Tls(#[from] rustls::Error),
}

/// ALPN identifiers (RFC 7301), best first.
pub type Protocols = &'static [&'static [u8]];

/// The certificate authority of one session.
pub struct SessionCa {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    /// All leaves share a key: they live in one process and die together.
    leaf_key: KeyPair,
    signing_key: Arc<dyn rustls::sign::SigningKey>,
    configs: Mutex<HashMap<(Host, Protocols), Made>>,
    validity: (time::OffsetDateTime, time::OffsetDateTime),
}

/// What was made for a host.
struct Made {
    config: Arc<ServerConfig>,
    leaf: CertificateDer<'static>,
}

impl SessionCa {
    /// Makes a CA that is valid from an hour before `now` for a week.
    pub fn generate(now: SystemTime) -> Result<Self, CaError> {
        let validity = ((now - BACKDATED).into(), (now + LIFETIME).into());
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = validity;
        params.distinguished_name = subject();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let leaf_key = KeyPair::generate()?;
        let private = PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into());
        let signing_key = aws_lc_rs::sign::any_ecdsa_type(&private)?;
        Ok(Self {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            leaf_key,
            signing_key,
            configs: Mutex::default(),
            validity,
        })
    }

    /// The CA's certificate in PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The CA's certificate in DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The server side of TLS for this host: its leaf, these protocols, resumption. Minted once, under the lock,
    /// so that a hundred connections to a new host mint one leaf (about 0.1 ms).
    pub fn server_config(&self, host: &Host, alpn: Protocols) -> Result<Arc<ServerConfig>, CaError> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = configs.get(&(host.clone(), alpn)) {
            return Ok(Arc::clone(&made.config));
        }
        let leaf = self.leaf(host)?;
        let certified = CertifiedKey::new(vec![leaf.clone()], Arc::clone(&self.signing_key));
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let config = Arc::new(config);
        if configs.len() >= LEAF_CACHE {
            configs.clear(); // minting again is cheap; an eviction order is not worth its bookkeeping
        }
        configs.insert((host.clone(), alpn), Made { config: Arc::clone(&config), leaf });
        Ok(config)
    }

    /// The leaf of such a configuration, if it is still there.
    pub fn leaf_of(&self, host: &Host, alpn: Protocols) -> Option<CertificateDer<'static>> {
        let configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        configs.get(&(host.clone(), alpn)).map(|made| made.leaf.clone())
    }

    fn leaf(&self, host: &Host) -> Result<CertificateDer<'static>, CaError> {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = self.validity;
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![match host {
            Host::Name(name) => SanType::DnsName(name.as_str().try_into()?),
            Host::Ip(address) => SanType::IpAddress(*address),
        }];
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Ok(params.signed_by(&self.leaf_key, &self.issuer)?.der().clone())
    }
}

fn subject() -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, SUBJECT);
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::{ServerName, UnixTime};

    #[test]
    fn a_leaf_is_good_for_its_host_and_no_other() {
        let ca = SessionCa::generate(SystemTime::now()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.certificate.clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        for (host, name, good) in [
            ("api.example.com", "api.example.com", true),
            ("api.example.com", "example.com", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("[2001:db8::1]", "2001:db8::1", true),
        ] {
            let leaf = ca.leaf(&Host::parse(host).unwrap()).unwrap();
            let name = ServerName::try_from(name).unwrap();
            assert_eq!(verifier.verify_server_cert(&leaf, &[], &name, &[], UnixTime::now()).is_ok(), good, "{host}");
        }
    }

    #[test]
    fn a_host_has_one_configuration() {
        let ca = SessionCa::generate(SystemTime::now()).unwrap();
        let host = Host::parse("a.example").unwrap();
        let first = ca.server_config(&host, &[b"h2"]).unwrap();
        assert!(Arc::ptr_eq(&first, &ca.server_config(&host, &[b"h2"]).unwrap()));
        assert!(!Arc::ptr_eq(&first, &ca.server_config(&host, &[b"http/1.1"]).unwrap()));
    }
}
