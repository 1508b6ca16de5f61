//! What the other side of an HTTP/2 connection allows in it: its SETTINGS (RFC 9113 §6.5), overheard. The library that carries
//! the connection obeys them, and tells of them only while it is handed a request.
//!
//! Frames are told apart by their heads and no other payload is looked at. What is malformed is for that library to refuse.

/// The length of a frame's head (RFC 9113 §4.1).
const HEAD: usize = 9;
/// The type of the frame.
const SETTINGS: u8 = 0x4;
/// The flag of a frame that takes note of the other side's.
const ACK: u8 = 0x1;
/// RFC 9113 §6.5.2.
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
/// RFC 8441 §3.
const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Streams at once.
    pub streams: u32,
    /// WebSockets in them.
    pub websockets: bool,
}

impl Default for Allowed {
    /// Until something else is said.
    fn default() -> Self {
        Self { streams: u32::MAX, websockets: false }
    }
}

/// Listens to one side of a connection, from its first byte.
#[derive(Debug, Default)]
pub struct Listener {
    /// The head of the frame, as far as it has come.
    head: Gathered<HEAD>,
    /// What is left of its payload.
    left: usize,
    /// A setting of it, as far as it has come.
    entry: Gathered<6>,
    allowed: Allowed,
    /// Whether settings have come.
    told: bool,
}

/// Bytes that come in pieces.
#[derive(Debug)]
struct Gathered<const N: usize> {
    bytes: [u8; N],
    filled: usize,
}

impl<const N: usize> Default for Gathered<N> {
    fn default() -> Self {
        Self { bytes: [0; N], filled: 0 }
    }
}

impl<const N: usize> Gathered<N> {
    /// Takes as much as is missing, and gives the whole once it is there.
    fn take(&mut self, bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (mine, rest) = bytes.split_at(bytes.len().min(N - self.filled));
        self.bytes[self.filled..][..mine.len()].copy_from_slice(mine);
        self.filled += mine.len();
        *bytes = rest;
        (self.filled == N).then(|| {
            self.filled = 0;
            self.bytes
        })
    }
}

impl Listener {
    /// What is allowed, once the first settings have come.
    pub fn allowed(&self) -> Option<Allowed> {
        self.told.then_some(self.allowed)
    }

    /// The next bytes.
    pub fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let (payload, rest) = bytes.split_at(bytes.len().min(self.left));
                self.left -= payload.len();
                bytes = rest;
                if self.is_settings() {
                    self.hear_settings(payload);
                    self.told |= self.left == 0;
                }
            } else if let Some([a, b, c, ..]) = self.head.take(&mut bytes) {
                self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.entry = Gathered::default();
                self.told |= self.left == 0 && self.is_settings();
            }
        }
    }

    /// Whether the frame whose head came last is the other side's settings.
    fn is_settings(&self) -> bool {
        self.head.bytes[3] == SETTINGS && self.head.bytes[4] & ACK == 0
    }

    fn hear_settings(&mut self, mut payload: &[u8]) {
        while !payload.is_empty() {
            let Some([i, d, value @ ..]) = self.entry.take(&mut payload) else { return };
            let value = u32::from_be_bytes(value);
            match u16::from_be_bytes([i, d]) {
                MAX_CONCURRENT_STREAMS => self.allowed.streams = value,
                ENABLE_CONNECT_PROTOCOL => self.allowed.websockets = value == 1,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 0], payload].concat()
    }

    fn settings(values: &[(u16, u32)]) -> Vec<u8> {
        let entry = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        frame(SETTINGS, 0, &values.iter().flat_map(entry).collect::<Vec<u8>>())
    }

    /// The same is heard whatever pieces it comes in.
    fn check(frames: &[Vec<u8>], expected: Option<Allowed>) {
        let bytes = frames.concat();
        for size in 1..=bytes.len() {
            let mut listener = Listener::default();
            bytes.chunks(size).for_each(|piece| listener.hear(piece));
            assert_eq!(listener.allowed(), expected, "in pieces of {size}: {frames:?}");
        }
    }

    #[test]
    fn what_is_said_is_heard() {
        let said = |streams, websockets| Some(Allowed { streams, websockets });
        check(&[vec![0]], None);
        check(&[settings(&[])], said(u32::MAX, false));
        check(&[settings(&[(3, 100)])], said(100, false));
        check(&[settings(&[(8, 1)])], said(u32::MAX, true));
        check(&[settings(&[(4, 65_535), (3, 7), (8, 1), (0xbeef, 9)])], said(7, true));
    }

    /// The last word counts, in one frame and after others; what is not said again stays.
    #[test]
    fn the_last_word_counts() {
        let said = |streams, websockets| Some(Allowed { streams, websockets });
        check(&[settings(&[(8, 1), (8, 0)])], said(u32::MAX, false));
        check(&[settings(&[(3, 1), (8, 1)]), frame(0, 1, &[8; 50]), settings(&[(8, 0)])], said(1, false));
        check(&[settings(&[(8, 1)]), settings(&[(3, 0)])], said(0, true));
        // Neither yes nor no: the library ends the connection.
        check(&[settings(&[(8, 2)])], said(u32::MAX, false));
    }

    /// Nothing but settings is taken for them: not what looks like some in a body, nor the other side's note of ours.
    #[test]
    fn other_frames_are_passed_over() {
        let inner = settings(&[(8, 1)]);
        check(&[frame(0, 0, &inner), frame(1, 4, &inner), frame(SETTINGS, ACK, &[])], None);
        check(&[frame(SETTINGS, ACK, &inner[9..])], None);
        // An end in the middle of a setting is none.
        check(&[frame(SETTINGS, 0, &inner[9..14]), frame(0, 0, &inner[14..])], Some(Allowed::default()));
        check(&[settings(&[]), inner[..14].to_vec()], Some(Allowed::default()));
    }
}
