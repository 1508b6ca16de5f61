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

/// A captured connection that no runtime serves yet, and the address that the client dialled.
type Accepted = (std::net::TcpStream, SocketAddr);

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
            serve_one(session, socket, dialled).await;
            drop(place);
        };
        open.spawn_on(serve, worker);
        while open.try_join_next().is_some() {}
    }
    // The command's last connections: nobody is left to hear an answer, but what was tried belongs on record.
    for (socket, dialled) in waiting(listener) {
        open.spawn(serve_one(Arc::clone(&session), socket, dialled));
    }
    let drained = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_DEADLINE, drained).await.is_err() {
        tracing::debug!("connections were still open when the session ended");
    }
    // Dropping the set aborts what is left; each exchange writes its record as it is dropped.
}

/// Serves one connection on the runtime that this runs on.
async fn serve_one(session: Arc<Session>, socket: std::net::TcpStream, dialled: SocketAddr) {
    match TcpStream::from_std(socket) {
        Ok(socket) => connection::serve(session, socket, dialled).await,
        Err(error) => tracing::warn!(%error, "a connection could not be served"),
    }
}

/// Connections that wait in the kernel's backlog. The kernel is asked: the runtime may not know of the last ones yet.
fn waiting(listener: TcpListener) -> Vec<Accepted> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    std::iter::from_fn(|| listener.accept().ok())
        .filter_map(|(socket, _)| socket.set_nonblocking(true).ok().map(|()| socket))
        .filter_map(|socket| TcpStream::from_std(socket).and_then(prepare).ok())
        .collect()
}

/// The address on our side of a captured socket is the one the client dialled. The socket leaves the listener's runtime.
fn prepare(socket: TcpStream) -> std::io::Result<Accepted> {
    socket.set_nodelay(true)?;
    let dialled = socket.local_addr()?;
    Ok((socket.into_std()?, dialled))
}
