//! Messages with tags, cut out of a stream: short ones as a whole, long ones as they come.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of a message's head.
pub const HEAD: usize = 5;
/// Longest message that is gathered, its head left out. Longer ones pass in pieces.
pub const MAX_GATHERED: usize = 1024 * 1024;

/// A message, or a piece of a long one.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which message it is.
    pub tag: u8,
    /// Whether it is all of it, its head included. Of a long one, the first piece begins with the head.
    pub whole: bool,
    /// As it came.
    pub bytes: Bytes,
}

/// A length that no message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message has no length that one may have")]
pub struct FrameError;

/// One direction of a connection.
#[derive(Default)]
pub struct Frames {
    waiting: BytesMut,
    /// What is missing of the long message that passes.
    missing: usize,
    tag: u8,
}

impl Frame {
    /// What follows the head; of a whole message only.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(HEAD..).unwrap_or_default()
    }
}

impl Frames {
    /// One that begins with what was read already.
    pub fn after(waiting: BytesMut) -> Self {
        Self { waiting, ..Self::default() }
    }

    /// Where more is read to.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.waiting
    }

    /// Whether what was taken out ends where a message does.
    pub fn between_messages(&self) -> bool {
        self.missing == 0
    }

    /// Whether nothing waits for its rest.
    pub fn is_empty(&self) -> bool {
        self.missing == 0 && self.waiting.is_empty()
    }

    /// The next message or piece, if it is there.
    pub fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.missing > 0 {
            let length = self.missing.min(self.waiting.len());
            self.missing -= length;
            let bytes = self.waiting.split_to(length).freeze();
            return Ok(Some(Frame { tag: self.tag, whole: false, bytes }).filter(|_| length > 0));
        }
        let [tag, a, b, c, d, ..] = *self.waiting.chunk() else { return Ok(None) };
        // It is signed there.
        let length = i32::from_be_bytes([a, b, c, d]);
        let length = usize::try_from(length).ok().filter(|length| *length >= 4).ok_or(FrameError)? + 1;
        self.tag = tag;
        if length - HEAD > MAX_GATHERED {
            let here = length.min(self.waiting.len());
            self.missing = length - here;
            return Ok(Some(Frame { tag, whole: false, bytes: self.waiting.split_to(here).freeze() }));
        }
        if self.waiting.len() < length {
            self.waiting.reserve(length - self.waiting.len());
            return Ok(None);
        }
        Ok(Some(Frame { tag, whole: true, bytes: self.waiting.split_to(length).freeze() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_cut_anywhere_is_the_same_messages() {
        let long = [&b"d\0\x10\0\x05"[..], &vec![b'x'; MAX_GATHERED + 1]].concat();
        let stream =
            [&super::super::message(b'Q', b"select 1\0")[..], &super::super::message(b'S', b""), &long, b"X\0\0\0\x04"]
                .concat();
        for size in [1, 2, 5, 7, 100, stream.len()] {
            let mut frames = Frames::default();
            let (mut whole, mut all) = (Vec::new(), Vec::new());
            for piece in stream.chunks(size) {
                frames.buffer().extend_from_slice(piece);
                while let Some(frame) = frames.take().unwrap() {
                    all.extend_from_slice(&frame.bytes);
                    if frame.whole {
                        whole.push((frame.tag, frame.body().len()));
                    } else {
                        assert_eq!(frame.tag, b'd');
                    }
                }
            }
            assert_eq!(whole, [(b'Q', 9), (b'S', 0), (b'X', 0)], "{size}");
            assert!(all == stream && frames.is_empty(), "{size}");
        }
    }

    #[test]
    fn lengths_that_none_has() {
        for length in [0_u32, 3, 0x8000_0000, u32::MAX] {
            let mut frames = Frames::after(BytesMut::from(&[&b"Q"[..], &length.to_be_bytes()].concat()[..]));
            assert_eq!(frames.take(), Err(FrameError), "{length}");
        }
    }
}
