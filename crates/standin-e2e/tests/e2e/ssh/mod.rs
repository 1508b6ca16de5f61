//! Git over SSH with the real client and the real server. The key is outside, and so is the agent.

mod attacks;
mod host;

use host::SshHost;
use standin_e2e::Rig;
use std::process::{Child, Command, Stdio};

/// A rig with one host, and a grant for its user's key.
fn rig(source: &str, git: &str) -> (Rig, SshHost) {
    let rig = Rig::new(&["git.example"]);
    let host = SshHost::start(&rig);
    configure(&rig, &host, source, git);
    let config = rig.path("config.toml").into_os_string().into_string().unwrap();
    (rig.with(&["--config", &config]), host)
}

fn configure(rig: &Rig, host: &SshHost, source: &str, git: &str) {
    let user = &host.user;
    let text = format!(
        "[[credential]]\nname = \"ssh\"\nsource = \"{source}\"\n[[credential.grant]]\nhosts = [\"git.example\"]\n\
         git = {{ user = \"{user}\", {git} }}\n"
    );
    rig.marker("config.toml", &text);
}

const COMMIT: &str = "git -c user.name=a -c user.email=a@b.c commit -q -a -m second";

#[test]
fn clone_fetch_and_push_with_a_key_that_is_not_inside() {
    let (rig, host) = rig("file:~/.ssh/id_ed25519", "repositories = [\"acme/*\"], push = true");
    let user = &host.user;
    let outcome = rig.script(&format!(
        "set -e; git clone -q {user}@git.example:acme/app.git; cd app; cat file; echo more >> file; {COMMIT}; \
         git push -q origin main; git fetch -q ssh://{user}@git.example/acme/app.git; git rev-parse FETCH_HEAD HEAD; \
         ls -A ~/.ssh 2>/dev/null || echo no keys; env | grep SSH_ || echo no agent"
    ));
    let outcome = outcome.succeeded();
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let ["hello", fetched, pushed, "no keys", "no agent"] = lines.as_slice() else { panic!("{}", outcome.stdout) };
    assert_eq!(fetched, pushed);
    let expected = [
        "version=2|git-upload-pack 'acme/app.git'",
        "|git-receive-pack 'acme/app.git'",
        "version=2|git-upload-pack 'acme/app.git'",
    ];
    assert_eq!(host.commands(), expected);
    let record = |method: &str, target| format!("exchange ssh git.example 22 {method} {target} allow null completed");
    let expected = [
        record("git-upload-pack", "acme/app.git"),
        record("git-receive-pack", "acme/app.git"),
        record("git-upload-pack", "/acme/app.git"),
    ];
    assert_eq!(outcome.records(), expected);
    for line in outcome.log.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&record["credentials"][0], &record["rule"]), (&"ssh".into(), &"ssh.grant[1]".into()), "{line}");
        assert!(record["bytes_in"].as_u64() > Some(0) && record["bytes_out"].as_u64() > Some(0), "{line}");
    }
}

/// An agent of the user's with one key, ended with the test.
struct Agent(Child);

