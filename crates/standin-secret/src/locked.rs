//! Memory for a secret: pages of its own that are not swapped out, not in a core dump, not copied into child processes, and
//! overwritten before they are given back.

use memmap2::{Advice, MmapMut};
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroize;

/// Whether some page could not be locked: the system bounds how much a process may lock (`ulimit -l`).
static SOME_UNLOCKED: AtomicBool = AtomicBool::new(false);

/// Bytes in pages of their own; nothing takes no page.
pub(crate) struct Locked {
    pages: Option<MmapMut>,
    length: usize,
}

impl Locked {
    /// A copy of these.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self { pages: None, length: 0 };
        }
        let mut pages = MmapMut::map_anon(bytes.len()).expect("memory for a secret; without memory nothing goes on");
        let advised = pages.advise(Advice::DontDump).and_then(|()| pages.advise(Advice::DontFork));
        // Before the secret is in them.
        if advised.and_then(|()| pages.lock()).is_err() {
            SOME_UNLOCKED.store(true, Ordering::Relaxed);
        }
        pages[..bytes.len()].copy_from_slice(bytes);
        Self { pages: Some(pages), length: bytes.len() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.pages.as_ref().map_or(&[], |pages| &pages[..self.length])
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if let Some(pages) = &mut self.pages {
            pages.zeroize();
        }
    }
}

/// Whether every secret so far is in memory that is not swapped out. If not, the system bounds it (`ulimit -l`).
pub fn all_locked() -> bool {
    !SOME_UNLOCKED.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags that the kernel has for the mapping that holds this address.
    fn flags(at: &[u8]) -> String {
        let address = at.as_ptr() as usize;
        let map = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in map.lines() {
            let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
            let ends = range.and_then(|(from, to)| {
                Some((usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?))
            });
            if let Some((from, to)) = ends {
                inside = (from..to).contains(&address);
            } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| inside) {
                return flags.to_owned();
            }
        }
        panic!("no mapping holds the address");
    }

    #[test]
    fn a_secret_is_locked_and_neither_dumped_nor_inherited() {
        let secret = Locked::copy_of(b"0123456789abcdef");
        let ordinary = b"0123456789abcdef".to_vec();
        assert_eq!(secret.bytes(), ordinary);
        // proc_pid_smaps(5): locked, not in a core dump, not copied on fork.
        for flag in ["lo", "dd", "dc"] {
            let has = |bytes: &[u8]| flags(bytes).split_whitespace().any(|other| other == flag);
            assert!(has(secret.bytes()), "{flag}");
            assert!(!has(&ordinary), "{flag} means something");
        }
        assert!(all_locked());
    }

    #[test]
    fn nothing_is_nothing() {
        let nothing = Locked::copy_of(b"");
        assert!(nothing.bytes().is_empty() && nothing.len() == 0);
    }
}
