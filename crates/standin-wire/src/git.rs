//! What a push over HTTP asks for: the lines before the pack (gitprotocol-pack, "Reference Update Request and Packfile
//! Transfer"), read as `git receive-pack` reads them, and stricter.

use gix_packetline::PacketLineRef;
use gix_packetline::decode::{Stream, streaming};
use standin_model::limits::MAX_PUSH;
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

/// Reads the beginning of a push while it comes. What was read is not read again.
#[derive(Debug, Default)]
pub struct PushReader {
    /// How far the whole lines go.
    read: usize,
    updates: Vec<RefUpdate>,
}

impl PushReader {
    /// Reads on. `begun` is what it was before, and more. What is beyond [`MAX_PUSH`] counts for nothing, however much comes at once.
    pub fn read(&mut self, begun: &[u8]) -> Push {
        let begun = &begun[..begun.len().min(MAX_PUSH)];
        loop {
            let rest = begun.get(self.read..).unwrap_or_default();
            match streaming(rest) {
                Ok(Stream::Incomplete { .. }) => return Push::Unfinished,
                // Without commands there is no pack, and no options: nothing that follows is for a server to read.
                Ok(Stream::Complete { line: PacketLineRef::Flush, bytes_consumed })
                    if self.updates.is_empty() && rest.len() > bytes_consumed =>
                {
                    return Push::Unreadable;
                }
                Ok(Stream::Complete { line: PacketLineRef::Flush, .. }) => {
                    return Push::Asked(Commands(std::mem::take(&mut self.updates)));
                }
                Ok(Stream::Complete { line: PacketLineRef::Data(line), bytes_consumed }) => {
                    self.read += bytes_consumed;
                    if line.starts_with(b"shallow ") {
                        continue; // where the client's own history ends
                    }
                    match command(line) {
                        Some(update) => self.updates.push(update),
                        None => return Push::Unreadable,
                    }
                }
                Ok(Stream::Complete { .. }) | Err(_) => return Push::Unreadable,
            }
        }
    }
}

/// Reads the beginning of a push that is here.
pub fn read_push(begun: &[u8]) -> Push {
    PushReader::default().read(begun)
}

/// `OLD NEW REF`, and behind a zero what the client can do. What it says in options (`push -o`) goes to hooks and services, which merge
/// and make public at a word: such a push is not plainly one of refs.
fn command(line: &[u8]) -> Option<RefUpdate> {
    let mut parts = line.split(|byte| *byte == 0);
    let text = match parts.next()? {
        text if text.len() < line.len() => text,
        text => text.strip_suffix(b"\n").unwrap_or(text),
    };
    let mut abilities = parts.flat_map(|part| part.split(|byte| matches!(byte, b' ' | b'\n')));
    if abilities.any(|ability| ability.starts_with(b"push-options")) {
        return None;
    }
    let mut words = std::str::from_utf8(text).ok()?.split(' ');
    let (old, new, name, None) = (words.next()?, words.next()?, words.next()?, words.next()) else { return None };
    let is_id = |text: &str| matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // As git checks them, so that none leads elsewhere (`..`).
    let is_name = name.starts_with("refs/") && gix_validate::reference::name(name.into()).is_ok();
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
        assert_eq!(read_push(b"0000"), Push::Asked(Commands(Vec::new())));
        assert_eq!(asked(&[]), Push::Unreadable, "something behind no commands");
        let (long, none) = ("a".repeat(64), "0".repeat(64));
        let wanted = vec![update("refs/heads/ü", true)];
        assert_eq!(asked(&[format!("{long} {none} refs/heads/ü")]), Push::Asked(Commands(wanted)));
    }

    #[test]
    fn what_is_not_plainly_a_command_is_none() {
        for line in [
            "push-cert\0 report-status".to_owned(),
            format!("{A} {A} refs/heads/a\0 report-status push-options"),
            format!("{A} {A} refs/heads/a\0push-options\n"),
            format!("{A} {A} refs/heads/agent/../main"),
            format!("{A} {A} refs/heads/a.lock"),
            format!("{A} {A} refs/heads//a"),
            format!("{A} {A} refs/heads/a^"),
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
        let mut reader = PushReader::default();
        for end in 0..whole.len() {
            assert_eq!(reader.read(&whole.as_bytes()[..end]) == Push::Unfinished, end < whole.len() - 4, "{end}");
            if end == whole.len() - 4 {
                reader = PushReader::default(); // it has told
            }
            let expected = end < whole.len() - 4;
            assert_eq!(read_push(&whole.as_bytes()[..end]) == Push::Unfinished, expected, "{end}");
        }
    }
}
