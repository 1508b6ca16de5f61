//! permessage-deflate (RFC 7692): what is offered and chosen on one leg, and the two codecs.
//!
//! Each leg of a WebSocket has an agreement of its own. Towards the origin nothing but the bare extension is offered, so
//! there its window is the largest; a client may ask for a smaller one.

use super::Stop;
use bytes::{Buf, Bytes};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What is offered to an origin.
pub const OFFER: &str = "permessage-deflate";
/// What every compressed message ends with, and what is not sent (RFC 7692 §7.2.1).
const TAIL: &[u8] = &[0, 0, 0xff, 0xff];
/// Most that is decompressed at once, in bytes.
const STEP: usize = 16 * 1024;
/// The largest window, as a power of two (RFC 1951).
const WINDOW: u8 = 15;
/// The smallest one that zlib can compress with; 8, which the RFC has too, it cannot.
const SMALLEST_WINDOW: u8 = 9;

/// An offer of a client that can be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    forgets: bool,
    window: Option<u8>,
}

/// What one side of a leg keeps to when it compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Every message stands for itself.
    forgets: bool,
    window: u8,
}

/// The origin chose an extension, or a parameter, that was not offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the origin chose a WebSocket extension that was not offered")]
pub struct NotOffered;

impl Offer {
    /// The first offer of a client's `Sec-WebSocket-Extensions` that can be met.
    pub fn find<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        values.flat_map(|value| value.split(',')).find_map(|offer| {
            let mut met = Self { forgets: false, window: None };
            for (name, value) in parameters(offer)? {
                match (name, value) {
                    ("server_no_context_takeover", None) if !met.forgets => met.forgets = true,
                    ("server_max_window_bits", Some(bits)) if met.window.is_none() => {
                        met.window = Some(bits.parse().ok().filter(|bits| (SMALLEST_WINDOW..=WINDOW).contains(bits))?);
                    }
                    // About how the client compresses; every way is understood.
                    ("client_no_context_takeover" | "client_max_window_bits", _) => {}
                    _ => return None,
                }
            }
            Some(met)
        })
    }

    /// The answer to it.
    pub fn answer(self) -> String {
        let forgets = if self.forgets { "; server_no_context_takeover" } else { "" };
        let window = self.window.map(|bits| format!("; server_max_window_bits={bits}")).unwrap_or_default();
        format!("{OFFER}{forgets}{window}")
    }

    /// How we compress towards that client.
    pub fn agreed(self) -> Agreed {
        Agreed { forgets: self.forgets, window: self.window.unwrap_or(WINDOW) }
    }
}

impl Agreed {
    /// What an origin chose of [`OFFER`]: nothing, or how we compress towards it (RFC 7692 §7.1).
    pub fn chosen<'a>(values: impl Iterator<Item = &'a str>) -> Result<Option<Self>, NotOffered> {
        let mut chosen = None;
        for answer in values.flat_map(|value| value.split(',')) {
            let mut agreed = Self { forgets: false, window: WINDOW };
            for (name, value) in parameters(answer).ok_or(NotOffered)? {
                match (name, value) {
                    ("client_no_context_takeover", None) => agreed.forgets = true,
                    // About how the origin compresses; every way is understood.
                    ("server_no_context_takeover", None) => {}
                    ("server_max_window_bits", Some(bits)) if bits.parse().is_ok_and(|b: u8| (8..=15).contains(&b)) => {
                    }
                    _ => return Err(NotOffered),
                }
            }
            if chosen.replace(agreed).is_some() {
                return Err(NotOffered);
            }
        }
        Ok(chosen)
    }
}

/// The parameters of one `permessage-deflate`; `None` if it is something else.
fn parameters(text: &str) -> Option<impl Iterator<Item = (&str, Option<&str>)>> {
    let mut parts = text.split(';').map(str::trim);
    (parts.next() == Some(OFFER)).then(|| {
        parts.map(|part| match part.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(value.trim_start().trim_matches('"'))),
            None => (part, None),
        })
    })
}

/// Decompresses the messages of one direction.
pub(super) struct Inflate {
    inner: Decompress,
    raw: Bytes,
    /// The last step filled its room: there may be more.
    full: bool,
    tail_given: bool,
}

impl Inflate {
    pub(super) fn new() -> Self {
        Self { inner: Decompress::new(false), raw: Bytes::new(), full: false, tail_given: false }
    }

    /// Takes the next piece of a message; the piece before has been read to its end.
    pub(super) fn feed(&mut self, raw: Bytes) {
        self.raw = raw;
    }

    /// The message is over; false if that was known.
    pub(super) fn finish(&mut self) -> bool {
        let first = !self.tail_given;
        self.tail_given = true;
        if first {
            self.raw = Bytes::from_static(TAIL);
        } else {
            self.tail_given = false;
        }
        first
    }

    /// Whether [`Self::step`] has something to do.
    pub(super) fn is_busy(&self) -> bool {
        self.full || !self.raw.is_empty()
    }

