//! A proxy without care: HTTP and SOCKS5, with the mistakes that real ones were found to make.
//!
//! It knows an allowed name when it sees one anywhere in the target, refuses two spellings of what it must not reach,
//! cuts names as C does, follows redirects, and has a page for its administrator. Attacks on a proxy are shown to work
//! on it.

use super::recorder::ENDING;
use super::servers::{Shared, field, read_head};
use super::{EVIL, OK};
use std::io::{self, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;

/// Serves one client.
pub(crate) fn serve(shared: &Arc<Shared>, client: TcpStream) -> io::Result<()> {
    let mut first = [0];
    if client.peek(&mut first)? == 0 {
        return Ok(());
    }
    if first == [5] { socks(client) } else { http(shared, client) }
}

/// RFC 1928, as far as a client that asks for a name needs it.
fn socks(mut client: TcpStream) -> io::Result<()> {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting)?;
    client.read_exact(&mut vec![0; usize::from(greeting[1])])?;
    client.write_all(&[5, 0])?;
    let mut request = [0; 5];
    client.read_exact(&mut request)?;
    let mut name = vec![0; usize::from(request[4])];
    client.read_exact(&mut name)?;
    let mut port = [0; 2];
    client.read_exact(&mut port)?;
    let origin = dial(&String::from_utf8_lossy(&name), u16::from_be_bytes(port))?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    relay(client, origin)
}

fn http(shared: &Arc<Shared>, client: TcpStream) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let head = read_head(&mut client)?;
    if head.as_bytes() == ENDING {
        shared.recorder.saw("", ENDING);
        return Ok(());
    }
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method == "CONNECT" {
        let (host, port) = target.rsplit_once(':').ok_or(io::ErrorKind::InvalidInput)?;
        let origin = dial(host, port.parse().map_err(io::Error::other)?)?;
        client.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        return relay(client.into_inner(), origin);
    }
    let Some(rest) = target.strip_prefix("http://") else {
        // Whoever asks for no host is its administrator.
        return client
            .get_mut()
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\nconnection: close\r\n\r\nadministration");
    };
    let answer = fetch(rest, &head)?;
    client.get_mut().write_all(&answer)
}

/// Sends a request on as it came, and goes where its answer leads.
fn fetch(rest: &str, head: &str) -> io::Result<Vec<u8>> {
    // Up to the slash that comes last before the path, as a parser does that knows no userinfo.
    let authority = rest.rsplit_once('/').map_or(rest, |(authority, _)| authority);
    let (host, port) = match authority.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (host, port),
        _ => (authority, 80),
    };
    let mut origin = dial(host, port)?;
    origin.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    origin.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let Some(location) = field(&text, "location").and_then(|url| url.strip_prefix("http://")) else {
        return Ok(answer);
    };
    let (host, path) = location.split_once('/').unwrap_or((location, ""));
    let mut next = TcpStream::connect((host, 80))?;
    write!(next, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    next.read_to_end(&mut answer)?;
    Ok(answer)
}

/// Judges a name by its letters, then dials what a C library makes of it.
fn dial(name: &str, port: u16) -> io::Result<TcpStream> {
    let denied = [EVIL, "127.0.0.1", "localhost", "::1", "[::1]"].contains(&name);
    if denied && !name.contains(OK) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let name = name.replace("%00", "\0").replace("%0d", "\r").replace("%0D", "\r").replace('ⓔ', "e");
    let ends = |c: char| c == '#' || c == '\\' || c == '/' || c.is_control() || c == ' ';
    let name = match name.split_once('#') {
        Some((before, _)) => before.to_owned(),
        None => name.rsplit_once('@').map_or(name.clone(), |(_, host)| host.to_owned()),
    };
    let name = name.split(ends).next().unwrap_or_default();
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let address = (name, port).to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    TcpStream::connect(address)
}

fn relay(client: TcpStream, origin: TcpStream) -> io::Result<()> {
    let (mut from_client, mut to_client) = (client.try_clone()?, client);
    let (mut from_origin, mut to_origin) = (origin.try_clone()?, origin);
    let there = std::thread::spawn(move || {
        io::copy(&mut from_client, &mut to_origin).ok(); // either side may break off
        to_origin.shutdown(std::net::Shutdown::Write).ok();
    });
    io::copy(&mut from_origin, &mut to_client).ok();
    to_client.shutdown(std::net::Shutdown::Both).ok();
    drop(there.join());
    Ok(())
}
