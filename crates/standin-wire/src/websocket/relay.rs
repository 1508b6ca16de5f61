//! One direction of a WebSocket: frames in, frames out.

use super::deflate::{Agreed, Deflate, Inflate};
use super::frame::{self, Head, MAX_CONTROL, Masks};
use super::utf8::Utf8;
use super::{Side, Stop};
use bytes::{Bytes, BytesMut};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Most payload that is looked at in one step, in bytes.
const STEP: usize = 16 * 1024;
/// A message that came in one frame, of at most so many bytes, goes out in one: its sender sent all of it at once.
const KEPT_WHOLE: u64 = 64 * 1024;
/// Bytes that may be ready before they are to be sent.
const ENOUGH: usize = 64 * 1024;

/// What happens to the clear payload of one direction.
pub trait Filter {
    /// A message begins.
    fn begin(&mut self, text: bool);
    /// The next piece of it; what may go on is appended to `out`.
    fn data(&mut self, piece: Bytes, out: &mut BytesMut) -> Result<(), Stop>;
    /// It is over; what was held back is appended. False if the message is not to be compressed; asked in time only if
    /// nothing of it went out before.
    fn end(&mut self, out: &mut BytesMut) -> Result<bool, Stop>;
    /// The payload of a control frame; of a close frame, its reason.
    fn control(&mut self, payload: Bytes) -> Result<Bytes, Stop>;
}

/// What a leg agreed on.
#[derive(Clone, Copy, Debug)]
pub struct Compression {
    /// Whether the side that is read from may compress.
    pub from: bool,
    /// How the side that is written to is to be compressed for, if at all.
    pub to: Option<Agreed>,
}

/// What a step led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All input is taken; more is needed.
    Hungry,
    /// What is ready is to be sent first.
    Full,
    /// A close frame went through, with this code: the last frame of this direction.
    Closed(Option<u16>),
}

/// One direction.
pub struct Relay<F> {
    from: Side,
    masks: Option<Masks>,
    inflate: Option<Inflate>,
    deflate: Option<Deflate>,
    filter: F,
    state: State,
    message: Option<Message>,
    /// Clear payload of the message that waits to be framed.
    payload: BytesMut,
}

enum State {
    /// Waits for a head.
    Between,
    /// In a data frame.
    Data { left: u64, at: u64, mask: Option<[u8; 4]>, last: bool, whole: bool },
    /// In a control frame.
    Control { kind: Control, length: usize, mask: Option<[u8; 4]> },
    /// After a close frame.
    Closed(Option<u16>),
}

/// What a step in a data frame finds.
enum Piece {
    Clear(Bytes),
    /// Something was taken that is yet to be decompressed.
    Raw,
    /// Nothing, until more comes.
    None,
    FrameOver,
    MessageOver,
}

struct Message {
    code: Data,
    came_compressed: bool,
    utf8: Utf8,
    /// Whether a frame of it went out.
    begun: bool,
}

impl<F: Filter> Relay<F> {
    /// The direction away from `from`; `masks` if it leads to an origin.
    pub fn new(from: Side, masks: Option<Masks>, compression: Compression, filter: F) -> Self {
        Self {
            from,
            masks,
            inflate: compression.from.then(Inflate::new),
            deflate: compression.to.map(Deflate::new),
            filter,
            state: State::Between,
            message: None,
            payload: BytesMut::new(),
        }
    }

    /// Whether the input may end here without having been cut: nothing is begun.
    pub fn is_between_messages(&self) -> bool {
        self.message.is_none() && !matches!(self.state, State::Data { .. } | State::Control { .. })
    }

    /// Whether a close frame went through: no frame may follow it.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// Takes from `input` and appends whole frames to `out`.
    pub fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<Progress, Stop> {
        loop {
            if let State::Closed(code) = self.state {
                return Ok(Progress::Closed(code));
            }
            if out.len() >= ENOUGH {
                return Ok(Progress::Full);
            }
            let moved = match self.state {
                State::Between => self.begin_frame(input)?,
                State::Control { kind, length, mask } => self.control(kind, length, mask, input, out)?,
                State::Data { .. } => self.data(input, out)?,
                State::Closed(_) => false,
            };
            if !moved {
                // Somebody may wait for what there is of a message that its sender sends in pieces.
                if !matches!(self.state, State::Data { whole: true, .. }) {
                    self.emit(false, out)?;
                }
                return Ok(Progress::Hungry);
            }
        }
    }

    fn begin_frame(&mut self, input: &mut BytesMut) -> Result<bool, Stop> {
        let in_message = self.message.is_some();
        let Some(head) = Head::read(input, self.from, self.inflate.is_some(), in_message)? else { return Ok(false) };
        let code = match head.code {
            OpCode::Control(kind) => {
                let length = usize::try_from(head.length).expect("at most 125");
                self.state = State::Control { kind, length, mask: head.mask };
                return Ok(true);
            }
            OpCode::Data(code) => code,
        };
        if code != Data::Continue {
            self.filter.begin(code == Data::Text);
            self.message =
                Some(Message { code, came_compressed: head.compressed, utf8: Utf8::default(), begun: false });
        }
        let whole = !in_message && head.last && head.length <= KEPT_WHOLE;
        self.state = State::Data { left: head.length, at: 0, mask: head.mask, last: head.last, whole };
        Ok(true)
    }

