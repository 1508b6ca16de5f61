//! What the sandbox's clients speak with.
//!
//! Who they are does not matter: nobody but the sandbox reaches this server, and a key inside would be one to steal. One channel
//! is open at a time, and one thing is asked on it. What is not asked by `exec` is answered in words, for people and models to read.

use crate::algorithms::{self, HOST_KEYS};
use crate::leash::{Leash, leashed};
use crate::{HostKey, Said};
use bytes::Bytes;
use russh::keys::PrivateKey;
use russh::server::VerifiedPublicKey;
use russh::server::{self, Auth, ChannelOpenHandle, Config, Handle, Msg, PublicKeyOffer, RunningSession, Session};
use russh::{Channel, ChannelId, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Disconnect};
use russh::{MethodKind, MethodSet, Pty, SshId};
use standin_model::limits::{SSH_FAREWELL, SSH_IDLE};
use standin_wire::ssh::{IDENTIFICATION, protocol_version};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// Attempts to authenticate. The first one succeeds.
const MAX_ATTEMPTS: usize = 3;
/// The stream of a command's errors (RFC 4254 §5.2).
const STDERR: u32 = 1;

/// A client that has not been spoken with yet, or asks one thing after the other.
pub struct Client {
    asks: mpsc::Receiver<Asked>,
    session: RunningSession<Listener>,
    /// Whether the session is over, of which one hears once.
    over: bool,
    waiting: Waiting,
    leash: Option<Leash>,
}

/// The open channel, as long as nothing was asked on it. What comes in meanwhile stays in it, and the connection waits where that
/// is much: until the channel is taken out.
type Waiting = Arc<Mutex<Option<Channel<Msg>>>>;

/// Something that a client asked, on a channel of its own.
pub struct Asked {
    /// Who the client wants to be.
    pub user: String,
    /// What is asked.
    pub ask: Ask,
    /// The version of git's protocol that it speaks.
    pub protocol: Option<&'static str>,
    channel: Channel<Msg>,
    place: Arc<Place>,
}

/// There is one on each connection: who holds it is answered before the next one is heard.
struct Place;

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    /// A command.
    Command(Vec<u8>),
    /// A shell.
    Shell,
    /// A subsystem, `sftp` for example.
    Subsystem(String),
}

/// What a client says.
pub struct FromClient(ChannelReadHalf);

