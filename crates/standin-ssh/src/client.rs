//! The way to a host: whose key is known, where the user's key authenticates, and one command is run.

use crate::Said;
use crate::algorithms::{self, HOST_KEYS};
use crate::identity::{Identity, IdentityError};
use crate::known::{self, HostKeys, KnownHosts, KnownHostsError};
use crate::leash::{Leash, leashed};
use bytes::Bytes;
use russh::client::{self, ChannelOpenHandle, Config, Handle, Msg, Session};
use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, SshId};
use standin_model::Authority;
use standin_model::limits::SSH_DEADLINE;
use standin_wire::ssh::IDENTIFICATION;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection to a host whose key is known.
pub(crate) type Connected = Handle<Guard>;

/// A host at which the user is authenticated.
pub struct Server(Connected, Leash);

/// What a command on a host says.
pub struct FromServer {
    half: ChannelReadHalf,
    _connection: Connected,
    _leash: Leash,
}

/// What is said to a command on a host.
pub struct ToServer(ChannelWriteHalf<Msg>);

/// Why there is no connection to a host.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Who is known cannot be told.
    #[error("the known hosts cannot be read")]
    KnownHosts(#[from] KnownHostsError),
    /// No key of it is known.
    #[error("no host key is known for {0}")]
    Unknown(String),
    /// Those that are known are of kinds that are not verified.
    #[error("of {0} only host keys are known that are not verified here (RSA, DSA)")]
    Unverifiable(String),
    /// It shows another key than the one that is known.
    #[error("{name} shows the host key {fingerprint}, which is not the one that is known")]
    Changed {
        /// The host.
        name: String,
        /// What it shows.
        fingerprint: String,
    },
    /// It shows a key that the user has revoked.
    #[error("{name} shows the host key {fingerprint}, which is revoked")]
    Revoked {
        /// The host.
        name: String,
        /// What it shows.
        fingerprint: String,
    },
    /// The protocol broke.
    #[error("the SSH connection failed")]
    Transport(#[from] russh::Error),
    /// It took too long.
    #[error("no SSH connection within {0:?}")]
    Silent(Duration),
    /// There is no key to authenticate with.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The host did not want it.
    #[error("{name} did not accept the key for the user {user}")]
    NotAccepted {
        /// The host.
        name: String,
        /// The user there.
        user: String,
    },
}

impl Server {
    /// Speaks SSH with a host over this stream, verifies its key, then authenticates.
    pub async fn connect(
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        known: &KnownHosts,
        authority: &Authority,
        user: &str,
        identity: &Identity,
    ) -> Result<Self, ConnectError> {
        let name = known::name(authority);
        // Small local files, read once a connection.
        let keys = known.of(authority)?;
        let (io, leash) = leashed(io);
        let connected = async {
            let mut handle = verified(io, keys, &name).await?;
            if !identity.authenticate(&mut handle, user).await? {
                return Err(ConnectError::NotAccepted { name, user: user.to_owned() });
            }
            Ok(Self(handle, leash))
        };
        tokio::time::timeout(SSH_DEADLINE, connected).await.unwrap_or(Err(ConnectError::Silent(SSH_DEADLINE)))
    }

    /// Runs a command, told which version of git's protocol is spoken.
    pub async fn run(self, command: &str, protocol: Option<&str>) -> Result<(FromServer, ToServer), ConnectError> {
        let started = async {
            let channel = self.0.channel_open_session().await?;
            if let Some(version) = protocol {
                // Servers that do not take it speak the oldest version.
                channel.set_env(false, "GIT_PROTOCOL", version).await?;
            }
            channel.exec(false, command).await?;
            Ok(channel.split())
        };
        let started = tokio::time::timeout(SSH_DEADLINE, started).await;
        let (half, to) = started.unwrap_or(Err(ConnectError::Silent(SSH_DEADLINE)))?;
        Ok((FromServer { half, _connection: self.0, _leash: self.1 }, ToServer(to)))
    }
}

/// A connection to a server that shows one of these keys.
async fn verified(
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    keys: HostKeys,
    name: &str,
) -> Result<Connected, ConnectError> {
    if keys.good.is_empty() {
        return Err(ConnectError::Unknown(name.to_owned()));
    }
    // Only kinds of which a key is known, or a server would show one of another kind.
    let kinds = HOST_KEYS.into_iter().filter(|kind| keys.good.iter().any(|key| key.algorithm() == *kind));
    let kinds: Vec<_> = kinds.collect();
    if kinds.is_empty() {
        return Err(ConnectError::Unverifiable(name.to_owned()));
    }
    let config = Config {
        client_id: SshId::Standard(IDENTIFICATION.into()),
        preferred: algorithms::preferred(kinds),
        ..Config::default()
    };
    let shown = Arc::new(Mutex::new(None));
    let guard = Guard { keys, shown: Arc::clone(&shown) };
    client::connect_stream(Arc::new(config), io, guard).await.map_err(|error| {
        let name = name.to_owned();
        match shown.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => ConnectError::Transport(error),
            Some(Shown { fingerprint, revoked: true }) => ConnectError::Revoked { name, fingerprint },
            Some(Shown { fingerprint, revoked: false }) => ConnectError::Changed { name, fingerprint },
        }
    })
}

