//! What the command gets from the kernel and from whoever started Standin: privileges, descriptors, variables, files.

use crate::direct::Caller;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
use std::os::unix::net::UnixListener;
use std::path::Path;

#[test]
fn nothing_is_typed_into_a_terminal_but_by_its_keyboard() {
    let tried = "import fcntl, os, pty, termios
master, slave = pty.openpty()
for name, request, argument in (('TIOCSTI', 0x5412, b'x'), ('TIOCLINUX', 0x541c, b'\\x03'), ('TIOCSTI, high bits', 0x100005412, b'x')):
    try:
        if request > 0xffffffff:
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.syscall(16, slave, ctypes.c_ulong(request), argument) < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        else:
            fcntl.ioctl(slave, request, argument)
        print(name, 'done')
    except OSError as error:
        print(name, error.strerror)";
    let refused = "Operation not permitted";
    let expected = format!("TIOCSTI {refused}\nTIOCLINUX {refused}\nTIOCSTI, high bits {refused}\n");
    assert_eq!(Caller::new().python(tried), expected);
}

#[test]
fn calls_of_another_architecture_kill() {
    // getpid of i386.
    let call = "import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))() > 0, flush=True)";
    let caller = Caller::new();
    let python = ["/usr/bin/python3", "-c", call];
    let outside = caller.program(python[0]).args(&python[1..]).output().unwrap();
    let inside = caller.standin(&python).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&inside.stdout), "");
    // A kernel that was built without i386 kills by another signal, outside, too.
    let killed_by = if outside.status.success() { rustix::process::Signal::SYS.as_raw() } else { 11 };
    assert_eq!(inside.status.code(), Some(128 + killed_by));
}

#[test]
fn the_first_process_cannot_be_touched() {
    let tried = "import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, result):
    print(name, os.strerror(ctypes.get_errno()) if result < 0 else 'done')
word = ctypes.create_string_buffer(8)
vector = (ctypes.c_ulong * 2)(ctypes.addressof(word), 8)
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
tried('attach', libc.ptrace(PTRACE_ATTACH, 1, 0, 0))
tried('seize', libc.ptrace(PTRACE_SEIZE, 1, 0, 0))
tried('process_vm_readv', libc.process_vm_readv(1, ctypes.byref(vector), 1, ctypes.byref(vector), 1, 0))
tried('process_vm_writev', libc.process_vm_writev(1, ctypes.byref(vector), 1, ctypes.byref(vector), 1, 0))
pidfd = libc.syscall(434, 1, 0)
tried('pidfd_getfd', libc.syscall(438, pidfd, 0, 0))
for name in ('environ', 'mem', 'maps', 'cwd', 'root', 'exe', 'fd/0', 'ns/net', 'stack', 'syscall', 'io', 'auxv'):
    path = '/proc/1/' + name
    try:
        os.readlink(path) if name in ('cwd', 'root', 'exe', 'fd/0', 'ns/net') else open(path, 'rb').read(1)
        print(name, 'readable')
    except PermissionError:
        print(name, 'refused')";
    let no = "Operation not permitted";
    let expected = format!(
        "attach {no}\nseize {no}\nprocess_vm_readv {no}\nprocess_vm_writev {no}\npidfd_getfd {no}\n\
         environ refused\nmem refused\nmaps refused\ncwd refused\nroot refused\nexe refused\nfd/0 refused\nns/net refused\n\
         stack refused\nsyscall refused\nio refused\nauxv refused\n"
    );
    assert_eq!(Caller::new().python(tried), expected);
}

#[test]
fn there_are_no_privileges_and_none_to_be_had() {
    let tried = "import os, resource
for line in open('/proc/self/status'):
    if line.startswith(('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp:')):
        print(*line.split())
print('cores', *resource.getrlimit(resource.RLIMIT_CORE))
for line in open('/proc/self/mountinfo'):
    fields = line.split()
    if 'nosuid' not in fields[5].split(','):
        print(fields[4], 'honours setuid')
for call in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([])):
    try:
        call()
        print('became root')
    except OSError:
        print('stays')";
    let none = "0000000000000000";
    // A limit of one byte keeps cores also from the collector that the kernel runs as root, outside.
    let expected = format!(
        "CapInh: {none}\nCapPrm: {none}\nCapEff: {none}\nCapBnd: {none}\nCapAmb: {none}\nNoNewPrivs: 1\nSeccomp: 2\n\
         cores 1 1\nstays\nstays\nstays\n"
    );
    assert_eq!(Caller::new().python(tried), expected);
}

