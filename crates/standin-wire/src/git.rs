//! What a push over HTTP asks for: the lines before the pack (gitprotocol-pack, "Reference Update Request and Packfile
//! Transfer"), read as `git receive-pack` reads them, and stricter.

use gix_packetline::PacketLineRef;
use gix_packetline::decode::{Stream, streaming};
use standin_model::{Commands, RefUpdate};

/// What the beginning of a push says.
#[derive(Debug, PartialEq, Eq)]
pub enum Push {
    /// More is needed to tell.
    Unfinished,
    /// This is asked for. What follows is a pack, and options.
    Asked(Commands),
    /// It cannot be read, or it is signed: then the commands are in a certificate, which is not taken apart here.
    Unreadable,
}

/// Reads the beginning of a push.
pub fn read_push(mut begun: &[u8]) -> Push {
    let mut updates = Vec::new();
    loop {
        match streaming(begun) {
            Ok(Stream::Incomplete { .. }) => return Push::Unfinished,
            Ok(Stream::Complete { line: PacketLineRef::Flush, .. }) => return Push::Asked(Commands(updates)),
            Ok(Stream::Complete { line: PacketLineRef::Data(line), bytes_consumed }) => {
                begun = &begun[bytes_consumed..];
                if line.starts_with(b"shallow ") {
                    continue; // where the client's own history ends
                }
                match command(line) {
                    Some(update) => updates.push(update),
                    None => return Push::Unreadable,
                }
            }
            Ok(Stream::Complete { .. }) | Err(_) => return Push::Unreadable,
        }
    }
}

/// `OLD NEW REF`, and behind a zero what the client can do.
fn command(line: &[u8]) -> Option<RefUpdate> {
    let text = match line.split(|byte| *byte == 0).next()? {
        text if text.len() < line.len() => text,
        text => text.strip_suffix(b"\n").unwrap_or(text),
    };
    let mut words = std::str::from_utf8(text).ok()?.split(' ');
    let (old, new, name, None) = (words.next()?, words.next()?, words.next()?, words.next()) else { return None };
    let is_id = |text: &str| matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_name = name.starts_with("refs/") && !name.chars().any(char::is_control);
    let deletes = new.bytes().all(|byte| byte == b'0');
    (is_id(old) && is_id(new) && old.len() == new.len() && is_name)
        .then(|| RefUpdate { name: name.to_owned(), deletes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "1111111111111111111111111111111111111111";
    const NONE: &str = "0000000000000000000000000000000000000000";

    fn packet(line: &str) -> String {
        format!("{:04x}{line}", line.len() + 4)
    }

    fn asked(lines: &[String]) -> Push {
        let begun: String = lines.iter().map(|line| packet(line)).collect();
        read_push(format!("{begun}0000PACK\0\0").as_bytes())
    }

    #[test]
    fn commands() {
        let update = |name: &str, deletes| RefUpdate { name: name.to_owned(), deletes };
        let first = format!("{NONE} {A} refs/heads/agent/a\0 report-status side-band-64k agent=git/2.39.5");
        let wanted = vec![update("refs/heads/agent/a", false), update("refs/heads/main", true)];
        let lines = [format!("shallow {A}"), first, format!("{A} {NONE} refs/heads/main\n")];
        assert_eq!(asked(&lines), Push::Asked(Commands(wanted)));
        assert_eq!(asked(&[]), Push::Asked(Commands(Vec::new())));
        let (long, none) = ("a".repeat(64), "0".repeat(64));
        let wanted = vec![update("refs/heads/ü", true)];
        assert_eq!(asked(&[format!("{long} {none} refs/heads/ü")]), Push::Asked(Commands(wanted)));
    }

    #[test]
    fn what_is_not_plainly_a_command_is_none() {
        for line in [
            "push-cert\0 report-status".to_owned(),
            format!("{A} {A} main"),
            format!("{A} {A} refs/heads/a b"),
            format!("{A}  {A} refs/heads/a"),
            format!("{A} {A}"),
            format!("{A} {A} refs/heads/a\nb"),
            format!("{A} {A} refs/heads/a\n\0caps"),
            format!("{A} {}0 refs/heads/a", "1".repeat(64)),
            format!("{A} {} refs/heads/a", "1".repeat(64)),
            format!("{} {A} refs/heads/a", "g".repeat(40)),
            "\n".to_owned(),
        ] {
            assert_eq!(asked(std::slice::from_ref(&line)), Push::Unreadable, "{line:?}");
        }
        for begun in ["0004", "0001", "0002", "zzzz", "fff1"] {
            assert_eq!(read_push(begun.as_bytes()), Push::Unreadable, "{begun}");
        }
        assert_eq!(read_push(b"0009\xff\xff\xff\xff\xff"), Push::Unreadable);
    }

    /// At every beginning of a push either more is asked for, or it is told what the whole says.
    #[test]
    fn piece_by_piece() {
        let line = packet(&format!("{A} {A} refs/heads/a\0 report-status"));
        let whole = format!("{line}0000PACK");
        for end in 0..whole.len() {
            let expected = end < whole.len() - 4;
            assert_eq!(read_push(&whole.as_bytes()[..end]) == Push::Unfinished, expected, "{end}");
        }
    }
}
