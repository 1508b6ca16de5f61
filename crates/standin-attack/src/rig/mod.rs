//! The hostile rig: an internet and a host of our own, which see all that reaches them.
//!
//! [`servers`] is the internet: it answers every name and every port that attempts use, and writes down all bytes.
//! [`naive`] is what a proxy without care does, so that attacks on a proxy can be shown to work. [`estate`] is the host
//! of one arm: a home with secrets, sockets, a workspace, a process that holds secrets.

pub(crate) mod estate;
mod naive;
pub(crate) mod recorder;
pub(crate) mod servers;

/// An allowed host.
pub(crate) const OK: &str = "ok.example";
/// A host for which a credential is granted.
pub(crate) const API: &str = "api.rig.example";
/// An allowed host whose name leads to the host's loopback.
pub(crate) const REBIND: &str = "rebind.example";
/// The parent of an allowed wildcard.
pub(crate) const GOOD: &str = "good.example";
/// The attacker's host.
pub(crate) const EVIL: &str = "evil.example";
/// The attacker's address.
pub(crate) const EVIL_ADDRESS: &str = "93.184.215.66";
/// The attacker's address.
pub(crate) const EVIL_ADDRESS_6: &str = "2606:2800:21f::66";
/// The variable that holds the credential for [`API`].
pub(crate) const KEY: &str = "RIG_KEY";
/// Where a service that only the host may use listens, on loopback.
pub(crate) const HOST_SERVICE: u16 = 9222;
/// Where proxies listen: the gateway's address, as the sandbox sees it.
pub(crate) const PROXY: &str = "10.0.2.2";
/// On this port.
pub(crate) const PROXY_PORT: u16 = 3128;

/// Names that lead to addresses of their own; all others that attempts use lead to the attacker's.
const ADDRESSES: &[(&str, &str)] = &[
    (OK, "93.184.215.10"),
    (API, "93.184.215.11"),
    (REBIND, "127.0.0.1"),
    ("api.anthropic.com", "93.184.215.12"),
    ("api.github.com", "93.184.215.13"),
    ("github.com", "93.184.215.13"),
    ("host.docker.internal", "172.17.0.1"),
    ("metadata.google.internal", "169.254.169.254"),
];

/// Names of the attacker's, and of services on which anybody may have a corner.
const ATTACKERS: &[&str] = &[
    EVIL,
    "evil.example.",
    "evilgood.example",
    "good.example.evil.example",
    "attacker-bucket.s3.amazonaws.com",
    "storage.googleapis.com",
    "o1.ingest.sentry.io",
    "attacker.workers.dev",
    "attacker.vercel.app",
];

/// The hosts file of the private network, with these further names of allowed hosts.
pub(crate) fn hosts_file(allowed: &[String]) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost\n");
    let allowed = allowed.iter().map(|name| (name.as_str(), "93.184.215.14"));
    let attackers = ATTACKERS.iter().map(|name| (*name, EVIL_ADDRESS));
    for (name, address) in ADDRESSES.iter().copied().chain(allowed).chain(attackers) {
        text.extend([address, " ", name, "\n"]);
    }
    text
}
