//! Both directions of a connection that has begun, up to its end.

use super::cancel::{Cancellable, Listed};
use super::permit::PostgresPermit;
use super::upstream::Entered;
use crate::connection::Tunnel;
use crate::connection::intercept::ClientIo;
use crate::exchange::{Exchange, RequestSide};
use crate::fault::Refusal;
use crate::io::Stream;
use crate::respond;
use crate::usage::Spending;
use standin_model::limits::UNREAD_DEADLINE;
use standin_model::{CredentialName, Denial};
use standin_net::PinnedPeer;
use standin_wire::postgres::frames::{FrameError, Frames};
use standin_wire::postgres::startup::CancelKey;
use standin_wire::postgres::{self, Class};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;
/// `Terminate`: the client has no more to say.
const TERMINATE: u8 = b'X';
/// `BackendKeyData`: the number of the server's process and a key, of four bytes each in protocol 3.0.
const KEY_DATA: u8 = b'K';

/// How a connection ended.
enum Ended {
    /// The client said so.
    AsItShould,
    /// The client went away.
    ByClient(String),
    /// The server broke off.
    ByServer(String),
    /// It may not go on.
    Denied(Denial),
}

/// Passes on what both sides say, until one of them has ended.
pub(super) async fn both_ways<S: Stream>(
    tunnel: &Tunnel,
    target: String,
    client: ClientIo<S>,
    entered: Entered,
    exchange: &mut Exchange,
) {
    let side = exchange.request_side();
    let spending = exchange.spending(&tunnel.destination.authority.host);
    let (from_client, to_client) = tokio::io::split(client);
    let Entered { permit, peer, io, said } = entered;
    let (from_server, to_server) = tokio::io::split(io);
    let (stop, stopped) = oneshot::channel();
    let up = Upwards { credential: permit.credential(), side: &side, spending };
    let up = up.carry(from_client, to_server);
    let down = Downwards { tunnel, permit: &permit, peer, target, side: &side, listed: None };
    let down = down.carry(Frames::after(said), from_server, to_client, stopped);
    tokio::pin!(down);
    let (ended, down_goes_on) = tokio::select! {
        ended = &mut down => (ended, false),
        ended = up => (ended, true),
    };
    match ended {
        Ended::AsItShould => exchange.completed(),
        Ended::ByClient(detail) => exchange.hung_up(detail),
        Ended::ByServer(detail) => exchange.broken_off(detail),
        Ended::Denied(denial) => {
            let words = last_words(&denial);
            exchange.refused(&Refusal::Denied(denial));
            // Between two messages of the server's; who has gone meanwhile does not hear it.
            if down_goes_on && stop.send(words).is_ok() {
                tokio::time::timeout(UNREAD_DEADLINE, down).await.ok();
            }
        }
    }
}

struct Upwards<'a> {
    credential: &'a CredentialName,
    side: &'a RequestSide,
    spending: Spending,
}

impl Upwards<'_> {
    async fn carry(self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> Ended {
        let mut frames = Frames::default();
        loop {
            match self.pass(&mut frames, &mut to).await {
                Ok(false) => {}
                Ok(true) => return Ended::AsItShould,
                Err(ended) => return ended,
            }
            frames.buffer().reserve(CHUNK);
            match from.read_buf(frames.buffer()).await {
                Ok(0) => return Ended::ByClient("the client hung up".to_owned()),
                Err(error) => return Ended::ByClient(error.to_string()),
                Ok(_) => {}
            }
        }
    }

    /// Passes on what is there; whether the client said that it was the last.
    async fn pass(&self, frames: &mut Frames, to: &mut (impl AsyncWrite + Unpin)) -> Result<bool, Ended> {
        let mut last = false;
        let not_understood = |FrameError| Ended::ByClient(FrameError.to_string());
        while let Some(frame) = frames.take().map_err(not_understood)? {
            self.side.may_go_on_with([self.credential]).map_err(Ended::Denied)?;
            self.spending.spend(frame.bytes.len()).map_err(Ended::Denied)?;
            self.side.sent(frame.bytes.len());
            to.write_all(&frame.bytes).await.map_err(|error| by_server(&error))?;
            last = frame.tag == TERMINATE;
        }
        to.flush().await.map_err(|error| by_server(&error))?;
        Ok(last)
    }
}

struct Downwards<'a> {
    tunnel: &'a Tunnel,
    permit: &'a Arc<PostgresPermit>,
    peer: PinnedPeer,
    target: String,
    side: &'a RequestSide,
    /// As what may be cancelled, once the server has said by which key.
    listed: Option<Listed<'a>>,
}

impl Downwards<'_> {
    async fn carry(
        mut self,
        mut frames: Frames,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        mut stopped: oneshot::Receiver<Vec<u8>>,
    ) -> Ended {
        loop {
            // What was asked for before a stand-in was revoked, or the policy replaced, may be long.
            if let Err(denial) = self.side.may_go_on_with([self.permit.credential()]) {
                if frames.between_messages() {
                    end(&mut to, &last_words(&denial)).await;
                }
                return Ended::Denied(denial);
            }
            if let Err(ended) = self.pass(&mut frames, &mut to).await {
                return ended;
            }
            frames.buffer().reserve(CHUNK);
            let read = tokio::select! {
                read = from.read_buf(frames.buffer()) => read,
                Ok(words) = &mut stopped, if frames.between_messages() => {
                    end(&mut to, &words).await;
                    return Ended::AsItShould;
                }
            };
            match read {
                Ok(0) => return Ended::ByServer("the server hung up".to_owned()),
                Err(error) => return by_server(&error),
                Ok(_) => {}
            }
        }
    }

    async fn pass(&mut self, frames: &mut Frames, to: &mut (impl AsyncWrite + Unpin)) -> Result<(), Ended> {
        let by_client = |error: io::Error| Ended::ByClient(error.to_string());
        while let Some(mut frame) = frames.take().map_err(|error| Ended::ByServer(error.to_string()))? {
            // The server's own key is of use to whoever knows it.
            if frame.tag == KEY_DATA {
                let Some(instead) = self.another_key(frame.body()) else { continue };
                frame.bytes = instead.into();
            }
            self.side.received(frame.bytes.len());
            to.write_all(&frame.bytes).await.map_err(by_client)?;
        }
        to.flush().await.map_err(by_client)
    }

    /// What the client is told instead of a key; nothing if it is none.
    fn another_key(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let (process, key) = body.split_first_chunk()?;
        let key = CancelKey { process: *process, key: key.try_into().ok()? };
        let (authority, permit) = (self.tunnel.destination.authority.clone(), Arc::clone(self.permit));
        let connection = Cancellable { authority, peer: self.peer.clone(), permit, target: self.target.clone(), key };
        let listed = self.listed.insert(self.tunnel.session.cancels.list(connection));
        Some(postgres::key_data(listed.key().process, listed.key().key))
    }
}

fn last_words(denial: &Denial) -> Vec<u8> {
    postgres::fatal(Class::Ended, &respond::in_words(&Refusal::Denied(denial.clone())))
}

/// Whoever does not listen any more need not be told.
async fn end(to: &mut (impl AsyncWrite + Unpin), words: &[u8]) {
    if let Err(error) = finish(to, words).await {
        tracing::debug!(%error, "a refused client did not hear why");
    }
}

async fn finish(to: &mut (impl AsyncWrite + Unpin), words: &[u8]) -> io::Result<()> {
    to.write_all(words).await?;
    to.shutdown().await
}

fn by_server(error: &io::Error) -> Ended {
    Ended::ByServer(error.to_string())
}
