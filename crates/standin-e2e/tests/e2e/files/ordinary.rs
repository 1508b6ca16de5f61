//! What is not protected behaves as it does outside: the same program, in and out, says the same.

use super::python_outside;
use crate::direct::Caller;

/// Runs a program without and within the sandbox; both say the same.
fn check(script: &str) -> String {
    let (outside, inside) = (Caller::new(), Caller::new());
    let expected = python_outside(&outside, script);
    assert_eq!(inside.python(script), expected);
    assert_eq!(super::contents(&inside.path("workspace")), super::contents(&outside.path("workspace")));
    expected
}

/// Every call that the broker does, with what it refuses and where it leads.
const CALLS: &str = "import ctypes, errno, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
HERE = -100
def said(name, done):
    try:
        result = done()
        print(name, result)
    except OSError as error:
        print(name, errno.errorcode[error.errno])
def call(*arguments):
    result = libc.syscall(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), '')
    return 'done'
def mode(path):
    return oct(os.lstat(path).st_mode)
def put(path, text='x', flags=os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode=0o666):
    fd = os.open(path, flags, mode)
    written = os.write(fd, text.encode())
    os.close(fd)
    return written
C, W, E = os.O_CREAT, os.O_WRONLY, os.O_EXCL
said('create', lambda: put('f'))
said('exclusive', lambda: put('f', flags=C | W | E))
said('absent', lambda: put('absent', flags=W))
said('absent parent', lambda: put('no/f'))
said('file as parent', lambda: put('f/x'))
said('directory to write', lambda: put('.', flags=W))
said('slash at the end', lambda: put('f/'))
said('new with a slash', lambda: put('new/'))
said('empty', lambda: put(''))
said('long name', lambda: put('n' * 256))
said('long path', lambda: put('p/' * 2100 + 'x'))
said('bad descriptor', lambda: os.open('x', C | W, dir_fd=77))
said('file as base', lambda: os.open('x', C | W, dir_fd=os.open('f', os.O_RDONLY)))
said('bad address', lambda: call(257, HERE, ctypes.c_void_p(8), W, 0))
said('bad flags', lambda: call(316, HERE, b'f', HERE, b'g', 3))
for umask in (0o022, 0o077, 0):
    os.umask(umask)
    put('u%o' % umask)
    os.mkdir('d%o' % umask)
    os.mkfifo('p%o' % umask)
    os.open('q%o' % umask, C | W, 0o640)
    print([mode(kind + '%o' % umask) for kind in 'udpq'])
