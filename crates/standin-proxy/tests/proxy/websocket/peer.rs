//! Both ends of a WebSocket, and frames written and read by hand.

use crate::rig::{Bytes, Wire};
use h2::{RecvStream, SendStream};

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CONTINUE: u8 = 0;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;
/// The bit of a frame that is the last of its message.
pub const LAST: u8 = 0x80;
/// The bit of a compressed message.
pub const RSV1: u8 = 0x40;

/// A frame as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Bits and opcode.
    pub first: u8,
    pub masked: bool,
    pub payload: Vec<u8>,
}

/// One end.
pub struct End {
    io: Io,
    ahead: Vec<u8>,
    /// Whether it masks what it sends.
    client: bool,
}

enum Io {
    Wire(Box<Wire>),
    Stream { send: SendStream<Bytes>, recv: RecvStream },
}

/// A frame's bytes.
pub fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let mut bytes = vec![first];
    let bit = if masked { 0x80 } else { 0 };
    match payload.len() {
        length @ 0..=125 => bytes.push(bit | u8::try_from(length).unwrap()),
        length @ 126..=0xffff => {
            bytes.push(bit | 0x7e);
            bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(bit | 0x7f);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let mask = [0x12, 0x34, 0x56, 0x78];
    if masked {
        bytes.extend_from_slice(&mask);
    }
    let at = bytes.len();
    bytes.extend_from_slice(payload);
    if masked {
        bytes[at..].iter_mut().zip(mask.into_iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    bytes
}

/// The payload of a close frame.
pub fn closing(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

impl End {
    /// The client's or the origin's, in HTTP/1.1.
    pub fn wire(wire: Wire, client: bool) -> Self {
        Self { io: Io::Wire(Box::new(wire)), ahead: Vec::new(), client }
    }

    /// The same in a stream of HTTP/2.
    pub fn stream(send: SendStream<Bytes>, recv: RecvStream, client: bool) -> Self {
        Self { io: Io::Stream { send, recv }, ahead: Vec::new(), client }
    }

    /// Sends bytes.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.try_raw(bytes).await.expect("the other side still reads");
    }

    pub async fn try_raw(&mut self, bytes: &[u8]) -> Result<(), ()> {
        match &mut self.io {
            Io::Wire(wire) => wire.try_send(bytes).await.map_err(|_| ()),
            Io::Stream { send, .. } => {
                let mut bytes = Bytes::copy_from_slice(bytes);
                while !bytes.is_empty() {
                    send.reserve_capacity(bytes.len());
                    let room = std::future::poll_fn(|cx| send.poll_capacity(cx)).await.ok_or(())?.map_err(|_| ())?;
                    send.send_data(bytes.split_to(room.min(bytes.len())), false).map_err(|_| ())?;
                }
                Ok(())
            }
        }
    }

    /// Sends a frame as this end has to.
    pub async fn send(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let bytes = frame(first, payload.as_ref(), self.client);
        self.raw(&bytes).await;
    }

    /// A whole text message.
    pub async fn say(&mut self, text: &str) {
        self.send(LAST | TEXT, text).await;
    }

    /// Closes, as an endpoint does.
    pub async fn close(&mut self, code: u16) {
        self.send(LAST | CLOSE, closing(code, "")).await;
    }

    /// The next frame; `None` if there is no more.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, length)) = parse(&self.ahead) {
                self.ahead.drain(..length);
                assert_eq!(frame.masked, !self.client, "what goes to the origin is masked, and only that");
                return Some(frame);
            }
            if !self.fill().await {
                assert!(self.ahead.is_empty(), "only whole frames come: {:?}", self.ahead);
                return None;
            }
        }
    }

    /// The next frame is this one.
    pub async fn expect(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let frame = self.next().await.expect("a frame");
        let shown = |payload: &[u8]| String::from_utf8_lossy(&payload[..payload.len().min(200)]).into_owned();
        let (got, wanted) = (frame.payload.as_slice(), payload.as_ref());
        assert_eq!((frame.first, shown(got)), (first, shown(wanted)), "{:?}", frame.payload.first_chunk::<2>());
        assert!(got == wanted, "{} bytes instead of {}", got.len(), wanted.len());
    }

    /// The next message: its kind and payload, however it is fragmented. Control frames within it are put aside.
    pub async fn message(&mut self) -> (u8, Vec<u8>) {
        let mut all = Vec::new();
        let mut kind = None;
        loop {
            let frame = self.next().await.expect("a frame");
            if frame.first & 8 != 0 {
                continue;
            }
            match kind {
                None => kind = Some(frame.first & !LAST),
                Some(_) => assert_eq!(frame.first & !LAST, CONTINUE),
            }
            all.extend(frame.payload);
            if frame.first & LAST != 0 {
                return (kind.unwrap(), all);
            }
        }
    }

    /// It closes with this code, and then the connection ends.
    pub async fn expect_close(&mut self, code: u16) -> String {
        let mut frame = self.next().await.expect("a close frame");
        while frame.first != LAST | CLOSE {
            frame = self.next().await.expect("a close frame");
        }
        assert_eq!(u16::from_be_bytes([frame.payload[0], frame.payload[1]]), code, "{frame:?}");
        String::from_utf8(frame.payload[2..].to_vec()).unwrap()
    }

    /// All that comes until the end.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.ahead)
    }

    /// Nothing more comes.
    pub async fn ended(&mut self) {
        assert_eq!(self.next().await, None);
    }

    /// Says that nothing more will be sent.
    pub async fn shut(&mut self) {
        match &mut self.io {
            Io::Wire(wire) => wire.shut().await,
            Io::Stream { send, .. } => send.send_data(Bytes::new(), true).unwrap(),
        }
    }

    /// Breaks off.
    pub fn cut(self) {
        match self.io {
            Io::Wire(wire) => wire.cut(),
            Io::Stream { mut send, .. } => send.send_reset(h2::Reason::INTERNAL_ERROR),
        }
    }

    async fn fill(&mut self) -> bool {
        match &mut self.io {
            Io::Wire(wire) => match wire.some().await {
                Ok(bytes) if bytes.is_empty() => false,
                Ok(bytes) => {
                    self.ahead.extend(bytes);
                    true
                }
                Err(_) => false,
            },
            Io::Stream { recv, .. } => match recv.data().await {
                Some(Ok(bytes)) => {
                    recv.flow_control().release_capacity(bytes.len()).unwrap();
                    self.ahead.extend_from_slice(&bytes);
                    true
                }
                _ => false,
            },
        }
    }
}

fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, mut at) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
        length => (u64::from(length), 2),
    };
    let mask: Option<[u8; 4]> = if second & 0x80 == 0 {
        None
    } else {
        at += 4;
        Some(*bytes.get(at - 4..)?.first_chunk()?)
    };
    let end = at + usize::try_from(length).unwrap();
    let mut payload = bytes.get(at..end)?.to_vec();
    if let Some(mask) = mask {
        payload.iter_mut().zip(mask.into_iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    Some((Frame { first, masked: mask.is_some(), payload }, end))
}
