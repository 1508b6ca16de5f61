//! Commands over SSH: what is read as one of git's is one word between quotes that a shell takes as it stands, and is written
//! again as it was read. A refusal is one packet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use standin_wire::ssh::{GitCommand, command, disconnection};

fuzz_target!(|data: &[u8]| {
    if let Ok(GitCommand { service, repository }) = GitCommand::parse(data) {
        let path = repository.as_str();
        assert_eq!(command(service, path).as_bytes(), data);
        assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && !b"'\"\\$`~;&|<>*?(){}[]!#".contains(&byte)));
        assert!(!path.starts_with('-') && path.split('/').all(|part| part != ".." && part != "."));
    }
    let refusal = disconnection(&String::from_utf8_lossy(data));
    let packet = &refusal[b"SSH-2.0-Standin\r\n".len()..];
    assert_eq!(u32::from_be_bytes(packet[..4].try_into().unwrap()) as usize + 4, packet.len());
    assert!(packet.len() % 8 == 0 && packet.len() < 512);
});
