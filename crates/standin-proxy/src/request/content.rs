//! What a body goes through on its way to the client.
//!
//! * *Plain*: secrets are replaced.
//! * *Decoded*: its codings are taken off first, and stay off. So it is where a credential is granted.
//! * *Watched*: it is decoded to be searched and passes as it came, to the byte: elsewhere what is downloaded has digests
//!   and is resumed. A secret, which nobody there should know, ends it. What cannot be decoded is plain from there on.

use super::readable;
use super::scrub::scrub_headers;
use bytes::Bytes;
use http::HeaderMap;
use standin_model::limits::MAX_WATCHED_CHUNKS;
use standin_wire::coding::{Coding, CodingError, Decoder};
use standin_wire::scrub::{Scrubber, Stream};
use std::collections::VecDeque;
use tokio::sync::OwnedSemaphorePermit;

/// A body on its way.
pub(super) struct Content {
    way: Way,
    stream: Stream,
    scrubber: Scrubber,
    /// It comes from a host with a grant.
    granted: bool,
    /// A decoder's place among those that run at once.
    _place: Option<OwnedSemaphorePermit>,
}

enum Way {
    Plain,
    Decoded(Decoder),
    Watched { decoder: Decoder, seen: Stream, waiting: VecDeque<Bytes> },
}

/// Why a body may not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentError {
    /// It cannot be read.
    #[error("the answer cannot be read")]
    Coding(#[from] CodingError),
    /// It holds a secret that cannot be taken out.
    #[error("a host without a grant sent a real secret in a content coding")]
    Secret,
    /// It keeps us waiting for what decides whether it does.
    #[error("a host without a grant sent what may be a real secret, and then what decodes to nothing")]
    TooLong,
}

impl Content {
    /// A body in no coding.
    pub(super) fn plain(scrubber: &Scrubber, granted: bool) -> Self {
        Self { way: Way::Plain, stream: scrubber.stream(), scrubber: scrubber.clone(), granted, _place: None }
    }

    /// A body in these codings.
    pub(super) fn coded(scrubber: &Scrubber, granted: bool, codings: &[Coding], place: OwnedSemaphorePermit) -> Self {
        let decoder = Decoder::new(codings);
        let way = if granted {
            Way::Decoded(decoder)
        } else {
            Way::Watched { decoder, seen: scrubber.stream(), waiting: VecDeque::new() }
        };
        Self { way, _place: Some(place), ..Self::plain(scrubber, granted) }
    }

    /// Takes the next chunk, once [`Self::next`] has no more.
    pub(super) fn push(&mut self, chunk: Bytes, out: impl FnMut(Bytes)) {
        match &mut self.way {
            Way::Plain => self.stream.push(chunk, out),
            Way::Decoded(decoder) => decoder.push(chunk),
            Way::Watched { decoder, waiting, .. } => {
                decoder.push(chunk.clone());
                waiting.push_back(chunk);
            }
        }
    }

    /// Goes on a little with the last chunk; whether there was more of it.
    pub(super) fn next(&mut self, out: impl FnMut(Bytes)) -> Result<bool, ContentError> {
        match &mut self.way {
            Way::Plain => Ok(false),
            Way::Decoded(decoder) => {
                let piece = decoder.next()?;
                Ok(piece.map(|piece| self.stream.push(piece, out)).is_some())
            }
            Way::Watched { decoder, seen, waiting } => {
                let Ok(piece) = decoder.next() else {
                    pass(waiting, &mut self.stream, out);
                    self.way = Way::Plain;
                    return Ok(true);
                };
                let more = piece.map(|piece| seen.push(piece, drop)).is_some();
                if seen.found() {
                    return Err(ContentError::Secret);
                }
                if waiting.len() > MAX_WATCHED_CHUNKS {
                    return Err(ContentError::TooLong);
                }
                if !more && !seen.holds_back() {
                    pass(waiting, &mut self.stream, out);
                }
                Ok(more)
            }
        }
    }

    /// Nothing more comes for now.
    pub(super) fn flush(&mut self, mut out: impl FnMut(Bytes)) {
        if let Way::Watched { seen, waiting, .. } = &mut self.way {
            seen.flush(drop);
            if !seen.holds_back() {
                pass(waiting, &mut self.stream, &mut out);
            }
        }
        self.stream.flush(out);
    }

    /// The body is over.
    pub(super) fn finish(&mut self, mut out: impl FnMut(Bytes)) -> Result<(), ContentError> {
        match &mut self.way {
            Way::Plain => {}
            Way::Decoded(decoder) => decoder.finish()?,
            Way::Watched { seen, waiting, .. } => {
                seen.finish(drop);
                if seen.found() {
                    return Err(ContentError::Secret);
                }
                pass(waiting, &mut self.stream, &mut out);
            }
        }
        self.stream.finish(out);
        Ok(())
    }

    /// What follows the body.
    pub(super) fn clean_trailers(&self, trailers: &mut HeaderMap) {
        scrub_headers(&self.scrubber, trailers);
        if self.granted {
            readable::keep_honest(trailers, false);
        }
    }

    /// Whether the origin's end may not be the end.
    pub(super) fn holds_back(&self) -> bool {
        let waits = match &self.way {
            Way::Plain => false,
            Way::Decoded(_) => true,
            Way::Watched { waiting, .. } => !waiting.is_empty(),
        };
        waits || self.stream.holds_back()
    }

    /// Whether as many bytes come out as go in.
    pub(super) fn keeps_length(&self) -> bool {
        !matches!(self.way, Way::Decoded(_)) && self.scrubber.preserves_length()
    }
}

/// Coded bytes are searched as they are too: a coding may carry a comment.
fn pass(waiting: &mut VecDeque<Bytes>, stream: &mut Stream, mut out: impl FnMut(Bytes)) {
    for chunk in waiting.drain(..) {
        stream.push(chunk, &mut out);
    }
}
