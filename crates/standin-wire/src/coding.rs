//! Takes content codings (RFC 9110 §8.4) off a body, chunk by chunk, in bounded memory.
//!
//! A [`Decoder`] is fed one chunk and asked for pieces until it has none; only then it takes the next chunk. So a body
//! that unfolds to gigabytes costs no more memory than one that does not, and whoever reads the pieces sets the pace.
//! All that a chunk can be decoded to comes out before the next one is asked for: what an origin flushes arrives.

use bytes::{Buf, Bytes, BytesMut};
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{BrotliDecoder, DecodeV2, DeflateDecoder, GzipDecoder, ZlibDecoder};
use mzstd::{DecodeLimits, DecodeOperation, DecoderConfig, DecoderSessionOwned, DecoderStatus, Decompressor};

/// Bytes that come out of a decoder at once.
const PIECE: usize = 16 * 1024;

/// Most codings of one body that are taken off. Nobody is known to send two; three are an attack.
const MOST_CODINGS: usize = 2;

/// Largest window of a zstd frame, as a power of two: what RFC 9659 §3 allows for the content coding, 8 MiB.
const ZSTD_WINDOW_LOG: u8 = 23;

/// A content coding that can be taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip` and `x-gzip` (RFC 1952).
    Gzip,
    /// `deflate`: zlib (RFC 1950) by the letter, bare deflate (RFC 1951) by widespread mistake.
    Deflate,
    /// `br` (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878).
    Zstd,
}

/// The codings of a body, in the order in which they were put on. `None` if one of them cannot be taken off.
pub fn codings<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Option<Vec<Coding>> {
    let mut found = Vec::new();
    for name in fields.flat_map(|field| field.split(|b| *b == b',')) {
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => {}
            b"gzip" | b"x-gzip" => found.push(Coding::Gzip),
            b"deflate" => found.push(Coding::Deflate),
            b"br" => found.push(Coding::Brotli),
            b"zstd" => found.push(Coding::Zstd),
            _ => return None,
        }
    }
    (found.len() <= MOST_CODINGS).then_some(found)
}

/// A body that is not what its coding says.
#[derive(Debug, thiserror::Error)]
pub enum CodingError {
    /// The decoder gave up.
    #[error("the body is not in its content coding")]
    Broken(#[source] std::io::Error),
    /// The body ended in the middle.
    #[error("the body ends in the middle of its content coding")]
    Truncated,
    /// Something follows the end.
    #[error("something follows the end of the content coding")]
    Trailing,
}

/// Takes the codings off one body.
pub struct Decoder(Vec<Layer>);

impl Decoder {
    /// For a body with these codings, as [`codings`] lists them.
    pub fn new(codings: &[Coding]) -> Self {
        Self(codings.iter().rev().map(|coding| Layer::new(*coding)).collect())
    }

    /// Takes the next chunk. To be called only when [`Self::next`] has no more.
    pub fn push(&mut self, chunk: Bytes) {
        if let Some(outermost) = self.0.first_mut() {
            outermost.input = chunk;
        }
    }

    /// The next piece; `None` if the next chunk is needed for it.
    #[expect(clippy::should_implement_trait, reason = "it goes on after `None`")]
    pub fn next(&mut self) -> Result<Option<Bytes>, CodingError> {
        next_of(&mut self.0)
    }

    /// The body is over, and so must be its codings. A body without a byte is empty in every coding: so are answers
    /// to `HEAD`.
    pub fn finish(&mut self) -> Result<(), CodingError> {
        self.0.iter_mut().try_for_each(Layer::finish)
    }
}

fn next_of(layers: &mut [Layer]) -> Result<Option<Bytes>, CodingError> {
    let Some((inner, outer)) = layers.split_last_mut() else {
        return Ok(None);
    };
    loop {
        if let Some(piece) = inner.next()? {
            return Ok(Some(piece));
        }
        match next_of(outer)? {
            Some(piece) => inner.input = piece,
            None => return Ok(None),
        }
    }
}

/// One coding.
struct Layer {
    engine: Engine,
    input: Bytes,
    output: BytesMut,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing has come.
    Fresh,
    /// All that came has been decoded and given out.
    Hungry,
    /// There may be more without more input.
    Full,
    /// The coding's own end has come.
    Ended,
}

impl Layer {
    fn new(coding: Coding) -> Self {
        Self { engine: Engine::new(coding), input: Bytes::new(), output: BytesMut::new(), state: State::Fresh }
    }

    fn next(&mut self) -> Result<Option<Bytes>, CodingError> {
        while !self.input.is_empty() || self.state == State::Full {
            if self.state == State::Ended && !self.engine.begins_again()? {
                return Err(CodingError::Trailing);
            }
            self.output.resize(PIECE, 0);
            let step = self.engine.step(&self.input, &mut self.output)?;
            let stuck = step.consumed == 0 && step.produced == 0 && !step.ended && !self.input.is_empty();
            if stuck && self.state != State::Full {
                return Err(CodingError::Broken(std::io::ErrorKind::InvalidData.into()));
            }
            self.input.advance(step.consumed);
            self.state = match step {
                Step { ended: true, .. } => State::Ended,
                Step { produced: PIECE, .. } => State::Full,
                _ => State::Hungry,
            };
            if step.produced > 0 {
                return Ok(Some(self.output.split_to(step.produced).freeze()));
            }
        }
        Ok(None)
    }

