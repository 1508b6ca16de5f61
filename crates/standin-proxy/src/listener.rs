//! Accepts captured connections: bounded in number, and all ended when the session ends.

use crate::connection;
use crate::session::Session;
use standin_model::limits::{DRAIN_DEADLINE, MAX_CONNECTIONS};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Serves connections on these runtimes in turn until `ended`, then gives open ones a moment to finish.
pub async fn serve(
    session: Arc<Session>,
    listener: TcpListener,
    workers: Vec<Handle>,
    ended: impl Future<Output = ()>,
) {
    let mut workers = workers.iter().cycle();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut open = JoinSet::new();
    let mut ended = std::pin::pin!(ended);
    loop {
        // A client over the limit waits in the kernel's backlog; none is lost, and none is served unbounded.
        let place = tokio::select! {
            place = Arc::clone(&room).acquire_owned() => place.expect("the semaphore is never closed"),
            () = &mut ended => break,
        };
        let (socket, dialled) = tokio::select! {
            accepted = listener.accept() => match accepted.and_then(|(socket, _)| prepare(socket)) {
                Ok(accepted) => accepted,
                Err(error) => { tracing::warn!(%error, "a connection could not be accepted"); continue }
            },
            () = &mut ended => break,
        };
        let session = Arc::clone(&session);
        let worker = workers.next().expect("there is at least one worker");
        let serve = async move {
            match TcpStream::from_std(socket) {
                Ok(socket) => connection::serve(session, socket, dialled).await,
                Err(error) => tracing::warn!(%error, "a connection could not be served"),
            }
            drop(place);
        };
        open.spawn_on(serve, worker);
        while open.try_join_next().is_some() {}
    }
    let drained = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_DEADLINE, drained).await.is_err() {
        tracing::debug!("connections were still open when the session ended");
    }
    // Dropping the set aborts what is left; each exchange writes its record as it is dropped.
}

/// The address on our side of a captured socket is the one the client dialled. The socket leaves the listener's runtime.
fn prepare(socket: TcpStream) -> std::io::Result<(std::net::TcpStream, SocketAddr)> {
    socket.set_nodelay(true)?;
    let dialled = socket.local_addr()?;
    Ok((socket.into_std()?, dialled))
}
