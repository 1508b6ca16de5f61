//! Files that hold secrets, as the sandbox sees them: with stand-ins in place of the secrets, or not at all.
//!
//! They are found when the session starts ([`walk`]), read here, outside, and put over the real ones as masks. What secret a
//! place holds is told by `standin-secretfiles`; whose it is and which stand-in takes its place, by [`super::credentials`].

mod memory;
mod named;
mod queue;
mod walk;

use super::inputs::Inputs;
use super::view;
use crate::exit::Failure;
use memory::{Memory, Remembering};
use named::Sources;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use standin_sandbox::{HIDDEN_NOTE, Identity, MaskedFile};
use standin_secretfiles::{Entry, Format, Found, MAX_FILE_BYTES, find, rewrite};
use standin_vault::read_bounded;
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::UNIX_EPOCH;
use walk::{Candidates, Root};
use zeroize::Zeroizing;

/// Most files of a session that are masked. Each is a mount.
const MAX_MASKS: usize = 2_000;
/// Most files that are looked into.
const MAX_CANDIDATES: usize = 10_000;
/// How far below the directories of tools is looked: what lies beside `bin`.
const TOOLS_DEPTH: usize = 1;

/// What is done with them.
#[derive(Default)]
pub(super) struct SecretFiles {
    /// For the sandbox.
    pub(super) masks: Vec<MaskedFile>,
    /// Directories that it sees empty.
    pub(super) emptied: Vec<PathBuf>,
    /// Links by whose names masked files are known, and those files.
    pub(super) pinned: Vec<PathBuf>,
    /// Sockets at which the host listens.
    pub(super) sockets: Vec<PathBuf>,
    /// Files of such names that hold no secret.
    pub(super) harmless: Vec<Identity>,
    /// Files that are hidden, for the user to know.
    pub(super) hidden: Vec<PathBuf>,
    /// Files with stand-ins, and how many.
    pub(super) rewritten: Vec<(PathBuf, usize)>,
    /// What was found is written down for the next run, while this one goes on.
    _remembering: Vec<Remembering>,
}

/// A search that goes on beside all else that a start needs.
pub(super) struct Search(JoinHandle<(Vec<Root>, Candidates)>);

impl Search {
    /// Begins to look through what is shown.
    pub(super) fn begin(inputs: &Inputs) -> Result<Self, Failure> {
        let mut roots: Vec<_> = inputs.asked_for().map(|path| Root::whole(path)).collect();
        roots.extend(view::tools(inputs).iter().map(|path| Root { path: path.clone(), depth: TOOLS_DEPTH }));
        let memory = Memory::within(&inputs.state);
        let search = move || {
            let found = walk::secret_files(&roots, &memory);
            (roots, found)
        };
        let thread = thread::Builder::new().name("search".to_owned()).spawn(search);
        thread.map(Self).map_err(|error| Failure::because("cannot look for files that hold secrets", &error))
    }

    fn end(self) -> Result<(Vec<Root>, Candidates), Failure> {
        self.0.join().map_err(|_| Failure::new("looking for files that hold secrets failed"))
    }
}

/// Takes what was found, and asks for a stand-in for each secret.
pub(super) fn gather(
    inputs: &Inputs,
    search: Search,
    mut stand_in: impl FnMut(&Path, &Entry) -> Result<String, Failure>,
) -> Result<SecretFiles, Failure> {
    let (roots, found) = search.end()?;
    let Candidates { files: mut candidates, closed, pinned, remembering, sockets } = found;
    let sources = Sources::within(inputs, &roots);
    for (path, format) in sources.formats() {
        candidates.entry(path.clone()).or_insert(format);
    }
    let is_shown = |path: &PathBuf| inputs.shown.iter().any(|shown| path.starts_with(shown));
    candidates.retain(|path, _| !is_shown(path));
    let second = second_names(&roots, &candidates);
    bounded(candidates.len() + second.len(), MAX_CANDIDATES)?;
    let mut all = SecretFiles { emptied: closed, pinned, _remembering: remembering, ..SecretFiles::default() };
    all.emptied.retain(|path| !is_shown(path));
    all.sockets = answered(inputs, sockets);
    all.sockets.retain(|path| !is_shown(path));
    for (path, format) in candidates.into_iter().chain(second) {
        if !inputs.hidden.iter().any(|hidden| path.starts_with(hidden)) {
            all.add(&path, format, &sources, &mut stand_in)?;
        }
    }
    for path in &inputs.hidden {
        if path.is_dir() {
            all.emptied.push(path.clone());
        } else {
            all.hide(path, 0o400);
        }
    }
    bounded(all.masks.len() + all.emptied.len() + all.sockets.len(), MAX_MASKS)?;
    Ok(all)
}

