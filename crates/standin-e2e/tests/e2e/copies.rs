//! Runs on a copy of the workspace, with a real overlay: what is kept, shown, taken over and forgotten.

use crate::direct::{Caller, Running, Text};
use rustix::process::Signal;
use standin_e2e::binary;
use std::fs::{create_dir, create_dir_all, read, write};
use std::path::Path;
use std::process::{Command, Stdio};

impl Caller {
    /// `standin run --cow -- sh -c SCRIPT`
    fn on_a_copy(&self, script: &str) -> Command {
        let mut standin = self.program(binary("standin"));
        standin.args(["run", "--cow", "--", "/bin/sh", "-ec", script]);
        standin
    }

    /// `standin WORDS…`; what it printed.
    fn says(&self, words: &[&str]) -> String {
        let output = self.program(binary("standin")).args(words).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    fn host_git(&self, words: &[&str]) -> String {
        succeeds(self.program("git").args(words)).0
    }

    fn host(&self, path: &str) -> std::path::PathBuf {
        self.path("workspace").join(path)
    }

    /// Names of the sessions whose copies are kept.
    fn kept(&self) -> usize {
        std::fs::read_dir(self.path("state").join("standin/workspaces")).map_or(0, Iterator::count)
    }
}

/// Runs it; what it printed and what was said. It must succeed.
fn succeeds(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    (stdout, stderr)
}

/// Prints every path with its kind, mode, link and contents; the same outside and inside.
const LISTING: &str = r"
find . -path ./.git/index -prune -o -printf '%P %y %m %l\n' | sort
find . -path ./.git/index -prune -o -type f -print0 | sort -z | xargs -0 sha256sum";

const AUTHOR: &str = "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b\n";

/// What agents do: commit, remove, move, check out, install, link.
const WORK: &str = r#"
echo changed >> kept; git mv moved to; git rm -q removed; mv directory renamed; git add renamed
git commit -qam two; git checkout -q -b branch; echo three > three; git add three; git commit -qm three
git checkout -q HEAD~1; git checkout -q branch
mkdir -p node_modules/tool node_modules/.bin; echo '#!/usr/bin/env node' > node_modules/tool/cli.js
chmod +x node_modules/tool/cli.js; ln -s ../tool/cli.js node_modules/.bin/tool
ln node_modules/tool/cli.js hard; : > empty; head -c 100000000 /dev/zero > large
printf x > "$(printf 'new\nline\033[2J')"; printf y > "$(printf '\377\376')"
rm -rf again; mkdir again; echo new > again/new
"#;

fn repository(caller: &Caller) {
    create_dir_all(caller.host("directory/deep")).unwrap();
    create_dir(caller.host("again")).unwrap();
    for path in ["kept", "moved", "removed", "directory/deep/file", "again/old"] {
        write(caller.host(path), format!("{path}\n")).unwrap();
    }
    let author = ["-c", "user.name=a", "-c", "user.email=a@b"];
    caller.host_git(&["init", "-q", "."]);
    caller.host_git(&["add", "-A"]);
    caller.host_git(&[&author[..], &["commit", "-qm", "one"]].concat());
}

#[test]
fn the_workspace_stays_as_it_is_and_becomes_what_the_command_saw() {
    let caller = Caller::new();
    repository(&caller);
    let list = |caller: &Caller| succeeds(caller.program("/bin/sh").args(["-c", LISTING])).0;
    let before = list(&caller);
    let (seen, said) = succeeds(&mut caller.on_a_copy(&format!("{AUTHOR}{WORK}{LISTING}")));
    assert_eq!(list(&caller), before, "nothing is written yet");
    assert!(said.contains("changes in the workspace's copy") && said.contains("standin apply"), "{said}");
    let shown = caller.says(&["diff"]);
    assert!(shown.contains("\n+changed\n") && shown.contains("\\nline\\033[2J"), "{shown}");
    assert!(!shown.contains('\x1b'));
    let said = caller.says(&["apply"]);
    assert!(said.contains("left: node_modules/tool/cli.js: it can be executed now"), "{said}");
    let said = caller.says(&["apply", "--executable"]);
    assert!(!said.contains("left"), "{said}");
    assert_eq!(list(&caller), seen);
    // Before the host's git writes its index anew.
    assert_eq!(caller.says(&["diff"]), "");
    assert_eq!(caller.host_git(&["status", "--porcelain", "--untracked-files=no"]), " D again/old\n");
    assert_eq!(caller.host_git(&["log", "--format=%s", "branch"]), "three\ntwo\none\n");
    caller.host_git(&["fsck", "--strict"]);
    caller.says(&["discard"]);
    assert_eq!(caller.kept(), 0);
}

/// As overlays without privileges have it. It is documented; where it changes, so must that.
#[test]
fn a_directory_of_the_hosts_is_moved_by_copying_only() {
    let caller = Caller::new();
    repository(&caller);
    let script = "git mv directory renamed 2>&1 || true; mv again moved-away; ls";
    let (seen, _) = succeeds(&mut caller.on_a_copy(script));
    assert_eq!(
        seen,
        "fatal: renaming 'directory' failed: Invalid cross-device link\ndirectory\nkept\nmoved\nmoved-away\nremoved\n"
    );
}

#[test]
fn a_difference_is_what_git_applies() {
    let caller = Caller::new();
    repository(&caller);
    succeeds(
        &mut caller.on_a_copy("echo changed >> kept; rm -r directory; mkdir new; echo x > 'new/a b'; chmod +x moved"),
    );
    let patch = caller.path("patch");
    write(&patch, caller.says(&["diff", "--raw"])).unwrap();
    caller.host_git(&["apply", patch.to_str().unwrap()]);
    assert_eq!(
        caller.host_git(&["status", "--porcelain", "-uall"]),
        " D directory/deep/file\n M kept\n M moved\n?? \"new/a b\"\n"
    );
    // What is left are directories, of which git knows nothing.
    assert_eq!(caller.says(&["diff", "--stat"]), "");
}

#[test]
fn nobody_inside_sees_where_the_changes_are_kept() {
    let caller = Caller::new();
    let state = caller.path("state").canonicalize().unwrap();
    let script = "echo x > x; cat /proc/self/mountinfo /proc/mounts; find / -xdev -name session.json -o -xdev -name upper 2>&1; \
                  ls -l /proc/1/fd 2>&1 || true";
    let (seen, said) = succeeds(&mut caller.on_a_copy(script));
    assert!(seen.contains(" overlay overlay rw") && !seen.contains("session.json"), "{seen} {said}");
    assert!(!seen.contains(state.to_str().unwrap()), "{seen}");
    // Nor by asking for it, nor by working there.
    let mut standin = caller.program(binary("standin"));
    let output = standin.args(["run", "--ro"]).arg(&state).args(["--", "/bin/true"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("which the sandbox must not see"));
    let upper =
        std::fs::read_dir(state.join("standin/workspaces")).unwrap().next().unwrap().unwrap().path().join("upper");
    let output = caller.standin(&["/bin/true"]).current_dir(upper).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("which the sandbox must not write"));
}

#[test]
fn nobody_inside_writes_the_overlays_own_marks() {
    let caller = Caller::new();
    for path in ["a", "d/b"] {
        create_dir_all(caller.host("d")).unwrap();
        write(caller.host(path), path).unwrap();
    }
    let script = r#"
import os, stat
for path in (".", "d", "a"):
    for name in ("opaque", "whiteout", "redirect", "metacopy"):
        try: os.setxattr(path, "user.overlay." + name, b"y")
        except OSError: pass
try: os.mknod("w", stat.S_IFCHR, 0)
except OSError as error: print(error.strerror)
os.mkdir("e")
print(sorted(os.listdir(".")), sorted(os.listdir("d")))"#;
    let mut standin = caller.program(binary("standin"));
    let (seen, _) = succeeds(standin.args(["run", "--cow", "--", "/usr/bin/python3", "-c", script]));
    assert_eq!(seen, "Operation not permitted\n['a', 'd', 'e'] ['b']\n");
    let stat = caller.says(&["diff", "--stat"]);
    assert!(!stat.contains("delete") && !stat.contains("D "), "{stat}");
    caller.says(&["apply"]);
    assert_eq!(read(caller.host("d/b")).unwrap(), b"d/b");
}

#[test]
fn sockets_of_the_host_in_the_workspace_answer_nobody() {
    let caller = Caller::new();
    let _listener = std::os::unix::net::UnixListener::bind(caller.host("socket")).unwrap();
    let script = "import socket; s = socket.socket(socket.AF_UNIX)\n\
                  try: s.connect('socket'); print('connected')\n\
                  except OSError as error: print(error.strerror)";
    let run = |flags: &[&str]| {
        let mut standin = caller.program(binary("standin"));
        succeeds(standin.arg("run").args(flags).args(["--", "/usr/bin/python3", "-c", script])).0
    };
    assert_eq!(run(&["--cow"]), "Connection refused\n");
}

#[test]
fn while_it_runs_changes_are_shown_and_taken_but_not_forgotten() {
    let caller = Caller::new();
    write(caller.host("a"), "a\n").unwrap();
    let script = "echo one > a; echo ready; read go; cat a; echo two > a; echo ready; read go; cat a";
    let mut standin = caller.on_a_copy(script);
    let mut running = Running::start(standin.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut keys = running.stdin();
    let mut text = Text::from(running.stdout());
    text.until("ready\n");
    assert!(caller.says(&["diff"]).contains("\n-a\n+one\n"));
    assert!(caller.says(&["discard"]).contains("still runs"));
    assert!(caller.says(&["apply"]).contains("1 changes applied"));
    assert_eq!(read(caller.host("a")).unwrap(), b"one\n");
    std::io::Write::write_all(&mut keys, b"go\n").unwrap();
    // What it wrote after that is a change again, and no conflict.
    assert_eq!(text.until("ready\n"), "one\n");
    assert!(caller.says(&["diff"]).contains("\n-one\n+two\n"));
    assert!(caller.says(&["apply"]).contains("1 changes applied"));
    drop(keys);
    running.wait();
    assert_eq!(read(caller.host("a")).unwrap(), b"two\n");
    assert_eq!(caller.kept(), 0, "a copy without differences is forgotten at the end");
}

#[test]
fn changes_of_a_killed_run_are_kept() {
    let caller = Caller::new();
    let mut standin = caller.on_a_copy("echo x > x; echo ready; read go");
    let mut running = Running::start(standin.stdin(Stdio::piped()).stdout(Stdio::piped()));
    Text::from(running.stdout()).until("ready\n");
    running.signal(Signal::KILL);
    running.wait();
    assert!(caller.says(&["diff", "--stat"]).contains("A x +1 -0"));
    assert!(caller.says(&["apply"]).contains("1 changes applied"));
    assert!(caller.says(&["discard"]).contains("are forgotten"));
}

#[test]
fn a_run_that_changes_nothing_or_does_not_start_keeps_nothing() {
    let caller = Caller::new();
    write(caller.host("a"), "a\n").unwrap();
    let (_, said) = succeeds(&mut caller.on_a_copy("cat a; echo b > b; rm b; echo a > a"));
    assert!(said.contains("nothing was changed"), "{said}");
    let mut standin = caller.program(binary("standin"));
    let output = standin.args(["run", "--cow", "--", "./missing"]).output().unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(caller.kept(), 0);
    assert!(caller.says(&["diff"]).contains("no changes of this directory are kept"));
    assert!(caller.says(&["apply", "--session", "../../x"]).contains("no changes of session ../../x are kept"));
}

#[test]
fn paths_count_from_where_they_are_typed() {
    let caller = Caller::new();
    create_dir_all(caller.host("d/e")).unwrap();
    succeeds(&mut caller.on_a_copy("echo x > d/x; echo y > d/e/y; echo z > z"));
    let from = |directory: &Path, words: &[&str]| {
        let output = caller.program(binary("standin")).current_dir(directory).args(words).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert_eq!(from(&caller.host("d"), &["diff", "--stat", "e", "../z"]), "A d/e/y +1 -0\nA z +1 -0\n");
    assert!(from(&caller.host("d"), &["diff", "../../x"]).contains("is not in"));
    assert!(from(&caller.path("home"), &["diff"]).contains("no changes of this directory"));
}

#[test]
fn what_changed_on_the_host_is_said_and_left() {
    let caller = Caller::new();
    for path in ["a", "b"] {
        write(caller.host(path), path).unwrap();
    }
    let mut standin = caller.on_a_copy("echo session > a; echo session > b; echo ready; read go");
    let mut running = Running::start(standin.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let keys = running.stdin();
    Text::from(running.stdout()).until("ready\n");
    write(caller.host("a"), "host").unwrap();
    drop(keys);
    running.wait();
    assert!(caller.says(&["diff"]).contains("# a: was changed on the host since the session began"));
    let said = caller.says(&["apply"]);
    assert!(said.contains("left: a: it was changed on the host") && said.contains("1 changes applied"), "{said}");
    assert_eq!(
        (read(caller.host("a")).unwrap(), read(caller.host("b")).unwrap()),
        (b"host".to_vec(), b"session\n".to_vec())
    );
    assert!(caller.says(&["apply", "--force"]).contains("1 changes applied"));
    assert_eq!(read(caller.host("a")).unwrap(), b"session\n");
}

#[test]
fn a_repository_is_checked_without_running_anything_of_it() {
    let caller = Caller::new();
    repository(&caller);
    let output = caller.program(binary("standin")).arg("check-repo").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    caller.host_git(&["config", "core.sshCommand", "touch ran"]);
    create_dir(caller.host("directory/\x1b[2J")).unwrap();
    write(caller.host("directory/\x1b[2J/.mcp.json"), r#"{"mcpServers":{"\u001b]0;x\u0007":{}}}"#).unwrap();
    // From below it, as git looks for its directory.
    let check = |words: &[&str]| {
        let mut standin = caller.program(binary("standin"));
        let output = standin.arg("check-repo").args(words).current_dir(caller.host("directory/deep")).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, text) = check(&[]);
    assert_eq!(code, Some(1));
    let expected = ".git/config:6: core.sshcommand = touch ran: git runs it\n    \
                    mend: git config --file .git/config --unset-all core.sshcommand\n\
                    \"directory/\\033[2J/.mcp.json\":1: mcpServers: the agent starts these servers\n";
    assert!(text.starts_with(expected), "{text}");
    let (code, text) = check(&["--json"]);
    assert_eq!(code, Some(1));
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), &rows[0]["line"], &rows[0]["path"]), (2, &6.into(), &".git/config".into()));
    assert!(!text.contains('\x1b') && !caller.host("ran").exists());
}
