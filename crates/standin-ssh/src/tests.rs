//! Both sides against russh's own, where a client or a host does what OpenSSH's would not.

use crate::agent::Agent;
use crate::client::{ConnectError, Server};
use crate::identity::{Identity, IdentityError, KeySource};
use crate::known::KnownHosts;
use crate::server::{Ask, Client};
use crate::{HostKey, Said};
use bytes::Bytes;
use russh::keys::PublicKeyOrCertificate;
use russh::server::{self, Auth, ChannelOpenHandle, Msg, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, client};
use standin_model::{Authority, Host};
use standin_secret::{Secret, SourceError};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::UnixListener;
use tokio::sync::mpsc;

/// A client that believes everybody.
struct Anybody;

impl client::Handler for Anybody {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// A client at our server.
async fn inside() -> (client::Handle<Anybody>, Client) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let key = HostKey::generate().unwrap();
    let theirs = client::connect_stream(Arc::default(), theirs, Anybody);
    let (theirs, ours) = tokio::join!(theirs, Client::accept(ours, &key));
    (theirs.unwrap(), ours.unwrap())
}

/// A stream of ours, and word of its end.
fn watched() -> (impl AsyncRead + AsyncWrite + Send + Unpin + 'static, DuplexStream, mpsc::Receiver<()>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (held, gone) = mpsc::channel(1);
    (Watched(ours, held), theirs, gone)
}

/// A stream that is let go with a sender.
struct Watched(DuplexStream, #[expect(dead_code, reason = "its end is what is heard")] mpsc::Sender<()>);

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// What a client does so that its connection outlives what serves it: it does not close, or asks for more than anybody reads.
#[tokio::test]
async fn a_connection_is_over_when_it_is_let_go() {
    for requests in [0, 300] {
        let (ours, theirs, gone) = watched();
        let key = HostKey::generate().unwrap();
        let theirs = client::connect_stream(Arc::default(), theirs, Anybody);
        let (theirs, ours) = tokio::join!(theirs, Client::accept(ours, &key));
        let (mut theirs, ours) = (theirs.unwrap(), ours.unwrap());
        assert!(theirs.authenticate_none("git").await.unwrap().success());
        let channel = theirs.channel_open_session().await.unwrap();
        for _ in 0..requests {
            channel.set_env(false, "A", "B").await.unwrap();
        }
        drop(ours);
        is_over(gone).await;
    }
}

/// The same of a host that stops in the middle of exchanging keys.
#[tokio::test]
async fn a_connection_to_a_host_is_over_when_it_is_let_go() {
    let (ours, mut theirs, gone) = watched();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("known_hosts");
    std::fs::write(&path, HostKey::generate().unwrap().known_hosts_line()).unwrap();
    let connecting = tokio::spawn(async move {
        let authority = Authority::new(Host::parse("git.example").unwrap(), 22);
        let identity = Identity::Key(Arc::new(Text(String::new())));
        Server::connect(ours, &KnownHosts::new(vec![path]), &authority, "git", &identity).await.err()
    });
    theirs.write_all(b"SSH-2.0-x\r\n").await.unwrap();
    // Its identification, and the beginning of what it offers.
    theirs.read_exact(&mut [0; 100]).await.unwrap();
    connecting.abort();
    assert!(connecting.await.unwrap_err().is_cancelled());
    is_over(gone).await;
}

async fn is_over(mut gone: mpsc::Receiver<()>) {
    let over = tokio::time::timeout(Duration::from_secs(20), gone.recv()).await;
    assert_eq!(over, Ok(None), "it goes on");
}

/// Whether the next answer is that it is done.
async fn done(channel: &mut Channel<client::Msg>) -> bool {
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => return true,
            Some(ChannelMsg::Failure) | None => return false,
            Some(_) => {}
        }
    }
}

