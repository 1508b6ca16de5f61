//! One form for all spellings that a file system may take for the same name.
//!
//! File systems with case-insensitive directories (ext4 and f2fs where it is turned on, those of macOS and Windows mounted
//! here) fold more than ASCII, drop characters without a width, and some know short names. What is compared here is a
//! superset of what any of them does to the names of the list, all of which are ASCII; so a name that differs only by such
//! things is taken for the protected one, everywhere.

/// The form of a name that is compared with the list.
pub(crate) fn fold(name: &[u8]) -> Vec<u8> {
    if name.eq_ignore_ascii_case(b"git~1") {
        return b".git".to_vec();
    }
    // What follows a colon is a stream of the same file (NTFS).
    let name = match name.iter().position(|byte| *byte == b':') {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    };
    let mut folded = if name.is_ascii() { name.to_ascii_lowercase() } else { fold_unicode(name) };
    // Dots and spaces at the end do not count (NTFS, VFAT).
    let kept = folded.iter().rposition(|byte| !matches!(byte, b'.' | b' ')).map_or(folded.len(), |at| at + 1);
    folded.truncate(kept);
    folded
}

fn fold_unicode(name: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(name);
    let mut folded = String::with_capacity(text.len());
    for character in text.chars().filter(|character| !is_ignored(*character)) {
        match character {
            'ſ' => folded.push('s'),
            'ß' | 'ẞ' => folded.push_str("ss"),
            'ﬀ' => folded.push_str("ff"),
            'ﬁ' => folded.push_str("fi"),
            'ﬂ' => folded.push_str("fl"),
            'ﬃ' => folded.push_str("ffi"),
            'ﬄ' => folded.push_str("ffl"),
            'ﬅ' | 'ﬆ' => folded.push_str("st"),
            // Also what lower case makes ASCII of: the Kelvin sign.
            other => folded.extend(other.to_lowercase()),
        }
    }
    folded.into_bytes()
}

/// Characters that file systems drop before they compare (Unicode's `Default_Ignorable_Code_Point`).
fn is_ignored(character: char) -> bool {
    matches!(u32::from(character),
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f | 0x202a..=0x202e
        | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfff8 | 0x1_bca0..=0x1_bca3
        | 0x1_d173..=0x1_d17a | 0xe_0000..=0xe_0fff)
}