os.umask(0o022)
os.mkdir('sticky', 0o1777)
print(mode('sticky'))
said('append', lambda: (put('f', 'y', W | os.O_APPEND), open('f').read()))
said('truncate', lambda: (os.truncate('f', 5), os.stat('f').st_size))
said('truncate a directory', lambda: os.truncate('sticky', 0))
print(fcntl.fcntl(os.open('f', W | os.O_CLOEXEC), fcntl.F_GETFD), fcntl.fcntl(call and libc.open(b'f', W), fcntl.F_GETFD))
print(fcntl.fcntl(os.open('f', W | os.O_APPEND | os.O_NONBLOCK), fcntl.F_GETFL) & (os.O_APPEND | os.O_NONBLOCK | 3))
print(os.open('f', W) > 2, os.pread(os.open('f', os.O_RDWR), 2, 0))
os.symlink('f', 'link')
os.symlink('made-by-link', 'dangling')
os.symlink('loop', 'loop')
os.symlink('sticky', 'to-directory')
os.symlink(os.path.abspath('sticky') + '/abs', 'absolute')
said('through a link', lambda: (put('link', 'through'), open('f').read()))
said('not through a link', lambda: put('link', flags=W | os.O_NOFOLLOW))
said('make through a link', lambda: (put('dangling'), os.path.exists('made-by-link')))
said('exclusive at a link', lambda: put('dangling', flags=C | W | E))
said('loop', lambda: put('loop'))
said('below a link', lambda: (put('to-directory/x'), os.listdir('sticky')))
said('absolute link', lambda: (put('absolute'), sorted(os.listdir('sticky'))))
said('link to a directory, slash', lambda: put('to-directory/'))
said('mkdir again', lambda: os.mkdir('sticky'))
said('mkdir with slashes', lambda: os.mkdir('slashes//'))
said('mkdir .', lambda: os.mkdir('.'))
said('mkdir at a link', lambda: os.mkdir('to-directory'))
said('rmdir .', lambda: os.rmdir('.'))
said('rmdir full', lambda: os.rmdir('sticky'))
said('rmdir a file', lambda: os.rmdir('f'))
said('rmdir absent', lambda: os.rmdir('absent'))
said('remove a directory', lambda: os.remove('slashes'))
said('remove absent', lambda: os.remove('absent'))
said('remove with a slash', lambda: os.remove('f/'))
said('rmdir', lambda: os.rmdir('slashes/'))
said('rename', lambda: (os.rename('f', 'g'), os.path.exists('f')))
said('rename absent', lambda: os.rename('f', 'h'))
said('rename onto a directory', lambda: os.rename('g', 'sticky'))
said('rename into itself', lambda: os.rename('sticky', 'sticky/in'))
said('rename .', lambda: os.rename('.', 'x'))
said('not replacing', lambda: call(316, HERE, b'g', HERE, b'u22', 1))
said('exchange', lambda: (call(316, HERE, b'g', HERE, b'u22', 2), open('u22').read()))
said('link', lambda: (os.link('u22', 'second'), os.stat('u22').st_nlink))
said('link to a link', lambda: (os.link('link', 'link2', follow_symlinks=False), os.readlink('link2')))
said('link again', lambda: os.link('u22', 'second'))
said('link a directory', lambda: os.link('sticky', 'sticky2'))
said('symlink again', lambda: os.symlink('x', 'link'))
nameless = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o640)
os.write(nameless, b'nameless')
said('nameless', lambda: (call(265, HERE, b'/proc/self/fd/%d' % nameless, HERE, b'named', 0x400), open('named').read(), mode('named')))
said('of a descriptor', lambda: (os.write(os.open('/dev/fd/%d' % os.open('named', os.O_RDONLY), W), b'N'), open('named').read()))
os.remove('absolute')
here = os.open('.', os.O_RDONLY)
os.symlink(os.path.abspath('linked'), '/tmp/standin-test-%d' % os.getpid())
said('from elsewhere', lambda: (put('/tmp/standin-test-%d' % os.getpid()), open('linked').read()))
os.remove('/tmp/standin-test-%d' % os.getpid())
said('below a descriptor', lambda: (os.mkdir('/proc/self/fd/%d/d' % here), put('/dev/fd/%d/d/f' % here), put('/proc/self/cwd/d/g'), sorted(os.listdir('d'))))
said('below a root', lambda: put('/proc/self/root' + os.getcwd() + '/d/h'))
said('deleted', lambda: (os.mkdir('gone'), os.chdir('gone'), os.rmdir('../gone'), put('x')))";

#[test]
fn calls_end_as_they_do_outside() {
    let said = check(CALLS);
    assert!(said.contains("exclusive EEXIST\nabsent ENOENT\n"), "{said}");
}

#[test]
fn fifos_wait_for_their_other_end() {
    // More than one at a time, and more than there are threads that answer.
    let said = check(
        "import os, threading
names = ['fifo%d' % number for number in range(12)]
[os.mkfifo(name) for name in names]
heard = []
def listen(name):
    with open(name) as fifo:
        heard.append(fifo.read())
threads = [threading.Thread(target=listen, args=(name,)) for name in names]
[thread.start() for thread in threads]
def speak(name):
    with open(name, 'w') as fifo:
        fifo.write(name)
[speak(name) for name in names]
[thread.join() for thread in threads]
print(sorted(heard) == sorted(names))
try:
    os.open(names[0], os.O_WRONLY | os.O_NONBLOCK)
except OSError as error:
    print(error.strerror)
waiting = [threading.Thread(target=speak, args=(name,)) for name in names]
[thread.start() for thread in waiting]
print([open(name).read() == name for name in names].count(True))
[thread.join() for thread in waiting]
[os.remove(name) for name in names]",
    );
    assert_eq!(said, "True\nNo such device or address\n12\n");
}

#[test]
fn many_at_once_and_some_killed() {
    let said = check(
        "import os, signal, subprocess, threading
def work(number):
    for turn in range(100):
        name = 'd%d/f%d' % (number, turn % 7)
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, 'w') as file:
            file.write(name)
        os.rename(name, name + '-')
        os.remove(name + '-')
    os.rmdir('d%d' % number)
threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
[thread.start() for thread in threads]
busy = 'while : ; do : > killed; mv killed killed2; rm killed2; done'
for _ in range(10):
    child = subprocess.Popen(['sh', '-c', busy], stderr=subprocess.DEVNULL, start_new_session=True)
    subprocess.run(['sh', '-c', ': > one; rm one'])
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
[thread.join() for thread in threads]
[os.remove(name) for name in ('killed', 'killed2') if os.path.exists(name)]
print(os.listdir('.'))",
    );
    assert_eq!(said, "[]\n");
}

