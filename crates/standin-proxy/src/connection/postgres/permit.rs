//! May this user be at this database, and does the client have the stand-in for the password? The one call of `Policy::postgres`.

use super::PROTOCOLS;
use crate::connection::Tunnel;
use crate::connection::intercept::ClientIo;
use crate::fault::Refusal;
use crate::in_force::InForce;
use crate::io::Stream;
use crate::session::Lent;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use standin_model::limits::HEAD_DEADLINE;
use standin_model::{Authority, CredentialName, Denial, DenyReason};
use standin_policy::{PostgresFacts, PostgresId, PostgresVerdict};
use standin_postgres::scram::Claim;
use standin_postgres::server;
use standin_wire::postgres::startup::Startup;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

/// Most stand-ins that a wrong proof is held against, to tell a stray one. Each takes about a millisecond.
const MAX_TRIED: usize = 64;

/// The grants that mean a client's user and database.
pub(super) struct Meant {
    by: Arc<InForce>,
    grants: Vec<(PostgresId, Arc<str>)>,
}

/// Proof that policy and the caps admit a client, and that it has the stand-in: what `upstream` takes.
pub(super) struct PostgresPermit {
    by: Arc<InForce>,
    rule: Arc<str>,
    credential: CredentialName,
    plaintext: bool,
}

/// Asks policy about a client's first words. Nothing has been dialled yet, and no password fetched.
pub(super) fn meant(tunnel: &Tunnel, startup: &Startup) -> Result<Meant, Denial> {
    let Authority { host, port } = &tunnel.destination.authority;
    let facts = PostgresFacts { host, port: *port, user: startup.user(), database: startup.database() };
    let by = tunnel.in_force()?;
    match by.policy.postgres(&facts) {
        PostgresVerdict::Allow(grants) => Ok(Meant { by, grants }),
        PostgresVerdict::Deny(denial) => Err(denial),
    }
}

/// Lets the client prove that it has the stand-in of one of these grants. What it is to be told then is given, too.
pub(super) async fn proven<S: Stream>(
    tunnel: &Tunnel,
    meant: Meant,
    startup: &Startup,
    client: &mut ClientIo<S>,
) -> Result<(PostgresPermit, String), Refusal> {
    let failed =
        |error: &(dyn std::error::Error + 'static)| Refusal::downstream("the client did not authenticate", error);
    let ask = async {
        if let Some(offer) = startup.counter_offer() {
            client.write_all(&offer).await?;
        }
        let certificate = end_point(tunnel, client);
        server::claim(client, certificate.as_ref().map(AsRef::as_ref)).await
    };
    let claim = match tokio::time::timeout(HEAD_DEADLINE, ask).await {
        Ok(claim) => claim.map_err(|error| failed(&error))?,
        Err(elapsed) => return Err(failed(&elapsed)),
    };
    let (permit, words) = judge(tunnel, meant, &claim)?;
    tunnel.session.alarm.admits(&permit.credential)?;
    permit.by.usage.request(&tunnel.destination.authority.host)?;
    Ok((permit, words))
}

fn judge(tunnel: &Tunnel, Meant { by, grants }: Meant, claim: &Claim) -> Result<(PostgresPermit, String), Denial> {
    let lent = tunnel.session.lent();
    let mut names = Vec::new();
    for (id, rule) in grants {
        let loan = by.policy.postgres_loan(id);
        let Some(index) = lent.vault.by_name(&loan.credential) else { continue };
        if let Some(words) = claim.proven_by(lent.vault.stand_in(index).as_str().as_bytes()) {
            let (credential, plaintext) = (loan.credential.clone(), loan.postgres.plaintext);
            return Ok((PostgresPermit { by: Arc::clone(&by), rule, credential, plaintext }, words));
        }
        names.push(format!("`{}`", loan.credential));
    }
    Err(refuse(&lent, claim, &names.join(" or ")))
}

/// The proof shows no password, but a stand-in is recognised by it.
fn refuse(lent: &Lent, claim: &Claim, names: &str) -> Denial {
    let stand_ins = lent.vault.pairs().map(|(_, stand_in)| stand_in.as_str()).take(MAX_TRIED);
    let mut stray = stand_ins.filter(|stand_in| claim.proven_by(stand_in.as_bytes()).is_some());
    let stray = stray.find_map(|stand_in| lent.vault.by_stand_in(stand_in)).map(|index| lent.vault.name(index));
    if let Some(name) = stray {
        let message =
            format!("the password is the stand-in for `{name}`, which is not granted here; granted is {names}");
        return Denial::new(DenyReason::WrongDestination, message).astray(name.clone());
    }
    let message = format!(
        "the password is not the stand-in for {names}; it stands where the real one does outside: in the variable or the file of \
         the connection string"
    );
    Denial::new(DenyReason::ForeignCredential, message)
}

/// What a proof in TLS may be bound to (RFC 5929 §4): our leaves are signed with SHA-256.
fn end_point<S>(tunnel: &Tunnel, client: &ClientIo<S>) -> Option<Digest> {
    let ClientIo::Tls(_) = client else { return None };
    let leaf = tunnel.session.ca.leaf_of(&tunnel.destination.authority.host, PROTOCOLS)?;
    Some(digest(&SHA256, &leaf))
}

impl PostgresPermit {
    /// The rule that said yes, for the record.
    pub(super) fn rule(&self) -> &Arc<str> {
        &self.rule
    }

    /// The policy that said it.
    pub(super) fn by(&self) -> &Arc<InForce> {
        &self.by
    }

    /// Whose value is the password.
    pub(super) fn credential(&self) -> &CredentialName {
        &self.credential
    }

    /// Whether the server is reached without TLS.
    pub(super) fn plaintext(&self) -> bool {
        self.plaintext
    }
}
