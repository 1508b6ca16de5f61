//! The internet: servers for TCP (TLS, HTTP, anything), UDP and DNS, on every address of the private network.

use super::naive;
use super::recorder::{ENDING, Recorder};
use super::{HOST_SERVICE, PROXY_PORT};
use crate::forms;
use rustls::server::Acceptor;
use rustls::{ServerConnection, StreamOwned};
use standin_ca::SessionCa;
use standin_model::Host;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Ports that attempts dial: web, DNS, DoT, SSH, databases, Docker, browsers, models.
const TCP: &[u16] = &[22, 53, 80, 443, 853, 2375, 5432, 8443, HOST_SERVICE, 11434];
/// Proxies without care, and the page by which one is administered.
const PROXIES: &[u16] = &[1080, 8080, PROXY_PORT];
const UDP: &[u16] = &[53, 443, 9999];
/// A peer that says nothing for so long is given up, so that a run ends.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest piece that is looked at.
const PIECE: usize = 64 * 1024;

/// The servers.
pub(crate) struct Internet {
    pub(crate) recorder: Recorder,
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
}

/// What the servers know.
pub(crate) struct Shared {
    ca: SessionCa,
    pub(crate) recorder: Recorder,
    /// A real token, for who logs in.
    token: Mutex<String>,
}

impl Internet {
    /// Starts all of them.
    pub(crate) fn start(ca: SessionCa) -> io::Result<Self> {
        let recorder = Recorder::default();
        let shared = Arc::new(Shared { ca, recorder: recorder.clone(), token: Mutex::default() });
        let mut addresses = Vec::new();
        for port in TCP.iter().chain(PROXIES) {
            // Both families; the private network has every address.
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port))?;
            addresses.push(SocketAddr::from(([127, 0, 0, 1], *port)));
            let shared = Arc::clone(&shared);
            let serve = if PROXIES.contains(port) { naive::serve } else { serve };
            std::thread::spawn(move || accept(&listener, &shared, serve));
        }
        for port in UDP {
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, *port))?;
            let recorder = recorder.clone();
            std::thread::spawn(move || datagrams(&socket, &recorder));
        }
        Ok(Self { recorder, addresses, shared })
    }

    /// Sets what a login gives.
    pub(crate) fn prepare(&self, token: String) {
        *self.shared.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Waits until everything that was sent before is seen, and gives it. Whoever sent it must have ended, and `others`
    /// is how many endings the rig's other servers have been sent.
    pub(crate) fn all(&self, others: usize) -> io::Result<Vec<u8>> {
        for address in &self.addresses {
            TcpStream::connect(address)?.write_all(ENDING)?;
        }
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        for port in UDP {
            socket.send_to(ENDING, ("127.0.0.1", *port))?;
        }
        Ok(self.recorder.all(self.addresses.len() + UDP.len() + others))
    }
}

type Serve = fn(&Arc<Shared>, TcpStream) -> io::Result<()>;

fn accept(listener: &TcpListener, shared: &Arc<Shared>, serve: Serve) {
    while let Ok((socket, _)) = listener.accept() {
        let serving = shared.recorder.begin();
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let served = socket.set_read_timeout(Some(PATIENCE)).and_then(|()| serve(&shared, socket));
            // Peers break off as they like; what came before is written down.
            drop((served, serving));
        });
    }
}

/// Datagrams are written down; DNS queries get an answer, so that nobody waits.
fn datagrams(socket: &UdpSocket, recorder: &Recorder) {
    let mut buffer = [0; 2048];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
        recorder.saw("udp", &buffer[..length]);
        if socket.local_addr().is_ok_and(|address| address.port() == 53) && length > 12 {
            let mut answer = buffer[..length].to_vec();
            answer[2..4].copy_from_slice(&[0x81, 0x83]); // a response: there is no such name
            socket.send_to(&answer, peer).ok(); // who has gone needs none
        }
    }
}

/// Whatever comes: TLS or not, HTTP or not.
pub(crate) fn serve(shared: &Arc<Shared>, socket: TcpStream) -> io::Result<()> {
    let local = socket.local_addr()?.to_string();
    let mut first = vec![0; PIECE];
    let length = socket.peek(&mut first)?;
    if first.first() != Some(&22) || length == 0 {
        return talk(shared, &local, socket);
    }
    // What a greeting hides is seen, too, whether it leads to a connection or not.
    shared.recorder.saw(&local, &first[..length]);
    let tls = accept_tls(shared, socket)?;
    talk(shared, &format!("{local} tls"), tls)
}

