//! One frame: its head is read and judged (RFC 6455 §5.2), or written. The payload is not gathered here.

use super::{Side, Stop};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::io::Cursor;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// Most payload of a control frame, in bytes (RFC 6455 §5.5).
pub(super) const MAX_CONTROL: usize = 125;

/// Where masks come from: they must not be guessed (RFC 6455 §5.3).
pub type Masks = fn() -> [u8; 4];

/// The head of a frame that may come where it came.
pub(super) struct Head {
    pub(super) code: OpCode,
    pub(super) last: bool,
    pub(super) compressed: bool,
    pub(super) length: u64,
    pub(super) mask: Option<[u8; 4]>,
}

impl Head {
    /// Takes a head from the beginning of `input`, if the whole of it is there.
    pub(super) fn read(
        input: &mut BytesMut,
        from: Side,
        may_compress: bool,
        in_message: bool,
    ) -> Result<Option<Self>, Stop> {
        let mut cursor = Cursor::new(&input[..]);
        let Some((head, length)) =
            FrameHeader::parse(&mut cursor).map_err(|_| Stop::protocol("a frame has an opcode that is reserved"))?
        else {
            return Ok(None);
        };
        let read = usize::try_from(cursor.position()).expect("a head has at most 14 bytes");
        judge(&head, length, from, may_compress, in_message)?;
        if read != head.len(length) || length > i64::MAX as u64 {
            return Err(Stop::protocol("the length of a frame is not written in its shortest form"));
        }
        input.advance(read);
        let FrameHeader { is_final, rsv1, opcode, mask, .. } = head;
        Ok(Some(Self { code: opcode, last: is_final, compressed: rsv1, length, mask }))
    }
}

fn judge(head: &FrameHeader, length: u64, from: Side, may_compress: bool, in_message: bool) -> Result<(), Stop> {
    if head.mask.is_some() != (from == Side::Client) {
        return Err(Stop::protocol(match from {
            Side::Client => "a client's frame is not masked",
            Side::Origin => "a server's frame is masked",
        }));
    }
    let begins = matches!(head.opcode, OpCode::Data(Data::Text | Data::Binary));
    if head.rsv2 || head.rsv3 || (head.rsv1 && !(begins && may_compress)) {
        return Err(Stop::protocol("a frame has a reserved bit that no extension gives a meaning"));
    }
    match head.opcode {
        OpCode::Control(_) if !head.is_final => Err(Stop::protocol("a control frame is fragmented")),
        OpCode::Control(_) if length > MAX_CONTROL as u64 => {
            Err(Stop::protocol("a control frame is longer than 125 bytes"))
        }
        OpCode::Data(Data::Continue) if !in_message => Err(Stop::protocol("a frame continues what has not begun")),
        OpCode::Data(Data::Text | Data::Binary) if in_message => Err(Stop::protocol("a message begins within another")),
        _ => Ok(()),
    }
}

/// Masks, or takes the mask away; `at` is how much of the payload came before (RFC 6455 §5.3).
pub(super) fn apply(mask: [u8; 4], at: u64, payload: &mut [u8]) {
    let shift = usize::try_from(at % 4).expect("less than four");
    let mut turned = mask;
    turned.rotate_left(shift);
    let (words, rest) = payload.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(turned)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(turned) {
        *byte ^= key;
    }
}

/// Writes a frame, masked if `masks` are given: a client's frame, that is.
pub(super) fn write(
    out: &mut BytesMut,
    code: OpCode,
    last: bool,
    compressed: bool,
    masks: Option<Masks>,
    payload: &[u8],
) {
    let mask = masks.map(|new| new());
    let head = FrameHeader { is_final: last, rsv1: compressed, rsv2: false, rsv3: false, opcode: code, mask };
    head.format(payload.len() as u64, &mut out.writer()).expect("a buffer takes everything");
    let at = out.len();
    out.extend_from_slice(payload);
    if let Some(mask) = mask {
        apply(mask, 0, &mut out[at..]);
    }
}

/// What a close frame says (RFC 6455 §5.5.1): the code, if any; the rest is its reason.
pub(super) fn close_code(payload: &Bytes) -> Result<Option<u16>, Stop> {
    match payload.len() {
        0 => Ok(None),
        1 => Err(Stop::protocol("a close frame holds half a code")),
        _ => {
            let code = u16::from_be_bytes([payload[0], payload[1]]);
            // 1014, a gateway's, was registered later than the library's list.
            if !CloseCode::from(code).is_allowed() && code != 1014 {
                return Err(Stop::protocol("a close frame holds a code that is not to be sent"));
            }
            match std::str::from_utf8(&payload[2..]) {
                Ok(_) => Ok(Some(code)),
                Err(_) => Err(Stop::not_utf8()),
            }
        }
    }
}

/// A close frame of our own.
pub fn write_close(out: &mut BytesMut, code: u16, reason: &str, masks: Option<Masks>) {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(MAX_CONTROL - 2)]);
    write(out, OpCode::Control(Control::Close), true, false, masks, &payload);
}
