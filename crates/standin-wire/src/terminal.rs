//! What a command shows on the caller's terminal, less what would do more than show.
//!
//! A terminal is a program of the host that obeys what it is sent: it puts text on the clipboard, prints, opens files,
//! and answers questions by typing the answer. [`Filter`] lets text and the sequences of [`judge`]'s lists through and
//! nothing else. A sequence goes out as a whole, in its 7-bit form, after it was read to its end by the strictest
//! grammar there is; a terminal that reads sloppier than we do never sees the beginning of one that we read otherwise.
//!
//! The terminal is taken for one that reads UTF-8. In one that is set to an 8-bit character set, bytes of a character
//! are controls.

mod judge;
mod left;
mod units;

use left::Left;
use standin_model::TerminalFeature;
use units::{Unit, Units};

/// Longest sequence without a text in it, in bytes. xterm takes 30 numbers.
const MAX_SEQUENCE: usize = 256;
/// Longest sequence with a text in it, in bytes. Terminals take about that much for the clipboard.
const MAX_TEXT: usize = 1024 * 1024;

/// Bytes that are looked at together: what is no UTF-8 is looked at again from the next byte on.
const MAX_RUN: usize = 1024;

const BELL: u8 = 0x07;
const CANCEL: u8 = 0x18;
const SUBSTITUTE: u8 = 0x1a;
const ESCAPE: u8 = 0x1b;
/// Ends a text, among the controls beyond ASCII.
const STRING_TERMINATOR: u8 = 0x9c;
/// What lies between a control beyond ASCII and the letter that means it after `ESC` (ECMA-48 §5.3).
const SEVEN_BIT: u8 = 0x40;

/// One terminal's output on its way.
pub struct Filter {
    features: Vec<TerminalFeature>,
    units: Units,
    state: State,
    /// The sequence that is being read, from its `ESC` on.
    sequence: Vec<u8>,
    /// Whether it holds what does not belong there, so that it is dropped at its end.
    spoiled: bool,
    /// Bytes of the text in it, kept or not.
    length: usize,
    left: Left,
}

/// What is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Text.
    Ground,
    /// After `ESC`.
    Escape,
    /// After `ESC [`.
    Control,
    /// A text up to `ESC \` or, in an OSC, `BEL`.
    Text,
    /// After an `ESC` in it.
    TextEnd,
    /// A picture in sixels, which goes out while it comes.
    Picture,
    /// After an `ESC` in it.
    PictureEnd,
}

impl Filter {
    /// Lets these features through besides what is harmless.
    pub fn new(features: Vec<TerminalFeature>) -> Self {
        Self {
            features,
            units: Units::default(),
            state: State::Ground,
            sequence: Vec::new(),
            spoiled: false,
            length: 0,
            left: Left::default(),
        }
    }

