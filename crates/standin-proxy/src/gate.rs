//! The gate of a policy that has just been put in force: a connection that no policy may admit has to be refused.
//!
//! It goes the way of a captured one from where it has been accepted, so it shows that connections are served, that policy is asked and that
//! what it does not name is refused. The sandbox, and what leads from it to us, is as it was when the session began.

use crate::connection::{self, Destination};
use crate::session::{Ingress, Session};
use standin_model::limits::GATE_DEADLINE;
use standin_model::{Authority, DenyReason, Host};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

/// Where rules mean something if they name no port.
const PORT: u16 = 443;
/// More than a refusal has.
const MOST: u64 = 16 * 1024;

/// Why the gate stays shut.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// What no policy may admit was not refused.
    #[error("a connection to {0}, which nobody is, was not refused")]
    NotRefused(String),
    /// Nobody answered.
    #[error("a connection was not served")]
    Silent(#[source] io::Error),
}

/// Tries it. The name is made up anew each time, below a domain that has no hosts (RFC 6761 §6.4): no rule but one for all names there means it.
pub(crate) async fn try_it(session: &Arc<Session>) -> Result<(), GateError> {
    let name = format!("{:032x}.gate.invalid", u128::from_be_bytes(random()));
    let host = Host::parse(&name).expect("a name");
    let destination = Destination::new(Authority::new(host, PORT), Ingress::Gate);
    let (client, served) = duplex(usize::try_from(MOST).expect("16 KiB fits"));
    let serving = tokio::spawn(connection::gate(Arc::clone(session), destination, served));
    let answered = timeout(GATE_DEADLINE, ask(client, &name)).await;
    serving.abort();
    let answer = answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(GateError::Silent)?;
    let reason = format!("\r\nx-standin-reason: {}\r\n", DenyReason::HostNotAllowed);
    if answer.starts_with("HTTP/1.1 403") && answer.contains(&reason) {
        Ok(())
    } else {
        Err(GateError::NotRefused(name))
    }
}

async fn ask(mut client: DuplexStream, name: &str) -> io::Result<String> {
    client.write_all(format!("GET / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    client.take(MOST).read_to_end(&mut answer).await?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the kernel gives random bytes");
    bytes
}
