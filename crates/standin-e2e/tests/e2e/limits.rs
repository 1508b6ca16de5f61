//! What a command may use of the machine: private directories, processes, memory.

use crate::direct::{Caller, stdout};
use std::process::Output;

fn run(caller: &Caller, flags: &[&str], script: &str) -> Output {
    caller.run(flags, &["/usr/bin/python3", "-c", script]).output().unwrap()
}

/// Writes this many MiB to each of these directories, and says what it could.
const FILL: &str = "import os, sys
def fill(directory, mebibytes):
    with open(directory + '/fill', 'wb', buffering=0) as f:
        for n in range(mebibytes):
            try:
                f.write(bytes(1 << 20))
            except OSError as error:
                return f'{error.strerror} after {n}'
    return 'all'
";

#[test]
fn private_directories_are_bounded_together() {
    let caller = Caller::new();
    // Outside nobody minds.
    let script = format!("{FILL}print(fill('.', 32))");
    let outside = caller.program("/usr/bin/python3").args(["-c", &script]).output().unwrap();
    assert_eq!(stdout(&outside), "all\n");
    let script = format!(
        "{FILL}for directory in ('/tmp', '/var/tmp', '/dev/shm', os.environ['HOME'], '/run'):
    print(fill(directory, 6))
print(fill('.', 32))"
    );
    let printed = stdout(&run(&caller, &["--tmp", "20MiB"], &script));
    let lines: Vec<_> = printed.lines().collect();
    let [first, second, third, fourth, fifth, workspace] = lines[..] else { panic!("{printed}") };
    assert_eq!((first, second, third, workspace), ("all", "all", "all", "all"));
    assert!(fourth.starts_with("No space left on device after "), "{printed}");
    assert!(fifth.starts_with("No space left on device after 0"), "{printed}");
}

#[test]
fn small_files_are_bounded_too() {
    let script = "import os
try:
    for n in range(100_000):
        os.mknod(f'/tmp/{n}')
    print('all')
except OSError as error:
    print(error.strerror, n < 3000)";
    assert_eq!(stdout(&run(&Caller::new(), &["--tmp", "16MiB"], script)), "No space left on device True\n");
}

#[test]
fn private_directories_are_as_ever() {
    let script = "import os, stat
for path in ('/tmp', '/var/tmp', '/dev/shm', os.environ['HOME'], '/run'):
    print(oct(stat.S_IMODE(os.stat(path).st_mode)), os.access(path, os.W_OK))
print(os.listdir('/var/tmp'), os.listdir('/dev/shm'), os.path.exists('/private'))
for line in open('/proc/self/mountinfo'):
    fields = line.split()
    if fields[4] in ('/tmp', '/dev/shm') and not {'nosuid', 'nodev'} <= set(fields[5].split(',')):
        print(line)";
    let sticky = "0o1777 True\n";
    let expected = format!("{sticky}{sticky}{sticky}0o700 True\n0o700 True\n[] [] False\n");
    assert_eq!(stdout(&run(&Caller::new(), &[], script)), expected);
}

/// Makes processes until it is refused or has this many.
const BREED: &str = "import os, signal, sys
children = []
try:
    for n in range(200):
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
    print('all')
except OSError as error:
    print(error.strerror, len(children) < 64)
for child in children:
    os.kill(child, signal.SIGKILL)";

#[test]
fn processes_are_bounded() {
    let caller = Caller::new();
    let outside = caller.program("/usr/bin/python3").args(["-c", BREED]).output().unwrap();
    assert_eq!(stdout(&outside), "all\n");
    let inside = run(&caller, &["--pids", "64"], BREED);
    if inside.status.code() == Some(125) {
        // Root's are counted by a control group only, and here is none; then nothing is run.
        assert!(rustix::process::geteuid().is_root());
        not_limited_here(&inside, "processes");
        return;
    }
    assert_eq!(stdout(&inside), "Resource temporarily unavailable True\n");
}

#[test]
fn memory_is_bounded() {
    let caller = Caller::new();
    let script = "held = []
for _ in range(512):
    held.append(bytes(b'x') * (1 << 20))
print('all')";
    let outside = caller.program("/usr/bin/python3").args(["-c", script]).output().unwrap();
    assert_eq!(stdout(&outside), "all\n");
    let inside = run(&caller, &["--memory", "256MiB"], script);
    if inside.status.code() == Some(125) {
        not_limited_here(&inside, "memory");
        return;
    }
    let said = String::from_utf8_lossy(&inside.stderr).into_owned();
    assert_eq!(inside.status.code(), Some(137), "{said}");
    assert!(said.contains("the command was ended: it used more than 268.4 MB of memory"), "{said}");
}

/// Nothing was run, and the user is told what would help. What the limit does could not be tried here.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is to know what they did not try")]
fn not_limited_here(output: &Output, what: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("the command's {what} cannot be limited here")), "{said}");
    assert!(said.contains("systemd-run --user --scope"), "{said}");
    assert!(output.stdout.is_empty());
    eprintln!("not tried: this host gives out no controller of cgroup v2 to this user, so {what} cannot be limited");
}

#[test]
fn the_usual_limits_are_not_noticed() {
    let script = "import resource, threading
threads = [threading.Thread(target=lambda: barrier.wait()) for _ in range(500)]
barrier = threading.Barrier(501)
for thread in threads:
    thread.start()
barrier.wait()
print(len(bytes(300 << 20)) >> 20, int(open('/proc/self/oom_score_adj').read()) >= 300)
open('/tmp/big', 'wb').write(bytes(100 << 20))
print('written')";
    assert_eq!(stdout(&run(&Caller::new(), &[], script)), "300 True\nwritten\n");
}