    fn finish(&mut self) -> Result<(), CodingError> {
        match self.state {
            State::Fresh | State::Ended => Ok(()),
            State::Hungry | State::Full if self.engine.has_ended() => Ok(()),
            State::Hungry | State::Full => Err(CodingError::Truncated),
        }
    }
}

/// What a decoder did with some input.
struct Step {
    consumed: usize,
    produced: usize,
    ended: bool,
}

enum Engine {
    Gzip(GzipDecoder),
    /// `deflate` before it is known which; the first byte, if it has come.
    Undecided(Option<u8>),
    Zlib(ZlibDecoder),
    Deflate(DeflateDecoder),
    Brotli(BrotliDecoder),
    Zstd(Box<DecoderSessionOwned>),
}

impl Engine {
    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip(GzipDecoder::new()),
            Coding::Deflate => Self::Undecided(None),
            Coding::Brotli => Self::Brotli(BrotliDecoder::new()),
            Coding::Zstd => {
                let limits = DecodeLimits::default()
                    .with_max_window_log(ZSTD_WINDOW_LOG)
                    .expect("23 lies between the least and the most that the format knows");
                let decoder = Decompressor::new(DecoderConfig::default().with_limits(limits));
                Self::Zstd(Box::new(decoder.into_session()))
            }
        }
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, CodingError> {
        match self {
            Self::Undecided(first) => match (*first, input) {
                (None, [byte]) => {
                    *first = Some(*byte);
                    Ok(Step { consumed: 1, produced: 0, ended: false })
                }
                (None, [a, b, ..]) => {
                    *self = Self::zlib_or_deflate(*a, *b);
                    self.step(input, output)
                }
                (Some(a), [b, ..]) => {
                    *self = Self::zlib_or_deflate(a, *b);
                    // One byte of deflate decodes to nothing.
                    self.step(&[a], output)?;
                    self.step(input, output)
                }
                (_, []) => Ok(Step { consumed: 0, produced: 0, ended: false }),
            },
            Self::Zstd(session) => {
                let progress = session
                    .process(input, output, DecodeOperation::Process)
                    .map_err(|error| CodingError::Broken(std::io::Error::other(error)))?;
                Ok(Step { consumed: progress.consumed, produced: progress.produced, ended: false })
            }
            Self::Gzip(decoder) => step(decoder, input, output),
            Self::Zlib(decoder) => step(decoder, input, output),
            Self::Deflate(decoder) => step(decoder, input, output),
            Self::Brotli(decoder) => step(decoder, input, output),
        }
    }

    /// A zlib header is a method, 8, with a window of at most 32 KiB, and a checksum (RFC 1950 §2.2).
    fn zlib_or_deflate(a: u8, b: u8) -> Self {
        if a & 0x0f == 8 && a >> 4 <= 7 && u16::from_be_bytes([a, b]).is_multiple_of(31) {
            Self::Zlib(ZlibDecoder::new())
        } else {
            Self::Deflate(DeflateDecoder::new())
        }
    }

    /// Something follows the end: another member (RFC 1952 §2.2), which only gzip knows. (A zstd decoder takes
    /// frame after frame by itself.)
    fn begins_again(&mut self) -> Result<bool, CodingError> {
        match self {
            Self::Gzip(decoder) => decoder.reinit().map(|()| true).map_err(CodingError::Broken),
            _ => Ok(false),
        }
    }

    /// Whether the end may come here, asked when everything before it has been decoded.
    fn has_ended(&mut self) -> bool {
        match self {
            Self::Undecided(_) => false,
            Self::Zstd(session) => session
                .process(&[], &mut [], DecodeOperation::Finish)
                .is_ok_and(|progress| progress.status == DecoderStatus::Finished),
            Self::Gzip(decoder) => has_ended(decoder),
            Self::Zlib(decoder) => has_ended(decoder),
            Self::Deflate(decoder) => has_ended(decoder),
            Self::Brotli(decoder) => has_ended(decoder),
        }
    }
}

fn step(decoder: &mut dyn DecodeV2, input: &[u8], output: &mut [u8]) -> Result<Step, CodingError> {
    let mut output = WriteBuffer::new_initialized(output);
    let mut input = PartialBuffer::new(input);
    let ended = if input.unwritten().is_empty() {
        decoder.flush(&mut output).map_err(CodingError::Broken)?;
        false // a flush says whether all is out, not whether it was the last
    } else {
        decoder.decode(&mut input, &mut output).map_err(CodingError::Broken)?
    };
    Ok(Step { consumed: input.written_len(), produced: output.written_len(), ended })
}

fn has_ended(decoder: &mut dyn DecodeV2) -> bool {
    let mut nothing = [0; 1];
    let mut output = WriteBuffer::new_initialized(&mut nothing);
    decoder.finish(&mut output).is_ok_and(|ended| ended) && output.written_len() == 0
}

#[cfg(test)]
mod tests;
