//! Git over SSH: the user's keys and known hosts, and what the sandbox's clients know the proxy by.

use super::inputs::Inputs;
use super::sources::{self, Sources};
use super::view;
use crate::exit::Failure;
use standin_config::Source;
use standin_model::CredentialName;
use standin_sandbox::Overlay;
use standin_secret::{Manner, Secret, SourceError};
use standin_ssh::agent::Agent;
use standin_ssh::identity::{Identity, KeySource};
use standin_ssh::known::KnownHosts;
use standin_ssh::{HostKey, Ssh};
use standin_vault::supply::Supply;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where OpenSSH looks for what holds for all users.
const DIRECTORY: &str = "/etc/ssh";
/// The names of its files of known hosts, there and below `~/.ssh`.
const KNOWN: [&str; 2] = ["known_hosts", "known_hosts2"];

/// Why a key of the configuration is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    #[error("SSH_AUTH_SOCK names no ssh-agent; start one and add the key (`ssh-add`)")]
    NoAgent,
    #[error("the ssh-agent's socket lies in what the sandbox may write")]
    Steered,
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// The key that a source holds. It is fetched when it is used.
pub(super) fn identity(inputs: &Inputs, sources: &mut Sources, source: &Source) -> Result<Identity, KeyError> {
    let Source::SshAgent(fingerprint) = source else {
        let supply = sources.supply(inputs, source)?;
        return Ok(Identity::Key(Arc::new(Supplied { supply, member: sources::member(source).to_owned() })));
    };
    let socket = inputs.variable("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty()).ok_or(KeyError::NoAgent)?;
    let socket = PathBuf::from(socket);
    if view::is_steered(&socket, inputs) {
        return Err(KeyError::Steered);
    }
    Ok(Identity::Agent(Arc::new(Agent::new(socket, fingerprint.clone()))))
}

struct Supplied {
    supply: Arc<Supply>,
    member: String,
}

impl KeySource for Supplied {
    fn fetch(&self) -> Result<Secret, SourceError> {
        self.supply.fetch(Manner::Silent)?.value(&self.member).map(|(secret, _)| secret)
    }
}

/// What a session needs, if a key is lent in it.
pub(super) fn session(inputs: &Inputs, identities: HashMap<CredentialName, Identity>) -> Result<Option<Ssh>, Failure> {
    if identities.is_empty() {
        return Ok(None);
    }
    let host_key = HostKey::generate().map_err(|error| Failure::because("cannot speak SSH", &error))?;
    let own = KNOWN.map(|name| inputs.home.join(".ssh").join(name));
    let everybodys = KNOWN.map(|name| Path::new(DIRECTORY).join(format!("ssh_{name}")));
    // What the sandbox may write says nothing about hosts.
    let files = own.into_iter().chain(everybodys).filter(|path| !view::is_steered(path, inputs));
    Ok(Some(Ssh { host_key, known: KnownHosts::new(files.collect()), identities }))
}

/// The file by which OpenSSH inside knows the proxy. The user's own known hosts are not there, for no host shows its own key.
pub(super) fn known_to_the_sandbox(ssh: Option<&Ssh>) -> Option<Overlay> {
    let ssh = ssh.filter(|_| Path::new(DIRECTORY).is_dir())?;
    let file = (PathBuf::from("ssh_known_hosts"), ssh.host_key.known_hosts_line().into_bytes());
    Some(Overlay { directory: DIRECTORY.into(), files: vec![file] })
}