#[test]
fn setuid_programs_gain_nothing() {
    // Those that the host has (su, mount, passwd …), and one of our own.
    let tried = "import glob, os, stat, subprocess
found = [p for d in ('/usr/bin', '/usr/sbin') for p in glob.glob(d + '/*') if os.stat(p).st_mode & stat.S_ISUID]
print('some' if found else 'none')
os.system('cp /usr/bin/id ./id && chmod 6755 ./id')
print(subprocess.check_output(['./id', '-u']) == subprocess.check_output(['id', '-u']))
su = subprocess.run(['su', '-c', 'id -u', 'root'], stdin=subprocess.DEVNULL, capture_output=True)
print(su.returncode != 0, su.stdout)";
    assert_eq!(Caller::new().python(tried), "some\nTrue\nTrue b''\n");
}

#[test]
fn the_kernels_own_files_are_shut() {
    let tried = "import os
harmless = ('/proc/pressure',)
for top, directories, files in os.walk('/proc'):
    if top == '/proc':
        directories[:] = [d for d in directories if not d.isdigit() and d not in ('self', 'thread-self')]
    for path in (os.path.join(top, name) for name in files):
        if path.startswith(harmless):
            continue
        try:
            os.close(os.open(path, os.O_WRONLY))
        except OSError:
            continue
        if os.stat(path).st_rdev != os.makedev(1, 3):
            print(path, 'can be written')
for name in ('kcore', 'keys', 'kmsg', 'slabinfo', 'vmallocinfo', 'pagetypeinfo', 'kpagecgroup', 'kallsyms'):
    path = '/proc/' + name
    try:
        if os.path.exists(path) and open(path, 'rb').read(1):
            print(path, 'can be read')
    except OSError:
        pass
for path in ('/etc/ssl/private', '/etc/pki/tls/private'):
    if os.path.exists(path):
        print(path, os.listdir(path))";
    let hidden = if Path::new("/etc/ssl/private").is_dir() { "/etc/ssl/private []\n" } else { "" };
    assert_eq!(Caller::new().python(tried), hidden);
}

#[test]
fn descriptors_of_the_caller_stay_outside() {
    // Every number from 3 on, up to different ones: ours must find their place among them.
    let caller = Caller::new();
    let secret = caller.path("secret");
    std::fs::write(&secret, "secret").unwrap();
    let mut leaked = Vec::new();
    for count in (85..105).chain([300]) {
        while leaked.len() < count {
            let file = std::fs::File::open(&secret).unwrap();
            fcntl_setfd(&file, FdFlags::empty()).unwrap();
            leaked.push(file);
        }
        // The last is the listing's own.
        let listing = "exec ls -1 /proc/self/fd";
        let output = caller.standin(&["sh", "-c", listing]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n1\n2\n3\n", "{count}: {output:?}");
    }
    // Nor does the first process keep what the start needed: the caller's streams, and what closed the socket. Only the host's
    // root may look.
    let output = caller.standin(&["ls", "-1", "/proc/1/fd"]).output().unwrap();
    if rustix::process::geteuid().is_root() {
        assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n1\n2\n3\n", "{output:?}");
    } else {
        assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"), "{output:?}");
    }
}

#[test]
fn sockets_of_the_host_are_out_of_reach() {
    let caller = Caller::new();
    let beside = |directory: &str| tempfile::tempdir_in(directory).unwrap();
    let directories = [beside("/tmp"), beside("/var/tmp"), beside("/dev/shm")];
    let mut paths: Vec<_> = directories.iter().map(|directory| directory.path().join("socket")).collect();
    // As a D-Bus or an agent's socket would lie in the caller's home.
    paths.push(caller.path("home").join("agent.sock"));
    let _listeners: Vec<_> = paths.iter().map(|path| UnixListener::bind(path).unwrap()).collect();
    let name = format!("standin-test-{}", std::process::id());
    let hidden = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&hidden, &SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap()).unwrap();
    listen(&hidden, 8).unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let script = |paths: &[std::path::PathBuf]| {
        format!(
            "import socket
for address in {paths:?}:
    try:
        socket.socket(socket.AF_UNIX).connect(address)
        print('connected')
    except OSError as error:
        print(error.strerror)
for family, address in ((socket.AF_UNIX, b'\\0{name}'), (socket.AF_INET, ('127.0.0.1', {port}))):
    try:
        socket.socket(family).connect(address)
        print('connected')
    except OSError as error:
        print(error.strerror)",
            port = tcp.local_addr().unwrap().port()
        )
    };
    let script = script(&paths);
    let outside = caller.program("/usr/bin/python3").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&outside.stdout), "connected\n".repeat(6), "they work outside");
    let expected = format!("{}{}", "No such file or directory\n".repeat(4), "Connection refused\n".repeat(2));
    assert_eq!(caller.python(&script), expected);
    let run = caller.python("import os; print(os.listdir('/run'), os.listdir('/var/run'))");
    assert_eq!(run, "['standin'] ['standin']\n");
}

