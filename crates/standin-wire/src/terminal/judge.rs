//! Which sequences a terminal may be sent: lists of what programs need and what does no harm. What is in none is
//! dropped.
//!
//! Among them are questions, for programs that draw on the whole screen ask a terminal what it can do and wait for the
//! answer. An answer is typed, into the command and, if that has ended meanwhile, into the caller's shell. So they may
//! be asked whose answer holds numbers and what the terminal's maker chose, and nothing that a program can have put
//! there before (a title, an invalid request that is repeated, the clipboard):
//!
//! | question | answer |
//! |---|---|
//! | `CSI c`, `CSI > c` (what are you), `CSI > q` (which version) | `CSI ? 62 ; 22 c`, `DCS > \| xterm(370) ST` |
//! | `CSI 5 n`, `CSI 6 n`, `CSI ? 6 n` (cursor) | `CSI 0 n`, `CSI 12 ; 40 R` |
//! | `CSI ? 996 n` (dark or light) | `CSI ? 997 ; 1 n` |
//! | `CSI ? u` (kitty's keyboard) | `CSI ? 0 u` |
//! | `CSI ? N $ p`, `CSI N $ p` (is a mode on) | `CSI ? N ; 1 $ y` |
//! | `CSI 14 t`, `CSI 16 t`, `CSI 18 t` (sizes) | `CSI 6 ; 20 ; 10 t` |
//! | `OSC 10 ; ?`, `11`, `12`, `OSC 4 ; N ; ?` (colours) | `OSC 11 ; rgb:0000/0000/0000 ST` |

use standin_model::TerminalFeature;

/// Modes of `CSI ? N h` and `l`. Not among them: VT52 and Tektronix, in which sequences are others; printing; logging
/// to a file; raising the window; keeping selections.
const MODES: &[u32] = &[
    1, 3, 4, 5, 6, 7, 8, 9, 12, 25, 45, 47, 66, 69, 80, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016, 1034,
    1036, 1039, 1047, 1048, 1049, 1070, 2004, 2026, 2027, 2031, 2048, 8452,
];
/// Insert mode, and a line feed's meaning.
const ANSI_MODES: &[u32] = &[4, 20];
/// Highest mode that may be asked for: the answer repeats it.
const MAX_MODE: u32 = 9_999;

/// Of a sequence that is neither a control sequence nor has a text, what follows `ESC`.
pub(super) fn escape(sequence: &[u8]) -> bool {
    match sequence {
        // Saving the cursor, keypads, lines, tabs, sets of characters, back to the start.
        [b'6' | b'7' | b'8' | b'9' | b'=' | b'>' | b'D' | b'E' | b'H' | b'M' | b'N' | b'O' | b'c'] => true,
        [b'n' | b'o' | b'|' | b'}' | b'~'] => true,
        // `%` is not among them: it leaves UTF-8, and bytes of characters become controls.
        [b'(' | b')' | b'*' | b'+', b'0' | b'1' | b'2' | b'A' | b'B'] => true,
        [b'#', b'3'..=b'6' | b'8'] => true,
        _ => false,
    }
}

/// Of a control sequence, what follows `CSI`.
pub(super) fn control(sequence: &[u8], features: &[TerminalFeature]) -> bool {
    let Some(Control { prefix, parameters, between, last }) = Control::read(sequence) else { return false };
    let Some(numbers) = numbers(parameters) else {
        // Colours in the form of ISO 8613-6, underlines that are curly.
        return (prefix, between, last) == (None, b"", b'm');
    };
    let only = |known: &[u32]| numbers.iter().all(|number| known.contains(number));
    match (prefix, between, last) {
        // Moving, erasing, inserting, scrolling, repeating, tabs, margins, colours, saving the cursor.
        (None, b"", b'@'..=b'M' | b'P' | b'S' | b'X' | b'Z' | b'`' | b'a' | b'b' | b'd'..=b'g') => true,
        (None, b"", b'm' | b'r' | b's' | b'u') | (None, b" ", b'@' | b'A' | b'q') | (None, b"!", b'p') => true,
        // With more it tracks the mouse and waits.
        (None, b"", b'T') => numbers.len() == 1,
        (None, b"", b'h' | b'l') => only(ANSI_MODES),
        (Some(b'?'), b"", b'h' | b'l') => only(MODES),
        (Some(b'?'), b"", b'J' | b'K') => true,
        (Some(b'<' | b'=' | b'>'), b"", b'u') | (Some(b'>'), b"", b'm') => true,
        // Questions.
        (None, b"", b'n') => numbers == [5] || numbers == [6],
        (Some(b'?'), b"", b'n') => numbers == [6] || numbers == [996],
        (None | Some(b'>'), b"", b'c') | (Some(b'>'), b"", b'q') => numbers == [0],
        (Some(b'?'), b"", b'u') => parameters.is_empty(),
        (None | Some(b'?'), b"$", b'p') => matches!(numbers[..], [mode] if mode <= MAX_MODE),
        (None, b"", b't') => match numbers[..] {
            [14 | 16 | 18] => true,
            [22 | 23, ..] => numbers.len() <= 3 && features.contains(&TerminalFeature::Title),
            _ => false,
        },
        _ => false,
    }
}

