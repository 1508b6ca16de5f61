//! Ports of the command's on the host's loopback: who connects there is connected to the server inside.
//!
//! It is the host that connects, so nothing leaves the sandbox that was not asked for from outside, and no policy is
//! asked. What came is on record at the end.

use crate::exit::{self, Failure};
use rustix::net::AddressFamily;
use standin_audit::{Kind, Outcome, Record, Verdict};
use standin_config::Publish;
use standin_model::limits::MAX_PUBLISHED;
use standin_proxy::Session;
use standin_sandbox::Door;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;

/// Bytes moved at once.
const CHUNK: usize = 16 * 1024;
/// How long the host waits after a connection that it could not take.
const PAUSE: Duration = Duration::from_millis(100);

/// The host's side of every published port. Nothing is run before it is there.
pub(super) struct Published(Vec<(Publish, Vec<std::net::TcpListener>)>);

impl Published {
    pub(super) fn listen(ports: &[Publish]) -> Result<Self, Failure> {
        ports.iter().map(|port| Ok((*port, listeners(*port)?))).collect::<Result<_, _>>().map(Self)
    }

    /// Begins to take connections, on the runtime that this is called in.
    pub(super) fn serve(self, door: Option<Door>) -> io::Result<Served> {
        let Some(door) = door.map(Arc::new) else { return Ok(Served(Vec::new())) };
        let room = Arc::new(Semaphore::new(MAX_PUBLISHED));
        let mut ports = Vec::new();
        for (publish, listeners) in self.0 {
            let port = Arc::new(Port { publish, began: (Instant::now(), SystemTime::now()), seen: Seen::default() });
            for listener in listeners {
                let listener = TcpListener::from_std(listener)?;
                tokio::spawn(take(listener, Arc::clone(&port), Arc::clone(&door), Arc::clone(&room)));
            }
            let Publish { port: inside, host_port } = publish;
            exit::say(&format!(
                "port {inside} of the command is at http://localhost:{host_port}; pages from there run in your \
                 browser, outside of the sandbox"
            ));
            ports.push(port);
        }
        Ok(Served(ports))
    }
}

/// Both addresses that `localhost` means; where IPv6 is off, the one.
fn listeners(Publish { host_port, .. }: Publish) -> Result<Vec<std::net::TcpListener>, Failure> {
    let open = |address: IpAddr| {
        let listener = std::net::TcpListener::bind((address, host_port))?;
        listener.set_nonblocking(true)?;
        Ok::<_, io::Error>(listener)
    };
    let failed = |error: io::Error| {
        let failure = Failure::because(format!("cannot publish at port {host_port} of this host"), &error);
        if error.kind() == io::ErrorKind::AddrInUse {
            return failure
                .hint(format!("name another port of this host: --publish PORT:{}", host_port.wrapping_add(1)));
        }
        failure
    };
    let mut listeners = vec![open(Ipv4Addr::LOCALHOST.into()).map_err(failed)?];
    match open(Ipv6Addr::LOCALHOST.into()) {
        Ok(listener) => listeners.push(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) => {}
        Err(error) => return Err(failed(error)),
    }
    Ok(listeners)
}

/// The ports while the command runs.
pub(super) struct Served(Vec<Arc<Port>>);

struct Port {
    publish: Publish,
    began: (Instant, SystemTime),
    seen: Seen,
}

/// What came and went.
#[derive(Default)]
struct Seen {
    connections: AtomicU64,
    /// To the host.
    out: AtomicU64,
    /// From the host.
    into: AtomicU64,
}

impl Served {
    /// Puts on record what came.
    pub(super) async fn end(self, session: &Session) {
        for port in self.0 {
            // A log that takes nothing more has ended the session already.
            let Ok(ticket) = session.audit.reserve().await else { return };
            let connections = port.seen.connections.load(Ordering::Relaxed);
            ticket.write(Box::new(port.record(session, connections)));
            let Publish { port, host_port } = port.publish;
            exit::say(&format!("port {port} was published at {host_port}: {connections} connections"));
        }
    }
}

impl Port {
    fn record(&self, session: &Session, connections: u64) -> Record {
        let since = self.began.1.duration_since(UNIX_EPOCH).unwrap_or_default();
        Record {
            session: session.principal.session.clone(),
            id: session.next_exchange(),
            kind: Kind::Published,
            started_us: i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            duration_us: u64::try_from(self.began.0.elapsed().as_micros()).unwrap_or(u64::MAX),
            ingress: "publish",
            protocol: "raw",
            scheme: "tcp",
            host: Arc::from("localhost"),
            port: self.publish.host_port,
            method: None,
            target: None,
            verdict: Verdict::Allow,
            reason: None,
            rule: Some(Arc::from("publish")),
            credentials: Vec::new(),
            status: None,
            bytes_out: self.seen.out.load(Ordering::Relaxed),
            bytes_in: self.seen.into.load(Ordering::Relaxed),
            peer: None,
            outcome: Outcome::Completed,
            detail: Some(format!(
                "{connections} connections from this host to port {} of the command",
                self.publish.port
            )),
        }
    }
}

/// Takes connections until the session has ended.
async fn take(listener: TcpListener, port: Arc<Port>, door: Arc<Door>, room: Arc<Semaphore>) {
    loop {
        // Whoever comes when too many are there waits in the kernel's backlog.
        let place = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                tracing::warn!(%error, "a connection to a published port could not be taken");
                // Where descriptors or memory have run out it would fail again at once, and nothing tells when some are
                // free: whoever holds them may be another process.
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        port.seen.connections.fetch_add(1, Ordering::Relaxed);
        let (port, door) = (Arc::clone(&port), Arc::clone(&door));
        tokio::spawn(async move {
            if let Err(error) = carry(client, &port, &door).await {
                tracing::debug!(%error, "a connection to a published port ended early");
            }
            drop(place);
        });
    }
}

async fn carry(mut client: TcpStream, port: &Port, door: &Door) -> io::Result<()> {
    let mut server = match connect(port.publish.port, door).await {
        Ok(server) => server,
        Err(error) => {
            // As the kernel would have said it: nobody listens.
            rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO))?;
            return Err(error);
        }
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), server.split());
    let into = pass(&mut from_client, &mut to_server, &port.seen.into);
    let out = pass(&mut from_server, &mut to_client, &port.seen.out);
    tokio::try_join!(into, out).map(drop)
}

/// Passes one direction on, and counts while it does.
async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    count: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        count.fetch_add(length as u64, Ordering::Relaxed);
        to.write_all(&buffer[..length]).await?;
    }
}

/// To the server inside, on whichever of the two addresses it listens.
async fn connect(port: u16, door: &Door) -> io::Result<TcpStream> {
    let mut refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    let both =
        [(AddressFamily::INET, IpAddr::from(Ipv4Addr::LOCALHOST)), (AddressFamily::INET6, Ipv6Addr::LOCALHOST.into())];
    for (family, address) in both {
        let socket = TcpSocket::from_std_stream(door.socket(family)?);
        match socket.connect(SocketAddr::new(address, port)).await {
            Ok(server) => return Ok(server),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}
