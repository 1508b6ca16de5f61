//! SSH (RFC 4251 to 4254) on both sides of the proxy, by russh.
//!
//! * [`server`]: what the sandbox's clients speak with. They are believed whoever they say they are, may ask for one thing on one
//!   channel at a time, and nothing is forwarded;
//! * [`client`]: what hosts speak with. Their keys are those that the user knows, or there is no connection;
//! * [`known`]: the user's known hosts, as OpenSSH reads them;
//! * [`identity`]: the user's key, from a source or in an [`agent`]. It is fetched for one connection, and forgotten;
//! * [`leash`]: what ends a connection whose peer does not.
//!
//! Nothing is decided, dialled or recorded here: the proxy hands streams in and asks. Nothing of it is done before the first SSH
//! connection, but the making of the [`HostKey`] where SSH is granted at all.
//!
//! Read next: `docs/ssh.md`, and `docs/adr/0011-ssh-ends-at-the-proxy.md` for why it is done so.

pub mod agent;
mod algorithms;
pub mod client;
mod host_key;
pub mod identity;
pub mod known;
mod leash;
pub mod server;

pub use host_key::HostKey;

use bytes::Bytes;
use identity::Identity;
use known::KnownHosts;
use standin_model::CredentialName;
use std::collections::HashMap;

/// What a session needs to speak SSH.
pub struct Ssh {
    /// Who the proxy is to the sandbox.
    pub host_key: HostKey,
    /// Whom the user knows.
    pub known: KnownHosts,
    /// The keys that are lent.
    pub identities: HashMap<CredentialName, Identity>,
}

/// What the other side of a channel said.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// Data of the one stream.
    Data(Bytes),
    /// Data of the other (RFC 4254 §5.2); clients do not send any.
    Errors(Bytes),
    /// It will send no more.
    End,
    /// The command has ended with this status.
    Exit(u32),
    /// The channel is closed, or its connection is.
    Gone,
}

#[cfg(test)]
mod tests;
