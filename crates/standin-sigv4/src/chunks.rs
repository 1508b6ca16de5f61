//! Bodies that are signed piece by piece: `aws-chunked` with `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, with or without a
//! trailer.
//!
//! Each piece's signature has that of the one before in it. A piece is taken whole, verified, and goes on with a signature of
//! the other key, which is as long: the body keeps its length. A piece has one written form; extensions besides its
//! signature, leading zeros and bytes behind the end are refused.

use crate::claim::is_hash;
use crate::{Claim, Error, Keys};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_sigv4::sign::v4::{self, sign_chunk, sign_trailer};
use aws_smithy_runtime_api::http::Headers;
use bytes::{Buf, Bytes, BytesMut};
use std::time::SystemTime;

/// Largest piece, in bytes. SDKs send 64 or 128 KiB.
pub const MAX_CHUNK: usize = 1024 * 1024;
/// Longest line: a size and a signature, or a field of the trailer.
const MAX_LINE: usize = 1024;
/// Most fields of a trailer.
const MAX_FIELDS: usize = 8;
const SIGNATURE: &str = "x-amz-trailer-signature";

/// A body on its way.
pub struct Chunks {
    stand_in: Signer,
    real: Signer,
    trailer: bool,
    region: String,
    service: String,
    time: SystemTime,
    waiting: BytesMut,
    state: State,
}

struct Signer {
    keys: Keys,
    /// The signature before.
    last: String,
}

enum State {
    /// The line before a piece.
    Line,
    /// A piece of that size, with that signature.
    Piece(String, usize, String),
    /// The fields of the trailer so far.
    Trailer(Vec<(String, String)>),
    /// The empty line at the end.
    Last,
    Ended,
}

impl Chunks {
    /// A body whose head had this claim, and was signed anew with this signature.
    pub fn new(claim: &Claim, stand_in: Keys, real: Keys, signed_anew: String, trailer: bool) -> Self {
        Self {
            stand_in: Signer { keys: stand_in, last: claim.signature.clone() },
            real: Signer { keys: real, last: signed_anew },
            trailer,
            region: claim.scope.region.clone(),
            service: claim.scope.service.clone(),
            time: claim.time,
            waiting: BytesMut::new(),
            state: State::Line,
        }
    }

    /// Takes what came, and gives what may go on.
    pub fn push(&mut self, data: &[u8]) -> Result<Bytes, Error> {
        self.waiting.extend_from_slice(data);
        let mut out = BytesMut::new();
        while self.step(&mut out)? {}
        Ok(out.freeze())
    }

    /// Whether it came to its end.
    pub fn finish(&self) -> Result<(), Error> {
        if matches!(self.state, State::Ended) && self.waiting.is_empty() {
            Ok(())
        } else {
            Err(Error::Chunk("ends before its last chunk"))
        }
    }

    /// Whether something was done.
    fn step(&mut self, out: &mut BytesMut) -> Result<bool, Error> {
        match &mut self.state {
            State::Line => {
                let Some(line) = line(&mut self.waiting)? else { return Ok(false) };
                let (digits, size, signature) = piece_of(&line)?;
                self.state = State::Piece(digits, size, signature);
            }
            State::Piece(digits, size, signature) => {
                let (digits, size, signature) = (digits.clone(), *size, signature.clone());
                return self.piece(&digits, size, &signature, out);
            }
            State::Trailer(fields) => {
                let Some(line) = line(&mut self.waiting)? else { return Ok(false) };
                let (name, value) = line.split_once(':').ok_or(Error::Chunk("has a malformed trailer"))?;
                if name == SIGNATURE {
                    let fields = std::mem::take(fields);
                    self.end_trailer(fields, value, out)?;
                    self.state = State::Last;
                } else {
                    let known = fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
                    if known || fields.len() == MAX_FIELDS || value.trim() != value {
                        return Err(Error::Chunk("has a malformed trailer"));
                    }
                    fields.push((name.to_owned(), value.to_owned()));
                }
            }
            State::Last => match line(&mut self.waiting)?.as_deref() {
                None => return Ok(false),
                Some("") => {
                    out.extend_from_slice(b"\r\n");
                    self.state = State::Ended;
                }
                Some(_) => return Err(Error::Chunk("goes on behind its end")),
            },
            State::Ended if self.waiting.is_empty() => return Ok(false),
            State::Ended => return Err(Error::Chunk("goes on behind its end")),
        }
        Ok(true)
    }

