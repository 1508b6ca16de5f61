//! Connections to a port of the host's loopback that the user lets the sandbox reach: a database, say.
//!
//! The sandbox's own loopback has a listener there, so clients dial `localhost` as ever. What they carry is nobody's to
//! read: no first word is waited for (servers may speak first), nothing is put in, taken out or looked for. The whole
//! connection is one exchange, decided, dialled and recorded like any other.

use super::{Destination, admit_one};
use crate::exchange::{Exchange, RequestSide};
use crate::fault::Refusal;
use crate::session::{Ingress, Session};
use crate::usage::Spending;
use standin_model::{Authority, Host, Scheme};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes moved at once.
const CHUNK: usize = 16 * 1024;

/// Serves one connection that was dialled at this port of the sandbox's loopback.
pub(crate) async fn serve(session: Arc<Session>, mut socket: TcpStream, port: u16) {
    let host = Host::parse("localhost").expect("a name");
    let destination = Destination::new(Authority::new(host, port), Ingress::Reach);
    let Ok(mut exchange) = Exchange::opaque(&session, &destination).await else {
        return reset(&socket);
    };
    if let Err(refusal) = carry(&session, &destination, &mut exchange, &mut socket).await {
        exchange.refused(&refusal);
        reset(&socket);
    }
}

/// All of it, up to the end of both directions.
async fn carry(
    session: &Arc<Session>,
    destination: &Destination,
    exchange: &mut Exchange,
    client: &mut TcpStream,
) -> Result<(), Refusal> {
    exchange.may_stay_open()?;
    let tunnel = admit_one(session, destination, Scheme::Http).await?;
    let host = &destination.authority.host;
    let rules = tunnel.in_force()?;
    rules.usage.request(host)?;
    exchange.permitted(tunnel.rule(), &rules);
    let failed = |error| Refusal::upstream("nothing on the host took the connection", &error);
    let (mut server, address) = session.upstreams.open(&tunnel.peer).await.map_err(failed)?;
    exchange.reached(address);
    let side = exchange.request_side();
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = tokio::io::split(&mut server);
    let up = upwards(&mut from_client, &mut to_server, &side, rules.usage.spending(host));
    let down = downwards(&mut from_server, &mut to_client, &side);
    match tokio::try_join!(up, down) {
        Ok(_) => exchange.completed(),
        Err(Broken::Refused(refusal)) => return Err(refusal),
        Err(Broken::Client(error)) => exchange.hung_up(error.to_string()),
        Err(Broken::Server(error)) => exchange.broken_off(error.to_string()),
    }
    Ok(())
}

/// Why a connection did not end as it should.
enum Broken {
    Refused(Refusal),
    Client(io::Error),
    Server(io::Error),
}

async fn upwards(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    side: &RequestSide,
    spending: Spending,
) -> Result<(), Broken> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = from.read(&mut buffer).await.map_err(Broken::Client)?;
        if length == 0 {
            return to.shutdown().await.map_err(Broken::Server);
        }
        let passes = side.may_go_on_with([]).and_then(|()| spending.spend(length));
        passes.map_err(|denial| Broken::Refused(denial.into()))?;
        side.sent(length);
        to.write_all(&buffer[..length]).await.map_err(Broken::Server)?;
    }
}

async fn downwards(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    side: &RequestSide,
) -> Result<(), Broken> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = from.read(&mut buffer).await.map_err(Broken::Server)?;
        if length == 0 {
            return to.shutdown().await.map_err(Broken::Client);
        }
        side.may_go_on_with([]).map_err(|denial| Broken::Refused(denial.into()))?;
        to.write_all(&buffer[..length]).await.map_err(Broken::Client)?;
        side.received(length);
    }
}

/// An end that the client cannot take for an answer.
fn reset(socket: &TcpStream) {
    if let Err(error) = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)) {
        tracing::debug!(%error, "a refused connection ends as if it were over");
    }
}
