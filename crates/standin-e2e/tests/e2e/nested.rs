//! `--allow-nested`: sandboxes work inside, and what is mounted for the command stays over what it covers.

use crate::direct::{Caller, stdout};
use crate::secret_files::{SECRET, run};
use standin_e2e::clients;
use std::fs::{create_dir_all, read_to_string, write};

const NESTED: &[&str] = &["--cow", "--allow-nested"];

/// An ordinary user's workspace with a secret file; for root nothing is run.
fn caller() -> Option<Caller> {
    let caller = Caller::new();
    write(caller.path("workspace/.env"), format!("A_TOKEN={SECRET}\n")).unwrap();
    if rustix::process::geteuid().is_root() {
        let (seen, said) = run(&caller, NESTED, "echo started");
        assert!(seen.is_empty() && said.contains("--allow-nested is not for root"), "{seen}{said}");
        return None;
    }
    Some(caller)
}

#[test]
fn bubblewrap_works_inside() {
    let Some(caller) = caller() else { return };
    let script = "bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --bind $PWD $PWD --unshare-all --die-with-parent \
                  sh -c 'cat .env; echo made > made; ls /proc | grep -c \"^[0-9]\"; cat < /dev/null > /usr/x' ; cat made";
    let (seen, said) = run(&caller, NESTED, script);
    let lines: Vec<_> = seen.lines().collect();
    assert_eq!(lines.len(), 3, "{seen}{said}");
    assert!(lines[0].starts_with("A_TOKEN=sk_live_") && !seen.contains(SECRET), "{seen}{said}");
    assert!(lines[1].parse::<u32>().unwrap() < 8 && lines[2] == "made", "its own processes: {seen}{said}");
    assert!(said.contains("/usr/x: Read-only file system"), "{said}");
    assert!(!caller.path("workspace/made").exists());
    // Without the flag there are no namespaces, and without a copy no flag.
    let (_, said) = run(&caller, &["--cow"], script);
    assert!(said.contains("bwrap: No permissions to create new namespace"), "{said}");
    for flags in [&["--allow-nested"][..], &["--cow", "--allow-nested", "--rw", "/tmp"]] {
        let (seen, said) = run(&caller, flags, "echo started");
        assert!(seen.is_empty() && said.contains("error: "), "{seen}{said}");
    }
}

#[test]
fn codexs_own_sandbox_works_inside() {
    let Some(caller) = caller() else { return };
    let vendor = "node_modules/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl";
    let clients = clients();
    // It keeps out of what it takes for temporary: all below TMPDIR.
    let script = format!(
        "export HOME=$PWD/home TMPDIR=/var/tmp; mkdir home
        {clients}/{vendor}/bin/codex sandbox -- sh -c 'cat .env; echo made > made'"
    );
    let (seen, said) = run(&caller, &["--cow", "--allow-nested", "--ro", &format!("{clients}/{vendor}")], &script);
    assert!(seen.starts_with("A_TOKEN=sk_live_") && !seen.contains(SECRET), "{seen}{said}");
    assert!(said.contains("cannot create made: Read-only file system"), "{said}");
}

/// Ways to what lies below a mount, for who has all capabilities over the mounts around it. `own` says that this process mounted it.
const WAYS: &str = r"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
REMOUNT, RDONLY, BIND, MOVE, REC, DETACH = 0x20, 1, 0x1000, 0x2000, 0x4000, 2
def check(result):
    if result: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def path(text): return text.encode() if text else None
def mount(source, target, flags, kind='', data=''):
    check(libc.mount(path(source), path(target), path(kind), ctypes.c_ulong(flags), path(data)))
def unmount(target): check(libc.umount2(path(target), DETACH))
def read(path): return open(path).read()
def namespace(flags):
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(flags))
    open('/proc/self/setgroups', 'w').write('deny')
    open('/proc/self/uid_map', 'w').write('0 %d 1' % uid)
    open('/proc/self/gid_map', 'w').write('0 %d 1' % gid)
shown, own = sys.argv[1], sys.argv[2] == 'own'
def enter():
    namespace(0x10020000)
    mount('', '/', REC | 0x40000)
    mount('tmpfs', '/tmp/n', 0, 'tmpfs')
    os.mkdir('/tmp/n/at')
    if own:
        open('/tmp/n/mask', 'w').write('masked')
        mount('/tmp/n/mask', '.env', BIND)
        mount('tmpfs', 'private', 0, 'tmpfs')
        mount(shown, shown, BIND)
        mount('', shown, BIND | REMOUNT | RDONLY)
def unmounted():
    unmount('.env')
    return read('.env')
def uncovered():
    unmount('private')
    return read('private/file')
def bound():
    mount('.', '/tmp/n/at', BIND)
    return read('/tmp/n/at/.env')
def bound_with_all():
    mount('.', '/tmp/n/at', BIND | REC)
    unmount('/tmp/n/at/.env')
    return read('/tmp/n/at/.env')