    /// Takes a piece, if it is there as a whole.
    fn piece(&mut self, digits: &str, size: usize, signature: &str, out: &mut BytesMut) -> Result<bool, Error> {
        // Nothing follows the last, empty one but the trailer or the empty line.
        let end = if size == 0 { 0 } else { 2 };
        if self.waiting.len() < size + end {
            return Ok(false);
        }
        let data = self.waiting.split_to(size).freeze();
        if end != 0 {
            if &self.waiting[..end] != b"\r\n" {
                return Err(Error::Chunk("has a chunk of another size than it says"));
            }
            self.waiting.advance(end);
        }
        let wanted = self.chunk_signature(&self.stand_in, &data)?;
        verify_slices_are_equal(wanted.as_bytes(), signature.as_bytes())
            .map_err(|_| Error::Chunk("has a chunk whose signature is another"))?;
        self.stand_in.last = wanted;
        self.real.last = self.chunk_signature(&self.real, &data)?;
        out.extend_from_slice(format!("{digits};chunk-signature={}\r\n", self.real.last).as_bytes());
        out.extend_from_slice(&data);
        out.extend_from_slice(&b"\r\n"[..end]);
        self.state = match (size, self.trailer) {
            (0, true) => State::Trailer(Vec::new()),
            (0, false) => State::Last,
            _ => State::Line,
        };
        Ok(true)
    }

    fn end_trailer(&mut self, fields: Vec<(String, String)>, signature: &str, out: &mut BytesMut) -> Result<(), Error> {
        let mut headers = Headers::new();
        for (name, value) in &fields {
            headers.try_insert(name.clone(), value.clone()).map_err(|_| Error::Chunk("has a malformed trailer"))?;
        }
        let wanted = self.trailer_signature(&self.stand_in, &headers)?;
        verify_slices_are_equal(wanted.as_bytes(), signature.as_bytes())
            .map_err(|_| Error::Chunk("has a trailer whose signature is another"))?;
        let signature = self.trailer_signature(&self.real, &headers)?;
        for (name, value) in fields {
            out.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
        }
        out.extend_from_slice(format!("{SIGNATURE}:{signature}\r\n").as_bytes());
        Ok(())
    }

    fn chunk_signature(&self, signer: &Signer, data: &Bytes) -> Result<String, Error> {
        let signed = sign_chunk(data, &signer.last, &self.parameters(signer)?);
        Ok(signed.map_err(|_| Error::Unsignable)?.into_parts().1)
    }

    fn trailer_signature(&self, signer: &Signer, headers: &Headers) -> Result<String, Error> {
        let signed = sign_trailer(headers, &signer.last, &self.parameters(signer)?);
        Ok(signed.map_err(|_| Error::Unsignable)?.into_parts().1)
    }

    fn parameters<'a>(&'a self, signer: &'a Signer) -> Result<v4::SigningParams<'a, ()>, Error> {
        let builder = v4::SigningParams::builder().identity(&signer.keys.0).region(&self.region).name(&self.service);
        builder.time(self.time).settings(()).build().map_err(|_| Error::Unsignable)
    }
}

/// The next line, if it is there.
fn line(waiting: &mut BytesMut) -> Result<Option<String>, Error> {
    let Some(end) = waiting.windows(2).take(MAX_LINE).position(|pair| pair == b"\r\n") else {
        return if waiting.len() > MAX_LINE { Err(Error::Chunk("has a line that does not end")) } else { Ok(None) };
    };
    let line = waiting.split_to(end);
    waiting.advance(2);
    let is_text = line.iter().all(|b| (0x20..0x7f).contains(b));
    if !is_text {
        return Err(Error::Chunk("has a malformed line"));
    }
    Ok(Some(String::from_utf8(line.to_vec()).expect("it is ASCII")))
}

/// `SIZE;chunk-signature=SIGNATURE`
fn piece_of(line: &str) -> Result<(String, usize, String), Error> {
    let malformed = Error::Chunk("has a malformed chunk, or one with an extension");
    let (digits, signature) = line.split_once(";chunk-signature=").ok_or(malformed.clone())?;
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit()) && (digits == "0" || !digits.starts_with('0'));
    let size = usize::from_str_radix(digits, 16).ok().filter(|_| plain && digits.len() <= 8);
    match size {
        Some(size) if size > MAX_CHUNK => Err(Error::Chunk("has a chunk of more than 1 MiB")),
        Some(size) if is_hash(signature) => Ok((digits.to_owned(), size, signature.to_owned())),
        _ => Err(malformed),
    }
}
