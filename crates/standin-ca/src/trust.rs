//! The files and variables by which the runtimes in a sandbox trust the session's CA.
//!
//! Each runtime looks in another place: OpenSSL in a bundle or a directory of hashed names, GnuTLS in the
//! bundle, Java in its keystore, Node and Python's requests in what a variable names. The host's own roots stay
//! in, so passthrough would verify too; the host itself is never changed.

use crate::authority::SUBJECT;
use crate::{SessionCa, jks};
use aws_lc_rs::digest;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the bundle lies in the sandbox, on every distribution (a link on those that keep it elsewhere).
pub const DIRECTORY: &str = "/etc/ssl/certs";
/// The bundle's name in it.
const BUNDLE: &str = "ca-certificates.crt";
/// Where only our certificate lies: a bundle of 150 costs Node start-up time.
pub const OWN_CERTIFICATE: &str = "/run/standin/ca.pem";

/// Variables for the runtimes that do not look at the system's store, and why each is there.
/// Measured one by one; see the table in docs/clients.md.
const BUNDLE_VARIABLES: &[&str] = &[
    "SSL_CERT_FILE",      // Python's ssl with httpx, uv, Go, bun, everything on rustls-native-certs
    "REQUESTS_CA_BUNDLE", // Python's requests, pip before 24.2, boto3 and aws, twine
    "CURL_CA_BUNDLE",     // programs that bring a libcurl of their own
    "GIT_SSL_CAINFO",     // a git that is not the distribution's
    "PIP_CERT",           // a pip.conf that names another bundle
    "AWS_CA_BUNDLE",      // an aws CLI v2, which brings its own Python
    "CARGO_HTTP_CAINFO",  // a cargo config that names another bundle
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", // gRPC's C core
    "npm_config_cafile",  // an npmrc that names another bundle hides NODE_EXTRA_CA_CERTS
];
const OWN_VARIABLES: &[&str] = &[
    "NODE_EXTRA_CA_CERTS", // Node, npm, Deno, Gemini CLI
    "DENO_CERT",           // Deno
];

/// What the host has, read by the caller.
pub struct HostTrust {
    /// The host's bundle of roots in PEM.
    pub bundle: Vec<u8>,
    /// The host's Java keystore, if there is one.
    pub java: Option<Vec<u8>>,
}

/// What the sandbox is to see.
pub struct TrustFiles {
    /// Files to lay over [`DIRECTORY`], by their path in it.
    pub overlay: Vec<(PathBuf, Vec<u8>)>,
    /// Our certificate alone, for [`OWN_CERTIFICATE`].
    pub own_certificate: Vec<u8>,
    /// Variables to set.
    pub variables: Vec<(String, String)>,
}

/// The files and variables for this CA on this host.
pub fn files(ca: &SessionCa, host: HostTrust, now: SystemTime) -> TrustFiles {
    let own = ca.certificate_pem().as_bytes();
    let HostTrust { mut bundle, java } = host;
    if !bundle.is_empty() && !bundle.ends_with(b"\n") {
        bundle.push(b'\n');
    }
    bundle.extend_from_slice(own);
    let mut overlay =
        vec![(PathBuf::from(BUNDLE), bundle), (PathBuf::from(format!("{}.0", subject_hash())), own.to_vec())];
    if let Some(java) = java {
        let now_ms = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() * 1000);
        overlay.push((
            PathBuf::from("java/cacerts"),
            jks::with_trusted(java, "standin-session-ca", ca.certificate_der(), now_ms),
        ));
    }
    TrustFiles { overlay, own_certificate: own.to_vec(), variables: variables() }
}

fn variables() -> Vec<(String, String)> {
    let bundle = Path::new(DIRECTORY).join(BUNDLE).display().to_string();
    let pair = |name: &&str, value: &str| ((*name).to_owned(), value.to_owned());
    BUNDLE_VARIABLES
        .iter()
        .map(|name| pair(name, &bundle))
        .chain(OWN_VARIABLES.iter().map(|name| pair(name, OWN_CERTIFICATE)))
        .collect()
}

/// The name under which OpenSSL looks for our certificate (`X509_NAME_hash`): four bytes of a SHA-1 over the
/// subject in canonical form, which is lower case, without the outer header.
fn subject_hash() -> String {
    let text = SUBJECT.to_ascii_lowercase();
    let length = |extra: usize| u8::try_from(text.len() + extra).expect("the subject is short");
    // SET { SEQUENCE { OID 2.5.4.3, UTF8String } }
    let mut name = vec![0x31, length(9), 0x30, length(7), 0x06, 3, 0x55, 4, 3, 0x0c, length(0)];
    name.extend_from_slice(text.as_bytes());
    let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &name);
    let first = sum.as_ref().first_chunk::<4>().expect("a SHA-1 has twenty bytes");
    format!("{:08x}", u32::from_le_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn made(java: Option<Vec<u8>>) -> (tempfile::TempDir, TrustFiles) {
        let ca = SessionCa::generate(SystemTime::now()).unwrap();
        let host = HostTrust { bundle: b"# roots".to_vec(), java };
        let files = files(&ca, host, SystemTime::now());
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), &files.own_certificate).unwrap();
        (directory, files)
    }

    #[test]
    fn openssl_looks_for_our_name() {
        let (directory, files) = made(None);
        let output = Command::new("openssl")
            .args(["x509", "-noout", "-hash", "-in"])
            .arg(directory.path().join("ca.pem"))
            .output()
            .expect("openssl is installed by ./test");
        let hash = String::from_utf8(output.stdout).unwrap();
        assert!(files.overlay.iter().any(|(path, _)| path == Path::new(&format!("{}.0", hash.trim()))), "{hash}");
    }

    #[test]
    fn java_reads_the_keystore_and_checks_its_digest() {
        for java in [Vec::new(), jks::with_trusted(Vec::new(), "other", b"", 0)] {
            let entries = if java.is_empty() { 1 } else { 2 };
            let (directory, files) = made(Some(java.clone()));
            let (_, keystore) = files.overlay.iter().find(|(path, _)| path.ends_with("cacerts")).unwrap();
            if entries == 2 {
                assert_eq!(keystore[8..12], 2u32.to_be_bytes());
                continue; // the other entry is no certificate, which keytool would not read
            }
            let path = directory.path().join("cacerts");
            std::fs::write(&path, keystore).unwrap();
            let output = Command::new("keytool")
                .args(["-list", "-storepass", "changeit", "-keystore"])
                .arg(&path)
                .output()
                .expect("keytool is installed by ./test");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("standin-session-ca") && text.contains("contains 1 entry"), "{text}");
        }
    }

    #[test]
    fn the_hosts_roots_stay() {
        let (_, files) = made(None);
        assert!(files.overlay[0].1.starts_with(b"# roots\n-----BEGIN CERTIFICATE-----"));
    }
}
