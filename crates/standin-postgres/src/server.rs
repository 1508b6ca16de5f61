//! Towards a client: its first words, and the proof that it knows a password.

use crate::scram::{Challenge, Claim, MECHANISM, MECHANISM_BOUND, ScramError};
use standin_wire::postgres::startup::{self, First, StartupError};
use standin_wire::postgres::{NOT_ACCEPTED, authentication};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest message of a client's while it authenticates: PostgreSQL's own bound is 64 KiB, for tickets of Kerberos.
const MAX_MESSAGE: usize = 4096;

const SASL: u32 = 10;
const SASL_CONTINUE: u32 = 11;
const SASL_FINAL: u32 = 12;

/// Why a client was not understood.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It broke off.
    #[error("the client broke off")]
    Io(#[from] io::Error),
    /// Its first words.
    #[error("the client {0}")]
    Startup(StartupError),
    /// Something else than the answer to what it was asked.
    #[error("it did not answer what it was asked")]
    Answer,
    /// Another mechanism than was offered.
    #[error("it chose a mechanism that was not offered")]
    Mechanism,
    /// Its proof.
    #[error(transparent)]
    Scram(#[from] ScramError),
}

/// The first words that are not about GSSAPI.
pub async fn first_words(io: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<First, ClientError> {
    // It may ask once for each kind of encryption.
    let first = first(io).await?;
    if first != First::Gssapi {
        return Ok(first);
    }
    io.write_all(&[NOT_ACCEPTED]).await?;
    io.flush().await?;
    match self::first(io).await? {
        First::Gssapi => Err(ClientError::Answer),
        other => Ok(other),
    }
}

async fn first(io: &mut (impl AsyncRead + Unpin)) -> Result<First, ClientError> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let mut packet = vec![0; startup::rest_of(length).map_err(ClientError::Startup)?];
    io.read_exact(&mut packet).await?;
    First::parse(&packet).map_err(ClientError::Startup)
}

/// Asks the client to prove that it knows a password. In TLS the proof may be bound to the connection: by the digest of our certificate.
pub async fn claim(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    certificate: Option<&[u8]>,
) -> Result<Claim, ClientError> {
    let mut offer = Vec::new();
    let mechanisms = certificate.map(|_| MECHANISM_BOUND).into_iter().chain([MECHANISM]);
    mechanisms.for_each(|name| offer.extend([name.as_bytes(), &[0]].concat()));
    offer.push(0);
    send(io, &authentication(SASL, &offer)).await?;
    let (bound, words) = initial(&answer(io).await?, certificate.is_some())?;
    let challenge = Challenge::new(&words, certificate, bound)?;
    send(io, &authentication(SASL_CONTINUE, challenge.words().as_bytes())).await?;
    Ok(challenge.answered(&answer(io).await?)?)
}

/// Tells the client that its password was the one, and shows that we know it.
pub async fn accept(io: &mut (impl AsyncWrite + Unpin), words: &str) -> io::Result<()> {
    send(io, &[authentication(SASL_FINAL, words.as_bytes()), authentication(0, &[])].concat()).await
}

/// `SASLInitialResponse`: the mechanism, a length, and its words.
fn initial(body: &[u8], bindable: bool) -> Result<(bool, Vec<u8>), ClientError> {
    let end = body.iter().position(|byte| *byte == 0).ok_or(ClientError::Answer)?;
    let (name, rest) = (&body[..end], &body[end + 1..]);
    let bound = match name {
        name if name == MECHANISM.as_bytes() => false,
        name if name == MECHANISM_BOUND.as_bytes() && bindable => true,
        _ => return Err(ClientError::Mechanism),
    };
    let (length, words) = rest.split_first_chunk().ok_or(ClientError::Answer)?;
    if u32::from_be_bytes(*length) as usize != words.len() {
        return Err(ClientError::Answer);
    }
    Ok((bound, words.to_vec()))
}

/// The body of a message with the tag of all that has to do with passwords.
async fn answer(io: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, ClientError> {
    let mut head = [0; 5];
    io.read_exact(&mut head).await?;
    let [tag, length @ ..] = head;
    let length = (u32::from_be_bytes(length) as usize).checked_sub(4).filter(|length| *length <= MAX_MESSAGE);
    let (b'p', Some(length)) = (tag, length) else { return Err(ClientError::Answer) };
    let mut body = vec![0; length];
    io.read_exact(&mut body).await?;
    Ok(body)
}

async fn send(io: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    io.write_all(message).await?;
    io.flush().await
}
