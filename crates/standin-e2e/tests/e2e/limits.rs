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

/// In a namespace, where a directory is a disk of its own: so many MiB.
fn on_a_disk(caller: &Caller, directory: &str, size: u32, command: &str) -> Output {
    let at = caller.path(directory);
    let script = format!(
        "mount -t tmpfs -o mode=700,size={size}m none '{at}' && cd {workspace} && {command}; code=$?; stat -f -c 'free: %a' '{at}'; exit $code",
        at = at.display(),
        workspace = caller.path("workspace").display()
    );
    caller.program("/usr/bin/unshare").args(["-rm", "/bin/sh", "-c", &script]).output().unwrap()
}

#[test]
fn no_disk_of_the_hosts_is_filled() {
    for (directory, flags, filled) in
        [("workspace", "", "."), ("state", "--cow", "."), ("workspace/da ta", "", "da ta")]
    {
        let caller = Caller::new();
        std::fs::create_dir_all(caller.path(directory)).unwrap();
        let fill = format!("/usr/bin/python3 -c \"{FILL}print(fill('{filled}', 1024))\"");
        if directory == "workspace" {
            let outside = on_a_disk(&caller, directory, 512, &fill);
            let said = stdout(&outside);
            assert!(said.starts_with("No space left on device after 51") && said.ends_with("free: 0\n"), "{said}");
        }
        let standin = standin_e2e::binary("standin");
        let inside = format!("{} run {flags} --spare 448MiB -- {fill}", standin.display());
        let inside = on_a_disk(&caller, directory, 512, &inside);
        let (out, said) = (String::from_utf8_lossy(&inside.stdout), String::from_utf8_lossy(&inside.stderr));
        assert_eq!(inside.status.code(), Some(137), "{out}{said}");
        let at = caller.path(directory).display().to_string();
        assert!(said.contains("standin: the command was ended: less than 469.7 MB are left where "), "{said}");
        assert!(said.contains(&at) && said.contains("(see --spare)"), "{said}");
        assert!(out.starts_with("free: ") && out != "free: 0\n", "{out}");
    }
}

#[test]
fn nothing_runs_on_a_disk_that_is_full_already() {
    let caller = Caller::new();
    let command = format!("{} run --spare 64MiB -- true", standin_e2e::binary("standin").display());
    let output = on_a_disk(&caller, "workspace", 32, &command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("only 33.5 MB are free where ") && said.contains("less than is to stay free"), "{said}");
    assert_eq!(output.status.code(), Some(125), "{said}");
}

#[test]
fn space_is_not_taken_at_once() {
    // By the calls themselves; glibc's posix_fallocate writes where they are not supported.
    let script = "import ctypes, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open('file', os.O_RDWR | os.O_CREAT)
for mode in (0, 1, 0x10):
    print(libc.fallocate(fd, mode, ctypes.c_long(0), ctypes.c_long(1 << 20)), os.strerror(ctypes.get_errno()))
os.posix_fallocate(fd, 0, 1 << 20)
print(os.fstat(fd).st_blocks * 512 >> 20)
print(libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(1 << 20)), os.fstat(fd).st_blocks)
for request in (0x4030580a, 0x40305824, 0x40305828, 0x4030582a, 0x40305839):
    try:
        fcntl.ioctl(fd, request, bytes(48))
        print('done')
    except OSError as error:
        print(error.strerror)";
    let caller = Caller::new();
    let outside = stdout(&caller.program("/usr/bin/python3").args(["-c", script]).output().unwrap());
    assert!(outside.starts_with("0 Success\n0 Success\n0 Success\n1\n0 0\n"), "{outside}");
    let refused = "-1 Operation not supported\n".repeat(3);
    let inside = stdout(&run(&caller, &[], script));
    assert_eq!(inside, format!("{refused}1\n0 0\n{}", "Operation not permitted\n".repeat(5)));
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
fn the_usual_bound_of_processes_holds_for_root_too() {
    let script = "import _thread, os
_thread.stack_size(64 << 10)
never, count = os.pipe()[0], 0
try:
    while count < 8400:
        _thread.start_new_thread(os.read, (never, 1))
        count += 1
except RuntimeError:
    pass
print(count, flush=True)
os._exit(0)";
    let caller = Caller::new();
    let number = |output: Output| stdout(&output).trim().parse::<u32>().unwrap();
    let outside = number(caller.program("/usr/bin/python3").args(["-c", script]).output().unwrap());
    if outside < 8400 {
        eprintln!("not tried: this host lets nobody have more than {outside} threads");
        return;
    }
    let inside = number(run(&caller, &[], script));
    assert!(inside < 8192, "{inside}");
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