def layered():
    mount('overlay', '/tmp/n/at', 0, 'overlay', 'lowerdir=/tmp/n/at:' + os.getcwd())
    return read('/tmp/n/at/.env')
def moved():
    open('/tmp/n/at/x', 'w').close()
    mount('.env', '/tmp/n/at/x', MOVE)
    return read('.env')
def detached():
    here = os.open('.', os.O_RDONLY)
    mount('/tmp/n/at', '/tmp/n/at', BIND)
    os.mkdir('/tmp/n/at/old')
    check(libc.pivot_root(b'/tmp/n/at', b'/tmp/n/at/old'))
    os.chdir('/')
    unmount('/old')
    return os.read(os.open('.env', os.O_RDONLY, dir_fd=here), 1000).decode()
def removed():
    os.remove('.env')
    return 'Canary: removed'
def writable():
    mount('', shown, BIND | REMOUNT)
    open(shown + '/file', 'w').write('by the command')
    return 'Canary: written'
def writable_copy():
    mount(shown, '/tmp/n/at', BIND)
    mount('', '/tmp/n/at', BIND | REMOUNT)
    open('/tmp/n/at/file', 'w').write('by the command')
    return 'Canary: written'
os.makedirs('/tmp/n', exist_ok=True)
for way in [unmounted, uncovered, bound, bound_with_all, layered, moved, detached, writable, writable_copy] + ([] if own else [removed]):
    sys.stdout.flush()
    if os.fork() == 0:
        try:
            enter()
        except OSError as error:
            print(way.__name__, 'no namespace', error)
            os._exit(0)
        try:
            print(way.__name__, way().strip())
        except OSError as error:
            print(way.__name__, error.strerror)
        sys.stdout.flush()
        os._exit(0)
    os.wait()
";

#[test]
fn capabilities_in_a_namespace_lift_nothing() {
    let Some(caller) = caller() else { return };
    let shown = caller.path("home/shown");
    create_dir_all(caller.path("workspace/private")).unwrap();
    create_dir_all(&shown).unwrap();
    write(caller.path("workspace/private/file"), SECRET).unwrap();
    write(shown.join("file"), "the host's").unwrap();
    let at = shown.to_str().unwrap();
    // Where the same process has mounted it, each way leads there.
    let seen = stdout(&caller.program("/usr/bin/python3").args(["-c", WAYS, at, "own"]).output().unwrap());
    assert_eq!(seen.matches("Canary").count(), 9, "{seen}");
    assert_eq!(read_to_string(shown.join("file")).unwrap(), "by the command");
    write(shown.join("file"), "the host's").unwrap();
    let flags = ["--cow", "--allow-nested", "--hide", "private", "--ro", at];
    let output = caller.run(&flags, &["/usr/bin/python3", "-c", WAYS, at, "inherited"]).output().unwrap();
    let seen = stdout(&output);
    assert_eq!(seen.lines().count(), 10, "{seen}");
    assert!(!seen.contains("Canary") && !seen.contains("no namespace"), "{seen}");
    assert_eq!(read_to_string(shown.join("file")).unwrap(), "the host's");
}

/// Who administers a network of his own asks the kernel's older packet filters to replace a table; the error tells who answers. The
/// last option is one that programs set.
const TABLES: &str = r"
import ctypes, errno, socket
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x50000000) == 0
def tried(family, level, option):
    held = socket.socket(family, socket.SOCK_DGRAM)
    failed = libc.setsockopt(held.fileno(), level, option, (1).to_bytes(4, 'little') + bytes(200), 204)
    return errno.errorcode[ctypes.get_errno()] if failed else 'set'
ways = [(2, 0, 64), (2, 0, 65), (10, 41, 64), (2, 0, 96), (10, 41, 200), (10, 41, 67)]
print(*[tried(*way) for way in ways])
";

#[test]
fn tables_of_packet_filters_are_not_reached() {
    let Some(caller) = caller() else { return };
    let seen = stdout(&caller.program("/usr/bin/python3").args(["-c", TABLES]).output().unwrap());
    assert!(seen.ends_with(" set\n") && !seen.contains("EPERM"), "{seen}");
    let seen = stdout(&caller.run(NESTED, &["/usr/bin/python3", "-c", TABLES]).output().unwrap());
    assert_eq!(seen, "EPERM EPERM EPERM EPERM EPERM set\n");
}

#[test]
fn a_session_that_allows_them_says_so() {
    let Some(caller) = caller() else { return };
    run(&caller, NESTED, "true");
    let assurance = &caller.log()[0]["assurance"];
    assert!(assurance["layers"].to_string().contains("signals and abstract sockets only"), "{assurance}");
    assert!(assurance["open"].as_array().unwrap().iter().any(|way| way["number"] == 119), "{assurance}");
    run(&caller, &["--cow"], "true");
    assert!(!caller.log()[0]["assurance"]["open"].as_array().unwrap().iter().any(|way| way["number"] == 119));
}
