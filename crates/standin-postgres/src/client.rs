//! Towards a server: TLS is asked for, and the real password proven.

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use standin_secret::Secret;
use standin_wire::postgres::TLS_ACCEPTED;
use standin_wire::postgres::startup::Startup;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// Longest message of a server's while we authenticate.
const MAX_MESSAGE: usize = 64 * 1024;

/// Why a server was not entered.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It broke off, or speaks something else.
    #[error("the conversation with the server failed")]
    Io(#[from] io::Error),
    /// It refuses: its own code and words.
    #[error("the server says: {message} ({code})")]
    Refused {
        /// `28P01` and the like.
        code: String,
        /// For people.
        message: String,
    },
    /// It wants the password shown where anybody could read it.
    #[error("the server asks for the password by {0}, which is answered in verified TLS only")]
    Unprotected(&'static str),
    /// It wants something that we have not.
    #[error("the server asks for another kind of authentication than a password")]
    Method,
    /// It said yes before it had shown that it knows the password.
    #[error("the server did not prove that it knows the password")]
    NoProof,
}

/// Asks for TLS. The handshake begins with the next byte, and nothing has been read beyond the answer.
pub async fn ask_for_tls(io: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<bool> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    io.write_all(&request).await?;
    io.flush().await?;
    Ok(io.read_u8().await? == TLS_ACCEPTED)
}

/// Begins as a client's startup has it and authenticates. What the server said after its yes is given back.
pub async fn start(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    startup: &Startup,
    password: &Secret,
    in_tls: bool,
) -> Result<BytesMut, ServerError> {
    let mut out = BytesMut::new();
    frontend::startup_message(startup.parameters(), &mut out)?;
    let mut said = BytesMut::new();
    let mut scram = None;
    let (mut proven, mut shown_in_clear) = (true, false);
    loop {
        io.write_all(&out).await?;
        io.flush().await?;
        out.clear();
        match next(io, &mut said).await? {
            Message::AuthenticationOk if proven => return Ok(said),
            Message::AuthenticationOk => return Err(ServerError::NoProof),
            Message::AuthenticationSasl(body) => {
                if !body.mechanisms().any(|mechanism| Ok(mechanism == SCRAM_SHA_256))? {
                    return Err(ServerError::Method);
                }
                let begun = ScramSha256::new(password.expose(), ChannelBinding::unsupported());
                frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), &mut out)?;
                (scram, proven) = (Some(begun), false);
            }
            Message::AuthenticationSaslContinue(body) => {
                let scram: &mut ScramSha256 = scram.as_mut().ok_or(ServerError::Method)?;
                scram.update(body.data())?;
                frontend::sasl_response(scram.message(), &mut out)?;
            }
            Message::AuthenticationSaslFinal(body) => {
                scram.take().ok_or(ServerError::Method)?.finish(body.data())?;
                proven = true;
            }
            Message::AuthenticationMd5Password(body) if in_tls => {
                let hash = md5_hash(startup.user().as_bytes(), password.expose(), body.salt());
                frontend::password_message(hash.as_bytes(), &mut out)?;
            }
            Message::AuthenticationCleartextPassword if in_tls => {
                let mut shown = BytesMut::new();
                frontend::password_message(password.expose(), &mut shown)?;
                let shown = Zeroizing::new(Vec::from(shown));
                io.write_all(&shown).await?;
                shown_in_clear = true;
            }
            Message::AuthenticationMd5Password(_) => return Err(ServerError::Unprotected("MD5")),
            Message::AuthenticationCleartextPassword => return Err(ServerError::Unprotected("its plain text")),
            Message::ErrorResponse(body) => {
                return Err(refusal(&body, Some(password).filter(|_| shown_in_clear))?);
            }
            Message::NoticeResponse(_) => {}
            _ => return Err(ServerError::Method),
        }
    }
}

async fn next(io: &mut (impl AsyncRead + Unpin), said: &mut BytesMut) -> Result<Message, ServerError> {
    loop {
        // Before it is read any further: room is made for as much as a message says to have.
        if let [_, a, b, c, d, ..] = **said
            && u32::from_be_bytes([a, b, c, d]) as usize > MAX_MESSAGE
        {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its message is too long").into());
        }
        if let Some(message) = Message::parse(said)? {
            return Ok(message);
        }
        if io.read_buf(said).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// The server's words go on record, and a record holds no password: one that was shown may be repeated in them.
fn refusal(body: &ErrorResponseBody, shown: Option<&Secret>) -> Result<ServerError, ServerError> {
    let (mut code, mut message) = (String::new(), String::new());
    let repeats = |text: &[u8]| {
        shown.is_some_and(|shown| text.windows(shown.expose().len().max(1)).any(|part| part == shown.expose()))
    };
    let mut fields = body.fields();
    while let Some(field) = fields.next()? {
        let text = match field.value_bytes() {
            text if repeats(text) => "it repeats the password".to_owned(),
            text => String::from_utf8_lossy(text).into_owned(),
        };
        match field.type_() {
            b'C' => code = text,
            b'M' => message = text,
            _ => {}
        }
    }
    Ok(ServerError::Refused { code, message })
}