/// A key that was shown and not believed.
struct Shown {
    fingerprint: String,
    revoked: bool,
}

/// Judges a server's key. Of all that a server may begin of itself nothing is answered: no channel is opened, no banner is passed on.
pub(crate) struct Guard {
    keys: HostKeys,
    shown: Arc<Mutex<Option<Shown>>>,
}

impl Guard {
    fn believes(&self, key: &PublicKey) -> bool {
        let is_among = |list: &[PublicKey]| list.iter().any(|known| known.key_data() == key.key_data());
        let revoked = is_among(&self.keys.revoked);
        let believed = !revoked && is_among(&self.keys.good);
        if !believed {
            let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
            *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(Shown { fingerprint, revoked });
        }
        believed
    }
}

/// Dropping the handle refuses the channel.
macro_rules! refused {
    ($($name:ident($($argument:ident: $kind:ty),*);)+) => {$(
        async fn $name(
            &mut self,
            _: Channel<Msg>,
            $($argument: $kind,)*
            _: ChannelOpenHandle,
            _: &mut Session,
        ) -> Result<(), Self::Error> {
            Ok(())
        }
    )+};
}

impl client::Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.believes(key),
            PublicKeyOrCertificate::Certificate(_) => false, // none was asked for
        })
    }

    refused! {
        server_channel_open_session();
        server_channel_open_agent_forward();
        server_channel_open_forwarded_tcpip(_a: &str, _b: u32, _c: &str, _d: u32);
        server_channel_open_direct_tcpip(_a: &str, _b: u32, _c: &str, _d: u32);
        server_channel_open_forwarded_streamlocal(_a: &str);
        server_channel_open_direct_streamlocal(_a: &str);
        server_channel_open_x11(_a: &str, _b: u32);
    }
}

impl FromServer {
    /// What comes next.
    pub async fn next(&mut self) -> Said {
        loop {
            return match self.half.wait().await {
                None | Some(ChannelMsg::Close | ChannelMsg::Failure) => Said::Gone,
                Some(ChannelMsg::Data { data }) => Said::Data(data),
                Some(ChannelMsg::ExtendedData { data, .. }) => Said::Errors(data),
                Some(ChannelMsg::Eof) => Said::End,
                Some(ChannelMsg::ExitStatus { exit_status }) => Said::Exit(exit_status),
                Some(ChannelMsg::ExitSignal { .. }) => Said::Exit(255),
                Some(_) => continue,
            };
        }
    }
}

impl ToServer {
    /// Sends data, when the server has room for it.
    pub async fn data(&self, data: Bytes) -> Result<(), russh::Error> {
        self.0.data_bytes(data).await
    }

    /// Sends no more.
    pub async fn end(&self) -> Result<(), russh::Error> {
        self.0.eof().await
    }
}
