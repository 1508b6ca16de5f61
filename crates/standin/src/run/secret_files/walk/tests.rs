//! What is remembered of a workspace changes nothing of what is found in it.

use super::super::memory::{Memory, Stamp};
use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

/// A workspace, and where its memory is.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.workspace()).unwrap();
        place
    }

    fn workspace(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap().join("workspace")
    }

    /// For whom all directories have been at rest for an hour, and are worth remembering.
    fn memory(&self) -> Memory {
        Memory::for_tests(self.0.path(), Duration::from_secs(3600))
    }

    /// What is found with what is remembered; it is remembered when this returns.
    fn search(&self, memory: &Memory) -> (BTreeMap<PathBuf, Format>, Vec<PathBuf>, Vec<PathBuf>) {
        let Candidates { files, mut closed, mut pinned, remembering, sockets: _ } =
            secret_files(&[Root::whole(&self.workspace())], memory);
        drop(remembering);
        closed.sort();
        pinned.sort();
        (files, closed, pinned)
    }

    /// How many directories are listed.
    fn listed(&self) -> usize {
        let memory = self.memory();
        let known = memory.recall(&self.workspace());
        look_through(&Root::whole(&self.workspace()), known.as_ref(), &memory.trusted()).1.len()
    }

    fn make(&self, directory: &str) {
        fs::create_dir_all(self.workspace().join(directory)).unwrap();
    }

    fn write(&self, file: &str) {
        fs::write(self.workspace().join(file), "A=b\n").unwrap();
    }
}

/// Changes what is in a directory. Kernels before 6.13 give two changes in one tick of their clock the same time, which is why
/// a directory that has just changed is not remembered; these tests say that none has, so the change goes on until it shows.
fn change(directory: &Path, change: impl FnOnce()) {
    let time = || Stamp::of(fs::File::open(directory).unwrap().as_fd());
    let before = time();
    change();
    while time() == before {
        let extra = directory.join("extra");
        fs::write(&extra, "").unwrap();
        fs::remove_file(extra).unwrap();
    }
}

#[test]
fn only_what_has_changed_is_listed() {
    let place = Place::new();
    for number in 0..50 {
        place.make(&format!("a/b{number}/c/d"));
    }
    place.write("a/b7/c/.env");
    let all = 2 + 50 * 3;
    assert_eq!(place.listed(), all);
    let found = place.search(&place.memory());
    assert_eq!(place.listed(), 0);
    assert_eq!(place.search(&place.memory()), found);
    change(&place.workspace().join("a/b3/c"), || place.make("a/b3/c/new/er"));
    change(&place.workspace().join("a/b9"), || fs::remove_dir_all(place.workspace().join("a/b9/c")).unwrap());
    // Both, and the new ones.
    assert_eq!(place.listed(), 4);
    // One that has just changed is not remembered.
    let hasty = Memory::for_tests(place.0.path(), Duration::ZERO);
    place.search(&hasty);
    assert_eq!(place.listed(), 4);
}

/// What changes a workspace, by a number that says which.
fn disturb(place: &Place, random: &mut impl FnMut(usize) -> usize) {
    let mut directories = vec![place.workspace()];
    let mut next = 0;
    while let Some(at) = directories.get(next).cloned() {
        directories.extend(
            fs::read_dir(at)
                .unwrap()
                .flatten()
                .filter_map(|entry| entry.file_type().unwrap().is_dir().then(|| entry.path())),
        );
        next += 1;
    }
    let one = directories[random(directories.len())].clone();
    let other = directories[random(directories.len())].clone();
    let name = ["src", ".aws", "node_modules", "a", "b", ".git"][random(6)];
    let file = [".env", "credentials", "config", "notes.txt", ".npmrc"][random(5)];
    // Not all of it can be done in every place; what cannot changes nothing.
    let act = || match random(8) {
        0 | 1 => drop(fs::create_dir(one.join(name))),
        2 | 3 => drop(fs::write(one.join(file), "A=b\n")),
        4 => drop(fs::remove_file(one.join(file))),
        5 => drop(fs::rename(&other, one.join(name))),
        6 => drop(symlink("notes.txt", one.join(file))),
        _ => drop(symlink(&other, one.join(name))),
    };
    change(&one, || change(other.parent().unwrap(), act));
}