#[test]
fn parents_that_others_make_meanwhile() {
    // Seen with an agent: a directory is missing when the broker looks, and there when the kernel would.
    let said = check(
        "import errno, os, threading
other = set()
def make(turn, name):
    try:
        os.mkdir('a%d/%s' % (turn, name))
    except OSError as error:
        other.add(error.errno)
for turn in range(300):
    threads = [threading.Thread(target=make, args=(turn, name)) for name in 'bcd']
    [thread.start() for thread in threads]
    os.mkdir('a%d' % turn)
    [thread.join() for thread in threads]
print(other - {errno.ENOENT})
import shutil
[shutil.rmtree(name) for name in os.listdir('.')]",
    );
    assert_eq!(said, "set()\n");
}

#[test]
fn what_was_just_written_runs() {
    // Nobody else has it open for writing any more (ETXTBSY).
    let said = check(
        "import os
for turn in range(500):
    fd = os.open('run', os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o755)
    os.sendfile(fd, os.open('/bin/true', os.O_RDONLY), 0, 1 << 20)
    os.close(fd)
    assert os.spawnv(os.P_WAIT, './run', ['run']) == 0, turn
    os.closerange(3, 100)
os.remove('run')",
    );
    assert_eq!(said, "");
}

#[test]
fn interrupted_calls_are_done_once() {
    // Go and others send themselves signals all the time. (Without SA_RESTART, a call that waits to be taken on is
    // interrupted, as no such call is outside; SPECIFICATION.md says so.)
    let said = check(
        "import os, signal
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
for number in range(2000):
    os.mkdir('d')
    os.rename('d', 'e')
    os.close(os.open('e/f', os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.remove('e/f')
    os.rmdir('e')
signal.setitimer(signal.ITIMER_REAL, 0)
print(os.listdir('.'))",
    );
    assert_eq!(said, "[]\n");
}

#[test]
fn processes_that_cannot_be_traced_write_too() {
    let said = check(
        "import ctypes, os
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
os.mkdir('d')
os.chdir('d')
open('f', 'w').write('x')
os.open('g', os.O_CREAT | os.O_WRONLY, dir_fd=os.open('.', os.O_RDONLY))
print(sorted(os.listdir('.')))",
    );
    assert_eq!(said, "['f', 'g']\n");
}

#[test]
fn a_home_around_the_workspace_is_private_and_works() {
    let caller = Caller::new();
    let workspace = caller.path("home").join("code/app");
    std::fs::create_dir_all(&workspace).unwrap();
    let script = "import os, sqlite3, tempfile
home = os.environ['HOME']
os.chdir(home)
open('.bashrc', 'w').write('mine')
os.makedirs('.cache/x')
os.rename('.cache/x', '.cache/y')
os.symlink('../code/app/linked', '.cache/link')
open('.cache/link', 'w').write('through the home')
sqlite3.connect('.cache/db').execute('create table t (x)')
os.link('.bashrc', 'second')
for source, target in (('code', 'moved'), ('code/app', 'moved'), ('.cache', 'code/app/cache'), ('.bashrc', 'code/app/.bashrc')):
    try:
        os.rename(source, target)
        print('moved', source)
    except OSError as error:
        print(error.strerror)
for path in ('code/app/.git', '../home/code/./app/.git'):
    os.makedirs(path, exist_ok=True)
    try:
        open(path + '/config', 'w')
    except OSError as error:
        print(error.strerror)
tempfile.NamedTemporaryFile().write(b'x')
print(sorted(os.listdir('.')), sorted(os.listdir('.cache')))";
    let mut standin = caller.standin(&["/usr/bin/python3", "-c", script]);
    let output = standin.current_dir(&workspace).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "Device or resource busy\nDevice or resource busy\nInvalid cross-device link\nPermission denied\n\
         Permission denied\nPermission denied\n['.bashrc', '.cache', 'code', 'second'] ['db', 'link', 'y']\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(std::fs::read(workspace.join("linked")).unwrap(), b"through the home");
    assert_eq!(std::fs::read_dir(caller.path("home")).unwrap().count(), 1);
}

#[test]
fn what_is_shown_writable_is_guarded_too() {
    let caller = Caller::new();
    let (more, file) = (caller.path("more"), caller.path("file"));
    std::fs::create_dir_all(&more).unwrap();
    std::fs::write(&file, "").unwrap();
    let script = format!(
        "echo x > {0}/ordinary; echo x > {0}/.envrc; echo x > {1}; rm {1}; cat {0}/ordinary {1}",
        more.display(),
        file.display()
    );
    let mut standin = caller.program(standin_e2e::binary("standin"));
    standin.args(["run", "--rw"]).arg(&more).arg("--rw").arg(&file).args(["--", "/bin/sh", "-c", &script]);
    let output = standin.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "x\nx\n", "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!more.join(".envrc").exists());
}
