//! Files and devices of the caller's as standard descriptors: they are read and written as was asked, and nothing else of them changes.

use crate::direct::{Caller, stdout};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Changes all that is no contents, of each standard descriptor and of devices, by number and by name. What came of it is left in the workspace,
/// since no descriptor is left to say it.
const CHANGE: &str = "import os
said = open('said', 'w')
def tried(name, change):
    try:
        change()
        said.write(name + ' done\\n')
    except OSError:
        said.write(name + ' refused\\n')
for number in (0, 1, 2):
    for name in (number, f'/proc/self/fd/{number}'):
        tried(f'mode {name}', lambda: os.chmod(name, 0o640))
        tried(f'times {name}', lambda: os.utime(name, (1, 1)))
        tried(f'attribute {name}', lambda: os.setxattr(name, 'user.standin', b'x'))
for name in ('null', 'zero', 'full', 'random', 'urandom', 'tty'):
    tried(name, lambda: os.chmod('/dev/' + name, 0o666))
print('written')
os.write(2, b'errors')";

/// Mode and times of a file, in nanoseconds, and whether it has an attribute.
fn state(path: &Path) -> (u32, i64, bool) {
    let found = fs::metadata(path).unwrap();
    let has_attribute = rustix::fs::getxattr(path, "user.standin", &mut [0u8; 8]).is_ok();
    (found.mode() & 0o7777, found.mtime(), has_attribute)
}

/// A command with three files as standard descriptors.
fn with_files(mut command: Command, caller: &Caller) -> (Command, [PathBuf; 3]) {
    let files = ["in", "out", "errors"].map(|name| caller.path(name));
    for file in &files {
        fs::write(file, "there\n").unwrap();
    }
    let open = |at: usize| File::options().append(true).mode(0o600).open(&files[at]).unwrap();
    command.stdin(File::open(&files[0]).unwrap()).stdout(open(1)).stderr(open(2));
    (command, files)
}

#[test]
fn nothing_but_their_contents_can_be_changed() {
    let caller = Caller::new();
    let said = caller.path("workspace/said");
    let python = ["/usr/bin/python3", "-c", CHANGE];
    let mut bare = caller.program(python[0]);
    bare.args(&python[1..]);
    let (mut bare, files) = with_files(bare, &caller);
    assert!(bare.status().unwrap().success());
    let outside = fs::read_to_string(&said).unwrap();
    assert!(outside.lines().take(18).all(|line| line.ends_with("done")), "{outside}");
    assert_eq!(files.each_ref().map(|file| state(file).0), [0o640; 3]);
    assert_eq!(state(&files[0]), (0o640, 1, true));

    let caller = Caller::new();
    let (mut inside, files) = with_files(caller.standin(&python), &caller);
    let before = files.each_ref().map(|file| state(file));
    assert!(inside.status().unwrap().success());
    let said = fs::read_to_string(caller.path("workspace/said")).unwrap();
    // A pipe's own mode and times are nobody's.
    let of_files = said.lines().filter(|line| !line.contains('1') && !line.contains('2'));
    assert_eq!(of_files.clone().filter(|line| line.ends_with("done")).collect::<Vec<_>>(), [""; 0], "{said}");
    assert_eq!(of_files.count(), 12, "{said}");
    let after = files.each_ref().map(|file| state(file));
    assert_eq!(after[0], before[0]);
    for (after, before) in after.iter().zip(&before) {
        assert!(after.0 == before.0 && after.1 >= before.1 && !after.2, "{after:?} {before:?}");
    }
    assert_eq!(fs::read_to_string(&files[1]).unwrap(), "there\nwritten\n");
    let errors = fs::read_to_string(&files[2]).unwrap();
    assert!(errors.starts_with("there\nerrors") && errors.contains("standin: "), "{errors}");
}

#[test]
fn devices_are_the_sandboxs_own() {
    let caller = Caller::new();
    let null = || File::options().read(true).write(true).open("/dev/null").unwrap();
    let mut standin = caller.standin(&["/usr/bin/python3", "-c", CHANGE]);
    assert!(standin.stdin(null()).stdout(null()).stderr(null()).status().unwrap().success());
    let said = fs::read_to_string(caller.path("workspace/said")).unwrap();
    assert!(said.lines().count() == 24 && !said.contains("done"), "{said}");
}