fn bounded(count: usize, most: usize) -> Result<(), Failure> {
    if count <= most {
        return Ok(());
    }
    Err(Failure::new(format!("{count} files and directories may hold secrets, more than {most}"))
        .hint("leave directories of them out with --hide DIR, or as they are with --show DIR"))
}

/// Those of them at which the host listens. In a copy none answers.
fn answered(inputs: &Inputs, mut sockets: Vec<PathBuf>) -> Vec<PathBuf> {
    sockets.retain(|path| !(inputs.copy && path.starts_with(&inputs.workspace)));
    if sockets.is_empty() {
        return sockets;
    }
    // Where the kernel does not tell, all count.
    let Ok(bound) = standin_sandbox::bound_sockets() else { return sockets };
    let number = |path: &Path| path.symlink_metadata().ok().map(|found| found.ino() & u64::from(u32::MAX));
    let is_bound = |path: &PathBuf| number(path).is_some_and(|number| bound.contains(&number));
    sockets.retain(is_bound);
    sockets
}

/// Other names of the same files, if any of them has one.
fn second_names(roots: &[Root], candidates: &BTreeMap<PathBuf, Format>) -> BTreeMap<PathBuf, Format> {
    let wanted: HashMap<_, _> = candidates
        .iter()
        .filter_map(|(path, format)| {
            let (identity, names) = walk::identity(path)?;
            (names > 1).then_some((identity, *format))
        })
        .collect();
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    let mut found = walk::second_names(roots, &wanted);
    found.retain(|path, _| !candidates.contains_key(path));
    found
}

impl SecretFiles {
    fn add(
        &mut self,
        path: &Path,
        format: Format,
        sources: &Sources<'_>,
        stand_in: &mut impl FnMut(&Path, &Entry) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        let (text, mode, identity) = match read(path) {
            Contents::None => return Ok(()),
            Contents::Unreadable(mode) => {
                self.hide(path, mode);
                return Ok(());
            }
            Contents::Text(text, mode, identity) => (text, mode, identity),
        };
        match find(format, &text) {
            found if !sources.are_covered(path, &text, &found) => self.hide(path, mode),
            Found::Nothing => self.harmless.push(identity),
            Found::NotUnderstood => self.hide(path, mode),
            Found::Secrets(secrets) => {
                let texts = secrets.iter().map(|secret| stand_in(path, secret)).collect::<Result<Vec<_>, _>>()?;
                let mut texts = texts.into_iter();
                let contents = rewrite(&text, &secrets, |_| texts.next().unwrap_or_default());
                self.masks.push(MaskedFile { path: path.to_owned(), contents, mode });
                self.rewritten.push((path.to_owned(), secrets.len()));
            }
        }
        Ok(())
    }

    fn hide(&mut self, path: &Path, mode: u32) {
        self.masks.push(MaskedFile { path: path.to_owned(), contents: HIDDEN_NOTE.to_vec(), mode });
        self.hidden.push(path.to_owned());
    }
}

enum Contents {
    /// Nothing that can be read.
    None,
    /// More than credentials are, or not for us to read. The sandbox may be able to: who owns a file can change its mode.
    Unreadable(u32),
    /// This, and the permission bits.
    Text(Zeroizing<Vec<u8>>, u32, Identity),
}

fn read(path: &Path) -> Contents {
    match path.symlink_metadata() {
        Ok(found) if found.is_file() => {}
        Ok(found) if found.is_dir() || found.is_symlink() => return Contents::None,
        // A pipe that some program writes secrets into when it is opened.
        Ok(found) => return Contents::Unreadable(found.mode() & 0o777),
        Err(_) => return Contents::None,
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    // Another session may be changing what is on the way.
    let Ok(file) = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) else {
        return Contents::Unreadable(0);
    };
    let file = File::from(file);
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => text_of(&file, &metadata),
        _ => Contents::Unreadable(0),
    }
}

fn text_of(file: &File, metadata: &Metadata) -> Contents {
    let mode = metadata.mode() & 0o777;
    match read_bounded(file, metadata.len(), MAX_FILE_BYTES) {
        Ok(text) if text.len() <= MAX_FILE_BYTES => Contents::Text(text, mode, identity(metadata)),
        _ => Contents::Unreadable(mode),
    }
}

fn identity(metadata: &Metadata) -> Identity {
    let made = metadata.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    let made = made.map_or((0, 0), |made| (i64::try_from(made.as_secs()).unwrap_or_default(), made.subsec_nanos()));
    (metadata.dev(), metadata.ino(), made)
}