    /// Decompresses a bounded piece.
    pub(super) fn step(&mut self) -> Result<Bytes, Stop> {
        let mut clear = vec![0; STEP];
        let (read, written) = (self.inner.total_in(), self.inner.total_out());
        let status =
            self.inner.decompress(&self.raw, &mut clear, FlushDecompress::Sync).map_err(|_| Stop::compression())?;
        let read = usize::try_from(self.inner.total_in() - read).expect("not more than was given");
        let written = usize::try_from(self.inner.total_out() - written).expect("not more than there was room for");
        self.raw.advance(read);
        self.full = written == STEP;
        match status {
            // A last block (RFC 7692 §7.2.3.4): what follows is a stream of its own.
            Status::StreamEnd => self.inner.reset(false),
            Status::Ok | Status::BufError if read == 0 && written == 0 && !self.raw.is_empty() => {
                return Err(Stop::compression());
            }
            _ => {}
        }
        clear.truncate(written);
        Ok(clear.into())
    }
}

/// Compresses the messages of one direction.
pub(super) struct Deflate {
    inner: Compress,
    forgets: bool,
}

impl Deflate {
    pub(super) fn new(agreed: Agreed) -> Self {
        // Fast: between the sandbox and the proxy nothing is gained, and towards origins a little more size is cheaper
        // than time.
        let inner = Compress::new_with_window_bits(Compression::fast(), false, agreed.window);
        Self { inner, forgets: agreed.forgets }
    }

    /// Compresses the next piece of a message so that all of it can be read.
    pub(super) fn piece(&mut self, clear: &[u8], last: bool) -> Vec<u8> {
        let mut raw = Vec::with_capacity(clear.len() / 2 + 64);
        let mut at = 0;
        loop {
            let before = self.inner.total_in();
            self.inner
                .compress_vec(&clear[at..], &mut raw, FlushCompress::Sync)
                .expect("compressing fails only on a stream that was ended");
            at += usize::try_from(self.inner.total_in() - before).expect("not more than was given");
            if at == clear.len() && raw.len() < raw.capacity() {
                break;
            }
            raw.reserve(clear.len() / 2 + 64);
        }
        if last {
            raw.truncate(raw.strip_suffix(TAIL).map_or(raw.len(), <[u8]>::len));
            if raw.is_empty() {
                // The beginning of the empty block whose end is not sent (RFC 7692 §7.2.3.6).
                raw.push(0);
            }
            if self.forgets {
                self.inner.reset();
            }
        }
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers() {
        let found = |text: &str| Offer::find(std::iter::once(text)).map(Offer::answer);
        for (offer, answer) in [
            ("permessage-deflate", Some("permessage-deflate")),
            ("permessage-deflate; client_max_window_bits", Some("permessage-deflate")),
            ("permessage-deflate; client_max_window_bits=10; client_no_context_takeover", Some("permessage-deflate")),
            (
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
                Some("permessage-deflate; server_no_context_takeover; server_max_window_bits=10"),
            ),
            ("permessage-deflate;server_max_window_bits=\"12\"", Some("permessage-deflate; server_max_window_bits=12")),
            ("permessage-deflate; server_max_window_bits=8, permessage-deflate", Some("permessage-deflate")),
            ("x-webkit-deflate-frame, permessage-deflate", Some("permessage-deflate")),
            ("permessage-deflate; server_max_window_bits=16", None),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
            ("permessage-deflate; other", None),
            ("permessage-bzip2", None),
            ("", None),
        ] {
            assert_eq!(found(offer).as_deref(), answer, "{offer}");
        }
    }

    #[test]
    fn choices() {
        let chosen = |text: &str| Agreed::chosen(std::iter::once(text));
        let keeps = Agreed { forgets: false, window: 15 };
        assert_eq!(Agreed::chosen(std::iter::empty()), Ok(None));
        assert_eq!(chosen("permessage-deflate"), Ok(Some(keeps)));
        assert_eq!(chosen("permessage-deflate; server_no_context_takeover; server_max_window_bits=8"), Ok(Some(keeps)));
        let forgets = Agreed { forgets: true, ..keeps };
        assert_eq!(chosen("permessage-deflate; client_no_context_takeover"), Ok(Some(forgets)));
        for bad in [
            "permessage-deflate; client_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate, permessage-deflate",
            "x-other",
        ] {
            assert_eq!(chosen(bad), Err(NotOffered), "{bad}");
        }
    }

    /// Pieces cut anywhere, over several messages, with and without memory of the ones before.
    #[test]
    fn what_is_compressed_comes_back() {
        let words = "the quick brown fox jumps over the lazy dog ".repeat(2000);
        for forgets in [false, true] {
            let mut deflate = Deflate::new(Agreed { forgets, window: 9 });
            let mut inflate = Inflate::new();
            for pieces in
                [vec!["hello"], vec!["hello", ""], vec![""], vec!["hello", " ", "hello"], vec![&words, &words]]
            {
                let mut clear = Vec::new();
                for (number, piece) in pieces.iter().enumerate() {
                    let last = number + 1 == pieces.len();
                    let raw = deflate.piece(piece.as_bytes(), last);
                    assert!(!raw.ends_with(TAIL) || !last);
                    inflate.feed(raw.into());
                    while inflate.is_busy() {
                        clear.extend_from_slice(&inflate.step().unwrap());
                    }
                }
                assert!(inflate.finish());
                while inflate.is_busy() {
                    clear.extend_from_slice(&inflate.step().unwrap());
                }
                assert!(!inflate.finish());
                assert_eq!(String::from_utf8(clear).unwrap(), pieces.concat());
            }
        }
    }
}
