//! What a body goes through on its way to the client: codings off, secrets out.

use super::readable;
use super::scrub::scrub_headers;
use bytes::Bytes;
use http::HeaderMap;
use standin_wire::coding::{Coding, CodingError, Decoder};
use standin_wire::scrub::{Scrubber, Stream};

/// A body on its way.
pub(super) struct Content {
    decoder: Option<Decoder>,
    stream: Stream,
    scrubber: Scrubber,
    /// It comes from a host with a grant.
    granted: bool,
}

impl Content {
    /// A body in these codings.
    pub(super) fn new(scrubber: &Scrubber, codings: &[Coding], granted: bool) -> Self {
        let decoder = (!codings.is_empty()).then(|| Decoder::new(codings));
        Self { decoder, stream: scrubber.stream(), scrubber: scrubber.clone(), granted }
    }

    /// Takes the next chunk, once [`Self::next`] has no more.
    pub(super) fn push(&mut self, chunk: Bytes, out: impl FnMut(Bytes)) {
        match &mut self.decoder {
            Some(decoder) => decoder.push(chunk),
            None => self.stream.push(chunk, out),
        }
    }

    /// Gives out a little more of the last chunk; whether there was more.
    pub(super) fn next(&mut self, out: impl FnMut(Bytes)) -> Result<bool, CodingError> {
        let Some(decoder) = &mut self.decoder else {
            return Ok(false);
        };
        let piece = decoder.next()?;
        Ok(piece.map(|piece| self.stream.push(piece, out)).is_some())
    }

    /// Nothing more comes for now.
    pub(super) fn flush(&mut self, out: impl FnMut(Bytes)) {
        self.stream.flush(out);
    }

    /// The body is over.
    pub(super) fn finish(&mut self, out: impl FnMut(Bytes)) -> Result<(), CodingError> {
        if let Some(decoder) = &mut self.decoder {
            decoder.finish()?;
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
        self.decoder.is_some() || self.stream.holds_back()
    }

    /// Whether as many bytes come out as go in.
    pub(super) fn keeps_length(&self) -> bool {
        self.decoder.is_none() && self.scrubber.preserves_length()
    }
}