fn accept_tls(shared: &Shared, mut socket: TcpStream) -> io::Result<StreamOwned<ServerConnection, TcpStream>> {
    let mut acceptor = Acceptor::default();
    let accepted = loop {
        if acceptor.read_tls(&mut socket)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => break accepted,
            Ok(None) => {}
            Err((error, _)) => return Err(io::Error::other(error)),
        }
    };
    let name = accepted.client_hello().server_name().unwrap_or("nameless.example").to_owned();
    let host = Host::parse(&name).map_err(io::Error::other)?;
    let config = shared.ca.server_config(&host, &[b"http/1.1", b"opaque"]).map_err(io::Error::other)?;
    let connection = accepted.into_connection(config).map_err(|(error, _)| io::Error::other(error))?;
    Ok(StreamOwned::new(connection, socket))
}

/// HTTP if it looks like it; anything else is written down and answered with a word.
fn talk(shared: &Shared, place: &str, stream: impl Read + Write) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let piece = stream.fill_buf()?;
        if piece.is_empty() {
            return Ok(());
        }
        if !piece[0].is_ascii_uppercase() || piece.starts_with(b"SSH-") {
            shared.recorder.saw(place, piece);
            return stream.get_mut().write_all(b"rig\n");
        }
        let head = read_head(&mut stream)?;
        shared.recorder.saw(place, head.as_bytes());
        let body = read_body(&head, &mut stream)?;
        shared.recorder.saw(place, &body);
        let answer = shared.answer(&head, &body);
        stream.get_mut().write_all(answer.as_bytes())?;
        stream.get_mut().flush()?;
        if answer.starts_with("HTTP/1.1 101") {
            return raw(shared, place, &mut stream);
        }
        if field(&head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            // What was smuggled in behind the request is here already.
            shared.recorder.saw(place, stream.buffer());
            return Ok(());
        }
    }
}

/// Everything up to the end.
fn raw(shared: &Shared, place: &str, stream: &mut impl BufRead) -> io::Result<()> {
    loop {
        let piece = stream.fill_buf()?;
        let length = piece.len();
        if length == 0 {
            return Ok(());
        }
        shared.recorder.saw(place, piece);
        stream.consume(length);
    }
}

pub(crate) fn read_head(stream: &mut impl BufRead) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if stream.read_until(b'\n', &mut head)? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn read_body(head: &str, stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = field(head, "content-length").and_then(|text| text.parse().ok()) {
        stream.take(length).read_to_end(&mut body)?;
    } else if field(head, "transfer-encoding").is_some() {
        while !body.ends_with(b"0\r\n\r\n") && stream.read_until(b'\n', &mut body)? > 0 {}
    }
    Ok(body)
}

/// A field's value.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(known, _)| known.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

impl Shared {
    fn answer(&self, head: &str, body: &[u8]) -> String {
        let path = head.split_whitespace().nth(1).unwrap_or("/");
        let close = field(head, "connection").unwrap_or("keep-alive");
        if let Some(mark) = path.split_once("/redirect/").map(|(_, mark)| mark) {
            return format!(
                "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/{mark}\r\n\
                 content-length: 0\r\nconnection: close\r\n\r\n"
            );
        }
        if path.starts_with("/upgrade") {
            // The key of RFC 6455 §1.3 and its answer.
            return "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
                .to_owned();
        }
        let text = match path {
            path if path.contains("oauth") => {
                let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
                format!("{{\"access_token\":\"{token}\"}}")
            }
            path if path.starts_with("/echo") => echo(head, body),
            _ => "hello\n".to_owned(),
        };
        let length = text.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nx-echo: {}\r\nconnection: {close}\r\n\r\n{text}",
            field(head, "authorization").unwrap_or("none")
        )
    }
}

/// All that came, and the key in every form.
fn echo(head: &str, body: &[u8]) -> String {
    let key = field(head, "authorization").unwrap_or_default();
    let key = key.strip_prefix("Bearer ").unwrap_or(key);
    format!("{head}{}\n{}\n", String::from_utf8_lossy(body), forms::of(key).join("\n"))
}