impl Agent {
    fn start(rig: &Rig) -> Self {
        let socket = rig.path("agent.sock");
        let mut agent = Command::new("ssh-agent");
        let child =
            agent.args(["-D", "-a"]).arg(&socket).stdout(Stdio::piped()).spawn().expect("./test installs OpenSSH");
        let mut this = Self(child);
        // It says where it listens when it does.
        let mut line = String::new();
        let said = this.0.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut line).unwrap();
        let key = rig.home().join(".ssh/id_ed25519");
        let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", socket).status();
        assert!(added.unwrap().success());
        this
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn an_agent_signs_and_stays_outside() {
    let (mut rig, host) = rig("ssh-agent:", "repositories = [\"acme/app\"]");
    let agent = Agent::start(&rig);
    std::fs::remove_file(rig.home().join(".ssh/id_ed25519")).unwrap();
    let socket = rig.path("agent.sock").into_os_string().into_string().unwrap();
    rig = rig.variable("SSH_AUTH_SOCK", &socket);
    let user = &host.user;
    let script = format!(
        "git clone -q {user}@git.example:acme/app.git && cat app/file; SSH_AUTH_SOCK={socket} ssh-add -l || echo no agent"
    );
    let outcome = rig.script(&script).succeeded();
    assert_eq!(outcome.stdout, "hello\nno agent\n");
    drop(agent);
    // Without it the clone fails, and says so.
    let outcome = rig.script(&format!("git clone -q {user}@git.example:acme/app.git again"));
    assert!(outcome.stderr.contains("Standin: the SSH key `ssh` is not available"), "{}", outcome.stderr);
    assert!(outcome.log.contains("no ssh-agent answers at"), "{}", outcome.log);
}

/// The key may push anywhere; the grant says where it does.
#[test]
fn some_refs_of_a_repository() {
    let push = "repositories = [\"acme/*\"], push = { refs = [\"refs/heads/agent/*\"], delete = true }";
    let (rig, host) = rig("file:~/.ssh/id_ed25519", push);
    let user = &host.user;
    let script = format!(
        "git clone -q {user}@git.example:acme/app.git && cd app && echo b >> file && {COMMIT}
         push() {{ git push -q origin \"$@\" 2>>../told && echo yes || echo no; }}
         push HEAD:refs/heads/agent/a
         push HEAD:main
         push HEAD:refs/heads/agent/b HEAD:refs/heads/other
         push HEAD:refs/tags/v1
         push :main
         push :refs/heads/agent/a
         push
         git push -q --signed=true origin HEAD:refs/heads/agent/c 2>/dev/null && echo yes || echo no
         git ls-remote origin | cut -f2; cat ../told"
    );
    let outcome = rig.script(&script).succeeded();
    let (done, told) = outcome.stdout.split_once("Standin: ").expect("it is said why");
    let expected = "yes\nno\nno\nno\nno\nyes\nno\nno\nHEAD\nrefs/heads/main\n";
    assert_eq!(done, expected, "{told}\n{}", outcome.log);
    for why in [
        "this push is refused: refs/heads/main may not be pushed to; the grant pushes to or deletes `refs/heads/agent/*` only",
        "refs/heads/other may not be pushed to",
        "refs/tags/v1 may not be pushed to",
        "refs/heads/main may not be deleted",
    ] {
        assert!(format!("Standin: {told}").contains(why), "{told}");
    }
    // Without the refs, the same key does it.
    configure(&rig, &host, "file:~/.ssh/id_ed25519", "repositories = [\"acme/*\"], push = true");
    let again = format!(
        "git clone -q {user}@git.example:acme/app.git again && cd again && echo b >> file && {COMMIT} && git push -q && echo yes"
    );
    assert_eq!(rig.script(&again).succeeded().stdout, "yes\n");
}

#[test]
fn what_is_not_granted_is_refused_with_a_reason() {
    let (rig, host) = rig("file:~/.ssh/id_ed25519", "repositories = [\"acme/*\"]");
    let user = &host.user;
    let granted = format!("granted: {user}@git.example:acme/*");
    for (command, code, expected) in [
        (
            format!("git clone -q {user}@git.example:evil/app.git"),
            128,
            format!("Standin: git-upload-pack of {user}@git.example:evil/app.git is not granted; {granted}"),
        ),
        (
            "git clone -q other@git.example:acme/app.git".to_owned(),
            128,
            format!("Standin: git-upload-pack of other@git.example:acme/app.git is not granted; {granted}"),
        ),
        (
            format!(
                "git clone -q {user}@git.example:acme/app.git && cd app && echo b >> file && {COMMIT} && git push -q"
            ),
            128,
            "Standin: acme/app.git at git.example may be fetched, not pushed to; its owner can add `push = true`"
                .to_owned(),
        ),
        (
            format!("git clone -q {user}@other.example:acme/app.git again"),
            128,
            "Standin: no SSH key is granted for other.example; its owner can add a [[credential]]".to_owned(),
        ),
        (
            format!("ssh {user}@git.example"),
            1,
            "Standin: there is no shell over SSH here, only git's clone, fetch and push".to_owned(),
        ),
        (
            format!("ssh {user}@git.example id"),
            1,
            "Standin: only `git-upload-pack 'PATH'` and `git-receive-pack 'PATH'` are run over SSH".to_owned(),
        ),
        (
            format!("echo ls | sftp -q {user}@git.example"),
            255,
            "Standin: there are no subsystems (sftp) over SSH here".to_owned(),
        ),
    ] {
        let outcome = rig.script(&command);
        assert!(outcome.stderr.contains(&expected), "{command}\n{}\n{}", outcome.stderr, outcome.log);
        assert_eq!(outcome.code, Some(code), "{command}\n{}", outcome.stderr);
        let last = outcome.records().pop().unwrap();
        assert!(last.contains(" deny ssh."), "{last}");
    }
    assert_eq!(host.commands(), ["version=2|git-upload-pack 'acme/app.git'"]);
}

#[test]
fn a_host_that_is_not_known_gets_nothing() {
    let (rig, host) = rig("file:~/.ssh/id_ed25519", "repositories = [\"acme/*\"]");
    let clone = format!("git clone -q {}@git.example:acme/app.git", host.user);
    let known = rig.home().join(".ssh/known_hosts");
    let refused = |expected: &str| {
        let outcome = rig.script(&clone);
        assert!(outcome.stderr.contains(expected), "{}\n{}", outcome.stderr, outcome.log);
        assert!(outcome.records().pop().unwrap().ends_with("deny ssh.host_key denied"), "{}", outcome.log);
    };
    host.known_as("other.example", &known);
    refused("Standin: the host key of git.example is not among the known hosts");
    host.known_as("@revoked git.example", &known);
    refused("Standin: the host key of git.example is not among the known hosts");
    host.known_as("git.example", &known);
    host.change_key();
    refused("Standin: the host key of git.example is NOT the one that this session's owner knows");
    // Known by its hashed name only.
    host.known_as("git.example", &known);
    assert!(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&known).status().unwrap().success());
    assert_eq!(rig.script(&clone).succeeded().code, Some(0));
    assert_eq!(host.commands().len(), 1);
}

#[test]
fn nothing_is_granted_by_nothing() {
    let rig = Rig::new(&["git.example"]);
    let host = SshHost::start(&rig);
    let outcome = rig.script(&format!("git clone -q {}@git.example:acme/app.git", host.user));
    assert_eq!(outcome.code, Some(128));
    assert!(
        outcome.stderr.contains("Standin: no SSH key is granted for git.example; its owner can add"),
        "{}",
        outcome.stderr
    );
    assert_eq!(outcome.records(), ["connection raw git.example 22 null null deny ssh.not_granted denied"]);
    assert!(host.commands().is_empty());
}
