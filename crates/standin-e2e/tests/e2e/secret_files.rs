//! Files that hold secrets: stand-ins inside, by whatever way they are read; the real values with their services only.

use crate::direct::{Caller, Running, Text};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use standin_e2e::{ANTHROPIC_KEY, ECHO_KEY, Rig, binary};
use std::fs::{create_dir_all, hard_link, read_to_string, write};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

/// The secret of these tests.
pub const SECRET: &str = "sk_live_Canary0123456789abcdefAB";

fn workspace_with_secret() -> Caller {
    let caller = Caller::new();
    let workspace = caller.path("workspace");
    create_dir_all(workspace.join("deep/er")).unwrap();
    write(workspace.join(".env"), format!("# app\nPORT=3000\nSTRIPE_KEY={SECRET} # billing\n")).unwrap();
    hard_link(workspace.join(".env"), workspace.join("deep/er/notes")).unwrap();
    symlink("../.env", workspace.join("deep/link")).unwrap();
    caller
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs it; what it printed, and what Standin said.
fn outcome(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// `standin run FLAGS -- sh -c SCRIPT`
pub fn run(caller: &Caller, flags: &[&str], script: &str) -> (String, String) {
    let mut standin = caller.program(binary("standin"));
    outcome(standin.arg("run").args(flags).args(["--", "/bin/sh", "-c", script]))
}

/// Ways to the contents of `.env`. Each prints its name and what it read, or the error.
const WAYS: &str = r"
import ctypes, mmap, os, shutil
libc = ctypes.CDLL(None, use_errno=True)
def read(fd):
    data = os.pread(fd, 1000, 0)
    os.close(fd)
    return data
def mapped():
    fd = os.open('.env', os.O_RDONLY)
    return bytes(mmap.mmap(fd, 0, prot=mmap.PROT_READ))
def anew():
    path = os.open('.env', os.O_PATH)
    return read(os.open('/proc/self/fd/%d' % path, os.O_RDONLY))
def linked():
    os.link('.env', 'second')
    return read(os.open('second', os.O_RDONLY))
def linked_by_descriptor():
    path = os.open('.env', os.O_PATH)
    if libc.linkat(-100, b'/proc/self/fd/%d' % path, -100, b'third', 0x400):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return read(os.open('third', os.O_RDONLY))
def moved():
    os.rename('.env', 'moved')
    try:
        return read(os.open('moved', os.O_RDONLY))
    finally:
        os.rename('moved', '.env')
def moved_with_parent():
    os.rename('deep', 'shallow')
    try:
        return read(os.open('shallow/er/notes', os.O_RDONLY))
    finally:
        os.rename('shallow', 'deep')
def copied():
    shutil.copy('.env', 'copy')
    return open('copy', 'rb').read()
def sent():
    fd, out = os.open('.env', os.O_RDONLY), os.open('sent', os.O_RDWR | os.O_CREAT)
    os.sendfile(out, fd, 0, 1000)
    return read(out)
def cloned():
    fd, out = os.open('.env', os.O_RDONLY), os.open('cloned', os.O_RDWR | os.O_CREAT)
    os.copy_file_range(fd, out, 1000)
    return read(out)
def removed():
    os.remove('.env')
    return b'gone'
def replaced():
    open('new', 'w').close()
    os.rename('new', '.env')
    return b'replaced'
directory = os.open('.', os.O_RDONLY)
deep = os.open('deep', os.O_PATH)
here = os.getcwd()
for name, way in [
    ('open', lambda: read(os.open('.env', os.O_RDONLY))),
    ('mmap', mapped),
    ('by a directory', lambda: read(os.open('.env', os.O_RDONLY, dir_fd=directory))),
    ('by another', lambda: read(os.open('../.env', os.O_RDONLY, dir_fd=deep))),
    ('by /proc/self/cwd', lambda: read(os.open('/proc/self/cwd/.env', os.O_RDONLY))),
    ('by /proc/self/root', lambda: read(os.open('/proc/self/root' + here + '/.env', os.O_RDONLY))),
    ('opened anew', anew),
    ('a symbolic link', lambda: read(os.open('deep/link', os.O_RDONLY))),
    ('a second name', lambda: read(os.open('deep/er/notes', os.O_RDONLY))),
    ('a new second name', linked),
    ('by its descriptor', linked_by_descriptor),
    ('renamed', moved),
    ('its parent renamed', moved_with_parent),
    ('copied', copied),
    ('sent', sent),
    ('cloned', cloned),
    ('removed', removed),
    ('replaced', replaced),
]:
    try:
        print(name + ':', way().decode().replace('\n', ' '))
    except OSError as error:
        print(name + ':', error.strerror)
";

#[test]
fn no_way_leads_to_a_secret() {
    let outside = workspace_with_secret();
    let (seen, said) = outcome(outside.program("/usr/bin/python3").args(["-c", WAYS]));
    let ways = seen.lines().count();
    assert_eq!(ways, 18, "{seen}{said}");
    let leads = |line: &&str| line.contains(SECRET) || line.ends_with("gone") || line.ends_with("replaced");
    let without: Vec<_> = seen.lines().filter(|line| !leads(line)).collect();
    assert!(without.is_empty(), "ways that lead nowhere without a sandbox: {without:?}");
    for flags in [&[][..], &["--cow"]] {
        let inside = workspace_with_secret();
        let workspace = inside.path("workspace");
        let mut standin = inside.program(binary("standin"));
        let (seen, said) = outcome(standin.arg("run").args(flags).args(["--", "/usr/bin/python3", "-c", WAYS]));
        assert_eq!(seen.lines().count(), ways, "{seen}{said}");
        assert!(!seen.contains("Canary") && !said.contains("Canary"), "{seen}{said}");
        for line in seen.lines() {
            let refused = ["busy", "cross-device link"].iter().any(|end| line.ends_with(end));
            let stands_in = line.contains("# app PORT=3000 STRIPE_KEY=sk_live_") && line.ends_with(" # billing ");
            assert!(refused || stands_in, "{line}");
        }
        assert!(seen.contains("removed: Device or resource busy"), "{seen}");
        let kept = format!("# app\nPORT=3000\nSTRIPE_KEY={SECRET} # billing\n");
        assert_eq!(read_to_string(workspace.join(".env")).unwrap(), kept);
        assert_eq!(read_to_string(workspace.join("deep/er/notes")).unwrap(), kept);
        assert!(workspace.join("copy").exists() != flags.contains(&"--cow"), "what was copied holds stand-ins");
    }
}

#[test]
fn changes_are_refused_and_a_copy_has_none() {
    let caller = workspace_with_secret();
    let script = "echo A=1 >> .env; echo B=2 > .env; chmod 777 .env; touch -d yesterday .env; cat .env; ls";
    let (seen, said) = run(&caller, &["--cow"], script);
    assert!(seen.ends_with("# billing\ndeep\n"), "{seen}{said}");
    assert_eq!(said.matches("Read-only file system").count(), 4, "{said}");
    assert!(said.contains("nothing was changed in the workspace's copy"), "{said}");
    // With a change beside it, only that is one.
    run(&caller, &["--cow"], "echo x > other; cp .env example");
    let (diff, _) = outcome(caller.program(binary("standin")).args(["diff", "--stat"]));
    assert!(diff.contains("other") && diff.contains("example") && !diff.contains(".env"), "{diff}");
    let (_, said) = outcome(caller.program(binary("standin")).arg("apply"));
    assert!(!read_to_string(caller.path("workspace/example")).unwrap().contains("Canary"), "{said}");
    assert!(read_to_string(caller.path("workspace/.env")).unwrap().contains(SECRET));
}

#[test]
fn every_kind_of_file() {
    let caller = Caller::new();
    let (home, workspace) = (caller.path("home"), caller.path("workspace"));
    let files = [
        (".npmrc", "registry=https://r.example/\n//r.example/:_authToken=Canary-npm-0123456789\n"),
        (".netrc", "machine r.example login me password Canary-netrc-012345\n"),
        (".pypirc", "[pypi]\nusername = __token__\npassword = Canary-pypi-01234567\n"),
        (".docker/config.json", "{\"auths\": {\"r.example\": {\"auth\": \"bWU6Q2FuYXJ5LWRvY2tlci0wMTIzNDU=\"}}}\n"),
        (".kube/config", "users:\n- name: me\n  user:\n    token: Canary-kube-012345678\n"),
        (".aws/credentials", "[default]\naws_secret_access_key = Canary/aws+0123456789\nregion = eu\n"),
        (".git-credentials", "https://me:Canary-git-012345678@git.example\n"),
        (".git/config", "[remote \"origin\"]\n\turl = https://me:Canary-url-01234567@git.example/a\n"),
        ("a/b/.env.local", "TOKEN=Canary-dotenv-0123456\nNODE_ENV=development\n"),
        ("a/b/.env.example", "TOKEN=put-your-own-here\n"),
        ("node_modules/a/index.js", "token = 'Canary'\n"),
    ];
    for root in [&workspace, &home.join("shown")] {
        for (name, contents) in files {
            create_dir_all(root.join(name).parent().unwrap()).unwrap();
            write(root.join(name), contents).unwrap();
        }
        write(root.join("server.key"), "-----BEGIN PRIVATE KEY-----\nQ2FuYXJ5\n-----END PRIVATE KEY-----\n").unwrap();
        write(root.join("ca.pem"), "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n").unwrap();
        write(root.join("credentials.json"), "{\"token\": \"Canary").unwrap();
        // As managers of passwords offer it: opened, it would be waited for.
        mknodat(CWD, root.join(".env.pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    }
    let shown = home.join("shown").display().to_string();
    let names = files.map(|(name, _)| name).join(" ");
    let script = format!(
        "for d in . {shown}; do cd $d; for f in {names} server.key ca.pem credentials.json .env.pipe; do echo \"== $f\"; cat $f; done; done"
    );
    let (seen, said) = run(&caller, &["--ro", &shown], &script);
    let of =
        |name: &str| seen.split("== ").find(|part| part.starts_with(name)).unwrap().lines().skip(1).collect::<Vec<_>>();
    assert!(!seen.replace("token = 'Canary'", "").contains("Canary"), "{seen}{said}");
    assert!(!seen.contains("Q2FuYXJ5"), "{seen}");
    assert_eq!(of(".npmrc")[0], "registry=https://r.example/");
    assert!(of(".npmrc")[1].starts_with("//r.example/:_authToken="), "{seen}");
    assert!(
        of(".docker/config.json")[0].starts_with("{\"auths\": {\"r.example\": {\"auth\": \"bWU6"),
        "the user is kept: {seen}"
    );
    assert_eq!(of("a/b/.env.local")[1], "NODE_ENV=development");
    assert_eq!(of("a/b/.env.example")[0], "TOKEN=put-your-own-here");
    assert_eq!(of("ca.pem")[1], "QQ==");
    for hidden in ["server.key", "credentials.json", ".env.pipe"] {
        assert!(of(hidden)[0].starts_with("# This file holds secrets"), "{seen}");
        assert!(said.contains(hidden), "{said}");
    }
    assert!(!said.contains("Canary"), "{said}");
}

#[test]
fn an_app_works_with_the_keys_of_its_file() {
    let rig = Rig::new(&["api.anthropic.com", "echo.example"])
        .with(&["--secret", "ECHO=env:ECHO@echo.example", "--allow", "echo.example"])
        .variable("ECHO", ECHO_KEY);
    let outside = tempfile::tempdir().unwrap();
    // The rig looks for keys in the workspace after the run, so the file is elsewhere.
    let file = outside.path().join(".env");
    write(&file, format!("ANTHROPIC_API_KEY='{ANTHROPIC_KEY}'\nOWN_KEY={ECHO_KEY}\nOTHER_KEY={SECRET}\n")).unwrap();
    let path = outside.path().display().to_string();
    let script = format!(
        "set -a; . {path}/.env; set +a
        curl -sS -o /dev/null -w '%{{http_code}} ' -H \"x-api-key: $ANTHROPIC_API_KEY\" https://api.anthropic.com/api/hello
        curl -sS -o /dev/null -w '%{{http_code}} ' -H \"authorization: Bearer $OWN_KEY\" https://echo.example/
        test \"$OWN_KEY\" = \"$ECHO\" && echo one
        curl -sS -i -H \"authorization: Bearer $OTHER_KEY\" https://echo.example/ | grep -i x-standin-reason"
    );
    let outcome = rig.with(&["--ro", &path]).script(&script).succeeded();
    assert!(outcome.stdout.starts_with("200 200 one\n"), "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.contains("credential.wrong_destination"), "{}", outcome.stdout);
    assert!(
        outcome.origin_got("x-api-key", ANTHROPIC_KEY)
            && outcome.origin_got("authorization", &format!("Bearer {ECHO_KEY}"))
    );
    assert!(outcome.stderr.contains("ANTHROPIC_API_KEY is a stand-in inside"), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains(&format!("--secret 'OTHER_KEY=file:{path}/.env#OTHER_KEY@HOST'")),
        "{}",
        outcome.stderr
    );
    assert!(!outcome.stdout.contains(SECRET) && !outcome.stderr.contains(SECRET) && !outcome.log.contains(SECRET));
}

#[test]
fn a_value_of_a_file_is_lent() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join(".env");
    write(&file, format!("OWN_KEY={ECHO_KEY}\nOTHER_KEY={SECRET}\n")).unwrap();
    let path = outside.path().display().to_string();
    let secret = format!("OWN_KEY=file:{path}/.env#OWN_KEY@echo.example");
    let rig = Rig::new(&["echo.example"]).with(&["--ro", &path, "--secret", &secret]);
    let script = format!(
        "own=$OWN_KEY; . {path}/.env; test \"$own\" = \"$OWN_KEY\" && echo one
        curl -sS -o /dev/null -w '%{{http_code}}' -H \"authorization: Bearer $OWN_KEY\" https://echo.example/"
    );
    let outcome = rig.script(&script).succeeded();
    assert_eq!(outcome.stdout, "one\n200", "{}", outcome.stderr);
    assert!(outcome.origin_got("authorization", &format!("Bearer {ECHO_KEY}")));
    assert!(!outcome.stderr.contains("nowhere: OWN") && outcome.stderr.contains("#OTHER_KEY"), "{}", outcome.stderr);
}

#[test]
fn what_is_asked_for_is_shown_or_hidden() {
    let caller = workspace_with_secret();
    let workspace = caller.path("workspace");
    create_dir_all(workspace.join("private/deep")).unwrap();
    write(workspace.join("private/deep/file"), "text").unwrap();
    write(workspace.join("diary"), "text").unwrap();
    let (seen, said) = run(
        &caller,
        &["--show", ".env", "--hide", "private", "--hide", "diary"],
        "cat .env deep/er/notes diary; ls -A private; touch private/x",
    );
    assert_eq!(seen.matches(SECRET).count(), 2, "its second name is the same file: {seen}{said}");
    assert!(seen.contains("# This file holds secrets") && !seen.contains("deep\n"), "{seen}");
    assert!(said.contains("Read-only file system"), "{said}");
    let settings = caller.path("home").join(".config/standin");
    create_dir_all(&settings).unwrap();
    write(settings.join("config.toml"), "[files]\nshow = [\".env\", \"not-there\"]\nhide = [\"diary\"]\n").unwrap();
    let (seen, said) = run(&caller, &[], "cat .env diary");
    assert!(seen.contains(SECRET) && seen.contains("# This file holds secrets"), "{seen}{said}");
}

/// What git keeps of a file is another matter, and the documentation says so.
#[test]
fn a_tracked_file_is_readable_in_the_history() {
    let caller = workspace_with_secret();
    let git = |words: &[&str]| {
        outcome(caller.program("git").args(["-c", "user.name=u", "-c", "user.email=u@example.com"]).args(words))
    };
    git(&["init", "-q", "."]);
    git(&["add", ".env"]);
    git(&["commit", "-qm", "one"]);
    let (seen, said) = run(&caller, &[], "git show HEAD:.env; cat .env; git stash; git status --porcelain");
    assert_eq!(seen.matches(SECRET).count(), 1, "{seen}{said}");
    assert!(read_to_string(caller.path("workspace/.env")).unwrap().contains(SECRET));
}

#[test]
fn the_agent_can_read_why_and_the_session_records_it() {
    let caller = workspace_with_secret();
    let (seen, said) = run(&caller, &[], "echo A=1 >> .env; rm -f .env; mv .env other; cat /run/standin/refused");
    assert!(seen.contains("/.env: it holds secrets and has stand-ins in their places"), "{seen}{said}");
    assert!(said.contains("changes of protected files refused"), "{said}");
}

/// What one session moves or closes, the next one finds.
#[test]
fn nothing_is_put_out_of_sight_for_the_next_session() {
    let caller = workspace_with_secret();
    let workspace = caller.path("workspace");
    std::fs::rename(workspace.join(".env"), workspace.join("deep/er/.env")).unwrap();
    std::fs::remove_file(workspace.join("deep/er/notes")).unwrap();
    create_dir_all(workspace.join("closed")).unwrap();
    create_dir_all(workspace.join(".git")).unwrap();
    write(workspace.join("closed/.env"), format!("A_TOKEN={SECRET}")).unwrap();
    let script = "import os
for target in ['node_modules', '.git/x', 'x']:
    try:
        os.rename('deep', target)
        print('moved')
    except OSError as error:
        print(error.strerror)
os.chmod('closed', 0)
try:
    os.rename('x/er', 'x/.venv')
except OSError as error:
    print(error.strerror)";
    assert_eq!(
        caller.python(script),
        "Invalid cross-device link\nInvalid cross-device link\nmoved\nInvalid cross-device link\n"
    );
    let look = "chmod 755 closed; cat closed/.env x/er/.env";
    let (seen, said) = run(&caller, &[], look);
    assert!(seen.contains("STRIPE_KEY=sk_live_") && !seen.contains(SECRET), "{seen}{said}");
    // Without the sandbox both can be read.
    let (seen, _) = outcome(caller.program("/bin/sh").args(["-c", look]));
    assert_eq!(seen.matches(SECRET).count(), 2);
}

/// Prints what is in each of some files once it is the note of a hidden one, or after a long while whatever it is; then waits
/// for a line, over and over.
const LOOKER: &str = r"
import sys, time
def look(path):
    end = time.monotonic() + 30
    while True:
        try:
            text = open(path).read()
        except OSError as error:
            text = error.strerror
        if 'Standin' in text or time.monotonic() > end:
            return text
print('ready', flush=True)
for line in sys.stdin:
    command, path = line.split()
    if command == 'look':
        print(look(path).split('\n')[0], flush=True)
    elif command == 'cat':
        print(open(path).read().split('\n')[0], flush=True)
    elif command == 'make':
        open(path, 'w').write('A_TOKEN=made-inside\n')
        print('made', flush=True)
";

/// A session that looks at files when it is told to.
struct Session {
    running: Running,
    keyboard: ChildStdin,
    text: Text,
}

impl Session {
    fn start(caller: &Caller, flags: &[&str]) -> Self {
        let mut standin = caller.program(binary("standin"));
        standin.arg("run").args(flags).args(["--", "/usr/bin/python3", "-c", LOOKER]);
        let mut running = Running::start(standin.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()));
        let (keyboard, mut text) = (running.stdin(), Text::from(running.stdout()));
        text.until("ready\n");
        Self { running, keyboard, text }
    }

    fn says(&mut self, command: &str) -> String {
        writeln!(self.keyboard, "{command}").unwrap();
        self.text.until("\n")
    }

    fn end(mut self) {
        drop(self.keyboard);
        self.running.wait();
    }
}

/// What Linux does: a mask goes with the file that another namespace replaces.
#[test]
fn a_mask_alone_goes_with_a_file_that_the_host_replaces() {
    let caller = workspace_with_secret();
    let workspace = caller.path("workspace");
    write(workspace.join("mask"), "masked\n").unwrap();
    let script = "mount --bind mask .env && cat .env && read _ && cat .env";
    let mut alone = caller.program("unshare");
    alone.args(["-Ur", "-m", "/bin/sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = Running::start(&mut alone);
    let (mut keyboard, mut text) = (running.stdin(), Text::from(running.stdout()));
    text.until("masked\n");
    replace(&workspace.join(".env"));
    writeln!(keyboard).unwrap();
    assert!(text.rest().contains(SECRET));
}

/// As editors save.
fn replace(path: &Path) {
    let beside = path.with_file_name("beside");
    write(&beside, format!("NEW_TOKEN={SECRET}\n")).unwrap();
    std::fs::rename(beside, path).unwrap();
}

#[test]
fn what_the_host_makes_or_replaces_is_covered() {
    let caller = workspace_with_secret();
    let workspace = caller.path("workspace");
    let shown = caller.path("home/shown");
    create_dir_all(workspace.join("late")).unwrap();
    create_dir_all(&shown).unwrap();
    write(workspace.join("late/.env.show"), "").unwrap();
    let flags = ["--ro", shown.to_str().unwrap(), "--show", "late/.env.show"];
    let mut session = Session::start(&caller, &flags);
    let hidden = |text: String| assert!(text.starts_with("# This file holds secrets"), "{text}");
    assert!(session.says("cat .env").starts_with("# app"));
    for _ in 0..3 {
        replace(&workspace.join(".env"));
        hidden(session.says("look .env"));
    }
    std::fs::remove_file(workspace.join(".env")).unwrap();
    write(workspace.join(".env"), format!("A_TOKEN={SECRET}")).unwrap();
    hidden(session.says("look .env"));
    // The second name of the file that was masked, and what is new: a file, one in a new directory, one that is moved in.
    replace(&workspace.join("deep/er/notes"));
    hidden(session.says("look deep/er/notes"));
    replace(&workspace.join("late/.env.local"));
    hidden(session.says("look late/.env.local"));
    create_dir_all(workspace.join("new/er")).unwrap();
    replace(&workspace.join("new/er/.npmrc"));
    hidden(session.says("look new/er/.npmrc"));
    create_dir_all(caller.path("state/other")).unwrap();
    replace(&caller.path("state/other/.env"));
    std::fs::rename(caller.path("state/other"), workspace.join("moved")).unwrap();
    hidden(session.says("look moved/.env"));
    replace(&shown.join(".netrc"));
    hidden(session.says(&format!("look {}", shown.join(".netrc").display())));
    // What was to be shown is, and what the session makes itself is its own.
    replace(&workspace.join("late/.env.show"));
    assert!(session.says("cat late/.env.show").contains(SECRET));
    session.says("make late/.env.own");
    replace(&workspace.join("late/.env.again"));
    hidden(session.says("look late/.env.again"));
    assert_eq!(session.says("cat late/.env.own"), "A_TOKEN=made-inside");
    session.end();
    assert!(read_to_string(workspace.join("new/er/.npmrc")).unwrap().contains(SECRET));
    assert!(read_to_string(workspace.join("late/.env.own")).unwrap().contains("made-inside"));
}

#[test]
fn a_copy_keeps_its_masks() {
    let caller = workspace_with_secret();
    let mut session = Session::start(&caller, &["--cow"]);
    assert!(session.says("cat .env").starts_with("# app"));
    replace(&caller.path("workspace/.env"));
    assert!(session.says("cat .env").starts_with("# app"));
    session.end();
}

/// The next session shows what is asked for, knows files by their directory's name, or by a link's: none of it is turned
/// against it.
#[test]
fn what_makes_a_file_known_is_kept() {
    let caller = Caller::new();
    let workspace = caller.path("workspace");
    for directory in [".aws", "config", "tests/fixtures", "a"] {
        create_dir_all(workspace.join(directory)).unwrap();
    }
    write(workspace.join(".aws/credentials"), format!("[default]\naws_secret_access_key = {SECRET}\n")).unwrap();
    write(workspace.join("config/production"), format!("A_TOKEN={SECRET}\n")).unwrap();
    symlink("../current/production", workspace.join("a/.env")).unwrap();
    symlink("config", workspace.join("current")).unwrap();
    let script = "import os
def tried(name, attack):
    try:
        attack()
        print(name, 'done')
    except OSError as error:
        print(name, error.strerror)
tried('directory', lambda: os.rename('.aws', 'aws'))
tried('into what is shown', lambda: os.rename('.aws', 'tests/fixtures/.aws'))
tried('remove the link', lambda: os.remove('a/.env'))
tried('a link on the way', lambda: os.remove('current'))
tried('rename the link', lambda: os.rename('a/.env', 'b'))
open('new', 'w').close()
tried('replace the link', lambda: os.rename('new', 'a/.env'))
tried('what holds the link', lambda: os.rename('a', 'c'))
tried('what holds the file', lambda: os.rename('config', 'c'))
os.rename('tests/fixtures', 'tests/x')
os.symlink('..', 'tests/fixtures')
";
    let mut standin = caller.program(binary("standin"));
    let (seen, said) =
        outcome(standin.args(["run", "--show", "tests/fixtures", "--", "/usr/bin/python3", "-c", script]));
    let ends = ["Invalid cross-device link", "Permission denied"];
    assert_eq!(seen.lines().count(), 8, "{seen}{said}");
    assert!(seen.lines().all(|line| ends.iter().any(|end| line.ends_with(end))), "{seen}{said}");
    let (seen, said) = run(&caller, &["--show", "tests/fixtures"], "true");
    assert!(seen.is_empty() && said.contains("named without links"), "{seen}{said}");
    let look = "cat .aws/credentials config/production a/.env";
    let (seen, said) = run(&caller, &[], look);
    assert!(seen.contains("aws_secret_access_key = ") && !seen.contains(SECRET), "{seen}{said}");
    let (seen, _) = outcome(caller.program("/bin/sh").args(["-c", look]));
    assert_eq!(seen.matches(SECRET).count(), 3, "{seen}");
}
