//! What attempts speak: HTTP in the clear and in TLS, to a name or through a proxy.

use crate::rig::{PROXY, PROXY_PORT};
use crate::vector::{Attacked, Stop, Tried};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// A peer that says nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(8);

/// A connection to a name or an address.
pub(crate) fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let address = (host, port).to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Sends bytes and gives what comes back until the other side closes.
pub(crate) fn clear(host: &str, port: u16, bytes: &[u8]) -> Tried {
    let mut socket = connect(host, port).attacked("connecting")?;
    socket.write_all(bytes).attacked("sending")?;
    Ok(answer(&mut socket))
}

/// A request without a body, in the clear.
pub(crate) fn get(host: &str, port: u16, path: &str) -> Tried {
    clear(host, port, request("GET", host, path, &[], "").as_bytes())
}

/// The text of a request that is the only one on its connection.
pub(crate) fn request(method: &str, host: &str, path: &str, fields: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in fields {
        text.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() {
        text.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
    }
    text + "\r\n" + body
}

/// Speaks TLS with `name`, at `host`, and sends bytes through it.
pub(crate) fn tls(host: &str, name: &str, protocols: &[&[u8]], bytes: &[u8]) -> Tried {
    let socket = connect(host, 443).attacked("connecting")?;
    let mut stream = secure(socket, name, protocols)?;
    stream.write_all(bytes).attacked("sending")?;
    Ok(answer(&mut stream))
}

/// A request in TLS.
pub(crate) fn https(method: &str, host: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Tried {
    tls(host, host, &[], request(method, host, path, fields, body).as_bytes())
}

/// What the environment holds: outside the real key, inside its stand-in.
pub(crate) fn variable(name: &str) -> Result<String, Stop> {
    std::env::var(name).map_err(|_| Stop::Untried(format!("{name} is not set")))
}

/// As the user's own tools ask GitHub.
pub(crate) fn github(method: &str, path: &str, body: &str) -> Tried {
    let token = format!("Bearer {}", variable("GH_TOKEN")?);
    https(method, "api.github.com", path, &[("authorization", &token)], body)
}

/// TLS over a connection, believing what the environment says.
pub(crate) fn secure(
    socket: TcpStream,
    name: &str,
    protocols: &[&[u8]],
) -> Result<StreamOwned<ClientConnection, TcpStream>, Stop> {
    let bundle = variable("SSL_CERT_FILE")?;
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(bundle).map_err(io::Error::other)?;
    roots.add_parsable_certificates(certificates.flatten());
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, socket))
}

/// Asks the proxy for a tunnel and sends bytes through it.
pub(crate) fn through(target: &str, bytes: &[u8]) -> Tried {
    let mut socket = connect(PROXY, PROXY_PORT).attacked("connecting to the proxy")?;
    socket.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).attacked("asking")?;
    let mut reply = [0; 1024];
    let length = socket.read(&mut reply).attacked("the proxy's answer")?;
    let line = String::from_utf8_lossy(&reply[..length]).lines().next().unwrap_or_default().to_owned();
    if !line.contains(" 200 ") {
        return Err(Stop::Refused(line));
    }
    socket.write_all(bytes).attacked("sending")?;
    Ok(answer(&mut socket))
}

/// Asks the proxy for a URL.
pub(crate) fn fetch_through(url: &str, host: &str) -> Tried {
    let text = format!("GET {url} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    clear(PROXY, PROXY_PORT, text.as_bytes())
}

/// What comes until the end, or until it breaks off: what counts is what the rig saw.
pub(crate) fn answer(stream: &mut impl Read) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).ok(); // what came before stays
    String::from_utf8_lossy(&text).into_owned()
}

/// A DNS query for the address of a name.
pub(crate) fn query(name: &str) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap_or_default());
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    query
}

/// Tries several ways; the first refusal is told if none does anything, and what did otherwise.
pub(crate) fn any_of(ways: impl IntoIterator<Item = Tried>) -> Tried {
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for way in ways {
        match way {
            Ok(text) => done.push(text),
            Err(Stop::Refused(text)) => refused.push(text),
            Err(untried @ Stop::Untried(_)) => return Err(untried),
        }
    }
    if done.is_empty() { Err(Stop::Refused(refused.join("; "))) } else { Ok(done.join("\n")) }
}
