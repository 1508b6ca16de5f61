//! What an attacker inside tries over SSH. Each is shown to work at a plain account first.

use super::rig;
use standin_e2e::Rig;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};

/// OpenSSH's client with the user's key, outside.
fn outside(rig: &Rig, arguments: &str) -> String {
    let key = rig.home().join(".ssh/id_ed25519");
    let known = rig.home().join(".ssh/known_hosts");
    format!("ssh -o BatchMode=yes -o UserKnownHostsFile={} -i {} {arguments}", known.display(), key.display())
}

#[test]
fn a_command_is_gits_or_nothing() {
    let (rig, host) = rig("file:~/.ssh/id_ed25519", "repositories = [\"acme/*\"], push = true");
    host.give_shells();
    let user = &host.user;
    for command in [
        "git-upload-pack 'acme/app.git'; touch pwned",
        "git-upload-pack 'acme/x'$(touch pwned)",
        "git-upload-pack '`touch pwned`' || touch pwned",
        "git-upload-pack 'acme/app.git'\ntouch pwned",
        "git-upload-pack 'acme/app.git' & touch pwned",
        "touch pwned #git-upload-pack 'acme/app.git'",
    ] {
        let pwned = rig.repositories().join("pwned");
        let quoted = format!("'{}'", command.replace('\'', r"'\''"));
        rig.on_host(&["sh", "-c", &outside(&rig, &format!("{user}@git.example {quoted} </dev/null"))]);
        assert!(pwned.exists(), "{command} does nothing outside either");
        std::fs::remove_file(&pwned).unwrap();
        let ran = host.commands().len();
        let outcome = rig.script(&format!("ssh {user}@git.example {quoted} </dev/null"));
        assert!(outcome.stderr.contains("Standin: "), "{command}\n{}", outcome.stderr);
        assert!(!pwned.exists() && host.commands().len() == ran, "{command}");
    }
    for path in ["acme/../evil/app.git", "~/app.git", "--upload-pack=id", "acme/.git", "evil/app.git"] {
        let ran = host.commands().len();
        let outcome = rig.script(&format!("ssh {user}@git.example \"git-upload-pack '{path}'\" </dev/null"));
        assert!(outcome.stderr.contains("Standin: "), "{path}\n{}", outcome.stderr);
        assert_eq!(host.commands().len(), ran, "{path}");
    }
}

/// A server on the host's loopback, which greets whoever comes.
fn greeter() -> (u16, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"hello").unwrap()))
}

#[test]
fn nothing_is_forwarded() {
    let (rig, host) = rig("file:~/.ssh/id_ed25519", "repositories = [\"acme/*\"]");
    let user = &host.user;
    let (port, greeted) = greeter();
    let forward = format!("-W 127.0.0.1:{port} {user}@git.example");
    let outcome = rig.on_host(&["sh", "-c", &outside(&rig, &forward)]);
    assert_eq!(outcome.stdout, "hello", "{}", outcome.stderr);
    greeted.join().unwrap();
    let ask = "\"git-upload-pack 'acme/app.git'\" </dev/null";
    for (command, expected) in [
        (format!("ssh {forward}"), "administratively prohibited"),
        (format!("ssh -o ExitOnForwardFailure=yes -R 8080:127.0.0.1:80 {user}@git.example {ask}"), "forwarding failed"),
        (
            format!("ssh -o ExitOnForwardFailure=yes -R /tmp/x.sock:127.0.0.1:80 {user}@git.example {ask}"),
            "forwarding failed",
        ),
    ] {
        let outcome = rig.script(&command);
        assert!(outcome.stderr.contains(expected), "{command}\n{}\n{}", outcome.stdout, outcome.stderr);
        assert_eq!(outcome.code, Some(255), "{command}");
    }
    assert!(host.commands().is_empty());
}

#[test]
fn what_a_host_says_steers_no_terminal() {
    let (rig, host) = rig("file:~/.ssh/id_ed25519", "repositories = [\"acme/*\"]");
    // A title, a question for it, and a text for the clipboard; then a word in colour.
    rig.marker("sshd/words", "\x1b]0;owned\x07\x1b[21t\x1b]52;c;eA==\x07plain \x1b[31mred\x1b[0m\n");
    let outcome = rig.script(&format!("git clone -q {}@git.example:acme/app.git 2>said; cat said", host.user));
    let outcome = outcome.succeeded();
    assert!(outcome.stdout.contains("plain ") && outcome.stdout.contains("red"), "{:?}", outcome.stdout);
    assert!(!outcome.stdout.contains("\x1b]") && !outcome.stdout.contains("\x1b[21t"), "{:?}", outcome.stdout);
}

#[test]
fn one_thing_at_a_time_and_keys_are_changed_on_the_way() {
    let (rig, host) = rig("file:~/.ssh/id_ed25519", "repositories = [\"acme/*\"]");
    let user = &host.user;
    // Some megabytes that do not compress, so that keys are exchanged anew many times (after every 64 KiB).
    let fill =
        "head -c 3000000 /dev/urandom > big && git add big && git -c user.name=a -c user.email=a@b.c commit -q -m big";
    let script = format!("git clone -q acme/app.git w && cd w && {fill} && git push -q && cd .. && rm -rf w");
    let made = std::process::Command::new("sh").args(["-c", &script]).current_dir(rig.repositories()).status().unwrap();
    assert!(made.success());
    let outcome = rig.script(&format!(
        "GIT_SSH_COMMAND='ssh -o RekeyLimit=64K' git clone -q {user}@git.example:acme/app.git && wc -c < app/big; \
         ssh -f -M -N -S ./mux {user}@git.example; \
         for i in 1 2; do ssh -S ./mux {user}@git.example \"git-upload-pack 'acme/app.git'\" </dev/null | head -c 4; echo; done; \
         ssh -S ./mux -O exit {user}@git.example 2>&1"
    ));
    let mut lines = outcome.stdout.lines().skip(1);
    let mut is_packet =
        || lines.next().is_some_and(|line| line.len() == 4 && line.bytes().all(|b| b.is_ascii_hexdigit()));
    let packets = (is_packet(), is_packet());
    assert_eq!(
        (outcome.stdout.lines().next(), packets),
        (Some("3000000"), (true, true)),
        "{}\n{}\n{}",
        outcome.stdout,
        outcome.stderr,
        outcome.log
    );
}
