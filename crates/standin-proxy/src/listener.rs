//! Accepts captured connections: bounded in number, and all ended when the session ends.

use crate::connection;
use crate::session::Session;
use standin_model::limits::{DRAIN_DEADLINE, MAX_CONNECTIONS, SETTLING_DEADLINE};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long nothing is accepted after a connection that could not be: where descriptors have run out it would fail again at once, and nothing
/// tells when some are free.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection that no runtime serves yet, the address that the client dialled, and where it leads.
type Accepted = (std::net::TcpStream, SocketAddr, Leads);

/// Where connections come in.
pub struct Doors(Vec<(TcpListener, Leads)>);

/// Where what comes in may lead.
#[derive(Clone, Copy)]
enum Leads {
    /// To what was dialled, if policy says so.
    Anywhere,
    /// To the host's loopback, at the port that was dialled.
    ToHost,
}

impl From<TcpListener> for Doors {
    /// Captured connections.
    fn from(captured: TcpListener) -> Self {
        Self(vec![(captured, Leads::Anywhere)])
    }
}

impl Doors {
    /// Besides, what is dialled there is meant for the same port of the host.
    #[must_use]
    pub fn and_to_host(mut self, listeners: impl IntoIterator<Item = TcpListener>) -> Self {
        self.0.extend(listeners.into_iter().map(|listener| (listener, Leads::ToHost)));
        self
    }

    /// The next connection that can be taken.
    async fn next(&mut self) -> Accepted {
        loop {
            match self.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => tracing::warn!(%error, "a connection could not be accepted"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The next connection. The door that it came by is asked last the next time.
    async fn accept(&mut self) -> std::io::Result<Accepted> {
        let (accepted, leads) = poll_fn(|cx| {
            for at in 0..self.0.len() {
                let (listener, leads) = &self.0[at];
                let leads = *leads;
                if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                    self.0.rotate_left(at + 1);
                    return Poll::Ready((accepted, leads));
                }
            }
            Poll::Pending
        })
        .await;
        let (socket, _) = accepted?;
        // It leaves the listener's runtime.
        prepare(socket.into_std()?, leads)
    }
}

/// Serves connections on these runtimes in turn until `ended`, then gives open ones a moment to finish.
pub async fn serve(
    session: Arc<Session>,
    doors: impl Into<Doors>,
    workers: Vec<Handle>,
    ended: impl Future<Output = ()>,
) {
    let mut doors = doors.into();
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
        let accepted = tokio::select! {
            accepted = doors.next() => accepted,
            () = &mut ended => break,
        };
        let session = Arc::clone(&session);
        let worker = workers.next().expect("there is at least one worker");
        let serve = async move {
            serve_one(session, accepted).await;
            drop(place);
        };
        open.spawn_on(serve, worker);
        while open.try_join_next().is_some() {}
    }
    // The command's last connections: nobody is left to hear an answer, but what was tried belongs on record.
    for accepted in doors.0.into_iter().flat_map(waiting) {
        open.spawn(serve_one(Arc::clone(&session), accepted));
    }
    let drained = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_DEADLINE, drained).await.is_err() {
        tracing::debug!("connections were still open when the session ended");
    }
    // What a login's endpoint answers now is the login's next token, and would be lost.
    if tokio::time::timeout(SETTLING_DEADLINE, session.settled()).await.is_err() {
        tracing::warn!("tokens were still exchanged when the session ended; a login may be lost");
    }
    // Dropping the set aborts what is left; each exchange writes its record as it is dropped.
}

/// Serves one connection on the runtime that this runs on.
async fn serve_one(session: Arc<Session>, (socket, dialled, leads): Accepted) {
    match (TcpStream::from_std(socket), leads) {
        (Ok(socket), Leads::Anywhere) => connection::serve(session, socket, dialled).await,
        (Ok(socket), Leads::ToHost) => connection::reach(session, socket, dialled.port()).await,
        (Err(error), _) => tracing::warn!(%error, "a connection could not be served"),
    }
}

/// Connections that wait in the kernel's backlog. The kernel is asked: the runtime may not know of the last ones yet.
fn waiting((listener, leads): (TcpListener, Leads)) -> Vec<Accepted> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    std::iter::from_fn(|| listener.accept().ok())
        .filter_map(|(socket, _)| socket.set_nonblocking(true).and_then(|()| prepare(socket, leads)).ok())
        .collect()
}

/// The address on our side of a captured socket is the one the client dialled.
fn prepare(socket: std::net::TcpStream, leads: Leads) -> std::io::Result<Accepted> {
    socket.set_nodelay(true)?;
    let dialled = socket.local_addr()?;
    Ok((socket, dialled, leads))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    /// Counts what is said.
    struct Counter(Arc<AtomicUsize>);

    impl Subscriber for Counter {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target().starts_with("standin")
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    /// A command can hold so many connections open that no descriptor is left for another one.
    #[tokio::test]
    async fn who_cannot_accept_waits_before_the_next_try() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut doors = Doors::from(listener);
        let said = Arc::new(AtomicUsize::new(0));
        let _told = tracing::subscriber::set_default(Counter(Arc::clone(&said)));
        // Each test has a process of its own, which can still do what it has the descriptors for.
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).unwrap();
        let mut next = std::pin::pin!(doors.next());
        while said.load(Ordering::Relaxed) == 0 {
            tokio::select! {
                biased;
                _ = &mut next => panic!("one was accepted"),
                () = tokio::task::yield_now() => {}
            }
        }
        assert_eq!(said.load(Ordering::Relaxed), 1, "it was tried again at once");
        setrlimit(Resource::Nofile, limit).unwrap();
        next.await;
    }
}