    /// A control frame may stand within a message; it is small, and comes as a whole.
    fn control(
        &mut self,
        kind: Control,
        length: usize,
        mask: Option<[u8; 4]>,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<bool, Stop> {
        if input.len() < length {
            return Ok(false);
        }
        let mut payload = input.split_to(length);
        if let Some(mask) = mask {
            frame::apply(mask, 0, &mut payload);
        }
        let payload = payload.freeze();
        self.state = State::Between;
        let mut clean = BytesMut::new();
        if kind == Control::Close {
            let code = frame::close_code(&payload)?;
            clean.extend_from_slice(&payload[..payload.len().min(2)]);
            let reason = self.filter.control(payload.slice(clean.len()..))?;
            let reason = String::from_utf8_lossy(&reason);
            clean.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(MAX_CONTROL - clean.len())]);
            self.state = State::Closed(code);
        } else {
            clean.extend_from_slice(&self.filter.control(payload)?);
            clean.truncate(MAX_CONTROL);
        }
        self.emit(false, out)?;
        frame::write(out, OpCode::Control(kind), true, false, self.masks, &clean);
        Ok(true)
    }

    /// One step within a data frame.
    fn data(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<bool, Stop> {
        match self.next_piece(input)? {
            Piece::Clear(piece) => {
                self.filter.data(piece, &mut self.payload)?;
                let whole = matches!(self.state, State::Data { whole: true, .. });
                if self.payload.len() >= if whole { ENOUGH } else { STEP } {
                    self.emit(false, out)?;
                }
            }
            Piece::Raw => {}
            Piece::None => return Ok(false),
            Piece::FrameOver => {
                self.emit(false, out)?;
                self.state = State::Between;
            }
            Piece::MessageOver => self.end_message(out)?,
        }
        Ok(true)
    }

    /// Decompresses what is there, else takes more of the frame.
    fn next_piece(&mut self, input: &mut BytesMut) -> Result<Piece, Stop> {
        let State::Data { left, at, mask, last, .. } = &mut self.state else { return Ok(Piece::None) };
        let compressed = self.message.as_ref().is_some_and(|message| message.came_compressed);
        let mut inflate = self.inflate.as_mut().filter(|_| compressed);
        if let Some(inflate) = &mut inflate
            && inflate.is_busy()
        {
            return inflate.step().map(Piece::Clear);
        }
        if *left > 0 {
            let length = STEP.min(input.len()).min(usize::try_from(*left).unwrap_or(usize::MAX));
            if length == 0 {
                return Ok(Piece::None);
            }
            let mut piece = input.split_to(length);
            if let Some(mask) = *mask {
                frame::apply(mask, *at, &mut piece);
            }
            *at += length as u64;
            *left -= length as u64;
            let Some(inflate) = inflate else { return Ok(Piece::Clear(piece.freeze())) };
            inflate.feed(piece.freeze());
            return Ok(Piece::Raw);
        }
        if !*last {
            return Ok(Piece::FrameOver);
        }
        Ok(if inflate.is_some_and(Inflate::finish) { Piece::Raw } else { Piece::MessageOver })
    }

    fn end_message(&mut self, out: &mut BytesMut) -> Result<(), Stop> {
        let may_compress = self.filter.end(&mut self.payload)?;
        if let Some(message) = &mut self.message
            && !message.begun
        {
            message.came_compressed &= may_compress;
        }
        self.emit(true, out)?;
        self.message = None;
        self.state = State::Between;
        Ok(())
    }

    /// Frames the payload that waits.
    fn emit(&mut self, last: bool, out: &mut BytesMut) -> Result<(), Stop> {
        let Some(message) = &mut self.message else { return Ok(()) };
        if self.payload.is_empty() && !last {
            return Ok(());
        }
        if message.code == Data::Text && !(message.utf8.take(&self.payload) && (!last || message.utf8.is_whole())) {
            return Err(Stop::not_utf8());
        }
        // A message is compressed if it came so: whoever sent it knows whether it is worth it.
        let deflate = self.deflate.as_mut().filter(|_| message.came_compressed);
        let compressed = deflate.is_some();
        let raw;
        let payload: &[u8] = match deflate {
            Some(deflate) => {
                raw = deflate.piece(&self.payload, last);
                &raw
            }
            None => &self.payload,
        };
        let (code, first) = if message.begun { (Data::Continue, false) } else { (message.code, true) };
        frame::write(out, OpCode::Data(code), last, compressed && first, self.masks, payload);
        message.begun = true;
        self.payload.clear();
        Ok(())
    }
}
