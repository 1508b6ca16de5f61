//! The beginning of a push, against a slow reader that does what `git receive-pack` does: what is told is what it would do. And
//! whatever is cut off, nothing else is told.
#![no_main]

use libfuzzer_sys::fuzz_target;
use standin_wire::git::{Push, read_push};

fuzz_target!(|data: &[u8]| {
    let Push::Asked(commands) = read_push(data) else { return };
    let told: Vec<_> = commands.0.iter().map(|update| (update.name.as_bytes().to_vec(), update.deletes)).collect();
    let (done, length) = receive(data).expect("git reads it, too");
    assert_eq!(told, done);
    for end in 0..length {
        assert_eq!(read_push(&data[..end]), Push::Unfinished, "{end} of {length}");
    }
    assert_eq!(read_push(&data[..length]), Push::Asked(commands));
});

/// Which refs `read_head_info` of builtin/receive-pack.c sets, and how much it reads for that. None where it gives up.
fn receive(data: &[u8]) -> Option<(Vec<(Vec<u8>, bool)>, usize)> {
    let (mut at, mut done) = (0, Vec::new());
    loop {
        let length = usize::from_str_radix(std::str::from_utf8(data.get(at..at + 4)?).ok()?, 16).ok()?;
        if length == 0 {
            return Some((done, at + 4));
        }
        let line = data.get(at + 4..at + length)?;
        at += length;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.split(|byte| *byte == 0).next()?;
        if line.starts_with(b"shallow ") {
            continue;
        }
        let ids = line.iter().position(|byte| *byte == b' ')?;
        let (old, new, name) = (line.get(..ids)?, line.get(ids + 1..2 * ids + 1)?, line.get(2 * ids + 2..)?);
        let is_id = |id: &[u8]| [40, 64].contains(&id.len()) && id.iter().all(u8::is_ascii_hexdigit);
        if !is_id(old) || !is_id(new) || line[2 * ids + 1] != b' ' {
            return None;
        }
        done.push((name.to_vec(), new.iter().all(|byte| *byte == b'0')));
    }
}
