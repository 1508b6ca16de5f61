//! Names and contents as a terminal may show them.
//!
//! An agent chose them. Control characters move the cursor, set titles, fill the clipboard; marks of direction show a line
//! in another order than it has.

use std::fmt::Write;
use std::path::Path;

/// A name in one word: as it is if it is plain, else as git quotes it, with every byte that is not plain in octal.
pub fn name(path: &Path) -> String {
    quoted("", path)
}

/// The same with something before it, inside the quotes (`a/` and `b/` in differences).
pub fn quoted(prefix: &str, path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let plain = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.chars().any(|c| is_unsafe(c) || matches!(c, '"' | '\\' | '\t' | '\n')));
    if let Some(text) = plain {
        return format!("{prefix}{text}");
    }
    let mut all = format!("\"{prefix}");
    for byte in bytes {
        match byte {
            b'"' => all.push_str("\\\""),
            b'\\' => all.push_str("\\\\"),
            b'\n' => all.push_str("\\n"),
            b'\t' => all.push_str("\\t"),
            0x20..=0x7e => all.push(char::from(*byte)),
            _ => octal(&mut all, *byte),
        }
    }
    all.push('"');
    all
}

/// A line of text: what a terminal would act on becomes `\xNN` or `\u{N}`, bytes that are no text become `\xNN`. The second
/// value says whether anything was.
pub fn line(bytes: &[u8]) -> (String, bool) {
    let mut all = String::with_capacity(bytes.len());
    let mut escaped = false;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_unsafe(c) {
                escaped = true;
                if c.is_ascii() { hex(&mut all, c as u8) } else { all.extend(c.escape_unicode()) }
            } else {
                all.push(c);
            }
        }
        for byte in chunk.invalid() {
            escaped = true;
            hex(&mut all, *byte);
        }
    }
    (all, escaped)
}

/// JSON in ASCII: it escapes C0 controls itself, and what else steers a terminal is DEL or beyond.
pub fn json(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() && c != '\u{7f}' {
            all.push(c);
        } else {
            let mut units = [0; 2];
            all.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    all
}

/// What is not shown as it is: controls (C0 but the tab, DEL, C1), marks of direction, and what takes no room.
fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn octal(all: &mut String, byte: u8) {
    write!(all, "\\{byte:03o}").expect("a string takes everything");
}

fn hex(all: &mut String, byte: u8) {
    write!(all, "\\x{byte:02x}").expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn names_are_quoted_as_git_does() {
        for (bytes, expected) in [
            (&b"src/main.rs"[..], "src/main.rs"),
            (b"with space", "with space"),
            ("gr\u{fc}n".as_bytes(), "gr\u{fc}n"),
            (b"a\nb\t\"\\", "\"a\\nb\\t\\\"\\\\\""),
            (b"\x1b]52;c;eA==\x07", "\"\\033]52;c;eA==\\007\""),
            (b"\xff\x9b", "\"\\377\\233\""),
            ("x\u{202e}txt.exe".as_bytes(), "\"x\\342\\200\\256txt.exe\""),
        ] {
            assert_eq!(name(Path::new(OsStr::from_bytes(bytes))), expected);
        }
        assert_eq!(quoted("a/", Path::new("x\n")), "\"a/x\\n\"");
    }

    #[test]
    fn json_is_the_same_in_ascii() {
        let text = "\u{1b}]52;\u{9b}\u{202e}\u{7f} gr\u{fc}n \u{1f511}";
        let written = json(&serde_json::to_string(text).unwrap());
        assert!(written.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{written}");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }

    #[test]
    fn lines_do_not_steer_a_terminal() {
        for (bytes, expected, escaped) in [
            (&b"plain\ttext"[..], "plain\ttext", false),
            ("gr\u{fc}n".as_bytes(), "gr\u{fc}n", false),
            (b"\x1b[2Jx\x07", "\\x1b[2Jx\\x07", true),
            (b"a\x9b31mb\xff", "a\\x9b31mb\\xff", true),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m", true),
            ("a\u{202e}b".as_bytes(), "a\\u{202e}b", true),
            (b"cr\r", "cr\\x0d", true),
        ] {
            assert_eq!(line(bytes), (expected.to_owned(), escaped));
        }
    }
}
