//! What ties a new worktree to its repository: written by us, whatever the caller writes.
//!
//! `git worktree add` makes `wt/.git` and `.git/worktrees/wt/commondir`. Either could lead git on the host to a prepared
//! configuration, so their contents are not the caller's to choose. But what belongs into them is known when they are
//! made: we write that, and give the caller a file that nobody reads.

use super::act::{Answer, Desk};
use super::caller::own_mode;
use super::place::{Nowhere, Place};
use super::zones::Zone;
use rustix::fs::{MemfdFlags, Mode, OFlags, ResolveFlags, memfd_create, openat, openat2};
use standin_model::protected::{self, Pointer};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Most worktrees that are looked through.
const MOST: usize = 1000;
/// Longest contents that are of use.
const LONGEST: u64 = 4097;

impl Desk {
    /// Makes such a file, if it is one, and the repository knows the worktree.
    pub(super) fn tie_worktree(&self, place: &Place, whole: &Path, flags: OFlags) -> Result<Option<Answer>, Nowhere> {
        let Zone::Guarded(judged) = self.files.zone(whole) else { return Ok(None) };
        let contents = match protected::pointer(judged) {
            Some(Pointer::Common) => Some(b"../..\n".to_vec()),
            Some(Pointer::Worktree) => self.pointer_to(whole),
            None => None,
        };
        let Some(contents) = contents else { return Ok(None) };
        let ours = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&place.directory, &place.name, ours, own_mode())?;
        File::from(made)
            .write_all(&contents)
            .map_err(|error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))?;
        let unread = memfd_create("worktree", MemfdFlags::CLOEXEC)?;
        Ok(Some(Answer::Give(unread, flags.contains(OFlags::CLOEXEC))))
    }

    /// What belongs into a worktree's `.git`, if a repository above it has a worktree of that path. git tells the repository
    /// first.
    fn pointer_to(&self, whole: &Path) -> Option<Vec<u8>> {
        whole.ancestors().skip(2).take_while(|above| matches!(self.files.zone(above), Zone::Guarded(_))).find_map(
            |above| {
                let worktrees = above.join(".git/worktrees");
                let directory = self.directory(&worktrees)?;
                let mut names = rustix::fs::Dir::read_from(&directory).ok()?;
                let known = names.by_ref().take(MOST).filter_map(Result::ok).find(|entry| {
                    !entry.file_name().to_bytes().starts_with(b".")
                        && said_by(&directory, entry.file_name()).as_deref() == Some(whole)
                })?;
                let name = known.file_name().to_bytes();
                Some([b"gitdir: ", worktrees.as_os_str().as_bytes(), b"/", name, b"\n"].concat())
            },
        )
    }

    /// A directory of the sandbox's, through no link.
    pub(super) fn directory(&self, path: &Path) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(self.roots.root.as_fd(), path, flags, Mode::empty(), NO_LINKS).ok()
    }
}

/// The path that a repository has for one of its worktrees.
fn said_by(worktrees: &OwnedFd, name: &std::ffi::CStr) -> Option<PathBuf> {
    let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes())).join("gitdir");
    // A FIFO of this name holds us up no more than a file does.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat2(worktrees.as_fd(), &path, flags, Mode::empty(), NO_LINKS).ok()?);
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text).to_vec();
    Some(std::ffi::OsString::from_vec(text).into())
}

const NO_LINKS: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);
