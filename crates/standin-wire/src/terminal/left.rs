//! What a command switched on and left so: mouse reports, for one, would be typed into the caller's shell.

use super::judge::numbers;
use std::collections::BTreeSet;

/// Modes that are off in a shell's terminal, in the order in which they are undone.
const OFF: &[u32] = &[1, 9, 66, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004, 2026, 2031, 2048, 47, 1047, 1049];
/// Modes that are on: wrapping, and the cursor.
const ON: &[u32] = &[7, 25];

/// What is to be undone.
#[derive(Default)]
pub(super) struct Left {
    /// Modes that are not as a shell expects them.
    modes: BTreeSet<u32>,
    /// Settings on kitty's stack.
    keyboards: u32,
    /// xterm's way of reporting keys.
    keys: bool,
    keypad: bool,
}

impl Left {
    /// Takes notice of a sequence that goes out, after its `ESC`.
    pub(super) fn note(&mut self, sequence: &[u8]) {
        match sequence {
            [b'[', b'?', parameters @ .., last @ (b'h' | b'l')] => {
                for mode in numbers(parameters).unwrap_or_default() {
                    self.mode(mode, *last == b'h');
                }
            }
            [b'[', b'>', .., b'u'] => self.keyboards = self.keyboards.saturating_add(1),
            [b'[', b'<', parameters @ .., b'u'] => {
                let count = numbers(parameters).and_then(|numbers| numbers.first().copied()).unwrap_or_default();
                self.keyboards = self.keyboards.saturating_sub(count.max(1));
            }
            [b'[', b'>', parameters @ .., b'm'] => {
                self.keys = numbers(parameters).is_some_and(|n| matches!(n[..], [4, how] if how != 0));
            }
            b"=" => self.keypad = true,
            b">" => self.keypad = false,
            // Back to the start.
            b"c" => *self = Self::default(),
            _ => {}
        }
    }

    fn mode(&mut self, mode: u32, on: bool) {
        if (on && OFF.contains(&mode)) || (!on && ON.contains(&mode)) {
            self.modes.insert(mode);
        } else {
            self.modes.remove(&mode);
        }
    }

    /// Undoes it.
    pub(super) fn undo(self, out: &mut Vec<u8>) {
        let mut say = |text: String| out.extend_from_slice(text.as_bytes());
        if self.keyboards > 0 {
            say(format!("\x1b[<{}u", self.keyboards));
        }
        if self.keys {
            say("\x1b[>4m".to_owned());
        }
        if self.keypad {
            say("\x1b>".to_owned());
        }
        for mode in OFF.iter().filter(|mode| self.modes.contains(mode)) {
            say(format!("\x1b[?{mode}l"));
        }
        for mode in ON.iter().filter(|mode| self.modes.contains(mode)) {
            say(format!("\x1b[?{mode}h"));
        }
    }
}