#[test]
fn what_is_written_to_a_file_is_in_it_when_the_command_has_ended() {
    let caller = Caller::new();
    let shell = |line: &str| {
        let standin = standin_e2e::binary("standin");
        caller.program("/bin/sh").args(["-c", line, "sh", standin.to_str().unwrap()]).output().unwrap()
    };
    stdout(&shell("\"$1\" run -- seq 300000 >all && seq 300000 | cmp - all"));
    // Both in one, in the order in which they were written; after what is there.
    stdout(&shell(
        "echo first >log; \"$1\" run -- sh -c 'for i in 1 2 3; do echo out $i; echo error $i >&2; done' >>log 2>&1",
    ));
    let log = fs::read_to_string(caller.path("workspace/log")).unwrap();
    assert!(log.starts_with("first\nout 1\nerror 1\nout 2\nerror 2\nout 3\nerror 3\nstandin: "), "{log}");
    // By their names, too, as anywhere.
    stdout(&shell("\"$1\" run -- sh -c 'echo by name >/dev/stdout' >named"));
    assert_eq!(fs::read_to_string(caller.path("workspace/named")).unwrap(), "by name\n");
    // What cannot be written is said.
    let failed = shell("echo x >read; \"$1\" run -- echo lost 1<read");
    assert!(!failed.status.success());
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains("not all that the command wrote is in its output"), "{said}");
}

/// A file that others write to as well, such as `>log` of a script, keeps what all of them wrote.
#[test]
fn others_write_to_the_same_file() {
    let caller = Caller::new();
    let path = caller.path("log");
    let mut log = File::create(&path).unwrap();
    let mut standin = caller.standin(&["/bin/sh", "-c", "echo ready >&2; read line; echo inner"]);
    standin.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(Stdio::piped());
    let mut standin = standin.spawn().unwrap();
    let mut said = BufReader::new(standin.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "ready"));
    log.write_all(b"another line of somebody else's\n").unwrap();
    standin.stdin.take().unwrap().write_all(b"go\n").unwrap();
    assert!(standin.wait().unwrap().success());
    assert_eq!(fs::read_to_string(&path).unwrap(), "another line of somebody else's\ninner\n");
}

/// A file that may not grow any more ends the command, as a pipe that nobody reads does, and not Standin.
#[test]
fn a_bound_of_a_files_size_is_said() {
    let caller = Caller::new();
    let standin = standin_e2e::binary("standin");
    let line = "ulimit -f 20000; \"$1\" run -- head -c 20000000 /dev/zero >large";
    let ended = caller.program("/bin/sh").args(["-c", line, "sh", standin.to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("not all that the command wrote is in its output: File too large"), "{said}");
    assert_eq!((ended.status.code(), caller.log()[0]["exit_code"].as_i64()), (Some(141), Some(141)), "{said}");
}

#[test]
fn what_follows_reads_on_behind_what_was_read() {
    let caller = Caller::new();
    fs::write(caller.path("workspace/list"), "one\ntwo\nthree\nfour\n").unwrap();
    let standin = standin_e2e::binary("standin");
    // The shell reads a line, the command the next one, `cat` the rest.
    let line = "read first; echo \"$first\"; \"$1\" run -- dd bs=1 count=4 status=none; cat";
    let list = || File::open(caller.path("workspace/list")).unwrap();
    let mut shell = caller.program("/bin/sh");
    shell.args(["-c", line, "sh", standin.to_str().unwrap()]).stdin(list());
    assert_eq!(stdout(&shell.output().unwrap()), "one\ntwo\nthree\nfour\n");
    // By its name, too: a script in standard input.
    let script = caller.path("workspace/script");
    fs::write(&script, "echo from a script\n").unwrap();
    let mut sh = caller.standin(&["/bin/sh", "/dev/stdin"]);
    assert_eq!(stdout(&sh.stdin(File::open(&script).unwrap()).output().unwrap()), "from a script\n");
    // Somebody else's, which root has opened, is read, though nobody inside could open it.
    let others = caller.path("others");
    fs::write(&others, "another's\n").unwrap();
    let open = File::open(&others).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&others, Some(12345), Some(12345)).unwrap();
        fs::set_permissions(&others, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    assert_eq!(stdout(&caller.standin(&["cat"]).stdin(open).output().unwrap()), "another's\n");
    // A file that has no name any more is read all the same.
    let open = list();
    fs::remove_file(caller.path("workspace/list")).unwrap();
    assert_eq!(stdout(&caller.standin(&["cat"]).stdin(open).output().unwrap()), "one\ntwo\nthree\nfour\n");
}