/// What is said to a client.
pub struct ToClient(ChannelWriteHalf<Msg>, #[expect(dead_code, reason = "held until it is over")] Arc<Place>);

impl Client {
    /// Begins to speak with a client over this stream.
    pub async fn accept(
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        key: &HostKey,
    ) -> Result<Self, russh::Error> {
        let (ask, asks) = mpsc::channel(1);
        let waiting = Waiting::default();
        let listener =
            Listener { ask, user: String::new(), protocol: None, taken: Weak::new(), waiting: Arc::clone(&waiting) };
        let (io, leash) = leashed(io);
        let accepted = server::run_stream(Arc::new(config(key.0.clone())), io, listener);
        let session = tokio::time::timeout(SSH_IDLE, accepted).await.map_err(russh::Error::from)??;
        Ok(Self { asks, session, over: false, waiting, leash: Some(leash) })
    }

    /// What it asks next; nothing when it is gone, or asks nothing for [`SSH_IDLE`].
    pub async fn next(&mut self) -> Option<Asked> {
        tokio::select! {
            asked = tokio::time::timeout(SSH_IDLE, self.asks.recv()) => asked.ok().flatten(),
            _ = &mut self.session => {
                self.over = true;
                None
            }
        }
    }

    /// Ends the connection: with a word, if the client takes it within [`SSH_FAREWELL`].
    pub async fn end(mut self) {
        if self.over {
            return;
        }
        let handle: Handle = self.session.handle();
        let farewell = async {
            // One that has ended already needs no word.
            handle.disconnect(Disconnect::ByApplication, String::new(), String::new()).await.ok();
            (&mut self.session).await.ok();
        };
        tokio::time::timeout(SSH_FAREWELL, farewell).await.ok();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.leash.take());
        // Nothing more is read, so what waits for room in this goes on, and nothing comes after it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn config(key: PrivateKey) -> Config {
    Config {
        server_id: SshId::Standard(IDENTIFICATION.into()),
        methods: MethodSet::from(&[MethodKind::None, MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::ZERO,
        keys: vec![key],
        preferred: algorithms::preferred(HOST_KEYS.to_vec()),
        max_auth_attempts: MAX_ATTEMPTS,
        inactivity_timeout: None, // the one who waits knows what for
        ..Config::default()
    }
}

impl Asked {
    /// Answers in words, and says that it failed.
    pub async fn refuse(self, words: &str) {
        let to = ToClient(self.channel.split().1, self.place);
        // Whoever has gone meanwhile does not hear it.
        to.errors(Bytes::from(format!("{words}\n"))).await.ok();
        to.finish(1).await.ok();
    }

    /// Both directions of its channel.
    pub fn into_conversation(self) -> (FromClient, ToClient) {
        let (from, to) = self.channel.split();
        (FromClient(from), ToClient(to, self.place))
    }
}

impl FromClient {
    /// What comes next.
    pub async fn next(&mut self) -> Said {
        loop {
            return match self.0.wait().await {
                None | Some(ChannelMsg::Close) => Said::Gone,
                Some(ChannelMsg::Data { data }) => Said::Data(data),
                Some(ChannelMsg::Eof) => Said::End,
                Some(_) => continue,
            };
        }
    }
}

impl ToClient {
    /// Sends output, when the client has room for it.
    pub async fn data(&self, data: Bytes) -> Result<(), russh::Error> {
        self.0.data_bytes(data).await
    }

    /// Sends output for people.
    pub async fn errors(&self, data: Bytes) -> Result<(), russh::Error> {
        self.0.extended_data_bytes(STDERR, data).await
    }

    /// The command has ended.
    pub async fn finish(&self, status: u32) -> Result<(), russh::Error> {
        self.0.exit_status(status).await?;
        self.0.eof().await?;
        self.0.close().await
    }
}

/// What of a connection is waited for.
struct Listener {
    ask: mpsc::Sender<Asked>,
    user: String,
    protocol: Option<&'static str>,
    /// The place of what was asked last: we hear of no channel's end that we end.
    taken: Weak<Place>,
    waiting: Waiting,
}

impl Listener {
    fn waiting(&self) -> MutexGuard<'_, Option<Channel<Msg>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what is asked on a channel, if it is the first.
    fn asked(&mut self, id: ChannelId, ask: Ask, session: &mut Session) -> Result<(), russh::Error> {
        let Some(channel) = self.waiting().take_if(|channel| channel.id() == id) else {
            return session.channel_failure(id);
        };
        let place = Arc::new(Place);
        self.taken = Arc::downgrade(&place);
        let asked = Asked { user: self.user.clone(), ask, protocol: self.protocol.take(), channel, place };
        // There is one at a time. Where nobody listens any more the connection is about to end.
        match self.ask.try_send(asked) {
            Ok(()) => session.channel_success(id),
            Err(_) => session.channel_failure(id),
        }
    }
}

impl server::Handler for Listener {
    type Error = russh::Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Self::Error> {
        user.clone_into(&mut self.user);
        Ok(Auth::Accept)
    }

    async fn auth_publickey_offered(&mut self, _: &str, _: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn auth_publickey(&mut self, user: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        user.clone_into(&mut self.user);
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.waiting().is_some() || self.taken.strong_count() > 0 {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        *self.waiting() = Some(channel);
        self.protocol = None;
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.waiting().take_if(|channel| channel.id() == id);
        Ok(())
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match protocol_version(value.as_bytes()) {
            Some(version) if name == "GIT_PROTOCOL" && self.waiting().is_some() => {
                self.protocol = Some(version);
                session.channel_success(id)
            }
            _ => session.channel_failure(id),
        }
    }

    async fn exec_request(&mut self, id: ChannelId, command: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        self.asked(id, Ask::Command(command.to_vec()), session)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.asked(id, Ask::Shell, session)
    }

    async fn subsystem_request(&mut self, id: ChannelId, name: &str, session: &mut Session) -> Result<(), Self::Error> {
        self.asked(id, Ask::Subsystem(name.to_owned()), session)
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }
}
