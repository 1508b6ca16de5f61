//! A bare relay: TLS from the client, TLS to the origin, bytes copied in between. No proxy that looks at what it
//! carries can be cheaper.

use super::origin::ready;
use super::tls;
use crate::Failure;
use standin_ca::SessionCa;
use standin_model::Host;
use std::io;
use std::time::SystemTime;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Bytes copied at once, as much as a TLS record holds.
const CHUNK: usize = 16 * 1024;

/// Serves until it is ended. Its argument is where its certificate goes; `SSL_CERT_FILE` is the origin's.
pub(super) fn serve() -> Result<(), Failure> {
    let ca = SessionCa::generate(SystemTime::now())?;
    let certificate = std::env::args_os().nth(2).ok_or("the relay was started by hand")?;
    std::fs::write(certificate, ca.certificate_pem())?;
    // The relay does not read what it carries, so both sides must have agreed on the same protocol beforehand.
    let arms: [&'static [&'static [u8]]; 2] = [&[b"http/1.1"], &[b"h2"]];
    let host = Host::parse(super::HOST)?;
    let mut faces = Vec::new();
    for alpn in arms {
        let acceptor = TlsAcceptor::from(ca.server_config(&host, alpn)?);
        faces.push((acceptor, TlsConnector::from(tls::client(alpn, true)?)));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(super::RELAY).await?;
        ready()?;
        loop {
            let (socket, _) = listener.accept().await?;
            // What a client breaks off is its own affair.
            tokio::spawn(carry(socket, faces.clone()));
        }
    })
}

async fn carry(socket: TcpStream, faces: Vec<(TlsAcceptor, TlsConnector)>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let start = tokio_rustls::LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket).await?;
    let http2 = start.client_hello().alpn().is_some_and(|mut offered| offered.any(|name| name == b"h2"));
    let (acceptor, connector) = &faces[usize::from(http2)];
    let mut client = start.into_stream(std::sync::Arc::clone(acceptor.config())).await?;
    let socket = TcpStream::connect(super::ORIGIN).await?;
    socket.set_nodelay(true)?;
    let mut origin = connector.connect(tls::name(), socket).await?;
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut origin, CHUNK, CHUNK).await.map(|_| ())
}
