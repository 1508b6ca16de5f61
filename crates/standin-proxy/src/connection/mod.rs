//! The connection phase: once per connection, from accept to a tunnel.
//!
//! ```text
//! face        what the client speaks, and what it says it wants (TLS ClientHello, HTTP, neither)
//! authorize   may this name and port be reached?              -> TunnelPermit
//! agree       SNI equals the name dialled, the protocol is one we can judge
//! resolve     one look-up, every address vetted, pinned       -> PinnedPeer
//! intercept   leaf, ALPN, TLS to the client                   -> Tunnel
//! ```
//!
//! What speaks SSH goes on in [`ssh`], and PostgreSQL in [`postgres`]. Whatever says no hands over to [`refuse`], the one place that tells the client and closes.

mod authorize;
mod explicit;
mod face;
mod intercept;
mod postgres;
mod reach;
mod refuse;
mod reverse;
mod socks;
mod ssh;
mod tunnel;

pub(crate) use authorize::TunnelPermit;
pub(crate) use postgres::Cancels;
pub(crate) use reach::serve as reach;
pub(crate) use tunnel::{Destination, Tunnel};

use crate::exchange::Exchange;
use crate::fault::Refusal;
use crate::io::Stream;
use crate::request;
use crate::session::{Ingress, Session};
use face::Face;
use standin_model::limits::HEAD_DEADLINE;
use standin_model::{Authority, Scheme};
use standin_net::PinnedPeer;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;

/// Serves one captured connection to its end.
pub(crate) async fn serve(session: Arc<Session>, socket: TcpStream, dialled: SocketAddr) {
    // The listener serves both families, so IPv4 comes as a mapped address.
    if session.gateway.contains(&dialled.ip().to_canonical()) {
        return to_us(session, socket).await;
    }
    let host = session.names.host_behind(dialled.ip());
    let destination = Destination::new(Authority::new(host, dialled.port()), Ingress::Transparent);
    carry(session, destination, socket).await;
}

/// Serves a connection of our own, to nobody, to see that it is refused.
pub(crate) async fn gate(session: Arc<Session>, destination: Destination, io: DuplexStream) {
    carry(session, destination, io).await;
}

/// A connection to the gateway itself: from a client that was told to use a proxy. SOCKS5 and HTTP differ in the first byte.
async fn to_us(session: Arc<Session>, socket: TcpStream) {
    let mut first = [0];
    match tokio::time::timeout(HEAD_DEADLINE, socket.peek(&mut first)).await {
        Ok(Ok(1)) if first == [socks::VERSION] => socks::serve(session, socket).await,
        // HTTP has its own words, and deadlines, for whatever else may follow.
        _ => explicit::serve(session, socket).await,
    }
}

/// The connection phase proper, for every ingress that carries bytes.
async fn carry<S: Stream>(session: Arc<Session>, destination: Destination, io: S) {
    let verdict = authorize::connection(&session, &destination);
    let face = match Face::read(io, face::patience(&verdict)).await {
        Ok(face) => face,
        Err(error) => return refuse::mute(&session, &destination, verdict, &error).await,
    };
    if let Face::Ssh(io) = face {
        return ssh::serve(session, destination, verdict, io).await;
    }
    if face.is_postgres() {
        return postgres::serve(session, destination, verdict, face).await;
    }
    let agreed = face.agree(&destination);
    let admitted = async {
        let permit = verdict?;
        let scheme = agreed?;
        let peer = resolve(&session, &permit).await?;
        Ok((permit, scheme, peer))
    };
    let (permit, scheme, peer) = match admitted.await {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse::connection(&session, &destination, face, refusal).await,
    };
    let tunnel = Tunnel::new(Arc::clone(&session), destination, permit, scheme, peer);
    match intercept::terminate(&tunnel, face).await {
        Ok((protocol, io)) => request::serve_tunnel(Arc::new(tunnel), protocol, io).await,
        Err(refusal) => record_failure(&tunnel, &refusal).await,
    }
}

/// Admits one request that names its destination itself, which is a connection of its own kind: in clear as far as us,
/// and named anew each time.
async fn admit_one(session: &Arc<Session>, destination: &Destination, scheme: Scheme) -> Result<Tunnel, Refusal> {
    let permit = authorize::connection(session, destination)?;
    let peer = resolve(session, &permit).await?;
    Ok(Tunnel::new(Arc::clone(session), destination.clone(), permit, scheme, peer))
}

async fn resolve(session: &Session, permit: &TunnelPermit) -> Result<PinnedPeer, Refusal> {
    permit.in_force(None)?; // the client may have taken its time, and policy another's place
    session.upstreams.resolve(permit).await.map_err(|error| match error.denial() {
        Some(denial) => Refusal::Denied(denial),
        None => Refusal::upstream("the name of this host could not be resolved", &error),
    })
}

/// The handshake with an admitted client failed: nothing was exchanged, but the attempt is on record.
async fn record_failure(tunnel: &Tunnel, refusal: &Refusal) {
    if let Ok(mut exchange) = Exchange::connection(&tunnel.session, &tunnel.destination).await {
        exchange.refused(refusal);
    }
}
