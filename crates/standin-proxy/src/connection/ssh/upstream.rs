//! The way of an admitted command to its host: dialled at the pinned addresses, verified, authenticated.

use super::permit::GitPermit;
use crate::connection::Tunnel;
use crate::fault::{self, Refusal};
use standin_model::{Authority, Denial, DenyReason};
use standin_ssh::Ssh;
use standin_ssh::client::{ConnectError, FromServer, Server, ToServer};
use std::net::SocketAddr;

/// A command that runs at its host.
pub(super) struct Running {
    /// The address that was dialled.
    pub(super) address: SocketAddr,
    pub(super) from: FromServer,
    pub(super) to: ToServer,
}

/// Runs what a permit admits, with the key that it names.
pub(super) async fn run(
    tunnel: &Tunnel,
    ssh: &Ssh,
    permit: &GitPermit,
    protocol: Option<&str>,
) -> Result<Running, Refusal> {
    let authority = &tunnel.destination.authority;
    let Some(identity) = ssh.identities.get(permit.credential()) else {
        let message = format!("the credential `{}` has no SSH key", permit.credential());
        return Err(Denial::new(DenyReason::SourceFailed, message).into());
    };
    let unreachable = |error| Refusal::upstream("this host could not be reached", &error);
    let (io, address) = tunnel.session.upstreams.open(&tunnel.peer).await.map_err(unreachable)?;
    let refused = |error| refusal(authority, permit, &error);
    let server = Server::connect(io, &ssh.known, authority, permit.user(), identity).await.map_err(refused)?;
    let (from, to) = server.run(&permit.command(), protocol).await.map_err(refused)?;
    Ok(Running { address, from, to })
}

/// What the agent is told: what is wrong and who can mend it; fingerprints and files are the operator's.
fn refusal(Authority { host, port }: &Authority, permit: &GitPermit, error: &ConnectError) -> Refusal {
    let unavailable =
        |reason, message| Refusal::Unavailable { told: Denial::new(reason, message), recorded: fault::chain(error) };
    let at = if *port == 22 { String::new() } else { format!("-p {port} ") };
    match error {
        ConnectError::Unknown(_) => unavailable(
            DenyReason::HostKey,
            format!(
                "the host key of {host} is not among the known hosts of this session's owner, who can add it by \
                 connecting once (`ssh {at}{}@{host}`) outside of the sandbox",
                permit.user()
            ),
        ),
        ConnectError::Changed { .. } | ConnectError::Revoked { .. } => unavailable(
            DenyReason::HostKey,
            format!(
                "the host key of {host} is NOT the one that this session's owner knows: somebody may be listening in, or \
                 the key was changed; nothing was sent, and only the owner can settle it"
            ),
        ),
        ConnectError::Unverifiable(_) | ConnectError::KnownHosts(_) => unavailable(
            DenyReason::HostKey,
            format!("the host key of {host} cannot be verified; `standin log` tells this session's owner why"),
        ),
        ConnectError::Identity(_) => unavailable(
            DenyReason::SourceFailed,
            format!(
                "the SSH key `{}` is not available; `standin log` tells this session's owner why",
                permit.credential()
            ),
        ),
        ConnectError::NotAccepted { .. } => unavailable(
            DenyReason::SourceFailed,
            format!("{host} did not accept the SSH key `{}` for the user {}", permit.credential(), permit.user()),
        ),
        ConnectError::Silent(_) => Refusal::silent("this host did not answer over SSH in time", error),
        ConnectError::Transport(_) => Refusal::upstream("the SSH connection to this host failed", error),
    }
}