/// Of a sequence with a text, what follows `ESC`, its end included.
pub(super) fn text(sequence: &[u8], features: &[TerminalFeature]) -> bool {
    let content = sequence.strip_suffix(b"\x1b\\").or_else(|| sequence.strip_suffix(b"\x07")).unwrap_or(sequence);
    match content.split_first() {
        Some((b']', command)) => operating_system(command, features),
        Some((b'k', _)) => features.contains(&TerminalFeature::Title),
        // Device control strings, but for pictures: what they set or ask for, and what tmux passes on to the terminal
        // outside of it. Application program commands: kitty's pictures, which may lie in files of the host.
        _ => false,
    }
}

/// Whether a text of this beginning, after `ESC`, is a picture in sixels.
pub(super) fn begins_picture(sequence: &[u8]) -> bool {
    let parameters = sequence.strip_prefix(b"P").and_then(|rest| rest.strip_suffix(b"q"));
    parameters.is_some_and(are_numeric)
}

fn operating_system(command: &[u8], features: &[TerminalFeature]) -> bool {
    let is_let = |feature| features.contains(&feature);
    let (code, rest) = cut(command).unwrap_or((command, b""));
    match code {
        b"0" | b"1" | b"2" => is_let(TerminalFeature::Title),
        b"4" => matches!(cut(rest), Some((number, b"?")) if is_numeric(number)) || colour(rest, &is_let),
        b"10" | b"11" | b"12" => rest == b"?" || colour(rest, &is_let),
        b"104" | b"110" | b"111" | b"112" => are_numeric(rest),
        b"8" => link(rest),
        // Progress, in a taskbar. For ConEmu other numbers are commands, up to running a program.
        b"9" if rest.starts_with(b"4;") => are_numeric(rest),
        b"9" => is_let(TerminalFeature::Notifications) && !rest.first().is_some_and(u8::is_ascii_digit),
        b"777" => is_let(TerminalFeature::Notifications) && rest.starts_with(b"notify;"),
        b"52" => is_let(TerminalFeature::Clipboard) && cut(rest).is_some_and(|(_, data)| is_base64(data)),
        _ => false,
    }
}

fn colour(rest: &[u8], is_let: &dyn Fn(TerminalFeature) -> bool) -> bool {
    is_let(TerminalFeature::Palette) && rest.iter().all(u8::is_ascii_graphic)
}

/// `PARAMETERS;URI`: the end of a link, or the beginning of one to the web. Other schemes start other programs, with
/// what they say.
fn link(rest: &[u8]) -> bool {
    let Some((_, uri)) = cut(rest) else { return false };
    let web = |scheme: &[u8]| uri.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    rest.iter().all(u8::is_ascii_graphic) && (uri.is_empty() || web(b"https://") || web(b"http://"))
}

/// What stands before and behind the first `;`.
fn cut(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b';')?;
    Some((&text[..at], &text[at + 1..]))
}

fn is_numeric(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// Numbers between semicolons, or nothing.
fn are_numeric(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_digit() || *byte == b';')
}

fn is_base64(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
}

/// A control sequence in its parts (ECMA-48 §5.4).
struct Control<'a> {
    prefix: Option<u8>,
    parameters: &'a [u8],
    between: &'a [u8],
    last: u8,
}

impl<'a> Control<'a> {
    fn read(sequence: &'a [u8]) -> Option<Self> {
        let (last, mut rest) = sequence.split_last()?;
        let prefix = rest.first().copied().filter(|byte| (b'<'..=b'?').contains(byte));
        if prefix.is_some() {
            rest = &rest[1..];
        }
        let end = rest.iter().position(|byte| !(b'0'..=b';').contains(byte)).unwrap_or(rest.len());
        let (parameters, between) = rest.split_at(end);
        let whole = between.iter().all(|byte| (b' '..=b'/').contains(byte));
        whole.then_some(Self { prefix, parameters, between, last: *last })
    }
}

/// Numbers between semicolons, zero where there is none. Nothing if one has parts.
pub(super) fn numbers(parameters: &[u8]) -> Option<Vec<u32>> {
    let number = |text: &[u8]| {
        text.iter().try_fold(0_u32, |number, digit| {
            let digit = char::from(*digit).to_digit(10)?;
            Some(number.saturating_mul(10).saturating_add(digit))
        })
    };
    parameters.split(|byte| *byte == b';').map(number).collect()
}