#[test]
fn the_environment_is_a_list_of_ours() {
    let caller = Caller::new();
    let print = "import os; print(*sorted(os.environ), sep='\\n')";
    let mut standin = caller.standin(&["/usr/bin/python3", "-c", print]);
    for name in
        ["DATABASE_URL", "DBUS_SESSION_BUS_ADDRESS", "LD_PRELOAD", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "EDITOR", "TERM"]
    {
        standin.env(name, if name == "LD_PRELOAD" { "" } else { "/of/the/host" });
    }
    let output = standin.output().unwrap();
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    let trust = [
        "AWS_CA_BUNDLE",
        "CARGO_HTTP_CAINFO",
        "CURL_CA_BUNDLE",
        "DENO_CERT",
        "GIT_SSL_CAINFO",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
        "NODE_EXTRA_CA_CERTS",
        "PIP_CERT",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
        "npm_config_cafile",
    ];
    let rest: Vec<_> = names.lines().filter(|name| !trust.contains(name)).collect();
    let expected =
        ["EDITOR", "HOME", "IS_SANDBOX", "LANG", "LOGNAME", "PATH", "STANDIN_SESSION", "TERM", "TMPDIR", "USER"];
    assert_eq!(rest, expected);
}

#[test]
fn the_callers_home_is_empty_inside() {
    let caller = Caller::new();
    let home = caller.path("home");
    std::fs::create_dir(home.join(".ssh")).unwrap();
    std::fs::write(home.join(".ssh/id_ed25519"), "key").unwrap();
    std::fs::write(home.join(".netrc"), "key").unwrap();
    let seen = caller.python(
        "import os
home = os.environ['HOME']
print(os.listdir(home), os.path.exists(home + '/.ssh/id_ed25519'))
print(sorted(os.listdir(os.path.dirname(home))))
open(home + '/.netrc', 'w').write('from inside')",
    );
    assert_eq!(seen, "[] False\n['home', 'workspace']\n");
    assert_eq!(std::fs::read_to_string(home.join(".netrc")).unwrap(), "key");
}

#[test]
fn no_file_gets_the_set_user_id_bit() {
    let tried = "import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, result):
    print(name, 'refused' if result < 0 and ctypes.get_errno() in (1, 38) else 'done')
open('x', 'w').close()
x = os.open('x', os.O_RDWR)
how = (ctypes.c_ulong * 3)(os.O_CREAT | os.O_WRONLY, 0o4755, 0)
create = os.O_CREAT | os.O_WRONLY
tried('chmod', libc.syscall(90, b'x', 0o4755))
tried('fchmod', libc.syscall(91, x, 0o4755))
tried('fchmod of stdout', libc.syscall(91, 1, 0o4755))
tried('fchmodat', libc.syscall(268, -100, b'x', 0o4755))
tried('fchmodat2', libc.syscall(452, -100, b'x', 0o4755, 0))
tried('open', libc.syscall(2, b'a', create, 0o4755))
tried('creat', libc.syscall(85, b'b', 0o4755))
tried('openat', libc.syscall(257, -100, b'c', create, 0o4755))
tried('openat, no name', libc.syscall(257, -100, b'.', os.O_TMPFILE | os.O_RDWR, 0o4755))
tried('openat2', libc.syscall(437, -100, b'd', how, 24))
tried('mknod', libc.syscall(133, b'e', 0o104755, 0))
tried('mknodat', libc.syscall(259, -100, b'f', 0o104755, 0))
tried('an ordinary mode', libc.syscall(90, b'x', 0o755))
tried('no mode', libc.syscall(257, -100, b'x', os.O_RDONLY, 0o4755))
print(sorted(os.listdir('.')))";
    let calls = [
        "chmod",
        "fchmod",
        "fchmod of stdout",
        "fchmodat",
        "fchmodat2",
        "open",
        "creat",
        "openat",
        "openat, no name",
        "openat2",
        "mknod",
        "mknodat",
    ];
    let mut expected: String = calls.map(|call| format!("{call} refused\n")).concat();
    expected.push_str("an ordinary mode done\nno mode done\n['x']\n");
    assert_eq!(Caller::new().python(tried), expected);
}
