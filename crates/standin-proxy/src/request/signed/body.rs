//! A signed body that streams: held to the hash that its head told, or verified and signed anew chunk by chunk.

use super::hex;
use crate::request::UNIT;
use crate::request::unread::Unread;
use crate::session::Session;
use aws_lc_rs::digest::{Context as Digest, SHA256};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use standin_model::{Denial, DenyReason};
use standin_sigv4::Error;
use standin_sigv4::chunks::{Chunks, MAX_CHUNK};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::OwnedSemaphorePermit;

/// A body on its way.
pub(in crate::request) struct SignedBody {
    body: Unread,
    check: Check,
    ended: bool,
}

enum Check {
    /// Its hash. The last piece waits until it is known to be the right one: an origin takes no body that is not whole.
    Hash { told: String, digest: Digest, last: Option<Bytes>, behind: Option<Frame<Bytes>> },
    /// Its chunks, and the memory for one of them.
    Chunks { chunks: Box<Chunks>, _memory: OwnedSemaphorePermit },
}

/// Why a signed body ended before its end.
pub(in crate::request) enum Unverified {
    /// The client broke off.
    Broken(hyper::Error),
    /// It is not what was signed.
    Refused(Denial),
}

impl SignedBody {
    /// A body whose hash is told.
    pub(super) fn hashed(body: Unread, told: String) -> Self {
        let check = Check::Hash { told, digest: Digest::new(&SHA256), last: None, behind: None };
        Self { body, check, ended: false }
    }

    /// A body in signed chunks, each of which is here as a whole once.
    pub(super) fn chunked(body: Unread, chunks: Chunks, session: &Session) -> Result<Self, Denial> {
        let units = u32::try_from(2 * MAX_CHUNK / UNIT).expect("2048 fits in 32 bits");
        let memory = Arc::clone(&session.gathering).try_acquire_many_owned(units).map_err(|_| {
            let message = "too many signed bodies are open at once; ask again later";
            Denial::new(DenyReason::BodyTooLarge, message)
        })?;
        Ok(Self { body, check: Check::Chunks { chunks: Box::new(chunks), _memory: memory }, ended: false })
    }

    pub(in crate::request) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unverified>>> {
        loop {
            if let Check::Hash { last: None, behind, .. } = &mut self.check
                && let Some(frame) = behind.take()
            {
                return Poll::Ready(Some(Ok(frame)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => Some(frame),
                Some(Err(error)) => return Poll::Ready(Some(Err(Unverified::Broken(error)))),
                None => None,
            };
            match self.check.next(frame) {
                Ok(Next::More) => {}
                Ok(Next::Pass(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(Next::End(frame)) => {
                    self.ended = true;
                    if let Some(frame) = frame {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Err(error) => return Poll::Ready(Some(Err(Unverified::Refused(super::refused(&error))))),
            }
        }
    }

    pub(in crate::request) fn is_over(&self) -> bool {
        let waits = matches!(&self.check, Check::Hash { behind: Some(_), .. });
        self.ended && !waits
    }

    /// Chunks keep their length.
    pub(in crate::request) fn size(&self) -> SizeHint {
        if self.ended { SizeHint::default() } else { self.body.size_hint() }
    }
}

enum Next {
    More,
    Pass(Frame<Bytes>),
    End(Option<Frame<Bytes>>),
}

impl Check {
    /// What may go on when a frame has come, or the end.
    fn next(&mut self, frame: Option<Frame<Bytes>>) -> Result<Next, Error> {
        let data = match frame.map(Frame::into_data) {
            Some(Ok(data)) => data,
            Some(Err(trailers)) => return self.end(Some(trailers)),
            None => return self.end(None),
        };
        match self {
            Self::Hash { digest, last, .. } => {
                if data.is_empty() {
                    return Ok(Next::More);
                }
                digest.update(&data);
                Ok(last.replace(data).map_or(Next::More, |data| Next::Pass(Frame::data(data))))
            }
            Self::Chunks { chunks, .. } => {
                let data = chunks.push(&data)?;
                Ok(if data.is_empty() { Next::More } else { Next::Pass(Frame::data(data)) })
            }
        }
    }

    fn end(&mut self, trailers: Option<Frame<Bytes>>) -> Result<Next, Error> {
        match self {
            Self::Hash { told, digest, last, behind } => {
                if hex(digest.clone().finish().as_ref()) != *told {
                    return Err(Error::Mismatch);
                }
                *behind = trailers;
                Ok(Next::End(last.take().map(Frame::data)))
            }
            Self::Chunks { chunks, .. } => {
                chunks.finish()?;
                Ok(Next::End(trailers))
            }
        }
    }
}
