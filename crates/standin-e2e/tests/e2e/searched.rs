//! What is remembered of a workspace, so that it is not looked through again: nothing that came since is missed.

use crate::direct::Caller;
use crate::secret_files::{SECRET, run};
use std::fs::{self, File, FileTimes, create_dir_all, rename, write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Reads all there is, whatever its name.
const READ_ALL: &str = "chmod -R u+rwx . 2>/dev/null; grep -rh Canary . ; find . -name '*env*' | sort";

/// A workspace that is worth remembering.
fn workspace() -> (Caller, PathBuf) {
    let caller = Caller::new();
    let workspace = caller.path("workspace");
    for number in 0..300 {
        create_dir_all(workspace.join(format!("packages/p{number}/src"))).unwrap();
    }
    secret(&workspace.join("packages/p0/src/.env"));
    (caller, workspace)
}

fn secret(path: &Path) {
    create_dir_all(path.parent().unwrap()).unwrap();
    write(path, format!("A_TOKEN={SECRET}\n")).unwrap();
}

/// Runs until what is there has been at rest for so long that it is remembered.
fn is_remembered(caller: &Caller) -> PathBuf {
    let searched = caller.path("state/standin/searched");
    let began = Instant::now();
    loop {
        let (_, said) = run(caller, &[], "true");
        let mut kept = fs::read_dir(&searched).into_iter().flatten().flatten();
        if let Some(memory) = kept.next() {
            return memory.path();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{said}");
    }
}

#[test]
fn what_came_since_a_workspace_was_remembered_is_found() {
    let (caller, workspace) = workspace();
    let memory = is_remembered(&caller);
    let packages = workspace.join("packages");
    secret(&packages.join("p1/src/.env"));
    secret(&packages.join("p2/new/er/.env"));
    // Moved in, as it is, and with the time that a directory had there.
    secret(&caller.path("state/ready/.env"));
    rename(caller.path("state/ready"), packages.join("p3/moved")).unwrap();
    let before = fs::metadata(packages.join("p4/src")).unwrap().modified().unwrap();
    secret(&packages.join("p4/src/.env"));
    File::open(packages.join("p4/src")).unwrap().set_times(FileTimes::new().set_modified(before)).unwrap();
    // In the place of another one.
    fs::remove_dir(packages.join("p5/src")).unwrap();
    secret(&caller.path("state/other/.env"));
    rename(caller.path("state/other"), packages.join("p5/src")).unwrap();
    // What was known has moved, and so has what holds it.
    rename(packages.join("p0/src"), packages.join("p6/source")).unwrap();
    rename(packages.join("p6"), packages.join("q6")).unwrap();
    write(packages.join("p7/plain"), format!("A_TOKEN={SECRET}\n")).unwrap();
    symlink("plain", packages.join("p7/.env")).unwrap();
    let (seen, said) = run(&caller, &[], READ_ALL);
    assert!(!seen.contains(SECRET), "{seen}{said}");
    assert_eq!(seen.lines().filter(|line| line.ends_with("/.env")).count(), 7, "{seen}{said}");
    // All of it is there, to be read without the sandbox.
    let outside = caller.program("/bin/sh").args(["-c", READ_ALL]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&outside.stdout).matches(SECRET).count(), 7);
    // What is damaged, or somebody else's, is none.
    for damage in [b"".to_vec(), vec![0; 100_000], fs::read(&memory).unwrap()[..5000].to_vec()] {
        write(&memory, damage).unwrap();
        let (seen, said) = run(&caller, &[], READ_ALL);
        assert!(!seen.contains(SECRET) && seen.contains("/.env"), "{seen}{said}");
    }
}

/// What one session does to a workspace that is remembered, the next one finds.
#[test]
fn a_session_hides_nothing_from_the_next_one() {
    let (caller, _) = workspace();
    let memory = is_remembered(&caller);
    let script = format!(
        "import os
os.rename('packages/p0', 'packages/p1/p0')
os.mkdir('packages/p0')
stat = os.stat('packages/p2/src')
os.rename('packages/p1/p0/src', 'packages/p2/src/deep')
os.utime('packages/p2/src', ns=(stat.st_atime_ns, stat.st_mtime_ns))
os.chmod('packages/p2/src', 0)
for at in ['{memory}', '{state}']:
    try:
        open(at).read()
    except OSError as error:
        print(error.strerror)",
        memory = memory.display(),
        state = caller.path("state/standin").display()
    );
    let missing = "No such file or directory\n";
    assert_eq!(caller.python(&script), missing.repeat(2));
    let (seen, said) = run(&caller, &[], READ_ALL);
    assert!(!seen.contains(SECRET), "{seen}{said}");
    let outside = caller.program("/bin/sh").args(["-c", READ_ALL]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&outside.stdout).matches(SECRET).count(), 1);
}
