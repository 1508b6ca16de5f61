//! UTF-8, as far as it matters which bytes belong to a character and which are controls.

/// What a byte is, or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A byte of ASCII, control or not.
    Ascii(u8),
    /// A byte of a character beyond ASCII, or one that is none in UTF-8.
    Part(u8),
    /// A control from 0x80 to 0x9f (ECMA-48 §5.3), as a character or, in no character, as a byte.
    Control(u8),
}

/// The first byte of the characters below U+00C0, among them the controls.
pub(super) const FIRST_BEYOND: u8 = 0xc2;

/// Reads UTF-8 (RFC 3629 §4: nothing longer than it must be, which older readers take for something else).
#[derive(Default)]
pub(super) struct Units {
    /// Bytes that the character still needs, and between what the next one must be.
    needed: u8,
    low: u8,
    high: u8,
    /// Whether the character's first byte is not given out yet, for it may be a control.
    withheld: bool,
}

impl Units {
    /// Whether no character is begun.
    pub(super) fn at_boundary(&self) -> bool {
        self.needed == 0
    }

    /// Takes a byte; gives what is certain.
    pub(super) fn next(&mut self, byte: u8) -> [Option<Unit>; 2] {
        let withheld = std::mem::take(&mut self.withheld);
        if self.needed > 0 && (self.low..=self.high).contains(&byte) {
            self.needed -= 1;
            (self.low, self.high) = (0x80, 0xbf);
            return match (withheld, byte) {
                (true, ..0xa0) => [Some(Unit::Control(byte)), None],
                (true, _) => [Some(Unit::Part(FIRST_BEYOND)), Some(Unit::Part(byte))],
                (false, _) => [Some(Unit::Part(byte)), None],
            };
        }
        [withheld.then_some(Unit::Part(FIRST_BEYOND)), self.first(byte)]
    }

    /// What is withheld at the end.
    pub(super) fn finish(&mut self) -> Option<Unit> {
        self.needed = 0;
        std::mem::take(&mut self.withheld).then_some(Unit::Part(FIRST_BEYOND))
    }

    /// A byte that goes on with no character.
    fn first(&mut self, byte: u8) -> Option<Unit> {
        (self.needed, self.low, self.high) = match byte {
            FIRST_BEYOND..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            _ => (0, 0, 0),
        };
        self.withheld = byte == FIRST_BEYOND;
        match byte {
            FIRST_BEYOND => None,
            0..0x80 => Some(Unit::Ascii(byte)),
            0x80..0xa0 => Some(Unit::Control(byte)),
            _ => Some(Unit::Part(byte)),
        }
    }
}
