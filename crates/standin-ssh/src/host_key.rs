//! The key by which the sandbox's clients know the proxy: of one session, in memory only.

use aws_lc_rs::rand;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};

/// Every host but the sandbox's own: a server that the command starts there has a key of its own.
const EVERY_OTHER_HOST: &str = "*,!localhost,!127.*,!::1,![localhost]:*,![127.*]:*,![::1]:*";

/// A key of ours.
pub struct HostKey(pub(crate) PrivateKey);

/// Randomness is not to be had.
#[derive(Debug, thiserror::Error)]
#[error("no randomness for a host key")]
pub struct NoRandomness;

impl HostKey {
    /// Makes one.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut seed = [0; 32];
        rand::fill(&mut seed).map_err(|_| NoRandomness)?;
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
        PrivateKey::new(pair, "standin").map(Self).map_err(|_| NoRandomness)
    }

    /// The line of a `known_hosts` by which clients in the sandbox know it, whatever host they dial.
    pub fn known_hosts_line(&self) -> String {
        let key = self.0.public_key().to_openssh().expect("a key of ours can be written");
        format!("{EVERY_OTHER_HOST} {key}\n")
    }
}