    /// Takes the next bytes, and adds to `out` what may be shown.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.state == State::Ground && self.units.at_boundary() {
                let text = run_of_text(bytes);
                if text > 0 {
                    out.extend_from_slice(&bytes[..text]);
                    bytes = &bytes[text..];
                    continue;
                }
            }
            for unit in self.units.next(byte).into_iter().flatten() {
                self.unit(unit, out);
            }
            bytes = rest;
        }
    }

    /// The output is over: undoes what would outlast it. What was begun and not ended is dropped.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(Unit::Part(byte)) = self.units.finish()
            && self.state == State::Ground
        {
            out.push(byte);
        }
        self.abandon(out);
        std::mem::take(&mut self.left).undo(out);
    }

    fn unit(&mut self, unit: Unit, out: &mut Vec<u8>) {
        match (self.state, unit) {
            (State::Ground, Unit::Ascii(ESCAPE)) => self.begin(),
            (State::Ground, Unit::Ascii(byte)) => emit_plain(byte, out),
            (State::Ground, Unit::Part(byte)) => out.push(byte),
            (State::Text | State::Picture, Unit::Control(STRING_TERMINATOR)) => {
                self.sequence.extend([ESCAPE, b'\\']);
                self.end_text(out);
            }
            (_, Unit::Control(control)) => {
                self.abandon(out);
                self.begin();
                self.unit(Unit::Ascii(control - SEVEN_BIT), out);
            }
            (_, Unit::Ascii(CANCEL | SUBSTITUTE)) => self.abandon(out),
            (State::Escape | State::Control, Unit::Ascii(ESCAPE)) => self.begin(),
            (State::Escape | State::Control, Unit::Part(byte)) => {
                self.state = State::Ground;
                out.push(byte);
            }
            (State::Escape, Unit::Ascii(byte)) => self.escape(byte, out),
            (State::Control, Unit::Ascii(byte)) => self.control(byte, out),
            (State::Text, Unit::Ascii(ESCAPE)) => self.state = State::TextEnd,
            (State::Text, Unit::Ascii(BELL)) if self.sequence[1] == b']' => {
                self.sequence.push(BELL);
                self.end_text(out);
            }
            (State::Text, Unit::Ascii(byte) | Unit::Part(byte)) => self.text(byte, out),
            (State::TextEnd | State::PictureEnd, Unit::Ascii(b'\\')) => {
                self.sequence.extend([ESCAPE, b'\\']);
                self.end_text(out);
            }
            (State::Picture, Unit::Ascii(ESCAPE)) => self.state = State::PictureEnd,
            (State::Picture, Unit::Ascii(byte @ (b'\r' | b'\n' | b' '..=b'~'))) => out.push(byte),
            // Whatever else follows an `ESC` in a text begins anew; what a picture cannot hold ends it.
            (State::TextEnd | State::PictureEnd, unit) => {
                self.abandon(out);
                self.begin();
                self.unit(unit, out);
            }
            (State::Picture, unit) => {
                self.abandon(out);
                self.unit(unit, out);
            }
        }
    }

    fn begin(&mut self) {
        self.sequence.clear();
        self.sequence.push(ESCAPE);
        self.spoiled = false;
        self.length = 0;
        self.state = State::Escape;
    }

    /// Drops what was begun.
    fn abandon(&mut self, out: &mut Vec<u8>) {
        if matches!(self.state, State::Picture | State::PictureEnd) {
            out.extend([ESCAPE, b'\\']);
        }
        self.state = State::Ground;
    }

    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            0..b' ' => emit_plain(byte, out),
            b' '..=b'/' if self.sequence.len() < MAX_SEQUENCE => self.sequence.push(byte),
            b' '..=b'/' | 0x7f.. => self.spoiled = true,
            _ => {
                self.sequence.push(byte);
                self.state = match self.sequence[1..] {
                    [b'['] => State::Control,
                    // `k`: a title in screen and tmux; elsewhere it would be shown.
                    [b']' | b'P' | b'X' | b'^' | b'_' | b'k'] => State::Text,
                    _ => State::Ground,
                };
                if self.state == State::Ground && !self.spoiled && judge::escape(&self.sequence[1..]) {
                    self.send(out);
                }
            }
        }
    }

    fn control(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            0..b' ' => {
                // A terminal obeys it and reads on. No program writes that.
                emit_plain(byte, out);
                self.spoiled = true;
            }
            b' '..=b'~' if self.sequence.len() < MAX_SEQUENCE => {
                self.sequence.push(byte);
                if byte >= b'@' {
                    self.state = State::Ground;
                    if !self.spoiled && judge::control(&self.sequence[2..], &self.features) {
                        self.send(out);
                    }
                }
            }
            b'@'..=b'~' => self.state = State::Ground,
            _ => self.spoiled = true,
        }
    }

    fn text(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.length += 1;
        self.spoiled |= byte < b' ' || byte == 0x7f || self.length > MAX_TEXT;
        if self.length > 2 * MAX_TEXT {
            // It has no end. What comes is shown, in a terminal that never saw its beginning.
            self.state = State::Ground;
        } else if !self.spoiled {
            self.sequence.push(byte);
            if byte == b'q' && judge::begins_picture(&self.sequence[1..]) {
                self.state = State::Picture;
                self.send(out);
            }
        }
    }

    fn end_text(&mut self, out: &mut Vec<u8>) {
        let is_text = matches!(self.state, State::Text | State::TextEnd);
        if is_text && !self.spoiled && judge::text(&self.sequence[1..], &self.features) {
            self.send(out);
        }
        self.abandon(out);
    }

    fn send(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sequence);
        self.left.note(&self.sequence[1..]);
    }
}

/// How many bytes from here on are text for certain; none if the first one is to be looked at.
fn run_of_text(bytes: &[u8]) -> usize {
    let near = &bytes[..bytes.len().min(MAX_RUN)];
    let suspicious = |byte: &u8| (byte.is_ascii() && !is_plain(*byte)) || *byte == units::FIRST_BEYOND;
    let end = near.iter().position(suspicious).unwrap_or(near.len());
    near[..end].utf8_chunks().next().map_or(0, |chunk| chunk.valid().len())
}

/// Text in ASCII, and the controls that belong to text. Not among them: `ENQ`, which a terminal answers.
fn is_plain(byte: u8) -> bool {
    matches!(byte, 0 | BELL..=0x0f | b' '..=0x7f)
}

fn emit_plain(byte: u8, out: &mut Vec<u8>) {
    if is_plain(byte) {
        out.push(byte);
    }
}

#[cfg(test)]
mod tests;
