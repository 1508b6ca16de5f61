//! Client certificates of the configuration.

use super::inputs::Inputs;
use super::sources;
use crate::exit::Failure;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use standin_config::ClientCertificate;
use standin_model::CredentialName;
use standin_net::Identity;

/// Reads a certificate and fetches its key.
pub(super) fn read(inputs: &Inputs, name: &CredentialName, from: &ClientCertificate) -> Result<Identity, Failure> {
    let what = || format!("the client certificate of `{name}`");
    let chain = CertificateDer::pem_file_iter(&from.cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| Failure::because(format!("{} in {}", what(), from.cert.display()), &error))?;
    if chain.is_empty() {
        return Err(Failure::new(format!("{}: {} holds none", what(), from.cert.display())));
    }
    let key = sources::fetch(inputs, &from.key)
        .map_err(|error| Failure::because(format!("the key of {} is not available", what()), &error))?;
    // What the library says of a key that it cannot read is not passed on: it might quote it.
    let key = PrivateKeyDer::from_pem_slice(key.expose())
        .map_err(|_| Failure::new(format!("the key of {} is not a private key in PEM", what())))?;
    Identity::new(chain, key).map_err(|error| Failure::because(what(), &error))
}