#[tokio::test]
async fn one_thing_is_asked_on_one_channel() {
    let (mut theirs, mut ours) = inside().await;
    assert!(theirs.authenticate_none("whoever").await.unwrap().success());
    let mut channel = theirs.channel_open_session().await.unwrap();
    assert!(theirs.channel_open_session().await.is_err(), "a second channel was opened");
    channel.set_env(true, "LD_PRELOAD", "/tmp/x.so").await.unwrap();
    assert!(!done(&mut channel).await);
    channel.set_env(true, "GIT_PROTOCOL", "version=2:x").await.unwrap();
    assert!(!done(&mut channel).await);
    channel.set_env(true, "GIT_PROTOCOL", "version=2").await.unwrap();
    assert!(done(&mut channel).await);
    channel.request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.unwrap();
    assert!(!done(&mut channel).await);
    channel.agent_forward(true).await.unwrap();
    assert!(!done(&mut channel).await);
    channel.exec(true, "one").await.unwrap();
    assert!(done(&mut channel).await);
    channel.exec(true, "two").await.unwrap();
    assert!(!done(&mut channel).await, "a second command was taken");
    channel.request_shell(true).await.unwrap();
    assert!(!done(&mut channel).await, "a shell was taken after a command");

    let asked = ours.next().await.unwrap();
    assert_eq!(
        (asked.user.as_str(), &asked.ask, asked.protocol),
        ("whoever", &Ask::Command(b"one".to_vec()), Some("version=2"))
    );
    asked.refuse("no").await;
    let mut said = Vec::new();
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::ExtendedData { data, ext: 1 } => said.extend(data),
            ChannelMsg::ExitStatus { exit_status } => assert_eq!(exit_status, 1),
            _ => {}
        }
    }
    assert_eq!(said, b"no\n");
    // Then the next one, of which nothing of the first is left.
    let channel = loop {
        // Until our side has heard that the first is closed.
        if let Ok(channel) = theirs.channel_open_session().await {
            break channel;
        }
    };
    channel.request_subsystem(false, "sftp").await.unwrap();
    let asked = ours.next().await.unwrap();
    assert_eq!((&asked.ask, asked.protocol), (&Ask::Subsystem("sftp".into()), None));
}

#[tokio::test]
async fn nothing_is_forwarded_and_passwords_are_not_looked_at() {
    let (mut theirs, _ours) = inside().await;
    assert!(!theirs.authenticate_password("git", "secret").await.unwrap().success());
    assert!(theirs.authenticate_none("git").await.unwrap().success());
    assert!(theirs.channel_open_direct_tcpip("127.0.0.1", 80, "127.0.0.1", 1).await.is_err());
    assert!(theirs.channel_open_direct_streamlocal("/run/x.sock").await.is_err());
    assert!(theirs.tcpip_forward("0.0.0.0", 8080).await.is_err());
    assert!(theirs.streamlocal_forward("/tmp/x.sock").await.is_err());
}

