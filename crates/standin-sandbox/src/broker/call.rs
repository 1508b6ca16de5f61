//! What was asked: a notification's number and arguments as one of a few operations. Pure.

use rustix::fs::{AtFlags, OFlags, RenameFlags};

/// A path of the caller's: the descriptor it begins at, and where it stands in the caller's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) directory: i32,
    pub(super) path: u64,
}

/// An operation on paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Open { at: At, flags: OFlags, mode: u32 },
    Truncate { at: At, length: u64 },
    MakeDirectory { at: At, mode: u32 },
    MakeNode { at: At, mode: u32, device: u64 },
    Symlink { target: u64, at: At },
    Link { from: At, to: At, flags: AtFlags },
    Rename { from: At, to: At, flags: RenameFlags },
    Remove { at: At, flags: AtFlags },
}

/// Calls that are always asked about. Those that open are in [`OPENERS`].
pub(crate) const CHANGERS: &[libc::c_long] = &[
    libc::SYS_creat,
    libc::SYS_truncate,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_mknod,
    libc::SYS_mknodat,
    libc::SYS_symlink,
    libc::SYS_symlinkat,
    libc::SYS_link,
    libc::SYS_linkat,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
];

/// Reads a call; none if it is not one of ours.
#[expect(clippy::many_single_char_names, reason = "what each argument is, only the call says")]
pub(super) fn parse(data: &libc::seccomp_data) -> Option<Call> {
    let [a, b, c, d, e, _] = data.args;
    let at = |directory: u64, path| At { directory: int(directory), path };
    let here = |path| At { directory: libc::AT_FDCWD, path };
    let create = OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC;
    let open =
        |at, flags: u64, mode: u64| Call::Open { at, flags: OFlags::from_bits_retain(low(flags)), mode: low(mode) };
    let remove = |at, flags: u64| Call::Remove { at, flags: AtFlags::from_bits_retain(low(flags)) };
    let rename = |from, to, flags: u64| Call::Rename { from, to, flags: RenameFlags::from_bits_retain(low(flags)) };
    let link = |from, to, flags: u64| Call::Link { from, to, flags: AtFlags::from_bits_retain(low(flags)) };
    Some(match libc::c_long::from(data.nr) {
        libc::SYS_open => open(here(a), b, c),
        libc::SYS_openat => open(at(a, b), c, d),
        libc::SYS_creat => Call::Open { at: here(a), flags: create, mode: low(b) },
        libc::SYS_truncate => Call::Truncate { at: here(a), length: b },
        libc::SYS_mkdir => Call::MakeDirectory { at: here(a), mode: low(b) },
        libc::SYS_mkdirat => Call::MakeDirectory { at: at(a, b), mode: low(c) },
        libc::SYS_mknod => Call::MakeNode { at: here(a), mode: low(b), device: c },
        libc::SYS_mknodat => Call::MakeNode { at: at(a, b), mode: low(c), device: d },
        libc::SYS_symlink => Call::Symlink { target: a, at: here(b) },
        libc::SYS_symlinkat => Call::Symlink { target: a, at: at(b, c) },
        libc::SYS_link => link(here(a), here(b), 0),
        libc::SYS_linkat => link(at(a, b), at(c, d), e),
        libc::SYS_rename => rename(here(a), here(b), 0),
        libc::SYS_renameat => rename(at(a, b), at(c, d), 0),
        libc::SYS_renameat2 => rename(at(a, b), at(c, d), e),
        libc::SYS_rmdir => remove(here(a), u64::from(AtFlags::REMOVEDIR.bits())),
        libc::SYS_unlink => remove(here(a), 0),
        libc::SYS_unlinkat => remove(at(a, b), c),
        _ => return None,
    })
}

/// Of flags, modes and descriptors the kernel reads the low half.
#[expect(clippy::cast_possible_truncation, reason = "as the kernel does")]
fn low(argument: u64) -> u32 {
    argument as u32
}

fn int(argument: u64) -> i32 {
    low(argument).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(number: libc::c_long, args: [u64; 6]) -> libc::seccomp_data {
        libc::seccomp_data { nr: i32::try_from(number).unwrap(), arch: 0, instruction_pointer: 0, args }
    }

    #[test]
    fn every_call_that_is_asked_about_is_understood() {
        for call in CHANGERS.iter().chain([&libc::SYS_open, &libc::SYS_openat]) {
            assert!(parse(&data(*call, [0; 6])).is_some(), "{call}");
        }
        assert_eq!(parse(&data(libc::SYS_read, [0; 6])), None);
    }

    #[test]
    fn only_the_low_half_counts() {
        let here = u64::from(libc::AT_FDCWD.cast_unsigned());
        let call = parse(&data(libc::SYS_unlinkat, [here | 7 << 32, 0x1234_5678_9abc, 1 << 33, 0, 0, 0]));
        let at = At { directory: libc::AT_FDCWD, path: 0x1234_5678_9abc };
        assert_eq!(call, Some(Call::Remove { at, flags: AtFlags::empty() }));
    }
}