#[test]
fn what_is_remembered_changes_nothing() {
    let place = Place::new();
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let (mut with_files, mut with_links) = (0, 0);
    for _ in 0..200 {
        for _ in 0..=random(4) {
            disturb(&place, &mut random);
        }
        let nothing = Memory::for_tests(&place.0.path().join("nothing"), Duration::ZERO);
        let anew = place.search(&nothing);
        assert_eq!(place.search(&place.memory()), anew);
        with_files += usize::from(!anew.0.is_empty());
        with_links += usize::from(!anew.2.is_empty());
    }
    assert!(with_files > 100 && with_links > 20, "{with_files} {with_links}");
}

#[test]
fn another_directory_in_the_same_place_is_listed() {
    let place = Place::new();
    for name in ["here/a", "there/a"] {
        place.make(name);
    }
    place.write("there/a/.env");
    let (here, there) = (place.workspace().join("here"), place.workspace().join("there"));
    let known = place.search(&place.memory());
    assert_eq!(known.0.into_keys().collect::<Vec<_>>(), [there.join("a/.env")]);
    change(&place.workspace(), || {
        rustix::fs::renameat_with(CWD, &here, CWD, &there, rustix::fs::RenameFlags::EXCHANGE).unwrap();
    });
    let found = place.search(&place.memory());
    assert_eq!(found.0.into_keys().collect::<Vec<_>>(), [here.join("a/.env")]);
}

#[test]
fn a_time_that_is_set_back_hides_nothing() {
    let place = Place::new();
    place.make("a/b");
    place.search(&place.memory());
    let at = place.workspace().join("a/b");
    let before = fs::metadata(&at).unwrap();
    change(&at, || place.write("a/b/.env"));
    let times = fs::FileTimes::new().set_accessed(before.accessed().unwrap()).set_modified(before.modified().unwrap());
    fs::File::open(&at).unwrap().set_times(times).unwrap();
    assert_eq!(fs::metadata(&at).unwrap().modified().unwrap(), before.modified().unwrap());
    assert_eq!(place.search(&place.memory()).0.len(), 1);
}

#[test]
fn a_memory_that_is_damaged_or_anothers_is_none() {
    let place = Place::new();
    place.make("a/b");
    place.write("a/.env");
    place.search(&place.memory());
    assert_eq!(place.listed(), 0);
    let memory = fs::read_dir(place.0.path().join("searched")).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&memory).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&memory, damaged).unwrap();
        assert_eq!(place.listed(), 3, "byte {at}");
        fs::write(&memory, &whole[..at]).unwrap();
        assert_eq!(place.listed(), 3, "{at} bytes");
    }
    fs::write(&memory, &whole).unwrap();
    assert_eq!(place.listed(), 0);
    let other = Memory::for_tests(place.0.path(), Duration::from_secs(3600)).of_another_program();
    assert!(other.recall(&place.workspace()).is_none());
    fs::set_permissions(&memory, std::os::unix::fs::PermissionsExt::from_mode(0o622)).unwrap();
    assert_eq!(place.listed(), 3);
}

/// Another session moves what lies above, and moves it back: the parent has its number and its time, and nothing of it tells.
#[test]
fn what_was_away_during_a_search_is_looked_for_again() {
    let place = Place::new();
    place.make("above/parent/child");
    let (root, memory) = (place.workspace(), place.memory());
    let (above, away) = (root.join("above"), root.join("away"));
    let trusted = memory.trusted();
    let (mut pending, mut found) = (Vec::new(), Vec::new());
    let mut go_on = vec![Pending { at: root.clone(), depth: DEEPEST, known: None }];
    while let Some(next) = go_on.pop() {
        let is_last = next.at.ends_with("child");
        if is_last {
            fs::rename(&above, &away).unwrap();
        }
        list(next, &trusted, &mut pending, &mut found);
        if is_last {
            fs::rename(&away, &above).unwrap();
        }
        go_on.append(&mut pending);
    }
    let listed = found.into_iter().filter_map(|looked| match looked {
        Looked::Listed(listing) => Some(listing),
        Looked::Same(..) => None,
    });
    drop(memory.remember(&root, None, listed.collect()));
    place.write("above/parent/child/.env");
    let (files, closed, _) = place.search(&place.memory());
    assert_eq!(files.into_keys().collect::<Vec<_>>(), [above.join("parent/child/.env")]);
    assert!(closed.is_empty());
}
