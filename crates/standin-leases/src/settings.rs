//! Where the server is and who asks it: by the variables and the file that `vault` and `bao` go by.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use standin_secret::Secret;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use url::{Host, Url};

/// The longest token that is read, in bytes. Batch tokens have some hundred.
const MAX_TOKEN: usize = 8 * 1024;
/// Where the server is if nobody says: the command line's own choice.
const ADDRESS: &str = "https://127.0.0.1:8200";

/// Where the server is and who asks.
pub struct Settings {
    pub(crate) address: Url,
    pub(crate) token: Secret,
    pub(crate) namespace: Option<String>,
    /// Whom to believe instead of the host's own authorities.
    pub(crate) roots: Option<Vec<CertificateDer<'static>>>,
    /// What the server's certificate is for, if not for its address.
    pub(crate) server_name: Option<String>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The address is none.
    #[error("{0} is no address of a server: write `https://HOST:PORT`")]
    Address(&'static str),
    /// What is said there could be read on the way.
    #[error(
        "{0} begins with `http:`, and the token would be readable on the way; that is for a server on this machine only"
    )]
    Clear(&'static str),
    /// Verification would be off.
    #[error(
        "{0} is set, and Standin shows a token to no server that it has not verified; name its authority with VAULT_CACERT"
    )]
    Unverified(&'static str),
    /// There is no token.
    #[error("there is no token: neither VAULT_TOKEN is set nor {path} there; run `vault login`")]
    NoToken {
        /// Where one would be.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds no certificate.
    #[error("{path} holds no certificate")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Something that its command line knows, and Standin does not.
    #[error("{0} is set, which Standin does not know how to go by")]
    NotKnown(&'static str),
}

/// Variables that would change who is asked or how, and that are not gone by.
const NOT_KNOWN: &[[&str; 2]] = &[
    ["BAO_CLIENT_CERT", "VAULT_CLIENT_CERT"],
    ["BAO_CACERT_BYTES", "VAULT_CACERT_BYTES"],
    ["BAO_CAPATH", "VAULT_CAPATH"],
    ["BAO_PROXY_ADDR", "VAULT_PROXY_ADDR"],
    ["BAO_HTTP_PROXY", "VAULT_HTTP_PROXY"],
    ["BAO_AGENT_ADDR", "VAULT_AGENT_ADDR"],
];

impl Settings {
    /// By the values of variables, and the token that is kept in the home. OpenBao's own variables go first, as with `bao`.
    pub fn read(variable: impl Fn(&str) -> Option<String>, home: &Path) -> Result<Self, SettingsError> {
        let find = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| Some((name, variable(name).filter(|value| !value.is_empty())?)))
        };
        if let Some((name, _)) = NOT_KNOWN.iter().find_map(|names| find(*names)) {
            return Err(SettingsError::NotKnown(name));
        }
        if let Some((name, value)) = find(["BAO_SKIP_VERIFY", "VAULT_SKIP_VERIFY"])
            && !matches!(value.as_str(), "0" | "f" | "F" | "false" | "False" | "FALSE")
        {
            return Err(SettingsError::Unverified(name));
        }
        let (name, address) = find(["BAO_ADDR", "VAULT_ADDR"]).unwrap_or(("VAULT_ADDR", ADDRESS.to_owned()));
        let token = match find(["BAO_TOKEN", "VAULT_TOKEN"]) {
            Some((_, token)) => Secret::copy_of(token.trim().as_bytes()),
            None => kept_token(home.join(".vault-token"))?,
        };
        let roots = find(["BAO_CACERT", "VAULT_CACERT"]).map(|(_, path)| certificates(path.into())).transpose()?;
        Ok(Self {
            address: parsed(name, &address)?,
            token,
            namespace: find(["BAO_NAMESPACE", "VAULT_NAMESPACE"]).map(|(_, value)| value.trim_matches('/').to_owned()),
            roots,
            server_name: find(["BAO_TLS_SERVER_NAME", "VAULT_TLS_SERVER_NAME"]).map(|(_, value)| value),
        })
    }

    /// The file that names whom to believe, if a variable does.
    pub fn roots_file(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
        ["BAO_CACERT", "VAULT_CACERT"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()))
            .map(PathBuf::from)
    }
}

fn parsed(name: &'static str, text: &str) -> Result<Url, SettingsError> {
    let address = Url::parse(text).map_err(|_| SettingsError::Address(name))?;
    let here = match address.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => return Err(SettingsError::Address(name)),
    };
    let plain = address.username().is_empty() && address.password().is_none() && address.query().is_none();
    match address.scheme() {
        "https" if plain => Ok(address),
        "http" if plain && here => Ok(address),
        "http" if plain => Err(SettingsError::Clear(name)),
        _ => Err(SettingsError::Address(name)),
    }
}

fn kept_token(path: PathBuf) -> Result<Secret, SettingsError> {
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SettingsError::NoToken { path }),
        Err(source) => return Err(SettingsError::File { path, source }),
    };
    let mut text = zeroize::Zeroizing::new(Vec::with_capacity(MAX_TOKEN + 1));
    let read = io::Read::read_to_end(&mut io::Read::take(file, MAX_TOKEN as u64), &mut text);
    read.map_err(|source| SettingsError::File { path: path.clone(), source })?;
    match text.trim_ascii() {
        [] => Err(SettingsError::NoToken { path }),
        token => Ok(Secret::copy_of(token)),
    }
}

fn certificates(path: PathBuf) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let text = fs::read(&path).map_err(|source| SettingsError::File { path: path.clone(), source })?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(SettingsError::NoCertificate { path })
}
