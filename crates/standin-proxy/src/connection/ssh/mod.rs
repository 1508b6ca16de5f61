//! Git over SSH: the connection ends here, and each command on it is an exchange.
//!
//! ```text
//! authorize   may this host be reached, and is a key granted there?   -> TunnelPermit
//! resolve     one look-up, every address vetted, pinned               -> PinnedPeer
//! accept      keys are exchanged with the client, whoever it is
//! ```
//!
//! then, for each thing that it asks ([`serve_one`]):
//!
//! ```text
//! bind        one of git's two commands, for one repository           -> GitCommand
//! authorize   may it be sent, and with whose key?                     -> GitPermit
//! upstream    dial, the host's key, the user's key, the command       -> Running
//! carry       both directions, up to the end; errors as plain text
//! ```

mod carry;
mod permit;
mod refs;
mod upstream;

use super::authorize::{self, TunnelPermit};
use super::face::Face;
use super::{Destination, Tunnel, refuse, resolve};
use crate::exchange::Exchange;
use crate::fault::Refusal;
use crate::io::{Sniffed, Stream};
use crate::respond;
use crate::session::Session;
use standin_model::{Denial, DenyReason, Scheme};
use standin_ssh::Ssh;
use standin_ssh::server::{Ask, Asked, Client};
use standin_wire::ssh::GitCommand;
use std::sync::Arc;

/// Serves a client that has identified itself.
pub(super) async fn serve<S: Stream>(
    session: Arc<Session>,
    destination: Destination,
    verdict: Result<TunnelPermit, Denial>,
    io: Sniffed<S>,
) {
    let admitted = async {
        // What may be added is said first, whether the host is reached over HTTP or not at all.
        authorize::ssh(&session, &destination)?;
        let permit = verdict?;
        let peer = resolve(&session, &permit).await?;
        Ok((permit, peer))
    };
    let (permit, peer) = match admitted.await {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse::connection(&session, &destination, Face::Ssh(io), refusal).await,
    };
    let tunnel = Tunnel::new(session, destination, permit, Scheme::Http, peer);
    let Some(ssh) = &tunnel.session.ssh else {
        let refusal = Denial::new(DenyReason::SourceFailed, "a key is granted for this host, and there is none").into();
        return super::record_failure(&tunnel, &refusal).await;
    };
    converse(&tunnel, ssh, io).await;
}

/// One thing after the other, until the client has no more to ask.
async fn converse<S: Stream>(tunnel: &Tunnel, ssh: &Ssh, io: Sniffed<S>) {
    let mut client = match Client::accept(io, &ssh.host_key).await {
        Ok(client) => client,
        Err(error) => {
            return super::record_failure(tunnel, &Refusal::downstream("the SSH handshake failed", &error)).await;
        }
    };
    let mut asked_nothing = true;
    while let Some(asked) = client.next().await {
        asked_nothing = false;
        serve_one(tunnel, ssh, asked).await;
    }
    client.end().await;
    if asked_nothing {
        let nothing = std::io::Error::other("it broke off the handshake, or asked for nothing that is answered");
        super::record_failure(tunnel, &Refusal::downstream("the SSH client asked for nothing", &nothing)).await;
    }
}

/// One thing that was asked, up to its record.
async fn serve_one(tunnel: &Tunnel, ssh: &Ssh, asked: Asked) {
    let Ok(mut exchange) = Exchange::ssh(tunnel, kind(&asked.ask)).await else {
        return asked.refuse("Standin: the audit log takes no records, so nothing may leave").await;
    };
    let running = async {
        exchange.may_stay_open()?;
        let command = bind(&asked.ask)?;
        exchange.names(&command);
        let permit = permit::git(tunnel, &asked.user, &command)?;
        exchange.permitted(permit.rule(), permit.by());
        let running = upstream::run(tunnel, ssh, &permit, asked.protocol).await?;
        exchange.may_go_on()?;
        exchange.injected(vec![permit.credential().clone()]);
        exchange.reached(running.address);
        Ok::<_, Refusal>((running, permit.refs()))
    };
    match running.await {
        Ok((running, refs)) => carry::both_ways(tunnel, asked, running, refs, &mut exchange).await,
        Err(refusal) => {
            exchange.refused(&refusal);
            asked.refuse(&respond::in_words(&refusal)).await;
        }
    }
}

/// What was asked, for a record of what is not understood.
fn kind(ask: &Ask) -> &'static str {
    match ask {
        Ask::Command(_) => "exec",
        Ask::Shell => "shell",
        Ask::Subsystem(_) => "subsystem",
    }
}

/// One of git's commands, or a denial.
fn bind(ask: &Ask) -> Result<GitCommand, Denial> {
    let denied = |message: String| Denial::new(DenyReason::SshRequest, message);
    match ask {
        Ask::Command(command) => GitCommand::parse(command).map_err(|error| denied(error.to_string())),
        Ask::Shell => Err(denied("there is no shell over SSH here, only git's clone, fetch and push".to_owned())),
        Ask::Subsystem(_) => {
            Err(denied("there are no subsystems (sftp) over SSH here, only git's clone, fetch and push".to_owned()))
        }
    }
}