/// A host that believes every key, and tries to open channels of its own to its client.
struct Hostile(mpsc::Sender<(&'static str, bool)>);

impl server::Handler for Hostile {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(Some("\x1b]0;owned\x07".to_owned()))
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        _: &[u8],
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        let (handle, tried) = (session.handle(), self.0.clone());
        session.channel_success(id)?;
        tokio::spawn(async move {
            for (kind, opened) in [
                ("agent", handle.channel_open_agent().await.is_ok()),
                ("forwarded", handle.channel_open_forwarded_tcpip("x", 1, "y", 2).await.is_ok()),
                ("x11", handle.channel_open_x11("x", 1).await.is_ok()),
                ("session", handle.channel_open_session().await.is_ok()),
            ] {
                tried.send((kind, opened)).await.unwrap();
            }
        });
        Ok(())
    }
}

struct Text(String);

impl KeySource for Text {
    fn fetch(&self) -> Result<Secret, SourceError> {
        Ok(Secret::new(self.0.clone().into_bytes()))
    }
}

/// Our client at a host, with a key of this text.
async fn outside(key: String) -> (Result<Server, ConnectError>, mpsc::Receiver<(&'static str, bool)>) {
    outside_with(&Identity::Key(Arc::new(Text(key)))).await
}

async fn outside_with(identity: &Identity) -> (Result<Server, ConnectError>, mpsc::Receiver<(&'static str, bool)>) {
    let (ours, theirs): (DuplexStream, DuplexStream) = tokio::io::duplex(64 * 1024);
    let host_key = HostKey::generate().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("known_hosts");
    std::fs::write(&path, host_key.known_hosts_line()).unwrap();
    let (tell, told) = mpsc::channel(8);
    let config = server::Config { keys: vec![host_key.0], ..server::Config::default() };
    tokio::spawn(async move { server::run_stream(Arc::new(config), theirs, Hostile(tell)).await?.await });
    let authority = Authority::new(Host::parse("git.example").unwrap(), 22);
    (Server::connect(ours, &KnownHosts::new(vec![path]), &authority, "git", identity).await, told)
}

/// An agent with one key, whose owner says no each time; counts how often.
async fn unwilling(listener: UnixListener, asked: Arc<AtomicUsize>) {
    const FAILURE: u8 = 5;
    let key = HostKey::generate().unwrap().0.public_key().to_bytes().unwrap();
    let counted = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let identities = [&[12, 0, 0, 0, 1], &counted(&key)[..], &counted(b"")].concat();
    while let Ok((mut stream, _)) = listener.accept().await {
        while let Ok(length) = stream.read_u32().await {
            let mut request = vec![0; length as usize];
            stream.read_exact(&mut request).await.unwrap();
            let answer = match request[0] {
                11 => identities.clone(),
                13 => {
                    asked.fetch_add(1, Ordering::Relaxed);
                    vec![FAILURE]
                }
                _ => vec![FAILURE],
            };
            stream.write_all(&counted(&answer)).await.unwrap();
        }
    }
}

/// Who decides when the agent is asked is inside, and does not get a yes by asking until its owner gives in.
#[tokio::test]
async fn an_agent_that_does_not_sign_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent.sock");
    let asked = Arc::new(AtomicUsize::new(0));
    tokio::spawn(unwilling(UnixListener::bind(&socket).unwrap(), Arc::clone(&asked)));
    let identity = Identity::Agent(Arc::new(Agent::new(socket, None)));
    for _ in 0..3 {
        let (server, _) = outside_with(&identity).await;
        assert!(matches!(server.err(), Some(ConnectError::Identity(IdentityError::Unsigned(_)))));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1, "its owner was asked again");
}

fn a_key() -> String {
    HostKey::generate().unwrap().0.to_openssh(russh::keys::ssh_key::LineEnding::LF).unwrap().to_string()
}

#[tokio::test]
async fn a_host_opens_nothing() {
    let (server, mut tried) = outside(a_key()).await;
    let (_from, to) = server.unwrap().run("git-upload-pack 'a'", Some("version=2")).await.unwrap();
    for kind in ["agent", "forwarded", "x11", "session"] {
        assert_eq!(tried.recv().await, Some((kind, false)));
    }
    to.data(Bytes::from_static(b"x")).await.unwrap();
}

#[tokio::test]
async fn a_key_is_one_that_is_signed_with_here() {
    let (server, _) = outside("no key".to_owned()).await;
    assert!(matches!(server.err(), Some(ConnectError::Identity(IdentityError::Malformed))));
    for (kind, passphrase, expected) in [("ed25519", "secret", "encrypted"), ("rsa", "", "RSA"), ("ecdsa", "", "")] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let mut keygen = std::process::Command::new("ssh-keygen");
        keygen.args(["-q", "-t", kind, "-N", passphrase, "-f"]).arg(&path);
        assert!(keygen.status().expect("./test installs OpenSSH").success());
        let (server, _) = outside(std::fs::read_to_string(&path).unwrap()).await;
        match server {
            Ok(_) => assert_eq!(expected, "", "{kind}"),
            Err(error) => assert!(!expected.is_empty() && error.to_string().contains(expected), "{kind}: {error}"),
        }
    }
}

/// What goes through both sides comes out as it was, in order, and what is not read is not buffered without end.
#[tokio::test]
async fn a_reader_that_waits_holds_up_the_writer() {
    let (mut theirs, mut ours) = inside().await;
    assert!(theirs.authenticate_none("git").await.unwrap().success());
    let channel = theirs.channel_open_session().await.unwrap();
    channel.exec(false, "x").await.unwrap();
    let (mut from, to) = ours.next().await.unwrap().into_conversation();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let (mut reader, writer) = channel.split();
    let piece = Bytes::from(vec![7; 32 * 1024]);
    let write = tokio::spawn(async move {
        for _ in 0..1024 {
            to.data(piece.clone()).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        }
        to.finish(0).await.unwrap();
    });
    // The other direction is not held up by it.
    writer.data_bytes(Bytes::from_static(b"up")).await.unwrap();
    assert_eq!(from.next().await, Said::Data(Bytes::from_static(b"up")));
    let stalled = sent.load(Ordering::Relaxed);
    assert!(stalled < 1024, "{stalled} pieces were taken for nobody");
    let mut received = 0;
    while let Some(message) = reader.wait().await {
        if let ChannelMsg::Data { data } = message {
            received += data.len();
        }
    }
    write.await.unwrap();
    assert_eq!(received, 32 * 1024 * 1024);
}
