//! One side of an HTTP/2 connection, written and read frame by frame by nobody's rules (RFC 9113 §4.1).

use crate::rig::Wire;
use std::io;

/// What a client's connection begins with (§3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Of `SETTINGS` and `PING`.
pub const ACK: u8 = 0x1;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const PRIORITIZED: u8 = 0x20;

/// A frame as it was received.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// The other side of a connection to the proxy, or from it.
pub struct Peer {
    wire: Wire,
    ahead: Vec<u8>,
    /// The code with which the other side has said that it ends the connection.
    pub last_goaway: Option<u32>,
}

impl Peer {
    /// A client's side: the preface and settings are sent.
    pub async fn client(mut wire: Wire, settings: &[(u16, u32)]) -> Self {
        wire.send([PREFACE, &self::settings(settings)].concat()).await;
        Self { wire, ahead: vec![], last_goaway: None }
    }

    /// A side of which nothing has been sent.
    pub fn mute(wire: Wire) -> Self {
        Self { wire, ahead: vec![], last_goaway: None }
    }

    /// An origin's side: the preface is read, settings are sent.
    pub async fn origin(wire: Wire, settings: &[(u16, u32)]) -> Self {
        let mut peer = Self::mute_origin(wire).await;
        peer.wire.send(self::settings(settings)).await;
        peer
    }

    /// An origin's side: the preface is read, and nothing has been sent.
    pub async fn mute_origin(mut wire: Wire) -> Self {
        wire.expect(PREFACE).await;
        Self::mute(wire)
    }

    /// Sends these bytes, whatever they mean.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.try_send(bytes).await
    }

    /// The next frame; nothing once the connection has ended. Settings are acknowledged (§6.5.3).
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.parse() {
                if frame.kind == SETTINGS && frame.flags & ACK == 0 {
                    self.send(self::frame(SETTINGS, ACK, 0, [])).await.ok();
                }
                if frame.kind == GOAWAY {
                    self.last_goaway = Some(number(&frame.payload[4..8]));
                }
                return Some(frame);
            }
            match self.wire.some().await {
                Ok(more) if !more.is_empty() => self.ahead.extend(more),
                _ => return None,
            }
        }
    }

    /// The next frame of this kind on this stream; what comes before it is passed over.
    pub async fn next_of(&mut self, kind: u8, stream: u32) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if (frame.kind, frame.stream) == (kind, stream) {
                return Some(frame);
            }
        }
    }

    /// The next frame of this kind with just these flags.
    pub async fn next_with(&mut self, kind: u8, flags: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection lives");
            if (frame.kind, frame.flags) == (kind, flags) {
                return frame;
            }
        }
    }

    /// The next frame of this kind, and none of the other comes before.
    pub async fn next_unless(&mut self, kind: u8, other: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection lives");
            assert_ne!(frame.kind, other, "{frame:?}");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// The code with which the other side ends the connection; nothing if it ends without one.
    pub async fn goaway(&mut self) -> Option<u32> {
        while self.next().await.is_some() {}
        self.last_goaway
    }

    fn parse(&mut self) -> Option<Frame> {
        let head = self.ahead.get(..9)?;
        let length = head[..3].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        if self.ahead.len() < 9 + length {
            return None;
        }
        let (kind, flags, stream) = (head[3], head[4], number(&head[5..9]) & 0x7fff_ffff);
        let payload = self.ahead[9..9 + length].to_vec();
        self.ahead.drain(..9 + length);
        Some(Frame { kind, flags, stream, payload })
    }
}

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(SETTINGS, 0, 0, payload)
}

pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, code.to_be_bytes())
}

/// Fields as literals that no table remembers, without Huffman's code (RFC 7541 §6.2.2).
pub fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    list.iter().flat_map(|(name, value)| [vec![0], string(name), string(value)].concat()).collect()
}

/// A literal that the table remembers (RFC 7541 §6.2.1): the next one is index 62.
pub fn remembered(name: &str, value: &str) -> Vec<u8> {
    [vec![0x40], string(name), string(value)].concat()
}

/// A string, and its length in the integer's variable form (RFC 7541 §5.1, §5.2).
fn string(text: &str) -> Vec<u8> {
    let mut coded = Vec::new();
    if text.len() < 127 {
        coded.push(u8::try_from(text.len()).unwrap());
    } else {
        coded.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            coded.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        coded.push(u8::try_from(rest).unwrap());
    }
    coded.extend_from_slice(text.as_bytes());
    coded
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
