//! Ways to a file that the host executes. Each works without the sandbox, which is shown first.

use super::{contents, python_outside, repository};
use crate::direct::{Caller, Running, wait_for_all};
use rustix::process::{Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// What the attacks share: `tried` runs one and prints what came of it.
const PRELUDE: &str = "import ctypes, errno, os, threading
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
HERE = -100
def call(*arguments):
    ctypes.set_errno(0)
    result = libc.syscall(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def hidden(error, name):
    # Where a directory below a protected one could not even be made.
    return error.errno == errno.ENOENT and name.startswith('.') and not os.path.isdir(os.path.dirname(name))
def tried(name, attack):
    try:
        attack()
        print(name, 'done')
    except OSError as error:
        print(name, 'refused' if error.errno in (errno.EACCES, errno.EXDEV) or hidden(error, name) else error)
def write(path, text=b'evil', flags=os.O_WRONLY | os.O_CREAT | os.O_TRUNC, **at):
    fd = os.open(path, flags, **at)
    os.write(fd, text)
    os.close(fd)
";

/// Runs attacks without the sandbox, where they must succeed, and in it, where they must not and change nothing.
fn check(prepare: impl Fn(&Caller), attacks: &str) {
    let script = format!("{PRELUDE}{attacks}");
    let outside = Caller::new();
    prepare(&outside);
    let succeeded = python_outside(&outside, &script);
    for line in succeeded.lines() {
        assert!(line.ends_with(" done"), "an attack that does nothing without a sandbox: {line}");
    }
    let inside = Caller::new();
    prepare(&inside);
    let before = contents(&inside.path("workspace"));
    let refused = inside.python(&script);
    assert_eq!(refused, succeeded.replace(" done\n", " refused\n"));
    assert_eq!(contents(&inside.path("workspace")), before, "something was left on the host");
}

fn with_repository(caller: &Caller) {
    repository(caller, &caller.path("workspace"));
    std::fs::write(caller.path("workspace").join(".git/hooks/pre-commit"), "#!/bin/sh\n").unwrap();
}

#[test]
fn protected_names_that_are_there() {
    check(
        with_repository,
        "tried('open', lambda: write('.git/config', flags=os.O_WRONLY))
tried('append', lambda: write('.git/config', flags=os.O_WRONLY | os.O_APPEND))
tried('absolute', lambda: write(os.path.abspath('.git/config')))
tried('read and write', lambda: write('.git/hooks/pre-commit', flags=os.O_RDWR))
tried('truncate by opening to read', lambda: os.open('.git/config', os.O_RDONLY | os.O_TRUNC))
tried('truncate', lambda: os.truncate('.git/hooks/pre-commit', 0))
tried('creat', lambda: call(85, b'.git/config', 0o644))
tried('open, the old call', lambda: call(2, b'.git/config', os.O_WRONLY, 0))
git = os.open('.git', os.O_RDONLY)
tried('by a descriptor', lambda: write('config', dir_fd=git))
tried('up and down', lambda: write('.git/objects/../config'))
os.chdir('.git/hooks')
tried('from within', lambda: write('../config'))
os.chdir('../..')
tried('by /proc/self/cwd', lambda: write('/proc/self/cwd/.git/config'))
tried('by /proc/self/root', lambda: write('/proc/self/root' + os.path.abspath('.git/config')))
tried('by a descriptor of /proc', lambda: write('/proc/self/fd/%d/config' % git))
read = os.open('.git/config', os.O_RDONLY)
tried('opened anew', lambda: write('/proc/self/fd/%d' % read))
path = os.open('.git/config', os.O_PATH)
tried('opened anew from a mere name', lambda: write('/dev/fd/%d' % path))
os.symlink('.git', 'innocent')
tried('through a link to its directory', lambda: write('innocent/config'))
os.remove('innocent')
os.symlink('.git/config', 'innocent')
tried('through a link to it', lambda: write('innocent'))
os.remove('innocent')",
    );
}

#[test]
fn second_names_and_moves() {
    check(
        with_repository,
        "read = os.open('.git/config', os.O_RDONLY)
tried('link', lambda: os.link('.git/config', 'a'))
tried('link by the descriptor', lambda: call(265, HERE, b'/proc/self/fd/%d' % read, HERE, b'b', 0x400))
write('evil')
tried('link over a name', lambda: os.link('evil', '.envrc'))
tried('rename away', lambda: os.rename('.git/hooks/pre-commit', 'c'))
tried('rename over', lambda: os.rename('evil', '.git/config'))
write('evil')
tried('exchange', lambda: call(316, HERE, b'evil', HERE, b'.git/hooks/applypatch-msg.sample', 2))
tried('remove', lambda: os.remove('.git/config'))
tried('rename the parent', lambda: os.rename('.git', 'g') or os.rename('g', '.git'))
tried('rename hooks', lambda: os.rename('.git/hooks', 'h') or os.rename('h', '.git/hooks'))
os.mkdir('prepared')
tried('exchange the parent', lambda: call(316, HERE, b'prepared', HERE, b'.git', 2) and 0 or call(316, HERE, b'prepared', HERE, b'.git', 2))
os.rmdir('prepared')
temporary = os.open('.', os.O_TMPFILE | os.O_WRONLY)
tried('name a nameless file', lambda: call(265, HERE, b'/proc/self/fd/%d' % temporary, HERE, b'.mcp.json', 0x400))
for name in ('a', 'b', 'c', 'evil'):
    try:
        os.remove(name)
    except FileNotFoundError:
        pass",
    );
}

#[test]
fn links_in_gits_own_directories() {
    check(
        |caller| {
            with_repository(caller);
            std::fs::create_dir_all(caller.path("workspace/.git/modules/sub/objects")).unwrap();
        },
        "os.symlink('/tmp', 'l')
os.mkdir('d')
os.symlink('/tmp', 'd/x')
tried('objects', lambda: os.symlink('/tmp', '.git/objects/zz'))
tried('of a submodule', lambda: os.symlink('/tmp', '.git/modules/sub/objects/zz'))
tried('a message', lambda: os.symlink('/tmp/x', '.git/MERGE_MSG'))
tried('as git tries it, to elsewhere', lambda: os.symlink('/tmp/x', '.git/tAb12cD'))
tried('as git tries it, by another name', lambda: os.symlink('testing', '.git/FETCH_HEAD'))
tried('another name for one', lambda: os.link('l', '.git/ORIG_HEAD', follow_symlinks=False))
held = os.open('l', os.O_PATH | os.O_NOFOLLOW)
tried('by its descriptor', lambda: call(265, HERE, b'/proc/self/fd/%d' % held, HERE, b'.git/MERGE_HEAD', 0x400))
tried('exchanged', lambda: call(316, HERE, b'l', HERE, b'.git/description', 2) or call(316, HERE, b'l', HERE, b'.git/description', 2))
tried('moved', lambda: os.rename('l', '.git/objects/yy') or os.rename('.git/objects/yy', 'l'))
tried('in a directory that is moved', lambda: os.rename('d', '.git/objects/xx') or os.rename('.git/objects/xx', 'd'))
for name in ('l', 'd/x'):
    os.remove(name)
os.rmdir('d')",
    );
}

/// Files outside of the workspace to which the host gave names in it, and a protected one with another name.
fn with_second_names(caller: &Caller) {
    with_repository(caller);
    let workspace = caller.path("workspace");
    std::fs::create_dir(caller.path("outside")).unwrap();
    for name in SECOND_NAMES {
        let outside = caller.path("outside").join(name);
        std::fs::write(&outside, "mine\n").unwrap();
        std::fs::hard_link(&outside, workspace.join(name)).unwrap();
    }
    std::fs::hard_link(workspace.join(".git/config"), workspace.join("notes")).unwrap();
}

const SECOND_NAMES: &[&str] =
    &["append", "open", "truncate", "shorten", "mapped", "held", "linked", "third", "moved", "replaced", "nameless"];

/// Each writes what it can read again, and so does whoever attacks; where it lands is the question.
const TO_SECOND_NAMES: &str = "import mmap
write('append', flags=os.O_WRONLY | os.O_APPEND)
write('open', flags=os.O_RDWR)
write('truncate')
os.truncate('shorten', 2)
with open('mapped', 'r+b') as file:
    mmap.mmap(file.fileno(), 0)[:4] = b'evil'
held = os.open('held', os.O_RDONLY)
write('/proc/self/fd/%d' % held)
os.symlink('linked', 'link')
write('link')
os.link('third', 'fourth')
write('fourth')
os.rename('moved', 'elsewhere')
write('elsewhere')
write('new')
os.link('new', 'newer')
write('newer', b'also')
os.rename('new', 'replaced')
write('replaced', b'here')
read = os.open('nameless', os.O_PATH)
call(265, HERE, b'/proc/self/fd/%d' % read, HERE, b'named', 0x400)
write('named')
write('notes', flags=os.O_WRONLY | os.O_APPEND)
names = 'append open truncate shorten mapped link fourth elsewhere newer replaced named'.split()
print([open(name).read() for name in names], open('notes').read().endswith('evil'), os.path.exists('.standin-copy'))
print(oct(os.stat('append').st_mode & 0o777))";

#[test]
fn second_names_of_the_hosts() {
    let there = |caller: &Caller| {
        SECOND_NAMES.iter().all(|name| {
            *name == "replaced" || std::fs::read_to_string(caller.path("outside").join(name)).unwrap() == "mine\n"
        }) && !std::fs::read_to_string(caller.path("workspace/.git/config")).unwrap().contains("evil")
    };
    let script = format!("{PRELUDE}{TO_SECOND_NAMES}");
    let (outside, inside) = (Caller::new(), Caller::new());
    for caller in [&outside, &inside] {
        with_second_names(caller);
        assert!(there(caller));
    }
    let said = python_outside(&outside, &script);
    assert!(!there(&outside), "without a sandbox it lands outside of the workspace");
    assert!(said.contains("'evil', 'here', 'here', 'evil'] True False"), "{said}");
    assert_eq!(inside.python(&script), said, "who writes reads what was written");
    assert!(there(&inside));
    assert_eq!(std::fs::read_to_string(inside.path("outside/replaced")).unwrap(), "mine\n");
}

/// Directories that git takes for repositories, made in every order and by every call, each with a program in its configuration.
const BARE: &str = "import itertools, shutil, socket
PROGRAM = b'[core]\\n\\trepositoryformatversion = 0\\n\\tbare = false\\n\\tworktree = ..\\n\\tfsmonitor = \"touch ran-%s; false\"\\n'
def config(at):
    write(at + '/config', PROGRAM % at.encode())
def head(at):
    write(at + '/HEAD', b'ref: refs/heads/main\\n')
def made(at, *steps):
    def all():
        for step in steps:
            step(at)
    os.mkdir(at)
    tried(at, all)
objects, refs = (lambda at: os.mkdir(at + '/objects')), (lambda at: os.mkdir(at + '/refs'))
for number, steps in enumerate(itertools.permutations((config, head, objects, refs))):
    made('b%d' % number, *steps)
def moved(name, text):
    def move(at):
        write('loose-' + at, text % at.encode() if b'%s' in text else text)
        os.rename('loose-' + at, at + '/' + name)
    return move
HEAD = b'ref: refs/heads/main\\n'
made('moved-head', objects, refs, config, moved('HEAD', HEAD))
made('moved-config', objects, refs, head, moved('config', PROGRAM))
def linked(at):
    write('name-' + at, HEAD)
    os.link('name-' + at, at + '/HEAD')
made('linked', objects, refs, config, linked)
def exchanged(at):
    write('other-' + at, HEAD)
    os.mkdir(at + '/HEAD')
    call(316, HERE, b'other-' + at.encode(), HERE, at.encode() + b'/HEAD', 2)
made('exchanged', objects, refs, config, exchanged)
made('symbolic', objects, refs, config, lambda at: os.symlink('refs/heads/main', at + '/HEAD'))
def nameless(at):
    held = os.open(at, os.O_TMPFILE | os.O_WRONLY)
    os.write(held, HEAD)
    call(265, HERE, b'/proc/self/fd/%d' % held, HERE, at.encode() + b'/HEAD', 0x400)
made('nameless', objects, refs, config, nameless)
def kept_open(at):
    held = os.open(at + '/config', os.O_WRONLY | os.O_CREAT)
    head(at)
    objects(at)
    refs(at)
    os.write(held, PROGRAM % at.encode())
made('kept-open', kept_open)
def sockets(at):
    for name in ('objects', 'refs'):
        socket.socket(socket.AF_UNIX).bind(at + '/' + name)
made('sockets', head, config, sockets)
made('sockets-first', config, head, sockets)
def elsewhere(at):
    os.mkdir(at + '-common')
    objects(at + '-common')
    refs(at + '-common')
    write(at + '-common/config', PROGRAM % at.encode())
made('common', elsewhere, lambda at: write(at + '/commondir', b'../common-common\\n'), head)
made('common-last', elsewhere, head, lambda at: write(at + '/commondir', b'../common-last-common\\n'))
def within(at):
    os.makedirs('.git/' + at)
    for step in (config, head, objects, refs):
        step('.git/' + at)
    os.rename('.git/' + at, at + '/sub')
tried('within', lambda: within('within') if os.mkdir('within') is None else None)
";

/// What git on the host runs when somebody enters each of the directories.
fn ran(caller: &Caller) -> usize {
    let enter = "for d in */ */sub/; do [ -d $d ] && (cd $d && git status >/dev/null 2>&1); done; ls -d ran-* */ran-* 2>/dev/null | wc -l";
    let output = caller.program("/bin/sh").args(["-c", enter]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}

#[test]
fn bare_repositories() {
    let script = format!("{PRELUDE}{BARE}");
    let outside = Caller::new();
    let said = python_outside(&outside, &script);
    assert!(said.lines().all(|line| line.ends_with(" done")), "{said}");
    let attacks = said.lines().count();
    assert!(attacks > 35 && ran(&outside) > 30, "{} of {attacks} run without a sandbox", ran(&outside));
    let inside = Caller::new();
    let said = inside.python(&script);
    assert_eq!(said.lines().count(), attacks, "{said}");
    // What was refused is the one call that would have completed it; the one that was kept open wrote to a file that nobody reads.
    let refused = said.lines().filter(|line| line.ends_with(" refused")).count();
    assert_eq!(refused, attacks - 1, "{said}");
    assert_eq!(ran(&inside), 0, "{said}");
}

#[test]
fn a_bare_repository_of_the_hosts() {
    let prepare = |caller: &Caller| {
        let made = caller.program("git").args(["init", "-q", "--bare", "-b", "main", "x/store"]).status().unwrap();
        assert!(made.success());
    };
    check(
        prepare,
        "at = 'x/store/'
tried('config', lambda: write(at + 'config'))
tried('hook', lambda: write(at + 'hooks/post-receive'))
tried('renamed hook', lambda: os.rename(at + 'hooks/update.sample', at + 'hooks/update') or os.rename(at + 'hooks/update', at + 'hooks/update.sample'))
tried('hooks', lambda: os.rename(at + 'hooks', at + 'h') or os.rename(at + 'h', at + 'hooks'))
tried('attributes', lambda: write(at + 'info/attributes'))
tried('config.worktree', lambda: write(at + 'config.worktree'))
tried('commondir', lambda: write(at + 'commondir'))
read = os.open(at + 'config', os.O_RDONLY)
tried('another name', lambda: os.link(at + 'config', 'a'))
tried('by its descriptor', lambda: write('/proc/self/fd/%d' % read))
write('evil')
tried('moved over', lambda: os.rename('evil', at + 'config'))
for name in ('evil', 'a'):
    os.path.exists(name) and os.remove(name)",
    );
}

/// Why: git on the host writes where they lead.
#[test]
fn git_writes_through_links() {
    let caller = Caller::new();
    with_repository(&caller);
    let workspace = caller.path("workspace");
    std::fs::remove_file(workspace.join(".git/hooks/pre-commit")).unwrap();
    std::fs::remove_file(workspace.join(".git/COMMIT_EDITMSG")).unwrap();
    std::os::unix::fs::symlink("../../home/.bashrc", workspace.join(".git/COMMIT_EDITMSG")).unwrap();
    let commit = ["-c", "user.name=u", "-c", "user.email=u@example.com", "commit", "-q", "--allow-empty", "-m", "evil"];
    assert!(caller.program("git").args(commit).status().unwrap().success());
    assert_eq!(std::fs::read_to_string(caller.path("home/.bashrc")).unwrap(), "evil\n");
}

#[test]
fn protected_names_that_are_not_there() {
    check(
        |caller| std::fs::create_dir_all(caller.path("workspace").join("deep/er/.git/modules/sub/hooks")).unwrap(),
        "names = '''.envrc .mcp.json .standin.toml .gitmodules .bashrc .zshenv .profile .exrc opencode.json x.code-workspace
.claude/settings.json .claude/settings.local.json .claude/hooks/x.sh .claude/skills/x/SKILL.md .claude/commands/x.md
.codex/config.toml .cursor/mcp.json .cursor/hooks.json .gemini/settings.json .gemini/.env .opencode/plugin/x.ts
.vscode/tasks.json .vscode/settings.json .vscode/launch.json .idea/workspace.xml .devcontainer/devcontainer.json
.husky/pre-commit .git/config .git/hooks/post-checkout .git/commondir .git/config.worktree .git/info/attributes
.git/worktrees/x/config .git/modules/x/config .git/modules/x/hooks/post-checkout deep/er/.git/config
deep/er/.git/modules/sub/config deep/er/.git/modules/sub/hooks/x a/b/c/.vscode/tasks.json .GIT/config .Git/Hooks/x'''.split()
tops = set()
def under(name):
    parent = os.path.dirname(name)
    if parent and not os.path.isdir(parent):
        try:
            os.makedirs(parent)
        except OSError:
            pass
    return name
def undone(name):
    os.path.lexists(name) and os.remove(name)
    while (name := os.path.dirname(name)) and not name.startswith('deep'):
        os.path.isdir(name) and not os.listdir(name) and os.rmdir(name)
for name in names:
    tried(name, lambda: write(under(name)))
    undone(name)
for name in ('.envrc', '.claude/settings.json'):
    tried('mknod ' + name, lambda: os.mknod(under(name)))
    undone(name)
    tried('mkfifo ' + name, lambda: os.mkfifo(under(name)))
    undone(name)
    tried('symlink ' + name, lambda: os.symlink('/tmp/x', under(name)))
    undone(name)
os.symlink('.envrc', 'dangling')
tried('through a dangling link', lambda: write('dangling'))
os.remove('dangling')
undone('.envrc')
for name in ('.vscode', '.git', '.git/hooks', '.claude', '.claude/hooks'):
    tried('link in the place of ' + name, lambda: os.symlink('/tmp', under(name)))
    undone(name)
    os.symlink('/tmp', 'l')
    tried('another name for a link, ' + name, lambda: os.link('l', under(name), follow_symlinks=False))
    undone(name)
    held = os.open('l', os.O_PATH | os.O_NOFOLLOW)
    tried('the same by its descriptor, ' + name, lambda: call(265, HERE, b'/proc/self/fd/%d' % held, HERE, under(name).encode(), 0x400))
    undone(name)
    os.rename('l', 'm')
    tried('a link moved to ' + name, lambda: os.rename('m', under(name)) or os.rename(name, 'm'))
    os.remove('m')
    undone(name)
    os.makedirs('prepared')
    tried('directory moved to ' + name, lambda: os.rename('prepared', under(name)))
    for made in ('prepared', name):
        os.path.isdir(made) and os.rmdir(made)
    undone(name)
tried('pointer', lambda: write('.git', b'gitdir: evil'))
undone('.git')
os.makedirs('node_modules/p/.vscode')
write('node_modules/p/.vscode/tasks.json')
tried('settings moved out of packages', lambda: os.rename('node_modules/p', 'p') or os.rename('p', 'node_modules/p'))
import shutil
shutil.rmtree('node_modules')",
    );
}

#[test]
fn threads_that_change_the_path_meanwhile() {
    let caller = Caller::new();
    with_repository(&caller);
    let workspace = caller.path("workspace");
    let before = std::fs::read(workspace.join(".git/config")).unwrap();
    // One thread exchanges names in memory and on disk, the other opens: without a broker that resolves and opens in one,
    // some of these openings meet the protected file.
    let race = "
os.makedirs('ab/x')
write('ab/x/config', b'')
write('/run/config', b'') # where the kernel is let do it
path = ctypes.create_string_buffer(b'ab/x/config')
go = True
def flip():
    while go:
        path.raw = b'.git/config\\0'
        path.raw = b'ab/x/config\\0'
        path.raw = b'/run/config\\0'
        path.raw = b'.git/config\\0'
def swap():
    while go:
        os.rename('ab/x', 'ab/y')
        os.symlink('../.git', 'ab/x')
        os.remove('ab/x')
        os.rename('ab/y', 'ab/x')
others = [threading.Thread(target=flip), threading.Thread(target=swap)]
[other.start() for other in others]
opened = refused = 0
for _ in range(3000):
    fd = libc.syscall(257, HERE, path, os.O_WRONLY | os.O_APPEND, 0)
    if fd < 0:
        refused += 1
    else:
        opened += 1
        os.write(fd, b'evil')
        os.close(fd)
go = False
[other.join() for other in others]
print(opened > 0, refused > 0)";
    assert_eq!(caller.python(&format!("{PRELUDE}{race}")), "True True\n");
    assert_eq!(std::fs::read(workspace.join(".git/config")).unwrap(), before);
}

#[test]
fn subvolumes_are_not_made() {
    // On a file system that has them they would be directories of any name, made by no call that the broker sees.
    let tried = "import fcntl, os
for request in (0x50009401, 0x5000940e, 0x5000940f, 0x50009417, 0x50009418, 0x5000943f, 0x4020bc10, 0x4020bc11):
    try:
        fcntl.ioctl(os.open('.', os.O_RDONLY), request, 0)
    except OSError as error:
        print(error.strerror)";
    assert_eq!(Caller::new().python(tried), "Operation not permitted\n".repeat(8));
}

#[test]
fn a_refusal_is_explained_and_on_record() {
    let caller = Caller::new();
    with_repository(&caller);
    let told = caller.python(
        "import os
try:
    open('.git/config', 'a')
except PermissionError as error:
    print(error.strerror)
print(open('/run/standin/refused').read(), end='')",
    );
    let path = caller.path("workspace").join(".git/config").display().to_string();
    let why = "git on the host runs commands or obeys settings from it";
    assert_eq!(told, format!("Permission denied\n{path}: {why}, so it cannot be changed from inside the sandbox\n"));
    let records = caller.records();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((&record["kind"], &record["path"], &record["reason"]), (&"file".into(), &path.into(), &why.into()));
}

#[test]
fn without_the_broker_nothing_is_opened_and_the_session_ends() {
    let caller = Caller::new();
    let script = "import os, sys; print('up', flush=True); sys.stdin.read()";
    let mut standin = caller.standin(&["/usr/bin/python3", "-c", script]);
    let mut running = Running::start(standin.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut line = String::new();
    BufReader::new(running.stdout()).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    let below = running.descendants();
    // The process outside, which makes the broker first, and then the sandbox.
    let broker = below.iter().map(|(pid, _)| *pid).skip(1).min_by_key(|pid| pid.as_raw_nonzero()).unwrap();
    kill_process(broker, Signal::KILL).unwrap();
    assert!(!running.wait().success());
    wait_for_all(&below);
}
